// A quantized model beside its reference.
#include "planish/transform/Layers.h"

#include "Contractions.h"
#include "IntegerOperands.h"
#include "LayerParts.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Passes.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace planish::transform {

using graph::Coding;

namespace {

/// The nodes that some values need, and only real outputs whose size is known.
Result<Graph> onlyFor(Graph g, const std::vector<ValueId> &values, const std::string &what) {
  std::vector<ValueId> all = values;
  for (ValueId v : g.outputs())
    if (isFloat(g.type(v).dtype) && std::ranges::find(all, v) == all.end()) all.push_back(v);
  // First with the outputs; where sizes that data say are left, without them.
  for (const std::vector<ValueId> &kept : {all, values}) {
    g.setOutputs(kept);
    Graph r = graph::withoutDeadNodes(g);
    if (r.symbols().empty()) return r;
  }
  return usage("the " + what + " has inputs or layers without constant sizes; give them with --shape");
}

class Builder {
public:
  Builder(ErrorGraph &result, const Graph &quantized, const Graph *reference, std::set<std::string> outputs)
      : made(result), q(quantized), f(reference), wantedOutputs(std::move(outputs)) {}

  Status run() {
    PLANISH_TRY(addInputs());
    if (f) PLANISH_TRY(copyReference());
    for (size_t l = 0; l < made.layers.size(); ++l) {
      layerOf[made.layers[l].encode] = l;
      for (NodeId d : made.layers[l].decodes) layerOfDecode[d] = l;
      for (const QuantizedLayer::Again &again : made.layers[l].again) {
        passed.insert(again.encode);
        passed.insert(again.decodes.begin(), again.decodes.end());
      }
    }
    made.values.assign(made.layers.size(), {graph::kAbsent, graph::kAbsent, graph::kAbsent, {}});
    for (uint32_t n = 0; n < q.nodes().size(); ++n) PLANISH_TRY(visit({n}));
    for (ValueId v : q.outputs())
      if (wantedOutputs.contains(q[v].name) && accumulated.contains(v))
        made.outputs.push_back(
            {q[v].name, counterpartOf(q[v].name, q.type(v)).value_or(reference.at(v)), accumulated.at(v)});
    return {};
  }

private:
  using Map = std::map<ValueId, ValueId>;

  Status addInputs() {
    for (ValueId v : q.inputs())
      accumulated[v] = reference[v] = own[v] = made.graph.addInput(q.type(v), q[v].name);
    return {};
  }

  Status copyReference() {
    for (size_t i = 0; i < f->inputs().size(); ++i) {
      ValueId v = f->inputs()[i];
      std::optional<ValueId> same;
      for (ValueId u : q.inputs())
        if (q[u].name == (*f)[v].name) same = u;
      if (!same && i < q.inputs().size()) same = q.inputs()[i];
      if (!same || q.type(*same) != f->type(v))
        return badInput("the reference's input '" + (*f)[v].name + "', " + textOf(f->type(v)) +
                        ", is none of the quantized model's");
      floats[v] = reference.at(*same);
    }
    for (const Node &node : f->nodes()) PLANISH_TRY(append(*f, node, floats, floats));
    for (size_t i = 0; i < f->values().size(); ++i) named.emplace(f->values()[i].name, ValueId{uint32_t(i)});
    return {};
  }

  /// A node over mapped operands; its results go into `results`.
  Status append(const Graph &from, const Node &node, Map &operands, Map &results) {
    std::vector<ValueId> inputs;
    for (ValueId v : node.inputs) inputs.push_back(mapped(from, v, operands));
    PLANISH_ASSIGN(std::vector<ValueId> outputs,
                   made.graph.append(*node.op, node.attrs, inputs, node.loc, {}, node.regions));
    for (size_t i = 0; i < outputs.size(); ++i) results[node.outputs[i]] = outputs[i];
    return {};
  }
  ValueId mapped(const Graph &from, ValueId v, Map &map) {
    if (v == graph::kAbsent) return v;
    if (!from[v].isConstant()) return map.at(v);
    // One copy for all three: equal constants are told apart by whose they are.
    auto [at, isNew] = (&from == &q ? constants : floatConstants).emplace(v, graph::kAbsent);
    if (isNew) at->second = made.graph.addConstant(from.type(v), from[v].data);
    return at->second;
  }

  /// The float model's value of that name and type, in the graph that is made.
  std::optional<ValueId> counterpartOf(const std::string &name, const TensorType &type,
                                       std::optional<ValueId> *original = nullptr) const {
    for (const std::string &wanted : {name, plainName(name)}) {
      auto found = named.find(wanted);
      if (found == named.end() || f->type(found->second) != type || !floats.contains(found->second)) continue;
      if (original) *original = found->second;
      return floats.at(found->second);
    }
    return std::nullopt;
  }

