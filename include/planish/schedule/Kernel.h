// A Kernel is one computation before it becomes loops: an ordered list of axes and a few marks. The
// verbs edit the list; loops are made once, by materialize(). Every verb keeps the meaning (a
// reduction may be reassociated across axes, never within one accumulator), so no dependence
// analysis is needed.
#pragma once

#include "planish/loop/Compute.h"
#include "planish/loop/Rewrite.h"

#include <string>
#include <utility>
#include <vector>

namespace planish::schedule {

using loop::Expr;

enum class Tail : uint8_t {
  Segment,  // the last, shorter block becomes its own copy of the body
  Guard,    // the block is full and an "if" (a lane mask) protects memory
};

using Axis = Var;  // an axis is named by its loop variable

class Kernel {
public:
  explicit Kernel(loop::Compute compute);
  const loop::Compute &compute() const { return def; }
  std::vector<Axis> spaceAxes() const;   // today's axes that are not reductions, in order
  std::vector<Axis> reduceAxes() const;

  /// Splits an axis; a Segment tail needs a constant extent.
  std::pair<Axis, Axis> split(Axis axis, int64_t factor, std::string outer, std::string inner,
                              Tail tail = Tail::Segment);
  Axis fuse(Axis outer, Axis inner);  // adjacent axes of one kind; costs nothing where strides collapse
  void reorder(std::vector<Axis> outerToInner);
  void mark(Axis axis, loop::LoopKind kind);
  void partition(Axis axis);          // own copies for the iterations where a guard is not provable
  void peel(Axis axis);               // one copy per iteration, only where a guard on it is not provable
  void accumulate(Axis at);           // a register tile of all space axes inside `at` lives around it
  void pack(const Expr &access);      // reorder a constant operand as the nest reads it
  void stage(const Expr &access, Axis at);      // copy what the loops inside `at` read to registers
  void tensorize(Axis axis, loop::Intrinsic intrinsic);  // the innermost reduction becomes one intrinsic
  void prefetch(const Expr &access, Axis at);   // spread the fetch of the operand's next outermost block

  struct Packing {
    int param;                // index in the kernel's parameters
    loop::Function function;  // (original constant) -> (packed constant)
  };
  struct Lowered {
    loop::Function function;  // loop kinds still on the loops
    std::vector<Packing> packings;
  };
  Lowered materialize() const;

  Expr extent(Axis axis) const;
  std::optional<int64_t> constantExtent(Axis axis) const;
  bool collapses(Axis outer, Axis inner) const;  // fuse(outer, inner) leaves every address affine
  std::vector<Expr> loads() const;               // every memory read of the computation

private:
  // (see Kernel.cpp and Nest.cpp)
  struct AxisInfo;
  friend struct Nest;
  loop::Compute def;
};

} // namespace planish::schedule
