// Sorted selections, results whose size depends on data, updates at places that data name.
#include "Cases.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace planish::ops::test {

namespace {

using enum DType;

/// Positions of a row in order: larger (or smaller) first, equal ones as they stand.
std::vector<int64_t> sorted(const Numbers &x, int64_t row, bool largest) {
  std::vector<int64_t> p(size_t(x.shape[1]));
  std::iota(p.begin(), p.end(), 0);
  std::stable_sort(p.begin(), p.end(), [&](int64_t a, int64_t b) {
    return largest ? x.at({row, a}) > x.at({row, b}) : x.at({row, a}) < x.at({row, b});
  });
  return p;
}
Case topK(bool largest, int64_t count, int result) {
  Numbers x = random({2, 23}, -1, 1, 3);
  for (double &v : x.values) v = std::round(v * 4) / 4;  // with ties
  std::string attrs = "axis=1, count=[" + std::to_string(count) + "]" + (largest ? "" : ", largest=false");
  return {"top_k",
          attrs,
          {x},
          result ? i64 : f32,
          {2, count},
          [largest, result](const Inputs &t, const Index &at) {
            int64_t p = sorted(t[0], at[0], largest)[size_t(at[1])];
            return result ? double(p) : t[0].at({at[0], p});
          },
          1e-6,
          {resultOf(result ? f32 : i64, {2, count})},
          result};
}

Case nonZero() {
  return {"nonzero",
          "",
          {numbers(f32, {2, 3}, {0, 1, 0, -2, 0, 3})},
          i64,
          {2, 6},
          [](const Inputs &, const Index &at) {
            const double rows[] = {0, 1, 1}, columns[] = {1, 0, 2};
            return at[1] > 2 ? kAnything : at[0] ? columns[at[1]] : rows[at[1]];
          },
          1e-6,
          {resultOf(i64, {1})}};
}

/// Rows 0 2 4 and 1 are equal, row 3 is the smallest.
Case unique(bool isSorted, int result) {
  Numbers x = numbers(i32, {5, 2}, {3, 1, 3, 1, 2, 9, 0, 7, 2, 9});
  const std::vector<std::vector<double>> sortedOnes{{3, 2, 0}, {2, 2, 1, 0, 1}, {1, 2, 2}, {3}},
      inOrder{{0, 2, 3}, {0, 0, 1, 2, 1}, {2, 2, 1}, {3}};
  std::vector<double> want = (isSorted ? sortedOnes : inOrder)[size_t(result)];
  Inputs more;
  for (int k = 0; k < 4; ++k)
    if (k != result) more.push_back(resultOf(i64, {k == 3 ? 1 : 5}));
  return {"unique",
          isSorted ? "" : "sorted=false",
          {x},
          i64,
          {result == 3 ? 1 : 5},
          [want](const Inputs &, const Index &at) {
            return size_t(at[0]) < want.size() ? want[size_t(at[0])] : kAnything;
          },
          1e-6,
          more,
          result};
}

/// Box 1 lies on box 0, box 2 apart, box 3 has too low a score; the corners of box 2 are swapped.
Case nms(bool centers, int result) {
  std::vector<double> corners{0, 0, 2, 2, 0, 0.5, 2, 2.5, 9, 9, 5, 5, 0, 0, 1, 1};
  std::vector<double> middles{1, 1, 2, 2, 1.5, 1, 2, 2, 7, 7, 4, 4, 0.5, 0.5, 1, 1};
  Numbers boxes = numbers(f32, {1, 4, 4}, centers ? middles : corners);
  Inputs more{resultOf(i64, {1}), resultOf(i64, {4}), resultOf(i64, {2, 4}), resultOf(f32, {6, 16})};
  if (result == 1) more[0] = resultOf(i64, {8, 3});
  return {"non_max_suppression",
          centers ? "centers=true" : "",
          {boxes, numbers(f32, {1, 2, 4}, {0.8, 0.9, 0.5, 0.1, 0.3, 0.2, 0.3, 0.1}), numbers(i64, {}, {2}),
           numbers(f32, {}, {0.4}), numbers(f32, {1}, {0.15})},
          i64,
          result ? Index{1} : Index{8, 3},
          [result](const Inputs &, const Index &at) {
            const double rows[][3] = {{0, 0, 1}, {0, 0, 2}, {0, 1, 0}, {0, 1, 2}};
            if (result) return 4.0;
            return at[0] < 4 ? rows[at[0]][at[1]] : kAnything;
          },
          1e-6,
          more,
          result};
}

/// The last index is outside: it changes nothing.
Case scatterNd(const std::string &mode, std::function<double(double, double)> f) {
  return {
      "scatter_nd",
      "mode=" + mode,
      {random({3, 2, 2}, 1, 2, 1), numbers(i64, {4, 2}, {0, 1, -1, 0, 0, 1, 3, 0}), random({4, 2}, 1, 2, 2)},
      f32,
      {3, 2, 2},
      [f](const Inputs &t, const Index &at) {
        double r = t[0].at(at);
        for (int64_t k = 0; k < 4; ++k) {
          int64_t i = int64_t(t[1].at({k, 0}));
          if ((i < 0 ? i + 3 : i) == at[0] && t[1].at({k, 1}) == double(at[1])) r = f(r, t[2].at({k, at[2]}));
        }
        return r;
      }};
}

/// Blocks of 2 by 2 with stride 2, a border of one cut away.
Case fold() {
  return {"fold",
          "image=[3, 3], window=[2, 2], strides=[2, 2], dilations=[1, 1], pads_begin=[1, 1], pads_end=[0, 0]",
          {random({1, 8, 4}, -1, 1, 4)},
          f32,
          {1, 2, 3, 3},
          [](const Inputs &t, const Index &at) {
            int64_t y = at[2] + 1, x = at[3] + 1;
            return t[0].at({0, at[1] * 4 + (y % 2) * 2 + x % 2, (y / 2) * 2 + x / 2});
          }};
}

Case extend() {
  return {"extend", "shape=[3, 5]", {random({2, 4}, -1, 1, 7)},
          f32,      {3, 5},         [](const Inputs &t, const Index &at) { return t[0].at(at, 0); }};
}

/// One sample in the middle of each bin of a region of twice its size.
Case roiAlign(bool maximum) {
  return {"roi_align",
          std::string("size=[2, 2], scale=0.5, samples=1, half_pixel=false") +
              (maximum ? ", maximum=true" : ""),
          {random({1, 17, 5, 5}, 0, 1, 9), numbers(f32, {1, 4}, {1, 2, 7, 6}), numbers(i64, {1}, {0})},
          f32,
          {1, 17, 2, 2},
          [maximum](const Inputs &t, const Index &at) {
            double y = 1 + (double(at[2]) + 0.5) * (2.0 / 2), x = 0.5 + (double(at[3]) + 0.5) * (3.0 / 2);
            double sum = 0, largest = 0;
            for (int64_t r = 0; r < 2; ++r)
              for (int64_t c = 0; c < 2; ++c) {
                int64_t row = int64_t(y) + r, column = int64_t(x) + c;
                double part = (1 - std::abs(y - double(row))) * (1 - std::abs(x - double(column))) *
                              t[0].at({0, at[1], row, column});
                sum += part, largest = std::max(largest, part);
              }
            return maximum ? largest : sum;
          }};
}

Case affineGrid(bool corners) {
  return {"affine_grid",
          std::string("size=[2, 3]") + (corners ? ", align_corners=true" : ""),
          {random({1, 2, 3}, -1, 1, 3)},
          f32,
          {1, 2, 3, 2},
          [corners](const Inputs &t, const Index &at) {
            double y = corners ? -1 + 2.0 * double(at[1]) : (2 * double(at[1]) + 1) / 2 - 1;
            double x = corners ? -1 + double(at[2]) : (2 * double(at[2]) + 1) / 3 - 1;
            return t[0].at({0, at[3], 0}) * x + t[0].at({0, at[3], 1}) * y + t[0].at({0, at[3], 2});
          }};
}

Case windowFind() {
  return {"window_find",
          "window=[2, 2], strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]",
          {numbers(f32, {1, 1, 2, 3}, {1, 5, 5, 2, 3, 4}), numbers(f32, {1, 1, 1, 2}, {5, 5})},
          i64,
          {1, 1, 1, 2},
          [](const Inputs &, const Index &) { return 1.0; }};
}

/// The first column has its largest element last, so rows must change places.
Case det() {
  return {"det",
          "",
          {numbers(f32, {2, 3, 3}, {0, 2, 1, 1, 1, 0, 2, 0, 3, 1, 2, 3, 2, 4, 6, 1, 0, 1})},
          f32,
          {2},
          [](const Inputs &, const Index &at) { return at[0] ? 0.0 : -8.0; },
          1e-5,
          {resultOf(f32, {3, 3})}};
}

/// Offsets of half a pixel down, one mask for all taps; a window of 1 by 2.
Case deformSample() {
  Numbers offsets{f32, {1, 4, 3, 2}, std::vector<double>(24, 0)};
  for (size_t k = 0; k < 24; ++k) offsets.values[k] = (k / 6) % 2 == 0 ? 0.5 : 0;
  Numbers mask{f32, {1, 2, 3, 2}, std::vector<double>(12, 0.5)};
  return {"deform_sample",
          "kernel=[1, 2], strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]",
          {random({1, 2, 3, 3}, -1, 1, 1), offsets, mask},
          f32,
          {1, 4, 3, 2},
          [](const Inputs &t, const Index &at) {
            int64_t k = at[1] / 2, c = at[1] % 2;
            double above = t[0].at({0, c, at[2], at[3] + k}),
                   below = t[0].at({0, c, at[2] + 1, at[3] + k}, 0);
            return 0.5 * (above + below) / 2;
          }};
}

} // namespace

std::vector<Case> selectionCases() {
  std::vector<Case> r;
  for (bool largest : {true, false})
    for (int64_t count : {0, 1, 7, 23})
      for (int result : {0, 1}) r.push_back(topK(largest, count, result));
  r.push_back(nonZero());
  for (bool isSorted : {true, false})
    for (int result = 0; result < 4; ++result) r.push_back(unique(isSorted, result));
  for (bool centers : {true, false})
    for (int result : {0, 1}) r.push_back(nms(centers, result));
  r.push_back(scatterNd("none", [](double, double update) { return update; }));
  r.push_back(scatterNd("add", [](double a, double b) { return a + b; }));
  r.push_back(scatterNd("max", [](double a, double b) { return std::max(a, b); }));
  for (Case c : {fold(), extend(), roiAlign(false), roiAlign(true), affineGrid(false), affineGrid(true),
                 windowFind(), det(), deformSample()})
    r.push_back(c);
  return r;
}

} // namespace planish::ops::test
