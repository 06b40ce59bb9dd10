#include "Questions.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Passes.h"

#include <algorithm>
#include <map>
#include <set>

namespace planish::transform {

namespace {

/// Fewer channels than this leave most lanes of a vector idle: images of so few lie plane by plane, so
/// that vectors run along their rows.
constexpr int64_t kFewChannels = 4;

/// Windows over images of this many channels run in vectors along them. An image that lies plane by plane, as
/// the user's do, is copied once then: reading it across planes takes many times longer.
constexpr int64_t kManyChannels = 16;

/// Dimension 1 innermost, unless it is too small to fill vectors.
Layout channelsLast(const Shape &shape) {
  if (shape.size() < 3 || shape[1].upper() < kFewChannels) return {};
  Layout r{0};
  for (size_t d = 2; d < shape.size(); ++d) r.push_back(uint8_t(d));
  r.push_back(1);
  return normalized(r, shape);
}

double sizeBound(const Shape &shape) {
  double r = 1;
  for (const Dim &d : shape) r *= double(d.upper());
  return r;
}

/// Nodes that keep the indices of their operands: what their result likes, the operands should like.
bool keepsIndices(const Node &node) {
  return node.op->cls == graph::OpClass::Elementwise ||
         (node.op->layout == graph::LayoutRule::FollowInput && node.op->cls != graph::OpClass::Opaque);
}

/// Values whose readers like channels last, directly or through nodes that keep indices.
std::vector<bool> likedChannelsLast(const Graph &g) {
  std::vector<bool> r(g.values().size(), false);
  for (size_t n = g.nodes().size(); n-- > 0;) {
    const Node &node = g.nodes()[n];
    bool direct = node.op->layout == graph::LayoutRule::ChannelsLast;
    bool passedOn =
        keepsIndices(node) && std::ranges::any_of(node.outputs, [&](ValueId v) { return bool(r[v.index]); });
    if (!direct && !passedOn) continue;
    for (ValueId v : node.inputs)
      if (v != kAbsent && g.type(v).rank() == g.type(node.outputs[0]).rank()) r[v.index] = true;
  }
  return r;
}

/// Values that nobody reads but the user, or nobody but a join that nobody else reads: what moves bytes to
/// them anyway may as well move them to where they end.
std::vector<bool> onlyForUser(const Graph &g) {
  std::vector<bool> r(g.values().size(), false);
  auto uses = g.uses();
  for (ValueId v : g.outputs()) r[v.index] = uses[v.index].empty();
  for (size_t n = g.nodes().size(); n-- > 0;) {
    const Node &node = g.nodes()[n];
    if (!isJoin(node) || !r[node.outputs[0].index]) continue;
    for (ValueId v : node.inputs) r[v.index] = r[v.index] || uses[v.index].size() == 1;
  }
  return r;
}

class LayoutChooser {
public:
  explicit LayoutChooser(const Graph &g)
      : old(g), r(g), uses(g.uses()), liked(likedChannelsLast(g)), forUser(onlyForUser(g)) {}

  Result<Graph> run() {
    for (uint32_t n = 0; n < old.nodes().size(); ++n) {
      PLANISH_TRY(append({n}));
      for (ValueId v : old[NodeId{n}].outputs) {
        ValueId made = r(v);
        bool asWritten = forUser[v.index] && writesAnyOrder(old[NodeId{n}]);
        r.graph().setLayout(made, asWritten ? Layout{}
                                            : chosen(r.graph()[*r.graph()[made].def], made, liked[v.index]));
      }
    }
    PLANISH_TRY(orderOutputs());
    return r.finish();
  }

private:
  /// The node over operands in an order its kernel can read vectors of.
  Status append(NodeId id) {
    const Node &node = old[id];
    std::vector<ValueId> inputs = r(node.inputs);
    PLANISH_ASSIGN(bool reordered, orderColumns(node, inputs));
    PLANISH_ASSIGN(bool converted, orderChannels(node, inputs));
    PLANISH_ASSIGN(bool renamable, orderElements(node, inputs));
    if (!reordered && !converted && !renamable) return r.copy(id);
    std::vector<std::string> names;
    for (ValueId v : node.outputs) names.push_back(old[v].name);
    PLANISH_ASSIGN(std::vector<ValueId> made,
                   r.graph().append(*node.op, node.attrs, inputs, node.loc, std::move(names)));
    for (size_t i = 0; i < made.size(); ++i) r.replace(node.outputs[i], made[i]);
    return {};
  }

