#include "ConstantText.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

namespace planish::graph {

namespace {

constexpr size_t kMaxWritten = 32;

/// Calls fn with a zero of the dtype's own type.
template <class F> auto withElement(DType dtype, F fn) {
  switch (dtype) {
  case DType::b1:
  case DType::u8: return fn(uint8_t{});
  case DType::i8: return fn(int8_t{});
  case DType::i32: return fn(int32_t{});
  case DType::i64: return fn(int64_t{});
  case DType::f32: return fn(float{});
  case DType::u16: return fn(uint16_t{});
  case DType::i16: return fn(int16_t{});
  case DType::u32: return fn(uint32_t{});
  case DType::u64: return fn(uint64_t{});
  case DType::f16:  // the bits
  case DType::bf16: return fn(uint16_t{});
  case DType::f64: return fn(double{});
  }
  PLANISH_CHECK(false, "an unknown element type");
}

template <class T> bool readsBack(T value) {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  return !std::isnan(value) ||
         std::bit_cast<Bits>(value) << 1 == std::bit_cast<Bits>(std::numeric_limits<T>::quiet_NaN()) << 1;
}

/// What i64 does not hold.
Result<uint64_t> natural(Lexer &lexer) {
  const Token token = lexer.peek();
  uint64_t value = 0;
  const char *end = token.text.data() + token.text.size();
  auto [rest, problem] = std::from_chars(token.text.data(), end, value);
  if (token.kind != TokenKind::Integer || rest != end || problem != std::errc())
    return lexer.error("a value of type u64");
  lexer.next();
  return value;
}

template <class T> Result<Bytes> parseAs(Lexer &lexer, const TensorType &type) {
  std::vector<std::byte> bytes;
  PLANISH_TRY(lexer.expect("["));
  while (!lexer.at("]")) {
    T value;
    Lexer here = lexer;
    if constexpr (std::is_floating_point_v<T>) {
      PLANISH_ASSIGN(double number, lexer.number());
      value = T(number);
    } else if constexpr (std::is_same_v<T, uint64_t>) {
      PLANISH_ASSIGN(value, natural(lexer));
    } else {
      PLANISH_ASSIGN(int64_t number, lexer.integer());
      value = T(number);
      if (int64_t(value) != number) return here.error("a value of type " + std::string(nameOf(type.dtype)));
    }
    auto *raw = reinterpret_cast<const std::byte *>(&value);
    bytes.insert(bytes.end(), raw, raw + sizeof(T));
    if (!lexer.accept(",")) break;
  }
  PLANISH_TRY(lexer.expect("]"));
  return Bytes(std::make_shared<const std::vector<std::byte>>(std::move(bytes)));
}

} // namespace

bool isSmall(const Value &constant) {
  return withElement(constant.type.dtype, [&]<class T>(T) {
    auto data = dataOf<T>(constant);
    if (data.size() > kMaxWritten) return false;
    if constexpr (std::is_floating_point_v<T>)
      for (T value : data)
        if (!readsBack(value)) return false;
    return true;
  });
}

std::string elementsText(const Value &constant) {
  return withElement(constant.type.dtype, [&]<class T>(T) {
    return "[" +
           joined(dataOf<T>(constant),
                  [](T value) {
                    if constexpr (std::is_floating_point_v<T>) return textOf(value);
                    else return std::to_string(value);
                  }) +
           "]";
  });
}

Result<Bytes> parseElements(Lexer &lexer, const TensorType &type) {
  return withElement(type.dtype, [&]<class T>(T) { return parseAs<T>(lexer, type); });
}

} // namespace planish::graph
