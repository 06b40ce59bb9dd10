#include "planish/transform/Switches.h"

#include "Contractions.h"

#include "planish/ops/Ops.h"

#include <algorithm>
#include <iterator>

namespace planish::transform {

using graph::Coding;
using graph::Graph;
using graph::OpClass;

namespace {

class SwitchMaker {
public:
  explicit SwitchMaker(const Graph &g) : old(g), uses(g.uses()), outputUses(g.outputUses()), r(g) {}

  Result<SwitchGraph> run() {
    for (uint32_t n = 0; n < old.nodes().size(); ++n) {
      PLANISH_TRY(r.copy({n}));
      if (isActivationDecode(old[NodeId{n}])) PLANISH_TRY(mix({n}));
    }
    for (ValueId v : lastResults()) made.results.push_back(r(v));
    r.graph().setOutputs(made.results);
    made.graph = r.graph();
    return std::move(made);
  }

private:
  bool isActivationDecode(const Node &node) const {
    ValueId codes = node.inputs.empty() ? kAbsent : node.inputs[0];
    return node.op->coding == Coding::Decodes && old[codes].def &&
           old[*old[codes].def].op->coding == Coding::Encodes;
  }

  /// x + switch * (decoded - x) in place of what is decoded.
  Status mix(NodeId id) {
    const Node &decode = old[id];
    ValueId decoded = decode.outputs[0], x = r(old[*old[decode.inputs[0]].def].inputs[0]);
    SwitchedLayer layer = describe(decoded);
    Graph &g = r.graph();
    ValueId given = g.addInput({DType::f32, {Dim(1)}, {}, {}}, "switch" + std::to_string(made.layers.size()));
    layer.input = g[given].name;
    PLANISH_ASSIGN(auto error, g.append(ops::row(ops::Arithmetic::Sub), {}, {r(decoded), x}, decode.loc));
    PLANISH_ASSIGN(auto switched,
                   g.append(ops::row(ops::Arithmetic::Mul), {}, {error[0], given}, decode.loc));
    PLANISH_ASSIGN(auto sum, g.append(ops::row(ops::Arithmetic::Add), {}, {x, switched[0]}, decode.loc));
    r.replace(decoded, sum[0]);
    made.layers.push_back(std::move(layer));
    return {};
  }

  SwitchedLayer describe(ValueId decoded) {
    SwitchedLayer layer;
    bool alone = outputUses[decoded.index] == 0;
    for (NodeId n : uses[decoded.index]) {
      const Node &reader = old[n];
      alone = alone && reader.op->cls == OpClass::Contraction && !reader.loc.onnxNodes.empty();
      if (!alone) break;
      layer.readers.push_back(reader.loc.onnxNodes[0]);
      layer.cost += multiplicationsOf(old, reader);
    }
    if (!alone) layer.readers.clear();
    for (NodeId n : uses[decoded.index])
      if (old[n].op->cls == OpClass::Contraction) made.cost += multiplicationsOf(old, old[n]);
    return layer;
  }

  /// Behind which nothing becomes codes.
  std::vector<ValueId> lastResults() const {
    std::vector<ValueId> last;
    std::vector<bool> leads(old.nodes().size(), false); // to codes, or to another contraction
    for (uint32_t n = uint32_t(old.nodes().size()); n-- > 0;) {
      const Node &node = old[NodeId{n}];
      bool contracts = node.op->cls == OpClass::Contraction;
      bool behind = std::ranges::any_of(node.outputs, [&](ValueId v) {
        return std::ranges::any_of(uses[v.index], [&](NodeId u) { return bool(leads[u.index]); });
      });
      leads[n] = behind || contracts || node.op->coding == Coding::Encodes;
      if (contracts && !behind && isReal(node.outputs[0])) last.push_back(node.outputs[0]);
    }
    if (last.empty())
      std::ranges::copy_if(old.outputs(), std::back_inserter(last), [&](ValueId v) { return isReal(v); });
    return last;
  }
  bool isReal(ValueId v) const { return old.type(v).dtype == DType::f32; }

  const Graph &old;
  std::vector<std::vector<NodeId>> uses;
  std::vector<int> outputUses;
  graph::Rebuilder r;
  SwitchGraph made;
};

} // namespace

Result<SwitchGraph> switchGraph(const Graph &coded) { return SwitchMaker(coded).run(); }

} // namespace planish::transform
