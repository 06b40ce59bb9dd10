// Loops that do one thing as fast as an instruction set can: what planish-peak times. Loops.cpp is compiled
// once per instruction set, with its flags.
#pragma once

#include <cstdint>

namespace planish::peak {

/// Elements that read() and triad() take at a time: their `count` is a multiple.
inline constexpr int64_t kBlock = 128;

struct Loops {
  const char *isa; ///< as machine files name it
  /// f32 multiply-adds in registers; returns the operations done, two each.
  double (*multiplyAdd)(int64_t rounds);
  /// Dot products of four u8 and s8, added to i32, in registers; operations done, eight per sum. Null where
  /// the instruction set has none.
  double (*dot)(int64_t rounds);
  /// Loads `count` floats aligned to 64 bytes.
  void (*read)(const float *from, int64_t count);
  /// to[i] = 3 * a[i] + b[i]; all aligned to 64 bytes.
  void (*triad)(float *to, const float *a, const float *b, int64_t count);
};

extern const Loops kSse42, kAvx2, kAvx512;

} // namespace planish::peak
