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
  NodeId anchor{};
  std::set<NodeId> members;  // in topological order
  std::set<NodeId> lookups;  // what the anchor reads through them; others may, too
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
  /// What costs most finds its followers first: a sum of a convolution and a product belongs to the
  /// convolution.
  void formGroups() {
    using graph::OpClass;
    auto rank = [](const Node &node) {
      return node.op->cls == OpClass::Contraction ? 0 : node.op->cls == OpClass::Elementwise ? 2 : 1;
    };
    for (int wanted = 0; wanted <= 2; ++wanted)
      for (uint32_t n = 0; n < old.nodes().size(); ++n) {
        const Node &node = old[NodeId{n}];
        if (taken.contains(NodeId{n}) || !isAnchor(node) || rank(node) != wanted) continue;
        Group group;
        group.anchor = NodeId{n};
        group.members.insert(NodeId{n});
        group.result = node.outputs[0];
        group.sizes[group.result] = expressionSize(meaningOf(old, node)->compute.value);
        while (grow(group) || absorbProducer(group)) {}
        findLookups(group);
        if (group.members.size() == 1 && group.lookups.empty()) continue;
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

  /// Operands of a contraction that pick elements by a table along what it sums over: it may as well read
  /// the table.
  void findLookups(Group &group) const {
    const Node &anchor = old[group.anchor];
    if (anchor.op->cls != graph::OpClass::Contraction) return;
    auto m = meaningOf(old, anchor);
    for (size_t i = 0; i < anchor.inputs.size(); ++i) {
      ValueId v = anchor.inputs[i];
      bool alone = v != kAbsent && old[v].def && std::ranges::none_of(uses[v.index], [&](NodeId id) {
                     return id != group.anchor && group.members.contains(id);
                   });
      if (alone && isLookup(*old[v].def, *m, i)) group.lookups.insert(*old[v].def);
    }
  }
  bool isLookup(NodeId id, const Meaning &anchor, size_t operand) const {
    const Node &node = old[id];
    auto m = node.op->cls == graph::OpClass::Injective ? meaningOf(old, node) : std::nullopt;
    auto *element = m ? loop::as<loop::Load>(m->compute.value) : nullptr;
    if (!element || element->mask) return false;
    for (const loop::Expr &term : {anchor.compute.lhs, anchor.compute.rhs}) {
      auto *access = loop::as<loop::Load>(term);
      if (!access || access->mask || access->buffer != anchor.view.in[operand]) continue;
      for (size_t d = 0; d < access->indices.size(); ++d) {
        auto *axis = loop::as<loop::VarRef>(m->compute.outIndices[d]);
        bool looked = axis && std::ranges::any_of(element->indices, [&](const loop::Expr &i) {
                        return !loop::as<loop::VarRef>(i) && loop::dependsOn(i, axis->var);
                      });
        bool fixed = std::ranges::none_of(anchor.compute.space, [&](const loop::Iter &s) {
          return loop::dependsOn(withoutUnitAxes(anchor.compute, access->indices[d]), s.var);
        });
        if (!axis || (looked && !fixed)) return false;
      }
      return true;
    }
    return false;
  }

  /// Absorbs an elementwise node that only followers of the anchor read.
  bool absorbProducer(Group &group) const {
    for (NodeId id : group.members) {
      if (id == group.anchor) continue;
      for (ValueId v : old[id].inputs) {
        if (v == kAbsent || !old[v].def || !isPrivate(group, v) || narrows(old[*old[v].def])) continue;
        Group grown = group;
        grown.members.insert(*old[v].def);
        std::erase_if(grown.sizes, [&](const auto &s) { return s.first != old[group.anchor].outputs[0]; });
        if (!sizesFit(grown)) continue;
        group = std::move(grown);
        return true;
      }
    }
    return false;
  }

  /// A result of smaller elements than those that another anchor makes: there it is written, and read here,
  /// as codes instead of sums.
  bool narrows(const Node &node) const {
    return std::ranges::any_of(node.inputs, [&](ValueId v) {
      return v != kAbsent && old[v].def && isAnchor(old[*old[v].def]) &&
             old[*old[v].def].op->cls != graph::OpClass::Elementwise &&
             byteSize(old.type(v).dtype) > byteSize(old.type(node.outputs[0]).dtype);
    });
  }

  bool isPrivate(const Group &group, ValueId v) const {
    auto isFollower = [&](NodeId id) { return id != group.anchor && group.members.contains(id); };
    return !group.members.contains(*old[v].def) && mayFollow(*old[v].def, group) && !outputUses[v.index] &&
           std::ranges::all_of(uses[v.index], isFollower);
  }

  /// A node that can be computed element by element beside the anchor.
  bool mayFollow(NodeId id, const Group &group) const {
    const Node &node = old[id];
    return node.op->cls == graph::OpClass::Elementwise && node.op->compute && node.outputs.size() == 1 &&
           !taken.contains(id) && old.type(node.outputs[0]).shape == old.type(group.result).shape &&
           group.members.size() < 4 * kMaxStep;
  }

  bool absorbReaders(Group &group, ValueId value) const {
    if (outputUses[value.index] || uses[value.index].empty()) return false;
    for (NodeId id : uses[value.index]) {
      if (group.members.contains(id)) continue;
      if (!mayFollow(id, group)) return false;
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
    std::vector<NodeId> order(group.lookups.begin(), group.lookups.end());
    order.push_back(group.anchor);
    std::ranges::copy_if(group.members, std::back_inserter(order),
                         [&](NodeId id) { return id != group.anchor; });
    Graph body = Graph::regionOf(r.graph());
    std::map<ValueId, ValueId> inside;
    std::vector<ValueId> operands;
    for (NodeId id : order)
      for (ValueId v : old[id].inputs) {
        auto def = v == kAbsent ? std::nullopt : old[v].def;
        bool isMember = def && (group.members.contains(*def) || group.lookups.contains(*def));
        if (v == kAbsent || isMember || inside.contains(v)) continue;
        operands.push_back(r(v));
        inside[v] = body.addInput(r.graph().type(operands.back()), old[v].name);
      }
    graph::Loc loc;
    for (NodeId id : order) {
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
  std::map<NodeId, Group> groupEndingAt; // by the last member, where the operands of all are known
};

} // namespace

Result<Graph> fuse(const Graph &g) { return Fuser(g).run(); }

} // namespace planish::transform
