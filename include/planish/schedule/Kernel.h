// A Kernel is one computation before it becomes loops: an ordered list of axes and a few marks. The
// verbs edit the list; loops are made once, by materialize(). Every verb keeps the meaning (a
// reduction may be reassociated across axes, never within one accumulator), so no dependence
// analysis is needed.
#pragma once

#include "planish/loop/Compute.h"
#include "planish/loop/Rewrite.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace planish::schedule {

using loop::Expr;

enum class Tail : uint8_t {
  Segment,  // the last, shorter block becomes its own copy of the body; the rest of a symbolic extent
            // runs one element at a time
  Guard,    // the block is full and an "if" (a lane mask) protects memory
};

using Axis = Var;  // an axis is named by its loop variable

class Kernel {
public:
  /// Axes are the space axes, then the reduction axes, in order; constant extents of one are dropped.
  explicit Kernel(loop::Compute compute);
  const loop::Compute &compute() const { return def; }
  const std::vector<Expr> &outIndices() const { return def.outIndices; }
  bool reduces() const { return bool(def.lhs); }  // false: `value` alone is stored
  std::vector<Axis> spaceAxes() const;            // today's axes that are not reductions, in order
  std::vector<Axis> reduceAxes() const;

  std::pair<Axis, Axis> split(Axis axis, int64_t factor, std::string outer, std::string inner,
                              Tail tail = Tail::Segment);
  Axis fuse(Axis outer, Axis inner);  // axes of one kind; costs nothing where strides collapse
  void reorder(const std::vector<Axis> &outerToInner);
  void mark(Axis axis, loop::LoopKind kind);  // a parallel axis lies outside accumulate() and stays a loop
  void partition(Axis axis);                  // own copies for the iterations where a guard is not provable
  void peel(Axis axis); // one copy per iteration, only where a guard on it is not provable
  void accumulate(Axis at); // a register tile of all space axes inside `at` lives around it
  /// A reduction axis, the outermost inside the tile, of which every iteration sums on its own before its sum
  /// joins the total: rounding grows with the longest of the two counts, not with their product.
  void subtotal(Axis axis);
  void lanes(Axis axis); // a reduction axis that owns partial sums, merged at the end
  void pack(const Expr &access); // reorder a constant operand as the nest reads it; see canPack
  void stage(const Expr &access, Axis at); // copy what the loops inside `at` read to registers
  void tensorize(Axis axis); // the innermost reduction (of four) becomes Dot4
  /// Spreads the fetch of a packed operand's next block, along the last axis outside the tile that it depends
  /// on, over the iterations down to `at`.
  void prefetch(const Expr &access, Axis at);

  struct Packing {
    int param; // index in the kernel's parameters
    loop::Function function; // (original constant) -> (packed constant)
    std::function<void(const void *from, void *to)> prepare{}; // where given, makes what `function` reads
  };
  struct Lowered {
    loop::Function function; // loop kinds still on the loops
    std::vector<Packing> packings;
  };
  Lowered materialize() const;

  Expr extent(Axis axis) const;
  std::optional<int64_t> constantExtent(Axis axis) const;
  int64_t upperExtent(Axis axis) const; // at the bound of the symbols
  bool guarded(Axis axis) const; // a guard of the reduction domain mentions it
  bool collapses(Axis outer, Axis inner) const; // fuse(outer, inner) leaves every address affine
  bool canPack(const Expr &access) const; // a constant, read in one way only, of constant extents
  std::vector<Expr> loads() const; // every memory read of the computation

private:
  struct AxisInfo {
    Axis var;
    Expr extent;
    bool reduction = false;
    loop::LoopKind kind = loop::LoopKind::Serial;
    bool partition = false, peel = false, lanes = false;
    Axis splitOf, inner; // outer half of a split: what was split, the other half,
    int64_t factor = 1; //   by how much, and whether a shorter last block is
    bool segment = false; //   a copy of the body with a shorter inner axis
  };
  friend struct Nest;
  AxisInfo &info(const Axis &axis);
  const AxisInfo &info(const Axis &axis) const;
  void eachExpr(const std::function<void(Expr &)> &fn); // every expression over the axes
  void foldSingleTerm();
  size_t prefetchBlock() const; // the axis along which prefetch() goes ahead
  void replace(const Axis &axis, const Expr &value); // rewrites every expression that mentions an axis
  Packing makePacking(const Expr &access, Expr &packedLoad) const;

  loop::Compute def;
  std::vector<AxisInfo> axes, retired; // retired: replaced by a split
  std::vector<Expr> storeGuards; // guards "0 <= e" of the output domain
  std::vector<std::pair<Expr, Expr>> bounds; // every original axis in terms of today's, and its extent
  Axis accumulateAt, subtotalAt, tensorAxis, prefetchAt;
  Expr prefetched; // an access of the operand to prefetch
  int64_t prefetchLines = 0; // cache lines per iteration
  std::vector<std::pair<Expr, Axis>> staged;
  std::vector<Expr> packed;
};

} // namespace planish::schedule
