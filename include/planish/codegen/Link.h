// Linking in process: objects in memory -> a shared library or an archive, by lld; no sysroot.
#pragma once

#include "planish/support/Result.h"
#include "planish/target/Target.h"

#include <span>
#include <string>
#include <vector>

namespace planish::codegen {

struct LinkInput {
  std::string name;   // for messages and archive members
  std::string bytes;  // a relocatable object
};

/// Writes a shared library that exports only `exported`; libc symbols stay undefined. Deterministic.
Status linkShared(std::span<const LinkInput> objects, const std::string &path, const std::string &soname,
                  std::span<const std::string> exported, const Target &target);
/// Writes a static archive (deterministic member headers).
Status writeArchive(std::span<const LinkInput> objects, const std::string &path);

/// An object with `bytes` as a 64-byte aligned read-only section under `symbol`. The bytes never pass
/// through LLVM IR.
Result<std::string> dataObject(std::span<const std::byte> bytes, const std::string &symbol,
                               const Target &target);

/// Compiles LLVM bitcode (the runtime) for the target; symbols keep their visibility, functions the CPU
/// they were compiled for, so that the check for missing instructions runs anywhere.
Result<std::string> compileBitcode(std::span<const unsigned char> bitcode, const Target &target);

} // namespace planish::codegen
