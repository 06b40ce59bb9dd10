// Runs one computation in all its forms and compares what each leaves in the output's memory.
#pragma once

#include "RandomCompute.h"

#include "planish/schedule/Template.h"

#include <functional>
#include <string>

namespace planish::schedule::test {

/// Runs a whole kernel on the given memory; an empty text means success.
using Runner = std::function<std::string(const loop::Function &, const std::vector<void *> &params,
                                         const std::vector<int64_t> &scalars)>;

/// A target whose facts are varied; its code is never run.
Target randomTarget(Random &random);
/// One random choice per knob of the template that will take the computation.
Config randomConfig(const loop::Compute &c, const Target &t, Random &random);
std::string textOf(const Config &c);

/// Compares definition, scheduled loops and loops after the passes with the interpreter, packings
/// with runPacking, and, if given, `machine` on the final loops. Returns what differs, or nothing.
std::string compareForms(const Case &c, const Target &t, const Config &config, uint64_t seed,
                         const Runner &machine = {});

/// The environment variable's number, or `otherwise`.
uint64_t fromEnvironment(const char *name, uint64_t otherwise);

} // namespace planish::schedule::test
