// Loop IR -> machine code by LLVM. Vector code is explicit in the loop IR: LLVM selects
// instructions, schedules and allocates registers; loops and addresses are decided here.
#pragma once

#include "planish/loop/Program.h"
#include "planish/support/Result.h"
#include "planish/target/Target.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace planish::codegen {

enum class Form : uint8_t { Object, Assembly, LlvmText };

/// Kernels (legalized, vectorized, unrolled) as one relocatable object, or as text. Every function is
/// an external symbol `<name>` with the runtime's kernel signature
///   void (void *const *buffers, const int64_t *scalars, void *scratch, int64_t begin, int64_t end).
/// Deterministic: equal input gives equal bytes. Safe to call from several threads at once.
Result<std::string> emitKernels(std::span<const loop::FunctionRef> kernels, const Target &target, Form form);

/// How a host function launches: the runtime's function, and the symbol of a kernel <name>: `<name><suffix>`.
struct LaunchStyle {
  std::string function = "planish_launch_v1";
  std::string suffix{};
};

/// The host function as `int32_t <symbol>(const planish_frame *)`, calling planish_launch_v1 per
/// launch (runtime/include/planish/abi.h). It refers to the kernels by name and returns 0.
Result<std::string> emitHost(const loop::Program &program, const std::string &symbol, const Target &target,
                             Form form, const LaunchStyle &style = {});

/// LLVM's own text (a module without triple) as an object: how tables of constants are made.
Result<std::string> compileText(const std::string &llvmText, const Target &target);

/// Code in this process, for tests, benches and tuning.
class Jit {
public:
  explicit Jit(const Target &target);
  ~Jit();
  Jit(Jit &&) noexcept;
  /// `scratch` has loop::planScratch(f).bytes, aligned to 64, for this call alone; null where that is 0.
  using Kernel = void (*)(void *const *buffers, const int64_t *scalars, void *scratch, int64_t begin,
                          int64_t end);
  /// The code lives as long as this Jit.
  Result<Kernel> compile(const loop::Function &f);

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace planish::codegen
