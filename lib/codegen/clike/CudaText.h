// What stands before CUDA kernels: types, helpers and the wrappers of instructions that kernels call.
#pragma once

#include <string_view>

namespace planish::codegen {

// NVRTC has no headers. Elsewhere a header says what the words of CUDA mean: the same text runs on a CPU.
constexpr std::string_view kCudaPrelude = R"(#ifdef __CUDACC__
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;
#define PL_FUNCTION __device__ __forceinline__
#define PL_METHOD __device__ __forceinline__
#define PL_UNROLL _Pragma("unroll")
#define pl_barrier __syncthreads
PL_FUNCTION int32_t pl_bits(float x) { return __float_as_int(x); }
PL_FUNCTION float pl_from_bits(int32_t x) { return __int_as_float(x); }
PL_FUNCTION float pl_fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
#else
#include "cuda_on_cpu.h"
#endif
PL_FUNCTION float pl_round(float x) { return rintf(x); }
PL_FUNCTION float pl_floor(float x) { return floorf(x); }
PL_FUNCTION float pl_ceil(float x) { return ceilf(x); }
PL_FUNCTION float pl_sqrt(float x) { return sqrtf(x); }
#define PL_INFINITY pl_from_bits(0x7f800000)
#define PL_NAN pl_from_bits(0x7fc00000)
)";

// Vectors are aligned to their size; memory that they come from need not be.
constexpr std::string_view kCudaVectors = R"(
template <typename T, int n> struct alignas(n * sizeof(T) < 16 ? n * sizeof(T) : 16) pl_vector {
  T s[n];
  PL_METHOD pl_vector() {}
  PL_METHOD explicit pl_vector(T x) {
    PL_UNROLL for (int i = 0; i < n; ++i) s[i] = x;
  }
};
template <int n, typename T> PL_FUNCTION pl_vector<T, n> pl_vload(const T *p) {
  if ((uint64_t)p % alignof(pl_vector<T, n>) == 0) return *(const pl_vector<T, n> *)p;
  pl_vector<T, n> r;
  PL_UNROLL for (int i = 0; i < n; ++i) r.s[i] = p[i];
  return r;
}
template <typename T, int n> PL_FUNCTION void pl_vstore(pl_vector<T, n> v, T *p) {
  if ((uint64_t)p % alignof(pl_vector<T, n>) == 0) {
    *(pl_vector<T, n> *)p = v;
    return;
  }
  PL_UNROLL for (int i = 0; i < n; ++i) p[i] = v.s[i];
}
template <int n, typename T> PL_FUNCTION pl_vector<T, n> pl_vload_aligned(const T *p) {
  return *(const pl_vector<T, n> *)p;
}
template <typename T, int n> PL_FUNCTION void pl_vstore_aligned(pl_vector<T, n> v, T *p) {
  *(pl_vector<T, n> *)p = v;
}
#define vload2_aligned(at, p) pl_vload_aligned<2>(p)
#define vload4_aligned(at, p) pl_vload_aligned<4>(p)
#define vload8_aligned(at, p) pl_vload_aligned<8>(p)
#define vload16_aligned(at, p) pl_vload_aligned<16>(p)
#define vstore2_aligned(v, at, p) pl_vstore_aligned(v, p)
#define vstore4_aligned(v, at, p) pl_vstore_aligned(v, p)
#define vstore8_aligned(v, at, p) pl_vstore_aligned(v, p)
#define vstore16_aligned(v, at, p) pl_vstore_aligned(v, p)
#define vload2(at, p) pl_vload<2>(p)
#define vload4(at, p) pl_vload<4>(p)
#define vload8(at, p) pl_vload<8>(p)
#define vload16(at, p) pl_vload<16>(p)
#define vstore2(v, at, p) pl_vstore(v, p)
#define vstore4(v, at, p) pl_vstore(v, p)
#define vstore8(v, at, p) pl_vstore(v, p)
#define vstore16(v, at, p) pl_vstore(v, p)
PL_FUNCTION float pl_plus(float a, float b) { return a + b; }
PL_FUNCTION float pl_minus(float a, float b) { return a - b; }
PL_FUNCTION float pl_times(float a, float b) { return a * b; }
PL_FUNCTION int32_t pl_plus(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }
PL_FUNCTION int32_t pl_minus(int32_t a, int32_t b) { return (int32_t)((uint32_t)a - (uint32_t)b); }
PL_FUNCTION int32_t pl_times(int32_t a, int32_t b) { return (int32_t)((uint32_t)a * (uint32_t)b); }
#define PL_EACH(name, result, value) \
  template <typename T, int n> \
  PL_FUNCTION pl_vector<result, n> name(pl_vector<T, n> a, pl_vector<T, n> b) { \
    pl_vector<result, n> r; \
    PL_UNROLL for (int i = 0; i < n; ++i) r.s[i] = value; \
    return r; \
  }
