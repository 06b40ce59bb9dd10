#include "Tensors.h"

#include "Text.h"
#include "planish/support/Text.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace planish::onnx {

namespace {

using ::onnx::TensorProto;

/// An ONNX element type: its name, the bytes of one element in raw data, what it computes as.
struct TypeRow {
  int onnxType;
  std::string_view name;
  int rawBytes;
  std::optional<DType> computes;
};
constexpr std::array kTypes{
    TypeRow{TensorProto::FLOAT, "float", 4, DType::f32},
    TypeRow{TensorProto::UINT8, "uint8", 1, DType::u8},
    TypeRow{TensorProto::INT8, "int8", 1, DType::i8},
    TypeRow{TensorProto::UINT16, "uint16", 2, DType::u16},
    TypeRow{TensorProto::INT16, "int16", 2, DType::i16},
    TypeRow{TensorProto::INT32, "int32", 4, DType::i32},
    TypeRow{TensorProto::INT64, "int64", 8, DType::i64},
    TypeRow{TensorProto::STRING, "string", 0, std::nullopt},
    TypeRow{TensorProto::BOOL, "bool", 1, DType::b1},
    TypeRow{TensorProto::FLOAT16, "float16", 2, DType::f32},
    TypeRow{TensorProto::DOUBLE, "double", 8, DType::f64},
    TypeRow{TensorProto::UINT32, "uint32", 4, DType::u32},
    TypeRow{TensorProto::UINT64, "uint64", 8, DType::u64},
    TypeRow{TensorProto::COMPLEX64, "complex64", 8, std::nullopt},
    TypeRow{TensorProto::COMPLEX128, "complex128", 16, std::nullopt},
    TypeRow{TensorProto::BFLOAT16, "bfloat16", 2, DType::f32},
};

const TypeRow *rowOf(int onnxType) {
  auto found = std::ranges::find_if(kTypes, [&](const TypeRow &r) { return r.onnxType == onnxType; });
  return found == kTypes.end() ? nullptr : &*found;
}

float floatOfHalf(uint16_t h) {
  uint32_t sign = uint32_t(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 0x3ff;
  if (exponent == 0) {
    float magnitude = float(fraction) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  uint32_t bits =
      exponent == 31 ? 0x7f800000u | (fraction << 13) : ((exponent + 112) << 23) | (fraction << 13);
  return std::bit_cast<float>(sign | bits);
}
float floatOfBfloat(uint16_t b) { return std::bit_cast<float>(uint32_t(b) << 16); }

template <class T> T at(const std::byte *raw, int64_t i) {
  T v;
  std::memcpy(&v, raw + size_t(i) * sizeof(T), sizeof(T));
  return v;
}

using Out = std::vector<std::byte>;
template <class T> void put(Out &out, int64_t i, T value) {
  std::memcpy(out.data() + size_t(i) * sizeof(T), &value, sizeof(T));
}

/// Elements from raw bytes (little-endian, as ONNX and this machine have them).
Out fromRaw(const std::byte *raw, int64_t count, const TypeRow &row) {
  Out out(size_t(count) * size_t(byteSize(*row.computes)));
  for (int64_t i = 0; i < count; ++i) switch (row.onnxType) {
    case TensorProto::FLOAT16: put(out, i, floatOfHalf(at<uint16_t>(raw, i))); break;
    case TensorProto::BFLOAT16: put(out, i, floatOfBfloat(at<uint16_t>(raw, i))); break;
    case TensorProto::BOOL: put(out, i, uint8_t(at<uint8_t>(raw, i) != 0)); break;
    default: std::memcpy(out.data(), raw, out.size()); return out;
    }
  return out;
}

template <class Field, class Convert> Out fromField(const Field &field, Convert convert) {
  using T = decltype(convert(*field.begin()));
  Out out(size_t(field.size()) * sizeof(T));
  for (int i = 0; i < field.size(); ++i) put(out, i, convert(field.Get(i)));
  return out;
}

/// Elements from the typed fields.
Out fromFields(const TensorProto &t, const TypeRow &row) {
  switch (row.onnxType) {
  case TensorProto::FLOAT: return fromField(t.float_data(), [](float v) { return v; });
  case TensorProto::DOUBLE: return fromField(t.double_data(), [](double v) { return v; });
  case TensorProto::INT64: return fromField(t.int64_data(), [](int64_t v) { return v; });
  case TensorProto::INT32: return fromField(t.int32_data(), [](int32_t v) { return v; });
  case TensorProto::UINT8: return fromField(t.int32_data(), [](int32_t v) { return uint8_t(v); });
  case TensorProto::INT8: return fromField(t.int32_data(), [](int32_t v) { return int8_t(v); });
  case TensorProto::UINT16: return fromField(t.int32_data(), [](int32_t v) { return uint16_t(v); });
  case TensorProto::INT16: return fromField(t.int32_data(), [](int32_t v) { return int16_t(v); });
  case TensorProto::UINT32: return fromField(t.uint64_data(), [](uint64_t v) { return uint32_t(v); });
  case TensorProto::UINT64: return fromField(t.uint64_data(), [](uint64_t v) { return uint64_t(v); });
  case TensorProto::BOOL: return fromField(t.int32_data(), [](int32_t v) { return uint8_t(v != 0); });
  case TensorProto::FLOAT16:
    return fromField(t.int32_data(), [](int32_t v) { return floatOfHalf(uint16_t(v)); });
  default: return fromField(t.int32_data(), [](int32_t v) { return floatOfBfloat(uint16_t(v)); });
  }
}

/// A tensor of more elements than this is refused before their bytes are counted.
constexpr int64_t kMaxElements = int64_t(1) << 40;

Result<int64_t> elementCountOf(const TensorProto &t, const std::string &what) {
  if (t.dims_size() > 8)
    return unsupported(what + " has rank " + std::to_string(t.dims_size()) + "; at most 8 are supported");
  int64_t count = 1;
  bool empty = std::ranges::any_of(t.dims(), [](int64_t d) { return d == 0; });
  for (int64_t d : t.dims()) {
    if (d < 0) return badInput(what + " has the dimension " + std::to_string(d));
    if (!empty && (d > kMaxElements || count > kMaxElements / d))
      return badInput(what + " has more than 2^40 elements");
    count *= empty ? 1 : d;
  }
  return empty ? 0 : count;
}

Diagnostic sizeMismatch(const std::string &what, int64_t found, int64_t expected, std::string_view unit) {
  return badInput(what + " has " + std::to_string(found) + " " + std::string(unit) +
                  " of data, its dimensions need " + std::to_string(expected));
}

} // namespace

Result<DType> elementType(int onnxType, const std::string &what, FileContext &file) {
  const TypeRow *row = rowOf(onnxType);
  if (!row || !row->computes)
    return unsupported(what + " has element type " +
                       (row ? std::string(row->name) : "number " + std::to_string(onnxType)));
  bool isHalf = *row->computes == DType::f32 && onnxType != TensorProto::FLOAT;
  if (isHalf) file.narrowed.insert(std::string(row->name));
  return *row->computes;
}

DType portType(int onnxType, DType computes) {
  return onnxType == TensorProto::FLOAT16    ? DType::f16
         : onnxType == TensorProto::BFLOAT16 ? DType::bf16
         : onnxType == TensorProto::DOUBLE   ? DType::f64
                                             : computes;
}

Result<graph::ConstantTensor> constantOf(const TensorProto &t, const std::string &what, FileContext &file) {
  PLANISH_ASSIGN(DType dtype, elementType(t.data_type(), what, file));
  PLANISH_ASSIGN(int64_t count, elementCountOf(t, what));
  if (t.has_segment()) return unsupported(what + " is stored in segments");
  const TypeRow &row = *rowOf(t.data_type());
  int64_t bytes = count * row.rawBytes;
  file.constantBytes += count * byteSize(dtype);
  if (bytes > file.limits.tensorBytes)
    return badInput(what + " has " + std::to_string(bytes) + " bytes; --limit tensor-bytes=N allows N");
  if (file.constantBytes > file.limits.constantBytes)
    return badInput(what + ": the constants so far take " + std::to_string(file.constantBytes) +
                    " bytes; --limit constant-bytes=N allows N");

  Out out;
  if (t.data_location() == TensorProto::EXTERNAL) {
    PLANISH_ASSIGN(Out raw, externalData(t, bytes, what, file));
    out = fromRaw(raw.data(), count, row);
  } else if (t.has_raw_data()) {
    if (int64_t(t.raw_data().size()) != bytes)
      return sizeMismatch(what, int64_t(t.raw_data().size()), bytes, "bytes");
    out = fromRaw(reinterpret_cast<const std::byte *>(t.raw_data().data()), count, row);
  } else {
    out = fromFields(t, row);
    int64_t found = int64_t(out.size()) / byteSize(dtype);
    if (found != count) return sizeMismatch(what, found, count, "elements");
  }
  Shape shape;
  for (int64_t d : t.dims()) shape.push_back(Dim(d));
  return graph::ConstantTensor{{dtype, std::move(shape), {}, {}},
                               std::make_shared<const std::vector<std::byte>>(std::move(out))};
}

} // namespace planish::onnx
