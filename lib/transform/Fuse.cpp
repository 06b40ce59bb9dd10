#include "Questions.h"
#include "planish/transform/Passes.h"

#include <algorithm>
#include <map>
#include <set>

namespace planish::transform {

namespace {

/// Members of one step of growth, and nodes of one kernel's expression: far above what models have,
/// so that no kernel grows without end.
constexpr size_t kMaxStep = 16;
constexpr int64_t kMaxExpression = 512;

bool isAnchor(const Node &node) {
  return node.op->compute && node.outputs.size() == 1 && node.op->cls != graph::OpClass::Movement &&
         node.op->cls != graph::OpClass::Opaque;
}

/// How many nodes the expression of a value has if every earlier one is written out.
int64_t expressionSize(const loop::Expr &e) {
  int64_t size = 0;
  loop::walk(e, [&](const loop::Expr &) { ++size; });
  return size;
}

struct Group {
  std::set<NodeId> members;  // in topological order; the first is the anchor
  ValueId result = kAbsent;
  std::map<ValueId, int64_t> sizes;  // of expressions
};

class Fuser {
public:
  explicit Fuser(const Graph &g) : old(g), r(g), uses(g.uses()), outputUses(g.outputUses()) {}

  Result<Graph> run() {
    formGroups();
    for (uint32_t n = 0; n < old.nodes().size(); ++n) {
      auto group = groupEndingAt.find(NodeId{n});
      if (group != groupEndingAt.end()) PLANISH_TRY(appendGroup(group->second));
      else if (!taken.contains(NodeId{n})) PLANISH_TRY(r.copy({n}));
    }
    return r.finish();
  }

private:
  void formGroups() {
    for (uint32_t n = 0; n < old.nodes().size(); ++n) {
      const Node &node = old[NodeId{n}];
      if (taken.contains(NodeId{n}) || !isAnchor(node)) continue;
      Group group;
      group.members.insert(NodeId{n});
      group.result = node.outputs[0];
      group.sizes[group.result] = expressionSize(meaningOf(old, node)->compute.value);
      while (grow(group)) {}
      if (group.members.size() == 1) continue;
      taken.insert(group.members.begin(), group.members.end());
      groupEndingAt[*group.members.rbegin()] = std::move(group);
    }
  }

  /// Absorbs the smallest set of elementwise nodes that leaves one live value again.
  bool grow(Group &group) {
    Group grown = group;
    std::vector<ValueId> live{group.result};
    for (size_t steps = 0; steps < kMaxStep; ++steps) {
      // All readers of every live value but the last one become members.
      size_t open = steps == 0 ? 1 : live.size() - 1;
      for (size_t i = 0; i < open; ++i)
        if (!absorbReaders(grown, live[i])) return false;
      live = liveValues(grown);
      if (live.empty()) return false;
      if (live.size() > 1) continue;
      grown.result = live[0];
      if (normalized(old.type(grown.result).layout, old.type(grown.result).shape) !=
          normalized(old.type(group.result).layout, old.type(group.result).shape))
        return false;
      group = std::move(grown);
      return true;
    }
    return false;
  }

  bool absorbReaders(Group &group, ValueId value) const {
    if (outputUses[value.index] || uses[value.index].empty()) return false;
    for (NodeId id : uses[value.index]) {
      if (group.members.contains(id)) continue;
      const Node &node = old[id];
      bool fits = node.op->cls == graph::OpClass::Elementwise && node.op->compute &&
                  node.outputs.size() == 1 && !taken.contains(id) &&
                  old.type(node.outputs[0]).shape == old.type(group.result).shape;
      if (!fits || group.members.size() >= 4 * kMaxStep) return false;
      group.members.insert(id);
    }
    return sizesFit(group);
  }

  bool sizesFit(Group &group) const {
    for (NodeId id : group.members) {
      const Node &node = old[id];
      if (group.sizes.contains(node.outputs[0])) continue;
      Meaning meaning = *meaningOf(old, node);
      int64_t size = 0;
      loop::walk(meaning.compute.value, [&](const loop::Expr &e) {
        ++size;
        auto *access = loop::as<loop::Load>(e);
        if (!access) return;
        auto operand = std::ranges::find(meaning.view.in, access->buffer) - meaning.view.in.begin();
        auto known = operand < long(node.inputs.size()) ? group.sizes.find(node.inputs[size_t(operand)])
                                                        : group.sizes.end();
        if (known != group.sizes.end()) size += known->second;
      });
      if (size > kMaxExpression) return false;
      group.sizes[node.outputs[0]] = size;
    }
    return true;
  }

  /// Values of members that something outside reads, in topological order.
  std::vector<ValueId> liveValues(const Group &group) const {
    std::vector<ValueId> live;
    for (NodeId id : group.members) {
      ValueId v = old[id].outputs[0];
      bool inside =
          !outputUses[v.index] && !uses[v.index].empty() &&
          std::ranges::all_of(uses[v.index], [&](NodeId user) { return group.members.contains(user); });
      if (!inside) live.push_back(v);
    }
    return live;
  }

  Status appendGroup(const Group &group) {
    Graph body = Graph::regionOf(r.graph());
    std::map<ValueId, ValueId> inside;
    std::vector<ValueId> operands;
    for (NodeId id : group.members)
      for (ValueId v : old[id].inputs) {
        bool isMember = old[v == kAbsent ? ValueId{0} : v].def &&
                        group.members.contains(*old[v == kAbsent ? ValueId{0} : v].def);
        if (v == kAbsent || isMember || inside.contains(v)) continue;
        operands.push_back(r(v));
        inside[v] = body.addInput(r.graph().type(operands.back()), old[v].name);
      }
    graph::Loc loc;
    for (NodeId id : group.members) {
      const Node &node = old[id];
      std::vector<ValueId> inputs;
      for (ValueId v : node.inputs) inputs.push_back(v == kAbsent ? v : inside.at(v));
      PLANISH_ASSIGN(std::vector<ValueId> made, body.append(*node.op, node.attrs, std::move(inputs), node.loc,
                                                            {old[node.outputs[0]].name}, node.regions));
      body.setLayout(made[0], old.type(node.outputs[0]).layout);
      inside[node.outputs[0]] = made[0];
      loc = graph::merged(loc, node.loc);
    }
    body.setOutputs({inside.at(group.result)});
    PLANISH_ASSIGN(std::vector<ValueId> made,
                   r.graph().append(graph::kFused, {}, std::move(operands), std::move(loc),
                                    {old[group.result].name}, {std::move(body)}));
    r.graph().setLayout(made[0], old.type(group.result).layout);
    r.replace(group.result, made[0]);
    return {};
  }

  const Graph &old;
  graph::Rebuilder r;
  std::vector<std::vector<NodeId>> uses;
  std::vector<int> outputUses;
  std::set<NodeId> taken;
  std::map<NodeId, Group> groupEndingAt;  // by the last member, where the operands of all are known
};

} // namespace

Result<Graph> fuse(const Graph &g) { return Fuser(g).run(); }

} // namespace planish::transform
