#include "Array.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <type_traits>

namespace planish::run {

int64_t Array::elements() const {
  int64_t n = 1;
  for (const int64_t d : shape) n *= d;
  return n;
}

const char *dtypeName(int32_t dtype) {
  switch (dtype) {
  case PLANISH_F32: return "f32";
  case PLANISH_U8: return "u8";
  case PLANISH_I8: return "i8";
  case PLANISH_U16: return "u16";
  case PLANISH_I16: return "i16";
  case PLANISH_I32: return "i32";
  case PLANISH_I64: return "i64";
  case PLANISH_BOOL: return "b1";
  case PLANISH_F16: return "f16";
  case PLANISH_F64: return "f64";
  case PLANISH_U32: return "u32";
  case PLANISH_U64: return "u64";
  case PLANISH_BF16: return "bf16";
  default: return "unknown";
  }
}

std::string shapeText(std::span<const int64_t> shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (const int64_t d : shape) text += (text.empty() ? "" : "x") + std::to_string(d);
  return text;
}

static double halfValue(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const double mantissa = bits & 1023;
  double value;
  if (exponent == 31) {
    value = mantissa != 0 ? std::nan("") : INFINITY;
  } else {
    value = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
  }
  return bits >> 15 ? -value : value;
}

std::vector<double> asDoubles(const Array &array) {
  std::vector<double> r(static_cast<size_t>(array.elements()));
  withElementType(array.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (size_t i = 0; i < r.size(); ++i) {
      T value;
      std::memcpy(&value, array.bytes.data() + i * sizeof(T), sizeof(T));
      r[i] = static_cast<double>(value);
      if constexpr (std::is_same_v<T, uint16_t>) {
        if (array.dtype == PLANISH_F16) r[i] = halfValue(value);
        if (array.dtype == PLANISH_BF16)
          r[i] = static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(value) << 16));
      }
    }
  });
  return r;
}

Result<std::vector<std::byte>> readFile(const std::string &path) {
  constexpr std::streamoff kMaxBytes = std::streamoff{4} << 30;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (size < 0) return badInput("cannot read '" + path + "'");
  if (size > kMaxBytes) return badInput("'" + path + "' is larger than 4 GiB");
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  file.seekg(0);
  file.read(reinterpret_cast<char *>(bytes.data()), size);
  if (!file) return badInput("cannot read '" + path + "'");
  return bytes;
}

} // namespace planish::run
