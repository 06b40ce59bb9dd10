#include "Storage.h"

#include "planish/graph/Evaluate.h"
#include "planish/loop/Rewrite.h"
#include "planish/support/Check.h"

#include <algorithm>
#include <numeric>

namespace planish::lower {

using graph::Graph;
using graph::kAbsent;
using graph::Node;
using graph::NodeId;
using graph::OpClass;
using graph::OpView;
using graph::ValueId;
using graph::View;
using loop::Expr;
using loop::Region;

bool samePlace(const Place &a, const Place &b, const Shape &shape) {
  if (a.root != b.root || !loop::equal(a.view.offset, b.view.offset)) return false;
  for (size_t d = 0; d < shape.size(); ++d) {
    bool one = shape[d].isConstant() && shape[d].constant() == 1;
    if (!one && !loop::equal(a.view.strides[d], b.view.strides[d])) return false;
  }
  return true;
}

std::vector<Expr> denseStrides(const Shape &shape, const Layout &order) {
  Layout o = order;
  if (o.empty()) {
    o.resize(shape.size());
    std::iota(o.begin(), o.end(), uint8_t(0));
  }
  std::vector<Expr> strides(shape.size());
  Expr stride = loop::imm(1);
  for (size_t i = o.size(); i-- > 0;) {
    strides[o[i]] = stride;
    stride = stride * loop::extentOf(shape[o[i]]);
  }
  return strides;
}

Result<int64_t> upperBytes(const TensorType &type, const std::string &name) {
  constexpr int64_t kLimit = int64_t(1) << 46;
  int64_t bytes = byteSize(type.dtype);
  for (const Dim &d : type.shape) {
    if (d.upper() > 0 && bytes > kLimit / d.upper())
      return failed("value '" + name + "' of type " + textOf(type) +
                    " does not fit in memory; give smaller sizes");
    bytes *= std::max<int64_t>(d.upper(), 0);
  }
  return bytes;
}

namespace {

/// The places that a region's inputs and outputs have outside.
struct Ports {
  std::vector<Place> inputs, outputs;
};

class Planner {
public:
  Planner(const Graph &graph, std::vector<Root> &allRoots)
      : g(graph), uses(graph.uses()), roots(allRoots), firstRoot(int(allRoots.size())) {
    plan.graph = &g;
    plan.places.resize(g.values().size());
    lastUse.assign(g.values().size(), -1);
    for (size_t v = 0; v < uses.size(); ++v)
      for (NodeId n : uses[v]) lastUse[v] = std::max(lastUse[v], int64_t(n.index));
    for (ValueId v : g.outputs()) lastUse[v.index] = int64_t(g.nodes().size());
  }

  /// A region has `ports`, the graph itself memory of the caller.
  Result<Body> run(const Ports *ports = nullptr) {
    PLANISH_TRY(ports ? placePorts(*ports) : placePorts());
    for (size_t n = g.nodes().size(); n-- > 0;) PLANISH_TRY(backward(NodeId{uint32_t(n)}));
    for (size_t n = 0; n < g.nodes().size(); ++n) PLANISH_TRY(forward(NodeId{uint32_t(n)}));
    for (const Step &copy : outputCopies()) plan.steps.push_back(copy);
    return std::move(plan);
  }

private:
  const Graph &g;
  std::vector<std::vector<NodeId>> uses;
  std::vector<int64_t> lastUse;       // node index of the last reader, by value
  std::vector<std::pair<ValueId, Place>> copiedOutputs;
  std::vector<Root> &roots;  // of the whole program
  int firstRoot;             // of those this graph adds
  Body plan;

  std::optional<Place> &place(ValueId v) { return plan.places[v.index]; }
  const std::string &nameOf(ValueId v) const { return g[v].name; }

