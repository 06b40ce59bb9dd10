#include "Questions.h"
#include "planish/loop/Rewrite.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Passes.h"

#include <algorithm>
#include <map>
#include <set>

namespace planish::transform {

namespace {

constexpr size_t kChannel = 1;
/// Following every channel of a value through the nodes that move it takes time; nets stay far below.
constexpr int64_t kMaxChannels = 4096;

/// Values that are looked up in lie in one memory. What is larger than a second-level cache of today is
/// copied in order instead, as written: reading a few channels of each pixel then costs more than the copy.
constexpr int64_t kMaxJoinedBytes = 3 << 19;

/// Channels in a piece, on average, below which picking them one by one is as fast.
constexpr int64_t kLeastPiece = 4;

/// Where the elements of one channel of an old value are: in a channel of a value of the new graph.
struct Lane {
  ValueId value;
  int64_t channel;
  bool operator==(const Lane &) const = default;
};
using Lanes = std::vector<Lane>;

/// One value whose channels are those of another, in an order.
struct Permutation {
  ValueId base;
  std::vector<int64_t> of;  // channel c of the value is channel of[c] of `base`
};

std::optional<int64_t> channelsOf(const TensorType &type) {
  if (type.rank() < 3 || !type.shape[kChannel].isConstant()) return std::nullopt;
  int64_t n = type.shape[kChannel].constant();
  return n > 1 && n <= kMaxChannels ? std::optional(n) : std::nullopt;
}

/// Walks the graph once. Nodes that move elements are laid down only where somebody wants their result as it
/// is. A value that a chain of them shuffles is remembered as `Lanes` instead; what treats every channel
/// alike takes the order over, a contraction along the channels takes it into its weights.
class ChannelRouter {
public:
  explicit ChannelRouter(const Graph &g) : old(g), r(g), bends(g.values().size(), false) {}

  Result<Graph> run() {
    for (uint32_t n = 0; n < old.nodes().size(); ++n) PLANISH_TRY(visit({n}));
    for (ValueId v : old.outputs()) PLANISH_TRY(settle(v));
    return r.finish();
  }

private:
  Status visit(NodeId id) {
    const Node &node = old[id];
    if (isMover(node)) {
      ValueId v = node.outputs[0];
      bends[v.index] = std::ranges::any_of(node.inputs, [&](ValueId in) {
        return bends[in.index] || lanes.contains(in) || old.type(in).rank() != old.type(v).rank();
      });
      if (bends[v.index]) PLANISH_TRY(route(v));
      return {};
    }
    bool reads =
        std::ranges::any_of(node.inputs, [&](ValueId v) { return v != kAbsent && lanes.contains(v); });
    if (reads) {
      PLANISH_ASSIGN(bool done, takeOver(node));
      if (done) return {};
    }
    for (ValueId v : node.inputs) PLANISH_TRY(settle(v));
    return r.copy(id);
  }

  // ---- following channels ------------------------------------------------------------------------

  static bool isMover(const Node &node) {
    return node.op->cls == graph::OpClass::Movement && node.op->compute && node.outputs.size() == 1 &&
           (node.op->outputView || node.op->inputView) &&
           std::ranges::none_of(node.inputs, [](ValueId v) { return v == kAbsent; });
  }

  /// The element that a mover stores at `at`: of which operand, and where there.
  struct Element {
    ValueId value;
    std::vector<loop::Expr> at;
  };
  std::optional<Element> source(const Element &e) {
    NodeId id = *old[e.value].def;
    auto found = meanings.find(id);
    if (found == meanings.end()) found = meanings.emplace(id, *meaningOf(old, old[id])).first;
    const Meaning &m = found->second;
    loop::Substitution point;
    for (size_t d = 0; d < e.at.size(); ++d) {
      auto *axis = loop::as<loop::VarRef>(m.compute.outIndices[d]);
      if (!axis) return std::nullopt;
      point[axis->var] = e.at[d];
    }
    loop::Expr value = loop::simplify(loop::substitute(m.compute.value, point), {});
    auto *access = loop::as<loop::Load>(value);
    if (!access) return std::nullopt;
    auto operand = std::ranges::find(m.view.in, access->buffer);
    if (operand == m.view.in.end()) return std::nullopt;
    return Element{old[id].inputs[size_t(operand - m.view.in.begin())], access->indices};
  }

