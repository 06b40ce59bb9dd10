#include "Bench.h"

#include "planish/loop/Passes.h"
#include "planish/loop/Rewrite.h"
#include "planish/schedule/Packing.h"
#include "planish/support/FloatMode.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ctime>

namespace planish::tune {

using namespace loop;

namespace {

constexpr int64_t kMostPool = int64_t(96) << 20, kLeastRotating = 4 << 10;
constexpr double kSampleSeconds = 2e-4;
/// Kernels may read a cache line past their operands.
constexpr int64_t kSlack = 64;
/// Sums in another order, of another size of tile.
constexpr double kTolerance = 1e-4;

/// Of this thread alone: what the system gives to other processes in between does not count.
double now() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

/// The elements of a buffer, relative to that with all indices zero: [low, high].
struct Span {
  int64_t low = 0, high = 0;
  bool empty = false;
};

Span spanOf(const BufferNode &b, const Substitution &symbols) {
  Span s;
  for (size_t d = 0; d < b.shape.size(); ++d) {
    int64_t n = rangeOf(substitute(b.shape[d], symbols)).hi;
    int64_t stride = rangeOf(substitute(b.strides[d], symbols)).hi;
    s.empty |= n <= 0;
    (stride < 0 ? s.low : s.high) += (n - 1) * stride;
  }
  return s;
}

Substitution largest(const std::vector<Var> &scalars) {
  Substitution r;
  for (const Var &v : scalars) r[v] = imm(v->upper);
  return r;
}

} // namespace

Bytes::Bytes(int64_t n) : storage(size_t(n + 64 + kSlack)), count(n) {
  auto address = reinterpret_cast<uintptr_t>(storage.data());
  begin = storage.data() + (64 - address % 64) % 64;
}

WeightPool::WeightPool(int64_t modelBytes) : memory(std::clamp<int64_t>(modelBytes, 64, kMostPool)) {
  std::mt19937 random(1);
  for (int64_t i = 0; i + 4 <= memory.size(); i += 4) {
    float value = float(int(random() % 2001) - 1000) * 1e-3f;
    std::memcpy(memory.data() + i, &value, 4);
  }
}

std::byte *WeightPool::next(int64_t bytes) {
  if (bytes > memory.size()) return nullptr;
  if (at + bytes > memory.size()) at = 0;
  std::byte *r = memory.data() + at;
  at += (bytes + 63) / 64 * 64;
  return r;
}

int64_t Bench::operandBytes(const Compute &compute) {
  int64_t total = 0;
  for (const Buffer &b : compute.params) {
    Span s = spanOf(*b, largest(compute.scalars));
    if (!s.empty) total += std::min(kMostBytes, s.high - s.low + 1) * byteSize(b->dtype);
  }
  return total;
}

Bench::Bench(Compute c, WeightPool &pool) : compute(std::move(c)), weights(pool) {
  Substitution symbols = largest(compute.scalars);
  for (const Var &v : compute.scalars) scalars.push_back(v->upper);
  std::mt19937 random(7);
  int64_t most = kLeastRotating;
  for (const Buffer &b : compute.params) {
    Span s = spanOf(*b, symbols);
    int64_t size = byteSize(b->dtype);
    operands.push_back({Bytes((s.high - s.low + 1) * size), -s.low * size});
    fill(operands.back(), b->dtype, random);
    if (b->scope == Scope::Constant && operands.back().memory.size() > most) {
      most = operands.back().memory.size();
      rotating = int(operands.size()) - 1;
    }
  }
  const Bytes &out = operands.back().memory;
  output.assign(out.data(), out.data() + out.size());
}

void Bench::fill(Operand &operand, DType dtype, std::mt19937 &random) const {
  std::byte *p = operand.memory.data();
  auto each = [&]<class T>(T, auto value) {
    for (int64_t i = 0; i + int64_t(sizeof(T)) <= operand.memory.size(); i += int64_t(sizeof(T))) {
      T v = value();
      std::memcpy(p + i, &v, sizeof v);
    }
  };
  auto below = [&](int n) { return int(random() % unsigned(n)); };
  switch (dtype) {
  case DType::f32: return each(float(), [&] { return float(below(2001) - 1000) * 1e-3f; });
  case DType::i32: return each(int32_t(), [&] { return below(2001) - 1000; });
  case DType::i64: return each(int64_t(), [&] { return int64_t(below(17) - 8); });
  case DType::u8: return each(uint8_t(), [&] { return uint8_t(below(256)); });
  case DType::i8: return each(int8_t(), [&] { return int8_t(below(255) - 127); });
  case DType::b1: return each(uint8_t(), [&] { return uint8_t(below(2)); });
  case DType::u16:
  case DType::i16: return each(int16_t(), [&] { return int16_t(below(2001) - 1000); });
  case DType::u32: return each(uint32_t(), [&] { return uint32_t(below(2001)); });
  case DType::u64: return each(uint64_t(), [&] { return uint64_t(below(17)); });
  case DType::f16:
  case DType::bf16:
  case DType::f64: break;  // no buffer's
  }
}

Result<codegen::Jit::Kernel> compiled(const lower::ScheduledFunction &made, codegen::Jit &jit) {
  Function f = made.function;
  f.name = "kernel";
  return jit.compile(f);
}

Bench::Code Bench::ready(const lower::ScheduledFunction &made, codegen::Jit::Kernel call) const {
  Code code{call, 1, {}, std::make_shared<Bytes>(planScratch(made.function).bytes)};
  code.packed.resize(operands.size());
  for (const auto &p : made.packings) {
    auto &to = code.packed[size_t(p.param)];
    to = std::make_shared<Bytes>(schedule::packedBytes(p));
    const Operand &from = operands[size_t(p.param)];
    schedule::runPacking(p, from.memory.data() + from.first, to->data());
  }
  code.tasks = constantOf(substitute(taskCount(made.function), largest(made.function.scalars))).value_or(1);
  return code;
}

std::vector<void *> Bench::arguments(const Code &code) const {
  std::vector<void *> r;
  for (size_t i = 0; i < operands.size(); ++i)
    r.push_back(code.packed[i] ? code.packed[i]->data() : operands[i].memory.data() + operands[i].first);
  return r;
}

double Bench::time(const Code &code) {
  FlushedSubnormals mode;
  std::vector<void *> args = arguments(code);
  int64_t constantBytes = 0, firstByte = 0;
  if (rotating >= 0) {
    const auto &packed = code.packed[size_t(rotating)];
    const Operand &plain = operands[size_t(rotating)];
    constantBytes = packed ? packed->size() : plain.memory.size();
    firstByte = packed ? 0 : plain.first;
  }
  auto calls = [&](int n) {
    double begin = now();
    for (int i = 0; i < n; ++i) {
      if (std::byte *p = rotating < 0 ? nullptr : weights.next(constantBytes))
        args[size_t(rotating)] = p + firstByte;
      code.call(args.data(), scalars.data(), code.scratch->data(), 0, code.tasks);
    }
    return (now() - begin) / n;
  };
  if (secondsPerCall == 0) secondsPerCall = calls(1);
  double r = calls(int(std::clamp(kSampleSeconds / std::max(secondsPerCall, 1e-8), 1.0, 10000.0)));
  secondsPerCall = std::min(secondsPerCall, r);
  return r;
}

std::vector<std::byte> Bench::run(const Code &code) {
  FlushedSubnormals mode;
  const Bytes &out = operands.back().memory;
  std::ranges::copy(output, out.data());
  std::vector<void *> args = arguments(code);
  code.call(args.data(), scalars.data(), code.scratch->data(), 0, code.tasks);
  return {out.data(), out.data() + out.size()};
}

std::string Bench::difference(const std::vector<std::byte> &wanted, const std::vector<std::byte> &got) const {
  if (wanted == got) return {};
  DType type = compute.out->dtype;
  if (type != DType::f32) return "the result differs";
  std::vector<float> a(wanted.size() / 4), b(a.size());
  std::memcpy(a.data(), wanted.data(), a.size() * 4);
  std::memcpy(b.data(), got.data(), b.size() * 4);
  double largestValue = 0;
  for (float v : a)
    if (std::isfinite(v)) largestValue = std::max(largestValue, std::fabs(double(v)));
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    if (std::isfinite(a[i]) && !std::isfinite(b[i])) return "the result is not finite";
    if (!(std::fabs(double(a[i]) - double(b[i])) <= kTolerance * largestValue))
      return "element " + std::to_string(i) + " is " + std::to_string(b[i]) + ", not " + std::to_string(a[i]);
  }
  return {};
}

} // namespace planish::tune
