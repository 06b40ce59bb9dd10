// The runtime as LLVM bitcode, one module per kind of machine, embedded in the compiler when Planish is
// built. A module defines planish_launch_v1 and planish_api_v1 (planish/abi.h) for code of that machine's
// baseline, needs nothing but libc, and is made without a sysroot. Those for machines without an operating
// system need only memcpy and memset.
#pragma once

#include <cstddef>

namespace planish {

extern const unsigned char kRuntimeBitcodeX86_64[];
extern const std::size_t kRuntimeBitcodeX86_64Size;
extern const unsigned char kRuntimeBitcodeAarch64[];
extern const std::size_t kRuntimeBitcodeAarch64Size;
extern const unsigned char kRuntimeBitcodeArmv7[];
extern const std::size_t kRuntimeBitcodeArmv7Size;
extern const unsigned char kRuntimeBitcodeX86_64Bare[];
extern const std::size_t kRuntimeBitcodeX86_64BareSize;
extern const unsigned char kRuntimeBitcodeAarch64Bare[];
extern const std::size_t kRuntimeBitcodeAarch64BareSize;
extern const unsigned char kRuntimeBitcodeArmv7Bare[];
extern const std::size_t kRuntimeBitcodeArmv7BareSize;
/// Defines planish_opencl_launch_v1 and planish_opencl_hooks_v1, beside the runtime.
extern const unsigned char kRuntimeOpenClX86_64[];
extern const std::size_t kRuntimeOpenClX86_64Size;
/// Defines planish_cuda_launch_v1 and planish_cuda_hooks_v1, beside the runtime.
extern const unsigned char kRuntimeCudaX86_64[];
extern const std::size_t kRuntimeCudaX86_64Size;
/// Defines planish_fpga_launch_v1 and planish_fpga_hooks_v1, beside the runtime.
extern const unsigned char kRuntimeFpgaX86_64[];
extern const std::size_t kRuntimeFpgaX86_64Size;
extern const unsigned char kRuntimeFpgaAarch64[];
extern const std::size_t kRuntimeFpgaAarch64Size;

} // namespace planish
