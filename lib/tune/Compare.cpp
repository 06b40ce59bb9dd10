#include "planish/tune/Compare.h"

#include "planish/support/Check.h"
#include "planish/transform/Equalize.h"

#include <algorithm>
#include <cmath>

namespace planish::tune {

using graph::Graph;
using graph::ValueId;
using quant::Cause;
using quant::Cure;
using transform::ErrorGraph;
using transform::QuantizedLayer;
using transform::Repair;

namespace {

/// The share of a network's time that even the smallest layer takes.
constexpr double kOverhead = 1e-3;

/// The channels of a tensor along an axis; one where it has no such axis.
quant::Channels channelsAlong(int axis, const Shape &shape) {
  quant::Channels r;
  if (size_t(axis) < shape.size()) r.count = std::max<int64_t>(1, shape[size_t(axis)].upper());
  for (size_t d = size_t(axis) + 1; d < shape.size(); ++d) r.inner *= shape[d].upper();
  r.inner = std::max<int64_t>(1, r.inner);
  return r;
}

/// Gathers the evidence on one layer from its values, which come in the order reference, own, accumulated.
class LayerWatch {
public:
  LayerWatch(const ErrorGraph &e, size_t at) : layer(e.layers[at]) {
    channels = channelsAlong(layer.axis, e.quantized.type(layer.real).shape);
    evidence = {.coding = layer.coding,
                .decoded = layer.decoded,
                .values = {},
                .own = quant::Deviation(channels),
                .coded = quant::Deviation(channels),
                .accumulated = quant::Deviation(channels),
                .codes = quant::CodeUse(layer.coding),
                .parts = {},
                .weights = transform::weightEvidence(e, at),
                .bias = transform::biasEvidence(e, at)};
    size_t begin = 0;
    for (ValueId v : layer.parts) {
      size_t end = begin + size_t(e.quantized.type(v).shape[size_t(layer.axis)].upper());
      evidence.parts.push_back({nameOf(e, v), begin, end, {}});
      begin = end;
    }
  }

  void see(size_t which, std::span<const float> values) {
    switch (which) {
    case 0: return seeReference(values);
    case 1: return evidence.own.add(reference, values);
    default: return evidence.accumulated.add(reference, values);
    }
  }

  const quant::Evidence &found() const { return evidence; }

private:
  /// The layer that a part is, or the node that computes it: the names of values say little.
  static std::string nameOf(const ErrorGraph &e, ValueId v) {
    const graph::Value &value = e.quantized[v];
    if (!value.def) return value.name;
    for (const QuantizedLayer &l : e.layers)
      if (std::ranges::find(l.decodes, *value.def) != l.decodes.end()) return l.name;
    const auto &nodes = e.quantized[*value.def].loc.onnxNodes;
    return nodes.empty() ? value.name : nodes[0];
  }

  void seeReference(std::span<const float> values) {
    reference.assign(values.begin(), values.end());
    evidence.values.add(values);
    evidence.coded.add(reference, evidence.codes.add(values, layer.decoded));
    size_t inner = size_t(channels.inner), whole = inner * size_t(channels.count);
    for (quant::Part &part : evidence.parts)
      for (size_t at = 0; at < values.size(); at += whole)
        part.values.add(values.subspan(at + part.begin * inner, (part.end - part.begin) * inner));
  }

