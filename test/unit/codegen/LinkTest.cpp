// From a hand-written program to a loaded library, with a runtime of a few lines of LLVM text.
#include "planish/codegen/Link.h"
#include "planish/codegen/Llvm.h"
#include "planish/loop/Program.h"
#include "planish/loop/Text.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>

namespace planish::codegen::test {
namespace {

using namespace loop;

Target baseline() {
  Target t;
  t.name = "cpu:x86-64-v2", t.cpu = "x86-64-v2", t.vectorBytes = 16, t.fma = false, t.maskedMemory = false;
  return t;
}

class Folder {
public:
  Folder()
      : path(std::filesystem::temp_directory_path() / ("planish-link-test-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const std::string &name) const { return (path / name).string(); }
  size_t count() const {
    return size_t(
        std::distance(std::filesystem::directory_iterator(path), std::filesystem::directory_iterator()));
  }

private:
  std::filesystem::path path;
};

std::string contents(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Library {
  explicit Library(const std::string &path) : handle(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {}
  ~Library() {
    if (handle) dlclose(handle);
  }
  template <class T> T symbol(const char *name) const { return reinterpret_cast<T>(dlsym(handle, name)); }
  void *handle;
};

/// Layout of planish_frame.
struct Frame {
  void *const *inputs, *const *outputs;
  unsigned char *arena;
  const unsigned char *weights;
  const int64_t *inputDims;
  int64_t *outputDims, *symbols;
  void *instance;
};
using HostFn = int32_t (*)(const Frame *);

// Runs the second half of the tasks first and counts launches in the instance.
constexpr const char *kRuntime = R"(
  define void @planish_launch_v1(ptr %instance, i32 %launch, ptr %kernel, ptr %buffers, ptr %scalars, i64 %tasks) {
    %half = sdiv i64 %tasks, 2
    call void %kernel(ptr %buffers, ptr %scalars, ptr null, i64 %half, i64 %tasks)
    call void %kernel(ptr %buffers, ptr %scalars, ptr null, i64 0, i64 %half)
    %slot = getelementptr i64, ptr %instance, i32 %launch
    %old = load i64, ptr %slot
    %new = add i64 %old, %tasks
    store i64 %new, ptr %slot
    ret void
  })";

constexpr const char *kFunctions = R"(
  func @scale(%x: f32[N], %w: f32[4] constant, %y: f32[N]; N: i64 in 1..100) {
    for parallel i in 0..N { %y[i] = %x[i] * %w[1] + %w[3] }
  }
  func @half(%x: f32[N], %y: f32[N]; N: i64 in 1..100) {
    for parallel i in 0..N { %y[i] = %x[i] * 0.5 }
  }
  func @host(%dims: i64[1,8], %sizes: i64[1,8], %x: f32[100], %w: f32[4] constant, %t: f32[100], %late: f32[100],
             %y: f32[100]) {
    let n = %dims[0, 0] within 1..100
    launch @scale(%x, %w, %t; n) tasks n
    if 2 < n {
      for k in 0..2 { launch @half(%t, %late; n) tasks n }
      launch @half(%late, %y; n) tasks n
    }
    %sizes[0, 0] = n
  })";

Program program() {
  auto parsed = parse(kFunctions);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().text);
  Program p;
  p.name = "tiny";
  p.kernels = {(*parsed)[0], (*parsed)[1]};
  p.host = *(*parsed)[2];
  Var n = as<Let>(p.host.body)->var;
  p.slots = {{Region::InputDims, 0, {}}, {Region::OutputDims, 0, {}}, {Region::Input, 0, {}},
             {Region::Constant, 1, {}},  {Region::Arena, 64, {}},     {Region::Arena, 64, use(n)},
             {Region::Output, 0, {}}};
  auto bytes = [](std::vector<float> v) {
    auto raw = std::as_bytes(std::span(v));
    return std::make_shared<const std::vector<std::byte>>(raw.begin(), raw.end());
  };
  p.constants = {{"unused", bytes({1, 2, 3})}, {"w", bytes({0, 2, 0, 4})}};
  p.arenaBytes = 1024;
  return p;
}

std::vector<std::byte> weightsOf(const Program &p) {
  std::vector<int64_t> offsets = constantOffsets(p);
  std::vector<std::byte> r(2 * 64);
  for (size_t i = 0; i < p.constants.size(); ++i)
    std::memcpy(&r[size_t(offsets[i])], p.constants[i].bytes->data(), p.constants[i].bytes->size());
  return r;
}

std::vector<LinkInput> objects(const Program &p) {
  Target t = baseline();
  auto weights = weightsOf(p);
  auto taken = [](Result<std::string> r) {
    EXPECT_TRUE(r) << (r ? "" : r.error().text);
    return *r;
  };
  return {{"kernels.o", taken(emitKernels(p.kernels, t, Form::Object))},
          {"host.o", taken(emitHost(p, "tiny_host", t, Form::Object))},
          {"runtime.o", taken(compileText(kRuntime, t))},
          {"weights.o", taken(dataObject(weights, "tiny_weights", t))},
          {"access.o", taken(compileText("@tiny_weights = external hidden constant i8\n"
                                         "define ptr @weights() { ret ptr @tiny_weights }",
                                         t))}};
}

TEST(Link, AProgramRunsFromItsLibrary) {
  Folder folder;
  Program p = program();
  std::string path = folder.file("libtiny.so");
  Status linked = linkShared(objects(p), path, "libtiny.so", std::vector<std::string>{"tiny_host", "weights"},
                             baseline());
  ASSERT_TRUE(linked) << linked.error().text;
  EXPECT_EQ(folder.count(), 1u) << "the linker left files behind";
  Library library(path);
  ASSERT_TRUE(library.handle) << dlerror();
  EXPECT_EQ(library.symbol<void *>("scale"), nullptr) << "only the asked for symbols are exported";
  auto *weights = library.symbol<const unsigned char *(*)()>("weights")();
  EXPECT_EQ(uintptr_t(weights) % 64, 0u);

  auto host = library.symbol<HostFn>("tiny_host");
  for (int64_t n : {2, 5, 100}) {
    std::vector<float> x(100), y(100, -1.0f);
    for (size_t i = 0; i < x.size(); ++i) x[i] = float(i);
    alignas(64) std::array<unsigned char, 1088> arena{};
    std::array<int64_t, 8> inputDims{n}, outputDims{}, launches{};
    std::array<void *, 1> inputs{x.data()}, outputs{y.data()};
    Frame frame{inputs.data(),    outputs.data(),    arena.data(), weights,
                inputDims.data(), outputDims.data(), nullptr,      launches.data()};
    EXPECT_EQ(host(&frame), 0);
    EXPECT_EQ(outputDims[0], n);
    EXPECT_EQ(launches[0], n);
    EXPECT_EQ(launches[1], n > 2 ? 2 * n : 0) << "a launch in a loop keeps its number";
    EXPECT_EQ(launches[2], n > 2 ? n : 0);
    for (int64_t i = 0; i < 100; ++i)
      EXPECT_EQ(y[size_t(i)], n > 2 && i < n ? (float(i) * 2 + 4) / 4 : -1.0f) << "n " << n << ", i " << i;
  }
}

TEST(Link, EqualInputGivesEqualFiles) {
  Folder folder;
  Program p = program();
  std::vector<std::string> exported{"tiny_host"};
  for (const char *name : {"a", "b"}) {
    ASSERT_TRUE(
        linkShared(objects(p), folder.file(std::string(name) + ".so"), "libtiny.so", exported, baseline()));
    ASSERT_TRUE(writeArchive(objects(p), folder.file(std::string(name) + ".a")));
  }
  EXPECT_EQ(contents(folder.file("a.so")), contents(folder.file("b.so")));
  EXPECT_EQ(contents(folder.file("a.a")), contents(folder.file("b.a")));
  EXPECT_NE(contents(folder.file("a.a")).find("kernels.o"), std::string::npos);
}

TEST(Link, KernelsAreTheSameAfterALink) {
  Folder folder;
  Program p = program();
  auto assembly = [&] { return *emitKernels(p.kernels, baseline(), Form::Assembly); };
  std::string before = assembly();
  ASSERT_TRUE(
      linkShared(objects(p), folder.file("a.so"), "a.so", std::vector<std::string>{"tiny_host"}, baseline()));
  EXPECT_EQ(assembly(), before) << "the linker resets options of code generation";
}

TEST(Link, FailuresNameTheFile) {
  Program p = program();
  std::vector<std::string> exported{"tiny_host"};
  Status missing = linkShared(objects(p), "/nowhere/else/lib.so", "lib.so", exported, baseline());
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().text.find("/nowhere/else/lib.so"), std::string::npos);
  Folder folder;
  std::vector<LinkInput> twice = objects(p);
  twice.push_back(twice.front());
  Status duplicate = linkShared(twice, folder.file("lib.so"), "lib.so", exported, baseline());
  ASSERT_FALSE(duplicate);
  EXPECT_NE(duplicate.error().text.find("duplicate symbol"), std::string::npos) << duplicate.error().text;
  EXPECT_EQ(folder.count(), 0u) << "a failed link leaves files behind";
}

TEST(Link, LargeDataIsCopiedNotCompiled) {
  std::vector<std::byte> bytes(32 << 20);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = std::byte(i * 2654435761u >> 24);
  auto object = dataObject(bytes, "large", baseline());
  ASSERT_TRUE(object);
  EXPECT_LT(object->size(), bytes.size() + 4096);
  EXPECT_NE(object->find(std::string(reinterpret_cast<const char *>(bytes.data()), 4096)), std::string::npos);
}

TEST(Llvm, UnknownTargetsAreNamed) {
  Target t = baseline();
  t.name = "cpu:pdp11", t.cpu = "pdp11";
  auto r = emitKernels({}, t, Form::Object);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().kind, ErrorKind::Unsupported);
  EXPECT_NE(r.error().text.find("pdp11"), std::string::npos);
}

} // namespace
} // namespace planish::codegen::test
