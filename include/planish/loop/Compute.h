// What a kernel computes, index by index, before any decision of how:
//
//   out[outIndices(space)] = value( init  combined over the reduce axes where all guards hold with lhs*rhs )
//
// Padding is a restriction of the reduction domain, not a value: a skipped tap costs nothing and no
// zero is ever multiplied. With no reduce axes there is no sum: `value` alone is stored.
#pragma once

#include "planish/loop/IR.h"

namespace planish::loop {

struct Iter {
  Var var;
  Expr extent;
};

enum class Combine : uint8_t { Sum, Max, Min, Product };

struct Compute {
  std::string name;
  std::vector<Iter> space, reduce;
  std::vector<Expr> where;          // guards "0 <= e" on the reduction domain
  Combine combine = Combine::Sum;
  Expr init;                        // the sum's start (a bias); absent: the neutral element of `combine`
  Expr lhs, rhs;                    // one term; rhs absent: the term is lhs
  DType accumulator = DType::f32;   // type of the sum; i32 sums of products of casts are exact
  Var sum;                          // stands for the finished sum in `value`
  Expr value;                       // what is stored; reads space axes, `sum`, loads
  Buffer out;
  std::vector<Expr> outIndices;     // over the space axes, injective
  std::vector<Buffer> params;       // every buffer read or written; `out` is the last
  std::vector<Var> scalars;         // symbols that extents, strides or expressions mention
};

/// The neutral element of a combination (0, -inf, +inf, 1 for floats; the type's limits for integers).
Expr neutral(Combine combine, DType dtype);
/// One step of the combination on scalars or vectors: f32 sums of products are Fma, others plain.
Expr combined(const Compute &c, const Expr &acc, const Expr &lhs, const Expr &rhs);

/// Fills params (loads in order of first appearance, then out) and scalars from the expressions.
void collectParams(Compute &c);

/// The unscheduled loop function: serial loops in the order of the axes, guards as ifs, one scalar
/// accumulator. It is the definition that every schedule is checked against.
Function definition(const Compute &c);

} // namespace planish::loop
