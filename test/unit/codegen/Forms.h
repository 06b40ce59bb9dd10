// Runs one function in several forms on equal memory and compares what each leaves there.
#pragma once

#include "planish/loop/IR.h"
#include "planish/target/Target.h"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace planish::codegen::test {

/// The memory of a function's parameters. Each lies directly before a page that must not be touched.
class Memory {
public:
  Memory(const loop::Function &f, std::vector<int64_t> scalars, uint64_t seed);
  ~Memory();
  Memory(const Memory &) = delete;

  std::vector<void *> pointers;
  std::vector<size_t> sizes;  // bytes of each
  std::vector<int64_t> scalars;
  std::vector<std::vector<std::byte>> contents() const;

private:
  std::vector<std::pair<void *, size_t>> mappings;
};

/// The first difference between two contents of a function's memory (every NaN equals every NaN), or
/// nothing.
std::string difference(const loop::Function &f, const std::vector<std::vector<std::byte>> &want,
                       const std::vector<std::vector<std::byte>> &got);

/// The number of tasks of `f` for these scalars.
int64_t tasksOf(const loop::Function &f, const std::vector<int64_t> &scalars);

/// What the interpreter makes of the memory of `seed`; a failing interpretation is a test failure.
std::vector<std::vector<std::byte>> interpreted(const loop::Function &f, const std::vector<int64_t> &scalars,
                                                uint64_t seed);

/// The instruction sets of this machine that code is made for.
std::vector<Target> levels();

/// Compiles for `target`, runs the tasks in two halves, compares with `want`.
std::string compareMachine(const loop::Function &f, const std::vector<int64_t> &scalars, uint64_t seed,
                           const Target &target, const std::vector<std::vector<std::byte>> &want);

/// The environment variable's number, or `otherwise`.
uint64_t fromEnvironment(const char *name, uint64_t otherwise);

} // namespace planish::codegen::test