  /// What likes many channels last gets images with theirs last.
  Result<bool> orderChannels(const Node &node, std::vector<ValueId> &inputs) {
    if (node.op->layout != graph::LayoutRule::ChannelsLast) return false;
    bool changed = false;
    for (ValueId &v : inputs) {
      if (v == kAbsent || constGraph()[v].isConstant()) continue;
      const TensorType type = constGraph().type(v);
      if (type.rank() != old.type(node.outputs[0]).rank() || !type.layout.empty()) continue;
      Layout order = channelsLast(type.shape);
      if (order.empty() || type.shape[1].upper() < kManyChannels) continue;
      PLANISH_ASSIGN(v, inOrder(v, order, node.loc));
      changed = true;
    }
    return changed;
  }

  /// What would only rename the elements of a row-major operand gets one: a copy in another order is made in
  /// blocks, while renaming out of order moves one element after the other.
  Result<bool> orderElements(const Node &node, std::vector<ValueId> &inputs) {
    if (!isRenaming(node)) return false;
    const TensorType type = constGraph().type(inputs[0]);
    if (type.layout.empty() || constGraph()[inputs[0]].isConstant()) return false;
    TensorType rowMajor = type;
    rowMajor.layout.clear();
    graph::OpView view = opView(old, node);
    auto viewOf = [&](const TensorType &in) {
      view.inTypes[0] = in;
      return node.op->outputView(view, graph::denseView(in));
    };
    bool movesToReaders =
        liked[node.outputs[0].index] && !channelsLast(old.type(node.outputs[0]).shape).empty();
    if (movesToReaders || viewOf(type) || !viewOf(rowMajor)) return false;
    PLANISH_ASSIGN(inputs[0], inOrder(inputs[0], {}, node.loc));
    return true;
  }

  /// The value, copied to lie in an order.
  Result<ValueId> inOrder(ValueId v, const Layout &order, const graph::Loc &loc) {
    auto known = copies.find({v, order});
    if (known != copies.end()) return known->second;
    PLANISH_ASSIGN(std::vector<ValueId> copied, r.graph().append(ops::kCopy, {}, {v}, loc));
    r.graph().setLayout(copied[0], order);
    return copies[{v, order}] = copied[0];
  }

  /// A product of two run-time tensors reads one of them in vectors along a dimension of the result that
  /// the other does not have (a column). Where no such dimension is innermost in memory, the second
  /// operand is laid out, or copied, so that one is: it is read many times.
  Result<bool> orderColumns(const Node &node, std::vector<ValueId> &inputs) {
    if (node.op->cls != graph::OpClass::Contraction) return false;
    auto m = meaningOf(old, node);
    if (!m) return false;
    const auto *left = loop::as<loop::Load>(m->compute.lhs), *right = loop::as<loop::Load>(m->compute.rhs);
    if (!left || !right) return false;
    auto operandOf = [&](const loop::Load &l) {
      return size_t(std::ranges::find(m->view.in, l.buffer) - m->view.in.begin());
    };
    size_t a = operandOf(*left), b = operandOf(*right);
    const Graph &g = r.graph();
    if (g[inputs[a]].isConstant() || g[inputs[b]].isConstant()) return false;
    auto innermost = [&](ValueId v) {
      const TensorType &t = g.type(v);
      return t.layout.empty() ? size_t(t.rank() - 1) : size_t(t.layout.back());
    };
    auto isColumn = [&](const loop::Load &l, size_t dim, const loop::Load &other) {
      return std::ranges::any_of(m->compute.space, [&](const loop::Iter &s) {
        return loop::dependsOn(l.indices[dim], s.var) &&
               std::ranges::none_of(other.indices, [&](const auto &i) { return loop::dependsOn(i, s.var); });
      });
    };
    if (isColumn(*left, innermost(inputs[a]), *right) || isColumn(*right, innermost(inputs[b]), *left))
      return false;
    const TensorType type = g.type(inputs[b]);
    for (size_t d = size_t(type.rank()); d-- > 0;) {
      if (!isColumn(*right, d, *left)) continue;
      Layout order;
      for (size_t i = 0; i < size_t(type.rank()); ++i)
        if (i != d) order.push_back(uint8_t(i));
      order.push_back(uint8_t(d));
      if (isOwn(node.inputs[b])) {
        r.graph().setLayout(inputs[b], normalized(order, type.shape));
        return false;
      }
      PLANISH_ASSIGN(std::vector<ValueId> copied, r.graph().append(ops::kCopy, {}, {inputs[b]}, node.loc));
      r.graph().setLayout(copied[0], normalized(order, type.shape));
      inputs[b] = copied[0];
      return true;
    }
    return false;
  }

