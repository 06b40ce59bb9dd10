// Real numbers as integers: what the quantize pass and the rows' integer forms exchange.
#pragma once

#include "planish/graph/OpDef.h"

#include <map>
#include <optional>
#include <vector>

namespace planish::graph {

/// 8-bit codes of a real value: real = scale * (code - zero). The codes are u8; those that a model has
/// as i8 are the same with 128 added to code and zero.
struct Codes {
  ValueId value;
  double scale = 1;
  int32_t zero = 0;
};

/// A constant operand as integers: real = scale[c] * values[i], c the index of i along `axis`, or 0 where
/// there is one scale for all. Zero points are already taken off.
struct IntegerWeights {
  std::vector<int64_t> shape;
  std::vector<int32_t> values;
  std::vector<double> scale;
  int axis = 0;
};

/// An exact integer for a real value: real = scale[c] * (value + addend[c]), c the index along `axis` of
/// the value; one entry stands for all. `value` is i32; |value + addend| <= bound[c] < 2^31, which its
/// maker has proved (the parts alone may wrap). Where `value` is u8 it is codes, and -addend their zero
/// point.
struct IntegerValue {
  ValueId value;
  int axis = 0;
  std::vector<double> scale;
  std::vector<int64_t> addend, bound;
};

/// What an operator's integer form is made from. It appends to `graph` nodes over integers.
struct IntegerContext {
  Graph &graph;
  const Attrs &attrs;
  const Loc &loc;
  std::vector<TensorType> types;                        // of the real operands
  TensorType result;                                    // of the real result
  std::vector<std::optional<Codes>> codes;              // operands that have codes, in `graph`
  std::vector<std::optional<IntegerValue>> sums;        // operands that are exact sums, in `graph`
  std::vector<std::optional<IntegerWeights>> weights;   // operands that are constant codes
  std::vector<std::optional<std::vector<double>>> reals;  // operands that are constants, as numbers
  /// Where contractions read codes as i8: by codes, the same less 128, as made so far. Null: they read u8.
  std::map<uint32_t, ValueId> *lowered = nullptr;

  /// A node of one result; nothing where its inference refuses.
  std::optional<ValueId> append(const OpDef &op, Attrs attributes, std::vector<ValueId> operands);
};

/// The largest |acc| of a 32-bit accumulator.
inline constexpr int64_t kMaxAccumulator = INT32_MAX;

/// The 32 low bits: sums of products may be taken modulo 2^32 where only the whole is known to fit.
int32_t wrapped32(int64_t value);

} // namespace planish::graph
