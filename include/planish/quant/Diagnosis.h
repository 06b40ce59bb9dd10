// Why a quantized layer is wrong, and what would mend it. Every cause is a hypothesis about how much noise
// would be left if it were cured; the likeliest is the one that explains the most.
#pragma once

#include "planish/quant/Deviation.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace planish::quant {

enum class Cause : uint8_t {
  None,           // rounding to 8 bits explains it
  ClippedRange,   // values lie beyond the codes
  CoarseScale,    // the codes reach far beyond the values
  WrongScale,     // the result is a multiple of what it should be
  SharedScale,    // parts of very different ranges are joined under one scale
  ActivationTail, // a few large values make the scale coarse for all others
  WideChannel,    // one scale for all weights, which one channel or few of them need
  WeightSpread,   // one scale for all weights, whose channels differ much
  Bias,           // a bias that does not fit its codes
};

enum class Cure : uint8_t {
  None,
  Rescale,           // the scale of the values that were seen
  ClipTail,          // the scale of most values, which clips a few
  SplitScale,        // a scale for each part of what is joined
  RequantizeWeights, // codes and one scale per output channel, from the reference's weights
  FloatBias,         // the reference's bias, rounded when the sums' scale is known
};

/// A row of docs/quantization.md's table.
struct CauseRow {
  Cause cause;
  std::string_view name;    // "clipped-range"
  std::string_view meaning;
  Cure cure;
};
std::span<const CauseRow> causes();
const CauseRow &rowOf(Cause cause);
/// What to do, in words.
std::string_view remedyOf(Cure cure);

/// Weights with their codes' steps, by output channel.
struct WeightEvidence {
  bool perChannel = false;
  struct Channel {
    double step = 0;    // of its codes
    double largest = 0; // magnitude, of the reference where it is known
    double power = 0;   // mean square, likewise
    double noise = 0;   // mean square distance from the reference; 0 where that is not known
    double gain = 1;    // of the codes over the reference
  };
  std::vector<Channel> channels;
  double gain = 1;      // of all
  bool known = false;   // there is a reference
};

struct BiasEvidence {
  int64_t atLimit = 0;         // codes at the ends of their type
  std::vector<double> error;   // by channel, against the reference; empty where that is not known
};

/// One of several values that are joined into the layer's: channels [begin, end) of it.
struct Part {
  std::string name;
  size_t begin = 0, end = 0;
  Histogram values;
};

/// All that is known of a layer: a real value, its coding, and what computes it.
struct Evidence {
  Coding coding;
  double decoded = 1;      // the scale that codes are read with, `coding.scale` unless the model is wrong
  Histogram values;     // of the reference
  Deviation own;           // the layer alone, on the reference's values
  Deviation coded;         // the reference through the codes, nothing else
  Deviation accumulated;   // all layers so far
  CodeUse codes;
  std::vector<Part> parts; // none, or at least two
  std::optional<WeightEvidence> weights;
  std::optional<BiasEvidence> bias;
};

struct Diagnosis {
  Cause cause = Cause::None;
  Cure cure = Cure::None;
  double noise = 0;     // relative (Deviation::relativeNoise), of the layer alone
  double remaining = 0; // what the cure is expected to leave of it
  Coding coding;        // of Cure::Rescale and ClipTail
  std::string detail;   // the evidence, with figures, one line
};

Diagnosis diagnose(const Evidence &e);

} // namespace planish::quant