  /// The channel of `e.value` that is meant if all other indices are those of a value of the same shape
  /// beside the channels.
  std::optional<int64_t> wholeChannel(const Element &e, const std::vector<loop::Expr> &at,
                                      const Shape &shape) const {
    const Shape &own = old.type(e.value).shape;
    if (own.size() != shape.size()) return std::nullopt;
    for (size_t d = 0; d < own.size(); ++d)
      if (d != kChannel && (own[d] != shape[d] || !loop::equal(loop::affine(e.at[d]), loop::affine(at[d]))))
        return std::nullopt;
    return loop::constantOf(loop::simplify(e.at[kChannel], {}));
  }

  std::optional<Lane> laneOf(ValueId v, int64_t channel) {
    const Shape &shape = old.type(v).shape;
    Element e{v, {}};
    for (size_t d = 0; d < shape.size(); ++d) {
      bool one = shape[d].isConstant() && shape[d].constant() == 1;
      Var axis = loop::var("i" + std::to_string(d), {}, 0, std::max<int64_t>(shape[d].upper() - 1, 0));
      e.at.push_back(d == kChannel ? loop::imm(channel) : one ? loop::imm(0) : loop::use(axis));
    }
    const std::vector<loop::Expr> at = e.at;
    for (;;) {
      auto whole = wholeChannel(e, at, shape);
      auto known = lanes.find(e.value);
      if (whole && known != lanes.end()) return known->second[size_t(*whole)];
      bool moved = old[e.value].def && isMover(old[*old[e.value].def]) && known == lanes.end() &&
                   !settled.contains(e.value);
      if (!moved) return whole && old[e.value].def ? std::optional(Lane{r(e.value), *whole}) : std::nullopt;
      auto next = source(e);
      if (!next) return std::nullopt;
      e = std::move(*next);
    }
  }

  /// Remembers a moved value's lanes where its memory cannot simply be looked at.
  Status route(ValueId v) {
    auto count = channelsOf(old.type(v));
    if (!count || isView(v)) return {};
    Lanes found;
    for (int64_t c = 0; c < *count; ++c) {
      auto lane = laneOf(v, c);
      if (!lane) return {};
      found.push_back(*lane);
    }
    if (isPlain(found)) return {};
    if (isSmall(found)) {
      lanes[v] = std::move(found);
      return {};
    }
    PLANISH_TRY(settle(v));
    settled.insert(v);
    return {};
  }

  /// Whether channels innermost make a moved value a view of what the nodes before it start from: of
  /// something that is no shuffled value itself.
  bool isView(ValueId v) const {
    std::vector<NodeId> chain;  // last one first
    for (;;) {
      const auto &def = old[v].def;
      if (lanes.contains(v)) return false;
      if (!def || settled.contains(v) || !isMover(old[*def])) break;
      const Node &node = old[*def];
      if (!node.op->outputView) {
        if (std::ranges::any_of(node.inputs, [&](ValueId in) { return lanes.contains(in); })) return false;
        break;
      }
      chain.push_back(*def);
      v = node.inputs[0];
    }
    TensorType from = old.type(v);
    from.layout.clear();
    for (int d = 0; d < from.rank(); ++d)
      if (d != int(kChannel)) from.layout.push_back(uint8_t(d));
    if (from.rank() > int(kChannel)) from.layout.push_back(kChannel);
    std::optional<graph::View> view = graph::denseView(from);
    for (size_t i = chain.size(); view && i-- > 0;)
      view = old[chain[i]].op->outputView(opView(old, old[chain[i]]), *view);
    return view.has_value();
  }

  /// Whether the values that hold the lanes fit a cache together.
  bool isSmall(const Lanes &l) {
    std::set<ValueId> values;
    for (const Lane &lane : l) values.insert(lane.value);
    int64_t bytes = 0;
    for (ValueId v : values) {
      int64_t size = byteSize(r.graph().type(v).dtype);
      for (const Dim &d : r.graph().type(v).shape)
        size = std::min(size * std::max<int64_t>(d.upper(), 1), kMaxJoinedBytes + 1);
      bytes += size;
    }
    return values.size() == 1 || bytes <= kMaxJoinedBytes;
  }

