// A Program is what a model becomes: kernels, one host function that launches them, and the memory
// plan. It serves CPU libraries and device launches alike; there is no interpreter on the device.
#pragma once

#include "planish/loop/IR.h"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace planish::loop {

enum class Region : uint8_t {
  Input,       // index: which graph input; the user's memory, dense
  Output,      // index: which graph output; dense
  Arena,       // index: byte offset from the arena's base, a multiple of 64
  Constant,    // index: which entry of Program::constants
  InputDims,   // i64[inputs, kMaxRank]: sizes the caller gave, read by the host function
  OutputDims,  // i64[outputs, kMaxRank]: sizes the host function computes
  Failure,     // i32[1]: what the host function returns: 0, or 1 + the index of what went wrong
};
inline constexpr int kMaxRank = 8;

/// Where a parameter of the host function lives: base of `region`/`index`, plus `offset` elements.
struct Slot {
  Region region = Region::Arena;
  int64_t index = 0;
  Expr offset;  // elements; an immediate, or an expression of the host function's lets
};

/// Constant bytes in the order kernels read them.
struct ConstantData {
  std::string name;
  std::shared_ptr<const std::vector<std::byte>> bytes;
};

/// A graph input or output as the user sees it; sizes are bounds where a dimension is a symbol.
struct Port {
  std::string name;
  TensorType type;
};

/// What profiles and reports say about one launch, in the order of the host function's launches.
struct LaunchInfo {
  std::string kernel;              // function name
  std::string_view templateName;
  std::string config;              // "pixels=7 vectors=2"
  std::string key;                 // what tuning databases call the computation
  bool tuned = false;              // one of them chose the knobs
  bool copies = false;             // it moves bytes and computes nothing
  bool serial = false;             // no template matched but the one that takes everything
  bool imperative = false;         // statements of its own (sorts, counts): devices leave it to their host
  std::vector<std::string> nodes;  // the user's ONNX nodes
  double flops = 0, bytes = 0;     // at the bound of symbolic sizes
};

/// An intermediate value that lies in memory after its launch (until the plan reuses the place).
struct Materialised {
  std::string name;                // ONNX value name
  TensorType type;
  int64_t param = 0;               // index of the host parameter that is this value
  int64_t launch = 0;              // index of the launch that completes it
};

/// Constants that kernels read in another form than the model's, for speed (Winograd's transform).
struct TransformedWeights {
  int64_t launches = 0;
  int64_t bytes = 0, originalBytes = 0;
};

struct Program {
  std::string name;
  std::vector<Port> inputs, outputs;
  std::vector<FunctionRef> kernels;  // each once, in order of first launch
  Function host;                     // params match slots one to one; reads sizes from InputDims
  std::vector<Slot> slots;
  std::vector<ConstantData> constants;
  std::vector<LaunchInfo> launches;
  std::vector<Materialised> values;
  std::vector<std::string> failures; // what can go wrong in a run, as the user is told
  int64_t arenaBytes = 0;            // without the 64-byte tail
  TransformedWeights transformed;
  int64_t scratchBytes = 0;          // of each thread: the most that a kernel takes
};

/// Byte offset of every constant in the weights section: in order, each at the next multiple of 64.
std::vector<int64_t> constantOffsets(const Program &p);

/// The program as text: kernels, then the host function with its slots as comments.
std::string print(const Program &p);

} // namespace planish::loop
