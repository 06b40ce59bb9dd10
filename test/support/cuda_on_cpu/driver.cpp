// CUDA's driver and NVRTC on a CPU, as one library, as far as the runtime and the compiler use them: kernels
// are compiled by the system's C++ compiler against cuda_on_cpu.h and run with one fiber per thread, in
// another order after every barrier. Copies and launches wait for cuStreamSynchronize, asynchronous copies of
// kernels for their wait, device memory lies between pages that cannot be touched: what a device may do
// wrong, it does wrong here.
//
//   PLANISH_TEST_FOLDER        where compiled kernels are kept; required
//   PLANISH_TEST_CXX           the compiler (c++)
//   PLANISH_TEST_COUNTS        file for "kernels graphs modules" that were run, made, loaded
//   PLANISH_TEST_CAPABILITY    of the one device (90)
//   PLANISH_TEST_INIT          what cuInit returns (0)
//   PLANISH_TEST_SKIP_LINE     source line whose barrier is not waited at, or whose wait for copies is too
//   weak
#define CUDA_ON_CPU_EMULATOR
#include "cuda_on_cpu.h"

#include "fibers.h"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <dlfcn.h>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

enum Status { Ok = 0, InvalidValue = 1, OutOfMemory = 2, NoBinary = 209, NotFound = 500 };

long setting(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtol(text, nullptr, 10) : otherwise;
}

struct Counts {
  int kernels = 0, graphs = 0, modules = 0;
  ~Counts() {
    const char *path = getenv("PLANISH_TEST_COUNTS");
    if (path) std::ofstream(path) << kernels << " " << graphs << " " << modules << "\n";
  }
} counts;

struct Launch {
  void *kernel;
  unsigned blocks, threads;
  std::vector<uint64_t> arguments;
};

struct Graph {
  std::vector<Launch> launches;
};

struct Stream {
  std::deque<std::function<void()>> work;
  std::unique_ptr<Graph> capture;
};

struct Program {
  std::string source, log, image;
};

Stream defaultStream;
Stream &streamOf(void *handle) { return handle ? *static_cast<Stream *>(handle) : defaultStream; }

