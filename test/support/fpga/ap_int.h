// What emitted engines use of AMD's arbitrary precision integers, for emulation: values of at most 64 bits
// that wrap at their width. Products and sums are formed in 64 bits, as wide as any that is used.
#pragma once

#include <cstdint>

template <int Width> class ap_int {
  static_assert(Width >= 1 && Width <= 64);

public:
  ap_int(int64_t x = 0) : value(int64_t(uint64_t(x) << (64 - Width)) >> (64 - Width)) {}
  template <int Other> ap_int(const ap_int<Other> &x) : ap_int(int64_t(x)) {}
  operator int64_t() const { return value; }

private:
  int64_t value;
};
