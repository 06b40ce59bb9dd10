// What a tensor is: element type, shape of constants and bounded symbols, memory order, quantization.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace planish {

/// Floats are computed as f32, or as f64; f16 and bf16 are how they lie in memory: such values are only moved
/// and cast. Loop IR knows them as the integers of their bits.
enum class DType : uint8_t { b1, u8, i8, i32, i64, f32, u16, i16, u32, u64, f16, bf16, f64 };
int byteSize(DType type); // a b1 takes one byte in memory
std::string_view nameOf(DType type);
std::optional<DType> dtypeNamed(std::string_view name);
/// Whether arithmetic is defined on the type.
inline bool isComputed(DType type) { return type != DType::f16 && type != DType::bf16; }
inline bool isFloat(DType type) { return type == DType::f32 || type == DType::f64 || !isComputed(type); }
inline bool isUnsigned(DType type) {
  return type == DType::b1 || type == DType::u8 || type == DType::u16 || type == DType::u32 ||
         type == DType::u64;
}
/// What elements of the type are to loop IR: themselves, or the integers of their bits.
inline DType bitsOf(DType type) { return isComputed(type) ? type : DType::u16; }

/// A scalar type, or a vector of `lanes` of them.
struct Type {
  DType dtype = DType::i64;
  int lanes = 1;
  bool operator==(const Type &) const = default;
};

/// A named scalar: a loop variable, a let, or a bounded symbol (a size known only at run time). Its
/// identity is its address. Every value it takes lies in [lower, upper].
struct VarNode {
  std::string name;
  Type type;
  int64_t lower = INT32_MIN, upper = INT32_MAX;
};
using Var = std::shared_ptr<const VarNode>;

/// A dimension: a constant, or a bounded symbol whose upper bound memory is planned for.
class Dim {
public:
  Dim(int64_t size) : value(size) {}
  Dim(Var symbol) : value(std::move(symbol)) {}

  bool isConstant() const { return std::holds_alternative<int64_t>(value); }
  int64_t constant() const { return std::get<int64_t>(value); } // only if isConstant()
  const Var &symbol() const { return std::get<Var>(value); } // only if not
  int64_t lower() const { return isConstant() ? constant() : symbol()->lower; }
  int64_t upper() const { return isConstant() ? constant() : symbol()->upper; }
  bool operator==(const Dim &) const = default; // equal symbols are the same symbol

private:
  std::variant<int64_t, Var> value;
};
using Shape = std::vector<Dim>;

/// The constant sizes of a shape, or nothing where a dimension is a symbol.
std::optional<std::vector<int64_t>> constantShape(const Shape &shape);

/// The order in which the dimensions of a value lie in memory, outermost first; empty means as
/// written. NHWC is {0, 2, 3, 1} over the logical N, C, H, W: indices never change, only addresses.
using Layout = std::vector<uint8_t>;

/// Affine quantization: real = scale * (code - zeroPoint), per tensor (axis -1) or per slice of axis.
struct QuantParams {
  std::vector<float> scale;
  std::vector<int32_t> zeroPoint;
  int axis = -1;
  bool operator==(const QuantParams &) const = default;
};

struct TensorType {
  DType dtype = DType::f32;
  Shape shape;
  Layout layout;
  std::optional<QuantParams> quant;

  int rank() const { return int(shape.size()); }
  bool operator==(const TensorType &) const = default;
};

/// "f32[1,3,H]": symbols by name; a layout other than as written follows as "@(0,2,3,1)".
std::string textOf(const TensorType &type);
std::string textOf(const Shape &shape);

} // namespace planish
