#include "Contractions.h"

namespace planish::transform {

static bool sameIndex(const loop::Compute &c, const loop::Expr &a, const loop::Expr &b) {
  return loop::equal(loop::affine(withoutUnitAxes(c, a)), loop::affine(withoutUnitAxes(c, b)));
}

std::optional<int> biasOf(const Meaning &m, size_t dim) {
  if (!m.compute.init) return -1;
  int operand = operandRead(m, m.compute.init);
  if (operand < 0) {
    auto *zero = loop::as<loop::FloatImm>(m.compute.init);
    return zero && zero->value == 0 ? std::optional(-1) : std::nullopt;
  }
  auto *access = loop::as<loop::Load>(m.compute.init);
  if (access->indices.size() != 1 || !sameIndex(m.compute, access->indices[0], m.compute.outIndices[dim]))
    return std::nullopt;
  return operand;
}

std::optional<Channels> channelsOf(const Graph &g, const Node &node, const Meaning &m, size_t dim) {
  const loop::Compute &c = m.compute;
  auto *result = loop::as<loop::VarRef>(c.value);
  if (c.combine != loop::Combine::Sum || c.accumulator != DType::f32 || !result || result->var != c.sum)
    return std::nullopt;
  Channels r;
  for (const loop::Expr &factor : {c.rhs, c.lhs}) {
    int operand = factor ? operandRead(m, factor) : -1;
    if (operand < 0 || !g[node.inputs[size_t(operand)]].isConstant()) continue;
    const std::vector<loop::Expr> &indices = loop::as<loop::Load>(factor)->indices;
    for (size_t d = 0; d < indices.size(); ++d) {
      if (!sameIndex(c, indices[d], c.outIndices[dim])) continue;
      auto bias = biasOf(m, dim);
      if (!bias || (*bias >= 0 && !g[node.inputs[size_t(*bias)]].isConstant())) return std::nullopt;
      r.weight = size_t(operand), r.weightDim = d, r.dim = dim, r.bias = *bias;
      return r;
    }
  }
  return std::nullopt;
}

std::optional<Channels> channelsOf(const Graph &g, const Node &node, const Meaning &m) {
  const Shape &shape = g.type(node.outputs[0]).shape;
  for (bool units : {false, true}) // what has one slice only fits anything of one slice
    for (size_t d = 0; d < m.compute.outIndices.size(); ++d)
      if ((shape[d] == Dim(1)) == units)
        if (auto found = channelsOf(g, node, m, d)) return found;
  return std::nullopt;
}

double multiplicationsOf(const Graph &g, const Node &node) {
  auto meaning = meaningOf(g, node);
  if (!meaning) return 0;
  double r = 1;
  for (auto *axes : {&meaning->compute.space, &meaning->compute.reduce})
    for (const loop::Iter &axis : *axes) r *= double(loop::rangeOf(axis.extent).hi);
  return r;
}

} // namespace planish::transform
