#include "Codes.h"

#include "planish/loop/Rewrite.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace planish::codegen::fpga {

using namespace loop;

namespace {

/// One thing that a 32-bit sum adds up.
struct Source {
  Expr code;        // of u8, or the accumulator
  int64_t factor = 1;
};

struct Sum32 {
  std::vector<Source> sources;
  Requantization rest;  // addends and bounds
};

class ChainReader {
public:
  explicit ChainReader(const Definition &definition) : d(definition) {}

  Result<CodeChain> read() {
    if (!readOuter(d.value)) return unsupported("its result is made by another function than requantization");
    return std::move(r);
  }

private:
  const Definition &d;
  CodeChain r;

  bool isSum(const Expr &e) const {
    const Load *l = as<Load>(e);
    return l && d.sum && l->buffer == d.sum;
  }
  static bool isConstant(const Expr &e) {
    const Load *l = as<Load>(e);
    return constantOf(e) || (l && l->buffer->scope == Scope::Constant && !l->mask);
  }
  static bool isActivation(const Expr &e) {
    const Load *l = as<Load>(e);
    return l && l->buffer->scope != Scope::Constant && l->buffer->dtype == DType::u8 && !l->mask;
  }

  /// The sum's terms; clamps stand outside of all additions.
  bool addTerms(const Expr &e, int64_t sign, Sum32 &to) const {
    if (const Cast *c = as<Cast>(e); c && e->type.dtype == DType::i32 && c->value->type.dtype == DType::u8) {
      to.sources.push_back({c->value, sign});
      return true;
    }
    if (isSum(e)) {
      to.sources.push_back({e, sign});
      return true;
    }
    if (isConstant(e)) {
      to.rest.addends.emplace_back(e, int(sign));
      return sign == 1 || sign == -1;
    }
    const Binary *b = as<Binary>(e);
    if (!b) return false;
    if (b->op == BinaryOp::Add) return addTerms(b->a, sign, to) && addTerms(b->b, sign, to);
    if (b->op == BinaryOp::Sub) return addTerms(b->a, sign, to) && addTerms(b->b, -sign, to);
    if (b->op != BinaryOp::Mul) return false;
    auto right = constantOf(b->b), left = constantOf(b->a);
    if (!right && !left) return false;
    const Cast *c = as<Cast>(right ? b->a : b->b);
    if (!c || c->value->type.dtype != DType::u8) return false;
    to.sources.push_back({c->value, sign * (right ? *right : *left)});
    return true;
  }

  bool readSum(const Expr &e, Sum32 &to) const {
    if (const Binary *b = as<Binary>(e); b && (b->op == BinaryOp::Min || b->op == BinaryOp::Max)) {
      Expr &bound = b->op == BinaryOp::Min ? to.rest.upper : to.rest.lower;
      bool right = isConstant(b->b);
      if (bound || (!right && !isConstant(b->a))) return false;
      bound = right ? b->b : b->a;
      return readSum(right ? b->a : b->b, to);
    }
    return addTerms(e, 1, to);
  }

  /// x + constant of i32, in either spelling.
  static Expr withoutConstant(const Expr &e, int64_t &constant) {
    const Binary *b = as<Binary>(e);
    if (b && b->op == BinaryOp::Sub && constantOf(b->b)) {
      constant -= *constantOf(b->b);
      return withoutConstant(b->a, constant);
    }
    if (b && b->op == BinaryOp::Add && (constantOf(b->b) || constantOf(b->a))) {
      bool right = bool(constantOf(b->b));
      constant += *constantOf(right ? b->b : b->a);
      return withoutConstant(right ? b->a : b->b, constant);
    }
    return e;
  }

