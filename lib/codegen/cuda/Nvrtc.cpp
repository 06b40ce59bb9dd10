#include "planish/codegen/Cuda.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <dlfcn.h>
#include <span>
#include <type_traits>

namespace planish::codegen {
namespace {

/// The functions that are used, after NVIDIA's "NVRTC" manual; none of its headers is needed.
struct Nvrtc {
  using Program = struct Opaque *;
  int (*createProgram)(Program *, const char *source, const char *name, int headers, const char *const *,
                       const char *const *) = nullptr;
  int (*destroyProgram)(Program *) = nullptr;
  int (*compileProgram)(Program, int count, const char *const *options) = nullptr;
  int (*getCUBINSize)(Program, size_t *) = nullptr;
  int (*getCUBIN)(Program, char *) = nullptr;
  int (*getPTXSize)(Program, size_t *) = nullptr;
  int (*getPTX)(Program, char *) = nullptr;
  int (*getProgramLogSize)(Program, size_t *) = nullptr;
  int (*getProgramLog)(Program, char *) = nullptr;

  /// Whether the library has them all.
  bool find(void *library) {
    auto one = [&](auto &function, const char *name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      return function != nullptr;
    };
    return one(createProgram, "nvrtcCreateProgram") && one(destroyProgram, "nvrtcDestroyProgram") &&
           one(compileProgram, "nvrtcCompileProgram") && one(getCUBINSize, "nvrtcGetCUBINSize") &&
           one(getCUBIN, "nvrtcGetCUBIN") && one(getPTXSize, "nvrtcGetPTXSize") &&
           one(getPTX, "nvrtcGetPTX") && one(getProgramLogSize, "nvrtcGetProgramLogSize") &&
           one(getProgramLog, "nvrtcGetProgramLog");
  }
};

/// A program of NVRTC's, destroyed with this.
class Compilation {
public:
  Compilation(const Nvrtc &functions, const std::string &source) : nvrtc(functions) {
    if (nvrtc.createProgram(&program, source.c_str(), "kernels.cu", 0, nullptr, nullptr) != 0)
      program = nullptr;
  }
  Compilation(const Compilation &) = delete;
  Compilation &operator=(const Compilation &) = delete;
  ~Compilation() {
    if (program) nvrtc.destroyProgram(&program);
  }
  bool run(std::span<const char *const> options) {
    return program && nvrtc.compileProgram(program, int(options.size()), options.data()) == 0;
  }
  /// What one pair of functions gives; empty where it fails.
  std::string text(int (*size)(Nvrtc::Program, size_t *), int (*get)(Nvrtc::Program, char *)) const {
    size_t bytes = 0;
    if (!program || size(program, &bytes) != 0) return {};
    std::string r(bytes, '\0');
    if (get(program, r.data()) != 0) r.clear();
    return r;
  }

private:
  const Nvrtc &nvrtc;
  Nvrtc::Program program = nullptr;
};

/// The log's first line about an error.
std::string complaint(const std::string &log) {
  size_t at = log.find("error");
  if (at == std::string::npos) return "without a word";
  size_t begin = log.rfind('\n', at), end = log.find('\n', at);
  begin = begin == std::string::npos ? 0 : begin + 1;
  return log.substr(begin, std::min(end, log.size()) - begin);
}

} // namespace

Result<std::optional<CudaImages>> compileCuda(const std::string &source, const std::string &architecture) {
  const char *named = std::getenv("PLANISH_NVRTC_LIBRARY");
  void *library = nullptr;
  if (named && *named) {
    library = dlopen(named, RTLD_NOW | RTLD_LOCAL);
    if (!library)
      return failed("PLANISH_NVRTC_LIBRARY is '" + std::string(named) + "', which cannot be loaded");
  }
  for (const char *name : {"libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"})
    if (!library) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!library) return std::optional<CudaImages>();
  Nvrtc nvrtc; // the library stays loaded: it does not survive being unloaded
  if (!nvrtc.find(library)) return failed("the NVRTC on this system is too old: it makes no machine code");
  Compilation work(nvrtc, source);
  const std::string arch = "--gpu-architecture=" + architecture;
  const std::array<const char *, 3> options = {arch.c_str(), "--fmad=false", "--std=c++17"};
  if (!work.run(options))
    return failed("NVRTC refuses the kernels: " +
                  complaint(work.text(nvrtc.getProgramLogSize, nvrtc.getProgramLog)));
  CudaImages r{work.text(nvrtc.getCUBINSize, nvrtc.getCUBIN), work.text(nvrtc.getPTXSize, nvrtc.getPTX)};
  if (r.cubin.empty() || r.ptx.empty()) return failed("NVRTC makes no code for " + architecture);
  return std::optional(std::move(r));
}

} // namespace planish::codegen
