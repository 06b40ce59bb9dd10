// The reference evaluator: runs every node's definition in the loop interpreter.
#pragma once

#include "planish/graph/OpDef.h"

#include <vector>

namespace planish::graph {

/// A tensor with constant shape; bytes dense in logical order.
struct Tensor {
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  Bytes data;
};

/// Values of the outputs for the inputs given, in order; symbols take the sizes of the inputs.
Result<std::vector<Tensor>> evaluate(const Graph &g, std::span<const Tensor> inputs);
/// The same with exp, tanh and others by the polynomials of compiled code in strict form, where they are
/// otherwise as exact as floats are: the bits of a quantized model on every target.
Result<std::vector<Tensor>> evaluateStrict(const Graph &g, std::span<const Tensor> inputs);
/// The first, and every value of the graph by its index (constants included).
Result<std::vector<Tensor>> evaluateAll(const Graph &g, std::span<const Tensor> inputs);

/// A fused group, or a single node, as one computation over the given buffers: the anchor with every
/// later elementwise node substituted into `value`. `in`/`out` have logical shapes.
loop::Compute computeOf(const Node &node, const Graph &g, const std::vector<loop::Buffer> &in,
                        const loop::Buffer &out);

/// A node whose row has `loops` as a function over the given buffers: operands (each once), then results.
loop::Function loopsOf(const Node &node, const Graph &g, std::vector<loop::Buffer> in,
                       std::vector<loop::Buffer> out);

} // namespace planish::graph
