// The planish_device_program structure of a program (runtime/include/planish/abi.h) as an object file.
#pragma once

#include "planish/codegen/Llvm.h"
#include "planish/codegen/OpenCl.h"

namespace planish::artifact {

/// What the host function launches: `<kernel><suffix>` is the kernel's description.
codegen::LaunchStyle deviceLaunches();

/// Defines Symbols::device and the descriptions of all kernels; refers to the machine code of those that stay
/// on the host and to the runtime's part for OpenCL.
Result<std::string> deviceObject(const loop::Program &program, const codegen::DeviceProgram &device,
                                 const Target &host);

} // namespace planish::artifact
