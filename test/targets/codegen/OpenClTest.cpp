// OpenCL text on whatever OpenCL device this machine has (PoCL), against the interpreter.
#include "unit/codegen/Forms.h"
#include "unit/codegen/RandomFunctions.h"

#include "planish/codegen/CLike.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Text.h"

#include <gtest/gtest.h>

#if __has_include(<CL/cl.h>)
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <dlfcn.h>
#include <filesystem>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
// What PoCL and the loader keep for the life of a process is no leak of ours.
extern "C" const char *__lsan_default_suppressions();
extern "C" const char *__lsan_default_suppressions() { return "leak:libpocl\nleak:libOpenCL\n"; }
#endif

namespace planish::codegen::test {
namespace {

using namespace loop;

/// The loader's functions, without linking it.
class Loader {
public:
  Loader() : handle(dlopen("libOpenCL.so.1", RTLD_NOW)) {}
  explicit operator bool() const { return handle; }
  template <class F> F *get(F *, const char *name) const {
    return reinterpret_cast<F *>(dlsym(handle, name));
  }

private:
  void *handle;
};
#define PLANISH_CL(name) loader.get(&name, #name)

class Device {
public:
  /// Why there is none, or nothing.
  std::string open() {
    // Compiled kernels are kept per process, so that a run does not depend on earlier ones.
    cache = std::filesystem::temp_directory_path() / ("planish-pocl-" + std::to_string(getpid()));
    std::filesystem::create_directories(cache);
    setenv("POCL_CACHE_DIR", cache.c_str(), 1);
    if (!loader) return "no OpenCL loader";
    cl_platform_id platform;
    cl_uint count = 0;
    if (PLANISH_CL(clGetPlatformIDs)(1, &platform, &count) || !count) return "no OpenCL platform";
    if (PLANISH_CL(clGetDeviceIDs)(platform, CL_DEVICE_TYPE_ALL, 1, &device, &count) || !count)
      return "no OpenCL device";
    cl_int error;
    context = PLANISH_CL(clCreateContext)(nullptr, 1, &device, nullptr, nullptr, &error);
    if (error) return "no OpenCL context";
    queue = PLANISH_CL(clCreateCommandQueue)(context, device, 0, &error);
    return error ? "no OpenCL queue" : "";
  }
  ~Device() { std::filesystem::remove_all(cache); }

  std::string build(const std::string &text) {
    const char *source = text.c_str();
    cl_int error;
    program = PLANISH_CL(clCreateProgramWithSource)(context, 1, &source, nullptr, &error);
    if (!PLANISH_CL(clBuildProgram)(program, 1, &device,
                                    "-cl-std=CL1.2 -cl-fp32-correctly-rounded-divide-sqrt", nullptr, nullptr))
      return "";
    std::string log(1 << 16, '\0');
    size_t size = 0;
    PLANISH_CL(clGetProgramBuildInfo)(program, device, CL_PROGRAM_BUILD_LOG, log.size(), log.data(), &size);
    log.resize(std::min(size, log.size()));
    return "the program does not build: " + log;
  }

