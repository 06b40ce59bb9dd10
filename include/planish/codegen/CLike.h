// Loop IR as source text in a C-like language: one printer, dialects as records of spellings.
#pragma once

#include "planish/loop/Program.h"
#include "planish/support/Result.h"

#include <span>
#include <string>
#include <vector>

namespace planish::codegen {

/// How one language spells things. Data only; the printer has no dialect-specific branches beyond it.
struct CDialect;
extern const CDialect kC11;       // scalar C11: the second form of the reference, and --emit c
extern const CDialect kOpenCl12;  // a task is a work-item, or a group of them
extern const CDialect kCuda;      // likewise: threads and blocks; CUDA C++ for NVRTC and nvcc

/// Kernels as source. Accepts unscheduled and scheduled functions; vector nodes print as lane-wise
/// scalar code in C11 and as vector types in OpenCL and CUDA.
/// A memory parameter of an OpenCL kernel is two arguments: the memory, and in elements where it begins.
struct KernelText {
  loop::FunctionRef function;
  std::vector<std::string> about{};  // lines of a comment before it
  int64_t group = 1; // work-items of a group, where the dialect has them and the function no own
};
Result<std::string> printKernels(std::span<const KernelText> kernels, const CDialect &dialect);
Result<std::string> printKernels(std::span<const loop::FunctionRef> kernels, const CDialect &dialect);

/// A whole program as one C11 file: kernels, constants, and
///   int <name>_run(void *const *inputs, void *const *outputs, const int64_t *input_dims, int64_t
///   *output_dims)
/// serial, arena and all; compiles with any C11 compiler and -ffp-contract=off.
Result<std::string> printProgram(const loop::Program &program);

} // namespace planish::codegen
