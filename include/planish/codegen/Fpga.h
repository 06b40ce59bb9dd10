// A program for an FPGA: an engine for layers of 8-bit codes, as source for a vendor's tools, what it is told
// in tables, and a report of what it will take. What the engine cannot run stays on the host.
#pragma once

#include "planish/loop/Program.h"
#include "planish/support/Result.h"
#include "planish/target/Target.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace planish::codegen {

/// A text that goes with the library, by the end of its file name.
struct FpgaFile {
  std::string suffix, text;
};

struct FpgaProgram {
  struct Rows {
    int64_t first = 0, count = 0;
  };
  std::vector<std::optional<Rows>> launches; // by launch: the layer's rows; nothing where the host runs it
  std::vector<std::string> notes; // what the user should know, one line each
  std::vector<int32_t> table; // all rows, columns in order
  int64_t columns = 0;
  std::vector<std::byte> weights, scales; // as the engine reads them
  std::vector<FpgaFile> files; // source, scripts, report
};

/// `definitions` is the program unscheduled, lowered without packing: the engine's layers are found in it.
/// The files are deterministic and name the user's nodes.
Result<FpgaProgram> fpgaProgram(const loop::Program &definitions, const Target &target);

/// The same program with launches of the engine's layers taken over: these kernels have parameters and no
/// body. `host` has the launches of the definitions.
loop::Program withEngine(loop::Program host, const FpgaProgram &engine);

} // namespace planish::codegen