  /// A part of one value, or whole values one after the other: views.
  bool isPlain(const Lanes &l) {
    size_t runs = 0;
    bool whole = true;
    for (size_t first = 0; first < l.size(); ++runs) {
      size_t last = first + 1;
      while (last < l.size() && l[last].value == l[first].value && l[last].channel == l[last - 1].channel + 1)
        ++last;
      whole &= l[first].channel == 0 &&
               int64_t(last - first) == r.graph().type(l[first].value).shape[kChannel].constant();
      first = last;
    }
    return runs == 1 || whole;
  }

  // ---- values as they are ------------------------------------------------------------------------

  Status settle(ValueId v) {
    if (v == kAbsent || old[v].isConstant() || r.has(v)) return {};
    NodeId id = *old[v].def;
    if (auto found = lanes.find(v); found != lanes.end()) {
      PLANISH_ASSIGN(Permutation p, gathered(found->second, old[id].loc));
      PLANISH_ASSIGN(ValueId picked, ops::picked(r.graph(), p.base, kChannel, p.of, old[id].loc));
      r.replace(v, picked);
      return {};
    }
    for (ValueId in : old[id].inputs) PLANISH_TRY(settle(in));
    return r.copy(id);
  }

  /// The lanes as channels of one value: where they are of several, of these joined. What was joined before
  /// is joined again in the same order, with the new ones behind: then all can lie in one memory.
  Result<Permutation> gathered(const Lanes &l, const graph::Loc &loc) {
    std::set<ValueId> values;
    for (const Lane &lane : l) values.insert(lane.value);
    Permutation p{*values.begin(), {}};
    std::map<ValueId, int64_t> starts{{p.base, 0}};
    if (values.size() > 1) {
      std::vector<ValueId> list;
      for (const std::vector<ValueId> &family : families)
        if (std::ranges::any_of(family, [&](ValueId v) { return values.contains(v); }))
          std::ranges::copy_if(family, std::back_inserter(list),
                               [&](ValueId v) { return std::ranges::find(list, v) == list.end(); });
      for (ValueId v : values)
        if (std::ranges::find(list, v) == list.end()) list.push_back(v);
      std::erase_if(families, [&](const auto &f) { return std::ranges::find(list, f[0]) != list.end(); });
      families.push_back(list);
      int64_t start = 0;
      for (ValueId v : list) {
        starts[v] = start;
        start += r.graph().type(v).shape[kChannel].constant();
      }
      PLANISH_ASSIGN(p.base, joined(list, loc));
    }
    for (const Lane &lane : l) p.of.push_back(starts.at(lane.value) + lane.channel);
    return p;
  }
  Result<ValueId> joined(const std::vector<ValueId> &list, const graph::Loc &loc) {
    auto found = joins.find(list);
    if (found != joins.end()) return found->second;
    PLANISH_ASSIGN(ValueId v, ops::concatenated(r.graph(), list, kChannel, loc));
    return joins[list] = v;
  }

  /// Lanes that are all channels of whole values, each once.
  std::optional<Permutation> permutation(const Lanes &l, const graph::Loc &loc) {
    std::set<ValueId> values;
    std::set<std::pair<ValueId, int64_t>> once;
    for (const Lane &lane : l) values.insert(lane.value), once.insert({lane.value, lane.channel});
    int64_t all = 0;
    for (ValueId v : values) all += r.graph().type(v).shape[kChannel].constant();
    if (all != int64_t(l.size()) || once.size() != l.size()) return std::nullopt;
    auto p = gathered(l, loc);
    if (!p || r.graph().type(p->base).shape[kChannel].constant() != all) return std::nullopt;
    return *p;
  }