  Result<int> addRoot(Region region, int64_t index, ValueId v) {
    PLANISH_ASSIGN(int64_t bytes, upperBytes(g.type(v), nameOf(v)));
    roots.push_back({region, index, bytes, region == Region::Constant ? &g[v] : nullptr});
    return int(roots.size()) - 1;
  }
  Status placeDense(ValueId v, Region region, int64_t index, const Layout &order) {
    PLANISH_ASSIGN(int root, addRoot(region, index, v));
    place(v) = Place{root, {denseStrides(g.type(v).shape, order), loop::imm(0)}};
    return {};
  }

  Status placePorts() {
    for (size_t i = 0; i < g.inputs().size(); ++i)
      PLANISH_TRY(placeDense(g.inputs()[i], Region::Input, int64_t(i), {}));
    PLANISH_TRY(placeConstants());
    for (size_t k = 0; k < g.outputs().size(); ++k) {
      ValueId v = g.outputs()[k];
      if (g[v].def && !place(v)) {
        PLANISH_TRY(placeDense(v, Region::Output, int64_t(k), {}));
        continue;
      }
      roots.push_back({Region::Output, int64_t(k), 0, nullptr});
      copiedOutputs.push_back(
          {v, {int(roots.size()) - 1, {denseStrides(g.type(v).shape, {}), loop::imm(0)}}});
    }
    return {};
  }
  Status placePorts(const Ports &ports) {
    for (size_t i = 0; i < g.inputs().size(); ++i) place(g.inputs()[i]) = ports.inputs[i];
    PLANISH_TRY(placeConstants());
    for (size_t k = 0; k < g.outputs().size(); ++k) {
      ValueId v = g.outputs()[k];
      if (g[v].def && !place(v)) place(v) = ports.outputs[k];
      else copiedOutputs.push_back({v, ports.outputs[k]});
    }
    return {};
  }
  Status placeConstants() {
    for (size_t v = 0; v < g.values().size(); ++v)
      if (ValueId id{uint32_t(v)}; g[id].isConstant()) PLANISH_TRY(placeDense(id, Region::Constant, 0, {}));
    return {};
  }

  OpView view(const Node &n) const {
    OpView r{n.attrs, {}, g.type(n.outputs[0]), {}, {}};
    for (ValueId v : n.inputs) r.inTypes.push_back(v == kAbsent ? TensorType{} : g.type(v));
    return r;
  }
  static bool joins(const Node &n) { return n.op->inputView && !n.op->outputView; }

  /// A producer writes well only where its innermost dimension is contiguous.
  bool suits(ValueId v, const View &where) const {
    const Value &value = g[v];
    if (g[*value.def].op->cls == OpClass::Movement) return true;
    Layout order = value.type.layout;
    if (order.empty()) {
      order.resize(value.type.shape.size());
      std::iota(order.begin(), order.end(), uint8_t(0));
    }
    for (size_t i = order.size(); i-- > 0;)
      if (const Dim &d = value.type.shape[order[i]]; !d.isConstant() || d.constant() != 1)
        return loop::constantOf(where.strides[order[i]]) == 1;
    return true;
  }
  using Value = graph::Value;

  /// The place of operands that lie one after the other already, in a larger value that is joined later.
  std::optional<Place> alreadyJoined(const Node &n, const OpView &v) {
    const auto &first = place(n.inputs[0]);
    if (!first) return std::nullopt;
    View zero{first->view.strides, loop::imm(0)};
    auto inside = n.op->inputView(v, 0, zero);
    if (!inside) return std::nullopt;
    Place r{first->root, {first->view.strides, first->view.offset - inside->offset}};
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      auto part = n.op->inputView(v, int(i), r.view);
      if (!part || !place(n.inputs[i]) ||
          !samePlace(*place(n.inputs[i]), {r.root, *part}, g.type(n.inputs[i]).shape))
        return std::nullopt;
    }
    return r;
  }

