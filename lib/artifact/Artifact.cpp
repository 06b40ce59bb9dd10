#include "planish/artifact/Artifact.h"

#include "DeviceObject.h"
#include "Documents.h"
#include "FpgaObject.h"
#include "Metadata.h"

#include "planish/artifact/RuntimeBitcode.h"
#include "planish/codegen/Link.h"
#include "planish/codegen/Llvm.h"
#include "planish/support/Hash.h"
#include "planish/support/Parallel.h"

#include <planish/abi.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <system_error>
#include <unistd.h>

namespace planish::artifact {

using codegen::LinkInput;
using loop::Program;
namespace fs = std::filesystem;

namespace {

/// Kernels per object: constant, so that the bytes do not depend on the number of threads.
constexpr size_t kKernelsPerObject = 4;

/// Runs the jobs on all cores; the first problem in order wins.
Result<std::vector<std::string>> allOf(const std::vector<std::function<Result<std::string>()>> &jobs) {
  std::vector<std::optional<Result<std::string>>> done(jobs.size());
  inParallel(jobs.size(), [&](size_t i) { done[i] = jobs[i](); });
  std::vector<std::string> r;
  for (auto &result : done) {
    if (!*result) return result->error();
    r.push_back(**std::move(result));
  }
  return r;
}

std::vector<std::byte> weightsOf(const Program &p) {
  std::vector<int64_t> offsets = loop::constantOffsets(p);
  std::vector<std::byte> bytes(
      p.constants.empty() ? 0 : size_t(offsets.back()) + p.constants.back().bytes->size());
  for (size_t i = 0; i < p.constants.size(); ++i)
    std::copy(p.constants[i].bytes->begin(), p.constants[i].bytes->end(), bytes.begin() + offsets[i]);
  return bytes;
}

std::span<const unsigned char> fpgaRuntimeOf(const Target &host) {
  if (host.architecture == Architecture::Arm64) return {kRuntimeFpgaAarch64, kRuntimeFpgaAarch64Size};
  return {kRuntimeFpgaX86_64, kRuntimeFpgaX86_64Size};
}

/// A program with what its device runs; nothing for a CPU.
struct Parts {
  const Program &program;
  const Target &target, &host;
  const codegen::FpgaProgram *engine = nullptr;
  std::optional<codegen::DeviceProgram> device{};
  std::optional<codegen::CudaImages> images{};
};

Result<Parts> partsOf(const Program &program, const Target &target, const Target &host,
                      const codegen::FpgaProgram *engine) {
  Parts r{program, target, host, engine};
  if (target.device == DeviceKind::OpenCl || target.device == DeviceKind::Cuda) {
    PLANISH_ASSIGN(r.device, codegen::deviceProgram(program, target, target.device));
  }
  if (target.device == DeviceKind::Cuda) {
    PLANISH_ASSIGN(r.images, codegen::compileCuda(r.device->source, target.cpu));
  }
  return r;
}

/// Kernels whose machine code the library has.
std::vector<loop::FunctionRef> hostKernels(const Parts &parts) {
  if (parts.engine) return kernelsBesideEngine(parts.program, *parts.engine);
  if (!parts.device) return parts.program.kernels;
  std::vector<loop::FunctionRef> r;
  for (const codegen::DeviceKernel &k : parts.device->kernels)
    if (k.onHost) r.push_back(k.function);
  return r;
}

Result<std::vector<LinkInput>> objectsOf(const Parts &parts, const std::string &buildId,
                                         std::span<const GoldenOutput> golden) {
  const Program &p = parts.program;
  const Target &target = parts.host;
  std::vector<std::function<Result<std::string>()>> jobs;
  std::vector<std::string> names;
  auto job = [&](std::string name, std::function<Result<std::string>()> fn) {
    names.push_back(std::move(name));
    jobs.push_back(std::move(fn));
  };
  const std::vector<loop::FunctionRef> machineCode = hostKernels(parts);
  std::span<const loop::FunctionRef> kernels = machineCode;
  for (size_t i = 0; i < kernels.size(); i += kKernelsPerObject) {
    auto some = kernels.subspan(i, std::min(kKernelsPerObject, kernels.size() - i));
    job("kernels" + std::to_string(i / kKernelsPerObject) + ".o",
        [=, &target] { return codegen::emitKernels(some, target, codegen::Form::Object); });
  }
  const codegen::LaunchStyle launches = parts.engine   ? fpgaLaunches()
                                        : parts.device ? deviceLaunches(parts.target.device)
                                                       : codegen::LaunchStyle();
  job("host.o",
      [&] { return codegen::emitHost(p, symbolsOf(p).host, target, codegen::Form::Object, launches); });
  job("runtime.o", [&] { return codegen::compileBitcode(runtimeOf(target), target); });
  job("model.o", [&] {
    return modelObject(p, target, parts.target.name, buildId, parts.device || parts.engine, golden);
  });
  if (parts.device) {
    job("device.o", [&] { return deviceObject(p, *parts.device, parts.images, parts.target, target); });
    job("device_runtime.o",
        [&] { return codegen::compileBitcode(deviceRuntime(parts.target.device), target); });
  }
  if (parts.engine) {
    const codegen::FpgaProgram &engine = *parts.engine;
    const std::string device = symbolsOf(p).device;
    job("engine.o", [&] { return fpgaObject(p, engine, parts.target, target); });
    job("fpga.o", [&] { return codegen::compileBitcode(fpgaRuntimeOf(target), target); });
    if (!engine.weights.empty())
      job("engine_weights.o",
          [&, device] { return codegen::dataObject(engine.weights, device + "_weights", target); });
    if (!engine.scales.empty())
      job("engine_scales.o",
          [&, device] { return codegen::dataObject(engine.scales, device + "_scales", target); });
  }
  if (!p.constants.empty())
    job("weights.o", [&] { return codegen::dataObject(weightsOf(p), symbolsOf(p).weights, target); });
  PLANISH_ASSIGN(std::vector<std::string> bytes, allOf(jobs));
  std::vector<LinkInput> r;
  for (size_t i = 0; i < bytes.size(); ++i) r.push_back({p.name + "_" + names[i], std::move(bytes[i])});
  return r;
}

Result<std::string> readFile(const fs::path &path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return failed("cannot read '" + path.string() + "'");
  return std::string(std::istreambuf_iterator<char>(in), {});
}

/// A file's text; empty where it cannot be read.
std::string textOf(const fs::path &path) {
  Result<std::string> text = readFile(path);
  return text ? *std::move(text) : std::string();
}

/// A folder of its own that goes away with everything in it.
class Scratch {
public:
  /// The begin of its path; the rest is made up.
  static Result<Scratch> make(const fs::path &begin) {
    std::string pattern = begin.string() + ".XXXXXX";
    if (!mkdtemp(pattern.data()))
      return failed("cannot make a folder '" + pattern + "': " + std::generic_category().message(errno));
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

Status writeInto(const Files &files, const fs::path &folder) {
  for (const Files::File &f : files.files) {
    std::ofstream out(folder / f.name, std::ios::binary);
    out.write(f.bytes.data(), std::streamsize(f.bytes.size()));
    out.close();
    if (!out)
      return failed("cannot write '" + (folder / f.name).string() +
                    "': " + std::generic_category().message(errno));
  }
  return {};
}

/// A folder that is not there yet appears whole or not at all.
Status writeNew(const Files &files, const fs::path &final) {
  std::error_code error;
  fs::create_directories(final.parent_path(), error);
  if (error)
    return failed("cannot make the folder '" + final.parent_path().string() + "': " + error.message());
  PLANISH_ASSIGN(Scratch scratch, Scratch::make(final));
  PLANISH_TRY(writeInto(files, scratch.path));
  fs::permissions(scratch.path,
                  fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                      fs::perms::others_read | fs::perms::others_exec,
                  error);
  fs::rename(scratch.path, final, error);
  if (error) return failed("cannot make the folder '" + final.string() + "': " + error.message());
  return {};
}

/// Into a folder with other files, which stay, but for those of the model compiled into it before. It may be
/// a mount point, or its parent read only: the new files are prepared inside.
Status replaceIn(const Files &files, const fs::path &final) {
  PLANISH_ASSIGN(Scratch scratch, Scratch::make(final / ".planish"));
  PLANISH_TRY(writeInto(files, scratch.path));
  std::vector<std::string> old = filesOfManifest(textOf(final / "manifest.json"));
  std::error_code error;
  for (const Files::File &f : files.files) {
    fs::rename(scratch.path / f.name, final / f.name, error);
    if (error) return failed("cannot write '" + (final / f.name).string() + "': " + error.message());
    std::erase(old, f.name);
  }
  for (const std::string &name : old) fs::remove(final / name, error);
  return {};
}

} // namespace

Result<Files> build(const Program &program, const Target &target, LibraryKind kind, const Provenance &given,
                    const Target *hostTarget, const codegen::FpgaProgram *engine) {
  const Target &host = hostTarget ? *hostTarget : target;
  std::string buildId = buildIdOf(program, target, given);
  PLANISH_ASSIGN(Parts parts, partsOf(program, target, host, engine));
  Provenance provenance = given;
  Files r;
  if (target.device == DeviceKind::Cuda && !parts.images)
    r.notes.push_back("there is no NVRTC (libnvrtc.so of the CUDA toolkit): the library has its kernels as "
                      "source, which the NVRTC of the machine that runs it compiles");
  provenance.notes.insert(provenance.notes.end(), r.notes.begin(), r.notes.end());
  PLANISH_ASSIGN(std::vector<LinkInput> objects, objectsOf(parts, buildId, provenance.golden));
  std::error_code error;
  fs::path temporary = fs::temp_directory_path(error);
  if (error)
    return failed("there is no folder for temporary files: " + error.message() + "; TMPDIR names one");
  PLANISH_ASSIGN(Scratch scratch, Scratch::make(temporary / "planish"));
  r.arenaBytes = program.arenaBytes;
  if (!program.constants.empty())
    r.weightsBytes = loop::constantOffsets(program).back() + int64_t(program.constants.back().bytes->size());
  auto take = [&](const std::string &name) -> Status {
    PLANISH_ASSIGN(std::string bytes, readFile(scratch.path / name));
    r.libraryBytes = std::max(r.libraryBytes, int64_t(bytes.size()));
    r.files.push_back({name, std::move(bytes)});
    return {};
  };
  if (target.bare) kind = LibraryKind::Static;  // nothing there loads a library
  if (kind != LibraryKind::Shared) {
    std::string archive = "lib" + program.name + ".a";
    PLANISH_TRY(codegen::writeArchive(objects, (scratch.path / archive).string()));
    PLANISH_TRY(take(archive));
  }
  if (kind != LibraryKind::Static) {
    std::string library = "lib" + program.name + ".so";
    PLANISH_ASSIGN(std::string query, queryObject(program, host));
    objects.push_back({program.name + "_query.o", std::move(query)});
    const std::string exported[] = {PLANISH_QUERY_SYMBOL};
    PLANISH_TRY(codegen::linkShared(objects, (scratch.path / library).string(), library, exported, host));
    PLANISH_TRY(take(library));
  }
  if (parts.device)
    r.files.push_back({program.name + std::string(parts.device->extension), parts.device->source});
  if (engine)
    for (const codegen::FpgaFile &f : engine->files) r.files.push_back({program.name + f.suffix, f.text});
  r.files.push_back({program.name + ".h", headerOf(program)});
  r.files.push_back({"manifest.json", manifestOf(program, target, provenance, buildId, r)});
  r.files.push_back({"report.json", reportOf(program, target, provenance, r)});
  return r;
}

Status checkOutput(const std::string &directory) {
  std::error_code error;
  if (fs::exists(directory, error) && !fs::is_directory(directory, error))
    return usage("output '" + directory + "' exists and is not a directory");
  return {};
}

Status write(const Files &files, const std::string &directory) {
  PLANISH_TRY(checkOutput(directory));
  std::error_code error;
  fs::path final = fs::absolute(directory, error).lexically_normal();
  if (!final.has_filename()) final = final.parent_path();
  if (fs::exists(final, error)) return replaceIn(files, final);

  std::vector<fs::path> missing; // parents to make, the outermost last
  for (fs::path p = final.parent_path(); !fs::exists(p, error) && p.has_filename(); p = p.parent_path())
    missing.push_back(p);
  Status made = writeNew(files, final);
  if (!made)
    for (const fs::path &p : missing) fs::remove(p, error);
  return made;
}

} // namespace planish::artifact
