#include "planish/artifact/Artifact.h"

#include "Documents.h"
#include "Metadata.h"

#include "planish/artifact/RuntimeBitcode.h"
#include "planish/codegen/Link.h"
#include "planish/codegen/Llvm.h"
#include "planish/support/Hash.h"

#include <planish/abi.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>
#include <unistd.h>

namespace planish::artifact {

using codegen::LinkInput;
using loop::Program;
namespace fs = std::filesystem;

namespace {

/// Kernels per object: constant, so that the bytes do not depend on the number of threads.
constexpr size_t kKernelsPerObject = 4;

/// Runs the jobs on all cores; the first error in order wins.
Result<std::vector<std::string>> inParallel(const std::vector<std::function<Result<std::string>()>> &jobs) {
  std::vector<std::optional<Result<std::string>>> done(jobs.size());
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t i; (i = next++) < jobs.size();) done[i] = jobs[i]();
  };
  std::vector<std::thread> threads;
  for (unsigned t = 1; t < std::max(1U, std::thread::hardware_concurrency()); ++t) threads.emplace_back(work);
  work();
  for (std::thread &t : threads) t.join();
  std::vector<std::string> r;
  for (auto &d : done) {
    if (!*d) return d->error();
    r.push_back(**std::move(d));
  }
  return r;
}

std::vector<std::byte> weightsOf(const Program &p) {
  std::vector<int64_t> offsets = loop::constantOffsets(p);
  std::vector<std::byte> bytes(p.constants.empty() ? 0 : size_t(offsets.back()) + p.constants.back().bytes->size());
  for (size_t i = 0; i < p.constants.size(); ++i)
    std::copy(p.constants[i].bytes->begin(), p.constants[i].bytes->end(), bytes.begin() + offsets[i]);
  return bytes;
}

Result<std::vector<LinkInput>> objectsOf(const Program &p, const Target &target, const std::string &buildId) {
  std::vector<std::function<Result<std::string>()>> jobs;
  std::vector<std::string> names;
  auto job = [&](std::string name, std::function<Result<std::string>()> fn) {
    names.push_back(std::move(name));
    jobs.push_back(std::move(fn));
  };
  std::span<const loop::FunctionRef> kernels = p.kernels;
  for (size_t i = 0; i < kernels.size(); i += kKernelsPerObject) {
    auto some = kernels.subspan(i, std::min(kKernelsPerObject, kernels.size() - i));
    job("kernels" + std::to_string(i / kKernelsPerObject) + ".o",
        [=, &target] { return codegen::emitKernels(some, target, codegen::Form::Object); });
  }
  job("host.o", [&] { return codegen::emitHost(p, symbolsOf(p).host, target, codegen::Form::Object); });
  job("runtime.o", [&] {
    return codegen::compileBitcode({kRuntimeBitcodeX86_64, kRuntimeBitcodeX86_64Size}, target);
  });
  job("model.o", [&] { return modelObject(p, target, buildId); });
  if (!p.constants.empty())
    job("weights.o", [&] { return codegen::dataObject(weightsOf(p), symbolsOf(p).weights, target); });
  PLANISH_ASSIGN(std::vector<std::string> bytes, inParallel(jobs));
  std::vector<LinkInput> r;
  for (size_t i = 0; i < bytes.size(); ++i) r.push_back({p.name + "_" + names[i], std::move(bytes[i])});
  return r;
}

Result<std::string> readFile(const fs::path &path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return failed("cannot read '" + path.string() + "'");
  return std::string(std::istreambuf_iterator<char>(in), {});
}

/// A folder of its own that goes away with everything in it.
class Scratch {
public:
  static Result<Scratch> make(const fs::path &near) {
    std::string pattern = near.string() + ".XXXXXX";
    if (!mkdtemp(pattern.data())) return failed("cannot make a folder '" + pattern + "'");
    return Scratch(pattern);
  }
  Scratch(Scratch &&other) noexcept : path(std::move(other.path)) { other.path.clear(); }
  Scratch &operator=(Scratch &&) = delete;
  ~Scratch() {
    std::error_code ignored;
    if (!path.empty()) fs::remove_all(path, ignored);
  }
  fs::path path;

private:
  explicit Scratch(std::string p) : path(std::move(p)) {}
};

} // namespace

Result<Files> build(const Program &program, const Target &target, LibraryKind kind, const Provenance &provenance) {
  std::string buildId = buildIdOf(program, target, provenance);
  PLANISH_ASSIGN(std::vector<LinkInput> objects, objectsOf(program, target, buildId));
  PLANISH_ASSIGN(Scratch scratch, Scratch::make(fs::temp_directory_path() / "planish"));
  Files r;
  r.arenaBytes = program.arenaBytes;
  r.weightsBytes = int64_t(weightsOf(program).size());
  auto take = [&](const std::string &name) -> Status {
    PLANISH_ASSIGN(std::string bytes, readFile(scratch.path / name));
    r.libraryBytes = std::max(r.libraryBytes, int64_t(bytes.size()));
    r.files.push_back({name, std::move(bytes)});
    return {};
  };
  if (kind != LibraryKind::Shared) {
    std::string archive = "lib" + program.name + ".a";
    PLANISH_TRY(codegen::writeArchive(objects, (scratch.path / archive).string()));
    PLANISH_TRY(take(archive));
  }
  if (kind != LibraryKind::Static) {
    std::string library = "lib" + program.name + ".so";
    PLANISH_ASSIGN(std::string query, queryObject(program, target));
    objects.push_back({program.name + "_query.o", std::move(query)});
    const std::string exported[] = {PLANISH_QUERY_SYMBOL};
    PLANISH_TRY(codegen::linkShared(objects, (scratch.path / library).string(), library, exported, target));
    PLANISH_TRY(take(library));
  }
  r.files.push_back({program.name + ".h", headerOf(program)});
  r.files.push_back({"manifest.json", manifestOf(program, target, provenance, buildId, r)});
  r.files.push_back({"report.json", reportOf(program, target, provenance, r)});
  return r;
}

Status write(const Files &files, const std::string &directory) {
  fs::path final = fs::absolute(directory).lexically_normal();
  if (!final.has_filename()) final = final.parent_path();
  std::error_code error;
  if (fs::exists(final, error) && !fs::is_directory(final, error))
    return usage("output '" + directory + "' exists and is not a directory");
  bool parentIsNew = !fs::exists(final.parent_path(), error);
  fs::create_directories(final.parent_path(), error);
  if (error) return failed("cannot make the folder '" + final.parent_path().string() + "': " + error.message());
  auto written = [&]() -> Status {
    PLANISH_ASSIGN(Scratch scratch, Scratch::make(final));
    for (const Files::File &f : files.files) {
      std::ofstream out(scratch.path / f.name, std::ios::binary);
      out.write(f.bytes.data(), std::streamsize(f.bytes.size()));
      out.close();
      if (!out) return failed("cannot write '" + f.name + "' next to '" + final.string() + "'");
    }
    fs::permissions(scratch.path, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                                      fs::perms::others_read | fs::perms::others_exec,
                    error);
    fs::create_directory(final, error);
    for (const Files::File &f : files.files) {
      fs::rename(scratch.path / f.name, final / f.name, error);
      if (error) return failed("cannot write '" + (final / f.name).string() + "': " + error.message());
    }
    return {};
  }();
  if (!written && parentIsNew) fs::remove(final.parent_path(), error);
  return written;
}

} // namespace planish::artifact
