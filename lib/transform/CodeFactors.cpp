#include "IntegerOperands.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Passes.h"

namespace planish::transform {

Result<Graph> codesByFactors(const Graph &g) {
  graph::Rebuilder r(g);
  for (uint32_t n = 0; n < g.nodes().size(); ++n) {
    const graph::Node &node = g[graph::NodeId{n}];
    auto p = node.op->coding == graph::Coding::Encodes ? parametersOf(g, node) : std::nullopt;
    if (!p || g.type(node.outputs[0]).dtype != DType::u8) {
      PLANISH_TRY(r.copy(graph::NodeId{n}));
      continue;
    }
    ValueId factor = r.graph().addConstant(DType::f32, {}, std::vector<float>{float(1 / p->scale)});
    PLANISH_ASSIGN(std::vector<ValueId> codes,
                   r.graph().append(ops::kRequantize, ops::RequantizeAttrs{p->zero, 0, 255},
                                    {r(node.inputs[0]), factor}, node.loc));
    r.replace(node.outputs[0], codes[0]);
  }
  return r.finish();
}

PassRow codeFactorsRow() {
  return {"code-factors", "multiplies by inverse scales to make codes of real numbers", codesByFactors};
}

} // namespace planish::transform
