// Loops that are instructions of a warp, and copies that may go on while items compute: what CUDA has beyond
// the languages that the printer knows. Everything is proved on the loops; what is not found stays loops.
#pragma once

#include "planish/loop/IR.h"

#include <optional>
#include <set>

namespace planish::codegen {

/// acc[0..4) += the part of a 16 x 32 by 32 x 8 product of bytes that an item of a warp holds in mma.m16n8k32
/// (PTX ISA 9.7.14): of item l rows l/4 and l/4 + 8, columns l%4*2 and the next.
struct WarpProduct {
  loop::Buffer accumulator, a, b;
  loop::Expr accumulatorAt, aAt, bAt; // elements in front of the first result and of the two tiles
  int64_t aPitch, bPitch; // elements between rows of a, columns of b
};

/// The loop over an item's results, if it is one; `item` counts to `items`.
std::optional<WarpProduct> warpProduct(const loop::For &results, const Var &item, int64_t items);

/// Scratch buffers of which no item reads, within one loop over items, what that loop writes: their first
/// index tells the parts apart. Other buffers, and all of registers, are not in the set.
std::set<const loop::BufferNode *> copyTargets(const loop::Function &f);

} // namespace planish::codegen
