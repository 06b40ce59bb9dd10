#include "IntegerOperands.h"

#include <algorithm>
#include <cmath>

namespace planish::transform {

using graph::Coding;
using graph::Tensor;

namespace {

/// Scales far from this are refused: their quotients could be subnormal, which targets treat differently.
constexpr double kLeastScale = 0x1p-60, kMostScale = 0x1p60;

template <class T> std::vector<double> numbers(const std::vector<std::byte> &bytes) {
  std::vector<double> r(bytes.size() / sizeof(T));
  for (size_t i = 0; i < r.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    r[i] = double(value);
  }
  return r;
}
std::vector<double> numbersOf(const Tensor &t) {
  switch (t.dtype) {
  case DType::b1:
  case DType::u8: return numbers<uint8_t>(*t.data);
  case DType::i8: return numbers<int8_t>(*t.data);
  case DType::i32: return numbers<int32_t>(*t.data);
  case DType::i64: return numbers<int64_t>(*t.data);
  case DType::f32: return numbers<float>(*t.data);
  case DType::u16: return numbers<uint16_t>(*t.data);
  case DType::i16: return numbers<int16_t>(*t.data);
  case DType::u32: return numbers<uint32_t>(*t.data);
  case DType::u64: return numbers<uint64_t>(*t.data);
  case DType::f64: return numbers<double>(*t.data);
  case DType::f16:
  case DType::bf16: break;  // no constants
  }
  return {};
}

Tensor tensorOf(const graph::Value &constant) {
  return {constant.type.dtype, *constantShape(constant.type.shape), constant.data};
}

/// A node on given tensors; nothing where that fails.
std::optional<Tensor> applied(const Node &node, const std::vector<Tensor> &operands) {
  Graph alone;
  std::vector<ValueId> values;
  for (const Tensor &t : operands)
    values.push_back(alone.addConstant({t.dtype, Shape(t.shape.begin(), t.shape.end()), {}, {}}, t.data));
  auto made = alone.append(*node.op, node.attrs, values, node.loc);
  if (!made) return std::nullopt;
  alone.setOutputs(*made);
  auto results = graph::evaluate(alone, {});
  if (!results) return std::nullopt;
  return results->front();
}

/// Nodes between constants and a parameter or constant codes: a product of scales, Cast, Quantize.
constexpr int kMaxSteps = 8;

/// Follows at most so many nodes.
std::optional<Tensor> constantWithin(const Graph &g, ValueId v, int steps) {
  if (g[v].isConstant()) return tensorOf(g[v]);
  if (!g[v].def || steps == 0) return std::nullopt;
  const Node &node = g[*g[v].def];
  if (!node.regions.empty() || node.outputs.size() != 1) return std::nullopt;
  std::vector<Tensor> operands;
  for (ValueId input : node.inputs) {
    auto t = input == kAbsent ? std::nullopt : constantWithin(g, input, steps - 1);
    if (!t) return std::nullopt;
    operands.push_back(std::move(*t));
  }
  return applied(node, operands);
}

/// The only number of a constant operand.
std::optional<double> soleNumber(const Graph &g, ValueId v) {
  if (graph::elementCount(g.type(v).shape) != 1) return std::nullopt;
  auto t = constantValue(g, v);
  if (!t) return std::nullopt;
  return numbersOf(*t)[0];
}

/// A number per element of a broadcast parameter.
struct Along {
  std::vector<double> values;
  int axis = 0;
};
/// A parameter that varies along one dimension of a tensor of the shape at most.
std::optional<Along> along(const Tensor &parameter, const std::vector<int64_t> &shape) {
  Along r{numbersOf(parameter)};
  for (size_t d = 0; d < parameter.shape.size(); ++d) {
    if (parameter.shape[d] == 1) continue;
    if (parameter.shape[d] != int64_t(r.values.size())) return std::nullopt;
    r.axis = int(shape.size() - parameter.shape.size() + d);
  }
  return r;
}

/// The index along `axis` of every element of a tensor of the shape.
template <class F> void forElements(const std::vector<int64_t> &shape, int axis, F f) {
  int64_t count = 1, inner = 1;
  for (int64_t d : shape) count *= d;
  for (size_t d = size_t(axis) + 1; d < shape.size(); ++d) inner *= shape[d];
  int64_t size = shape.empty() ? 1 : shape[size_t(axis)];
  for (int64_t i = 0; i < count; ++i) f(size_t(i), size_t(i / inner % size));
}

std::optional<graph::IntegerWeights> decoded(const Graph &g, const Node &node) {
  auto codes = constantValue(g, node.inputs[0]), scales = constantValue(g, node.inputs[1]);
  if (!codes || !scales) return std::nullopt;
  graph::IntegerWeights w;
  w.shape = codes->shape;
  for (double v : numbersOf(*codes)) w.values.push_back(int32_t(v));
  if (node.inputs.size() > 2 && node.inputs[2] != kAbsent) {
    auto zeros = constantValue(g, node.inputs[2]);
    auto zero = zeros ? along(*zeros, w.shape) : std::nullopt;
    if (!zero || zero->values.empty()) return std::nullopt;
    forElements(w.shape, zero->axis, [&](size_t i, size_t at) {
      w.values[i] -= int32_t(zero->values[zero->values.size() == 1 ? 0 : at]);
    });
  }
  auto scale = along(*scales, w.shape);
  if (!scale || scale->values.empty()) return std::nullopt;
  w.scale = scale->values;
  w.axis = scale->axis;
  return w;
}

/// Where the result of a movement lies in memory if its operand lies so: constant strides and offset.
struct ConstantView {
  std::vector<int64_t> strides;
  int64_t offset = 0;
};
std::optional<ConstantView> viewThrough(const Graph &g, const Node &node, const graph::View &from) {
  auto view = node.op->outputView ? node.op->outputView(opView(g, node), from) : std::nullopt;
  auto offset = view ? loop::constantOf(view->offset) : std::nullopt;
  if (!offset) return std::nullopt;
  ConstantView r{{}, *offset};
  for (const loop::Expr &s : view->strides) {
    auto stride = loop::constantOf(s);
    if (!stride) return std::nullopt;
    r.strides.push_back(*stride);
  }
  return r;
}

/// Where a movement puts dimension `axis` of its operand: the only dimension of the result along which
/// the operand's index in `axis` grows, one by one.
std::optional<int> movedAxis(const Graph &g, const Node &node, int axis) {
  const Shape &from = g.type(node.inputs[0]).shape, &to = g.type(node.outputs[0]).shape;
  graph::View ones{std::vector<loop::Expr>(from.size(), loop::imm(0)), loop::imm(0)};
  ones.strides[size_t(axis)] = loop::imm(1);
  auto moved = viewThrough(g, node, ones);
  if (!moved || moved->offset != 0) return std::nullopt;
  std::optional<int> r;
  for (size_t d = 0; d < to.size(); ++d) {
    int64_t stride = moved->strides[d];
    if (stride == 0 || to[d].upper() == 1) continue;
    if (stride != 1 || r || to[d] != from[size_t(axis)]) return std::nullopt;
    r = int(d);
  }
  return r;
}

/// The elements of a movement's result, from those of its operand.
template <class T>
std::optional<std::vector<T>> movedValues(const Graph &g, const Node &node, const std::vector<T> &values) {
  auto view = viewThrough(g, node, graph::denseView(g.type(node.inputs[0])));
  auto shape = constantShape(g.type(node.outputs[0]).shape);
  if (!view || !shape) return std::nullopt;
  int64_t count = *graph::elementCount(g.type(node.outputs[0]).shape), at = view->offset;
  std::vector<int64_t> index(shape->size(), 0);
  std::vector<T> r;
  r.reserve(size_t(count));
  for (int64_t i = 0; i < count; ++i) {
    r.push_back(values.at(size_t(at)));
    for (size_t d = shape->size(); d-- > 0;) {
      at += view->strides[d];
      if (++index[d] < (*shape)[d]) break;
      at -= view->strides[d] * (*shape)[d];
      index[d] = 0;
    }
  }
  return r;
}

/// One number per index of some dimension, where a tensor is that broadcast.
std::optional<Along> alongOneDimension(const std::vector<double> &values, const std::vector<int64_t> &shape) {
  for (size_t d = 0; d < shape.size(); ++d) {
    Along r{std::vector<double>(size_t(shape[d]), NAN), int(d)};
    bool fits = true;
    forElements(shape, r.axis, [&](size_t i, size_t at) {
      if (std::isnan(r.values[at])) r.values[at] = values[i];
      fits &= r.values[at] == values[i];
    });
    if (fits) return r;
  }
  return std::nullopt;
}

/// The scales of a movement's result, from those along one dimension of its operand.
std::optional<Along> movedScales(const Graph &g, const Node &node, const graph::IntegerWeights &w) {
  if (auto axis = movedAxis(g, node, w.axis)) return Along{w.scale, *axis};
  std::vector<double> ofEach(w.values.size());
  forElements(w.shape, w.axis, [&](size_t i, size_t at) { ofEach[i] = w.scale[at]; });
  auto moved = movedValues(g, node, ofEach);
  if (!moved) return std::nullopt;
  return alongOneDimension(*moved, *constantShape(g.type(node.outputs[0]).shape));
}

bool picks(const Meaning &m, const loop::Expr &e, std::vector<bool> &from, bool selected = false) {
  if (auto *s = loop::as<loop::Select>(e)) return picks(m, s->a, from, true) && picks(m, s->b, from, true);
  int operand = operandRead(m, e, selected);
  if (operand >= 0) from[size_t(operand)] = true;
  return operand >= 0;
}

} // namespace

std::optional<Tensor> constantValue(const Graph &g, ValueId v) { return constantWithin(g, v, kMaxSteps); }

std::optional<Parameters> parametersOf(const Graph &g, const Node &node) {
  auto scale = soleNumber(g, node.inputs[1]);
  if (!scale || !(*scale >= kLeastScale && *scale <= kMostScale)) return std::nullopt;
  bool encodes = node.op->coding == Coding::Encodes;
  DType codes = g.type(encodes ? node.outputs[0] : node.inputs[0]).dtype;
  if (codes != DType::u8 && codes != DType::i8) return std::nullopt;
  std::optional<double> zero = 0;
  if (node.inputs.size() > 2 && node.inputs[2] != kAbsent) zero = soleNumber(g, node.inputs[2]);
  if (!zero) return std::nullopt;
  return Parameters{*scale, int32_t(*zero) + shiftOf(codes)};
}

std::optional<std::vector<bool>> pickedOperands(const Graph &g, const Node &node) {
  auto meaning = meaningOf(g, node);
  if (!meaning || node.inputs.empty()) return std::nullopt;
  const loop::Compute &c = meaning->compute;
  std::vector<bool> from(node.inputs.size(), false);
  bool all = false;
  if (c.reduce.empty()) {
    all = picks(*meaning, c.value, from);
  } else if ((c.combine == loop::Combine::Max || c.combine == loop::Combine::Min) && !c.rhs && !c.init) {
    auto *result = loop::as<loop::VarRef>(c.value);
    all = result && result->var == c.sum && picks(*meaning, c.lhs, from);
  }
  if (!all) return std::nullopt;
  return from;
}

std::optional<Limits> limitsOf(const Graph &g, const Node &node) {
  auto meaning = meaningOf(g, node);
  if (!meaning || !meaning->compute.reduce.empty() || node.inputs.size() != 1) return std::nullopt;
  Limits r{-INFINITY, INFINITY};
  loop::Expr e = meaning->compute.value;
  while (auto *b = loop::as<loop::Binary>(e)) {
    auto *bound = loop::as<loop::FloatImm>(b->b);
    if (!bound || (b->op != loop::BinaryOp::Max && b->op != loop::BinaryOp::Min)) return std::nullopt;
    // From the outside in: the outer bounds hold whatever the inner ones say.
    double inner = std::clamp(bound->value, r.least, r.most);
    (b->op == loop::BinaryOp::Max ? r.least : r.most) = inner;
    e = b->a;
  }
  if (operandRead(*meaning, e) != 0 || !(r.least <= r.most)) return std::nullopt;
  if (r.least == -INFINITY && r.most == INFINITY) return std::nullopt;
  return r;
}

std::optional<graph::IntegerWeights> weightsOf(const Graph &g, ValueId value) {
  if (value == kAbsent || !g[value].def) return std::nullopt;
  const Node &node = g[*g[value].def];
  if (node.op->coding == Coding::Decodes) return decoded(g, node);
  if (node.op->cls != graph::OpClass::Movement || node.inputs.size() != 1) return std::nullopt;
  auto w = weightsOf(g, node.inputs[0]);
  if (!w) return std::nullopt;
  if (w->scale.size() > 1) {
    auto scales = movedScales(g, node, *w);
    if (!scales) return std::nullopt;
    w->scale = std::move(scales->values), w->axis = scales->axis;
  }
  auto moved = movedValues(g, node, w->values);
  if (!moved) return std::nullopt;
  w->values = std::move(*moved);
  w->shape = *constantShape(g.type(node.outputs[0]).shape);
  return w;
}

std::optional<Reals> realsOf(const Graph &g, ValueId value) {
  if (value == kAbsent) return std::nullopt;
  if (g[value].isConstant() && g.type(value).dtype == DType::f32)
    return Reals{*constantShape(g.type(value).shape), numbersOf(tensorOf(g[value]))};
  auto w = weightsOf(g, value);
  if (!w) {
    auto t = constantValue(g, value);
    if (!t || t->dtype != DType::f32) return std::nullopt;
    return Reals{t->shape, numbersOf(*t)};
  }
  Reals r{w->shape, std::vector<double>(w->values.size())};
  forElements(w->shape, w->axis, [&](size_t i, size_t at) {
    r.values[i] = w->values[i] * w->scale[w->scale.size() == 1 ? 0 : at];
  });
  return r;
}

} // namespace planish::transform
