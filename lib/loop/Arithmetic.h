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
  case DType::u16: return uint16_t(value);
  case DType::i16: return int16_t(value);
  case DType::u32: return uint32_t(value);
  default: return value;  // a u64 as the i64 of the same bits
  }
}
/// Order of two integers of a type.
inline bool isLess(DType dtype, int64_t a, int64_t b) {
  return dtype == DType::u64 ? uint64_t(a) < uint64_t(b) : a < b;
}
inline int64_t quotientOf(DType dtype, int64_t a, int64_t b) {
  return dtype == DType::u64 ? int64_t(uint64_t(a) / uint64_t(b)) : floorDivide(a, b);
}
inline int64_t remainderOf(DType dtype, int64_t a, int64_t b) {
  return dtype == DType::u64 ? int64_t(uint64_t(a) % uint64_t(b)) : floorModulo(a, b);
}
/// Bits moved as BinaryOp::Shl and Shr say, not yet wrapped.
inline int64_t shiftedLeft(DType dtype, int64_t a, int64_t by) {
  return by < 0 || by >= 8 * byteSize(dtype) ? 0 : int64_t(uint64_t(a) << by);
}
inline int64_t shiftedRight(DType dtype, int64_t a, int64_t by) {
  bool inside = by >= 0 && by < 8 * byteSize(dtype);
  if (dtype == DType::u64) return inside ? int64_t(uint64_t(a) >> by) : 0;
  return a >> (inside ? by : 63);
}

inline int64_t lowest(DType dtype) {
  switch (dtype) {
  case DType::b1:
  case DType::u8: return 0;
  case DType::i8: return INT8_MIN;
  case DType::i32: return INT32_MIN;
  case DType::i16: return INT16_MIN;
  case DType::u16:
  case DType::u32:
  case DType::u64: return 0;
  default: return INT64_MIN;
  }
}
inline int64_t highest(DType dtype) {
  switch (dtype) {
  case DType::b1: return 1;
  case DType::u8: return UINT8_MAX;
  case DType::i8: return INT8_MAX;
  case DType::i32: return INT32_MAX;
  case DType::u16: return UINT16_MAX;
  case DType::i16: return INT16_MAX;
  case DType::u32: return UINT32_MAX;
  case DType::u64: return -1;  // all bits
  default: return INT64_MAX;
  }
}

/// A cast from a float: toward zero, saturating, NaN to 0; to b1 value != 0.
inline int64_t toInteger(DType dtype, double value) {
  if (dtype == DType::b1) return value != 0;
  if (std::isnan(value)) return 0;
  if (dtype == DType::u64) return value <= 0 ? 0 : value >= 0x1p64 ? -1 : int64_t(uint64_t(value));
  if (value <= double(lowest(dtype))) return lowest(dtype);
  if (value >= double(highest(dtype))) return highest(dtype);
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

/// A number of a float type from an integer of type `from`, with one rounding.
inline double realOfInteger(DType to, DType from, int64_t value) {
  auto as = [&]<class T>(T) { return double(from == DType::u64 ? T(uint64_t(value)) : T(value)); };
  return to == DType::f64 ? as(double()) : as(float());
}
/// A number as one of a float type.
inline double roundedTo(DType dtype, double value) {
  return dtype == DType::f64 ? value : double(float(value));
}

/// p * 2^n; n is integral and clamped to [-126, 127], so that 2^n is a normal float.
inline float scaledByPowerOfTwo(float p, float n) {
  int e = n >= 127 ? 127 : n >= -126 ? int(n) : -126;
  return p * floatOfBits((e + 127) << 23);
}

} // namespace planish::loop