  Status visit(NodeId id) {
    const Node &node = q[id];
    PLANISH_TRY(append(q, node, accumulated, accumulated));
    if (passed.contains(id)) {
      reference[node.outputs[0]] = own[node.outputs[0]] = reference.at(node.inputs[0]);
      return {};
    }
    if (auto l = layerOf.find(id); l != layerOf.end()) return encode(node, l->second);
    if (auto l = layerOfDecode.find(id); l != layerOfDecode.end()) return decode(node, l->second);
    return compute(node);
  }

  Status encode(const Node &node, size_t l) {
    const QuantizedLayer &layer = made.layers[l];
    ErrorGraph::Values &values = made.values[l];
    ValueId codes = node.outputs[0], real = reference.at(layer.real);
    auto same = counterpartOf(q[codes].name, q.type(layer.real), &values.counterpart);
    if (!same) same = counterpartOf(q[layer.real].name, q.type(layer.real), &values.counterpart);
    // Quantizers drop a ReLU whose work the codes do.
    if (!same && layer.coding.zero == 0) {
      ValueId zero = made.graph.addConstant(DType::f32, {}, std::vector<float>{0});
      PLANISH_ASSIGN(auto limited,
                     made.graph.append(ops::row(ops::Arithmetic::Max), {}, {real, zero}, node.loc));
      real = limited[0];
    }
    reference[codes] = values.reference = same.value_or(real);
    Map operand{{layer.real, own.at(layer.real)}}, result;
    PLANISH_TRY(append(q, node, operand, result));
    own[codes] = result.at(codes);
    return {};
  }

  /// Whoever reads the layer's value gets the reference's; the first reader says what the layer itself makes.
  Status decode(const Node &node, size_t l) {
    ErrorGraph::Values &values = made.values[l];
    ValueId codes = node.inputs[0], real = node.outputs[0];
    reference[real] = own[real] = reference.at(codes);
    if (values.own != graph::kAbsent || codes != made.layers[l].codes) return {};
    Map result;
    PLANISH_TRY(append(q, node, own, result));
    values.own = result.at(real);
    values.accumulated = accumulated.at(real);
    return {};
  }

  Status compute(const Node &node) {
    PLANISH_TRY(append(q, node, reference, reference));
    bool byte = isMovedCode(node);
    if (byte) return {};
    bool same = std::ranges::all_of(node.inputs, [&](ValueId v) {
      return v == graph::kAbsent || q[v].isConstant() || reference.at(v) == own.at(v);
    });
    if (same)
      for (ValueId v : node.outputs) own[v] = reference.at(v);
    else PLANISH_TRY(append(q, node, own, own));
    for (ValueId v : node.outputs)
      if (auto counterpart = counterpartOf(q[v].name, q.type(v))) reference[v] = *counterpart;
    return {};
  }

  /// Moves a layer's codes: in the reference those are real numbers, in the layer alone nobody reads them.
  bool isMovedCode(const Node &node) const {
    return std::ranges::any_of(node.inputs, [&](ValueId v) {
      return v != graph::kAbsent && !q[v].isConstant() && q.type(v).dtype != DType::f32 &&
             made.graph.type(reference.at(v)).dtype == DType::f32;
    });
  }

  ErrorGraph &made;
  const Graph &q;
  const Graph *f;
  std::set<std::string> wantedOutputs; // names
  Map reference, own, accumulated, floats, constants, floatConstants;
  std::map<std::string, ValueId> named; // the float model's
  std::map<NodeId, size_t> layerOf, layerOfDecode;
  std::set<NodeId> passed; // pairs that lose nothing
};

std::vector<ValueId> valuesNamedLike(const Graph &f, const Graph &q) {
  std::map<std::string, ValueId> names;
  for (size_t i = 0; i < f.values().size(); ++i)
    if (f.values()[i].def && isFloat(f.values()[i].type.dtype))
      names.emplace(f.values()[i].name, ValueId{uint32_t(i)});
  std::vector<ValueId> r;
  for (const graph::Value &v : q.values())
    for (const std::string &name : {v.name, plainName(v.name)})
      if (auto found = names.find(name); found != names.end()) {
        r.push_back(found->second);
        names.erase(found);
      }
  std::ranges::sort(r);
  return r;
}

/// One entry per output channel of a contraction.
std::optional<std::vector<double>> biasOf(const Graph &g, const Node &node, size_t channels) {
  if (node.inputs.size() < 3 || node.inputs[2] == graph::kAbsent) return std::nullopt;
  auto reals = realsOf(g, node.inputs[2]);
  if (!reals || reals->values.size() != channels) return std::nullopt;
  return std::move(reals->values);
}

/// The reference's contraction that does what a layer's does.
std::optional<Node> counterpartOf(const ErrorGraph &e, size_t layer) {
  if (!e.values[layer].counterpart || !e.layers[layer].contraction) return std::nullopt;
  auto mine = contractionBehind(e.quantized, e.layers[layer].real);
  auto theirs = contractionBehind(e.reference, *e.values[layer].counterpart);
  if (!mine || !theirs || mine->operators != theirs->operators) return std::nullopt;
  const Node &a = e.quantized[mine->node], &b = e.reference[theirs->node];
  if (a.op != b.op || a.inputs.size() < 2 || b.inputs.size() < 2 ||
      e.quantized.type(a.inputs[1]).shape != e.reference.type(b.inputs[1]).shape)
    return std::nullopt;
  return b;
}

/// The elements of a tensor by index along an axis.
template <class F> void forChannels(const std::vector<int64_t> &shape, int axis, F f) {
  int64_t count = 1, inner = 1;
  for (int64_t d : shape) count *= d;
  for (size_t d = size_t(axis) + 1; d < shape.size(); ++d) inner *= shape[d];
  for (int64_t i = 0; i < count; ++i) f(size_t(i), size_t(i / inner % shape[size_t(axis)]));
}

} // namespace

