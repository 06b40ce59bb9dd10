// Winograd's minimal filtering F(m x m, 3 x 3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2015, arXiv:1509.09308): an m x m tile of the output is A^T [(G w G^T) * (B^T d B)] A, d its
// (m+2) x (m+2) tile of the input, w the 3 x 3 taps, * elementwise. Interpolation points are 0, 1, -1 (and
// 2, -2 for m = 4).
#pragma once

#include "planish/loop/IR.h"

#include <vector>

namespace planish::schedule {

/// B^T d for one column: m + 2 expressions to m + 2.
std::vector<loop::Expr> winogradInput(int64_t m, const std::vector<loop::Expr> &d);
/// A^T e for one column: m + 2 expressions to m.
std::vector<loop::Expr> winogradOutput(int64_t m, const std::vector<loop::Expr> &e);

/// Where the taps of a convolution lie: element strides from `offset`.
struct TapStrides {
  int64_t offset, row, tap, depth, column;  // row, tap: vertical and horizontal
};
/// u[r*(m+2) + s][depth][column] = (G w G^T)[r][s], in double and rounded once; columns beyond `columns` up
/// to `padded` are 0.
void winogradWeights(int64_t m, const TapStrides &at, int64_t depth, int64_t columns, int64_t padded,
                     const float *w, float *u);

} // namespace planish::schedule
