#include "planish/transform/Equalize.h"

#include "WeightCodes.h"

#include "planish/ops/Ops.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace planish::transform {

namespace {

/// Channels that never hold anything larger get no larger factor than that of the widest over this.
constexpr double kMostSpread = 1 << 12;
/// A function whose results are small on one side of zero (SiLU) gets room there of this part of the other
/// side: narrow channels may lie on that side alone.
constexpr double kLeastSide = 0.25;
/// How far activations are brought to one size where weights must share a scale with those of other channels:
/// 1 makes them alike, 0 leaves them. Codes of activations cost more than codes of weights, which have a
/// scale per output.
constexpr double kShare = 0.75;

/// Whether the node is an elementwise function of one value that keeps positive factors: max(x, 0), max(x, x
/// * c).
bool keepsFactors(const Graph &g, const Node &node) {
  auto meaning = node.inputs.size() == 1 && node.op->cls == graph::OpClass::Elementwise ? meaningOf(g, node)
                                                                                        : std::nullopt;
  if (!meaning) return false;
  // Built of x, factors of it, and choices of which with zero: every other constant would show.
  std::function<bool(const loop::Expr &)> scales = [&](const loop::Expr &e) {
    if (operandRead(*meaning, e) == 0) return true;
    if (auto *number = loop::as<loop::FloatImm>(e)) return number->value == 0;
    if (auto *b = loop::as<loop::Binary>(e)) {
      if (b->op == loop::BinaryOp::Mul)
        return (scales(b->a) && loop::as<loop::FloatImm>(b->b)) ||
               (scales(b->b) && loop::as<loop::FloatImm>(b->a));
      bool chooses =
          b->op == loop::BinaryOp::Max || b->op == loop::BinaryOp::Min || b->op == loop::BinaryOp::Add;
      return chooses && scales(b->a) && scales(b->b);
    }
    if (auto *s = loop::as<loop::Select>(e)) {
      auto *compared = loop::as<loop::Binary>(s->cond);
      return compared && scales(compared->a) && scales(compared->b) && scales(s->a) && scales(s->b);
    }
    return false;
  };
  return scales(meaning->compute.value);
}

class Equalizer {
public:
  explicit Equalizer(const Graph &g) : g(g), uses(g.uses()), outputUses(g.outputUses()) {}

  quant::Equalization factors(const quant::Profile &profile) {
    quant::Equalization r;
    for (uint32_t v = 0; v < g.values().size(); ++v) {
      auto seen = profile.values.find(g.values()[v].name);
      if (seen == profile.values.end() || seen->second.channels.size() < 2 || !isBetweenSums({v})) continue;
      // A table is for all channels, and what follows it would need real numbers.
      if (profile.tables && !dividesBefore({v})) continue;
      auto exponents = exponentsFor({v}, seen->second.channels);
      if (std::ranges::any_of(exponents, [](int e) { return e != 0; })) r[seen->first] = std::move(exponents);
    }
    return r;
  }

  /// Whether contractions with constant weights alone read the value.
  bool isBetweenSums(ValueId v) const {
    return g[v].def && g.type(v).dtype == DType::f32 && g.type(v).rank() > 1 && !uses[v.index].empty() &&
           outputUses[v.index] == 0 && isMadeByChannel(*g[v].def) &&
           std::ranges::all_of(uses[v.index],
                               [&](NodeId n) { return g[n].inputs[0] == v && readOf(g[n]).has_value(); });
  }

