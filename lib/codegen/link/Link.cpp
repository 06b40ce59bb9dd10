#include "planish/codegen/Link.h"
#include "planish/support/ScratchFolder.h"

#include <lld/Common/Driver.h>
#include <llvm/Object/ArchiveWriter.h>
#include <llvm/Support/FileSystem.h>
#include <llvm/Support/Path.h>
#include <llvm/Support/raw_ostream.h>

#include <mutex>

LLD_HAS_DRIVER(elf)

namespace planish::codegen {
namespace {

Status writeFile(const std::string &path, std::string_view bytes) {
  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  if (!code) {
    stream << bytes;
    stream.close();
    code = stream.error();
    stream.clear_error();
  }
  if (code) return failed("cannot write " + path + ": " + code.message());
  return {};
}

/// A name beside `path`, so that the finished file gets its own name in one step.
Result<std::string> besides(const std::string &path) {
  llvm::SmallString<128> r;
  if (auto code = llvm::sys::fs::createUniqueFile(path + ".%%%%%%", r))
    return failed("cannot write " + path + ": " + code.message());
  return r.str().str();
}

Status moveTo(const std::string &from, const std::string &to) {
  auto code = llvm::sys::fs::rename(from, to);
  if (!code) return {};
  [[maybe_unused]] std::error_code ignored = llvm::sys::fs::remove(from);
  return failed("cannot write " + to + ": " + code.message());
}

/// The linker keeps its state in globals: one link at a time.
Status runLinker(const std::vector<std::string> &args) {
  static std::mutex one;
  std::lock_guard lock(one);
  std::vector<const char *> pointers;
  for (const std::string &a : args) pointers.push_back(a.c_str());
  std::string complaints;
  llvm::raw_string_ostream stream(complaints);
  auto result = lld::lldMain(pointers, llvm::nulls(), stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0) return failed("linking failed: " + complaints);
  return {};
}

} // namespace

Status linkShared(std::span<const LinkInput> objects, const std::string &path, const std::string &soname,
                  std::span<const std::string> exported, const Target &) {
  PLANISH_ASSIGN(ScratchFolder scratch, ScratchFolder::make());
  std::string symbols = "{\n";
  if (!exported.empty()) symbols += "global:\n";
  for (const std::string &name : exported) symbols += "  " + name + ";\n";
  PLANISH_TRY(writeFile(scratch.file("exports"), symbols + "local:\n  *;\n};\n"));
  PLANISH_ASSIGN(std::string output, besides(path));
  std::vector<std::string> args{"ld.lld",
                                "-shared",
                                "-soname",
                                soname,
                                "-o",
                                output,
                                "--version-script",
                                scratch.file("exports"),
                                "-z",
                                "now",
                                "-z",
                                "relro",
                                "-z",
                                "noexecstack",
                                "--gc-sections",
                                "--hash-style=gnu",
                                "--build-id=sha1",
                                "--threads=1",
                                "--fatal-warnings"};
  for (size_t i = 0; i < objects.size(); ++i) {
    std::string file = scratch.file(std::to_string(i) + ".o");
    PLANISH_TRY(writeFile(file, objects[i].bytes));
    args.push_back(file);
  }
  if (Status linked = runLinker(args); !linked) {
    static_cast<void>(llvm::sys::fs::remove(output));
    return linked.error().in(path);
  }
  return moveTo(output, path);
}

Status writeArchive(std::span<const LinkInput> objects, const std::string &path) {
  std::vector<llvm::NewArchiveMember> members;
  for (const LinkInput &o : objects) members.emplace_back(llvm::MemoryBufferRef(o.bytes, o.name));
  PLANISH_ASSIGN(std::string output, besides(path));
  auto error =
      llvm::writeArchive(output, members, llvm::SymtabWritingMode::NormalSymtab, llvm::object::Archive::K_GNU,
                         /*Deterministic=*/true, /*Thin=*/false);
  if (error) {
    static_cast<void>(llvm::sys::fs::remove(output));
    return failed("cannot write " + path + ": " + llvm::toString(std::move(error)));
  }
  if (std::error_code code = llvm::sys::fs::setPermissions(output, llvm::sys::fs::perms(0644))) {
    static_cast<void>(llvm::sys::fs::remove(output));
    return failed("cannot write " + path + ": " + code.message());
  }
  return moveTo(output, path);
}

} // namespace planish::codegen
