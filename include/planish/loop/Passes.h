// Loop passes: plain functions from a Function to a Function that means the same.
#pragma once

#include "planish/loop/IR.h"

#include <map>
#include <set>
#include <span>
#include <string_view>

namespace planish::loop {

/// Which intrinsics a back end takes as they are; legalize expands the others.
struct Legal {
  bool fma = true; // false: a fused multiply-add becomes a multiplication and an addition, kRounder's aside
  bool scale2 = true; // always expanded to bit operations where false
};

Function simplify(const Function &f); // expressions in normal form
Function vectorize(const Function &f); // vectorized loops -> ramps, broadcasts, masks
Function unroll(const Function &f); // unrolled loops -> straight line
Function legalize(const Function &f, const Legal &legal = {}); // exp, log, tanh, erf -> polynomials

/// Lane-wise copy of `e` for v = 0 .. lanes-1; what does not depend on v stays scalar.
Expr widen(const Expr &e, const Var &v, int lanes, const Expr &mask);

/// A table read at a byte, or at an index that was clamped, with an entry for whatever that can be: it may
/// always be read.
bool isTableRead(const Load &l);

/// The parallel loops inside another one. Where a function has some, each iteration of the outer loop is a
/// group, and theirs are the items of the group, all of which finish one such loop before the group goes on.
/// Scratch buffers around them belong to the group; registers around them have the item as their first index.
std::set<const For *> groupLoops(const Function &f);

/// The number of tasks: the largest end of the function's outer parallel loops (1 where it has none).
Expr taskCount(const Function &f);

/// Where the scratch buffers of a function lie in the scratch memory of the thread that runs it: each in a
/// place of its own.
struct ScratchPlan {
  std::map<const BufferNode *, int64_t> offsets; // bytes, multiples of 64
  int64_t bytes = 0; // a multiple of 64; 0 where there are none
};
ScratchPlan planScratch(const Function &f);

struct PassRow {
  std::string_view name, summary;
  Function (*run)(const Function &);
};
/// The passes by name, in their usual order, for planish-opt.
std::span<const PassRow> passes();

} // namespace planish::loop
