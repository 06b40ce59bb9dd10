// What the words of CUDA mean on a CPU, for emitted kernels: one fiber per thread of a block, __shared__
// memory as static memory, barriers as switches between fibers. The emulator (driver.cpp) loads the library
// that the kernels make and fills `cuda_on_cpu`.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

extern "C" {
struct cuda_on_cpu_hooks {
  struct {
    unsigned x;
  } thread, block, size;  // of the running fiber
  void (*barrier)(int line);
  // Copies `bytes` (a multiple of 4, at most 16), the first `valid` of them, zeros else, when a later wait
  // says so.
  void (*copy)(void *to, const void *from, unsigned bytes, unsigned valid);
  void (*commit)();
  void (*wait)(int groups, int line);
  // Calls compute with the arguments of all 32 threads of the warp when the last of them is here.
  void (*warp)(void *argument, void (*compute)(void *const *arguments));
};
#ifndef CUDA_ON_CPU_EMULATOR
extern __attribute__((visibility("default"))) cuda_on_cpu_hooks *cuda_on_cpu;
cuda_on_cpu_hooks *cuda_on_cpu;
#endif
}

#ifndef CUDA_ON_CPU_EMULATOR
#define threadIdx (cuda_on_cpu->thread)
#define blockIdx (cuda_on_cpu->block)
#define blockDim (cuda_on_cpu->size)
#define __global__ __attribute__((visibility("default")))
#define __launch_bounds__(...)
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))
#define PL_FUNCTION static inline
#define PL_METHOD inline
#define PL_UNROLL
#define pl_barrier() cuda_on_cpu->barrier(__LINE__)
PL_FUNCTION int32_t pl_bits(float x) {
  int32_t r;
  memcpy(&r, &x, 4);
  return r;
}
PL_FUNCTION float pl_from_bits(int32_t x) {
  float r;
  memcpy(&r, &x, 4);
  return r;
}
PL_FUNCTION float pl_fma(float a, float b, float c) { return fmaf(a, b, c); }
template <typename T, int n> PL_FUNCTION void pl_copy_now(T *to, const T *from, bool there) {
  if (there) memcpy(to, from, n * sizeof(T));
  else memset(to, 0, n * sizeof(T));
}
template <typename T, int n> PL_FUNCTION void pl_copy_later(T *to, const T *from, bool there) {
  cuda_on_cpu->copy(to, from, n * sizeof(T), there ? n * sizeof(T) : 0);
}
#define pl_copy_wait() (cuda_on_cpu->commit(), cuda_on_cpu->wait(0, __LINE__))
// The part of the operands that each thread brings to the instruction and the sums it holds, as the PTX ISA
// lays them out.
template <typename A, typename B> struct cuda_on_cpu_product {
  int32_t *c;
  A a[4][4]; // lines l/4, l/4 + 8, again those; terms l%4*4 and, in the last two, behind 16
  B b[2][4]; // column l/4; the same terms
  static void compute(void *const *threads) {
    A left[16][32];
    B right[8][32];
    for (int l = 0; l < 32; ++l) {
      const auto &mine = *static_cast<const cuda_on_cpu_product *>(threads[l]);
      for (int part = 0; part < 4; ++part)
        memcpy(&left[l / 4 + part % 2 * 8][l % 4 * 4 + part / 2 * 16], mine.a[part], 4);
      for (int part = 0; part < 2; ++part) memcpy(&right[l / 4][l % 4 * 4 + part * 16], mine.b[part], 4);
    }
    for (int l = 0; l < 32; ++l)
      for (int n = 0; n < 4; ++n) {
        int32_t sum = 0;
        for (int t = 0; t < 32; ++t) sum += left[l / 4 + n / 2 * 8][t] * right[l % 4 * 2 + n % 2][t];
        static_cast<cuda_on_cpu_product *>(threads[l])->c[n] += sum;
      }
  }
};
template <typename A, typename B>
PL_FUNCTION void pl_mma(int32_t *c, const A *a, int a_pitch, const B *b, int b_pitch) {
  const int lane = threadIdx.x % 32, term = lane % 4 * 4;
  cuda_on_cpu_product<A, B> mine;
  mine.c = c;
  for (int part = 0; part < 4; ++part)
    memcpy(mine.a[part], a + (lane / 4 + part % 2 * 8) * a_pitch + term + part / 2 * 16, 4);
  for (int part = 0; part < 2; ++part) memcpy(mine.b[part], b + lane / 4 * b_pitch + term + part * 16, 4);
  cuda_on_cpu->warp(&mine, cuda_on_cpu_product<A, B>::compute);
}
#endif
