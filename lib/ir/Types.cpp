#include "planish/ir/Types.h"

#include "planish/support/Text.h"

#include <array>

namespace planish {

namespace {
struct DTypeRow {
  std::string_view name;
  int bytes;
};
constexpr std::array<DTypeRow, 13> kDTypes{{{"b1", 1},
                                            {"u8", 1},
                                            {"i8", 1},
                                            {"i32", 4},
                                            {"i64", 8},
                                            {"f32", 4},
                                            {"u16", 2},
                                            {"i16", 2},
                                            {"u32", 4},
                                            {"u64", 8},
                                            {"f16", 2},
                                            {"bf16", 2},
                                            {"f64", 8}}};
static_assert(kDTypes.size() == size_t(DType::f64) + 1);
} // namespace

int byteSize(DType type) { return kDTypes[size_t(type)].bytes; }
std::string_view nameOf(DType type) { return kDTypes[size_t(type)].name; }
std::optional<DType> dtypeNamed(std::string_view name) {
  for (size_t i = 0; i < kDTypes.size(); ++i)
    if (kDTypes[i].name == name) return DType(i);
  return std::nullopt;
}

std::optional<std::vector<int64_t>> constantShape(const Shape &shape) {
  std::vector<int64_t> r;
  for (const Dim &d : shape) {
    if (!d.isConstant()) return std::nullopt;
    r.push_back(d.constant());
  }
  return r;
}

std::string textOf(const Shape &shape) {
  return "[" +
         joined(
             shape,
             [](const Dim &d) { return d.isConstant() ? std::to_string(d.constant()) : d.symbol()->name; },
             ",") +
         "]";
}
std::string textOf(const TensorType &type) {
  std::string r = std::string(nameOf(type.dtype)) + textOf(type.shape);
  if (!type.layout.empty())
    r += "@(" + joined(type.layout, [](uint8_t d) { return std::to_string(d); }, ",") + ")";
  return r;
}

} // namespace planish
