// The floating-point mode that models run in, for compiler code that computes what they would.
#pragma once

#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace planish {

/// While it lives, subnormal numbers count as zero in this thread, as operands and as results.
class FlushedSubnormals {
public:
#if defined(__x86_64__)
  FlushedSubnormals() : before(_mm_getcsr()) { _mm_setcsr(unsigned(before) | 0x8040U); } // FTZ and DAZ
  ~FlushedSubnormals() { _mm_setcsr(unsigned(before)); }
#elif defined(__aarch64__)
  FlushedSubnormals() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | uint64_t(1) << 24)); // FZ
  }
  ~FlushedSubnormals() { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }
#else
  FlushedSubnormals() = default;
#endif
  FlushedSubnormals(const FlushedSubnormals &) = delete;
  FlushedSubnormals &operator=(const FlushedSubnormals &) = delete;

private:
  uint64_t before = 0;
};

} // namespace planish
