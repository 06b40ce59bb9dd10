// CUDA source -> what a device loads, by NVRTC, NVIDIA's compiler as a library.
#pragma once

#include "planish/support/Result.h"

#include <optional>
#include <string>

namespace planish::codegen {

struct CudaImages {
  std::string cubin;  // machine code of the architecture
  std::string ptx;    // assembly that drivers compile for devices of later ones
};

/// Kernels compiled for an architecture ("sm_80"); nothing where there is no NVRTC. It is looked for as
/// libnvrtc.so, or as what PLANISH_NVRTC_LIBRARY names, which must be there then. Floats are computed as
/// written: no contraction, no flushed denormals, correctly rounded division and square root.
Result<std::optional<CudaImages>> compileCuda(const std::string &source, const std::string &architecture);

} // namespace planish::codegen
