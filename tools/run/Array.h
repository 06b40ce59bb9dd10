// Dense tensors outside the compiler, and the files that hold them.
#pragma once

#include "planish/abi.h"
#include "planish/support/Result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace planish::run {

/// A dense tensor in row-major order.
struct Array {
  int32_t dtype = PLANISH_F32; // planish_dtype
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;

  int64_t elements() const;
  std::span<float> floats() {
    return {reinterpret_cast<float *>(bytes.data()), bytes.size() / sizeof(float)};
  }
};
using NamedArrays = std::vector<std::pair<std::string, Array>>;

/// "f32", "u8", ...; how every tool writes an element type.
const char *dtypeName(int32_t dtype);
/// "1x3x224x224", or "scalar".
std::string shapeText(std::span<const int64_t> shape);
/// Calls f with a zero of the C++ type of `dtype`; f16 and bf16 come as uint16_t bit patterns.
template <class F> decltype(auto) withElementType(int32_t dtype, F f) {
  switch (dtype) {
  case PLANISH_U8: return f(uint8_t{});
  case PLANISH_I8: return f(int8_t{});
  case PLANISH_U16:
  case PLANISH_F16:
  case PLANISH_BF16: return f(uint16_t{});
  case PLANISH_I16: return f(int16_t{});
  case PLANISH_I32: return f(int32_t{});
  case PLANISH_I64: return f(int64_t{});
  case PLANISH_BOOL: return f(bool{});
  case PLANISH_F64: return f(double{});
  case PLANISH_U32: return f(uint32_t{});
  case PLANISH_U64: return f(uint64_t{});
  default: return f(float{});
  }
}

/// All elements as double; f16 and bf16 by value.
std::vector<double> asDoubles(const Array &array);

/// NumPy's .npy format, versions 1 to 3, little endian; `where` names the file in errors (BadInput).
Result<Array> parseNpy(std::span<const std::byte> file, const std::string &where);
std::string formatNpy(const Array &array);

/// NumPy's .npz format: a zip of .npy files whose names are the keys, stored or deflated.
Result<NamedArrays> readNpz(const std::string &path);
Status writeNpz(const std::string &path, const NamedArrays &arrays);

/// A whole file, up to 4 GiB.
Result<std::vector<std::byte>> readFile(const std::string &path);

/// A .png or .jpg picture as input `info` takes it: RGB (grey where the model has one channel), channels
/// first or last as its shape says, scaled bilinearly to its size where that is constant; bytes as they are,
/// floats divided by 255. Says on `note` when it scales.
Result<Array> readPicture(const std::string &path, const planish_tensor_info &info, std::string &note);

} // namespace planish::run
