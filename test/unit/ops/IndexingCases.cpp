#include "Cases.h"

#include <algorithm>
#include <cmath>

namespace planish::ops::test {

namespace {

int64_t reflected(int64_t i, int64_t n) {
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return i;
}

Case pad(std::string mode, std::function<int64_t(int64_t, int64_t)> source) {
  return {"pad",
          "begin=[1, 0, 2], end=[0, 1, 2], mode=" + mode + ", value=7.5",
          {random({3, 3, 4}, -1, 1, 6)},
          DType::f32,
          {4, 4, 8},
          [source](const Inputs &t, const Index &at) {
            Index from{at[0] - 1, at[1], at[2] - 2};
            if (source)
              for (size_t d = 0; d < 3; ++d) from[d] = source(from[d], t[0].shape[d]);
            return t[0].at(from, 7.5);
          }};
}

/// One-dimensional resampling by weights of an input row; the operator under test is separable.
double sampled(const Inputs &t, const Index &at,
               std::function<std::vector<std::pair<int64_t, double>>(size_t, int64_t)> taps) {
  double sum = 0;
  for (auto [y, wy] : taps(2, at[2]))
    for (auto [x, wx] : taps(3, at[3])) sum += wy * wx * t[0].at({at[0], at[1], y, x});
  return sum;
}
Case resize(const std::string &attrs, Index out,
            std::function<std::vector<std::pair<int64_t, double>>(size_t, int64_t)> taps) {
  return {"resize",   attrs, {random({1, 2, 4, 5}, -1, 1, 8)},
          DType::f32, out,   [taps](const Inputs &t, const Index &at) { return sampled(t, at, taps); }};
}

Case halfPixelLinear() {
  Index out{1, 2, 7, 3}, in{1, 2, 4, 5};
  return resize("sizes=[1, 2, 7, 3], scales=[1.0, 1.0, 0.0, 0.0], mode=linear, coordinates=half_pixel", out,
                [=](size_t d, int64_t o) {
                  double scale = double(out[d]) / double(in[d]);
                  double x = std::clamp((double(o) + 0.5) / scale - 0.5, 0.0, double(in[d] - 1));
                  int64_t low = int64_t(x), high = std::min(low + 1, in[d] - 1);
                  return std::vector<std::pair<int64_t, double>>{{low, 1 - (x - double(low))},
                                                                 {high, x - double(low)}};
                });
}
Case alignedCubic() {
  Index out{1, 2, 7, 9}, in{1, 2, 4, 5};
  return resize(
      "sizes=[1, 2, 7, 9], scales=[1.0, 1.0, 0.0, 0.0], mode=cubic, coordinates=align_corners, cubic_a=-0.5",
      out, [=](size_t d, int64_t o) {
        double x = double(o) * double(in[d] - 1) / double(out[d] - 1), A = -0.5;
        std::vector<std::pair<int64_t, double>> r;
        for (int64_t k = int64_t(std::floor(x)) - 1, n = 0; n < 4; ++k, ++n) {
          double t = std::abs(x - double(k));
          double w = t <= 1  ? ((A + 2) * t - (A + 3)) * t * t + 1
                     : t < 2 ? (((t - 5) * t + 8) * t - 4) * A
                             : 0;
          r.push_back({std::clamp<int64_t>(k, 0, in[d] - 1), w});
        }
        return r;
      });
}
Case nearest(const std::string &attrs, Index out, std::function<int64_t(size_t, int64_t)> source) {
  return resize(attrs, out, [source](size_t d, int64_t o) {
    return std::vector<std::pair<int64_t, double>>{{source(d, o), 1.0}};
  });
}

Case scatter(const std::string &mode, std::function<double(double, double)> f) {
  Numbers data = random({3, 4}, 1, 2, 1), updates = random({2, 4}, 1, 2, 2);
  Numbers indices = numbers(DType::i64, {2, 4}, {0, 2, 2, -1, 0, 1, 2, 1});
  return {"scatter_elements",
          "axis=0, mode=" + mode,
          {data, indices, updates},
          DType::f32,
          {3, 4},
          [f](const Inputs &t, const Index &at) {
            double r = t[0].at(at);
            for (int64_t k = 0; k < 2; ++k) {
              int64_t row = int64_t(t[1].at({k, at[1]}));
              if ((row < 0 ? row + 3 : row) == at[0]) r = f(r, t[2].at({k, at[1]}));
            }
            return r;
          }};
}

/// Zeros outside, half-pixel centres: what a grid of (x, y) in [-1, 1] samples.
Case gridSample() {
  return {"grid_sample",
          "mode=linear",
          {random({1, 2, 3, 4}, -1, 1, 1), random({1, 2, 5, 2}, -1.3, 1.3, 2)},
          DType::f32,
          {1, 2, 2, 5},
          [](const Inputs &t, const Index &at) {
            double x = ((t[1].at({0, at[2], at[3], 0}) + 1) * 4 - 1) / 2,
                   y = ((t[1].at({0, at[2], at[3], 1}) + 1) * 3 - 1) / 2;
            double sum = 0;
            for (int64_t row = int64_t(std::floor(y)), r = 0; r < 2; ++r)
              for (int64_t column = int64_t(std::floor(x)), c = 0; c < 2; ++c)
                sum += (1 - std::abs(y - double(row + r))) * (1 - std::abs(x - double(column + c))) *
                       t[0].at({0, at[1], row + r, column + c}, 0);
            return sum;
          }};
}

/// A cubic curve through one row: places beyond the border lie on it, only the elements that it reads are
/// those of the border (PyTorch's grid_sample, which the operator is modelled on).
Case cubicGridSample() {
  return {"grid_sample",
          "mode=cubic, outside=border",
          {random({1, 1, 1, 4}, -1, 1, 3), random({1, 1, 9, 2}, -1.6, 1.6, 4)},
          DType::f32,
          {1, 1, 1, 9},
          [](const Inputs &t, const Index &at) {
            constexpr double kCurve = -0.75;
            double x = ((t[1].at({0, 0, at[3], 0}) + 1) * 4 - 1) / 2, low = std::floor(x), sum = 0;
            for (int64_t k = -1; k <= 2; ++k) {
              double d = std::abs(x - low - double(k)), far = ((d - 5) * d + 8) * d - 4;
              double weight = d <= 1 ? ((kCurve + 2) * d - (kCurve + 3)) * d * d + 1 : kCurve * far;
              sum += weight * t[0].at({0, 0, 0, std::clamp<int64_t>(int64_t(low) + k, 0, 3)});
            }
            return sum;
          }};
}
} // namespace

std::vector<Case> indexingCases() {
  using enum DType;
  Numbers x = random({3, 4}, -1, 1, 5);
  return {
      {"gather",
       "axis=1",
       {x, numbers(i64, {2, 2}, {3, -1, 0, -4})},
       f32,
       {3, 2, 2},
       [](const Inputs &t, const Index &at) {
         int64_t k = int64_t(t[1].at({at[1], at[2]}));
         return t[0].at({at[0], k < 0 ? k + 4 : k});
       }},
      {"gather",
       "axis=0",
       {x, numbers(i32, {}, {2})},
       f32,
       {4},
       [](const Inputs &t, const Index &at) { return t[0].at({2, at[0]}); }},
      {"gather_elements",
       "axis=1",
       {x, numbers(i64, {3, 2}, {0, 3, -1, 1, 2, 2})},
       f32,
       {3, 2},
       [](const Inputs &t, const Index &at) {
         int64_t k = int64_t(t[1].at(at));
         return t[0].at({at[0], k < 0 ? k + 4 : k});
       }},
      {"gather_nd",
       "axis=0",
       {random({2, 3, 4}, -1, 1, 5), numbers(i64, {2, 2}, {1, 2, 0, -1})},
       f32,
       {2, 4},
       [](const Inputs &t, const Index &at) { return t[0].at({at[0] ? 0 : 1, 2, at[1]}); }},
      pad("constant", {}),
      pad("edge", [](int64_t i, int64_t n) { return std::clamp<int64_t>(i, 0, n - 1); }),
      pad("reflect", reflected),
      pad("wrap", [](int64_t i, int64_t n) { return (i % n + n) % n; }),
      {"triangle",
       "diagonal=1",
       {x},
       f32,
       {3, 4},
       [](const Inputs &t, const Index &at) { return at[1] >= at[0] + 1 ? t[0].at(at) : 0; }},
      {"triangle",
       "diagonal=-1, upper=false",
       {x},
       f32,
       {3, 4},
       [](const Inputs &t, const Index &at) { return at[1] <= at[0] - 1 ? t[0].at(at) : 0; }},
      {"one_hot",
       "axis=1, depth=[3]",
       {numbers(i64, {2}, {-1, 1}), numbers(f32, {2}, {-2, 5})},
       f32,
       {2, 3},
       [](const Inputs &, const Index &at) { return at[1] == (at[0] ? 1 : 2) ? 5.0 : -2.0; }},
      {"reverse_sequence",
       "axis=1, batch=0",
       {x, numbers(i64, {3}, {1, 3, 9})}, // a length beyond the axis counts as all of it
       f32,
       {3, 4},
       [](const Inputs &t, const Index &at) {
         int64_t n = std::min<int64_t>(4, int64_t(t[1].at({at[0]})));
         return t[0].at({at[0], at[1] < n ? n - 1 - at[1] : at[1]});
       }},
      scatter("none", [](double, double update) { return update; }),
      scatter("add", [](double a, double b) { return a + b; }),
      scatter("mul", [](double a, double b) { return a * b; }),
      scatter("max", [](double a, double b) { return std::max(a, b); }),
      scatter("min", [](double a, double b) { return std::min(a, b); }),
      gridSample(),
      cubicGridSample(),
      halfPixelLinear(),
      alignedCubic(),
      nearest("sizes=[1, 2, 8, 10], scales=[1.0, 1.0, 2.0, 2.0], mode=nearest, coordinates=asymmetric, "
              "rounding=floor",
              {1, 2, 8, 10}, [](size_t, int64_t o) { return o / 2; }),
      nearest("sizes=[1, 2, 8, 15], scales=[1.0, 1.0, 0.0, 0.0], mode=nearest", {1, 2, 8, 15},
              [](size_t d, int64_t o) { return o / (d == 2 ? 2 : 3); }),
      nearest(
          "sizes=[1, 2, 3, 3], scales=[1.0, 1.0, 0.0, 0.0], mode=nearest, coordinates=align_corners, "
          "rounding=round_prefer_ceil",
          {1, 2, 3, 3},
          [](size_t d, int64_t o) { return int64_t(std::floor(double(o) * (d == 2 ? 1.5 : 2.0) + 0.5)); }),
  };
}

} // namespace planish::ops::test
