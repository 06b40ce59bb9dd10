// Graph -> Program: every value gets a place in memory, every group of nodes becomes a kernel, and
// the host function launches them in order.
#pragma once

#include "planish/graph/Graph.h"
#include "planish/loop/Program.h"
#include "planish/support/Result.h"
#include "planish/target/Target.h"

#include <string>

namespace planish::lower {

enum class Mode : uint8_t {
  Scheduled,  // kernels through the target's templates and loop passes
  Reference,  // the definitions as they are: what the C form of the reference runs
};

struct LowerOptions {
  std::string name = "model";
  Mode mode = Mode::Scheduled;
};

/// The graph's symbols become scalars of the host function; memory is planned for their bounds.
/// Fails where the arena or a tensor would not fit a 46-bit address space.
Result<loop::Program> lower(const graph::Graph &g, const Target &target, const LowerOptions &options);

} // namespace planish::lower
