#include "Questions.h"
#include "planish/transform/Passes.h"

#include <algorithm>

namespace planish::transform {

namespace {

/// A node that stores its only operand as it is (a conversion to the same type ...).
bool storesOperand(const Graph &g, const Node &node) {
  if (node.inputs.size() != 1 || node.op->cls != graph::OpClass::Elementwise) return false;
  if (!(g.type(node.inputs[0]) == g.type(node.outputs[0]))) return false;
  auto meaning = meaningOf(g, node);
  auto *access = meaning ? loop::as<loop::Load>(meaning->compute.value) : nullptr;
  return access && !access->mask && access->buffer == meaning->view.in[0] &&
         std::ranges::equal(access->indices, meaning->compute.outIndices,
                            [](const loop::Expr &a, const loop::Expr &b) { return loop::equal(a, b); });
}

class Canonicalizer {
public:
  explicit Canonicalizer(const Graph &g) : r(g) {}

  Result<Graph> run() {
    for (uint32_t n = 0; n < r.old().nodes().size(); ++n) PLANISH_TRY(visit({n}));
    return r.finish();
  }

private:
  Status visit(NodeId id) {
    const Node &node = r.old()[id];
    PLANISH_TRY(r.copy(id));
    if (node.outputs.size() != 1) return {};
    ValueId made = r(node.outputs[0]);
    if (storesOperand(r.graph(), definition(made))) {
      replaceIfAllowed(node.outputs[0], definition(made).inputs[0]);
      return {};
    }
    if (isRenaming(definition(made))) return mergeRenamings(node.outputs[0], made);
    if (isJoin(definition(made))) return joinWholes(node.outputs[0], made);
    return {};
  }

  const Node &definition(ValueId v) const { return constGraph()[*constGraph()[v].def]; }
  const Graph &constGraph() const { return const_cast<graph::Rebuilder &>(r).graph(); }

  bool replaceIfAllowed(ValueId old, ValueId made) {
    if (!r.mayReplace(old, made)) return false;
    r.replace(old, made);
    return true;
  }

  std::optional<graph::View> viewThrough(const Node &node, const graph::View &from) const {
    return node.op->outputView(opView(constGraph(), node), from);
  }

  /// Looks for an earlier value that a chain of renamings ends up with again, or from which the last of
  /// them alone gets to the same place.
  Status mergeRenamings(ValueId old, ValueId made) {
    const Graph &g = constGraph();
    std::vector<NodeId> chain{*g[made].def};  // last one first
    ValueId nearest = kAbsent;
    for (ValueId source = definition(made).inputs[0];; source = definition(source).inputs[0]) {
      TensorType from = g.type(source);
      auto end = throughChain(g, chain, from);
      if (end && from == g.type(made) && equal(*end, graph::denseView(from), from.shape) &&
          replaceIfAllowed(old, source))
        return {};
      if (end && chain.size() > 1 && leadsTo(chain.front(), source, made, *end)) nearest = source;
      if (!g[source].def || !isRenaming(definition(source))) break;
      chain.push_back(*g[source].def);
    }
    if (nearest == kAbsent) return {};
    Node last = g[chain.front()];
    Loc loc = last.loc;
    for (NodeId id : chain) {
      if (g[id].outputs[0] == nearest) break;
      loc = graph::merged(loc, g[id].loc);
    }
    PLANISH_ASSIGN(std::vector<ValueId> results, r.graph().append(*last.op, last.attrs, {nearest}, loc));
    r.replace(old, results[0]);
    return {};
  }

  /// Whether the node, applied to `source` instead, gives the same elements.
  bool leadsTo(NodeId id, ValueId source, ValueId made, const graph::View &end) const {
    const Graph &g = constGraph();
    Graph probe = Graph::regionOf(g);
    ValueId input = probe.addInput(g.type(source), "x");
    auto results = probe.append(*g[id].op, g[id].attrs, {input}, {});
    if (!results || results->size() != 1 || !(probe.type((*results)[0]) == g.type(made))) return false;
    auto direct = g[id].op->outputView(opView(probe, probe.nodes()[0]), graph::denseView(g.type(source)));
    return direct && equal(*direct, end, g.type(made).shape);
  }

  /// Operands that are, one after the other, the parts of one value become that value: a split whose
  /// pieces meet again.
  Status joinWholes(ValueId old, ValueId made) {
    const Node join = definition(made);
    std::vector<ValueId> operands;
    Loc loc = join.loc;
    for (size_t first = 0; first < join.inputs.size();) {
      size_t last = join.inputs.size();
      while (last > first + 1 && !arePartsOfOne(join, first, last)) --last;
      if (last > first + 1) operands.push_back(definition(join.inputs[first]).inputs[0]);
      else operands.push_back(join.inputs[first]);
      first = last;
    }
    if (operands.size() == join.inputs.size()) return {};
    if (operands.size() == 1 && replaceIfAllowed(old, operands[0])) return {};
    PLANISH_ASSIGN(std::vector<ValueId> results, r.graph().append(*join.op, join.attrs, operands, loc));
    r.replace(old, results[0]);
    return {};
  }

  /// Whether operands first .. last-1 are views of one value that, put in their place, lies where they do.
  bool arePartsOfOne(const Node &join, size_t first, size_t last) const {
    const Graph &g = constGraph();
    auto sourceOf = [&](ValueId v) {
      bool isView = v != kAbsent && g[v].def && isRenaming(definition(v));
      return isView ? definition(v).inputs[0] : kAbsent;
    };
    ValueId whole = sourceOf(join.inputs[first]);
    if (whole == kAbsent || g.type(whole).rank() != g.type(join.outputs[0]).rank()) return false;
    for (size_t i = first; i < last; ++i)
      if (sourceOf(join.inputs[i]) != whole) return false;

    Graph probe = Graph::regionOf(g);
    std::vector<ValueId> operands;
    for (size_t i = 0; i < join.inputs.size(); ++i)
      if (i <= first || i >= last)
        operands.push_back(probe.addInput(g.type(i == first ? whole : join.inputs[i]), ""));
    auto joined = probe.append(*join.op, join.attrs, operands, {});
    if (!joined || !(probe.type((*joined)[0]) == g.type(join.outputs[0]))) return false;

    graph::View out = graph::denseView(g.type(join.outputs[0]));
    auto place = join.op->inputView(opView(probe, probe.nodes()[0]), int(first), out);
    for (size_t i = first; place && i < last; ++i) {
      auto part = viewThrough(definition(join.inputs[i]), *place);
      auto wanted = join.op->inputView(opView(g, join), int(i), out);
      if (!part || !wanted || !equal(*part, *wanted, g.type(join.inputs[i]).shape)) return false;
    }
    return place.has_value();
  }

  using Loc = graph::Loc;
  graph::Rebuilder r;
};

} // namespace

Result<Graph> canonicalize(const Graph &g) { return Canonicalizer(g).run(); }

} // namespace planish::transform