PL_EACH(operator+, T, pl_plus(a.s[i], b.s[i]))
PL_EACH(operator-, T, pl_minus(a.s[i], b.s[i]))
PL_EACH(operator*, T, pl_times(a.s[i], b.s[i]))
PL_EACH(operator/, T, a.s[i] / b.s[i])
PL_EACH(operator&, T, a.s[i] & b.s[i])
PL_EACH(operator|, T, a.s[i] | b.s[i])
PL_EACH(operator^, T, a.s[i] ^ b.s[i])
PL_EACH(operator<, int32_t, -(a.s[i] < b.s[i]))
PL_EACH(operator<=, int32_t, -(a.s[i] <= b.s[i]))
PL_EACH(operator==, int32_t, -(a.s[i] == b.s[i]))
PL_EACH(pl_min_f32, T, a.s[i] < b.s[i] ? a.s[i] : b.s[i])
PL_EACH(pl_max_f32, T, a.s[i] > b.s[i] ? a.s[i] : b.s[i])
PL_EACH(pl_min_i32, T, a.s[i] < b.s[i] ? a.s[i] : b.s[i])
PL_EACH(pl_max_i32, T, a.s[i] > b.s[i] ? a.s[i] : b.s[i])
PL_EACH(pl_scale2, T, pl_scale2(a.s[i], b.s[i]))
#define PL_LANES(name, from, to, value) \
  template <int n> PL_FUNCTION pl_vector<to, n> name(pl_vector<from, n> a) { \
    pl_vector<to, n> r; \
    PL_UNROLL for (int i = 0; i < n; ++i) r.s[i] = value; \
    return r; \
  }
PL_LANES(pl_abs_f32, float, float, pl_abs_f32(a.s[i]))
PL_LANES(pl_abs_i32, int32_t, int32_t, pl_abs_i32(a.s[i]))
PL_LANES(pl_bits, float, int32_t, pl_bits(a.s[i]))
PL_LANES(pl_from_bits, int32_t, float, pl_from_bits(a.s[i]))
PL_LANES(pl_round, float, float, pl_round(a.s[i]))
PL_LANES(pl_floor, float, float, pl_floor(a.s[i]))
PL_LANES(pl_ceil, float, float, pl_ceil(a.s[i]))
PL_LANES(pl_sqrt, float, float, pl_sqrt(a.s[i]))
template <int n>
PL_FUNCTION pl_vector<float, n> pl_fma(pl_vector<float, n> a, pl_vector<float, n> b, pl_vector<float, n> c) {
  PL_UNROLL for (int i = 0; i < n; ++i) c.s[i] = pl_fma(a.s[i], b.s[i], c.s[i]);
  return c;
}
template <typename T, int n>
PL_FUNCTION pl_vector<T, n> select(pl_vector<T, n> b, pl_vector<T, n> a, pl_vector<int32_t, n> c) {
  PL_UNROLL for (int i = 0; i < n; ++i) b.s[i] = c.s[i] ? a.s[i] : b.s[i];
  return b;
}
#define PL_VECTOR_OF(name, element, type, n) \
  typedef pl_vector<type, n> pl_##name##n; \
  template <typename S> PL_FUNCTION pl_##name##n convert_pl_##name##n(pl_vector<S, n> a) { \
    pl_##name##n r; \
    PL_UNROLL for (int i = 0; i < n; ++i) r.s[i] = (type)a.s[i]; \
    return r; \
  }
#define PL_SATURATED_OF(name, element, type, n) \
  PL_FUNCTION pl_##name##n convert_pl_##name##n##_sat_rtz(pl_vector<float, n> a) { \
    pl_##name##n r; \
    PL_UNROLL for (int i = 0; i < n; ++i) r.s[i] = pl_##element##_of_f32(a.s[i]); \
    return r; \
  }
#define PL_VECTOR(name, element, type) \
  PL_VECTOR_OF(name, element, type, 2) PL_VECTOR_OF(name, element, type, 4) \
  PL_VECTOR_OF(name, element, type, 8) PL_VECTOR_OF(name, element, type, 16)
#define PL_SATURATED(name, element, type) PL_VECTOR(name, element, type) \
  PL_SATURATED_OF(name, element, type, 2) PL_SATURATED_OF(name, element, type, 4) \
  PL_SATURATED_OF(name, element, type, 8) PL_SATURATED_OF(name, element, type, 16)
