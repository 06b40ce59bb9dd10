// One launch of a program as a layer of the engine: a sum (or a maximum) over a window of u8 codes, made
// codes again by the requantization rule, then perhaps a residual sum with a second rounding. It is found in
// the unscheduled definition of the kernel, whatever operators that came from.
#pragma once

#include "planish/loop/Program.h"
#include "planish/support/Result.h"

#include <array>
#include <string>
#include <vector>

namespace planish::codegen::fpga {

/// How the terms of a window become one number per output.
enum class Sum : uint8_t {
  Dense,    // products with weights, over all input channels of the group
  Largest,  // the maximum of each channel
  Lanes,    // the sum of each channel
};

/// One spatial dimension of a window: the input at stride * out + dilation * tap - pad, nothing outside of
/// [0, in).
struct Window {
  int64_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1, pad = 0;
  int64_t span() const { return (kernel - 1) * dilation + 1; }
};

/// u8[height, width, channels] in the arena, channels next to each other; all in bytes.
struct Map {
  int64_t base = 0, row = 0, pixel = 0, channels = 1;
};

/// clamp(RNE((pre24(clamp(sum + bias, +-limit)) * multiplier) >> shift) + zero, least, most): design 8.5.
struct Scale {
  int32_t bias = 0, limit = INT32_MAX, multiplier = 0, shift = 0;
};
struct Codes {
  int32_t zero = 0, least = 0, most = 255;
  std::vector<uint8_t> table{};  // a function of the code, 256 entries; may be empty
};

/// residual * other + code * own, then the rule again.
struct Residual {
  Map other;
  int32_t ownFactor = 0, otherFactor = 0;
  Scale scale;
  Codes codes;
};

struct Layer {
  std::vector<std::string> nodes;  // the user's
  size_t launch = 0;
  Sum sum = Sum::Dense;
  Window height, width;
  Map in, out;
  int64_t groups = 1;              // of a dense sum; of equal sizes
  std::vector<int8_t> weights;     // [out channel][kh][kw][in channel of the group]
  bool requantizes = false;        // else the codes pass as they are
  std::vector<Scale> scales;       // by output channel
  Codes codes;
  int32_t padValue = 0;            // what taps outside read: the zero point, so that they add nothing
  std::vector<Residual> residual;  // none or one
  /// Products that a run takes; taps outside count.
  int64_t macs() const {
    if (sum != Sum::Dense) return 0;
    return height.out * width.out * out.channels * height.kernel * width.kernel * (in.channels / groups);
  }
};

/// The layer of a launch of an unscheduled program, or why the engine cannot run it (an error of the kind
/// Unsupported).
Result<Layer> layerOf(const loop::Program &definitions, const loop::Launch &launch);

} // namespace planish::codegen::fpga
