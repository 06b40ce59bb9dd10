// The LLVM side of a target: target machine, the short pass list, and machine code as bytes.
#pragma once

#include "planish/codegen/Llvm.h"

#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <string>

namespace llvm {
class Module;
}

namespace planish::codegen {

/// A target machine for position independent code, or an error that names the unknown triple or CPU.
/// Loop strength reduction is off in the whole process from the first call on: addresses are formed
/// by Streams.h, and LLVM has no switch per target machine.
Result<std::unique_ptr<llvm::TargetMachine>> targetMachine(const Target &target);

/// Data layout, triple and the attributes that select instructions, on a module's functions.
void prepareModule(llvm::Module &module, const llvm::TargetMachine &machine, const Target &target);

/// Promotes register tiles and removes what the emitter repeats; the rest is code generation's.
void optimize(llvm::Module &module, llvm::TargetMachine &machine);

/// Clang's -O2 pipeline, for code written by people.
void optimizeFully(llvm::Module &module, llvm::TargetMachine &machine);

/// The module as an object file, assembly or LLVM text. Destroys the module's function bodies.
Result<std::string> generate(llvm::Module &module, llvm::TargetMachine &machine, Form form);

} // namespace planish::codegen
