#include "MemoryPlan.h"

#include <algorithm>
#include <numeric>

namespace planish::lower {

namespace {
constexpr int64_t kAlignment = 64;
int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }
} // namespace

MemoryPlan planMemory(const std::vector<Lifetime> &lifetimes) {
  MemoryPlan plan;
  plan.offsets.assign(lifetimes.size(), -1);
  std::vector<size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });
  std::vector<size_t> placed;
  for (size_t i : order) {
    const Lifetime &l = lifetimes[i];
    if (l.last < l.first) continue;
    std::vector<size_t> meets;
    for (size_t j : placed)
      if (lifetimes[j].first <= l.last && l.first <= lifetimes[j].last) meets.push_back(j);
    std::sort(meets.begin(), meets.end(),
              [&](size_t a, size_t b) { return plan.offsets[a] < plan.offsets[b]; });
    int64_t size = aligned(std::max<int64_t>(l.bytes, 1)), at = 0, best = -1, bestGap = INT64_MAX;
    for (size_t j : meets) {
      int64_t gap = plan.offsets[j] - at;
      if (gap >= size && gap < bestGap) best = at, bestGap = gap;
      at = std::max(at, plan.offsets[j] + aligned(std::max<int64_t>(lifetimes[j].bytes, 1)));
    }
    plan.offsets[i] = best >= 0 ? best : at;
    plan.bytes = std::max(plan.bytes, plan.offsets[i] + size);
    placed.push_back(i);
  }
  return plan;
}

} // namespace planish::lower
