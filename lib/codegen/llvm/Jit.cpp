#include "Kernels.h"
#include "Machine.h"

#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/MemoryBuffer.h>

#include <atomic>

namespace planish::codegen {
namespace {

template <class T> Result<T> taken(llvm::Expected<T> e, const std::string &what) {
  if (e) return std::move(*e);
  return failed(what + ": " + llvm::toString(e.takeError()));
}

} // namespace

struct Jit::State {
  Target target;
  std::unique_ptr<llvm::orc::LLJIT> jit;  // made by the first compilation, so that its error has a way out
  std::mutex making;
  std::atomic<int> serial = 0;

  Status make(const llvm::TargetMachine &machine);
};

Status Jit::State::make(const llvm::TargetMachine &machine) {
  std::lock_guard lock(making);
  if (jit) return {};
  llvm::orc::JITTargetMachineBuilder builder(machine.getTargetTriple());
  PLANISH_ASSIGN(jit, taken(llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(builder).create(), "JIT"));
  return {};
}

Jit::Jit(const Target &target) : state(std::make_unique<State>()) { state->target = target; }
Jit::~Jit() = default;
Jit::Jit(Jit &&) noexcept = default;

Result<Jit::Kernel> Jit::compile(const loop::Function &f) {
  PLANISH_ASSIGN(auto machine, targetMachine(state->target));
  PLANISH_TRY(state->make(*machine));
  loop::Function named = f;
  named.name += "." + std::to_string(state->serial++);
  PLANISH_ASSIGN(std::string object, emitKernels(std::vector{std::make_shared<const loop::Function>(named)},
                                                 state->target, Form::Object));
  if (auto e = state->jit->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object, named.name)))
    return failed("JIT: " + llvm::toString(std::move(e)));
  PLANISH_ASSIGN(auto address, taken(state->jit->lookup(named.name), "JIT"));
  return address.toPtr<Kernel>();
}

} // namespace planish::codegen
