// Functions of one or two elements: a row of data each.
#include "Rows.h"

#include <array>
#include <limits>
#include <utility>

namespace planish::ops {

namespace {

Expr f(double v) { return loop::fimm(v); }
Expr call1(Intrinsic fn, const Expr &x) { return loop::call(fn, {x}); }
Expr quotientOf(const Expr &a, const Expr &b) { return binary(BinaryOp::Div, a, b); }
Expr expOf(const Expr &x) { return call1(Intrinsic::Exp, x); }
Expr logOf(const Expr &x) { return call1(Intrinsic::Log, x); }
Expr sqrtOf(const Expr &x) { return call1(Intrinsic::Sqrt, x); }
Expr absOf(const Expr &x) { return call1(Intrinsic::Abs, x); }
Expr zeroOf(const Expr &x) { return number(0, x->type.dtype); }
Expr negative(const Expr &x) { return lessThan(x, zeroOf(x)); }
Expr clamped(const Expr &x, const Expr &lo, const Expr &hi) { return min(max(x, lo), hi); }
/// ln(1 + e^x) without overflow.
Expr softplus(const Expr &x) { return max(x, f(0)) + logOf(f(1) + expOf(f(0) - absOf(x))); }
/// tanh by the intrinsic; e^x - 1 near 0 keeps its digits as 2t / (1 - t) with t = tanh(x / 2).
Expr expm1(const Expr &x) {
  Expr t = call1(Intrinsic::Tanh, x * f(0.5));
  return select(lessThan(absOf(x), f(0.5)), quotientOf(t * f(2), f(1) - t), expOf(x) - f(1));
}
/// ln(1 + x), with the correction of what 1 + x rounds away (Kahan).
Expr log1p(const Expr &x) {
  Expr u = f(1) + x, d = u - f(1);
  return select(binary(BinaryOp::Eq, d, f(0)), x,
                logOf(u) * quotientOf(x, select(binary(BinaryOp::Eq, d, f(0)), f(1), d)));
}
Expr withSignOf(const Expr &magnitude, const Expr &x) {
  return select(negative(x), magnitude * f(-1), magnitude);
}

/// Arc tangent: reduced to |x| <= tan(pi/8) by two identities, then the odd Taylor series to x^15 (terms
/// beyond are below 1e-7 there).
Expr atan(const Expr &x) {
  constexpr double kPi = 3.14159265358979323846;
  Expr a = absOf(x);
  Expr big = lessThan(f(2.414213562373095), a), middle = lessThan(f(0.4142135623730950), a);
  Expr t = select(big, quotientOf(f(-1), max(a, f(1))), select(middle, quotientOf(a - f(1), a + f(1)), a));
  Expr base = select(big, f(kPi / 2), select(middle, f(kPi / 4), f(0)));
  Expr z = t * t, p = f(-1.0 / 15);
  for (int k = 13; k >= 1; k -= 2) p = p * z + f((k / 2) % 2 ? -1.0 / k : 1.0 / k);
  return withSignOf(base + p * t, x);
}
Expr asin(const Expr &x) { return atan(quotientOf(x, sqrtOf((f(1) - x) * (f(1) + x)))); }

struct UnaryRow {
  OpDef op;
  DTypes types;  // of operand and result
  bool boolean;  // the result is b1
  Expr (*value)(const Expr &x, double alpha, double beta);
};

using enum Intrinsic;
// In the order of enum Unary. Every name is the operator's spelling in text.
const std::array<UnaryRow, size_t(Unary::kCount)> &unaryTable();

template <size_t I> Types inferUnary(InferContext &c) {
  const UnaryRow &row = unaryTable()[I];
  PLANISH_TRY(wantOperands(c, 1, 1));
  PLANISH_TRY(wantType(c, 0, row.types));
  return oneOutput({row.boolean ? DType::b1 : c.in(0).dtype, c.in(0).shape, {}, {}});
}

template <size_t I> Compute computeUnary(const OpView &v) {
  const UnaryRow &row = unaryTable()[I];
  UnaryAttrs a = v.attrs.empty() ? UnaryAttrs{} : v.attrs.as<UnaryAttrs>();
  return mapped(v, std::string(row.op.name),
                [&](const Exprs &at) { return row.value(load(v.in[0], at), a.alpha, a.beta); });
}

struct BinaryRow {
  OpDef op;
  DTypes types;
  bool boolean;
  Expr (*value)(const Expr &a, const Expr &b);
};
const std::array<BinaryRow, size_t(Binary::kCount)> &binaryTable();

template <size_t I> Types inferBinary(InferContext &c) {
  const BinaryRow &row = binaryTable()[I];
  PLANISH_TRY(wantOperands(c, 2, 2));
  PLANISH_TRY(wantType(c, 0, row.types));
  PLANISH_TRY(wantSameType(c, 0, 1));
  PLANISH_ASSIGN(Shape shape, broadcastOperands(c, 0, 2));
  return oneOutput({row.boolean ? DType::b1 : c.in(0).dtype, std::move(shape), {}, {}});
}

template <size_t I> Compute computeBinary(const OpView &v) {
  const BinaryRow &row = binaryTable()[I];
  return mapped(v, std::string(row.op.name), [&](const Exprs &at) {
    return row.value(load(v.in[0], graph::broadcastIndices(v, 0, at)),
                     load(v.in[1], graph::broadcastIndices(v, 1, at)));
  });
}

Expr absolute(const Expr &x) {
  switch (x->type.dtype) {
  case DType::f32:
  case DType::f64:
  case DType::i32:
  case DType::i64: return absOf(x);
  default: return isUnsigned(x->type.dtype) ? x : select(negative(x), zeroOf(x) - x, x);
  }
}
Expr negated(const Expr &x) { return isFloat(x->type.dtype) ? x * number(-1, x->type.dtype) : zeroOf(x) - x; }
Expr signOf(const Expr &x) {
  DType t = x->type.dtype;
  Expr positive = select(lessThan(zeroOf(x), x), number(1, t), zeroOf(x));
  return isUnsigned(t) ? positive : select(negative(x), number(-1, t), positive);
}
Expr division(const Expr &a, const Expr &b) {
  return isFloat(a->type.dtype) ? quotientOf(a, b) : truncatedDiv(a, b);
}
/// C's fmod: the sign of the dividend.
Expr remainder(const Expr &a, const Expr &b) {
  if (!isFloat(a->type.dtype)) return a - truncatedDiv(a, b) * b;
  Expr q = quotientOf(a, b), whole = select(negative(q), call1(Ceil, q), call1(Floor, q));
  return a - select(binary(BinaryOp::Eq, whole, f(0)), f(0), whole * b);  // 0 * inf is no number
}
/// ONNX Mod: the sign of the divisor.
Expr modulo(const Expr &a, const Expr &b) {
  Expr zero = zeroOf(a);
  if (!isFloat(a->type.dtype))
    return floorMod(a, select(binary(BinaryOp::Eq, b, zero), number(1, b->type.dtype), b));
  Expr r = remainder(a, b), other = conjunction(notEqual(r, zero), notEqual(negative(r), negative(b)));
  return select(other, r + b, r);
}
/// exp(b ln|a|) with the sign and the special cases of C's pow.
Expr power(const Expr &a, const Expr &b) {
  Expr magnitude = expOf(b * logOf(absOf(a)));
  Expr integral = binary(BinaryOp::Eq, call1(Floor, b), b);
  Expr half = b * f(0.5);
  Expr even = binary(BinaryOp::Eq, call1(Floor, half), half);
  Expr ofNegative = select(integral, select(even, magnitude, magnitude * f(-1)),
                           f(std::numeric_limits<double>::quiet_NaN()));
  return select(binary(BinaryOp::Eq, b, f(0)), f(1), select(negative(a), ofNegative, magnitude));
}
/// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
Expr geluTanh(const Expr &x) {
  Expr inner = (x + x * x * x * f(0.044715)) * f(0.7978845608028654);
  return x * f(0.5) * (f(1) + call1(Tanh, inner));
}

constexpr OpClass kMap = OpClass::Elementwise;
#define PLANISH_UNARY(spelling, text, dtypes, boolean, expression)                                           \
  UnaryRow {                                                                                                 \
    {.name = spelling, .summary = text, .operands = "x", .cls = kMap}, dtypes, boolean,                      \
        [](const Expr &x, [[maybe_unused]] double alpha, [[maybe_unused]] double beta) -> Expr {             \
          return expression;                                                                                 \
        }                                                                                                    \
  }
#define PLANISH_BINARY(spelling, text, dtypes, boolean, expression)                                          \
  BinaryRow {                                                                                                \
    {.name = spelling, .summary = text, .operands = "a, b", .cls = kMap}, dtypes, boolean,                   \
        [](const Expr &a, const Expr &b) -> Expr { return expression; }                                      \
  }

constexpr size_t kFirstWithParameters = size_t(Unary::LeakyRelu);

template <size_t... I>
auto completeUnary(std::array<UnaryRow, sizeof...(I)> rows, std::index_sequence<I...>) {
  ((rows[I].op.infer = inferUnary<I>, rows[I].op.compute = computeUnary<I>), ...);
  for (size_t i = kFirstWithParameters; i < rows.size(); ++i) rows[i].op.prototype = UnaryAttrs{};
  return rows;
}
template <size_t... I>
auto completeBinary(std::array<BinaryRow, sizeof...(I)> rows, std::index_sequence<I...>) {
  ((rows[I].op.infer = inferBinary<I>, rows[I].op.compute = computeBinary<I>), ...);
  return rows;
}

const std::array<UnaryRow, size_t(Unary::kCount)> &unaryTable() {
  static const auto rows = completeUnary(
      std::array<UnaryRow, size_t(Unary::kCount)>{{
          PLANISH_UNARY("relu", "max(x, 0)", kOrdered, false, max(x, zeroOf(x))),
          PLANISH_UNARY("neg", "-x", kOrdered, false, negated(x)),
          PLANISH_UNARY("abs", "|x|", kOrdered, false, absolute(x)),
          PLANISH_UNARY("sign", "-1, 0 or 1", kNumbers, false, signOf(x)),
          PLANISH_UNARY("exp", "e^x", kFloats, false, expOf(x)),
          PLANISH_UNARY("log", "natural logarithm", kFloats, false, logOf(x)),
          PLANISH_UNARY("sqrt", "square root", kReals, false, sqrtOf(x)),
          PLANISH_UNARY("reciprocal", "1 / x", kFloats, false, quotientOf(f(1), x)),
          PLANISH_UNARY("tanh", "hyperbolic tangent", kFloats, false, call1(Tanh, x)),
          PLANISH_UNARY("erf", "error function", kFloats, false, call1(Erf, x)),
          PLANISH_UNARY("sin", "sine of radians", kFloats, false, call1(Sin, x)),
          PLANISH_UNARY("cos", "cosine of radians", kFloats, false, call1(Cos, x)),
          PLANISH_UNARY("tan", "tangent of radians", kFloats, false,
                        quotientOf(call1(Sin, x), call1(Cos, x))),
          PLANISH_UNARY("asin", "arc sine", kFloats, false, asin(x)),
          PLANISH_UNARY("acos", "arc cosine", kFloats, false, f(1.5707963267948966) - asin(x)),
          PLANISH_UNARY("atan", "arc tangent", kFloats, false, atan(x)),
          PLANISH_UNARY("sinh", "hyperbolic sine", kFloats, false, (expm1(x) - expm1(f(0) - x)) * f(0.5)),
          PLANISH_UNARY("cosh", "hyperbolic cosine", kFloats, false, (expOf(x) + expOf(f(0) - x)) * f(0.5)),
          PLANISH_UNARY("asinh", "inverse hyperbolic sine", kFloats, false,
                        withSignOf(log1p(absOf(x) + quotientOf(x * x, f(1) + sqrtOf(x * x + f(1)))), x)),
          PLANISH_UNARY("acosh", "inverse hyperbolic cosine", kFloats, false,
                        log1p((x - f(1)) + sqrtOf((x - f(1)) * (x + f(1))))),
          PLANISH_UNARY("atanh", "inverse hyperbolic tangent", kFloats, false,
                        log1p(quotientOf(x * f(2), f(1) - x)) * f(0.5)),
          PLANISH_UNARY("floor", "largest integer not above x", kReals, false, call1(Floor, x)),
          PLANISH_UNARY("ceil", "smallest integer not below x", kReals, false, call1(Ceil, x)),
          PLANISH_UNARY("round", "nearest integer, ties to even", kReals, false, call1(Round, x)),
          PLANISH_UNARY("sigmoid", "1 / (1 + e^-x)", kFloats, false,
                        quotientOf(f(1), expOf(f(0) - x) + f(1))),
          PLANISH_UNARY("silu", "x * sigmoid(x)", kFloats, false, quotientOf(x, expOf(f(0) - x) + f(1))),
          PLANISH_UNARY("softplus", "ln(1 + e^x)", kFloats, false, softplus(x)),
          PLANISH_UNARY("softsign", "x / (1 + |x|)", kFloats, false, quotientOf(x, f(1) + absOf(x))),
          PLANISH_UNARY("hard_swish", "x * clip(x/6 + 0.5, 0, 1)", kFloats, false,
                        x * clamped(x * f(1.0 / 6) + f(0.5), f(0), f(1))),
          PLANISH_UNARY("mish", "x * tanh(ln(1 + e^x))", kFloats, false, x * call1(Tanh, softplus(x))),
          PLANISH_UNARY("gelu", "x/2 * (1 + erf(x / sqrt 2))", kFloats, false,
                        x * f(0.5) * (f(1) + call1(Erf, x * f(0.7071067811865476)))),
          PLANISH_UNARY("gelu_tanh", "gelu by its tanh approximation", kFloats, false, geluTanh(x)),
          PLANISH_UNARY("not", "logical not", kBools, true, negation(x)),
          PLANISH_UNARY("is_nan", "x is not a number", kFloats, true, negation(binary(BinaryOp::Eq, x, x))),
          PLANISH_UNARY("leaky_relu", "x < 0 ? alpha*x : x", kFloats, false,
                        select(negative(x), x * f(alpha), x)),
          PLANISH_UNARY("elu", "x < 0 ? alpha*(e^x - 1) : x", kFloats, false,
                        select(negative(x), expm1(min(x, f(0))) * f(alpha), x)),
          PLANISH_UNARY("selu", "beta * elu(x, alpha)", kFloats, false,
                        select(negative(x), expm1(min(x, f(0))) * f(alpha), x) * f(beta)),
          PLANISH_UNARY("celu", "max(0, x) + min(0, alpha*(e^(x/alpha) - 1))", kFloats, false,
                        select(negative(x), expm1(min(quotientOf(x, f(alpha)), f(0))) * f(alpha), x)),
          PLANISH_UNARY("thresholded_relu", "x > alpha ? x : 0", kFloats, false,
                        select(lessThan(f(alpha), x), x, f(0))),
          PLANISH_UNARY("hard_sigmoid", "clip(alpha*x + beta, 0, 1)", kFloats, false,
                        clamped(x * f(alpha) + f(beta), f(0), f(1))),
          PLANISH_UNARY("swish", "x * sigmoid(alpha*x)", kFloats, false,
                        quotientOf(x, expOf(x * f(-alpha)) + f(1))),
          PLANISH_UNARY("shrink", "x < -alpha ? x + beta : x > alpha ? x - beta : 0", kFloats, false,
                        select(lessThan(x, f(-alpha)), x + f(beta),
                               select(lessThan(f(alpha), x), x - f(beta), f(0)))),
          PLANISH_UNARY("clip", "min(max(x, alpha), beta)", kNumbers, false,
                        clamped(x, number(alpha, x->type.dtype), number(beta, x->type.dtype))),
          PLANISH_UNARY("is_inf", "x is -inf (unless alpha is 0) or inf (unless beta is 0)", kFloats, true,
                        select(lessThan(absOf(x), f(std::numeric_limits<double>::infinity())),
                               number(0, DType::b1),
                               select(binary(BinaryOp::Eq, x, x),
                                      select(negative(x), number(alpha, DType::b1), number(beta, DType::b1)),
                                      number(0, DType::b1)))),
      }},
      std::make_index_sequence<size_t(Unary::kCount)>());
  return rows;
}

const std::array<BinaryRow, size_t(Binary::kCount)> &binaryTable() {
  static const auto rows = completeBinary(
      std::array<BinaryRow, size_t(Binary::kCount)>{{
          PLANISH_BINARY("add", "a + b", kOrdered, false, a + b),
          PLANISH_BINARY("sub", "a - b", kOrdered, false, a - b),
          PLANISH_BINARY("mul", "a * b", kOrdered, false, a * b),
          PLANISH_BINARY("div", "a / b; integers truncate, and give a where b is 0", kOrdered, false,
                         division(a, b)),
          PLANISH_BINARY("mod", "remainder with the sign of b", kNumbers, false, modulo(a, b)),
          PLANISH_BINARY("fmod", "remainder with the sign of a", kNumbers, false, remainder(a, b)),
          PLANISH_BINARY("min", "smaller element", kOrdered, false, min(a, b)),
          PLANISH_BINARY("max", "larger element", kOrdered, false, max(a, b)),
          PLANISH_BINARY("pow", "a to the power of b", kFloats, false, power(a, b)),
          PLANISH_BINARY("less", "a < b", kOrdered, true, lessThan(a, b)),
          PLANISH_BINARY("less_equal", "a <= b", kOrdered, true, lessEqual(a, b)),
          PLANISH_BINARY("equal", "a == b", kOrdered | kBools, true, binary(BinaryOp::Eq, a, b)),
          PLANISH_BINARY("and", "logical and", kBools, true, binary(BinaryOp::And, a, b)),
          PLANISH_BINARY("or", "logical or", kBools, true, binary(BinaryOp::Or, a, b)),
          PLANISH_BINARY("xor", "logical exclusive or", kBools, true, notEqual(a, b)),
          PLANISH_BINARY("bit_and", "common bits", kInts, false, binary(BinaryOp::And, a, b)),
          PLANISH_BINARY("bit_or", "bits of either", kInts, false, binary(BinaryOp::Or, a, b)),
          PLANISH_BINARY("bit_xor", "bits of one only", kInts, false, binary(BinaryOp::Xor, a, b)),
          PLANISH_BINARY("shift_left", "bits of a moved up by b; 0 where b is not in [0, bits)", kInts, false,
                         binary(BinaryOp::Shl, a, b)),
          PLANISH_BINARY("shift_right", "bits of a moved down by b, filled with its sign", kInts, false,
                         binary(BinaryOp::Shr, a, b)),
          PLANISH_BINARY("prelu", "a < 0 ? a*b : a", kNumbers, false, select(negative(a), a * b, a)),
      }},
      std::make_index_sequence<size_t(Binary::kCount)>());
  return rows;
}

} // namespace

const OpDef &row(Unary fn) { return unaryTable()[size_t(fn)].op; }
const OpDef &row(Arithmetic fn) {
  static constexpr Binary kRows[] = {Binary::Add, Binary::Sub, Binary::Mul, Binary::Min, Binary::Max};
  return row(kRows[size_t(fn)]);
}
Expr valueOf(Unary fn, const Expr &x, double alpha, double beta) {
  return unaryTable()[size_t(fn)].value(x, alpha, beta);
}
const OpDef &row(Binary fn) { return binaryTable()[size_t(fn)].op; }

} // namespace planish::ops
