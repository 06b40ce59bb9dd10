#include "planish/graph/Verify.h"

#include <algorithm>
#include <set>

namespace planish::graph {

class Verifier {
public:
  explicit Verifier(const Graph &graph) : g(graph), rebuilt(Graph::regionOf(graph)) {}

  Status run() {
    PLANISH_TRY(checkValues());
    PLANISH_TRY(checkSizes());
    for (ValueId v : g.inputs()) rebuildLeaf(v);
    for (uint32_t n = 0; n < g.nodes().size(); ++n) PLANISH_TRY(checkNode({n}));
    for (ValueId v : g.outputs()) {
      if (v.index >= g.values().size()) return failed("an output is no value of the graph");
      if (!defined(v)) return failed("output '" + g[v].name + "' has no definition");
    }
    return {};
  }

private:
  bool defined(ValueId v) const { return g[v].isConstant() || map[v.index] != kAbsent; }

  void rebuildLeaf(ValueId v) {
    const Value &value = g[v];
    rebuild(v, value.isConstant() ? rebuilt.addConstant(value.type, value.data)
                                  : rebuilt.addInput(value.type, ""));
  }
  void rebuild(ValueId v, ValueId made) {
    map[v.index] = made;
    for (const Symbol &s : g.symbols())
      if (s.value == v) rebuilt.bindSize(s.var, made);
  }

  /// A size is held by an integer that is there, and by nothing that depends on the size.
  Status checkSizes() {
    for (const Symbol &s : g.symbols()) {
      if (s.value == kAbsent) continue;
      auto fail = [&](const std::string &text) { return failed("the size '" + s.var->name + "' " + text); };
      if (s.value.index >= g.values().size()) return fail("is held by no value of the graph");
      const TensorType &type = g.type(s.value);
      auto count = elementCount(type.shape);
      if (type.dtype != DType::i64 || !count || s.element < 0 || s.element >= *count)
        return fail("is no element of " + textOf(type));
    }
    return {};
  }
  /// Symbols of this graph's own values are known only after those.
  Status checkKnown(const TensorType &type, const std::string &name) const {
    for (const Dim &d : type.shape) {
      if (d.isConstant()) continue;
      for (const Symbol &s : g.symbols())
        if (s.var == d.symbol() && s.value != kAbsent && !defined(s.value))
          return failed("value '" + name + "' has the size '" + s.var->name + "' before it is computed");
    }
    return {};
  }

  Status checkValues() {
    std::set<std::string_view> names;
    map.assign(g.values().size(), kAbsent);
    for (const Value &v : g.values()) {
      auto fail = [&](const std::string &text) { return failed("value '" + v.name + "' " + text); };
      if (!names.insert(v.name).second) return fail("has the name of another value");
      if (v.isConstant() && v.def) return fail("is a constant and the result of a node");
      if (auto count = elementCount(v.type.shape);
          v.isConstant() && (!count || size_t(*count) * size_t(byteSize(v.type.dtype)) != v.data->size()))
        return fail("has " + std::to_string(v.data->size()) + " bytes, not those of " + textOf(v.type));
      Layout order = v.type.layout;
      std::ranges::sort(order);
      for (size_t i = 0; i < order.size(); ++i)
        if (order[i] != i || order.size() != v.type.shape.size())
          return fail("has a layout that is no permutation");
    }
    return {};
  }

  Status checkNode(NodeId id) {
    const Node &n = g[id];
    auto fail = [&](const std::string &text) {
      return failed("node " + std::to_string(id.index) + " (" + std::string(n.op->name) + ") " + text);
    };
    std::vector<ValueId> inputs;
    for (ValueId v : n.inputs) {
      if (v != kAbsent && v.index >= g.values().size()) return fail("reads no value of the graph");
      if (v != kAbsent && !defined(v)) return fail("reads '" + g[v].name + "' before it is computed");
      if (v != kAbsent && map[v.index] == kAbsent) rebuildLeaf(v);
      inputs.push_back(v == kAbsent ? v : map[v.index]);
    }
    for (const Graph &region : n.regions)
      if (Status s = Verifier(region).run(); !s) return fail("region: " + s.error().text);
    auto made = rebuilt.append(*n.op, n.attrs, std::move(inputs), {}, {}, n.regions);
    if (!made) return fail(made.error().text);
    if (made->size() != n.outputs.size()) return fail("has " + std::to_string(n.outputs.size()) + " results");
    for (size_t i = 0; i < made->size(); ++i) {
      ValueId v = n.outputs[i];
      if (v.index >= g.values().size() || g[v].def != id) return fail("has a result that is not its own");
      TensorType inferred = rebuilt.type((*made)[i]);
      inferred.layout = g.type(v).layout;
      if (!(inferred == g.type(v)))
        return fail("result '" + g[v].name + "' has type " + textOf(g.type(v)) + " instead of " +
                    textOf(inferred));
      PLANISH_TRY(checkKnown(inferred, g[v].name));
      rebuild(v, (*made)[i]);
    }
    return {};
  }

  const Graph &g;
  Graph rebuilt;  // the same nodes, inferred anew
  std::vector<ValueId> map;
};

Status verify(const Graph &g) { return Verifier(g).run(); }

} // namespace planish::graph