Result<ErrorGraph> errorGraph(const Graph &quantized, const Graph *reference) {
  ErrorGraph r;
  std::vector<ValueId> codes;
  for (const QuantizedLayer &l : layersOf(quantized)) codes.push_back(l.codes);
  if (codes.empty())
    return usage("the model has no quantized layers: no quantize node with constant parameters");
  // Codes are kept by what reads them; layers that nothing reads are none.
  std::vector<ValueId> read;
  for (const QuantizedLayer &l : layersOf(quantized))
    for (NodeId d : l.decodes) read.push_back(quantized[d].outputs[0]);
  PLANISH_ASSIGN(r.quantized, onlyFor(quantized, read, "model"));
  r.layers = layersOf(r.quantized);
  std::erase_if(r.layers, [](const QuantizedLayer &l) { return l.decodes.empty(); });
  if (reference) {
    PLANISH_ASSIGN(Graph folded, foldConstants(*reference));
    PLANISH_ASSIGN(r.reference, onlyFor(folded, valuesNamedLike(folded, r.quantized), "reference"));
  }
  std::set<std::string> outputs;
  for (ValueId v : quantized.outputs())
    if (isFloat(quantized.type(v).dtype)) outputs.insert(quantized[v].name);
  // The builder's references are to what it is given, so the graphs stay where they are.
  PLANISH_TRY(Builder(r, r.quantized, reference ? &r.reference : nullptr, outputs).run());
  // What only moved codes are read from has no value of its own.
  for (size_t l = r.layers.size(); l-- > 0;)
    if (r.values[l].own == graph::kAbsent) {
      r.layers.erase(r.layers.begin() + long(l));
      r.values.erase(r.values.begin() + long(l));
    }
  return r;
}

std::vector<CodedContraction> contractionsOf(const ErrorGraph &e) {
  const Graph &g = e.quantized;
  std::map<ValueId, size_t> decoded;
  for (size_t l = 0; l < e.layers.size(); ++l) {
    for (NodeId d : e.layers[l].decodes) decoded[g[d].outputs[0]] = l;
    for (const QuantizedLayer::Again &again : e.layers[l].again)
      for (NodeId d : again.decodes) decoded[g[d].outputs[0]] = l;
  }
  std::vector<CodedContraction> r;
  for (uint32_t n = 0; n < g.nodes().size(); ++n) {
    const Node &node = g[NodeId{n}];
    if (node.op->cls != graph::OpClass::Contraction) continue;
    CodedContraction c{{n}, {}, {}, multiplicationsOf(g, node)};
    std::set<ValueId> seen;
    std::vector<ValueId> open(node.inputs.begin(), node.inputs.end());
    while (!open.empty()) {
      ValueId v = open.back();
      open.pop_back();
      if (v == graph::kAbsent || !seen.insert(v).second) continue;
      if (auto found = decoded.find(v); found != decoded.end()) {
        c.operands.push_back(found->second);
      } else if (g[v].def && g[*g[v].def].op->cls != graph::OpClass::Contraction &&
                 g[*g[v].def].op->coding == Coding::None) {
        const auto &inputs = g[*g[v].def].inputs;
        open.insert(open.end(), inputs.begin(), inputs.end());
      }
    }
    for (size_t l = 0; l < e.layers.size(); ++l)
      if (e.layers[l].contraction == c.node) c.result = l;
    if (!c.operands.empty()) r.push_back(std::move(c));
  }
  return r;
}

