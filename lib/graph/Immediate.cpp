#include "Immediate.h"

#include "planish/loop/Interpret.h"
#include "planish/loop/Rewrite.h"

namespace planish::graph {

namespace {

using loop::Expr;

template <class T> Expr elementOf(const std::vector<std::byte> &data, int64_t position, DType dtype) {
  T value;
  std::memcpy(&value, data.data() + size_t(position) * sizeof(T), sizeof(T));
  if constexpr (std::is_floating_point_v<T>) return loop::constant(double(value), Type{dtype, 1});
  else return loop::imm(int64_t(value), Type{dtype, 1});
}

Expr elementOf(const std::vector<std::byte> &data, int64_t position, DType dtype) {
  switch (dtype) {
  case DType::b1:
  case DType::u8: return elementOf<uint8_t>(data, position, dtype);
  case DType::i8: return elementOf<int8_t>(data, position, dtype);
  case DType::i32: return elementOf<int32_t>(data, position, dtype);
  case DType::i64: return elementOf<int64_t>(data, position, dtype);
  case DType::f32: return elementOf<float>(data, position, dtype);
  case DType::f64: return elementOf<double>(data, position, dtype);
  case DType::u16: return elementOf<uint16_t>(data, position, dtype);
  case DType::i16: return elementOf<int16_t>(data, position, dtype);
  case DType::u32: return elementOf<uint32_t>(data, position, dtype);
  case DType::u64: return elementOf<uint64_t>(data, position, dtype);
  case DType::f16:  // the bits
  case DType::bf16: return elementOf<uint16_t>(data, position, bitsOf(dtype));
  }
  PLANISH_CHECK(false, "an unknown element type");
}

} // namespace

Expr immediateOf(const Value &constant, int64_t position) {
  return elementOf(*constant.data, position, constant.type.dtype);
}

bool isImmediate(const Expr &e) { return loop::as<loop::IntImm>(e) || loop::as<loop::FloatImm>(e); }

Expr folded(const Expr &e) {
  bool open = false;
  loop::walk(e, [&](const Expr &x) { open |= loop::as<loop::VarRef>(x) || loop::as<loop::Load>(x); });
  if (open || isImmediate(e)) return e;
  loop::Buffer out = loop::buffer("result", e->type.dtype, std::vector<int64_t>{1});
  loop::Function f{"fold", {out}, {}, loop::store(out, {loop::imm(0)}, e)};
  std::vector<std::byte> bytes(sizeof(int64_t));
  void *base = bytes.data();
  if (!loop::interpret(f, std::span(&base, 1))) return e;
  return elementOf(bytes, 0, e->type.dtype);
}

} // namespace planish::graph
