// How long the parts of detecting took over all pictures.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace planish::stream {

enum class Stage : uint8_t { Read, Preprocess, Network, Decode };
constexpr size_t kStages = 4;

class Summary {
public:
  /// Milliseconds of each stage for one picture.
  void add(const std::array<double, kStages> &stages, size_t boxes);

  size_t frames() const { return times.size(); }
  /// A table with median and 90th percentile per stage, and pictures per second of all stages together.
  std::string text() const;
  nlohmann::ordered_json json() const;

private:
  double framesPerSecond() const;

  std::vector<std::array<double, kStages + 1>> times; ///< the last column is their sum
  size_t boxCount = 0;
};

} // namespace planish::stream
