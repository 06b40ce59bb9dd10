#include "Summary.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace planish::stream {
namespace {

constexpr const char *kNames[kStages + 1] = {"read", "preprocess", "network", "decode", "total"};

/// The smallest value that at least `share` of all do not exceed.
double quantile(const std::vector<std::array<double, kStages + 1>> &times, size_t column, double share) {
  std::vector<double> values;
  for (const auto &row : times) values.push_back(row[column]);
  if (values.empty()) return 0;
  const auto at = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size()))) - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(at), values.end());
  return values[at];
}

} // namespace

void Summary::add(const std::array<double, kStages> &stages, size_t boxes) {
  std::array<double, kStages + 1> row{};
  for (size_t i = 0; i < kStages; ++i) row[kStages] += row[i] = stages[i];
  times.push_back(row);
  boxCount += boxes;
}

double Summary::framesPerSecond() const {
  double total = 0;
  for (const auto &row : times) total += row[kStages];
  return total > 0 ? 1000 * static_cast<double>(times.size()) / total : 0;
}

std::string Summary::text() const {
  char line[96];
  std::snprintf(line, sizeof(line), "%zu frames, %zu boxes, %.1f frames per second\n", times.size(), boxCount,
                framesPerSecond());
  std::string text = line;
  std::snprintf(line, sizeof(line), "%-12s%10s%10s\n", "ms", "median", "p90");
  text += line;
  for (size_t i = 0; i <= kStages; ++i) {
    std::snprintf(line, sizeof(line), "%-12s%10.3f%10.3f\n", kNames[i], quantile(times, i, 0.5),
                  quantile(times, i, 0.9));
    text += line;
  }
  return text;
}

nlohmann::ordered_json Summary::json() const {
  nlohmann::ordered_json latency;
  for (size_t i = 0; i <= kStages; ++i)
    latency[kNames[i]] = {{"median", quantile(times, i, 0.5)}, {"p90", quantile(times, i, 0.9)}};
  return {{"frames", times.size()}, {"boxes", boxCount}, {"fps", framesPerSecond()}, {"latency_ms", latency}};
}

} // namespace planish::stream
