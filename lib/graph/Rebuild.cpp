// Making a graph from another one.

#include "Fields.h"
#include "planish/graph/OpDef.h"
#include "planish/loop/Rewrite.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace planish::graph {

Rebuilder::Rebuilder(const Graph &old) : before(old), map(old.values().size(), kAbsent) {
  after.symbolList = old.symbolList;
  after.madeNames = old.madeNames;
  for (Symbol &s : after.symbolList) s.value = kAbsent;
  for (ValueId v : old.inputs()) {
    map[v.index] = after.addInput(old.type(v), old[v].name);
    moveSizes(v, map[v.index]);
  }
}

void Rebuilder::moveSizes(ValueId oldValue, ValueId newValue) {
  for (const Symbol &s : before.symbols())
    if (s.value == oldValue) after.bindSize(s.var, newValue);
}

ValueId Rebuilder::operator()(ValueId oldValue) {
  if (oldValue == kAbsent) return kAbsent;
  ValueId &mapped = map[oldValue.index];
  if (mapped == kAbsent) {
    const Value &v = before[oldValue];
    PLANISH_CHECK(v.isConstant(), "value '" + v.name + "' is used before it is rebuilt");
    mapped = after.addConstant(v.type, v.data, v.name);
    moveSizes(oldValue, mapped);
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
  moveSizes(oldValue, newValue);
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
    moveSizes(node.outputs[i], made[i]);
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

/// Symbols that something alive mentions, what those are computed from, and those that may be negative and
/// so fail a run.
class UsedSymbols {
public:
  explicit UsedSymbols(std::span<const Symbol> all) {
    for (const Symbol &s : all) known[s.var] = &s;
    for (const Symbol &s : all)
      if (s.definition && loop::rangeOf(s.definition).lo < 0) add(s.var);
  }
  bool contains(const Var &symbol) const { return used.contains(symbol); }
  /// The values that hold symbols added since the last call.
  std::vector<ValueId> newHolders() { return std::exchange(holders, {}); }

  void add(const TensorType &type) { add(type.shape); }
  void add(const Shape &shape) {
    for (const Dim &d : shape)
      if (!d.isConstant()) add(d.symbol());
  }
  void add(const std::vector<loop::Expr> &facts) {
    for (const loop::Expr &e : facts) add(e);
  }
  void add(const Node &n) {
    for (const Field &f : fieldsOf(n.attrs))
      if (auto *shape = std::get_if<Shape>(&f.value)) add(*shape);
    for (const Graph &region : n.regions) add(region);
  }

private:
  void add(const Var &symbol) {
    auto found = known.find(symbol);
    if (found == known.end() || !used.insert(symbol).second) return;
    if (found->second->definition) add(found->second->definition);
    if (found->second->value != kAbsent) holders.push_back(found->second->value);
  }
  void add(const loop::Expr &e) {
    loop::walk(e, [&](const loop::Expr &x) {
      if (auto *v = loop::as<loop::VarRef>(x)) add(v->var);
    });
  }
  void add(const Graph &region) {
    for (const Value &v : region.values()) add(v.type);
    for (const Symbol &s : region.symbols())
      if (!known.contains(s.var) && s.definition) add(s.definition);
    for (const Node &n : region.nodes()) add(n);
  }

  std::map<Var, const Symbol *> known;
  std::set<Var> used;
  std::vector<ValueId> holders;
};

} // namespace

Graph withoutDeadNodes(const Graph &g) {
  std::vector<bool> alive(g.valueList.size(), false);
  UsedSymbols symbols(g.symbolList);
  // A value that holds a size is computed before anything of that size, so one walk backwards finds all.
  auto keep = [&](ValueId v) {
    alive[v.index] = true;
    symbols.add(g.type(v));
    symbols.add(g.elementFacts[v.index]);
    for (auto held = symbols.newHolders(); !held.empty(); held = symbols.newHolders())
      for (ValueId holder : held) {
        alive[holder.index] = true;
        symbols.add(g.type(holder));
        symbols.add(g.elementFacts[holder.index]);
      }
  };
  for (ValueId v : g.inputList) keep(v);
  for (ValueId v : g.outputList) keep(v);
  std::vector<bool> nodeAlive(g.nodeList.size(), false);
  for (size_t n = g.nodeList.size(); n-- > 0;) {
    const Node &node = g.nodeList[n];
    nodeAlive[n] = std::ranges::any_of(node.outputs, [&](ValueId v) { return bool(alive[v.index]); });
    if (!nodeAlive[n]) continue;
    symbols.add(node);
    for (const auto *values : {&node.outputs, &node.inputs})
      for (ValueId v : *values)
        if (v != kAbsent) keep(v);
  }

  Graph r;
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
    r.nodeList.push_back(std::move(node));
  }
  r.inputList = mapped(g.inputList), r.outputList = mapped(g.outputList);
  for (const Symbol &s : g.symbolList) {
    if (!symbols.contains(s.var)) continue;
    r.symbolList.push_back(s);
    if (s.value != kAbsent) r.symbolList.back().value = map[s.value.index];
  }
  r.madeNames = g.madeNames;
  for (Node &node : r.nodeList)
    if (node.op == &kFused) node.regions[0].symbolList = Graph::regionOf(r).symbolList;
  return r;
}

} // namespace planish::graph
