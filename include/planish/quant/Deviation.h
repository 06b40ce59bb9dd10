// How far the values of a quantized layer are from their reference, and how they use its codes.
#pragma once

#include "planish/quant/Histogram.h"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace planish::quant {

/// How a tensor's elements, in logical order, belong to channels: element i to i / inner % count.
struct Channels {
  int64_t count = 1, inner = 1;
};

/// Values next to their reference, over any number of samples. Figures of channels count alike: a channel of
/// small numbers is worth as much as one of large numbers, since the layers after it may scale them.
class Deviation {
public:
  explicit Deviation(Channels channels = {});
  /// Equally many of both, whole channels.
  void add(std::span<const float> reference, std::span<const float> got);

  int64_t count() const { return elements; }
  /// Mean squares of the reference, and of the difference, over all or of one channel.
  double signal() const;
  double noise() const;
  double signal(size_t channel) const;
  double noise(size_t channel) const;
  size_t channels() const { return sums.size(); }
  /// Signal to noise in dB, between -kMostDecibels and kMostDecibels.
  double sqnr() const;
  /// Of the angle between the two as vectors; 1 where both are 0.
  double cosine() const;
  /// Noise relative to signal, the mean of the channels', each at most 1: between 0 and 1.
  double relativeNoise() const;
  /// The same if every channel had the noise that `noiseOf(channel)` says.
  template <class F> double relativeNoise(F noiseOf) const {
    double sum = 0;
    for (size_t c = 0; c < sums.size(); ++c) sum += relative(c, noiseOf(c));
    return sums.empty() ? 0 : sum / double(sums.size());
  }

  static constexpr double kMostDecibels = 120;

private:
  struct Sums {
    double reference = 0, difference = 0;
  };
  double relative(size_t channel, double noise) const;
  double perChannel() const { return double(elements) / double(sums.size()); }

  Channels layout;
  std::vector<Sums> sums; // of squares, by channel
  double product = 0, square = 0; // reference * got, got * got
  int64_t elements = 0;
};

/// A ratio of powers in dB, within Deviation::kMostDecibels.
double decibels(double signal, double noise);

/// Mean square error of rounding to the 256 codes over a range, of values that spread over the steps between.
double roundingNoise(Range range);
/// Mean square error of clamping what a histogram counted to a range.
double clippingNoise(const Histogram &h, Range range);
/// The share of what a histogram counted that lies outside of a range.
double outside(const Histogram &h, Range range);

/// The range of what a histogram counted without the outermost numbers, a share of all on either side; with
/// zero in it.
Range withoutOutermost(const Histogram &h, double share);

/// How often each code of a coding is used.
class CodeUse {
public:
  explicit CodeUse(Coding coding = {}) : coding(coding) {}
  /// Counts the codes of real values, and gives what those stand for by the scale `decoded`.
  std::vector<float> add(std::span<const float> values, double decoded);

  /// The share of values beyond the first and the last code, by more than half a step.
  double below() const { return share(under); }
  double above() const { return share(over); }
  /// How many of the 256 codes are used.
  int used() const;

private:
  double share(int64_t n) const { return elements ? double(n) / double(elements) : 0; }

  Coding coding;
  std::array<int64_t, 256> counts{};
  int64_t under = 0, over = 0, elements = 0;
};

} // namespace planish::quant
