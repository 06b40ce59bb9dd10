// The planish_model structure of a program (runtime/include/planish/abi.h) as an object file.
#pragma once

#include "planish/loop/Program.h"
#include "planish/support/Result.h"
#include "planish/target/Target.h"

#include <string>

namespace planish::artifact {

/// Symbols that the objects of one library share.
struct Symbols {
  std::string model, host, weights;
};
Symbols symbolsOf(const loop::Program &program);

/// Defines `symbols.model`; refers to the host function, the weights and the runtime's table.
Result<std::string> modelObject(const loop::Program &program, const Target &target,
                                const std::string &buildId);
/// Defines planish_query, the one function a shared library exports.
Result<std::string> queryObject(const loop::Program &program, const Target &target);

} // namespace planish::artifact