  /// What a contraction reads of operand 0 by its weights.
  struct Read {
    Channels channels;
    std::vector<size_t> channel; // by weight
  };
  std::optional<Read> readOf(const Node &node) const {
    if (node.op->cls != graph::OpClass::Contraction || !node.op->integer) return std::nullopt;
    if (std::ranges::count(node.inputs, node.inputs[0]) != 1) return std::nullopt;
    auto meaning = meaningOf(g, node);
    auto channels = meaning ? channelsOf(g, node, *meaning) : std::nullopt;
    if (!channels || channels->weight != 1) return std::nullopt;
    auto read = channelsRead(g, node, *channels);
    if (!read) return std::nullopt;
    return Read{*channels, *std::move(read)};
  }

private:
  /// Whether the factors of a value can go into the weights before it.
  bool dividesBefore(ValueId v) const {
    const Node &node = g[*g[v].def];
    return node.op->cls == graph::OpClass::Contraction || keepsFactors(g, node);
  }
  bool isMadeByChannel(NodeId n) const {
    graph::OpClass cls = g[n].op->cls;
    return cls == graph::OpClass::Elementwise || cls == graph::OpClass::Contraction;
  }

  /// How far each channel reaches, on whichever side it needs more of what all channels share.
  static std::vector<double> sizesOf(const std::vector<quant::Channel> &channels) {
    double above = 0, below = 0;
    for (const quant::Channel &c : channels)
      above = std::max(above, c.most), below = std::max(below, -c.least);
    if (above > 0 && below > 0) {
      // One side may grow for narrow channels that need it, but codes are for both.
      above = std::max(above, below * kLeastSide), below = std::max(below, above * kLeastSide);
    }
    std::vector<double> r;
    for (const quant::Channel &c : channels)
      r.push_back(std::max(above > 0 ? c.most / above : 0, below > 0 ? -c.least / below : 0));
    return r;
  }

  std::vector<int> exponentsFor(ValueId v, const std::vector<quant::Channel> &channels) const {
    size_t n = channels.size();
    std::vector<double> range = sizesOf(channels), weight(n, 0);
    double widest = *std::ranges::max_element(range);
    bool alone = true; // every output of every reader reads one channel
    for (NodeId id : uses[v.index]) {
      auto read = readOf(g[id]);
      std::span<const float> weights = graph::dataOf<float>(g[g[id].inputs[1]]);
      for (size_t i = 0; i < weights.size(); ++i)
        if (read->channel[i] < n)
          weight[read->channel[i]] = std::max(weight[read->channel[i]], std::abs(double(weights[i])));
      alone = alone && readsOneChannel(g[id], *read);
    }
    double heaviest = *std::ranges::max_element(weight);
    std::vector<int> r(n, 0);
    if (!(widest > 0) || !(heaviest > 0)) return r;
    for (size_t c = 0; c < n; ++c) {
      double size = std::max(range[c] / widest, 1 / kMostSpread),
             load = std::max(weight[c] / heaviest, 1 / kMostSpread);
      double factor = alone ? size : std::pow(size, kShare) / std::pow(load, 1 - kShare);
      r[c] = int(std::lround(std::log2(factor)));
    }
    int most = *std::ranges::max_element(r);
    for (int &e : r) e -= most; // the graph's numbers stay near what they were
    return r;
  }

  bool readsOneChannel(const Node &node, const Read &read) const {
    std::vector<int64_t> shape = *constantShape(g.type(node.inputs[1]).shape);
    size_t inner = 1;
    for (size_t d = read.channels.weightDim + 1; d < shape.size(); ++d) inner *= size_t(shape[d]);
    std::map<size_t, size_t> of;
    for (size_t i = 0; i < read.channel.size(); ++i) {
      auto [found, isNew] = of.emplace(i / inner % size_t(shape[read.channels.weightDim]), read.channel[i]);
      if (found->second != read.channel[i]) return false;
    }
    return true;
  }

  const Graph &g;
  std::vector<std::vector<NodeId>> uses;
  std::vector<int> outputUses;
};

class Rescaler {
public:
  Rescaler(const Graph &g, const quant::Equalization &factors)
      : old(g), equalizer(g), r(g), uses(g.uses()), outputUses(g.outputUses()) {
    for (uint32_t v = 0; v < g.values().size(); ++v)
      if (auto found = factors.find(g.values()[v].name); found != factors.end())
        exponents[{v}] = &found->second;
    known = exponents.size() == factors.size();
  }