PL_VECTOR(float, f32, float)
PL_SATURATED(uchar, u8, uint8_t) PL_SATURATED(char, i8, int8_t) PL_SATURATED(ushort, u16, uint16_t)
PL_SATURATED(short, i16, int16_t) PL_SATURATED(int, i32, int32_t) PL_SATURATED(uint, u32, uint32_t)
PL_SATURATED(long, i64, int64_t) PL_SATURATED(ulong, u64, uint64_t)
)";

// Copies to shared memory that wait for pl_copy_wait, and the product of a warp: 16 x 32 bytes by 32 x 8, of
// which a thread holds four sums (PTX ISA, mma.m16n8k32 and, for older devices, mma.m8n8k16). Operands are
// lines of 32 terms in shared memory, `pitch` bytes apart.
constexpr std::string_view kCudaWarps = R"(#ifdef __CUDACC__
template <typename T, int n> PL_FUNCTION void pl_copy_now(T *to, const T *from, bool there) {
  pl_vector<T, n> v((T)0);
  if (there) v = pl_vload<n>(from);
  pl_vstore(v, to);
}
template <typename T, int n> PL_FUNCTION void pl_copy_later(T *to, const T *from, bool there) {
#if __CUDA_ARCH__ >= 800
  const uint32_t at = (uint32_t)__cvta_generic_to_shared(to);
  const uint64_t source = __cvta_generic_to_global(from);
  const int bytes = n * sizeof(T), valid = there ? bytes : 0;
  if (bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(source), "r"(valid) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(at), "l"(source), "n"(n * sizeof(T)),
                 "r"(valid) : "memory");
#else
  pl_copy_now<T, n>(to, from, there);
#endif
}
PL_FUNCTION void pl_copy_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}
#define PL_MMA(a_name, b_name, a_type, b_type) \
  PL_FUNCTION void pl_mma_words(int32_t *c, const uint32_t *a, const uint32_t *b, const a_type *, const b_type *) { \
    PL_MMA_WORDS(a_name, b_name) \
  }
#if __CUDA_ARCH__ >= 800
#define PL_MMA_WORDS(a_name, b_name) \
  asm("mma.sync.aligned.m16n8k32.row.col.s32." #a_name "." #b_name ".s32 " \
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
      : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3]) \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
#define PL_MMA_HALF(a_name, b_name, c0, c1, a0, b0) \
  asm("mma.sync.aligned.m8n8k16.row.col.s32." #a_name "." #b_name ".s32 {%0, %1}, {%2}, {%3}, {%0, %1};" \
      : "+r"(c0), "+r"(c1) : "r"(a0), "r"(b0));
#define PL_MMA_WORDS(a_name, b_name) \
  PL_MMA_HALF(a_name, b_name, c[0], c[1], a[0], b[0]) PL_MMA_HALF(a_name, b_name, c[2], c[3], a[1], b[0]) \
  PL_MMA_HALF(a_name, b_name, c[0], c[1], a[2], b[1]) PL_MMA_HALF(a_name, b_name, c[2], c[3], a[3], b[1])
#endif
PL_MMA(u8, u8, uint8_t, uint8_t) PL_MMA(u8, s8, uint8_t, int8_t)
PL_MMA(s8, u8, int8_t, uint8_t) PL_MMA(s8, s8, int8_t, int8_t)
template <typename A, typename B>
PL_FUNCTION void pl_mma(int32_t *c, const A *a, int a_pitch, const B *b, int b_pitch) {
  const int lane = threadIdx.x % 32, line = lane / 4, term = lane % 4 * 4;
  const A *top = a + line * a_pitch + term, *bottom = top + 8 * a_pitch;
  const B *column = b + line * b_pitch + term;
  const uint32_t a_words[] = {*(const uint32_t *)top, *(const uint32_t *)bottom, *(const uint32_t *)(top + 16),
                              *(const uint32_t *)(bottom + 16)};
  const uint32_t b_words[] = {*(const uint32_t *)column, *(const uint32_t *)(column + 16)};
  pl_mma_words(c, a_words, b_words, a, b);
}
#endif
// `from` need not be aligned, then the copy is made at once.
template <int n, typename T> PL_FUNCTION void pl_copy(T *to, const T *from, bool there) {
  if ((uint64_t)from % (n * sizeof(T)) == 0) pl_copy_later<T, n>(to, from, there);
  else pl_copy_now<T, n>(to, from, there);
}
)";

} // namespace planish::codegen
