// Which of two is faster, on a machine that is never quiet: both are timed in turns, pair by pair, and the
// median of the pairs' ratios is judged by its 95 % interval.
#pragma once

#include <functional>
#include <vector>

namespace planish::tune {

/// The median of a sample and a distribution-free 95 % interval of the true one, by order statistics
/// (H. A. David, Order Statistics, 2.5). Below six values there is none: 0 to infinity.
struct Interval {
  double median = 1, low = 0, high = 0;
};
Interval intervalOf(std::vector<double> values);

struct Outcome {
  Interval ratio;             // candidate / baseline
  double baselineSeconds = 0; // medians
  double candidateSeconds = 0;
  bool faster = false;        // the whole interval is below one
};

using Sampler = std::function<double()>;  // seconds of one call

/// Stops early once the candidate is surely slower than `bestRatio` times the baseline, or surely faster than
/// the baseline.
Outcome contest(const Sampler &baseline, const Sampler &candidate, double bestRatio);

/// The same with a fixed number of pairs, so that the interval holds: what contest() saw may be luck that
/// was looked for.
Outcome confirmation(const Sampler &baseline, const Sampler &candidate);

} // namespace planish::tune