  /// Runs all tasks on copies of the memory and writes it back.
  std::string run(const Function &f, Memory &m) {
    cl_int error;
    cl_kernel kernel = PLANISH_CL(clCreateKernel)(program, f.name.c_str(), &error);
    if (error) return "no kernel " + f.name;
    std::vector<cl_mem> buffers;
    cl_uint arg = 0;
    for (size_t i = 0; i < m.pointers.size(); ++i) {
      size_t bytes = std::max<size_t>(m.sizes[i], 1);
      std::vector<char> copy(bytes);
      std::copy_n(static_cast<char *>(m.pointers[i]), m.sizes[i], copy.data());
      buffers.push_back(PLANISH_CL(clCreateBuffer)(context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, bytes,
                                                   copy.data(), &error));
      PLANISH_CL(clSetKernelArg)(kernel, arg++, sizeof(cl_mem), &buffers.back());
      const int64_t first = 0;
      PLANISH_CL(clSetKernelArg)(kernel, arg++, sizeof first, &first);
    }
    for (int64_t s : m.scalars) PLANISH_CL(clSetKernelArg)(kernel, arg++, sizeof s, &s);
    size_t group = 1;
    for (const For *items : groupLoops(f)) group = size_t(*constantOf(items->end));
    size_t tasks = size_t(tasksOf(f, m.scalars)) * group;
    error =
        PLANISH_CL(clEnqueueNDRangeKernel)(queue, kernel, 1, nullptr, &tasks, &group, 0, nullptr, nullptr);
    for (size_t i = 0; i < buffers.size(); ++i) {
      if (m.sizes[i])
        error |= PLANISH_CL(clEnqueueReadBuffer)(queue, buffers[i], CL_TRUE, 0, m.sizes[i], m.pointers[i], 0,
                                                 nullptr, nullptr);
      PLANISH_CL(clReleaseMemObject)(buffers[i]);
    }
    PLANISH_CL(clReleaseKernel)(kernel);
    return error ? "OpenCL error " + std::to_string(error) : "";
  }

private:
  Loader loader;
  std::filesystem::path cache;
  cl_device_id device = nullptr;
  cl_context context = nullptr;
  cl_command_queue queue = nullptr;
  cl_program program = nullptr;
};

void compareOpenCl(const std::vector<Case> &cases, const std::vector<uint64_t> &seeds) {
  Device device;
  if (std::string why = device.open(); !why.empty()) GTEST_SKIP() << why << ": OpenCL code is not run";
  std::vector<FunctionRef> named;
  for (size_t i = 0; i < cases.size(); ++i) {
    Function f = *cases[i].function;
    f.name = "k" + std::to_string(seeds[i]);
    named.push_back(std::make_shared<const Function>(std::move(f)));
  }
  std::vector<KernelText> texts;
  for (const FunctionRef &f : named) {
    texts.push_back({f});
    for (const For *items : groupLoops(*f)) texts.back().group = *constantOf(items->end);
  }
  auto text = printKernels(texts, kOpenCl12);
  ASSERT_TRUE(text) << text.error().text;
  ASSERT_EQ(device.build(*text), "") << *text;
  for (size_t i = 0; i < cases.size(); ++i) {
    auto want = interpreted(*named[i], cases[i].scalars, seeds[i]);
    Memory m(*named[i], cases[i].scalars, seeds[i]);
    ASSERT_EQ(device.run(*named[i], m), "");
    EXPECT_EQ(difference(*named[i], want, m.contents()), "")
        << "PLANISH_SEED=" << seeds[i] << " PLANISH_CASES=1\n"
        << print(*named[i]);
  }
}

void compareText(const std::string &text) {
  auto parsed = parse(text);
  ASSERT_TRUE(parsed) << parsed.error().text;
  compareOpenCl({{std::make_shared<const Function>(legalize(unroll(vectorize(*parsed->back())))), {}}}, {1});
}

TEST(OpenCl, Convolution) {
  compareText(R"(
    func @conv(%x: f32[12,12,8], %w: f32[3,3,8,32] packed, %bias: f32[32] packed, %y: f32[12,12,32]) {
      for parallel oh in 0..12, t in 0..3 {
        alloc %acc: f32[4,2,16] register {
          for unrolled p in 0..4, unrolled n in 0..2, vectorized v in 0..16 { %acc[p, n, v] = %bias[n*16 + v] }
          for kh in max(1 - oh, 0)..min(13 - oh, 3), kw in 0..3, u in 0..8 {
            for unrolled p in 0..4 {
              if 0 <= t*4 + p + kw - 1 {
                if t*4 + p + kw - 1 < 12 {
                  for unrolled n in 0..2, vectorized v in 0..16 {
                    %acc[p, n, v] = fma(%x[oh + kh - 1, t*4 + p + kw - 1, u], %w[kh, kw, u, n*16 + v], %acc[p, n, v])
                  }
                }
              }
            }
          }
          for unrolled p in 0..4, unrolled n in 0..2, vectorized v in 0..16 {
            %y[oh, t*4 + p, n*16 + v] = max(%acc[p, n, v], 0.0)
          }
        }
      }
    })");
}

TEST(OpenCl, PointwiseWithTranscendentals) {
  compareText(R"(
    func @silu(%x: f32[64,8], %y: f32[64,8]) {
      for parallel i in 0..64, vectorized v in 0..8 { %y[i, v] = %x[i, v] / (exp(0.0 - %x[i, v]) + 1.0) }
    })");
}

TEST(OpenCl, VectorsStayVectors) {
  auto parsed = parse(R"(
    func @silu(%x: f32[64,8], %y: f32[64,8]) {
      for parallel i in 0..64, vectorized v in 0..8 { %y[i, v] = %x[i, v] / (exp(0.0 - %x[i, v]) + 1.0) }
    })");
  ASSERT_TRUE(parsed) << parsed.error().text;
  FunctionRef f = std::make_shared<const Function>(legalize(unroll(vectorize(*parsed->back()))));
  std::string text = *printKernels(std::vector{f}, kOpenCl12);
  EXPECT_NE(text.find("vstore8"), std::string::npos) << text;
  EXPECT_EQ(text.find("lane"), std::string::npos) << text;
}

TEST(OpenCl, ItemsOfAGroupShareMemory) {
  compareText(R"(
    func @reverse(%x: f32[6,16], %y: f32[6,16]) {
      for parallel g in 0..6 {
        alloc %row: f32[16] scratch {
          alloc %kept: f32[16,2] register {
            for parallel i in 0..16 {
              %row[i] = %x[g, i]
              %kept[i, 0] = %x[g, i] * 2.0
            }
            for parallel i in 0..16 { %kept[i, 1] = %row[15 - i] }
            for parallel i in 0..16 { %y[g, i] = %kept[i, 0] + %kept[i, 1] }
          }
        }
      }
    })");
}

TEST(OpenCl, IntegerDotProducts) {
  compareText(R"(
    func @dot(%x: u8[4,32], %w: i8[8,16,4] packed, %y: u8[4,16]) {
      for parallel i in 0..4 {
        alloc %acc: i32[16] register {
          for vectorized v in 0..16 { %acc[v] = 0i32 }
          for q in 0..8, vectorized v in 0..16 {
            %acc[v] = dot4(%x[i, q*4:4], %w[q, v, 0:4], %acc[v])
          }
          for vectorized v in 0..16 {
            %y[i, v] = u8(min(max(bits(fma(f32(%acc[v]), 0.01, 12582912.0)) - 1262485504i32, 0i32), 255i32))
          }
        }
      }
    })");
}

TEST(OpenCl, RandomFunctions) {
  uint64_t first = fromEnvironment("PLANISH_SEED", 1), count = fromEnvironment("PLANISH_CASES", 25);
  std::vector<Case> cases;
  std::vector<uint64_t> seeds;
  for (uint64_t seed = first; seed < first + count; ++seed)
    cases.push_back(randomCase(seed)), seeds.push_back(seed);
  compareOpenCl(cases, seeds);
}

} // namespace
} // namespace planish::codegen::test

#else
TEST(OpenCl, Headers) { GTEST_SKIP() << "no OpenCL headers: OpenCL code is not run"; }
#endif