  /// Computed element by element, and read once: it may lie as its reader likes.
  bool isOwn(ValueId v) const {
    const auto &def = old[v].def;
    return def && old[*def].op->cls == graph::OpClass::Elementwise && uses[v.index].size() == 1 &&
           std::ranges::find(old.outputs(), v) == old.outputs().end();
  }

  static bool writesAnyOrder(const Node &node) {
    return node.op->cls == graph::OpClass::Elementwise || node.op->cls == graph::OpClass::Injective ||
           isJoin(node);
  }

  Layout chosen(const Node &node, ValueId result, bool readersLikeChannelsLast) {
    const Graph &g = r.graph();
    const Shape &shape = g.type(result).shape;
    if (node.op->layout == graph::LayoutRule::ChannelsLast) return channelsLast(shape);
    if (node.op->cls == graph::OpClass::Movement && node.op->outputView) {
      if (auto view = node.op->outputView(opView(g, node), graph::denseView(g.type(node.inputs[0]))))
        return orderOf(*view, shape);
      // Bytes move anyway: they may as well move to where the readers like them.
      return readersLikeChannelsLast ? channelsLast(shape) : Layout{};
    }
    if (node.op->layout == graph::LayoutRule::FollowInput) {
      Layout same = followed(node, shape);
      // Channels that were few and are enough now lie as the readers like them.
      bool grown = (node.op->cls == graph::OpClass::Injective || isJoin(node)) &&
                   channelsLast(g.type(node.inputs[0]).shape).empty() && same.empty();
      return grown && readersLikeChannelsLast ? channelsLast(shape) : same;
    }
    return {};
  }

  /// The order that most bytes of the operands of the same rank have.
  Layout followed(const Node &node, const Shape &shape) {
    const Graph &g = r.graph();
    std::map<Layout, double> votes;
    Layout best;
    double most = 0;
    for (ValueId v : node.inputs) {
      if (v == kAbsent || g[v].isConstant() || g.type(v).rank() != int(shape.size())) continue;
      double size = sizeBound(g.type(v).shape);
      double &vote = votes[g.type(v).layout];
      vote = isJoin(node) ? vote + size : std::max(vote, size);
      if (vote > most) most = vote, best = g.type(v).layout;
    }
    return normalized(best, shape);
  }

  /// The user's memory is row-major: what lies otherwise is copied, and the copy has the user's name.
  Status orderOutputs() {
    std::set<ValueId> done;
    for (ValueId v : old.outputs()) {
      ValueId made = r(v);
      if (!done.insert(v).second || r.graph().type(made).layout.empty()) continue;
      graph::Loc loc = r.graph()[made].def ? r.graph()[*r.graph()[made].def].loc : graph::Loc{};
      r.graph().rename(made, old[v].name + "_ordered");
      PLANISH_ASSIGN(std::vector<ValueId> copied,
                     r.graph().append(ops::kCopy, {}, {made}, loc, {old[v].name}));
      r.replace(v, copied[0]);
    }
    return {};
  }

  const Graph &constGraph() const { return const_cast<graph::Rebuilder &>(r).graph(); }

  const Graph &old;
  graph::Rebuilder r;
  std::vector<std::vector<NodeId>> uses;
  std::vector<bool> liked, forUser;
  std::map<std::pair<ValueId, Layout>, ValueId> copies; // of values of the new graph
};

} // namespace

Result<Graph> layout(const Graph &g) { return LayoutChooser(g).run(); }

} // namespace planish::transform
