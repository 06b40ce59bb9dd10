// Steps -> kernels. Equal computations become one function; constants are packed as their kernel
// reads them.
#pragma once

#include "Storage.h"
#include "WeightBudget.h"

#include "planish/lower/Lower.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace planish::lower {

/// One argument of a launch: an operand's place, or an entry of the program's constants.
struct Argument {
  std::optional<Operand> operand;
  int64_t constant = -1;    // index in KernelSet::constants where there is no operand
  loop::Expr offset;        // of the constant's first element read, in elements
  loop::Buffer parameter;   // what the kernel calls it: type, shape and strides
};

struct LoweredStep {
  loop::FunctionRef kernel;
  std::vector<Argument> arguments;  // in the order of the kernel's parameters
  std::vector<loop::Expr> scalars;  // in the order of the kernel's scalars
  loop::Expr tasks;
  CoreParts parts;                  // parameters in the kernel's order
  double nanoseconds = 0;           // what its template expects of one core
  schedule::Config config;
  loop::LaunchInfo info;            // all but the text of `config`
};
/// What reports say of a step.
loop::LaunchInfo infoOf(const LoweredStep &step);

/// What a step computes, over buffers that stand for its operands.
struct StepCompute {
  loop::Compute compute;      // without a result where the row has `loops`
  loop::Function definition;  // unscheduled
  std::vector<std::pair<Operand, loop::Buffer>> operands;  // in different places
};
StepCompute computeOf(const Step &step, const graph::Graph &g, const Storage &storage);

/// Makes kernels step by step and keeps what they share.
class KernelSet {
public:
  KernelSet(const Target &target, const LowerOptions &options, const Storage &storage)
      : target(target), options(options), storage(storage), tiles(chosenTiles(storage, target, options)) {}

  /// A step of `g` that is no control flow.
  Result<LoweredStep> lower(const graph::Graph &g, const Step &step);
  std::vector<loop::FunctionRef> kernels() const { return functions; }
  /// These run in one task from now on; `steps` follow.
  void keepWhole(const std::set<const loop::Function *> &kernels, std::vector<LoweredStep> &steps);
  std::vector<loop::ConstantData> constants;
  loop::TransformedWeights transformed;

private:
  struct Shared {
    loop::FunctionRef function;
    std::map<int, schedule::Kernel::Packing> packings;  // by parameter
    std::string_view templateName;
    std::string key;
    schedule::Config config;
    bool tuned = false, imperative = false;
    loop::Expr tasks;
    CoreParts parts;
    double nanoseconds = 0;
    std::vector<Var> scalars;                // of the definition: symbols of the first step that uses it
  };
  Result<const Shared *> shared(StepCompute step);
  /// Fills in where the kernel finds this part of a constant, packed if it wants that.
  void bindConstant(Argument &argument, const Operand &operand, const schedule::Kernel::Packing *packing);
  int64_t addConstant(std::string name, graph::Bytes bytes);

  const Target &target;
  const LowerOptions &options; // its name is the prefix of every symbol, so that models link into one program
  const Storage &storage;
  std::map<std::string, int64_t> tiles; // of Winograd, by schedule::keyOf
  std::map<std::string, Shared> byText;
  std::vector<loop::FunctionRef> functions;
  std::map<std::string, int64_t> constantByHash;
};

} // namespace planish::lower
