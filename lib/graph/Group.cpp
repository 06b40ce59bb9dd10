// One node, or one fused group, as one computation.

#include "Immediate.h"
#include "planish/graph/Evaluate.h"
#include "planish/loop/Rewrite.h"

#include <algorithm>

namespace planish::graph {

namespace {

using loop::Expr;

loop::Buffer placeholder(const TensorType &type) {
  std::vector<Expr> extents;
  for (const Dim &d : type.shape) extents.push_back(loop::extentOf(d));
  return loop::buffer("held", type.dtype, std::move(extents));
}

loop::Compute rowCompute(const Node &node, const Graph &g, std::vector<loop::Buffer> in, loop::Buffer out) {
  PLANISH_CHECK(node.op->compute && node.outputs.size() == 1,
                std::string(node.op->name) + " has no definition by index");
  OpView view{node.attrs, {}, g.type(node.outputs[0]), std::move(in), std::move(out)};
  for (ValueId v : node.inputs) view.inTypes.push_back(v == kAbsent ? TensorType{} : g.type(v));
  return node.op->compute(view);
}

void rewriteAll(loop::Compute &c, const loop::ExprFn &fn) {
  for (Expr *e : {&c.init, &c.lhs, &c.rhs, &c.value})
    if (*e) *e = loop::rewrite(*e, fn);
  for (Expr &guard : c.where) guard = loop::rewrite(guard, fn);
}

/// Constants of one element are immediates of the kernel, not memory it reads.
void inlineScalars(loop::Compute &c, const Node &node, const Graph &g, const std::vector<loop::Buffer> &in) {
  std::map<loop::Buffer, Expr> scalars;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    ValueId v = node.inputs[i];
    if (v != kAbsent && g[v].isConstant() && elementCount(g.type(v).shape) == 1)
      scalars[in[i]] = immediateOf(g[v], 0);
  }
  if (scalars.empty()) return;
  rewriteAll(c, [&](const Expr &e) {
    auto *access = loop::as<loop::Load>(e);
    auto found = access ? scalars.find(access->buffer) : scalars.end();
    if (found == scalars.end()) return e;
    return access->mask ? loop::select(access->mask, found->second, loop::constant(0, e->type))
                        : found->second;
  });
}

/// What an elementwise member of a group computes at the anchor's output indices, over the values
/// that the group has computed so far.
Expr memberValue(const Node &member, const Graph &body, std::vector<loop::Buffer> buffers,
                 const std::map<ValueId, Expr> &computed, const std::vector<Expr> &at) {
  std::map<loop::Buffer, Expr> inside;
  for (size_t i = 0; i < member.inputs.size(); ++i) {
    auto found = computed.find(member.inputs[i]);
    if (found == computed.end()) continue;
    buffers[i] = placeholder(body.type(member.inputs[i]));
    inside[buffers[i]] = found->second;
  }
  loop::Compute c = rowCompute(member, body, std::move(buffers), placeholder(body.type(member.outputs[0])));
  PLANISH_CHECK(!c.lhs && c.outIndices.size() == at.size(), "a member of a group that is not elementwise");
  loop::Substitution point;
  for (size_t d = 0; d < at.size(); ++d) {
    auto *axis = loop::as<loop::VarRef>(c.outIndices[d]);
    PLANISH_CHECK(axis, "an elementwise operator that permutes its result");
    point[axis->var] = at[d];
  }
  return loop::rewrite(loop::substitute(c.value, point), [&](const Expr &e) {
    auto *access = loop::as<loop::Load>(e);
    auto found = access ? inside.find(access->buffer) : inside.end();
    return found == inside.end() ? e : found->second;
  });
}

/// Before the anchor stand lookups that it reads, behind it elementwise nodes.
size_t anchorOf(const Graph &body) {
  for (size_t i = body.nodes().size(); i-- > 0;)
    if (body.nodes()[i].op->cls != OpClass::Elementwise) return i;
  return 0;
}

/// Reads of a lookup's result become reads of its operand where the lookup says.
void inlineLookup(loop::Compute &c, const Node &lookup, const Graph &body, std::vector<loop::Buffer> buffers,
                  const std::map<ValueId, loop::Buffer> &operands) {
  const loop::Buffer &result = operands.at(lookup.outputs[0]);
  loop::Compute from = rowCompute(lookup, body, std::move(buffers), result);
  rewriteAll(c, [&](const Expr &e) {
    auto *access = loop::as<loop::Load>(e);
    if (!access || access->buffer != result) return e;
    loop::Substitution point;
    for (size_t d = 0; d < access->indices.size(); ++d) {
      auto *axis = loop::as<loop::VarRef>(from.outIndices[d]);
      PLANISH_CHECK(axis, "a lookup that permutes its result");
      point[axis->var] = access->indices[d];
    }
    auto *element = loop::as<loop::Load>(from.value);
    PLANISH_CHECK(element && !element->mask, "a member before the anchor that is no lookup");
    std::vector<Expr> at;
    for (const Expr &i : element->indices) at.push_back(loop::substitute(i, point));
    return loop::load(element->buffer, at, access->mask);
  });
  c.name = std::string(lookup.op->name) + "_" + c.name;
}

loop::Compute groupCompute(const Graph &body, const std::vector<loop::Buffer> &in, const loop::Buffer &out) {
  std::map<ValueId, loop::Buffer> operands;
  for (size_t i = 0; i < in.size(); ++i) operands[body.inputs()[i]] = in[i];
  auto buffersOf = [&](const Node &n) {
    std::vector<loop::Buffer> r;
    for (ValueId v : n.inputs) r.push_back(operands.contains(v) ? operands.at(v) : nullptr);
    return r;
  };
  size_t at = anchorOf(body);
  for (size_t i = 0; i < at; ++i)
    operands[body.nodes()[i].outputs[0]] = placeholder(body.type(body.nodes()[i].outputs[0]));
  const Node &anchor = body.nodes()[at];
  loop::Compute c = rowCompute(anchor, body, buffersOf(anchor), placeholder(body.type(anchor.outputs[0])));
  for (size_t i = at; i-- > 0;) inlineLookup(c, body.nodes()[i], body, buffersOf(body.nodes()[i]), operands);
  std::map<ValueId, Expr> computed{{anchor.outputs[0], c.value}};
  for (const Node &member : body.nodes().subspan(at + 1)) {
    computed[member.outputs[0]] = memberValue(member, body, buffersOf(member), computed, c.outIndices);
    c.name += "_" + std::string(member.op->name);
  }
  c.value = computed.at(body.outputs()[0]);
  c.out = out;
  return c;
}

} // namespace

loop::Compute computeOf(const Node &node, const Graph &g, const std::vector<loop::Buffer> &in,
                        const loop::Buffer &out) {
  loop::Compute c =
      node.op == &kFused ? groupCompute(node.regions[0], in, out) : rowCompute(node, g, in, out);
  inlineScalars(c, node, g, in);
  loop::collectParams(c);
  return c;
}

loop::Function loopsOf(const Node &node, const Graph &g, std::vector<loop::Buffer> in,
                       std::vector<loop::Buffer> out) {
  LoopsView view{node.attrs, {}, {}, in, out};
  for (ValueId v : node.inputs) view.inTypes.push_back(v == kAbsent ? TensorType{} : g.type(v));
  for (ValueId v : node.outputs) view.outTypes.push_back(g.type(v));
  loop::Function f{std::string(node.op->name), {}, {}, node.op->loops(view)};
  for (const auto *buffers : {&in, &out})
    for (const loop::Buffer &b : *buffers)
      if (b && std::ranges::find(f.params, b) == f.params.end()) f.params.push_back(b);
  f.scalars = loop::freeVariables(f);
  return f;
}

} // namespace planish::graph
