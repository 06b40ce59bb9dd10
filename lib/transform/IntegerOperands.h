// What the quantize pass reads off a graph of real numbers: parameters, constants as integers, and which
// operators pick, limit or combine elements. All of it follows from rows' meanings and constants.
#pragma once

#include "Questions.h"
#include "planish/graph/Evaluate.h"
#include "planish/graph/Integer.h"

namespace planish::transform {

/// Scale and zero point of a quantize or dequantize node with one of each, in u8 terms: 128 is added to the
/// zero point of i8 codes. Nothing where they are not constant, per axis, or outside what is exact.
struct Parameters {
  double scale = 1;
  int32_t zero = 0;
};
std::optional<Parameters> parametersOf(const Graph &g, const Node &node);

/// What to add to codes of a type to have them as u8.
inline int32_t shiftOf(DType type) { return type == DType::i8 ? 128 : 0; }

/// Which operands an operator picks its elements from, where that is all it does: every element of the
/// result is an element of one of them (reshape, concat, max pooling ...). Nothing where it computes.
std::optional<std::vector<bool>> pickedOperands(const Graph &g, const Node &node);

/// Bounds that an elementwise operator of one operand keeps to, where that is all it does.
struct Limits {
  double least, most;
};
std::optional<Limits> limitsOf(const Graph &g, const Node &node);

/// A value that follows from constants alone in a few steps: a product of scales, a decoded slope.
std::optional<graph::Tensor> constantValue(const Graph &g, ValueId v);

/// A constant that is codes times scales, perhaps moved since.
std::optional<graph::IntegerWeights> weightsOf(const Graph &g, ValueId value);
/// A constant as numbers, with its shape.
struct Reals {
  std::vector<int64_t> shape;
  std::vector<double> values;
};
std::optional<Reals> realsOf(const Graph &g, ValueId value);

} // namespace planish::transform
