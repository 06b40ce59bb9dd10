#include "MemoryPlan.h"

#include <algorithm>
#include <numeric>

namespace planish::lower {

namespace {

constexpr int64_t kAlignment = 64;
/// Orders of placement that are tried beyond the first.
constexpr int kAttempts = 200;

int64_t sizeOf(const Lifetime &l) {
  return (std::max<int64_t>(l.bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
}
bool isNeeded(const Lifetime &l) { return l.first <= l.last; }
bool meet(const Lifetime &a, const Lifetime &b) { return a.first <= b.last && b.first <= a.last; }

/// Places in the given order, each at the lowest offset of the smallest gap that fits among those placed that
/// are alive at the same time.
MemoryPlan placed(const std::vector<Lifetime> &lifetimes, const std::vector<size_t> &order) {
  MemoryPlan plan;
  plan.offsets.assign(lifetimes.size(), -1);
  std::vector<size_t> sorted; // what is placed, by offset
  for (size_t i : order) {
    int64_t size = sizeOf(lifetimes[i]), at = 0, best = -1, bestGap = INT64_MAX;
    for (size_t j : sorted) {
      if (!meet(lifetimes[i], lifetimes[j])) continue;
      int64_t gap = plan.offsets[j] - at;
      if (gap >= size && gap < bestGap) best = at, bestGap = gap;
      at = std::max(at, plan.offsets[j] + sizeOf(lifetimes[j]));
    }
    plan.offsets[i] = best >= 0 ? best : at;
    plan.bytes = std::max(plan.bytes, plan.offsets[i] + size);
    auto behind =
        std::ranges::upper_bound(sorted, plan.offsets[i], {}, [&](size_t j) { return plan.offsets[j]; });
    sorted.insert(behind, i);
  }
  return plan;
}

} // namespace

int64_t leastMemory(const std::vector<Lifetime> &lifetimes) {
  int64_t most = 0;
  for (const Lifetime &at : lifetimes) {
    int64_t bytes = 0;
    for (const Lifetime &l : lifetimes)
      if (isNeeded(at) && isNeeded(l) && l.first <= at.first && at.first <= l.last) bytes += sizeOf(l);
    most = std::max(most, bytes);
  }
  return most;
}

MemoryPlan planMemory(const std::vector<Lifetime> &lifetimes) {
  std::vector<size_t> order;
  for (size_t i = 0; i < lifetimes.size(); ++i)
    if (isNeeded(lifetimes[i])) order.push_back(i);
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return lifetimes[i].bytes; });
  MemoryPlan best = placed(lifetimes, order), plan = best;
  int64_t least = leastMemory(lifetimes);
  for (int attempt = 0; attempt < kAttempts && best.bytes > least; ++attempt) {
    // What reaches the top was placed too late: the last of it goes first.
    auto reachesTop = [&](size_t i) { return plan.offsets[i] + sizeOf(lifetimes[i]) == plan.bytes; };
    auto highest = std::find_if(order.rbegin(), order.rend(), reachesTop);
    std::rotate(order.begin(), std::prev(highest.base()), highest.base());
    plan = placed(lifetimes, order);
    if (plan.bytes < best.bytes) best = plan;
  }
  return best;
}

} // namespace planish::lower
