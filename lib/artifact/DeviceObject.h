// The planish_device_program structure of a program (runtime/include/planish/abi.h) as an object file.
#pragma once

#include "planish/codegen/Cuda.h"
#include "planish/codegen/Device.h"
#include "planish/codegen/Llvm.h"

#include <optional>
#include <span>
#include <string>

namespace planish::artifact {

/// What the host function of a model for a device launches: `<kernel><suffix>` is the kernel's description.
codegen::LaunchStyle deviceLaunches(DeviceKind device);

/// The runtime's part for a kind of device, as bitcode.
std::span<const unsigned char> deviceRuntime(DeviceKind device);

/// Defines Symbols::device and the descriptions of all kernels; refers to the machine code of those that stay
/// on the host and to the runtime's part for the device. `images`: of a CUDA program, where they were made.
Result<std::string> deviceObject(const loop::Program &program, const codegen::DeviceProgram &device,
                                 const std::optional<codegen::CudaImages> &images, const Target &target,
                                 const Target &host);

} // namespace planish::artifact