  Result<Graph> run() {
    for (auto &[v, e] : exponents) known = known && fits(v, *e);
    if (!known) return badInput("the profile's factors are those of another model; calibrate again");
    for (auto &[v, e] : exponents) place(v, *e);
    for (uint32_t n = 0; n < old.nodes().size(); ++n) PLANISH_TRY(visit({n}));
    return r.finish();
  }

private:
  bool fits(ValueId v, const std::vector<int> &e) const {
    return equalizer.isBetweenSums(v) && old.type(v).shape[1] == Dim(int64_t(e.size()));
  }

  /// Where a value is divided: after what makes it, or as far back as functions keep factors.
  void place(ValueId v, const std::vector<int> &e) {
    ValueId at = v;
    while (old[at].def && keepsFactors(old, old[*old[at].def])) {
      ValueId before = old[*old[at].def].inputs[0];
      if (uses[before.index].size() != 1 || outputUses[before.index] || !old[before].def ||
          old.type(before).shape != old.type(v).shape)
        break;
      at = before;
    }
    divided[at] = &e;
  }

  Status visit(NodeId id) {
    const Node &node = old[id];
    std::vector<ValueId> operands = r(node.inputs);
    bool changed = false;
    if (!node.inputs.empty() && exponents.contains(node.inputs[0])) {
      operands[1] = weightsOf(node, *exponents.at(node.inputs[0]));
      changed = true;
    }
    auto division = node.outputs.size() == 1 ? divided.find(node.outputs[0]) : divided.end();
    if (!changed && division == divided.end()) return r.copy(id);
    std::vector<std::string> names;
    for (ValueId v : node.outputs) names.push_back(old[v].name);
    Graph &g = r.graph();
    PLANISH_ASSIGN(std::vector<ValueId> made, g.append(*node.op, node.attrs, std::move(operands), node.loc,
                                                       std::move(names), node.regions));
    if (division != divided.end()) {
      std::vector<int64_t> shape(size_t(old.type(node.outputs[0]).rank()) - 1, 1);
      shape[0] = int64_t(division->second->size());
      std::vector<float> factors;
      for (int e : *division->second) factors.push_back(std::ldexp(1.0F, -e));
      PLANISH_ASSIGN(made, g.append(ops::row(ops::Arithmetic::Mul), {},
                                    {made[0], g.addConstant(DType::f32, shape, factors)}, node.loc));
    }
    for (size_t i = 0; i < made.size(); ++i) r.replace(node.outputs[i], made[i]);
    return {};
  }

  ValueId weightsOf(const Node &node, const std::vector<int> &e) {
    auto read = equalizer.readOf(node);
    const graph::Value &value = old[node.inputs[1]];
    std::span<const float> data = graph::dataOf<float>(value);
    std::vector<float> weights(data.begin(), data.end());
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = std::ldexp(weights[i], e.at(read->channel[i]));
    return r.graph().addConstant(DType::f32, *constantShape(value.type.shape), weights, value.name);
  }

  const Graph &old;
  Equalizer equalizer;
  graph::Rebuilder r;
  std::vector<std::vector<NodeId>> uses;
  std::vector<int> outputUses;
  std::map<ValueId, const std::vector<int> *> exponents,
      divided; // by the value to divide, and where that is done
  bool known = true;
};

} // namespace

quant::Equalization equalization(const Graph &g, const quant::Profile &profile) {
  return Equalizer(g).factors(profile);
}

Result<Graph> equalized(const Graph &g, const quant::Equalization &factors) {
  if (factors.empty()) return g;
  PLANISH_ASSIGN(Graph rescaled, Rescaler(g, factors).run());
  return findPass("fold-scales")->run(rescaled);
}

} // namespace planish::transform