std::optional<quant::WeightEvidence> weightEvidence(const ErrorGraph &e, size_t at) {
  const QuantizedLayer &layer = e.layers[at];
  if (!layer.contraction) return std::nullopt;
  const Node &node = e.quantized[*layer.contraction];
  auto axes = channelAxes(e.quantized, node);
  auto codes = axes ? weightsOf(e.quantized, node.inputs[1]) : std::nullopt;
  if (!codes) return std::nullopt;
  auto theirs = counterpartOf(e, at);
  auto wanted = theirs ? realsOf(e.reference, theirs->inputs[1]) : std::nullopt;
  quant::WeightEvidence r;
  r.known = wanted.has_value();
  r.perChannel = codes->scale.size() > 1;
  r.channels.resize(size_t(codes->shape[size_t(axes->weights)]));
  std::vector<double> crossed(r.channels.size()), count(r.channels.size());
  bool own = codes->axis == axes->weights;
  forChannels(codes->shape, axes->weights, [&](size_t i, size_t c) {
    quant::WeightEvidence::Channel &channel = r.channels[c];
    channel.step = codes->scale[codes->scale.size() > 1 && own ? c : 0];
    double coded = codes->values[i] * channel.step, real = wanted ? wanted->values[i] : coded;
    channel.largest = std::max(channel.largest, std::abs(real));
    channel.power += real * real;
    channel.noise += (coded - real) * (coded - real);
    crossed[c] += coded * real;
    ++count[c];
  });
  double power = 0, product = 0;
  for (size_t c = 0; c < r.channels.size(); ++c) {
    power += r.channels[c].power, product += crossed[c];
    if (r.channels[c].power > 0) r.channels[c].gain = crossed[c] / r.channels[c].power;
    r.channels[c].power /= count[c], r.channels[c].noise /= count[c];
  }
  if (power > 0) r.gain = product / power;
  if (r.perChannel && !own) return std::nullopt; // scales along another dimension
  return r;
}

std::optional<quant::BiasEvidence> biasEvidence(const ErrorGraph &e, size_t at) {
  const QuantizedLayer &layer = e.layers[at];
  if (!layer.contraction) return std::nullopt;
  const Node &node = e.quantized[*layer.contraction];
  const Shape &shape = e.quantized.type(layer.real).shape;
  auto channels = size_t(shape[size_t(layer.axis)].upper());
  auto bias = biasOf(e.quantized, node, channels);
  if (!bias) return std::nullopt;
  quant::BiasEvidence r;
  if (auto codes = weightsOf(e.quantized, node.inputs[2]))
    r.atLimit =
        std::ranges::count_if(codes->values, [](int32_t v) { return v == INT32_MAX || v == INT32_MIN; });
  auto theirs = counterpartOf(e, at);
  if (auto wanted = theirs ? biasOf(e.reference, *theirs, channels) : std::nullopt)
    for (size_t c = 0; c < channels; ++c) r.error.push_back((*bias)[c] - (*wanted)[c]);
  return r;
}

std::optional<Repair> repairFromReference(const ErrorGraph &e, size_t at, quant::Cure cure) {
  auto theirs = counterpartOf(e, at);
  if (!theirs) return std::nullopt;
  const QuantizedLayer &layer = e.layers[at];
  Repair r{cure, e.quantized[layer.codes].name};
  if (cure == quant::Cure::FloatBias) {
    auto channels = size_t(e.quantized.type(layer.real).shape[size_t(layer.axis)].upper());
    auto bias = biasOf(e.reference, *theirs, channels);
    if (!bias) return std::nullopt;
    r.bias.assign(bias->begin(), bias->end());
    return r;
  }
  auto weights = realsOf(e.reference, theirs->inputs[1]);
  auto axes = channelAxes(e.reference, *theirs);
  if (cure != quant::Cure::RequantizeWeights || !weights || !axes) return std::nullopt;
  r.shape = weights->shape;
  r.axis = axes->weights;
  std::vector<double> largest(size_t(r.shape[size_t(r.axis)]), 0);
  forChannels(r.shape, r.axis,
              [&](size_t i, size_t c) { largest[c] = std::max(largest[c], std::abs(weights->values[i])); });
  for (double l : largest) r.scales.push_back(l > 0 ? float(l / 127) : 1.0f);
  r.weights.resize(weights->values.size());
  forChannels(r.shape, r.axis, [&](size_t i, size_t c) {
    double code = std::nearbyint(weights->values[i] / double(r.scales[c]));
    r.weights[i] = int8_t(std::clamp(code, -127.0, 127.0));
  });
  return r;
}

} // namespace planish::transform
