// Graph -> Program: every value gets a place in memory, every group of nodes becomes a kernel, and
// the host function launches them in order.
#pragma once

#include "planish/graph/Graph.h"
#include "planish/loop/Program.h"
#include "planish/schedule/Tuning.h"
#include "planish/support/Result.h"
#include "planish/target/Target.h"

#include <array>
#include <string>
#include <vector>

namespace planish::lower {

enum class Mode : uint8_t {
  Scheduled,  // kernels through the target's templates and loop passes
  Reference,  // the definitions as they are: what the C form of the reference runs
};

struct LowerOptions {
  std::string name = "model";
  Mode mode = Mode::Scheduled;
  const schedule::TuningDatabase *tuning = nullptr;  // knobs that replace the templates' own
  bool strict = false; // no template that reassociates sums: see schedule::Template
};

/// The graph's symbols become scalars of the host function; memory is planned for their bounds.
/// Fails where the arena or a tensor would not fit a 46-bit address space.
Result<loop::Program> lower(const graph::Graph &g, const Target &target, const LowerOptions &options);

/// A computation of a program as it stands before scheduling, each distinct one once.
struct Computation {
  loop::Compute compute;
  int64_t launches = 0;
  std::vector<std::string> nodes;  // the user's ONNX nodes of the first launch
};
/// What lower() would schedule, in order of first launch.
Result<std::vector<Computation>> computationsOf(const graph::Graph &g);

/// What two cores touch when they share a kernel: of every parameter the elements read and written.
struct CoreParts {
  using Box = std::vector<loop::Range>;  // by dimension; empty: nothing
  struct Touched {
    Box read, written;
  };
  std::array<std::vector<Touched>, 2> cores;  // by parameter; the first core is the caller's
  double longest = 1;                          // of the two parts, of the whole
};

/// A computation as the function that runs it.
struct ScheduledFunction {
  loop::Function function;  // after all loop passes
  std::vector<schedule::Kernel::Packing> packings;
  std::string_view templateName;
  schedule::Config config;  // every knob
  CoreParts parts;
  double nanoseconds = 0;   // as the template expects of one core
};
/// `config` replaces the template's own choices where it names a knob.
ScheduledFunction scheduledFunction(loop::Compute compute, const Target &target,
                                    const schedule::Config &config = {}, bool strict = false);

} // namespace planish::lower
