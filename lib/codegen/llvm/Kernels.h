// Kernels as LLVM functions.
#pragma once

#include "planish/loop/IR.h"
#include "planish/target/Target.h"

namespace llvm {
class Module;
}

namespace planish::codegen {

/// Adds the external function `f.name` with the runtime's kernel signature. The module has its triple.
void emitKernel(llvm::Module &module, const loop::Function &f, const Target &target);

} // namespace planish::codegen
