// How a kernel's sum becomes a code: the requantization rule (design 8.5), recognised in loop IR.
#pragma once

#include "Definition.h"

#include "planish/support/Result.h"

#include <utility>

namespace planish::codegen::fpga {

/// clamp(bits(fma(float(clamp(x + addends)), scale, kRounder)) - kRounderBits + zero, least, most)
struct Requantization {
  std::vector<std::pair<loop::Expr, int>> addends; // each a constant, by its sign
  loop::Expr lower, upper;                         // of the sum; may be absent
  loop::Expr scale;
  int32_t zero = 0, least = 0, most = 255;
};

/// A code made in at most two roundings: of the sum, or of the input where nothing is summed, then of a sum
/// of that and another code.
struct CodeChain {
  bool readsSum = false;
  loop::Expr input;  // where nothing is summed
  std::optional<Requantization> first, second;
  std::optional<loop::Load> firstTable, secondTable; // loads of the tables; the index is not theirs
  std::optional<loop::Load> other;                   // the second rounding's other operand
  int32_t ownFactor = 0, otherFactor = 0;
};

/// The chain of a definition's value; an error of the kind Unsupported where it is another function.
Result<CodeChain> codeChainOf(const Definition &d);

/// A float as multiplier * 2^-shift: its 24-bit significand, and a shift in [1, 60]. Of scales below 2^-37,
/// that give 0 for every 32-bit sum, the shift may be less than exact. Nothing for numbers that no scale is.
struct IntegerScale {
  int32_t multiplier = 0, shift = 0;
};
std::optional<IntegerScale> integerScale(float scale);

} // namespace planish::codegen::fpga
