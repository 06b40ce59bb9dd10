// Compiled once per instruction set: vectors are as wide as the compiler's flags allow. Functions of the
// standard library are kept out, since the linker might pick this file's copy of one for every CPU.
#include "Loops.h"

#include <immintrin.h>
#include <utility>

namespace planish::peak {
namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX2__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
constexpr int kLanes = kBytes / 4;

using Floats __attribute__((vector_size(kBytes), may_alias)) = float;

/// Independent sums: as many as hide the latency of two units, and few enough for sixteen registers with both
/// operands. Code over them is a fold over their numbers: a loop would leave them on the stack.
using Sums = std::make_integer_sequence<int, 12>;

/// Loads in flight.
constexpr int kLoads = 8;
static_assert(kBlock % (kLoads * kLanes) == 0);

/// The compiler must take the value as it comes, and must compute it.
template <class Vector> void opaque(Vector &v) {
#if defined(__AVX512F__)
  asm volatile("" : "+v"(v));
#else
  asm volatile("" : "+x"(v));
#endif
}

/// The sum is a factor: neither operand is a product that could be formed once before the loop.
template <int... s> double multiplyAdds(int64_t rounds, std::integer_sequence<int, s...>) {
  Floats factor = Floats{} + 0.5F, term = Floats{} + 1.0F;
  opaque(factor);
  opaque(term);
  Floats sums[] = {(static_cast<void>(s), term)...};
  (opaque(sums[s]), ...); // or equal sums would be one
  for (int64_t i = 0; i < rounds; ++i) ((sums[s] = sums[s] * factor + term), ...);
  (opaque(sums[s]), ...);
  return 2.0 * kLanes * sizeof...(s) * static_cast<double>(rounds);
}
double multiplyAdd(int64_t rounds) { return multiplyAdds(rounds, Sums()); }

#if defined(__AVX512F__)
using Integers = __m512i;
#define PLANISH_DOT_TARGET __attribute__((target("avx512vnni")))
#define PLANISH_DOT _mm512_dpbusd_epi32
#elif defined(__AVX2__)
using Integers = __m256i;
#define PLANISH_DOT_TARGET __attribute__((target("avxvnni")))
#define PLANISH_DOT _mm256_dpbusd_avx_epi32
#endif

#if defined(PLANISH_DOT)
template <int... s> PLANISH_DOT_TARGET double dots(int64_t rounds, std::integer_sequence<int, s...>) {
  Integers a{}, b{};
  opaque(a);
  opaque(b);
  Integers sums[] = {(static_cast<void>(s), a)...};
  (opaque(sums[s]), ...);
  for (int64_t i = 0; i < rounds; ++i) ((sums[s] = PLANISH_DOT(sums[s], a, b)), ...);
  (opaque(sums[s]), ...);
  return 8.0 * kLanes * sizeof...(s) * static_cast<double>(rounds);
}
double dot(int64_t rounds) { return dots(rounds, Sums()); }
constexpr double (*kDot)(int64_t) = dot;
#else
constexpr double (*kDot)(int64_t) = nullptr;
#endif

template <int... s> void readBlocks(const float *from, int64_t count, std::integer_sequence<int, s...>) {
  Floats sums[] = {(static_cast<void>(s), Floats{})...};
  for (int64_t i = 0; i < count; i += sizeof...(s) * kLanes)
    ((sums[s] += *reinterpret_cast<const Floats *>(from + i + s * kLanes)), ...);
  (opaque(sums[s]), ...);
}
void read(const float *from, int64_t count) {
  readBlocks(from, count, std::make_integer_sequence<int, kLoads>());
}

void triad(float *to, const float *a, const float *b, int64_t count) {
  for (int64_t i = 0; i < count; i += kLoads * kLanes) {
#pragma GCC unroll 8
    for (int j = 0; j < kLoads; ++j) {
      const auto at = i + j * kLanes;
      *reinterpret_cast<Floats *>(to + at) =
          *reinterpret_cast<const Floats *>(a + at) * 3.0F + *reinterpret_cast<const Floats *>(b + at);
    }
  }
}

} // namespace

#if defined(__AVX512F__)
extern const Loops kAvx512 = {"avx512", multiplyAdd, kDot, read, triad};
#elif defined(__AVX2__)
extern const Loops kAvx2 = {"avx2", multiplyAdd, kDot, read, triad};
#else
extern const Loops kSse42 = {"sse4.2", multiplyAdd, kDot, read, triad};
#endif

} // namespace planish::peak
