#include "Winograd.h"

#include "planish/support/Check.h"

#include <algorithm>
#include <array>

namespace planish::schedule {

using namespace loop;

namespace {

/// factor * x + y
Expr scaled(double factor, const Expr &x, const Expr &y) {
  return call(Intrinsic::Fma, {fimm(factor), x, y});
}

using Row = std::array<double, 3>;

/// G, one row per point of interpolation.
const std::vector<Row> &tapMatrix(int64_t m) {
  static const std::vector<Row> kTwo{{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
  static const std::vector<Row> kFour{{1 / 4., 0, 0},
                                      {-1 / 6., -1 / 6., -1 / 6.},
                                      {-1 / 6., 1 / 6., -1 / 6.},
                                      {1 / 24., 1 / 12., 1 / 6.},
                                      {1 / 24., -1 / 12., 1 / 6.},
                                      {0, 0, 1}};
  PLANISH_CHECK(m == 2 || m == 4, "no such Winograd tile");
  return m == 2 ? kTwo : kFour;
}

} // namespace

std::vector<Expr> winogradInput(int64_t m, const std::vector<Expr> &d) {
  if (m == 2) return {d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]};
  Expr even = scaled(-4, d[2], d[4]), odd = scaled(-4, d[1], d[3]);  // of the points 1 and -1
  Expr even2 = d[4] - d[2], odd2 = d[3] - d[1];                      // of 2 and -2
  return {scaled(4, d[0], scaled(-5, d[2], d[4])),
          even + odd,
          even - odd,
          scaled(2, odd2, even2),
          scaled(-2, odd2, even2),
          scaled(4, d[1], scaled(-5, d[3], d[5]))};
}

std::vector<Expr> winogradOutput(int64_t m, const std::vector<Expr> &e) {
  Expr even = e[1] + e[2], odd = e[1] - e[2];
  if (m == 2) return {e[0] + even, odd - e[3]};
  Expr even2 = e[3] + e[4], odd2 = e[3] - e[4];
  return {e[0] + even + even2, scaled(2, odd2, odd), scaled(4, even2, even), scaled(8, odd2, odd) + e[5]};
}

void winogradWeights(int64_t m, const TapStrides &at, int64_t depth, int64_t columns, int64_t padded,
                     const float *w, float *u) {
  const std::vector<Row> &g = tapMatrix(m);
  size_t points = g.size();
  std::vector<float *> to(points * points);
  for (int64_t d = 0; d < depth; ++d) {
    for (size_t p = 0; p < to.size(); ++p) to[p] = u + (int64_t(p) * depth + d) * padded;
    for (int64_t c = 0; c < columns; ++c) {
      const float *taps = w + at.offset + d * at.depth + c * at.column;
      double half[6][3];  // G w
      for (size_t r = 0; r < points; ++r)
        for (int64_t s = 0; s < 3; ++s) {
          const float *column = taps + s * at.tap;
          half[r][s] = g[r][0] * double(column[0]) + g[r][1] * double(column[at.row]) +
                       g[r][2] * double(column[2 * at.row]);
        }
      for (size_t r = 0; r < points; ++r)
        for (size_t s = 0; s < points; ++s)
          to[r * points + s][c] = float(half[r][0] * g[s][0] + half[r][1] * g[s][1] + half[r][2] * g[s][2]);
    }
    for (float *row : to) std::fill(row + columns, row + padded, 0.0f);
  }
}

} // namespace planish::schedule
