#include "WeightBudget.h"

#include "Kernels.h"

#include "planish/schedule/Template.h"

#include <algorithm>
#include <functional>

namespace planish::lower {

namespace {

/// Memory bandwidth of one thread on modest machines, in bytes per nanosecond.
constexpr double kMemoryBandwidth = 10;
/// Transformed weights, in model's weights.
constexpr int64_t kMostWeights = 2;

struct Wish {
  std::string key;
  std::vector<schedule::WeightTrade> trades;  // fastest first
  int64_t launches = 0;                       // weights differ where computations are equal

  double savedPerByte() const { return trades[0].savedNs / double(trades[0].bytes); }
};

/// What the templates would like, in order of first launch.
class Wishes {
public:
  Wishes(const Storage &memory, const Target &device, const LowerOptions &settings)
      : storage(memory), target(device), options(settings) {}

  void add(const Body &body) {
    for (const Step &step : body.steps) {
      for (const Body &inner : step.bodies) add(inner);
      if (step.bodies.empty()) add(computeOf(step, *body.graph, storage).compute);
    }
  }
  std::vector<Wish> all;

private:
  const Storage &storage;
  const Target &target;
  const LowerOptions &options;
  std::map<std::string, size_t> byKey;

  void add(loop::Compute compute) {
    if (!compute.out) return;
    auto trades = schedule::weightTrades(schedule::Kernel(compute), target);
    if (trades.empty()) return;
    compute.name = "kernel";
    auto [at, fresh] = byKey.try_emplace(schedule::keyOf(compute), all.size());
    if (options.tuning && options.tuning->find(at->first, target.name)) return;
    if (fresh) all.push_back({at->first, std::move(trades)});
    ++all[at->second].launches;
  }
};

} // namespace

std::map<std::string, int64_t> chosenTiles(const Storage &storage, const Target &target,
                                           const LowerOptions &options) {
  std::map<std::string, int64_t> tiles;
  if (options.strict || options.mode == Mode::Reference) return tiles;
  Wishes wishes(storage, target, options);
  wishes.add(storage.main);
  std::ranges::stable_sort(wishes.all, std::greater(), &Wish::savedPerByte);
  int64_t left = 0;
  for (const Root &root : storage.roots)
    if (root.constant) left += kMostWeights * int64_t(root.constant->data->size());
  for (const Wish &w : wishes.all) {
    auto fits = [&](const schedule::WeightTrade &t) {
      return t.savedNs > double(t.extraBytes) / kMemoryBandwidth && t.bytes * w.launches <= left;
    };
    auto trade = std::ranges::find_if(w.trades, fits);
    tiles[w.key] = trade == w.trades.end() ? 0 : trade->tile;
    if (trade != w.trades.end()) left -= trade->bytes * w.launches;
  }
  return tiles;
}

} // namespace planish::lower
