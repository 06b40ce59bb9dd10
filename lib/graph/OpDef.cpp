#include "planish/graph/OpDef.h"

#include "planish/support/Text.h"

#include <algorithm>

namespace planish::graph {

namespace {

/// The operands a row names, split at commas.
std::vector<std::string_view> operandNames(std::string_view text) {
  std::vector<std::string_view> r;
  while (!text.empty()) {
    size_t comma = std::min(text.find(','), text.size());
    std::string_view name = text.substr(0, comma);
    while (name.starts_with(' ')) name.remove_prefix(1);
    if (!name.empty()) r.push_back(name);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return r;
}

Result<std::vector<TensorType>> inferFused(InferContext &c) {
  if (c.regions().size() != 1) return badInput("has one region");
  const Graph &body = c.regions()[0];
  if (body.inputs().size() != size_t(c.inputs()))
    return badInput("has as many operands as its region has inputs");
  if (body.nodes().empty() || body.outputs().size() != 1)
    return badInput("has a region with nodes and one result");
  for (int i = 0; i < c.inputs(); ++i) {
    TensorType given = c.in(i), wanted = body.type(body.inputs()[size_t(i)]);
    given.layout.clear(), wanted.layout.clear();
    if (!(given == wanted))
      return badInput("operand " + std::to_string(i) + " is " + textOf(given) + ", the region wants " +
                      textOf(wanted));
  }
  TensorType result = body.type(body.outputs()[0]);
  result.layout.clear();
  return std::vector<TensorType>{std::move(result)};
}

} // namespace

const OpDef kFused{.name = "fused",
                   .summary =
                       "A group of operators that becomes one kernel: an anchor, then elementwise operators.",
                   .operands = "x...",
                   .cls = OpClass::Opaque,
                   .layout = LayoutRule::FollowInput,
                   .prototype = {},
                   .infer = inferFused};

Status checkOperands(const OpDef &op, std::span<const ValueId> inputs) {
  auto fail = [&](const std::string &text) { return badInput(std::string(op.name) + ": " + text); };
  std::vector<std::string_view> named = operandNames(op.operands);
  bool variadic = !named.empty() && named.back().ends_with("...");
  if (!variadic && inputs.size() > named.size())
    return fail("takes (" + std::string(op.operands) + "), not " + std::to_string(inputs.size()) +
                " operands");
  for (size_t i = 0; i < std::max(named.size(), inputs.size()); ++i) {
    bool given = i < inputs.size() && inputs[i] != kAbsent;
    bool optional = i < named.size() && named[i].ends_with("?");
    if (!given && !optional)
      return fail("operand " + std::to_string(i) + " of (" + std::string(op.operands) + ") is missing");
  }
  return {};
}

const OpDef *findOp(std::span<const OpDef *const> ops, std::string_view name) {
  if (name == kFused.name) return &kFused;
  auto found = std::ranges::find_if(ops, [&](const OpDef *op) { return op->name == name; });
  return found == ops.end() ? nullptr : *found;
}

View denseView(const TensorType &type) {
  View view{std::vector<loop::Expr>(type.shape.size(), loop::imm(1)), loop::imm(0)};
  loop::Expr stride = loop::imm(1);
  for (size_t i = type.shape.size(); i-- > 0;) {
    size_t dim = type.layout.empty() ? i : type.layout[i];
    view.strides[dim] = stride;
    stride = stride * loop::extentOf(type.shape[dim]);
  }
  return view;
}

loop::Compute overOutput(const OpView &v, std::string name) {
  static constexpr std::string_view kImage[] = {"n", "c", "h", "w"}, kSequence[] = {"n", "c", "w"};
  loop::Compute c;
  c.name = std::move(name);
  c.out = v.out;
  const Shape &shape = v.outType.shape;
  for (size_t i = 0; i < shape.size(); ++i) {
    std::string axis = shape.size() == 4   ? std::string(kImage[i])
                       : shape.size() == 3 ? std::string(kSequence[i])
                                           : "i" + std::to_string(i);
    Var iter = loop::var(std::move(axis), Type{DType::i64, 1}, 0, std::max<int64_t>(shape[i].upper() - 1, 0));
    c.space.push_back({iter, loop::extentOf(shape[i])});
    c.outIndices.push_back(loop::use(iter));
  }
  return c;
}

std::vector<loop::Expr> broadcastIndices(const OpView &v, int input, const std::vector<loop::Expr> &at) {
  const Shape &in = v.inTypes[size_t(input)].shape, &out = v.outType.shape;
  PLANISH_CHECK(in.size() <= at.size(), "an operand of higher rank than what it broadcasts to");
  std::vector<loop::Expr> r;
  for (size_t d = 0; d < in.size(); ++d) {
    size_t position = at.size() - in.size() + d;
    const loop::Expr &index = at[position];
    bool aligned = at.size() == out.size();
    if (in[d].isConstant()) r.push_back(in[d].constant() == 1 ? loop::imm(0) : index);
    else if ((aligned && in[d] == out[position]) || in[d].lower() > 1) r.push_back(index);
    else r.push_back(loop::min(index, loop::extentOf(in[d]) - 1));
  }
  return r;
}

} // namespace planish::graph
