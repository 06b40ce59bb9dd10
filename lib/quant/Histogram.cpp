#include "planish/quant/Histogram.h"

#include <algorithm>
#include <cmath>

namespace planish::quant {

namespace {

/// Narrower bins would count numbers that are zero for every purpose.
constexpr int kLeastPower = -60;

int64_t binOf(double x, int power) { return int64_t(std::floor(std::ldexp(x, -power))); }

/// Zero has a bin among them, or would have, so that bins are no finer than what codes can tell.
bool fits(double least, double most, int power) {
  double from = std::min(least, 0.0), to = std::max(most, 0.0);
  return std::ldexp(to, -power) - std::ldexp(from, -power) < double(Histogram::kMostBins) - 1;
}

} // namespace

Histogram::Histogram(double least, double most, int exponent, int64_t first, std::vector<uint64_t> counts)
    : low(least), high(most), power(exponent), begin(first), counts(std::move(counts)) {}

double Histogram::width() const { return std::ldexp(1.0, power); }

double Histogram::middle(size_t bin) const {
  int64_t at = begin + int64_t(bin);
  return at == 0 ? 0 : std::clamp((double(at) + 0.5) * width(), low, high);
}

/// Makes bins for all numbers between the two.
void Histogram::cover(double least, double most) {
  if (empty()) {
    low = least, high = most;
    for (power = kLeastPower; !fits(low, high, power);) ++power;
    begin = binOf(low, power);
    counts.assign(size_t(binOf(high, power) - begin) + 1, 0);
    return;
  }
  if (least >= low && most <= high) return;
  low = std::min(low, least), high = std::max(high, most);
  int wanted = power;
  while (!fits(low, high, wanted)) ++wanted;
  int64_t from = binOf(low, wanted), to = binOf(high, wanted);
  std::vector<uint64_t> wider(size_t(to - from) + 1, 0);
  for (size_t i = 0; i < counts.size(); ++i)
    wider[size_t(((begin + int64_t(i)) >> (wanted - power)) - from)] += counts[i];
  power = wanted, begin = from, counts = std::move(wider);
}

void Histogram::add(std::span<const float> numbers) {
  float least = INFINITY, most = -INFINITY;
  for (float x : numbers) {
    if (!std::isfinite(x)) continue;
    least = std::min(least, x), most = std::max(most, x);
  }
  if (!(least <= most)) {
    strange += numbers.size();
    return;
  }
  cover(double(least), double(most));
  double perBin = std::ldexp(1.0, -power);
  for (float x : numbers) {
    if (std::isfinite(x)) {
      ++counts[size_t(int64_t(std::floor(double(x) * perBin)) - begin)];
    } else {
      ++strange;
    }
  }
}

double Coding::nearest(double real) const {
  double code = std::clamp(std::nearbyint(real / scale) + zero, 0.0, 255.0);
  return (code - zero) * scale;
}

Coding codingOf(Range range) {
  double least = std::min(range.least, 0.0), most = std::max(range.most, 0.0);
  if (!(most > least)) return {};
  Coding r;
  r.scale = double(float((most - least) / 255));
  r.zero = int32_t(std::clamp(std::nearbyint(-least / r.scale), 0.0, 255.0));
  return r;
}

} // namespace planish::quant
