#include "Forms.h"

#include "support/Scratch.h"

#include "planish/codegen/Llvm.h"
#include "planish/loop/Interpret.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Rewrite.h"
#include "planish/loop/Verify.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <sys/mman.h>

namespace planish::codegen::test {
namespace {

using namespace loop;

constexpr size_t kPage = 4096;

int64_t valueOf(const Expr &e, const Function &f, const std::vector<int64_t> &scalars) {
  Substitution map;
  for (size_t i = 0; i < scalars.size(); ++i) map[f.scalars[i]] = imm(scalars[i]);
  return constantOf(substitute(e, map)).value();
}

void fill(void *p, size_t bytes, DType t, std::mt19937_64 &random) {
  size_t count = bytes / size_t(byteSize(t));
  auto *raw = static_cast<unsigned char *>(p);
  for (size_t i = 0; i < count; ++i) {
    uint64_t r = random();
    if (t == DType::f32) {
      constexpr float special[] = {0.0f, -0.0f, 1e30f, -3e9f, 1e-40f, 0.5f, 2.5f, -1.5f, 300.0f, 1.0f};
      float x = r % 8 == 0 ? special[(r >> 8) % 10] : float(int64_t(r >> 40) - (1 << 23)) / 65536.0f;
      std::memcpy(raw + 4 * i, &x, 4);
    } else if (t == DType::i64) {
      int64_t x = int64_t(r % 200) - 50;
      std::memcpy(raw + 8 * i, &x, 8);
    } else if (t == DType::i32) {
      int32_t x = r % 4 ? int32_t(r >> 8) % 1000 : int32_t(r >> 16);
      std::memcpy(raw + 4 * i, &x, 4);
    } else {
      raw[i] = t == DType::b1 ? r & 1 : static_cast<unsigned char>(r >> 8);
    }
  }
}

} // namespace

Memory::Memory(const Function &f, std::vector<int64_t> values, uint64_t seed) : scalars(std::move(values)) {
  std::mt19937_64 random(seed);
  for (const Buffer &b : f.params) {
    int64_t last = 0;
    bool empty = false;
    for (size_t d = 0; d < b->shape.size(); ++d) {
      int64_t extent = valueOf(b->shape[d], f, scalars);
      empty |= extent == 0;
      last += (extent - 1) * valueOf(b->strides[d], f, scalars);
    }
    size_t bytes = empty ? 0 : size_t(last + 1) * size_t(byteSize(b->dtype));
    size_t room = (bytes + kPage - 1) / kPage * kPage;
    void *all = mmap(nullptr, room + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(static_cast<char *>(all) + room, kPage, PROT_NONE);
    mappings.push_back({all, room + kPage});
    pointers.push_back(static_cast<char *>(all) + room - bytes);
    sizes.push_back(bytes);
    fill(pointers.back(), bytes, b->dtype, random);
  }
}

Memory::~Memory() {
  for (auto &[p, bytes] : mappings) munmap(p, bytes);
}

std::vector<std::vector<std::byte>> Memory::contents() const {
  std::vector<std::vector<std::byte>> r;
  for (size_t i = 0; i < pointers.size(); ++i) {
    auto *p = static_cast<const std::byte *>(pointers[i]);
    r.emplace_back(p, p + sizes[i]);
  }
  return r;
}

std::string difference(const Function &f, const std::vector<std::vector<std::byte>> &want,
                       const std::vector<std::vector<std::byte>> &got) {
  for (size_t p = 0; p < want.size(); ++p) {
    size_t size = size_t(byteSize(f.params[p]->dtype));
    for (size_t i = 0; i + size <= want[p].size(); i += size) {
      if (std::memcmp(&want[p][i], &got[p][i], size) == 0) continue;
      std::string at = "%" + f.params[p]->name + " element " + std::to_string(i / size);
      if (f.params[p]->dtype == DType::f32) {
        float x, y;
        std::memcpy(&x, &want[p][i], 4), std::memcpy(&y, &got[p][i], 4);
        if (std::isnan(x) && std::isnan(y)) continue;
        return at + " is " + std::to_string(y) + ", not " + std::to_string(x);
      }
      int64_t x = 0, y = 0;
      std::memcpy(&x, &want[p][i], size), std::memcpy(&y, &got[p][i], size);
      return at + " is " + std::to_string(y) + ", not " + std::to_string(x);
    }
  }
  return "";
}

int64_t tasksOf(const Function &f, const std::vector<int64_t> &scalars) {
  return valueOf(taskCount(f), f, scalars);
}

std::vector<std::vector<std::byte>> interpreted(const Function &f, const std::vector<int64_t> &scalars,
                                                uint64_t seed) {
  Status valid = verify(f);
  EXPECT_TRUE(valid) << (valid ? "" : valid.error().text);
  Memory m(f, scalars, seed);
  Status ran = interpret(f, m.pointers, m.scalars);
  EXPECT_TRUE(ran) << (ran ? "" : ran.error().text);
  return m.contents();
}

std::vector<Target> levels() {
  auto level = [](const char *name, const char *cpu, int bytes, bool fma, bool dot4) {
    Target t;
    t.name = name, t.cpu = cpu, t.vectorBytes = bytes;
    t.registers = bytes == 64 ? 32 : 16, t.fma = fma, t.dot4 = dot4, t.maskedMemory = bytes == 64;
    return t;
  };
  std::vector<Target> r;
  if (__builtin_cpu_supports("sse4.2")) r.push_back(level("sse4.2", "x86-64-v2", 16, false, false));
  if (__builtin_cpu_supports("avx2")) r.push_back(level("avx2", "x86-64-v3", 32, true, false));
  if (__builtin_cpu_supports("avx512vl")) r.push_back(level("avx512", "x86-64-v4", 64, true, false));
  if (__builtin_cpu_supports("avx512vnni")) {
    r.push_back(level("vnni", "x86-64-v4", 64, true, true));
    r.back().features = {"+avx512vnni"};
    r.push_back(level("vnni256", "x86-64-v4", 32, true, true));
    r.back().features = {"+avx512vnni"};
  }
  return r;
}

std::string compareMachine(const Function &f, const std::vector<int64_t> &scalars, uint64_t seed,
                           const Target &target, const std::vector<std::vector<std::byte>> &want) {
  Jit jit(target);
  auto kernel = jit.compile(f);
  if (!kernel) return kernel.error().text;
  Memory m(f, scalars, seed);
  int64_t tasks = tasksOf(f, scalars);
  planish::test::ScratchMemory scratch(f);
  (*kernel)(m.pointers.data(), m.scalars.data(), scratch.data(), tasks / 2, tasks);
  (*kernel)(m.pointers.data(), m.scalars.data(), scratch.data(), 0, tasks / 2);
  return difference(f, want, m.contents());
}

uint64_t fromEnvironment(const char *name, uint64_t otherwise) {
  const char *text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

} // namespace planish::codegen::test
