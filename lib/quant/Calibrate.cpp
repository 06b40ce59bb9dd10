// From a histogram to the range of codes.
#include "planish/quant/Histogram.h"

#include "planish/support/Text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace planish::quant {

namespace {

constexpr int kLevels = 256;
/// Of the numbers, that a percentile range leaves out on one side.
constexpr double kLeftOut = 0.5e-4;
/// Candidates for one end of a range.
constexpr int kEnds = 48;

Range withZero(double least, double most) { return {std::min(least, 0.0), std::max(most, 0.0)}; }

Range percentile(const Histogram &h) {
  auto bins = h.bins();
  double total = double(std::accumulate(bins.begin(), bins.end(), uint64_t(0)));
  size_t from = 0, to = bins.size() - 1;
  for (double left = kLeftOut * total - double(bins[from]); left >= 0 && from < to;)
    left -= double(bins[++from]);
  for (double left = kLeftOut * total - double(bins[to]); left >= 0 && to > from;) left -= double(bins[--to]);
  double width = h.width();
  return withZero(std::max(h.least(), double(h.first() + int64_t(from)) * width),
                  std::min(h.most(), double(h.first() + int64_t(to) + 1) * width));
}

/// What an entropy range is chosen by: how often each bin was met. Zero has a code of its own, so that it is
/// met often says nothing of how fine the codes must be: its bin counts as those beside it do.
std::vector<double> countsBesideZero(const Histogram &h) {
  std::vector<double> r(h.bins().begin(), h.bins().end());
  int64_t zero = -h.first();
  if (zero < 0 || zero >= int64_t(r.size()) || r.size() < 3) return r;
  size_t at = size_t(zero);
  double left = at > 0 ? r[at - 1] : r[at + 1], right = at + 1 < r.size() ? r[at + 1] : left;
  r[at] = std::min(r[at], (left + right) / 2);
  return r;
}

/// Kullback-Leibler divergence of the numbers, those outside of the bins [from, to) moved to the ends, from
/// what is left of them where every code spreads its count over the bins that are not empty. Counts of few
/// numbers differ from bin to bin by chance alone; what that adds on average is taken off: half a number for
/// each bin that shares a code with another (Miller, "Note on the bias of information estimates", 1955).
double divergence(std::span<const double> bins, size_t from, size_t to) {
  std::vector<double> inside(bins.begin() + long(from), bins.begin() + long(to)), wanted = inside;
  wanted.front() += std::accumulate(bins.begin(), bins.begin() + long(from), 0.0);
  wanted.back() += std::accumulate(bins.begin() + long(to), bins.end(), 0.0);
  size_t n = wanted.size();
  double total = std::accumulate(wanted.begin(), wanted.end(), 0.0);
  double kept = std::accumulate(inside.begin(), inside.end(), 0.0);
  if (kept == 0) return INFINITY;
  double r = 0;
  for (size_t level = 0; level < kLevels; ++level) {
    size_t begin = level * n / kLevels, end = (level + 1) * n / kLevels;
    double sum = 0, filled = 0;
    for (size_t i = begin; i < end; ++i) sum += inside[i], filled += wanted[i] > 0;
    for (size_t i = begin; i < end; ++i) {
      if (wanted[i] == 0) continue;
      // What a code never gives although it is there weighs as much as a number seen half a time.
      double p = wanted[i] / total, q = std::max(sum / filled, 0.5) / kept;
      r += p * std::log(p / q);
    }
    r -= std::max(filled - 1, 0.0) / (2 * total);
  }
  return r;
}

/// TensorRT's calibration: of all places to clip at, the one that changes the distribution the least; the
/// outermost of equals.
Range entropy(const Histogram &h) {
  std::vector<double> bins = countsBesideZero(h);
  if (bins.size() <= kLevels) return withZero(h.least(), h.most());
  // Both ends come in at once, in steps, as far as they lie beyond the other's distance from zero.
  int64_t first = h.first(), last = first + int64_t(bins.size()),
          reach = std::max(std::abs(first), std::abs(last));
  double best = INFINITY;
  std::pair<int64_t, int64_t> chosen{first, last};
  int64_t step = std::max<int64_t>(1, reach / 512);
  for (int64_t distance = reach; distance > 0; distance -= step) {
    int64_t from = std::max(first, -distance), to = std::min(last, distance);
    if (to - from < kLevels) break;
    double d = divergence(bins, size_t(from - first), size_t(to - first));
    if (d < best) best = d, chosen = {from, to};
  }
  double width = h.width();
  return withZero(std::max(h.least(), double(chosen.first) * width),
                  std::min(h.most(), double(chosen.second) * width));
}

/// The numbers that were seen, with what counts of them.
struct Seen {
  std::vector<double> number, wanted, weight;
};

double squaredError(const Seen &seen, const Response &response, Range range) {
  Coding coding = codingOf(range);
  std::array<double, kLevels> values{};
  for (int32_t code = 0; code < kLevels; ++code) {
    double real = (code - coding.zero) * coding.scale;
    values[size_t(code)] = response ? response(real) : real;
  }
  double r = 0;
  for (size_t i = 0; i < seen.number.size(); ++i) {
    double code = std::clamp(std::nearbyint(seen.number[i] / coding.scale) + coding.zero, 0.0, 255.0);
    double error = values[size_t(code)] - seen.wanted[i];
    r += seen.weight[i] * error * error;
  }
  return r;
}

/// Moves the ends of the range in turns to where the error is least, twice.
Range leastError(const Histogram &h, const Response &response) {
  Seen seen;
  for (size_t i = 0; i < h.bins().size(); ++i) {
    if (!h.bins()[i]) continue;
    double x = h.middle(i);
    seen.number.push_back(x), seen.weight.push_back(double(h.bins()[i]));
    seen.wanted.push_back(response ? response(x) : x);
  }
  Range whole = withZero(h.least(), h.most()), best = whole;
  double least = squaredError(seen, response, best);
  auto consider = [&](Range r) {
    if (!(r.most > r.least)) return;
    double error = squaredError(seen, response, r);
    if (error < least) least = error, best = r;
  };
  // An end that is not moved yet hides what the other one brings, so at first they move together.
  for (int i = 1; i < kEnds; ++i) consider({whole.least * i / kEnds, whole.most * i / kEnds});
  for (int round = 0; round < 2; ++round) {
    Range from = best;
    for (int i = 0; i <= kEnds; ++i) consider({from.least, whole.most * i / kEnds});
    from = best;
    for (int i = 0; i <= kEnds; ++i) consider({whole.least * i / kEnds, from.most});
  }
  return best;
}

constexpr std::array<CalibratorRow, 4> kCalibrators{{
    {Calibrator::MinMax, "minmax", "all that was seen"},
    {Calibrator::Percentile, "percentile", "all but 1 of 10,000 numbers, half of them on either side"},
    {Calibrator::Entropy, "entropy", "least divergence of the distributions before and after"},
    {Calibrator::Mse, "mse", "least mean of squared errors"},
}};

} // namespace

std::span<const CalibratorRow> calibrators() { return kCalibrators; }

Result<Calibrator> calibratorNamed(const std::string &name) {
  auto row = std::ranges::find(kCalibrators, name, &CalibratorRow::name);
  if (row != kCalibrators.end()) return row->calibrator;
  return usage("there is no calibrator '" + name + "'; it is one of " +
               joined(kCalibrators, [](const CalibratorRow &r) { return std::string(r.name); }));
}

Range calibrated(const Histogram &h, Calibrator calibrator, const Response &response) {
  switch (calibrator) {
  case Calibrator::MinMax: break;
  case Calibrator::Percentile: return percentile(h);
  case Calibrator::Entropy: return entropy(h);
  case Calibrator::Mse: return leastError(h, response);
  }
  return withZero(h.least(), h.most());
}

} // namespace planish::quant
