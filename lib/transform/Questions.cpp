#include "Questions.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace planish::transform {

namespace {

loop::Buffer bufferOf(const TensorType &type, const char *name) {
  std::vector<loop::Expr> extents;
  for (const Dim &d : type.shape) extents.push_back(loop::extentOf(d));
  return loop::buffer(name, type.dtype, std::move(extents));
}

bool isUnit(const Dim &d) { return d.isConstant() && d.constant() == 1; }

/// A stride with every symbol at its bound: sizes are compared at the sizes that memory is planned for.
int64_t atBound(const loop::Expr &e) {
  loop::Substitution bounds;
  loop::walk(e, [&](const loop::Expr &x) {
    if (auto *v = loop::as<loop::VarRef>(x)) bounds[v->var] = loop::imm(v->var->upper);
  });
  auto value = loop::constantOf(loop::simplify(loop::substitute(e, bounds), {}));
  return value ? std::abs(*value) : 0;
}

/// `order` with the dimensions of size 1 first, and nothing where that is the order as written.
Layout withUnitsFirst(const std::vector<uint8_t> &order, const Shape &shape) {
  Layout r, rest;
  for (uint8_t d : order) (isUnit(shape[d]) ? r : rest).push_back(d);
  if (std::ranges::is_sorted(rest)) return {};
  std::ranges::sort(r);
  r.insert(r.end(), rest.begin(), rest.end());
  return r;
}

} // namespace

graph::OpView opView(const Graph &g, const Node &node) {
  graph::OpView view{node.attrs, {}, g.type(node.outputs[0]), {}, {}};
  for (ValueId v : node.inputs) {
    view.inTypes.push_back(v == kAbsent ? TensorType{} : g.type(v));
    view.in.push_back(v == kAbsent ? nullptr : bufferOf(g.type(v), "x"));
  }
  view.out = bufferOf(view.outType, "y");
  return view;
}

std::optional<Meaning> meaningOf(const Graph &g, const Node &node) {
  if (!node.op->compute || node.outputs.size() != 1) return std::nullopt;
  graph::OpView view = opView(g, node);
  loop::Compute compute = node.op->compute(view);
  return Meaning{std::move(view), std::move(compute)};
}

int operandRead(const Meaning &m, const loop::Expr &e, bool selected) {
  auto *access = loop::as<loop::Load>(e);
  if (!access || (access->mask && !selected)) return -1;
  auto found = std::ranges::find(m.view.in, access->buffer);
  return found == m.view.in.end() ? -1 : int(found - m.view.in.begin());
}

std::optional<Pair> pairOf(const Graph &g, const Node &node) {
  if (node.op->cls != graph::OpClass::Elementwise || node.inputs.size() != 2) return std::nullopt;
  auto meaning = meaningOf(g, node);
  auto *binary = meaning ? loop::as<loop::Binary>(meaning->compute.value) : nullptr;
  if (!binary || meaning->compute.value->type.dtype != DType::f32) return std::nullopt;
  int a = operandRead(*meaning, binary->a), b = operandRead(*meaning, binary->b);
  if (a < 0 || b < 0 || a == b) return std::nullopt;
  return Pair{binary->op, size_t(a), size_t(b)};
}

bool isRenaming(const Node &node) {
  return node.op->cls == graph::OpClass::Movement && node.op->outputView && node.inputs.size() == 1 &&
         node.outputs.size() == 1;
}

bool isJoin(const Node &node) {
  return node.op->cls == graph::OpClass::Movement && node.op->inputView && !node.op->outputView &&
         node.outputs.size() == 1;
}

std::optional<graph::View> throughChain(const Graph &g, const std::vector<NodeId> &chain,
                                        const TensorType &from) {
  std::optional<graph::View> view = graph::denseView(from);
  for (size_t i = chain.size(); view && i-- > 0;) {
    const Node &node = g[chain[i]];
    view = node.op->outputView(opView(g, node), *view);
  }
  return view;
}

loop::Expr withoutUnitAxes(const loop::Compute &c, const loop::Expr &e) {
  loop::Substitution single;
  for (auto *axes : {&c.space, &c.reduce})
    for (const loop::Iter &axis : *axes)
      if (loop::constantOf(axis.extent) == 1) single[axis.var] = loop::imm(0);
  return loop::substitute(e, single);
}

bool equal(const graph::View &a, const graph::View &b, const Shape &shape) {
  auto same = [](const loop::Expr &x, const loop::Expr &y) {
    return loop::equal(loop::affine(x), loop::affine(y));
  };
  if (a.strides.size() != shape.size() || b.strides.size() != shape.size() || !same(a.offset, b.offset))
    return false;
  for (size_t d = 0; d < shape.size(); ++d)
    if (!isUnit(shape[d]) && !same(a.strides[d], b.strides[d])) return false;
  return true;
}

Layout orderOf(const graph::View &view, const Shape &shape) {
  std::vector<uint8_t> order(shape.size());
  std::iota(order.begin(), order.end(), uint8_t(0));
  std::vector<int64_t> strides;
  for (const loop::Expr &s : view.strides) strides.push_back(atBound(s));
  std::ranges::stable_sort(order, [&](uint8_t a, uint8_t b) { return strides[a] > strides[b]; });
  return withUnitsFirst(order, shape);
}

Layout normalized(const Layout &layout, const Shape &shape) {
  return layout.empty() ? layout : withUnitsFirst(layout, shape);
}

} // namespace planish::transform
