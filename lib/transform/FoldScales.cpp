#include "Contractions.h"
#include "planish/transform/Passes.h"

#include <algorithm>

namespace planish::transform {

namespace {

/// y * scale + shift, per slice of the output's dimension `dim`; one entry where it is the same for all.
struct Rescaling {
  std::vector<double> scale, shift;
  size_t dim = 0;
  ValueId of = kAbsent;  // y

  double scaleAt(size_t i) const { return scale[scale.size() == 1 ? 0 : i]; }
  double shiftAt(size_t i) const { return shift[shift.size() == 1 ? 0 : i]; }
  bool shifts() const {
    return std::ranges::any_of(shift, [](double s) { return s != 0; });
  }
};

/// A node that computes y op c with a constant c that varies over at most one dimension.
std::optional<Rescaling> rescalingOf(const Graph &g, const Node &node) {
  auto pair = pairOf(g, node);
  if (!pair) return std::nullopt;
  auto [op, a, b] = *pair;
  bool swapped = g[node.inputs[a]].isConstant();
  ValueId c = node.inputs[swapped ? a : b], y = node.inputs[swapped ? b : a];
  if (!g[c].isConstant() || g[y].isConstant() || g.type(y).shape != g.type(node.outputs[0]).shape)
    return std::nullopt;

  Rescaling r;
  r.of = y;
  const Shape &shape = g.type(c).shape;
  int varying = 0;
  for (size_t d = 0; d < shape.size(); ++d)
    if (shape[d].constant() != 1) r.dim = g.type(y).shape.size() - shape.size() + d, ++varying;
  if (varying > 1) return std::nullopt;

  for (float v : graph::dataOf<float>(g[c])) {
    double x = double(v), scale = 1, shift = 0;
    switch (op) {
    case loop::BinaryOp::Add: shift = x; break;
    case loop::BinaryOp::Sub:
      (swapped ? scale : shift) = swapped ? -1 : -x, shift = swapped ? x : shift;
      break;
    case loop::BinaryOp::Mul: scale = x; break;
    case loop::BinaryOp::Div:
      if (swapped) return std::nullopt;
      scale = 1 / x;
      break;
    default: return std::nullopt;
    }
    r.scale.push_back(scale), r.shift.push_back(shift);
  }
  return r;
}

class ScaleFolder {
public:
  explicit ScaleFolder(const Graph &g) : old(g), r(g), uses(g.uses()), outputUses(g.outputUses()) {}

  Result<Graph> run() {
    for (uint32_t n = 0; n < old.nodes().size(); ++n) {
      PLANISH_ASSIGN(bool done, folded(old[NodeId{n}]));
      if (!done) PLANISH_TRY(r.copy({n}));
    }
    return r.finish();
  }

private:
  Result<bool> folded(const Node &node) {
    if (node.outputs.size() != 1) return false;
    auto rescaling = rescalingOf(old, node);
    if (!rescaling) return false;
    ValueId y = r(rescaling->of);
    if (uses[rescaling->of.index].size() != 1 || outputUses[rescaling->of.index] || !r.graph()[y].def)
      return false;
    Node contraction = r.graph()[*r.graph()[y].def];
    if (contraction.op->cls != graph::OpClass::Contraction || contraction.outputs.size() != 1) return false;
    auto meaning = meaningOf(r.graph(), contraction);
    auto channels = meaning ? channelsFor(contraction, *meaning, *rescaling) : std::nullopt;
    if (!channels) return false;

    scaleWeights(contraction, *channels, *rescaling);
    if (!rescaleBias(contraction, *channels, *rescaling)) return false;
    auto made = r.graph().append(*contraction.op, contraction.attrs, contraction.inputs,
                                 graph::merged(contraction.loc, node.loc));
    if (!made) return made.error();
    r.replace(node.outputs[0], (*made)[0]);
    return true;
  }

