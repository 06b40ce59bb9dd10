// The rows of quantization, and what the integer forms of operators share.
#pragma once

#include "Rows.h"
#include "planish/graph/Integer.h"

namespace planish::ops {

/// A contraction's constant parts: everything about its weights but the geometry.
struct IntegerParts {
  int64_t channels = 0, terms = 0;       // outputs, and products of each
  std::vector<int32_t> weights;          // [channels][terms]
  std::vector<double> scale;             // of the sum, per channel or one
  std::vector<int64_t> bias;             // per channel
  std::vector<int64_t> bound;            // of |sum|, with bias, per channel
};

/// Operands 0 (codes) and 1 (constant codes, its outputs along dimension `channelDim`), and a constant
/// bias (operand 2, if there is one) of one number per output. Nothing where that is not what the
/// operands are, or a sum might not fit 32 bits.
std::optional<IntegerParts> integerParts(const graph::IntegerContext &c, size_t channelDim);

/// Weights as a constant of the shape: i8 where all fit, else i32.
ValueId weightConstant(graph::Graph &g, const std::vector<int64_t> &shape,
                       const std::vector<int32_t> &values);

/// The integer forms that rows name.
std::optional<graph::IntegerValue> integerConv(graph::IntegerContext &c);
std::optional<graph::IntegerValue> integerConvTranspose(graph::IntegerContext &c);
std::optional<graph::IntegerValue> integerMatmul(graph::IntegerContext &c);
/// The mean over dimensions of constant size.
std::optional<graph::IntegerValue> integerMean(graph::IntegerContext &c, const Ints &axes, bool keepDims);
/// The mean over windows; `counts` holds for each spatial dimension the elements that count: one number for
/// all positions, or one per position.
std::optional<graph::IntegerValue> integerWindowMean(graph::IntegerContext &c, const ConvAttrs &window,
                                                     const Ints &kernel, const std::vector<Ints> &counts);

} // namespace planish::ops
