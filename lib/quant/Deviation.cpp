#include "planish/quant/Deviation.h"

#include "planish/support/Check.h"

#include <algorithm>
#include <cmath>

namespace planish::quant {

namespace {

/// A channel with less than this share of the mean signal counts as having that share.
constexpr double kLeastShare = 1e-6;

} // namespace

double roundingNoise(Range range) {
  double step = (range.most - range.least) / 255;
  return step * step / 12;
}

double decibels(double signal, double noise) {
  constexpr double kMost = Deviation::kMostDecibels;
  if (!(noise > 0)) return kMost;
  if (!(signal > 0) || !std::isfinite(noise)) return -kMost;
  return std::clamp(10 * std::log10(signal / noise), -kMost, kMost);
}

// ---- Deviation
// -------------------------------------------------------------------------------------------------

Deviation::Deviation(Channels channels) : layout(channels), sums(size_t(channels.count)) {}

void Deviation::add(std::span<const float> reference, std::span<const float> got) {
  PLANISH_CHECK(reference.size() == got.size(), "values of another size than their reference's");
  elements += int64_t(reference.size());
  size_t inner = size_t(layout.inner), channel = 0;
  for (size_t at = 0; at < reference.size(); at += inner, channel = (channel + 1) % sums.size()) {
    double r2 = 0, d2 = 0, rg = 0, g2 = 0;
    for (size_t i = at; i < std::min(at + inner, reference.size()); ++i) {
      double r = double(reference[i]), g = double(got[i]), d = g - r;
      r2 += r * r, d2 += d * d, rg += r * g, g2 += g * g;
    }
    sums[channel].reference += r2;
    sums[channel].difference += std::isfinite(d2) ? d2 : INFINITY;
    product += rg, square += g2;
  }
}

double Deviation::signal() const {
  double sum = 0;
  for (const Sums &s : sums) sum += s.reference;
  return elements ? sum / double(elements) : 0;
}
double Deviation::noise() const {
  double sum = 0;
  for (const Sums &s : sums) sum += s.difference;
  return elements ? sum / double(elements) : 0;
}
double Deviation::signal(size_t channel) const {
  return elements ? sums[channel].reference / perChannel() : 0;
}
double Deviation::noise(size_t channel) const {
  return elements ? sums[channel].difference / perChannel() : 0;
}

double Deviation::sqnr() const { return decibels(signal(), noise()); }

double Deviation::cosine() const {
  double reference = signal() * double(elements);
  if (!(reference > 0) && !(square > 0)) return 1;
  double r = product / std::sqrt(reference * square);
  return std::isfinite(r) ? std::clamp(r, -1.0, 1.0) : 0;
}

double Deviation::relative(size_t channel, double noise) const {
  if (!(noise > 0)) return 0;
  double against = std::max(signal(channel), kLeastShare * signal());
  return against > 0 ? std::min(1.0, noise / against) : 1;
}
double Deviation::relativeNoise() const {
  return relativeNoise([&](size_t c) { return noise(c); });
}

// ---- histograms
// ------------------------------------------------------------------------------------------------

namespace {

/// The sum of f(number, count) over what lies outside of a range, by the bins' middles and the outermost
/// numbers.
template <class F> double sumOutside(const Histogram &h, Range range, F f) {
  double sum = 0;
  for (size_t i = 0; i < h.bins().size(); ++i) {
    double number = std::clamp(h.middle(i), h.least(), h.most());
    if (number < range.least || number > range.most) sum += f(number) * double(h.bins()[i]);
  }
  return sum;
}
double total(const Histogram &h) {
  double n = 0;
  for (uint64_t count : h.bins()) n += double(count);
  return std::max(n, 1.0);
}

} // namespace

double clippingNoise(const Histogram &h, Range range) {
  auto squared = [&](double v) {
    double d = v - std::clamp(v, range.least, range.most);
    return d * d;
  };
  return sumOutside(h, range, squared) / total(h);
}
double outside(const Histogram &h, Range range) {
  return sumOutside(h, range, [](double) { return 1.0; }) / total(h);
}

Range withoutOutermost(const Histogram &h, double share) {
  if (h.empty()) return {};
  auto bins = h.bins();
  double left = share * total(h);
  size_t from = 0, to = bins.size() - 1;
  for (double n = double(bins[from]); n <= left && from < to;) n += double(bins[++from]);
  for (double n = double(bins[to]); n <= left && to > from;) n += double(bins[--to]);
  return {std::min(0.0, std::max(h.least(), double(h.first() + int64_t(from)) * h.width())),
          std::max(0.0, std::min(h.most(), double(h.first() + int64_t(to) + 1) * h.width()))};
}

// ---- CodeUse
// ---------------------------------------------------------------------------------------------------

std::vector<float> CodeUse::add(std::span<const float> values, double decoded) {
  std::vector<float> r;
  r.reserve(values.size());
  elements += int64_t(values.size());
  auto scale = float(coding.scale), back = float(decoded);
  for (float v : values) {
    float code = std::nearbyintf(v / scale) + float(coding.zero);
    under += code < 0;
    over += code > 255;
    float kept = code >= 0 ? std::min(code, 255.0f) : 0.0f;
    ++counts[size_t(kept)];
    r.push_back((kept - float(coding.zero)) * back);
  }
  return r;
}

int CodeUse::used() const {
  return int(std::ranges::count_if(counts, [](int64_t n) { return n > 0; }));
}

} // namespace planish::quant
