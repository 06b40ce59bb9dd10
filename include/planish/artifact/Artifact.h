// Program + machine code -> the files a user gets: the library, its C header, the manifest and the
// report.
#pragma once

#include "planish/codegen/Fpga.h"
#include "planish/loop/Program.h"
#include "planish/support/Result.h"
#include "planish/target/Target.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace planish::artifact {

enum class LibraryKind : uint8_t { Shared, Static, Both };

/// An output of a run on seeded inputs: its line in the manifest and the first eight bytes of its SHA-256,
/// big end first.
struct GoldenOutput {
  std::string line;
  uint64_t digest;
};

/// What the manifest says about where a build came from.
struct Provenance {
  struct File {
    std::string name;  // without folder
    std::string sha256;
  };
  File model;
  std::vector<std::string> notes;  // what the tools told the user
  std::optional<File> tuning{};      // the database that chose knobs
  std::optional<File> calibration{}; // the profile that 8-bit codes come from
  std::vector<GoldenOutput> golden{}; // what the definition gives for seeded inputs; may be empty
};

/// The files, by name, in memory: nothing is on disk before all of them are there.
struct Files {
  struct File {
    std::string name, bytes;
  };
  std::vector<File> files;
  int64_t weightsBytes = 0, arenaBytes = 0, libraryBytes = 0;
  std::vector<std::string> notes;  // what the user should know of the build
};

/// Compiles every kernel (in parallel, each distinct one once), the host function and the runtime,
/// and links them. Equal programs give equal bytes. Where the target is a device, `host` launches it and runs
/// what stays there. Of an FPGA, `engine` is what runs there and `program` withEngine().
Result<Files> build(const loop::Program &program, const Target &target, LibraryKind kind,
                    const Provenance &provenance, const Target *host = nullptr,
                    const codegen::FpgaProgram *engine = nullptr);

/// A usage error where `directory` exists and is something else.
Status checkOutput(const std::string &directory);

/// Writes the files into `directory`, made if needed: then it appears whole or not at all. In one that
/// exists they replace the files that its manifest lists, other files stay.
Status write(const Files &files, const std::string &directory);

} // namespace planish::artifact