  /// What holds an old value's lanes, each once: whole values joined. Else, of codes that the reader only
  /// sums over, the lanes alone in the order of memory: codes are read several at a time, so they are copied,
  /// and a few long pieces are copied fastest. (Floats are read one by one, from wherever they are.)
  std::optional<Permutation> heldOnce(ValueId v, bool sums, const graph::Loc &loc) {
    const Lanes &l = lanes.at(v);
    if (auto p = permutation(l, loc)) return p;
    if (!sums || byteSize(old.type(v).dtype) != 1) return std::nullopt;
    if (auto found = inMemoryOrder.find(v); found != inMemoryOrder.end()) return found->second;
    auto p = gathered(l, loc);
    if (!p) return std::nullopt;
    std::vector<int64_t> all = p->of;
    std::ranges::sort(all);
    std::vector<ValueId> pieces;
    for (size_t first = 0, last; first < all.size(); first = last) {
      for (last = first + 1; last < all.size() && all[last] == all[last - 1] + 1;) ++last;
      if (last < all.size() && all[last] == all[last - 1]) return std::nullopt;
      auto piece = ops::picked(r.graph(), p->base, kChannel,
                               {all.begin() + long(first), all.begin() + long(last)}, loc);
      if (!piece) return std::nullopt;
      pieces.push_back(*piece);
    }
    if (int64_t(pieces.size()) * kLeastPiece > int64_t(all.size())) return std::nullopt;
    auto base =
        pieces.size() == 1 ? Result<ValueId>(pieces[0]) : ops::concatenated(r.graph(), pieces, kChannel, loc);
    if (!base) return std::nullopt;
    Permutation made{*base, {}};
    for (int64_t channel : p->of) made.of.push_back(std::ranges::lower_bound(all, channel) - all.begin());
    return inMemoryOrder[v] = std::move(made);
  }

  // ---- readers of shuffled channels --------------------------------------------------------------

  /// How an operand of a node depends on an axis: in one dimension, by that axis itself.
  struct Dependence {
    bool any = false;
    std::optional<size_t> dim; // absent: in another way
  };
  static Dependence dependence(const loop::Compute &c, const loop::Buffer &operand, const Var &axis) {
    Dependence r;
    bool regular = true;
    auto look = [&](const loop::Expr &e) {
      if (!e) return;
      loop::walk(e, [&](const loop::Expr &x) {
        auto *l = loop::as<loop::Load>(x);
        if (!l || l->buffer != operand) return;
        for (size_t d = 0; d < l->indices.size(); ++d) {
          loop::Expr i = loop::simplify(withoutUnitAxes(c, l->indices[d]), {});
          if (!loop::dependsOn(i, axis)) continue;
          auto *v = loop::as<loop::VarRef>(i);
          regular &= v && v->var == axis && (!r.dim || *r.dim == d);
          r.any = true, r.dim = d;
        }
      });
    };
    for (const loop::Expr &e : {c.init, c.lhs, c.rhs, c.value}) look(e);
    if (!regular) r.dim.reset();
    return r;
  }
  /// Whether the axis occurs elsewhere than in the indices of operands.
  static bool countsElsewhere(const loop::Compute &c, const Var &axis) {
    auto occurs = [&](const loop::Expr &e) {
      if (!e) return false;
      return loop::dependsOn(loop::rewrite(withoutUnitAxes(c, e),
                                           [](const loop::Expr &x) {
                                             return loop::as<loop::Load>(x) ? loop::constant(1, x->type) : x;
                                           }),
                             axis);
    };
    return occurs(c.init) || occurs(c.lhs) || occurs(c.rhs) || occurs(c.value) ||
           std::ranges::any_of(c.where, occurs);
  }

  /// The axis along which a node reads the channels of its shuffled operands, and whether that is the axis
  /// of its own channels.
  struct Along {
    Var axis;
    bool own = false;
  };
  std::optional<Along> along(const Node &node, const Meaning &m) const {
    auto first = std::ranges::find_if(node.inputs, [&](ValueId v) { return lanes.contains(v); });
    const loop::Buffer &x = m.view.in[size_t(first - node.inputs.begin())];
    Along a;
    for (auto *axes : {&m.compute.space, &m.compute.reduce})
      for (const loop::Iter &i : *axes)
        if (auto d = dependence(m.compute, x, i.var); d.any && d.dim == kChannel) a.axis = i.var;
    if (!a.axis || countsElsewhere(m.compute, a.axis)) return std::nullopt;
    for (size_t d = 0; d < m.compute.outIndices.size(); ++d) {
      loop::Expr i = loop::simplify(withoutUnitAxes(m.compute, m.compute.outIndices[d]), {});
      if (!loop::dependsOn(i, a.axis)) continue;
      auto *v = loop::as<loop::VarRef>(i);
      if (d != kChannel || !v || v->var != a.axis) return std::nullopt;
      a.own = true;
    }
    return a;
  }

