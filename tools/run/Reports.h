// What run-model tells about runs: digests, comparisons, latencies.
#pragma once

#include "Session.h"

#include <map>
#include <string>
#include <vector>

namespace planish::run {

/// The first 16 digits of the SHA-256 of the dense little-endian bytes in ONNX order:
/// hashlib.sha256(array.tobytes()).hexdigest()[:16].
std::string digestOf(const Array &array);

/// "name dtype dims hash".
std::string digestLine(const std::string &name, const Array &array);

/// The digest lines of all outputs of the last run.
Result<std::vector<std::string>> outputDigests(const Session &session);

/// Digest lines of the values that a run materialises inside the model, in the model's order. The session
/// must be profiled; runs it once.
Result<std::vector<std::string>> layerDigests(Session &session);

struct Tolerance {
  double relative = 1e-3; ///< of the reference's largest absolute value
  double absolute = 1e-7;
};
struct Comparison {
  std::string name;
  std::string problem; ///< empty: shapes agree and every element is within the tolerance
  double maxError = 0, maxReference = 0;
};
/// An element passes when |got - want| <= absolute + relative * max |want|, or when both are the same
/// infinity. A NaN on either side fails.
Comparison compare(const std::string &name, const Array &got, const Array &want, const Tolerance &tolerance);

/// The q-quantile of a list that is not empty.
double quantile(std::vector<int64_t> times, double q);

struct Latencies {
  int runs = 0;
  double median = 0, minimum = 0, p90 = 0; ///< milliseconds
  double runsPerSecond = 0;
};
/// Runs for about `seconds` after a warm-up of a tenth of that, at least five times.
Result<Latencies> benchmark(Session &session, double seconds);

} // namespace planish::run
