#include "CodePlan.h"

#include "Contractions.h"
#include "IntegerOperands.h"

#include <algorithm>
#include <set>

namespace planish::transform {

using graph::OpClass;

namespace {
class Planner {
public:
  Planner(const Graph &g, const std::function<bool(const Node &)> &keptReal, bool tables)
      : g(g), keptReal(keptReal), tables(tables), uses(g.uses()), outputUses(g.outputUses()) {
    plan.role.assign(g.nodes().size(), Role::Real);
    plan.origin.assign(g.values().size(), kAbsent);
    plan.coded.assign(g.values().size(), false);
  }

  CodePlan run() {
    for (uint32_t n = 0; n < g.nodes().size(); ++n) plan.role[n] = roleOf(g[NodeId{n}]);
    demand();
    return std::move(plan);
  }

private:
  bool isReal(ValueId v) const { return v != kAbsent && g.type(v).dtype == DType::f32; }
  bool isActivation(ValueId v) const { return isReal(v) && !g[v].isConstant(); }
  Role roleBehind(ValueId v) const { return g[v].def ? plan.role[g[v].def->index] : Role::Real; }
  /// An integer kernel's result that nobody else reads.
  bool isOpen(ValueId v) const {
    Role role = roleBehind(v);
    return role != Role::Real && role != Role::Function && role != Role::Picks && uses[v.index].size() == 1 &&
           outputUses[v.index] == 0;
  }

  Role roleOf(const Node &node) {
    if (node.outputs.size() != 1 || !isReal(node.outputs[0]) || !node.regions.empty() || keptReal(node))
      return Role::Real;
    if (isSum(node)) return Role::Sum;
    if (node.op->cls == OpClass::Contraction) return Role::Real;
    if (isShift(node)) return Role::Shift;
    if (isLimits(node)) return Role::Limits;
    if (ValueId origin = originOf(node); origin != kAbsent) {
      plan.origin[node.outputs[0].index] = origin;
      return Role::Function;
    }
    if (isPair(node)) return Role::Pair;
    if (node.op->integer && isActivation(node.inputs[0])) return Role::Whole;
    return picks(node) ? Role::Picks : Role::Real;
  }

  bool isSum(const Node &node) const {
    if (node.op->cls != OpClass::Contraction || !node.op->integer || !isActivation(node.inputs[0]))
      return false;
    auto meaning = meaningOf(g, node);
    auto channels = meaning ? channelsOf(g, node, *meaning) : std::nullopt;
    return channels && channels->weight == 1;
  }

  /// One number per channel, or one, added to a sum that nobody else reads.
  bool isShift(const Node &node) const {
    auto pair = pairOf(g, node);
    if (!pair || pair->op != loop::BinaryOp::Add) return false;
    ValueId sum = node.inputs[pair->a], constant = node.inputs[pair->b];
    if (g[sum].isConstant()) std::swap(sum, constant);
    if (!g[constant].isConstant() || !isActivation(sum) || !isOpen(sum)) return false;
    if (roleBehind(sum) != Role::Sum || g.type(sum).shape != g.type(node.outputs[0]).shape) return false;
    const Shape &shape = g.type(constant).shape;
    return std::ranges::count_if(shape, [](const Dim &d) { return d != Dim(1); }) <= 1;
  }

  bool isLimits(const Node &node) const {
    return node.inputs.size() == 1 && isActivation(node.inputs[0]) && isOpen(node.inputs[0]) &&
           limitsOf(g, node).has_value();
  }

  /// The one value with codes that an elementwise node depends on, through functions of it.
  ValueId originOf(const Node &node) const {
    ValueId result = node.outputs[0], origin = kAbsent;
    if (node.op->cls != OpClass::Elementwise || !node.op->compute) return kAbsent;
    for (ValueId v : node.inputs) {
      if (v == kAbsent) continue;
      if (!isReal(v)) return kAbsent;
      if (g[v].isConstant()) {
        if (graph::elementCount(g.type(v).shape) != 1) return kAbsent;
        continue;
      }
      ValueId from = plan.origin[v.index] != kAbsent ? plan.origin[v.index] : v;
      if ((origin != kAbsent && origin != from) || g.type(v).shape != g.type(result).shape) return kAbsent;
      origin = from;
    }
    // What has no codes of its own is computed with real numbers up to where codes are wanted.
    return origin != kAbsent && roleBehind(origin) != Role::Real ? origin : kAbsent;
  }

  bool isPair(const Node &node) const {
    auto pair = pairOf(g, node);
    if (!pair || !isActivation(node.inputs[0]) || !isActivation(node.inputs[1])) return false;
    // Of two real numbers the result alone becomes codes.
    if (roleBehind(node.inputs[0]) == Role::Real && roleBehind(node.inputs[1]) == Role::Real) return false;
    return pair->op == loop::BinaryOp::Add || pair->op == loop::BinaryOp::Sub ||
           pair->op == loop::BinaryOp::Mul;
  }

  bool picks(const Node &node) const {
    auto from = pickedOperands(g, node);
    if (!from || std::ranges::find(*from, true) == from->end()) return false;
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if ((*from)[i] && !isActivation(node.inputs[i])) return false;
    return true;
  }

  /// From the sums back to where codes begin.
  void demand() {
    std::vector<bool> integer(g.nodes().size(), false); // whether the node will be part of an integer kernel
    for (uint32_t n = uint32_t(g.nodes().size()); n-- > 0;) {
      const Node &node = g[NodeId{n}];
      Role role = plan.role[n];
      if (role == Role::Sum) integer[n] = true;
      if (role != Role::Real && plan.coded[node.outputs[0].index]) integer[n] = true;
      if (!integer[n]) continue;
      switch (role) {
      case Role::Real: break;
      case Role::Sum:
      case Role::Whole: want(node.inputs[0]); break;
      case Role::Shift:
      case Role::Limits:
        for (ValueId v : node.inputs)
          if (isActivation(v)) integer[g[v].def->index] = true;
        break;
      case Role::Function: {
        // Of a sum that nobody else reads the function is taken itself: a code between would round twice.
        ValueId origin = plan.origin[node.outputs[0].index];
        if (tables || !isExact(origin)) want(origin);
        break;
      }
      case Role::Pair:
        for (ValueId v : node.inputs) want(v);
        break;
      case Role::Picks: {
        auto from = pickedOperands(g, node);
        for (size_t i = 0; i < node.inputs.size(); ++i)
          if ((*from)[i]) want(node.inputs[i]);
      }
      }
    }
  }
  bool isExact(ValueId origin) const {
    Role role = roleBehind(origin);
    return (role == Role::Sum || role == Role::Shift) && outputUses[origin.index] == 0 &&
           std::ranges::all_of(uses[origin.index], [&](NodeId n) {
             return plan.role[n.index] == Role::Function && plan.isFunctionOf(g[n].outputs[0], origin);
           });
  }
  void want(ValueId v) { plan.coded[v.index] = true; }

  const Graph &g;
  const std::function<bool(const Node &)> &keptReal;
  bool tables;
  std::vector<std::vector<NodeId>> uses;
  std::vector<int> outputUses;
  CodePlan plan;
};

} // namespace

CodePlan planCodes(const Graph &g, const std::function<bool(const Node &)> &keptReal, bool tables) {
  return Planner(g, keptReal, tables).run();
}

} // namespace planish::transform
