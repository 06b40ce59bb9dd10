// The engine's part of an FPGA target's library, as constants (runtime/src/fpga.h).
#pragma once

#include "planish/codegen/Fpga.h"
#include "planish/codegen/Llvm.h"

namespace planish::artifact {

/// How the host function launches what either the host or the engine runs.
codegen::LaunchStyle fpgaLaunches();

/// Defines the device symbol of the program and what its launches name. `program` is withEngine().
Result<std::string> fpgaObject(const loop::Program &program, const codegen::FpgaProgram &engine,
                               const Target &target, const Target &host);

/// Kernels of withEngine() that the host runs.
std::vector<loop::FunctionRef> kernelsBesideEngine(const loop::Program &program,
                                                   const codegen::FpgaProgram &engine);

} // namespace planish::artifact
