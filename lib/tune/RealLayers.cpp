#include "RealLayers.h"

#include "ChannelsOf.h"

#include "planish/transform/PlaceCodes.h"
#include "planish/transform/Switches.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <optional>

namespace planish::tune {

using transform::SwitchedLayer;
using transform::SwitchGraph;

namespace {

/// Samples that are looked at.
constexpr size_t kSamples = 4;
/// A value's codes matter that make so large a share of all the noise that is left, ...
constexpr double kLeastShare = 0.05;
/// ... so much of the results' signal, ...
constexpr double kLeastNoise = 1e-3;
/// ... and so many times its share of the work.
constexpr double kLeastGain = 4;
/// The share of the multiplications that may have real numbers.
constexpr double kMostCost = 0.03;
/// Of a network's time that even the smallest layer takes.
constexpr double kOverhead = 1e-3;

graph::Tensor scalar(float value) {
  auto bytes = std::make_shared<std::vector<std::byte>>(sizeof value);
  std::memcpy(bytes->data(), &value, sizeof value);
  return {DType::f32, {1}, std::move(bytes)};
}

/// Some of the samples, evenly spread, each with all switches off and then with one layer's on.
class SwitchedSamples : public Samples {
public:
  SwitchedSamples(Samples &samples, const SwitchGraph &g)
      : samples(samples), g(g), chosen(std::min(kSamples, samples.count())) {}

  size_t runs() const { return g.layers.size() + 1; }
  size_t count() const override { return chosen * runs(); }
  Result<Sample> read(size_t index) override {
    size_t run = index % runs();
    if (run == 0) { PLANISH_ASSIGN(current, samples.read(index / runs() * samples.count() / chosen)); }
    Sample r = current;
    for (size_t l = 0; l < g.layers.size(); ++l)
      r.emplace_back(g.layers[l].input, scalar(l + 1 == run ? 1 : 0));
    return r;
  }

private:
  Samples &samples;
  const SwitchGraph &g;
  size_t chosen;
  Sample current;
};

/// Numbers less the mean of their channel: what is the same everywhere says nothing of what a network sees.
class Centred {
public:
  Centred(std::span<const float> numbers, quant::Channels layout)
      : layout(layout), means(size_t(layout.count)) {
    std::vector<double> sums(means.size());
    for (size_t i = 0; i < numbers.size(); ++i) sums[channel(i)] += double(numbers[i]);
    for (size_t c = 0; c < means.size(); ++c)
      means[c] = sums[c] * double(layout.count) / std::max(double(numbers.size()), 1.0);
    reference = of(numbers);
  }
  std::vector<float> of(std::span<const float> numbers) const {
    std::vector<float> r(numbers.begin(), numbers.end());
    for (size_t i = 0; i < r.size(); ++i) r[i] = float(double(r[i]) - means[channel(i)]);
    return r;
  }

  std::vector<float> reference;

private:
  size_t channel(size_t i) const { return i / size_t(layout.inner) % means.size(); }
  quant::Channels layout;
  std::vector<double> means;
};

/// By layer: the noise that its codes alone make in the results, relative to their signal, on average.
Result<std::vector<double>> noiseOf(const SwitchGraph &g, Samples &samples) {
  SwitchedSamples runs(samples, g);
  std::vector<double> noise(g.layers.size(), 0);
  std::vector<std::optional<Centred>> wanted(g.results.size());
  double perLayer = double(runs.count()) / double(runs.runs()) * double(g.results.size());
  auto see = [&](size_t run, size_t result, const TensorView &value) -> Status {
    quant::Channels channels = channelsOf(value.shape);
    std::optional<Centred> &centred = wanted[result];
    if (run % runs.runs() == 0) {
      centred.emplace(value.floats(), channels);
      return {};
    }
    quant::Deviation deviation(channels);
    deviation.add(centred->reference, centred->of(value.floats()));
    noise[run % runs.runs() - 1] += deviation.relativeNoise() / perLayer;
    return {};
  };
  PLANISH_TRY(observe(g.graph, g.results, runs, see));
  return noise;
}

} // namespace

Result<std::vector<std::string>> realLayers(const graph::Graph &g, const quant::Profile &profile,
                                            Samples &samples) {
  PLANISH_ASSIGN(graph::Graph coded, transform::placeCodes(g, profile, {}));
  PLANISH_ASSIGN(SwitchGraph switches, transform::switchGraph(coded));
  std::vector<std::string> r;
  if (switches.layers.empty() || switches.results.empty()) return r;
  PLANISH_ASSIGN(std::vector<double> noise, noiseOf(switches, samples));
  auto workOf = [&](size_t l) { return switches.layers[l].cost / std::max(switches.cost, 1.0); };
  std::vector<size_t> order(noise.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](size_t l) { return noise[l] / (workOf(l) + kOverhead); });
  // What has real numbers makes no noise any more: beside the worst value all others would seem harmless.
  double left = std::accumulate(noise.begin(), noise.end(), 0.0), cost = 0;
  for (size_t l : order) {
    const SwitchedLayer &layer = switches.layers[l];
    double work = workOf(l);
    bool matters = noise[l] >= kLeastNoise && noise[l] >= std::max(kLeastShare, kLeastGain * work) * left;
    if (layer.readers.empty() || !matters || cost + work > kMostCost) continue;
    cost += work, left -= noise[l];
    r.insert(r.end(), layer.readers.begin(), layer.readers.end());
  }
  return r;
}

} // namespace planish::tune
