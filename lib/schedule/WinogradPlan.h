// How Winograd's transform may do a computation: the roles of its axes, the division of the work, and what
// that costs by a model of the caches.
#pragma once

#include "planish/schedule/Template.h"

#include <optional>

namespace planish::schedule::winograd {

constexpr int64_t kTaps = 3;

/// One of the two directions in which the taps lie.
struct Direction {
  Axis row, tap;
  size_t dim = 0; // of the image
  int64_t pad = 0, in = 0, out = 0, dilation = 1;
  /// From the first of `count` rows of a tile to behind the last.
  int64_t span(int64_t count) const { return (count - 1) * dilation + 1; }
  int64_t tiles(int64_t m) const {
    int64_t each = (out + dilation - 1) / dilation;
    return std::min(dilation, out) * ((each + m - 1) / m);
  }
  /// The first row of a tile: those of one remainder by the dilation follow those of the one before.
  loop::Expr first(const loop::Expr &tile, int64_t m) const {
    if (dilation == 1) return tile * m;
    int64_t each = tiles(m) / std::min(dilation, out);
    return floorDiv(tile, loop::imm(each)) + floorMod(tile, loop::imm(each)) * (m * dilation);
  }
};

/// The roles of a computation that matches.
struct Form {
  loop::Expr image, weights;
  Direction y, x;
  Axis column, depth, batch; // batch may be absent
  int64_t columns = 1, depths = 1, batches = 1;
};

/// The division of the work: a task does one block of tiles for one part of the columns.
struct Plan {
  int64_t m, points; // points: (m+2)^2
  int64_t tilesY, tilesX, tiles;
  int64_t perBlock, blocks, parts;
  int64_t lanes, depth, columns; // depth, columns of a part: of scratch rows, whole vectors

  int64_t tasks() const { return blocks * parts; }
};

/// The roles, if the computation is a dense convolution by 3 x 3 taps of step one.
std::optional<Form> formOf(const Kernel &k);

/// The plan with `perBlock` tiles in a block and the columns in `parts`; 0: what is fastest by the model.
/// Many tiles in a block fetch the weights less often, few keep its scratch in the L2 cache.
Plan planOf(const Form &f, int64_t m, int64_t perBlock, int64_t parts, const Target &t);

/// The tiles that are faster than direct sums by the model, the fastest first.
std::vector<WeightTrade> tradesOf(const Form &f, const Target &t);
/// The fastest tile; 0 for direct sums.
int64_t bestTile(const Form &f, const Target &t);

} // namespace planish::schedule::winograd