  /// The node over shuffled operands as they lie, with its constants in the same order.
  Result<bool> takeOver(const Node &node) {
    auto m = node.outputs.size() == 1 ? meaningOf(old, node) : std::nullopt;
    auto a = m ? along(node, *m) : std::nullopt;
    if (!a) return false;
    std::optional<std::vector<int64_t>> order;
    std::vector<std::pair<size_t, size_t>> constants; // operand, its dimension
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      ValueId v = node.inputs[i];
      if (v == kAbsent) continue;
      Dependence d = dependence(m->compute, m->view.in[i], a->axis);
      if (!d.any) {
        if (lanes.contains(v)) return false;
        continue;
      }
      if (!d.dim) return false;
      if (old[v].isConstant()) {
        constants.push_back({i, *d.dim});
        continue;
      }
      auto found = lanes.find(v);
      auto p = found != lanes.end() && *d.dim == kChannel ? heldOnce(v, !a->own, node.loc) : std::nullopt;
      if (!p || (order && *order != p->of)) return false;
      order = p->of;
    }
    if (!order) return false;
    return rebuilt(node, *a, *order, constants);
  }

  Result<bool> rebuilt(const Node &node, const Along &a, const std::vector<int64_t> &order,
                       const std::vector<std::pair<size_t, size_t>> &constants) {
    std::vector<ValueId> inputs;
    for (ValueId v : node.inputs) {
      if (auto found = lanes.find(v); v != kAbsent && found != lanes.end()) {
        inputs.push_back(heldOnce(v, !a.own, node.loc)->base);
        continue;
      }
      PLANISH_TRY(settle(v));
      inputs.push_back(r(v));
    }
    for (auto [i, dim] : constants) inputs[i] = permuted(node.inputs[i], dim, order);
    ValueId out = node.outputs[0];
    PLANISH_ASSIGN(std::vector<ValueId> made, r.graph().append(*node.op, node.attrs, inputs, node.loc,
                                                               {a.own ? "" : old[out].name}, node.regions));
    if (!a.own) {
      r.replace(out, made[0]);
      return true;
    }
    Lanes result;
    for (int64_t channel : order) result.push_back({made[0], channel});
    lanes[out] = std::move(result);
    return true;
  }

  /// A constant whose slice c along a dimension becomes slice order[c].
  ValueId permuted(ValueId v, size_t dim, const std::vector<int64_t> &order) {
    const graph::Value &value = old[v];
    std::vector<int64_t> shape = *constantShape(value.type.shape);
    size_t inner = size_t(byteSize(value.type.dtype)), outer = 1;
    for (size_t d = 0; d < shape.size(); ++d) (d < dim ? outer : inner) *= d == dim ? 1 : size_t(shape[d]);
    auto bytes = std::make_shared<std::vector<std::byte>>(value.data->size());
    for (size_t o = 0; o < outer; ++o)
      for (size_t c = 0; c < order.size(); ++c)
        std::copy_n(value.data->begin() + long((o * order.size() + c) * inner), inner,
                    bytes->begin() + long((o * order.size() + size_t(order[c])) * inner));
    return r.graph().addConstant(value.type, std::move(bytes), value.name);
  }

  const Graph &old;
  graph::Rebuilder r;
  std::map<ValueId, Lanes> lanes; // by old value: shuffled, and not laid down
  std::set<ValueId> settled; // laid down although they are shuffled: followed no further
  std::vector<bool> bends; // by old value: moved through another rank
  std::map<NodeId, Meaning> meanings;
  std::vector<std::vector<ValueId>> families; // values that are joined, in order
  std::map<std::vector<ValueId>, ValueId> joins;
  std::map<ValueId, Permutation> inMemoryOrder; // by old value: its lanes, laid down for readers that sum
};

} // namespace

Result<Graph> routeChannels(const Graph &g) { return ChannelRouter(g).run(); }

} // namespace planish::transform
