#include "Questions.h"
#include "planish/graph/Evaluate.h"
#include "planish/transform/Passes.h"

#include <algorithm>

namespace planish::transform {

namespace {

constexpr int64_t kMaxBytes = 16 << 20;
/// Points of the iteration space; the interpreter needs some 100 ns for each.
constexpr int64_t kMaxPoints = 4 << 20;

/// Points that the definition of a node visits; nothing where a size is a symbol.
std::optional<int64_t> pointsOf(const Graph &g, const Node &node) {
  auto meaning = meaningOf(g, node);
  if (!meaning) return std::nullopt;
  int64_t points = 1;
  for (auto *axes : {&meaning->compute.space, &meaning->compute.reduce})
    for (const loop::Iter &axis : *axes) {
      auto extent = loop::constantOf(axis.extent);
      if (!extent || points > kMaxPoints) return std::nullopt;
      points *= *extent;
    }
  return points;
}

bool isFoldable(const Graph &g, const Node &node) {
  if (!node.regions.empty() || node.outputs.size() != 1) return false;
  auto isConstant = [&](ValueId v) { return v == kAbsent || g[v].isConstant(); };
  const TensorType &type = g.type(node.outputs[0]);
  auto count = graph::elementCount(type.shape);
  if (!std::ranges::all_of(node.inputs, isConstant) || !count || *count > kMaxBytes / byteSize(type.dtype))
    return false;
  auto points = pointsOf(g, node);
  return points && *points <= kMaxPoints;
}

/// The numbers of a list of expressions; nothing where one is not constant.
std::optional<std::vector<int64_t>> numbersOf(const std::vector<loop::Expr> &exprs) {
  std::vector<int64_t> numbers;
  for (const loop::Expr &e : exprs) {
    auto number = loop::constantOf(e);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

/// The elements that strides over a shape lead to, in logical order.
graph::Bytes gathered(const std::vector<std::byte> &from, const std::vector<int64_t> &shape,
                      const std::vector<int64_t> &strides, int64_t offset, size_t elementBytes,
                      int64_t count) {
  std::vector<std::byte> bytes(size_t(count) * elementBytes);
  std::vector<int64_t> index(shape.size());
  const size_t inner = shape.size() - 1;
  std::byte *to = bytes.data();
  for (int64_t row = 0; row < count; row += shape[inner]) {
    for (int64_t i = 0, at = offset; i < shape[inner]; ++i, at += strides[inner], to += elementBytes)
      std::copy_n(from.data() + size_t(at) * elementBytes, elementBytes, to);
    for (size_t d = inner; d-- > 0;) {
      offset += strides[d];
      if (++index[d] < shape[d]) break;
      offset -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
  return std::make_shared<const std::vector<std::byte>>(std::move(bytes));
}

/// The bytes of a node that only says where the elements of its constant operand lie, such as a
/// transposition: weights of any size are moved here once instead of in every run.
graph::Bytes movedBytes(const Graph &g, const Node &node) {
  auto isConstant = [&](ValueId v) { return v == kAbsent || g[v].isConstant(); };
  if (!node.op->outputView || node.outputs.size() != 1 || node.inputs.empty() || node.inputs[0] == kAbsent ||
      !std::ranges::all_of(node.inputs, isConstant))
    return nullptr;
  const graph::Value &operand = g[node.inputs[0]];
  TensorType from = operand.type, to = g.type(node.outputs[0]);
  from.layout.clear();  // the bytes of a constant are in logical order
  auto count = graph::elementCount(to.shape), given = graph::elementCount(from.shape);
  if (from.dtype != to.dtype || !count || !given || *count == 0 || *count > *given) return nullptr;
  auto view = node.op->outputView(opView(g, node), graph::denseView(from));
  if (!view) return nullptr;
  auto strides = numbersOf(view->strides), offset = numbersOf({view->offset});
  if (!strides || !offset) return nullptr;
  std::vector<int64_t> shape;
  for (const Dim &dim : to.shape) shape.push_back(dim.upper());
  if (shape.empty()) {
    shape.push_back(1);
    strides->push_back(1);
  }
  return gathered(*operand.data, shape, *strides, offset->front(), size_t(byteSize(to.dtype)), *count);
}

/// The bytes of a node's result, computed alone.
Result<graph::Bytes> evaluated(const Graph &g, const Node &node) {
  Graph alone;
  std::vector<ValueId> operands;
  for (ValueId v : node.inputs)
    operands.push_back(v == kAbsent ? v : alone.addConstant(g.type(v), g[v].data));
  PLANISH_ASSIGN(std::vector<ValueId> results,
                 alone.append(*node.op, node.attrs, std::move(operands), node.loc));
  alone.setOutputs(results);
  PLANISH_ASSIGN(std::vector<graph::Tensor> values, graph::evaluate(alone, {}));
  return values[0].data;
}

template <class T> void store(std::vector<std::byte> &bytes, double number, int64_t integer) {
  T value = std::is_floating_point_v<T> ? T(number) : T(integer);
  auto *raw = reinterpret_cast<const std::byte *>(&value);
  bytes.insert(bytes.end(), raw, raw + sizeof(T));
}

/// The bytes of a value whose elements are all known numbers, such as the shape of an input.
graph::Bytes knownBytes(const Graph &g, ValueId v) {
  auto elements = g.elements(v);
  if (!elements || elements->empty()) return nullptr;
  std::vector<std::byte> bytes;
  for (const loop::Expr &e : *elements) {
    auto *integer = loop::as<loop::IntImm>(e);
    auto *number = loop::as<loop::FloatImm>(e);
    if (!integer && !number) return nullptr;
    double f = number ? number->value : 0;
    int64_t i = integer ? integer->value : 0;
    switch (g.type(v).dtype) {
    case DType::b1:
    case DType::u8: store<uint8_t>(bytes, f, i); break;
    case DType::i8: store<int8_t>(bytes, f, i); break;
    case DType::i32: store<int32_t>(bytes, f, i); break;
    case DType::i64: store<int64_t>(bytes, f, i); break;
    case DType::f32: store<float>(bytes, f, i); break;
    case DType::f64: store<double>(bytes, f, i); break;
    case DType::u16: store<uint16_t>(bytes, f, i); break;
    case DType::i16: store<int16_t>(bytes, f, i); break;
    case DType::u32: store<uint32_t>(bytes, f, i); break;
    case DType::u64: store<uint64_t>(bytes, f, i); break;
    case DType::f16:
    case DType::bf16: return nullptr;
    }
  }
  return std::make_shared<const std::vector<std::byte>>(std::move(bytes));
}

} // namespace

Result<Graph> foldConstants(const Graph &g) {
  graph::Rebuilder r(g);
  std::vector<int> isOutput = g.outputUses();
  for (uint32_t n = 0; n < g.nodes().size(); ++n) {
    PLANISH_TRY(r.copy({n}));
    const Node &node = g[NodeId{n}];
    ValueId result = node.outputs[0], made = r(result);
    if (isOutput[result.index]) continue;
    const Node &copied = r.graph()[*r.graph()[made].def];
    graph::Bytes bytes = node.outputs.size() == 1 ? knownBytes(r.graph(), made) : nullptr;
    if (!bytes) bytes = movedBytes(r.graph(), copied);
    if (!bytes && isFoldable(r.graph(), copied)) {
      auto computed = evaluated(r.graph(), copied);
      if (!computed) return computed.error();
      bytes = *computed;
    }
    if (!bytes) continue;
    TensorType type = r.graph().type(made);
    r.graph().rename(made, "");  // the constant takes the name
    r.replace(result, r.graph().addConstant(std::move(type), std::move(bytes), g[result].name));
  }
  return r.finish();
}

} // namespace planish::transform
