// How often a value inside of a network took which numbers: a histogram that grows with what it meets.
#pragma once

#include "planish/support/Result.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace planish::quant {

/// Bins are [i * width, (i + 1) * width), width a power of two, the least one for which they are few enough.
/// Growing joins bins in pairs, so the same numbers give the same histogram in any order.
class Histogram {
public:
  static constexpr size_t kMostBins = 2048;

  Histogram() = default;
  /// As read from a file: `counts[i]` is of bin `first + i`, of width 2^exponent.
  Histogram(double least, double most, int exponent, int64_t first, std::vector<uint64_t> counts);

  /// Counts finite numbers; others are counted in notFinite() alone.
  void add(std::span<const float> numbers);

  bool empty() const { return counts.empty(); }
  double least() const { return low; }
  double most() const { return high; }
  uint64_t notFinite() const { return strange; }
  int exponent() const { return power; }
  int64_t first() const { return begin; }
  std::span<const uint64_t> bins() const { return counts; }

  double width() const;
  /// The number that stands for a bin: its middle, or zero where that is in it.
  double middle(size_t bin) const;

  bool operator==(const Histogram &) const = default;

private:
  void cover(double least, double most);

  double low = 0, high = 0;
  int power = 0;
  int64_t begin = 0;
  std::vector<uint64_t> counts;
  uint64_t strange = 0;
};

/// Real numbers that 8-bit codes reach from; they hold zero.
struct Range {
  double least = 0, most = 0;
  bool operator==(const Range &) const = default;
};

/// Scale and zero point of u8 codes: real = scale * (code - zero).
struct Coding {
  double scale = 1;
  int32_t zero = 0;
  double nearest(double real) const;
  bool operator==(const Coding &) const = default;
};
Coding codingOf(Range range);

/// How a histogram becomes a range.
enum class Calibrator : uint8_t {
  MinMax,     // all that was seen
  Percentile, // without the outermost numbers: 1 of 10,000, half of them on either side
  Entropy,    // least Kullback-Leibler divergence of the codes' distribution (Migacz, GTC 2017)
  Mse,        // least mean of squared errors
};
struct CalibratorRow {
  Calibrator calibrator;
  std::string_view name, summary;
};
std::span<const CalibratorRow> calibrators();
/// Usage, with the names there are, where there is none of this name.
Result<Calibrator> calibratorNamed(const std::string &name);

/// What becomes of a number afterwards, where only that counts: an activation function.
using Response = std::function<double(double)>;

/// The range of a histogram that is not empty. Mse takes the error of `response`, where given, in place of
/// that of the numbers themselves.
Range calibrated(const Histogram &h, Calibrator calibrator, const Response &response = {});

} // namespace planish::quant
