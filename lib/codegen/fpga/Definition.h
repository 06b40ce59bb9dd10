// An unscheduled kernel taken apart: what loop::definition() was made from.
#pragma once

#include "planish/loop/IR.h"

#include <optional>
#include <vector>

namespace planish::codegen::fpga {

struct Axis {
  Var var;
  int64_t extent = 1;
};

/// out[outIndices] = value, where `value` reads the accumulator as a load of `sum`:
///   sum = init; for (reduce) if (guards: 0 <= e) sum = sum `accumulates` lhs * rhs
struct Definition {
  std::vector<Axis> space, reduce;
  std::vector<loop::Expr> guards;
  loop::BinaryOp accumulates = loop::BinaryOp::Add;
  loop::Expr init;          // absent: the neutral element
  loop::Expr lhs, rhs;      // rhs may be absent
  loop::Buffer sum;         // null: nothing is summed
  loop::Buffer out;
  std::vector<loop::Expr> outIndices;
  loop::Expr value;
  bool reduces() const { return sum != nullptr; }
};

/// Nothing where the function has another form, or sizes that are known at run time only.
std::optional<Definition> definitionOf(const loop::Function &f);

} // namespace planish::codegen::fpga
