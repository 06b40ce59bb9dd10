// Making a graph from another one.

#include "Fields.h"
#include "planish/graph/OpDef.h"
#include "planish/loop/Rewrite.h"

#include <algorithm>
#include <set>

namespace planish::graph {

Rebuilder::Rebuilder(const Graph &old) : before(old), map(old.values().size(), kAbsent) {
  after.symbolList = old.symbolList;
  after.madeNames = old.madeNames;
  for (ValueId v : old.inputs()) map[v.index] = after.addInput(old.type(v), old[v].name);
}

ValueId Rebuilder::operator()(ValueId oldValue) {
  if (oldValue == kAbsent) return kAbsent;
  ValueId &mapped = map[oldValue.index];
  if (mapped == kAbsent) {
    const Value &v = before[oldValue];
    PLANISH_CHECK(v.isConstant(), "value '" + v.name + "' is used before it is rebuilt");
    mapped = after.addConstant(v.type, v.data, v.name);
  }
  return mapped;
}

std::vector<ValueId> Rebuilder::operator()(std::span<const ValueId> oldValues) {
  std::vector<ValueId> r;
  for (ValueId v : oldValues) r.push_back((*this)(v));
  return r;
}

bool Rebuilder::has(ValueId oldValue) const { return map[oldValue.index] != kAbsent; }

void Rebuilder::replace(ValueId oldValue, ValueId newValue) {
  map[oldValue.index] = newValue;
  const Value &made = after[newValue];
  if (made.def && !before.names.contains(made.name)) after.rename(newValue, before[oldValue].name);
}

bool Rebuilder::mayReplace(ValueId oldValue, ValueId newValue) const {
  auto isOutput = [&](const ValueId &v) {
    return std::ranges::find(before.outputs(), v) != before.outputs().end();
  };
  if (!isOutput(oldValue)) return true;
  return after[newValue].def && std::ranges::none_of(before.outputs(), [&](ValueId v) {
           return v != oldValue && map[v.index] == newValue;
         });
}

Status Rebuilder::copy(NodeId id) {
  const Node &node = before[id];
  std::vector<std::string> names;
  for (ValueId v : node.outputs) names.push_back(before[v].name);
  PLANISH_ASSIGN(std::vector<ValueId> made, after.append(*node.op, node.attrs, (*this)(node.inputs), node.loc,
                                                         std::move(names), node.regions));
  for (size_t i = 0; i < made.size(); ++i) {
    map[node.outputs[i].index] = made[i];
    if (before.type(node.outputs[i]).rank() == after.type(made[i]).rank())
      after.setLayout(made[i], before.type(node.outputs[i]).layout);
  }
  return {};
}

Result<Graph> Rebuilder::finish() {
  after.setOutputs((*this)(before.outputs()));
  Graph r = withoutDeadNodes(after);
  for (size_t i = 0; i < r.outputs().size(); ++i)
    if (r[r.outputs()[i]].def) r.rename(r.outputs()[i], before[before.outputs()[i]].name);
  return r;
}

namespace {

/// Symbols that something alive mentions.
class UsedSymbols {
public:
  void add(const TensorType &type) { add(type.shape); }
  void add(const Shape &shape) {
    for (const Dim &d : shape)
      if (!d.isConstant()) used.insert(d.symbol());
  }
  void add(const loop::Expr &e) {
    loop::walk(e, [&](const loop::Expr &x) {
      if (auto *v = loop::as<loop::VarRef>(x)) used.insert(v->var);
    });
  }
  void add(const Attrs &attrs) {
    for (const Field &f : fieldsOf(attrs))
      if (auto *shape = std::get_if<Shape>(&f.value)) add(*shape);
  }
  void add(const Graph &region) {
    for (const Value &v : region.values()) add(v.type);
    for (const Node &n : region.nodes()) {
      add(n.attrs);
      for (const Graph &inner : n.regions) add(inner);
    }
  }
  /// Those of `all` that are used, that may be negative and so fail a run, or that one of these is computed
  /// from; in order.
  std::vector<Symbol> of(std::span<const Symbol> all) {
    for (const Symbol &s : all)
      if (s.definition && loop::rangeOf(s.definition).lo < 0) used.insert(s.var);
    for (size_t i = all.size(); i-- > 0;)
      if (used.contains(all[i].var) && all[i].definition) add(all[i].definition);
    std::vector<Symbol> r;
    std::ranges::copy_if(all, std::back_inserter(r), [&](const Symbol &s) { return used.contains(s.var); });
    return r;
  }

private:
  std::set<Var> used;
};

} // namespace

Graph withoutDeadNodes(const Graph &g) {
  std::vector<bool> alive(g.valueList.size(), false);
  for (ValueId v : g.inputList) alive[v.index] = true;
  for (ValueId v : g.outputList) alive[v.index] = true;
  std::vector<bool> nodeAlive(g.nodeList.size(), false);
  for (size_t n = g.nodeList.size(); n-- > 0;) {
    const Node &node = g.nodeList[n];
    nodeAlive[n] = std::ranges::any_of(node.outputs, [&](ValueId v) { return bool(alive[v.index]); });
    if (!nodeAlive[n]) continue;
    for (ValueId v : node.outputs) alive[v.index] = true;
    for (ValueId v : node.inputs)
      if (v != kAbsent) alive[v.index] = true;
  }

  Graph r;
  UsedSymbols symbols;
  std::vector<ValueId> map(g.valueList.size(), kAbsent);
  std::vector<uint32_t> nodeMap(g.nodeList.size());
  for (uint32_t n = 0, next = 0; n < nodeMap.size(); ++n) nodeMap[n] = nodeAlive[n] ? next++ : 0;
  for (size_t i = 0; i < alive.size(); ++i) {
    if (!alive[i]) continue;
    map[i] = {uint32_t(r.valueList.size())};
    r.valueList.push_back(g.valueList[i]);
    Value &v = r.valueList.back();
    if (v.def) v.def = NodeId{nodeMap[v.def->index]};
    r.elementFacts.push_back(g.elementFacts[i]);
    r.names.insert(v.name);
    symbols.add(v.type);
    for (const loop::Expr &e : g.elementFacts[i]) symbols.add(e);
  }
  auto mapped = [&](const std::vector<ValueId> &values) {
    std::vector<ValueId> list;
    for (ValueId v : values) list.push_back(v == kAbsent ? kAbsent : map[v.index]);
    return list;
  };
  for (size_t n = 0; n < g.nodeList.size(); ++n) {
    if (!nodeAlive[n]) continue;
    Node node = g.nodeList[n];
    node.inputs = mapped(node.inputs), node.outputs = mapped(node.outputs);
    symbols.add(node.attrs);
    for (const Graph &region : node.regions) symbols.add(region);
    r.nodeList.push_back(std::move(node));
  }
  r.inputList = mapped(g.inputList), r.outputList = mapped(g.outputList);
  r.symbolList = symbols.of(g.symbolList);
  r.madeNames = g.madeNames;
  for (Node &node : r.nodeList)
    for (Graph &region : node.regions) region.symbolList = r.symbolList;
  return r;
}

} // namespace planish::graph
