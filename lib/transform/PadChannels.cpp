// Sums of products of codes are taken four channels at a time. Where there are fewer (the first layer of
// a network, over an image of three), zeros are appended: then a pixel's channels are one word of memory,
// which one load brings to every lane. The image is padded before it becomes codes where it does so alone for
// this sum: one kernel then makes codes, order and padding.
#include "Questions.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Passes.h"

#include <algorithm>

namespace planish::transform {

namespace {

constexpr int64_t kTogether = 4;

/// The dimensions along which an image and constant weights are summed together.
struct Depth {
  size_t image, weights; // operands
  size_t imageDim, weightsDim;
};

/// The dimension of an access whose index is the axis alone.
std::optional<size_t> dimensionOf(const loop::Compute &c, const loop::Expr &access, const Var &axis) {
  std::optional<size_t> found;
  const auto &indices = loop::as<loop::Load>(access)->indices;
  for (size_t d = 0; d < indices.size(); ++d) {
    loop::Expr index = withoutUnitAxes(c, indices[d]);
    if (!loop::dependsOn(index, axis)) continue;
    auto *v = loop::as<loop::VarRef>(index);
    if (!v || found) return std::nullopt;
    found = d;
  }
  return found;
}

/// The short axis that a node sums codes over, if it does.
std::optional<Depth> shortDepth(const Graph &g, const Node &node) {
  if (node.op->cls != graph::OpClass::Contraction) return std::nullopt;
  auto m = meaningOf(g, node);
  if (!m || m->compute.accumulator != DType::i32 || !m->compute.rhs) return std::nullopt;
  auto element = [](const loop::Expr &e) {
    const auto *cast = loop::as<loop::Cast>(e);
    return cast ? cast->value : e;
  };
  loop::Expr left = element(m->compute.lhs), right = element(m->compute.rhs);
  int image = operandRead(*m, left), weights = operandRead(*m, right);
  if (image < 0 || weights < 0) return std::nullopt;
  ValueId x = node.inputs[size_t(image)], w = node.inputs[size_t(weights)];
  if (g[x].isConstant() || !g[w].isConstant() || g.type(x).dtype != DType::u8 || g.type(w).dtype != DType::i8)
    return std::nullopt;
  for (const loop::Iter &axis : m->compute.reduce) {
    auto size = loop::constantOf(axis.extent);
    if (!size || *size < 2 || *size >= kTogether) continue;
    auto a = dimensionOf(m->compute, left, axis.var), b = dimensionOf(m->compute, right, axis.var);
    if (!a || !b || g.type(x).shape[*a] != Dim(*size) || g.type(w).shape[*b] != Dim(*size)) continue;
    return Depth{size_t(image), size_t(weights), *a, *b};
  }
  return std::nullopt;
}

class ChannelPadder {
public:
  explicit ChannelPadder(const Graph &g) : old(g), r(g), uses(g.uses()), outputUses(g.outputUses()) {}

  Result<Graph> run() {
    for (uint32_t n = 0; n < old.nodes().size(); ++n) PLANISH_TRY(visit({n}));
    return r.finish();
  }

private:
  Status visit(NodeId id) {
    const Node &node = old[id];
    auto depth = shortDepth(old, node);
    if (!depth) return r.copy(id);
    std::vector<ValueId> operands = r(node.inputs);
    PLANISH_ASSIGN(operands[depth->image], padded(node.inputs[depth->image], depth->imageDim, node.loc));
    PLANISH_ASSIGN(operands[depth->weights], ops::extended(r.graph(), operands[depth->weights],
                                                           depth->weightsDim, kTogether, node.loc));
    PLANISH_ASSIGN(auto made, r.graph().append(*node.op, node.attrs, operands, node.loc));
    r.replace(node.outputs[0], made[0]);
    return {};
  }

  Result<ValueId> padded(ValueId image, size_t dim, const graph::Loc &loc) {
    auto maker = onlyMaker(image, dim);
    if (!maker) return ops::extended(r.graph(), r(image), dim, kTogether, loc);
    const Node &node = old[*old[image].def];
    std::vector<ValueId> operands = r(node.inputs);
    PLANISH_ASSIGN(operands[*maker], ops::extended(r.graph(), operands[*maker], dim, kTogether, node.loc));
    PLANISH_ASSIGN(auto made, r.graph().append(*node.op, node.attrs, operands, node.loc));
    return made[0];
  }

  /// The operand of the node that makes this value element by element, for nobody else and alike for all
  /// channels.
  std::optional<size_t> onlyMaker(ValueId v, size_t dim) const {
    if (!old[v].def || uses[v.index].size() != 1 || outputUses[v.index]) return std::nullopt;
    const Node &node = old[*old[v].def];
    if (node.op->cls != graph::OpClass::Elementwise || node.outputs.size() != 1) return std::nullopt;
    std::optional<size_t> found;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      ValueId in = node.inputs[i];
      if (in == kAbsent) continue;
      if (old[in].isConstant() && graph::elementCount(old.type(in).shape) == 1) continue;
      if (found || old.type(in).shape != old.type(v).shape || !old.type(in).shape[dim].isConstant())
        return std::nullopt;
      found = i;
    }
    return found;
  }

  const Graph &old;
  graph::Rebuilder r;
  std::vector<std::vector<NodeId>> uses;
  decltype(old.outputUses()) outputUses;
};

} // namespace

Result<Graph> padChannels(const Graph &g) { return ChannelPadder(g).run(); }

} // namespace planish::transform
