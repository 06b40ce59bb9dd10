// Where a quantized model loses accuracy: each layer's values next to a reference's on samples, the likely
// cause and what would mend it.
#pragma once

#include "planish/driver/Compile.h"
#include "planish/quant/Diagnosis.h"
#include "planish/transform/Layers.h"
#include "planish/tune/Observe.h"

#include <optional>
#include <string>
#include <vector>

namespace planish::tune {

/// How far a value is from its reference over all samples.
struct ValueError {
  double sqnr = 0;   // dB
  double cosine = 1;
  double noise = 0;  // relative to the signal, the mean of the channels': 0 to 1 (quant::Deviation)
};
ValueError errorOf(const quant::Deviation &d);

struct LayerError {
  std::string name;               // of the value
  std::vector<std::string> nodes; // the user's nodes that make it
  ValueError own;                 // the layer alone, on the reference's values: points at the culprit
  ValueError accumulated;         // with all layers before it
  quant::Coding coding;
  quant::Range codes, values;     // that the codes reach, and that the reference has
  double clipped = 0;             // share of the reference's values beyond the codes
  int codesUsed = 0;              // of 256
  bool matched = false;           // the float model has the value
  quant::Diagnosis diagnosis;
  std::optional<transform::Repair> repair; // what would apply the cure; absent where there is none
};

struct OutputError {
  std::string name;
  ValueError error;
  double largest = 0; // difference
};

/// What it costs a contraction to compute with codes, and what it would cost to compute it with real numbers.
struct Sensitivity {
  std::string node; // the user's
  double noise = 0; // relative, at most 1 each: of its operands' codes and of its weights, added up
  double cost = 0; // its share of the multiplications of all contractions that read codes
};

struct Comparison {
  size_t samples = 0;
  std::vector<LayerError> layers; // the noisiest on its own first
  std::vector<OutputError> outputs;
  std::vector<Sensitivity> contractions; // the most noise for its cost first
};

/// Compares the layers of a graph before the pass `quantize`. `reference` is the float model or null: then it
/// is the graph itself without rounding and clipping, in which damage to weights does not show.
Result<Comparison> compare(const graph::Graph &quantized, const graph::Graph *reference, Samples &samples);

/// The same for what a model becomes with the options' `int8`, next to the model of real numbers.
Result<Comparison> compareWithCodes(const driver::Options &options, Samples &samples);

/// The repairs of all layers that have one.
std::vector<transform::Repair> repairsOf(const Comparison &c);

} // namespace planish::tune
