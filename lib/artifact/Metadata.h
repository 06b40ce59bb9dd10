// The planish_model structure of a program (runtime/include/planish/abi.h) as an object file.
#pragma once

#include "planish/artifact/Artifact.h"
#include "planish/loop/Program.h"
#include "planish/support/Result.h"
#include "planish/target/Target.h"

#include <span>
#include <string>

namespace planish::artifact {

/// Symbols that the objects of one library share.
struct Symbols {
  std::string model, host, weights, device;
};
Symbols symbolsOf(const loop::Program &program);

/// Defines `symbols.model`; refers to the host function, the weights, the runtime's table and, where there is
/// one, the device program. The code is for `host`, the model for what is called `targetName`; `golden` has a
/// digest per output, or none.
Result<std::string> modelObject(const loop::Program &program, const Target &host,
                                const std::string &targetName, const std::string &buildId, bool hasDevice,
                                std::span<const GoldenOutput> golden);
/// Defines planish_query, the one function a shared library exports.
Result<std::string> queryObject(const loop::Program &program, const Target &target);

} // namespace planish::artifact