  /// Gives operands their place inside this node's output, where the output has one.
  Status backward(NodeId id) {
    const Node &n = g[id];
    if (!n.op->inputView) return {};
    ValueId out = n.outputs[0];
    OpView v = view(n);
    if (joins(n) && !place(out)) place(out) = alreadyJoined(n, v);
    if (joins(n) && !place(out)) PLANISH_TRY(placeDense(out, Region::Arena, 0, g.type(out).layout));
    if (!place(out)) return {};
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      ValueId in = n.inputs[i];
      if (in == kAbsent || place(in) || !g[in].def) continue;
      if (auto where = n.op->inputView(v, int(i), place(out)->view); where && suits(in, *where))
        place(in) = Place{place(out)->root, *where};
    }
    return {};
  }

  /// True unless strides fall where the type's layout says that they rise: then the bytes must move.
  static bool follows(const View &view, const TensorType &type) {
    std::optional<int64_t> outer;
    for (size_t i = 0; i < type.shape.size(); ++i) {
      size_t d = type.layout.empty() ? i : type.layout[i];
      if (type.shape[d].isConstant() && type.shape[d].constant() == 1) continue;
      auto stride = loop::constantOf(view.strides[d]);
      if (stride && outer && std::abs(*stride) > std::abs(*outer)) return false;
      if (stride) outer = stride;
    }
    return true;
  }

  Operand operand(ValueId v) { return {v, nameOf(v), g.type(v), *place(v)}; }
  /// `from` seen with the type of `to`, copied there.
  void copyStep(NodeId id, ValueId from, Place fromPlace, ValueId to, Place toPlace, const TensorType &type) {
    plan.steps.push_back({id,
                          true,
                          {Operand{from, nameOf(from), type, std::move(fromPlace)}},
                          {Operand{to, nameOf(to), type, std::move(toPlace)}},
                          {}});
  }

  Status forward(NodeId id) {
    const Node &n = g[id];
    if (n.op->loops || n.op->control != graph::Control::None) return severalResults(id);
    ValueId out = n.outputs[0];
    OpView v = view(n);
    if (joins(n)) {
      for (size_t i = 0; i < n.inputs.size(); ++i) {
        ValueId in = n.inputs[i];
        Place part{place(out)->root, *n.op->inputView(v, int(i), place(out)->view)};
        if (!samePlace(*place(in), part, g.type(in).shape))
          copyStep(id, in, *place(in), out, part, g.type(in));
      }
      return {};
    }
    if (n.op->outputView) {
      auto seen = n.op->outputView(v, place(n.inputs[0])->view);
      if (seen) {
        Place as{place(n.inputs[0])->root, *seen};
        if (!place(out) && !follows(*seen, g.type(out)))
          PLANISH_TRY(placeDense(out, Region::Arena, 0, g.type(out).layout));
        if (!place(out)) {
          place(out) = as;
          return {};
        }
        if (!samePlace(*place(out), as, g.type(out).shape))
          copyStep(id, n.inputs[0], as, out, *place(out), g.type(out));
        return {};
      }
    }
    Step step{id, false, operands(n), {}, {}};
    if (!place(out)) {
      if (auto reuse = inPlace(id, step)) place(out) = *reuse;
      else PLANISH_TRY(placeDense(out, Region::Arena, 0, g.type(out).layout));
    }
    step.out = {operand(out)};
    plan.steps.push_back(std::move(step));
    return {};
  }
  std::vector<std::optional<Operand>> operands(const Node &n) {
    std::vector<std::optional<Operand>> r;
    for (ValueId in : n.inputs) r.push_back(in == kAbsent ? std::nullopt : std::optional(operand(in)));
    return r;
  }
  /// Results in memory of their own; regions write to it.
  Status severalResults(NodeId id) {
    const Node &n = g[id];
    Step step{id, false, operands(n), {}, {}};
    for (ValueId out : n.outputs) {
      if (!place(out)) PLANISH_TRY(placeDense(out, Region::Arena, 0, g.type(out).layout));
      step.out.push_back(operand(out));
    }
    for (const Graph &region : n.regions) {
      Ports ports;
      for (size_t i = n.inputs.size() - region.inputs().size(); i < n.inputs.size(); ++i)
        ports.inputs.push_back(step.in[i]->place);
      for (const Operand &out : step.out) ports.outputs.push_back(out.place);
      PLANISH_ASSIGN(Body body, Planner(region, roots).run(&ports));
      step.bodies.push_back(std::move(body));
    }
    plan.steps.push_back(std::move(step));
    return {};
  }

