// One computation on this machine: memory for its operands, machine code for choices of knobs, and times.
#pragma once

#include "planish/codegen/Llvm.h"
#include "planish/lower/Lower.h"

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace planish::tune {

/// Memory that starts at a multiple of 64.
class Bytes {
public:
  explicit Bytes(int64_t count);
  std::byte *data() const { return begin; }
  int64_t size() const { return count; }

private:
  std::vector<std::byte> storage;
  std::byte *begin;
  int64_t count;
};

/// What weights are read from while kernels are timed. In a model every kernel's weights are evicted by those
/// of the others between two runs; so here the largest constant of a kernel moves through as many bytes as
/// the model's constants have, in a pool that all kernels share.
class WeightPool {
public:
  explicit WeightPool(int64_t modelBytes);
  /// Room for `bytes` that was not used for the longest time; null where the pool is smaller.
  std::byte *next(int64_t bytes);

private:
  Bytes memory;
  int64_t at = 0;
};

/// Machine code that `jit` owns. May be called by several threads.
Result<codegen::Jit::Kernel> compiled(const lower::ScheduledFunction &made, codegen::Jit &jit);

class Bench {
public:
  /// Nothing is measured where the operands are larger than this.
  static constexpr int64_t kMostBytes = int64_t(1) << 30;
  static int64_t operandBytes(const loop::Compute &compute);

  Bench(loop::Compute compute, WeightPool &weights);

  /// Machine code with its packed constants.
  struct Code {
    codegen::Jit::Kernel call = nullptr;
    int64_t tasks = 1;
    std::vector<std::shared_ptr<Bytes>> packed; // by parameter; null: as it is
    std::shared_ptr<Bytes> scratch;
  };
  Code ready(const lower::ScheduledFunction &made, codegen::Jit::Kernel call) const;

  /// Seconds of one call: the mean over a fraction of a millisecond, or of one call that takes longer.
  double time(const Code &code);
  /// Runs once on the operands as they were at first; the output's memory after it, gaps included.
  std::vector<std::byte> run(const Code &code);
  /// What is wrong with a result, next to the default's; nothing if they agree.
  std::string difference(const std::vector<std::byte> &wanted, const std::vector<std::byte> &got) const;

private:
  struct Operand {
    Bytes memory;
    int64_t first; // byte of the element whose indices are all zero
  };
  void fill(Operand &operand, DType dtype, std::mt19937 &random) const;
  std::vector<void *> arguments(const Code &code) const;

  loop::Compute compute;
  WeightPool &weights;
  std::vector<int64_t> scalars; // the largest values of the symbols
  std::vector<Operand> operands;
  std::vector<std::byte> output; // as it was at first
  int rotating = -1; // the parameter that moves through the pool
  double secondsPerCall = 0; // a guess, for the length of a sample
};

} // namespace planish::tune