  const QuantizedLayer &layer;
  quant::Channels channels;
  quant::Evidence evidence;
  std::vector<float> reference;
};

/// What applies a diagnosis' cure.
std::optional<Repair> repairFor(const ErrorGraph &e, size_t at, const quant::Evidence &evidence,
                                const quant::Diagnosis &d) {
  Repair r{d.cure, e.quantized[e.layers[at].codes].name};
  switch (d.cure) {
  case Cure::None: return std::nullopt;
  case Cure::Rescale:
  case Cure::ClipTail: r.coding = d.coding; return r;
  case Cure::SplitScale:
    for (const quant::Part &p : evidence.parts)
      r.parts.push_back(quant::codingOf(quant::calibrated(p.values, quant::Calibrator::MinMax)));
    return r;
  case Cure::RequantizeWeights:
  case Cure::FloatBias: return transform::repairFromReference(e, at, d.cure);
  }
  return std::nullopt;
}

LayerError layerError(const ErrorGraph &e, size_t at, const quant::Evidence &evidence) {
  const QuantizedLayer &layer = e.layers[at];
  LayerError r;
  r.name = layer.name;
  r.nodes = layer.nodes;
  r.own = errorOf(evidence.own);
  r.accumulated = errorOf(evidence.accumulated);
  r.coding = layer.coding;
  r.codes = {layer.coding.scale * (0 - layer.coding.zero), layer.coding.scale * (255 - layer.coding.zero)};
  r.values = {evidence.values.least(), evidence.values.most()};
  r.clipped = evidence.codes.below() + evidence.codes.above();
  r.codesUsed = evidence.codes.used();
  r.matched = e.values[at].counterpart.has_value();
  r.diagnosis = quant::diagnose(evidence);
  r.repair = repairFor(e, at, evidence, r.diagnosis);
  return r;
}

/// A part that has the codes of what it is joined into has a coarse scale for that reason.
void findShared(const ErrorGraph &e, std::vector<LayerError> &errors) {
  for (size_t i = 0; i < e.layers.size(); ++i) {
    if (errors[i].diagnosis.cause != Cause::CoarseScale) continue;
    for (const QuantizedLayer &joined : e.layers)
      for (ValueId part : joined.parts) {
        const graph::Value &v = e.quantized[part];
        if (!v.def || std::ranges::find(e.layers[i].decodes, *v.def) == e.layers[i].decodes.end() ||
            joined.coding.scale != e.layers[i].coding.scale)
          continue;
        errors[i].diagnosis.cause = Cause::SharedScale;
        errors[i].diagnosis.detail +=
            "; its codes are those of '" + joined.name + "', which it is joined into";
      }
  }
}

std::vector<Sensitivity> sensitivities(const ErrorGraph &e, const std::vector<LayerWatch> &layers) {
  std::vector<Sensitivity> r;
  double all = 0;
  for (const transform::CodedContraction &c : transform::contractionsOf(e)) {
    const auto &nodes = e.quantized[c.node].loc.onnxNodes;
    if (nodes.empty()) continue;
    Sensitivity s{nodes[0], 0, c.multiplications};
    for (size_t l : c.operands) s.noise += layers[l].found().coded.relativeNoise();
    if (c.result) {
      const quant::Evidence &result = layers[*c.result].found();
      s.noise += std::max(0.0, result.own.relativeNoise() - result.coded.relativeNoise());
    }
    all += s.cost;
    r.push_back(std::move(s));
  }
  for (Sensitivity &s : r) s.cost /= std::max(all, 1.0);
  std::ranges::stable_sort(r, std::greater<>(),
                           [](const Sensitivity &s) { return s.noise / (s.cost + kOverhead); });
  return r;
}

} // namespace

ValueError errorOf(const quant::Deviation &d) { return {d.sqnr(), d.cosine(), d.relativeNoise()}; }

Result<Comparison> compare(const Graph &quantized, const Graph *reference, Samples &samples) {
  if (samples.count() == 0) return usage("there are no samples to compare on");
  PLANISH_ASSIGN(ErrorGraph e, transform::errorGraph(quantized, reference));
  std::vector<LayerWatch> layers;
  std::vector<ValueId> watched;
  for (size_t l = 0; l < e.layers.size(); ++l) {
    layers.emplace_back(e, l);
    const ErrorGraph::Values &v = e.values[l];
    watched.insert(watched.end(), {v.reference, v.own, v.accumulated});
  }
  size_t firstOutput = watched.size();
  Comparison r{samples.count(), {}, {}, {}};
  std::vector<quant::Deviation> outputs;
  for (const ErrorGraph::Output &o : e.outputs) {
    outputs.emplace_back(channelsAlong(1, e.graph.type(o.reference).shape));
    watched.insert(watched.end(), {o.reference, o.quantized});
    r.outputs.push_back({o.name, {}, 0});
  }

  std::vector<float> wanted;
  auto see = [&](size_t, size_t at, const TensorView &value) -> Status {
    std::span<const float> numbers = value.floats();
    if (at < firstOutput) {
      layers[at / 3].see(at % 3, numbers);
      return {};
    }
    size_t o = (at - firstOutput) / 2;
    if ((at - firstOutput) % 2 == 0) {
      wanted.assign(numbers.begin(), numbers.end());
      return {};
    }
    outputs[o].add(wanted, numbers);
    for (size_t i = 0; i < numbers.size(); ++i)
      r.outputs[o].largest = std::max(r.outputs[o].largest, double(std::abs(numbers[i] - wanted[i])));
    return {};
  };
  PLANISH_TRY(observe(e.graph, watched, samples, see));

  for (size_t l = 0; l < layers.size(); ++l) r.layers.push_back(layerError(e, l, layers[l].found()));
  for (size_t o = 0; o < outputs.size(); ++o) r.outputs[o].error = errorOf(outputs[o]);
  findShared(e, r.layers);
  r.contractions = sensitivities(e, layers);
  std::ranges::stable_sort(r.layers, std::greater<>(), [](const LayerError &l) { return l.diagnosis.noise; });
  return r;
}

Result<Comparison> compareWithCodes(const driver::Options &options, Samples &samples) {
  PLANISH_CHECK(options.int8, "no codes to compare");
  PLANISH_ASSIGN(Graph coded, driver::graphWithCodes(options));
  PLANISH_ASSIGN(Graph profiled, driver::graphToProfile(options));
  // Codes are of equalized values.
  PLANISH_ASSIGN(Graph real, transform::equalized(profiled, options.int8->profile.equalization));
  return compare(coded, &real, samples);
}

std::vector<Repair> repairsOf(const Comparison &c) {
  std::vector<Repair> r;
  for (const LayerError &l : c.layers)
    if (l.repair) r.push_back(*l.repair);
  return r;
}

} // namespace planish::tune