/// Memory between pages that cannot be touched, as close to the one behind as 256 bytes' alignment allows.
class Memory {
public:
  void *take(size_t bytes) {
    const size_t page = 4096, room = (bytes + 255) / 256 * 256, pages = (room + page - 1) / page * page;
    auto *begin =
        static_cast<char *>(mmap(nullptr, pages + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (begin == MAP_FAILED || mprotect(begin + page, pages, PROT_READ | PROT_WRITE)) return nullptr;
    char *r = begin + page + pages - room;
    memset(r, 0xA5, room);
    blocks[r] = {begin, pages + 2 * page};
    return r;
  }
  bool give(void *memory) {
    auto it = blocks.find(memory);
    if (it == blocks.end()) return false;
    munmap(it->second.first, it->second.second);
    blocks.erase(it);
    return true;
  }

private:
  std::map<void *, std::pair<void *, size_t>> blocks;
} memory;

/// More words than a kernel has are passed, which its caller takes back again.
void call(void *kernel, const std::vector<uint64_t> &arguments) {
  constexpr size_t kMost = 40;
  uint64_t a[kMost] = {};
  if (arguments.size() > kMost) abort();
  memcpy(a, arguments.data(), arguments.size() * sizeof(uint64_t));
#define A(i) a[i], a[i + 1], a[i + 2], a[i + 3], a[i + 4], a[i + 5], a[i + 6], a[i + 7]
#define T uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t
  reinterpret_cast<void (*)(T, T, T, T, T)>(kernel)(A(0), A(8), A(16), A(24), A(32));
#undef A
#undef T
}

void run(const Launch &l) {
  ++counts.kernels;
  runBlocks(l.blocks, l.threads, [&] { call(l.kernel, l.arguments); });
}

std::string textOf(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string quoted(const std::string &s) { return "'" + s + "'"; }

/// A library of the kernels, in a file named after them.
int compile(Program &p) {
  const char *folder = getenv("PLANISH_TEST_FOLDER"), *compiler = getenv("PLANISH_TEST_CXX");
  Dl_info own;
  if (!folder || !dladdr(reinterpret_cast<void *>(&compile), &own)) return 6;
  std::string headers = own.dli_fname;
  headers = textOf(headers.substr(0, headers.rfind('/')) + "/headers.txt"); // the folder of cuda_on_cpu.h
  const std::string base = folder + ("/" + std::to_string(std::hash<std::string>()(p.source)));
  p.image = base + ".so";
  if (access(p.image.c_str(), R_OK) == 0) return 0;
  const std::string mine = base + "." + std::to_string(getpid());
  std::ofstream(mine + ".cpp") << p.source;
  const std::string command = std::string(compiler ? compiler : "c++") +
                              " -std=c++17 -O1 -w -ffp-contract=off -march=native -fPIC -shared -I" +
                              quoted(headers) + " " + quoted(mine + ".cpp") + " -o " + quoted(mine + ".so") +
                              " 2> " + quoted(mine + ".log");
  const int status = system(command.c_str());
  p.log = textOf(mine + ".log");
  if (status != 0 || rename((mine + ".so").c_str(), p.image.c_str()) != 0) return 6;
  return 0;
}

int given(const std::string &text, size_t *size) {
  *size = text.size() + 1;
  return 0;
}
int given(const std::string &text, char *to) {
  memcpy(to, text.c_str(), text.size() + 1);
  return 0;
}

} // namespace

extern "C" {

int cuInit(unsigned) { return int(setting("PLANISH_TEST_INIT", 0)); }
int cuGetErrorName(int error, const char **name) {
  switch (error) {
  case OutOfMemory: *name = "CUDA_ERROR_OUT_OF_MEMORY"; return Ok;
  case 34: *name = "CUDA_ERROR_STUB_LIBRARY"; return Ok;
  case 100: *name = "CUDA_ERROR_NO_DEVICE"; return Ok;
  case NoBinary: *name = "CUDA_ERROR_NO_BINARY_FOR_GPU"; return Ok;
  case NotFound: *name = "CUDA_ERROR_NOT_FOUND"; return Ok;
  default: return InvalidValue;
  }
}
int cuDeviceGetCount(int *count) {
  *count = 1;
  return Ok;
}
int cuDeviceGet(int *device, int) {
  *device = 0;
  return Ok;
}
int cuDeviceGetName(char *name, int bytes, int) {
  snprintf(name, size_t(bytes), "CUDA on a CPU");
  return Ok;
}
int cuDeviceGetAttribute(int *value, int what, int) {
  const int capability = int(setting("PLANISH_TEST_CAPABILITY", 90));
  *value = what == 75 ? capability / 10 : capability % 10;
  return Ok;
}
int cuDevicePrimaryCtxRetain(void **context, int) {
  *context = &defaultStream;
  return Ok;
}
int cuDevicePrimaryCtxRelease_v2(int) { return Ok; }
int cuCtxPushCurrent_v2(void *) { return Ok; }
int cuCtxPopCurrent_v2(void **) { return Ok; }

int cuModuleLoadData(void **module, const void *image) {
  const char *path = static_cast<const char *>(image);
  if (path[0] != '/') return NoBinary;
  *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!*module) return NoBinary;
  auto **hooks = static_cast<cuda_on_cpu_hooks **>(dlsym(*module, "cuda_on_cpu"));
  if (!hooks) return NoBinary;
  *hooks = &emulated();
  ++counts.modules;
  return Ok;
}
int cuModuleUnload(void *module) { return dlclose(module) ? InvalidValue : Ok; }
int cuModuleGetFunction(void **function, void *module, const char *name) {
  *function = dlsym(module, name);
  return *function ? Ok : NotFound;
}

int cuMemAlloc_v2(uint64_t *pointer, size_t bytes) {
  *pointer = reinterpret_cast<uint64_t>(memory.take(bytes));
  return *pointer ? Ok : OutOfMemory;
}
int cuMemFree_v2(uint64_t pointer) {
  return memory.give(reinterpret_cast<void *>(pointer)) ? Ok : InvalidValue;
}
int cuMemHostAlloc(void **pointer, size_t bytes, unsigned) {
  *pointer = memory.take(bytes);
  return *pointer ? Ok : OutOfMemory;
}
int cuMemFreeHost(void *pointer) { return memory.give(pointer) ? Ok : InvalidValue; }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream) {
  streamOf(stream).work.push_back([=] { memcpy(reinterpret_cast<void *>(to), from, bytes); });
  return Ok;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
  streamOf(stream).work.push_back([=] { memcpy(to, reinterpret_cast<const void *>(from), bytes); });
  return Ok;
}

int cuStreamCreate(void **stream, unsigned) {
  *stream = new Stream;
  return Ok;
}
int cuStreamDestroy_v2(void *stream) {
  delete static_cast<Stream *>(stream);
  return Ok;
}
int cuStreamSynchronize(void *handle) {
  Stream &stream = streamOf(handle);
  if (stream.capture) return InvalidValue;
  for (; !stream.work.empty(); stream.work.pop_front()) stream.work.front()();
  return Ok;
}
int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned ty,
                   unsigned tz, unsigned shared, void *handle, void **parameters, void **extra) {
  if (!function || !x || !threads || threads > 1024 || y * z * ty * tz != 1 || shared || parameters || !extra)
    return InvalidValue;
  const auto *words = static_cast<const uint64_t *>(extra[1]);
  const size_t bytes = *static_cast<const size_t *>(extra[3]);
  Launch l{function, x, threads, {words, words + bytes / sizeof(uint64_t)}};
  Stream &stream = streamOf(handle);
  if (stream.capture) stream.capture->launches.push_back(std::move(l));
  else stream.work.push_back([l = std::move(l)] { run(l); });
  return Ok;
}

