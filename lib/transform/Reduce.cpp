#include "planish/transform/Reduce.h"

#include "planish/transform/Passes.h"

#include <algorithm>

namespace planish::transform {

namespace {

using graph::NodeId;
using graph::Rebuilder;
using graph::ValueId;

/// The graph if it is one that may be printed and parsed.
std::optional<Graph> checked(Result<Graph> g) {
  if (!g || g->outputs().empty() || !checkGraph(*g)) return std::nullopt;
  return *std::move(g);
}

/// Without the outputs from `first` up to `last`.
std::optional<Graph> withoutOutputs(const Graph &g, size_t first, size_t last) {
  Graph smaller = g;
  std::vector<ValueId> outputs(g.outputs().begin(), g.outputs().end());
  outputs.erase(outputs.begin() + long(first), outputs.begin() + long(last));
  smaller.setOutputs(std::move(outputs));
  return checked(graph::withoutDeadNodes(smaller));
}

/// The graph where each result of a node is what `instead` gives.
template <class F> std::optional<Graph> withResults(const Graph &g, size_t node, F instead) {
  Rebuilder r(g);
  for (size_t n = 0; n < g.nodes().size(); ++n) {
    const NodeId id{uint32_t(n)};
    if (n != node) {
      if (!r.copy(id)) return std::nullopt;
      continue;
    }
    for (ValueId v : g[id].outputs) {
      const std::optional<ValueId> other = instead(r, v);
      if (!other || !r.mayReplace(v, *other)) return std::nullopt;
      r.replace(v, *other);
    }
  }
  return checked(r.finish());
}

/// An input of its type instead of every result of a node.
std::optional<Graph> cutAt(const Graph &g, size_t node) {
  return withResults(g, node, [&](Rebuilder &r, ValueId v) -> std::optional<ValueId> {
    if (!constantShape(g.type(v).shape)) return std::nullopt;
    TensorType type = g.type(v);
    type.layout.clear();
    return r.graph().addInput(std::move(type), g[v].name);
  });
}

/// An operand of the same type instead of a node's only result.
std::optional<Graph> bypass(const Graph &g, size_t node, ValueId operand) {
  if (operand == graph::kAbsent || g[g.nodes()[node].outputs[0]].type != g.type(operand)) return std::nullopt;
  if (g.nodes()[node].outputs.size() != 1) return std::nullopt;
  return withResults(g, node, [&](Rebuilder &r, ValueId) { return std::optional(r(operand)); });
}

/// Without the inputs that nothing reads; sizes that inputs bring stay.
std::optional<Graph> withoutIdleInputs(const Graph &g) {
  std::vector<bool> read(g.values().size());
  for (const graph::Node &n : g.nodes())
    for (ValueId v : n.inputs)
      if (v != graph::kAbsent) read[v.index] = true;
  const bool all = std::ranges::all_of(g.inputs(), [&](ValueId v) { return bool(read[v.index]); });
  if (all || !g.symbols().empty()) return std::nullopt;
  Graph r;
  std::vector<ValueId> now(g.values().size(), graph::kAbsent);
  for (ValueId v : g.inputs())
    if (read[v.index]) now[v.index] = r.addInput(g.type(v), g[v].name);
  auto mapped = [&](ValueId v) {
    if (v != graph::kAbsent && now[v.index] == graph::kAbsent && g[v].isConstant())
      now[v.index] = r.addConstant(g[v].type, g[v].data, g[v].name);
    return v == graph::kAbsent ? v : now[v.index];
  };
  for (const graph::Node &n : g.nodes()) {
    std::vector<ValueId> inputs;
    std::vector<std::string> names;
    for (ValueId v : n.inputs) inputs.push_back(mapped(v));
    for (ValueId v : n.outputs) names.push_back(g[v].name);
    auto made = r.append(*n.op, n.attrs, std::move(inputs), n.loc, std::move(names), n.regions);
    if (!made) return std::nullopt;
    for (size_t k = 0; k < made->size(); ++k) {
      now[n.outputs[k].index] = (*made)[k];
      r.setLayout((*made)[k], g.type(n.outputs[k]).layout);
    }
  }
  std::vector<ValueId> outputs;
  for (ValueId v : g.outputs()) outputs.push_back(mapped(v));
  r.setOutputs(std::move(outputs));
  return checked(std::move(r));
}

} // namespace

Graph reduce(Graph g, const std::function<bool(const Graph &)> &isInteresting) {
  auto take = [&](std::optional<Graph> smaller) {
    if (!smaller || !isInteresting(*smaller)) return false;
    g = *std::move(smaller);
    return true;
  };
  for (bool changed = true; changed;) {
    changed = false;
    // Outputs in halves, then quarters, down to one by one.
    for (size_t size = (g.outputs().size() + 1) / 2; size > 0 && g.outputs().size() > 1; size /= 2)
      for (size_t at = 0; at < g.outputs().size() && g.outputs().size() > 1;) {
        const size_t end = std::min(at + size, g.outputs().size());
        if (end - at < g.outputs().size() && take(withoutOutputs(g, at, end))) changed = true;
        else at = end;
      }
    // A late cut drops most of what is before it; what is after it goes with the outputs and by bypasses.
    for (size_t n = g.nodes().size(); n-- > 0;) {
      if (n >= g.nodes().size()) continue;
      if (take(cutAt(g, n))) {
        changed = true;
        continue;
      }
      const std::vector<ValueId> operands(g.nodes()[n].inputs.begin(), g.nodes()[n].inputs.end());
      changed |= std::ranges::any_of(operands, [&](ValueId v) { return take(bypass(g, n, v)); });
    }
    changed |= take(withoutIdleInputs(g));
  }
  return g;
}

} // namespace planish::transform