  /// A scalar factor may go along any output dimension that the weights have.
  std::optional<Channels> channelsFor(const Node &node, const Meaning &m, Rescaling &rescaling) const {
    const Graph &g = const_cast<graph::Rebuilder &>(r).graph();
    if (rescaling.scale.size() > 1) return channelsOf(g, node, m, rescaling.dim);
    for (size_t d = 0; d < m.compute.outIndices.size(); ++d)
      if (auto found = channelsOf(g, node, m, d)) {
        rescaling.dim = d;
        return found;
      }
    return std::nullopt;
  }

  void scaleWeights(Node &node, const Channels &channels, const Rescaling &rescaling) {
    ValueId &weight = node.inputs[channels.weight];
    const graph::Value &v = r.graph()[weight];
    std::span<const float> data = graph::dataOf<float>(v);
    std::vector<int64_t> shape = *constantShape(v.type.shape);
    size_t inner = 1;
    for (size_t d = channels.weightDim + 1; d < shape.size(); ++d) inner *= size_t(shape[d]);
    std::vector<float> scaled(data.begin(), data.end());
    for (size_t i = 0; i < scaled.size(); ++i)
      scaled[i] = float(double(scaled[i]) * rescaling.scaleAt(i / inner % size_t(shape[channels.weightDim])));
    std::string name = v.name;
    weight = r.graph().addConstant(DType::f32, shape, scaled, std::move(name));
  }

  /// Scales and shifts the bias, or gives the node one; false where it takes none.
  bool rescaleBias(Node &node, const Channels &channels, const Rescaling &rescaling) {
    if (channels.bias < 0) return !rescaling.shifts() || addBias(node, rescaling);
    ValueId &bias = node.inputs[size_t(channels.bias)];
    std::span<const float> data = graph::dataOf<float>(r.graph()[bias]);
    bias = biasConstant(rescaling, std::vector<float>(data.begin(), data.end()));
    return true;
  }

  ValueId biasConstant(const Rescaling &rescaling, std::vector<float> bias) {
    for (size_t i = 0; i < bias.size(); ++i)
      bias[i] = float(double(bias[i]) * rescaling.scaleAt(i) + rescaling.shiftAt(i));
    return r.graph().addConstant(DType::f32, {int64_t(bias.size())}, bias);
  }

  /// The optional operand that, when given as a vector, starts the sum.
  bool addBias(Node &node, const Rescaling &rescaling) {
    const Dim &size = r.graph().type(node.outputs[0]).shape[rescaling.dim];
    if (!size.isConstant()) return false;
    ValueId bias = biasConstant(rescaling, std::vector<float>(size_t(size.constant()), 0.0f));
    for (size_t position = 0; position <= node.inputs.size(); ++position) {
      if (position < node.inputs.size() && node.inputs[position] != kAbsent) continue;
      std::vector<ValueId> operands = node.inputs;
      operands.resize(std::max(operands.size(), position + 1), kAbsent);
      operands[position] = bias;
      if (!startsSum(node, operands, position, rescaling.dim)) continue;
      node.inputs = std::move(operands);
      return true;
    }
    return false;
  }

  bool startsSum(const Node &node, const std::vector<ValueId> &operands, size_t position, size_t dim) {
    Graph probe = Graph::regionOf(r.graph());
    std::vector<ValueId> inputs;
    for (ValueId v : operands) inputs.push_back(v == kAbsent ? v : probe.addInput(r.graph().type(v), ""));
    if (!probe.append(*node.op, node.attrs, std::move(inputs), {})) return false;
    auto meaning = meaningOf(probe, probe.nodes()[0]);
    return meaning && biasOf(*meaning, dim) == int(position);
  }

  const Graph &old;
  graph::Rebuilder r;
  std::vector<std::vector<NodeId>> uses;
  std::vector<int> outputUses;
};

} // namespace

Result<Graph> foldScales(const Graph &g) { return ScaleFolder(g).run(); }

} // namespace planish::transform