int cuStreamBeginCapture_v2(void *stream, int) {
  streamOf(stream).capture = std::make_unique<Graph>();
  return Ok;
}
int cuStreamEndCapture(void *stream, void **graph) {
  *graph = streamOf(stream).capture.release();
  return *graph ? Ok : InvalidValue;
}
int cuGraphInstantiateWithFlags(void **executable, void *graph, uint64_t) {
  *executable = new Graph(*static_cast<Graph *>(graph));
  ++counts.graphs;
  return Ok;
}
int cuGraphDestroy(void *graph) {
  delete static_cast<Graph *>(graph);
  return Ok;
}
int cuGraphExecDestroy(void *graph) { return cuGraphDestroy(graph); }
int cuGraphLaunch(void *handle, void *stream) {
  const Graph graph = *static_cast<Graph *>(handle);
  streamOf(stream).work.push_back([graph] {
    for (const Launch &l : graph.launches) run(l);
  });
  return Ok;
}

int nvrtcCreateProgram(void **program, const char *source, const char *, int, const char *const *,
                       const char *const *) {
  *program = new Program{source, {}, {}};
  return 0;
}
int nvrtcDestroyProgram(void **program) {
  delete static_cast<Program *>(*program);
  return 0;
}
int nvrtcCompileProgram(void *program, int, const char *const *) {
  return compile(*static_cast<Program *>(program));
}
int nvrtcGetCUBINSize(void *program, size_t *size) {
  return given(static_cast<Program *>(program)->image, size);
}
int nvrtcGetCUBIN(void *program, char *to) { return given(static_cast<Program *>(program)->image, to); }
int nvrtcGetPTXSize(void *program, size_t *size) {
  return given(static_cast<Program *>(program)->image, size);
}
int nvrtcGetPTX(void *program, char *to) { return given(static_cast<Program *>(program)->image, to); }
int nvrtcGetProgramLogSize(void *program, size_t *size) {
  return given(static_cast<Program *>(program)->log, size);
}
int nvrtcGetProgramLog(void *program, char *to) { return given(static_cast<Program *>(program)->log, to); }
}