  /// The place of an operand that this node may overwrite.
  std::optional<Place> inPlace(NodeId id, const Step &step) {
    const Node &n = g[id];
    const TensorType &type = g.type(n.outputs[0]);
    std::vector<Expr> want = denseStrides(type.shape, type.layout);
    for (const auto &in : step.in) {
      if (!in || in->type.dtype != type.dtype || in->type.shape != type.shape) continue;
      if (roots[size_t(in->place.root)].region != Region::Arena || !diesAt(in->place.root, id)) continue;
      Place same{in->place.root, {want, in->place.view.offset}};
      bool strides = samePlace(same, in->place, type.shape);
      if (strides && readsOnlyWhereItWrites(n, step, in->place.root)) return in->place;
    }
    return std::nullopt;
  }
  bool diesAt(int root, NodeId id) const {
    if (root < firstRoot) return false;  // memory of the graph around a region
    for (size_t v = 0; v < plan.places.size(); ++v)
      if (plan.places[v] && plan.places[v]->root == root && lastUse[v] > int64_t(id.index)) return false;
    return true;
  }
  /// True if everything the node reads of this root is the element it then stores.
  bool readsOnlyWhereItWrites(const Node &n, const Step &step, int root) const {
    auto shaped = [](const Operand &o, const char *name) {
      std::vector<Expr> dims;
      for (const Dim &d : o.type.shape) dims.push_back(loop::extentOf(d));
      return loop::buffer(name, o.type.dtype, dims, o.place.view.strides);
    };
    std::vector<loop::Buffer> in;
    std::vector<loop::Buffer> ofRoot;
    const Operand *first = nullptr;
    for (const auto &o : step.in) {
      in.push_back(o ? shaped(*o, "x") : nullptr);
      if (!o || o->place.root != root) continue;
      if (first && !samePlace(first->place, o->place, o->type.shape))
        return false;  // another part of the same memory
      first = &*o;
      ofRoot.push_back(in.back());
    }
    std::vector<Expr> dims;
    const TensorType &type = g.type(n.outputs[0]);
    for (const Dim &d : type.shape) dims.push_back(loop::extentOf(d));
    loop::Compute c = graph::computeOf(n, g, in, loop::buffer("out", type.dtype, dims));
    bool only = true;
    auto check = [&](const Expr &e, bool stored) {
      loop::walk(e, [&](const Expr &x) {
        const auto *l = loop::as<loop::Load>(x);
        if (!l || std::find(ofRoot.begin(), ofRoot.end(), l->buffer) == ofRoot.end()) return;
        only &= stored &&
                std::equal(l->indices.begin(), l->indices.end(), c.outIndices.begin(), c.outIndices.end(),
                           [](const Expr &a, const Expr &b) { return loop::equal(a, b); });
      });
    };
    check(c.value, true);
    for (const Expr &e : {c.init, c.lhs, c.rhs})
      if (e) check(e, false);
    for (const Expr &e : c.where) check(e, false);
    return only;
  }

  /// Outputs that are inputs, constants, or another output's value.
  std::vector<Step> outputCopies() {
    std::vector<Step> r;
    for (auto &[v, to] : copiedOutputs) {
      NodeId last{uint32_t(g.nodes().empty() ? 0 : g.nodes().size() - 1)};
      r.push_back({last, true, {operand(v)}, {Operand{v, nameOf(v), g.type(v), to}}, {}});
    }
    return r;
  }
};

} // namespace

Result<Storage> planStorage(const Graph &g) {
  Storage s;
  PLANISH_ASSIGN(s.main, Planner(g, s.roots).run());
  return s;
}

} // namespace planish::lower
