// The builder of binary operators: folds constants and keeps scalar i64 arithmetic in polynomial
// normal form.
#include "Arithmetic.h"
#include "Normal.h"
#include "planish/support/Check.h"

#include <algorithm>
#include <numeric>

namespace planish::loop {

namespace {

using enum BinaryOp;

bool isComparison(BinaryOp op) { return op == Lt || op == Le || op == Eq; }
bool isLogical(BinaryOp op, const Expr &a) { return (op == And || op == Or) && a->type.dtype == DType::b1; }

/// In T, which is what the operands' type is in C++.
template <class T> Expr foldFloats(BinaryOp op, T x, T y, Type type) {
  switch (op) {
  case Add: return constant(x + y, type);
  case Sub: return constant(x - y, type);
  case Mul: return constant(x * y, type);
  case Div: return constant(x / y, type);
  case Min: return constant(x < y ? x : y, type);
  case Max: return constant(x > y ? x : y, type);
  case Lt: return imm(x < y, type);
  case Le: return imm(x <= y, type);
  case Eq: return imm(x == y, type);
  default: return {};
  }
}

/// Operands of the type `of`; wrapped by imm().
Expr foldIntegers(BinaryOp op, int64_t x, int64_t y, DType of, Type type) {
  bool logical = of == DType::b1;
  switch (op) {
  case Add: return imm(wrappingAdd(x, y), type);
  case Sub: return imm(wrappingSub(x, y), type);
  case Mul: return imm(wrappingMul(x, y), type);
  case FloorDiv: return y ? imm(quotientOf(of, x, y), type) : Expr();
  case FloorMod: return y ? imm(remainderOf(of, x, y), type) : Expr();
  case Min: return imm(isLess(of, x, y) ? x : y, type);
  case Max: return imm(isLess(of, y, x) ? x : y, type);
  case Lt: return imm(isLess(of, x, y), type);
  case Le: return imm(!isLess(of, y, x), type);
  case Eq: return imm(x == y, type);
  case And: return imm(logical ? x && y : x & y, type);
  case Or: return imm(logical ? x || y : x | y, type);
  case Xor: return imm(x ^ y, type);
  case Shl: return imm(shiftedLeft(of, x, y), type);
  case Shr: return imm(shiftedRight(of, x, y), type);
  default: return {};
  }
}

/// ramp(b, s) + c, c - ramp(b, s) and ramp(b, s) * c stay ramps, so vector addresses keep one scalar
/// base. Empty where `r`, `u` are not a ramp over a scalar and a repeated scalar.
Expr shiftedRamp(BinaryOp op, const Expr &r, const Expr &u, bool rampIsSubtrahend) {
  auto *p = as<Ramp>(r);
  if (!p || p->base->type.lanes != 1) return {};
  Expr scalar;
  if (auto *q = as<Broadcast>(u); q && q->value->type == Type{}) scalar = q->value;
  if (auto *k = as<IntImm>(u); k && u->type.dtype == DType::i64) scalar = imm(k->value);
  if (!scalar) return {};
  int lanes = r->type.lanes;
  if (op == Mul) {
    auto c = constantOf(scalar);
    return c ? ramp(p->base * scalar, p->stride * *c, lanes) : Expr();
  }
  if (rampIsSubtrahend) return ramp(scalar - p->base, -p->stride, lanes);
  return ramp(op == Add ? p->base + scalar : p->base - scalar, p->stride, lanes);
}

/// And, or with an immediate or with itself.
Expr foldLogical(BinaryOp op, const Expr &a, const Expr &b) {
  if (a.get() == b.get()) return a;
  for (bool swap : {false, true}) {
    const Expr &constant = swap ? b : a, &other = swap ? a : b;
    auto *k = as<IntImm>(constant);
    if (!k) continue;
    return bool(k->value) == (op == And) ? other : constant;
  }
  return {};
}

/// Scalar i64: normal forms.
Expr foldIndex(BinaryOp op, const Expr &a, const Expr &b) {
  auto x = constantOf(a), y = constantOf(b);
  switch (op) {
  case Add:
    if (y == 0) return a;
    if (x == 0) return b;
    return normalSum(a, b, 1);
  case Sub:
    if (y == 0) return a;
    if (a.get() == b.get()) return imm(0);
    return normalSum(a, b, -1);
  case Mul:
    if (x == 0 || y == 0) return imm(0);
    if (y == 1) return a;
    if (x == 1) return b;
    return normalProduct(a, b);
  case FloorDiv: return normalDivision(a, b, {});
  case FloorMod: return normalModulo(a, b, {});
  case Min:
  case Max: {
    if (auto d = constantDifference(a, b)) return (*d <= 0) == (op == Min) ? a : b;
    return x ? makeExpr({}, Binary{op, b, a}) : Expr();
  }
  case Lt:
  case Le:
  case Eq: {
    auto d = constantDifference(a, b);
    if (!d) return {};
    return imm(op == Lt ? *d < 0 : op == Le ? *d <= 0 : *d == 0, {DType::b1, 1});
  }
  default: return {};
  }
}

/// Integers other than scalar i64: neutral and absorbing elements.
Expr foldNeutral(BinaryOp op, const Expr &a, const Expr &b) {
  auto *x = as<IntImm>(a), *y = as<IntImm>(b);
  if (y && y->value == 0 && (op == Add || op == Sub)) return a;
  if (x && x->value == 0 && op == Add) return b;
  if (y && y->value == 1 && (op == Mul || op == FloorDiv)) return a;
  if (x && x->value == 1 && op == Mul) return b;
  if (op == Mul && ((x && x->value == 0) || (y && y->value == 0))) return x && x->value == 0 ? a : b;
  if (y && y->value == 1 && op == FloorMod) return imm(0, b->type);
  return {};
}

} // namespace

Expr binary(BinaryOp op, const Expr &left, const Expr &right) {
  int lanes = std::max(left->type.lanes, right->type.lanes);
  const Expr a = left->type.lanes == lanes ? left : broadcast(left, lanes / left->type.lanes);
  const Expr b = right->type.lanes == lanes ? right : broadcast(right, lanes / right->type.lanes);
  PLANISH_CHECK(a->type == b->type, "operands of '" + std::string(nameOf(op)) +
                                        "' differ in type: " + std::string(nameOf(a->type.dtype)) + " and " +
                                        std::string(nameOf(b->type.dtype)));
  bool floats = isFloat(a->type.dtype);
  Type type = isComparison(op) ? Type{DType::b1, lanes} : a->type;

  if (floats) {
    auto *x = as<FloatImm>(a), *y = as<FloatImm>(b);
    if (x && y)
      if (Expr r = a->type.dtype == DType::f64 ? foldFloats(op, x->value, y->value, type)
                                               : foldFloats(op, float(x->value), float(y->value), type))
        return r;
    if ((op == Min || op == Max) && equal(a, b)) return a;
    return makeExpr(type, Binary{op, a, b});
  }
  if (auto *x = as<IntImm>(a), *y = as<IntImm>(b); x && y)
    if (Expr r = foldIntegers(op, x->value, y->value, a->type.dtype, type)) return r;
  if (isLogical(op, a)) {
    if (Expr r = foldLogical(op, a, b)) return r;
    return makeExpr(type, Binary{op, a, b});
  }
  if (a->type == Type{}) {
    if (Expr r = foldIndex(op, a, b)) return r;
    return makeExpr(type, Binary{op, a, b});
  }
  if (Expr r = foldNeutral(op, a, b)) return r;
  if ((op == Min || op == Max) && equal(a, b)) return a;
  if (a->type.dtype == DType::i64 && (op == Add || op == Sub || op == Mul)) {
    if (Expr r = shiftedRamp(op, a, b, false)) return r;
    if (Expr r = shiftedRamp(op, b, a, op == Sub)) return r;
  }
  return makeExpr(type, Binary{op, a, b});
}

} // namespace planish::loop