  /// u8(min(max(bits(fma(float(sum), scale, kRounder)) + constant, least), most))
  std::optional<Sum32> requantized(const Expr &e) const {
    const Cast *c = as<Cast>(e);
    if (!c || e->type.dtype != DType::u8 || c->value->type.dtype != DType::i32) return std::nullopt;
    Sum32 r;
    Expr x = c->value;
    r.rest.least = 0, r.rest.most = 255;
    bool low = false, high = false;
    for (const Binary *b = as<Binary>(x); b && (b->op == BinaryOp::Min || b->op == BinaryOp::Max);
         b = as<Binary>(x)) {
      auto bound = constantOf(b->b) ? constantOf(b->b) : constantOf(b->a);
      if (!bound) return std::nullopt;
      (b->op == BinaryOp::Min ? r.rest.most : r.rest.least) = int32_t(*bound);
      (b->op == BinaryOp::Min ? high : low) = true;
      x = constantOf(b->b) ? b->a : b->b;
    }
    int64_t constant = 0;
    x = withoutConstant(x, constant);
    r.rest.zero = int32_t(uint32_t(uint64_t(constant + kRounderBits)));
    const Call *bits = as<Call>(x);
    const Call *fma = bits && bits->fn == Intrinsic::Bits ? as<Call>(bits->args[0]) : nullptr;
    if (!low || !high || !fma || fma->fn != Intrinsic::Fma) return std::nullopt;
    const FloatImm *rounder = as<FloatImm>(fma->args[2]);
    const Cast *sum = as<Cast>(fma->args[0]);
    if (!rounder || rounder->value != kRounder || !sum || sum->value->type.dtype != DType::i32)
      return std::nullopt;
    r.rest.scale = fma->args[1];
    if (!readSum(sum->value, r)) return std::nullopt;
    return r;
  }

  /// table[code], and the code.
  static Expr withoutTable(const Expr &e, std::optional<Load> &table) {
    const Load *l = as<Load>(e);
    if (!l || l->buffer->scope != Scope::Constant || l->buffer->dtype != DType::u8 || l->indices.empty())
      return e;
    const Cast *index = as<Cast>(l->indices.back());
    if (!index || index->value->type.dtype != DType::u8) return e;
    table = *l;
    return index->value;
  }

  /// What is read where the engine makes no sum of it.
  bool readSource(const Expr &e) {
    if (isSum(e)) return r.readsSum = true;
    if (const Cast *c = as<Cast>(e); c && isSum(c->value) && c->value->type.dtype == DType::u8)
      return r.readsSum = true;
    if (d.reduces() || !isActivation(e)) return false;
    r.input = e;
    return true;
  }

  bool readInner(const Expr &e) {
    Expr code = withoutTable(e, r.firstTable);
    auto sum = requantized(code);
    if (!sum) return readSource(code);
    if (sum->sources.size() != 1 || sum->sources[0].factor != 1) return false;
    r.first = sum->rest;
    return readSource(sum->sources[0].code);
  }

  bool readOuter(const Expr &e) {
    std::optional<Load> table;
    Expr code = withoutTable(e, table);
    auto sum = requantized(code);
    if (!sum || sum->sources.size() != 2) return readInner(e);
    auto fits = [](int64_t factor) { return factor >= INT32_MIN && factor <= INT32_MAX; };
    Source own = sum->sources[0], other = sum->sources[1];
    // The other operand is a plain load; where both are, the first is the layer's own.
    if (d.reduces() ? isActivation(own.code) : !isActivation(other.code)) std::swap(own, other);
    if (!isActivation(other.code) || !fits(own.factor) || !fits(other.factor)) return false;
    r.second = sum->rest;
    r.secondTable = table;
    r.other = *as<Load>(other.code);
    r.ownFactor = int32_t(own.factor), r.otherFactor = int32_t(other.factor);
    return readInner(own.code);
  }
};

} // namespace

Result<CodeChain> codeChainOf(const Definition &d) { return ChainReader(d).read(); }

std::optional<IntegerScale> integerScale(float scale) {
  if (!std::isnormal(scale) || scale <= 0) return std::nullopt;
  constexpr int kFraction = 23, kBias = 127, kMost = 60;
  auto bits = std::bit_cast<uint32_t>(scale);
  int exponent = int(bits >> kFraction) - kBias;
  int shift = kFraction - exponent;
  if (shift < 1) return std::nullopt;
  // |sum| < 2^31 and the multiplier < 2^24: shifted by more, the product rounds to 0 all the same.
  return IntegerScale{int32_t((bits & ((1u << kFraction) - 1)) | (1u << kFraction)), std::min(shift, kMost)};
}

} // namespace planish::codegen::fpga
