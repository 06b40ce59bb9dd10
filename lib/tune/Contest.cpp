#include "Contest.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace planish::tune {
namespace {

constexpr int kFewPairs = 3, kDecidingPairs = 9, kMostPairs = 21;
/// Fastest sample against fastest sample, after a few pairs: beyond this the rest would not change it.
constexpr double kHopeless = 1.03;
/// Beyond this after one pair; a pair of a slow kernel takes long.
constexpr double kAbsurd = 2;
/// Pairs of a confirmation, fewer for slow kernels.
constexpr int kMostConfirming = 31;
constexpr double kConfirmingSeconds = 0.5;

double medianOf(std::vector<double> v) {
  auto middle = v.begin() + long(v.size() / 2);
  std::nth_element(v.begin(), middle, v.end());
  return *middle;
}

struct Pairs {
  std::vector<double> baseline, candidate, ratios;

  /// Who goes first changes with every pair: what one leaves in the caches serves the other.
  void add(const Sampler &first, const Sampler &second) {
    bool swapped = ratios.size() % 2 == 1;
    double a = swapped ? 0 : first(), b = second();
    if (swapped) a = first();
    baseline.push_back(a);
    candidate.push_back(b);
    ratios.push_back(b / a);
  }
  Outcome outcome() const {
    Interval i = intervalOf(ratios);
    return {i, medianOf(baseline), medianOf(candidate), i.high < 1};
  }
};

} // namespace

Interval intervalOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  int n = int(values.size());
  Interval r{n ? values[size_t(n / 2)] : 1, 0, std::numeric_limits<double>::infinity()};
  // The most values to drop at each end: the chance that more than n - drop fall on one side of the median.
  double chance = std::pow(0.5, n), sum = 0;
  for (int drop = 0; drop < n / 2; ++drop) {
    sum += chance;
    if (sum > 0.025) break;
    r.low = values[size_t(drop)];
    r.high = values[size_t(n - 1 - drop)];
    chance *= double(n - drop) / double(drop + 1);
  }
  return r;
}

Outcome contest(const Sampler &baseline, const Sampler &candidate, double bestRatio) {
  Pairs pairs;
  while (int(pairs.ratios.size()) < kMostPairs) {
    pairs.add(baseline, candidate);
    int n = int(pairs.ratios.size());
    if (n == 1 || n == kFewPairs) {
      double fastest = std::ranges::min(pairs.candidate), other = std::ranges::min(pairs.baseline);
      if (fastest > other * bestRatio * (n == 1 ? kAbsurd : kHopeless)) break;
    }
    if (n < kDecidingPairs) continue;
    Interval i = intervalOf(pairs.ratios);
    if (i.high < 1 || i.low > bestRatio) break;
  }
  return pairs.outcome();
}

Outcome confirmation(const Sampler &baseline, const Sampler &candidate) {
  Pairs pairs;
  pairs.add(baseline, candidate);
  double pair = pairs.baseline[0] + pairs.candidate[0];
  int count = int(std::clamp(kConfirmingSeconds / pair, double(kDecidingPairs), double(kMostConfirming)));
  pairs = {};
  for (int i = 0; i < count; ++i) pairs.add(baseline, candidate);
  return pairs.outcome();
}

} // namespace planish::tune
