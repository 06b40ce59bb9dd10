// How long a model may take on a CPU that nobody measured: arithmetic over what its table row assumes. An
// ideal made a little less so, not a promise.
#pragma once

#include "planish/loop/Program.h"
#include "planish/target/Target.h"

#include <optional>
#include <string>
#include <vector>

namespace planish::artifact {

struct Estimate {
  struct Launch {
    double microseconds = 0;
    bool memory = false;  // bytes take longer than arithmetic
  };
  Assumed assumed;
  double ofPeak = 1;             // what kernels are taken to reach of the rate that leaves
  std::vector<Launch> launches;  // in the order of the program's
  double microseconds = 0;       // of all, on one core
};

/// Every launch takes what its arithmetic takes, or what its bytes take from memory if that is longer.
/// Nothing for targets whose row assumes nothing.
std::optional<Estimate> estimateOf(const loop::Program &program, const Target &target);
/// One line with the assumptions.
std::string textOf(const Estimate &estimate);

} // namespace planish::artifact
