// A program for a device with a language of its own (OpenCL, CUDA): its kernels as one source, and what the
// host must know to launch them.
#pragma once

#include "planish/loop/Program.h"
#include "planish/support/Result.h"
#include "planish/target/Target.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace planish::codegen {

struct DeviceParam {
  int64_t bytes = 0;    // from the first to behind the last element, at the bound of symbols
  int64_t element = 0;  // bytes of one
  bool written = false;
};

struct DeviceKernel {
  loop::FunctionRef function;
  bool onHost = false;       // machine code of the host runs it, not the device
  std::vector<DeviceParam> params;
  int64_t group = 1;         // work-items of a group
  bool taskIsGroup = false;  // a group runs one task together; else each work-item runs one
};

struct DeviceProgram {
  std::string source;                 // of all kernels of the device, in its language
  std::string_view extension;         // of a file with the source: ".cl"
  std::vector<DeviceKernel> kernels;  // those of the program, in order
};

/// The program in the language of a kind of device. Kernels that are imperative (LaunchInfo) stay on the
/// host. The source is deterministic; comments name the user's nodes, shapes and the schedule.
Result<DeviceProgram> deviceProgram(const loop::Program &program, const Target &target, DeviceKind language);

} // namespace planish::codegen
