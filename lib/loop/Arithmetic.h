// The integer and float arithmetic of the loop IR, shared by folding, ranges and the interpreter, so
// that a folded expression and an interpreted one cannot differ.
#pragma once

#include "planish/ir/Types.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace planish::loop {

inline int64_t wrappingAdd(int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); }
inline int64_t wrappingSub(int64_t a, int64_t b) { return int64_t(uint64_t(a) - uint64_t(b)); }
inline int64_t wrappingMul(int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); }

/// Floor division; b is not 0. INT64_MIN / -1 wraps.
inline int64_t floorDivide(int64_t a, int64_t b) {
  if (b == -1) return wrappingSub(0, a);
  int64_t q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0));
}
inline int64_t floorModulo(int64_t a, int64_t b) { return wrappingSub(a, wrappingMul(b, floorDivide(a, b))); }

/// The value of type `dtype` that has the low bits of `value`; b1 is value != 0.
inline int64_t wrapTo(DType dtype, int64_t value) {
  switch (dtype) {
  case DType::b1: return value != 0;
  case DType::u8: return uint8_t(value);
  case DType::i8: return int8_t(value);
  case DType::i32: return int32_t(value);
  default: return value;
  }
}

inline int64_t lowest(DType dtype) {
  switch (dtype) {
  case DType::b1:
  case DType::u8: return 0;
  case DType::i8: return INT8_MIN;
  case DType::i32: return INT32_MIN;
  default: return INT64_MIN;
  }
}
inline int64_t highest(DType dtype) {
  switch (dtype) {
  case DType::b1: return 1;
  case DType::u8: return UINT8_MAX;
  case DType::i8: return INT8_MAX;
  case DType::i32: return INT32_MAX;
  default: return INT64_MAX;
  }
}

/// A cast from f32: toward zero, saturating, NaN to 0; to b1 value != 0.
inline int64_t toInteger(DType dtype, float value) {
  if (dtype == DType::b1) return value != 0.0f;
  if (std::isnan(value)) return 0;
  if (value <= float(lowest(dtype))) return lowest(dtype);
  if (value >= float(highest(dtype))) return highest(dtype);
  return int64_t(value);
}

inline int32_t bitsOf(float value) {
  int32_t r;
  std::memcpy(&r, &value, sizeof r);
  return r;
}
inline float floatOfBits(int32_t bits) {
  float r;
  std::memcpy(&r, &bits, sizeof r);
  return r;
}

/// p * 2^n; n is integral and clamped to [-126, 127], so that 2^n is a normal float.
inline float scaledByPowerOfTwo(float p, float n) {
  int e = n >= 127 ? 127 : n >= -126 ? int(n) : -126;
  return p * floatOfBits((e + 127) << 23);
}

} // namespace planish::loop
