// The quantized layers of a graph before the pass `quantize` folds them: their values next to a reference's,
// and how a layer is quantized anew. Constants that quantize nothing are left alone.
#pragma once

#include "planish/graph/Graph.h"
#include "planish/quant/Diagnosis.h"
#include "planish/quant/Histogram.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace planish::transform {

using graph::Graph;

/// A real value that goes through 8-bit codes: a quantize node with constant parameters, whose codes are only
/// moved and read by dequantize nodes.
struct QuantizedLayer {
  /// A further pair with the same coding, around what only moves or picks the layer's values: it loses
  /// nothing.
  struct Again {
    graph::NodeId encode;
    std::vector<graph::NodeId> decodes;
  };

  graph::NodeId encode;
  graph::ValueId real, codes;
  quant::Coding coding;
  double decoded = 1; // the scale that the codes are read with
  std::vector<graph::NodeId> decodes;
  std::vector<Again> again;
  std::string name; // of the value, as the user knows it
  std::vector<std::string> nodes; // the user's nodes between the codes before and these, in order
  std::optional<graph::NodeId> contraction; // the only one among them
  int axis = 1; // of the value's channels
  int weightsAxis = 0; // of the contraction's weights: its output channels
  /// Values that are joined along `axis` into the real one, where that is what it is.
  std::vector<graph::ValueId> parts;
};
std::vector<QuantizedLayer> layersOf(const Graph &g);

/// A quantized model and its reference over the same inputs in one graph, which has no outputs.
struct ErrorGraph {
  Graph graph;
  Graph quantized; // what is left of the quantized model: what the layers and outputs need
  Graph reference; // of the float model, its constants folded; empty without one
  std::vector<QuantizedLayer> layers; // of `quantized`

  /// Real values in `graph`.
  struct Values {
    graph::ValueId reference; // without quantization
    graph::ValueId own; // of the layer alone: computed from the reference's values, through the layer's codes
    graph::ValueId accumulated; // of the quantized model
    std::optional<graph::ValueId> counterpart; // the value of `reference` that the first is, if one is
  };
  std::vector<Values> values; // by layer
  struct Output {
    std::string name;
    graph::ValueId reference, quantized;
  };
  std::vector<Output> outputs; // real ones
};

/// The reference is the float model, matched by the names of values, where there is one, and for whatever has
/// no counterpart there the quantized model itself without rounding and clipping. Codes that begin at 0 are
/// then taken for a ReLU. BadInput where the two models have other inputs.
Result<ErrorGraph> errorGraph(const Graph &quantized, const Graph *reference);

/// A contraction of `quantized` that reads codes.
struct CodedContraction {
  graph::NodeId node;
  std::vector<size_t> operands; // layers whose values it reads, perhaps through functions of elements
  std::optional<size_t> result; // the layer that it makes
  double multiplications = 0;
};
std::vector<CodedContraction> contractionsOf(const ErrorGraph &e);

/// The constant operands of a layer's contraction.
std::optional<quant::WeightEvidence> weightEvidence(const ErrorGraph &e, size_t layer);
std::optional<quant::BiasEvidence> biasEvidence(const ErrorGraph &e, size_t layer);

/// How to quantize a layer anew; which parts count is said by the cure.
struct Repair {
  quant::Cure cure = quant::Cure::None;
  std::string codes; // name of the layer's codes
  quant::Coding coding; // Rescale, ClipTail
  std::vector<quant::Coding> parts; // SplitScale: of each part
  std::vector<int64_t> shape; // RequantizeWeights: the weights, one scale per index along `axis`
  std::vector<int8_t> weights;
  std::vector<float> scales;
  int axis = 0;
  std::vector<float> bias; // FloatBias: one number per output channel
};
/// The repair with the reference's weights or bias; nothing where it does not have them.
std::optional<Repair> repairFromReference(const ErrorGraph &e, size_t layer, quant::Cure cure);
/// The graph with repairs, at most one of a kind for a layer. Failed where a graph has no such layer, or
/// nothing to repair so.
Result<Graph> repaired(const Graph &g, std::span<const Repair> repairs);

/// Repairs in rounds, each of the graph that the one before gives.
using Repairs = std::vector<std::vector<Repair>>;
Result<Graph> repaired(Graph g, const Repairs &rounds);

} // namespace planish::transform
