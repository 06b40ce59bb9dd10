#include "IntegerOperands.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Passes.h"

namespace planish::transform {

namespace {

/// A product with constants (one, or one per channel) that is read once: what is multiplied, and the
/// constants.
struct Scaled {
  ValueId value;
  Reals factors;
};
std::optional<Scaled> scaledBy(const Graph &g, ValueId v, bool readOnce) {
  if (!readOnce || !g[v].def) return std::nullopt;
  const Node &node = g[*g[v].def];
  auto pair = pairOf(g, node);
  if (!pair || pair->op != loop::BinaryOp::Mul) return std::nullopt;
  ValueId value = node.inputs[pair->a], constant = node.inputs[pair->b];
  if (g[value].isConstant()) std::swap(value, constant);
  auto factors = realsOf(g, constant);
  if (!factors || g[value].isConstant() || g.type(value).shape != g.type(v).shape) return std::nullopt;
  return Scaled{value, *std::move(factors)};
}

} // namespace

Result<Graph> codesByFactors(const Graph &g) {
  graph::Rebuilder r(g);
  auto uses = g.uses();
  auto outputUses = g.outputUses();
  for (uint32_t n = 0; n < g.nodes().size(); ++n) {
    const Node &node = g[NodeId{n}];
    auto p = node.op->coding == graph::Coding::Encodes ? parametersOf(g, node) : std::nullopt;
    if (!p || g.type(node.outputs[0]).dtype != DType::u8) {
      PLANISH_TRY(r.copy(NodeId{n}));
      continue;
    }
    ValueId x = node.inputs[0];
    auto scaled = scaledBy(g, x, uses[x.index].size() == 1 && outputUses[x.index] == 0);
    std::vector<float> factors{float(1 / p->scale)};
    std::vector<int64_t> shape;
    if (scaled) {
      factors.clear();
      for (double factor : scaled->factors.values) factors.push_back(float(factor / p->scale));
      x = scaled->value, shape = scaled->factors.shape;
    }
    // What is in steps already needs no factor.
    std::vector<ValueId> operands{r(x)};
    if (factors != std::vector<float>{1})
      operands.push_back(r.graph().addConstant(DType::f32, shape, factors));
    PLANISH_ASSIGN(
        std::vector<ValueId> codes,
        r.graph().append(ops::kRequantize, ops::RequantizeAttrs{p->zero, 0, 255}, operands, node.loc));
    r.replace(node.outputs[0], codes[0]);
  }
  return r.finish();
}

} // namespace planish::transform
