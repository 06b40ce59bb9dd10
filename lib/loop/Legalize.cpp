// Transcendental functions as polynomials of exactly rounded operations.
//
// Scalars and vectors take the same operations, so a scalar tail equals its vector neighbours bit for
// bit. Arguments are named by lets before the statement, so nothing is computed twice. The worst
// errors, held by the unit tests with and without fma: exp 3 ulp, log 2, tanh 3, erf 2, sin and cos 2 for
// |x| <= 50 and 2e-7 absolute for |x| <= 8192 (useless beyond). Exp saturates to
// inf and falls to 0 within the subnormal numbers; NaN stays NaN everywhere. Range reductions follow
// W. J. Cody and W. Waite, "Software Manual for the Elementary Functions" (1980); the coefficients are
// minimax fits of our own.
#include "planish/loop/Passes.h"

#include "planish/loop/Rewrite.h"

#include <cmath>
#include <initializer_list>
#include <limits>

namespace planish::loop {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Minimax coefficients, highest power first.
constexpr double kExp[] = {0.011669366620481014, 0.03906264901161194, 0.16755490005016327,
                           0.49987083673477173,  1.0000059604644775,  1.0};  // e^r, r in [0, ln 2]
constexpr double kLog[] = {-0.07634519785642624, 0.12761569023132324, -0.1316017061471939,
                           0.14201758801937103,  -0.1662335842847824, 0.20001226663589478,
                           -0.2500081956386566,  0.3333333134651184};  // (log(1+f) - f + f^2/2) / f^3
constexpr double kTanh[] = {-0.005704979877918959, 0.020639080554246902, -0.05373971164226532,
                            0.13331441581249237, -0.3333328068256378};  // (tanh x - x) / x^3 in x^2
constexpr double kErf[] = {-0.0005976594402454793, 0.004990413784980774,
                           -0.026764756068587303,  0.1128176599740982,
                           -0.37612488865852356,   0.12837915122509003};  // erf(x)/x - 1 in x^2
constexpr double kLogErfc[] = {0.00019535725004971027, -0.003037524176761508, 0.022204207256436348,
                               -0.10388443619012833,   -0.6372360587120056,   -1.1276437044143677,
                               -0.00020342487550806254};  // log erfc(x), x in [0.925, 3.95]
constexpr double kSin[] = {-0.0001951528392964974, 0.00833216030150652, -0.16666655242443085};
constexpr double kCos[] = {2.44331567955669e-05, -0.0013887316454201937, 0.04166664555668831};

constexpr double kTanhSmall = 0.625, kErfSmall = 0.925, kErfOne = 3.95;

// ln 2 and pi/2 in parts whose products with a small integer are exact.
constexpr double kLn2High = 0.693359375, kLn2Low = -2.12194440054690583e-4;
constexpr double kHalfPi[] = {1.5703125, 4.837512969970703125e-4, 7.54978995489188216e-8};

/// Builds one expansion: lanes, the back end's fma, and the lets made so far.
class Expansion {
public:
  struct Named {
    Var var;
    Expr value;
  };

  Expansion(const Legal &legal, std::vector<Named> &lets, bool mayName)
      : legal(legal), lets(lets), mayName(mayName) {}

  Expr expand(const Expr &e) {
    auto *c = as<Call>(e);
    if (!c) return e;
    lanes = e->type.lanes;
    switch (c->fn) {
    case Intrinsic::Fma: return legal.fma || rounds(*c) ? e : fma(c->args[0], c->args[1], c->args[2]);
    case Intrinsic::Scale2: return legal.scale2 ? e : scale2(c->args[0], c->args[1]);
    case Intrinsic::Exp: return exp(named("x", c->args[0]));
    case Intrinsic::Log: return log(named("x", c->args[0]));
    case Intrinsic::Tanh: return tanh(named("x", c->args[0]));
    case Intrinsic::Erf: return erf(named("x", c->args[0]));
    case Intrinsic::Sin: return sinCos(named("x", c->args[0]), 0);
    case Intrinsic::Cos: return sinCos(named("x", c->args[0]), 1);
    default: return e;
    }
  }

private:
  Expr k(double value) const { return fimm(value, lanes); }
  Expr ki(int64_t value) const { return imm(value, {DType::i32, lanes}); }
  Expr round(const Expr &x) const { return call(Intrinsic::Round, {x}); }
  Expr floor(const Expr &x) const { return call(Intrinsic::Floor, {x}); }
  Expr abs(const Expr &x) const { return call(Intrinsic::Abs, {x}); }
  Expr bits(const Expr &x) const { return call(Intrinsic::Bits, {x}); }
  Expr fromBits(const Expr &x) const { return call(Intrinsic::FromBits, {x}); }

  /// The addend makes the sum an integer, so its one rounding is the point.
  static bool rounds(const Call &c) {
    auto *addend = as<FloatImm>(c.args[2]);
    return addend && addend->value == kRounder;
  }
  Expr fma(const Expr &a, const Expr &b, const Expr &c) const {
    return legal.fma ? call(Intrinsic::Fma, {a, b, c}) : a * b + c;
  }
  Expr scale2(const Expr &p, const Expr &n) {
    if (legal.scale2) return call(Intrinsic::Scale2, {p, n});
    return p * fromBits((cast(DType::i32, n) + ki(127)) * ki(1 << 23));
  }

  /// `e`, computed once where it is not a name or an immediate already.
  Expr named(const char *name, const Expr &e) {
    if (!mayName || as<VarRef>(e) || as<FloatImm>(e) || as<IntImm>(e)) return e;
    Var v = var(name, e->type);
    lets.push_back({v, e});
    return use(v);
  }

  template <size_t N> Expr horner(const double (&coefficients)[N], const Expr &x) const {
    Expr p = k(coefficients[0]);
    for (size_t i = 1; i < N; ++i) p = fma(p, x, k(coefficients[i]));
    return p;
  }

  /// e^x = 2^n * e^r, n = floor(x / ln 2), r = x - n ln 2. Far below the range r is so negative that the
  /// polynomial is, and max makes it 0; far above it the result overflows to inf.
  Expr exp(const Expr &x) {
    Expr whole = floor(x * k(1.44269504088896341));
    Expr n = named("n", max(min(whole, k(127)), k(-126)));
    Expr r = named("r", fma(n, k(-kLn2Low), fma(n, k(-kLn2High), x)));
    return scale2(max(k(0), horner(kExp, r)), n);
  }

  /// log x = e ln 2 + log m, m in [sqrt(1/2), sqrt 2); subnormal numbers are scaled up first.
  Expr log(const Expr &x) {
    Expr small = lessThan(x, k(std::ldexp(1.0, -126)));
    Expr scaled = named("s", select(small, x * k(std::ldexp(1.0, 23)), x));
    Expr b = named("b", bits(scaled));
    Expr e = named("e", floorDiv(b - ki(0x3f3504f3), ki(1 << 23)));
    Expr f = named("f", fromBits(b - e * ki(1 << 23)) - k(1));
    Expr n = named("n", cast(DType::f32, e) - select(small, k(23), k(0)));
    Expr square = named("q", f * f);
    Expr tail = fma(square * f, horner(kLog, f), fma(n, k(kLn2Low), square * k(-0.5)));
    Expr value = fma(n, k(kLn2High), tail + f);
    Expr special = select(binary(BinaryOp::Eq, x, k(0)), k(-kInfinity), k(std::nan("")));
    return select(lessThan(k(0), x), select(lessThan(x, k(kInfinity)), value, x), special);
  }

  /// Odd polynomial near 0, else 1 - 2 / (e^2|x| + 1).
  Expr tanh(const Expr &x) {
    Expr a = named("a", abs(x)), square = named("q", x * x);
    Expr nearZero = fma(square * x, horner(kTanh, square), x);
    Expr far = named("t", k(1) - binary(BinaryOp::Div, k(2), exp(named("y", a + a)) + k(1)));
    return select(lessThan(a, k(kTanhSmall)), nearZero, signedAs(x, far));
  }

  /// Odd polynomial near 0, else 1 - e^p(|x|).
  Expr erf(const Expr &x) {
    Expr a = named("a", min(k(kErfOne), abs(x))), square = named("q", x * x);
    Expr nearZero = fma(x, horner(kErf, square), x);
    Expr far = named("t", k(1) - exp(named("y", horner(kLogErfc, a))));
    return select(lessThan(a, k(kErfSmall)), nearZero, signedAs(x, far));
  }

  Expr signedAs(const Expr &x, const Expr &magnitude) const {
    return select(lessThan(x, k(0)), k(0) - magnitude, magnitude);
  }

  /// x = n pi/2 + r, |r| <= pi/4; the quadrant n + shift chooses sine or cosine and the sign.
  Expr sinCos(const Expr &x, int shift) {
    Expr n = named("n", round(x * k(0.636619772367581343)));
    Expr r = x;
    for (double part : kHalfPi) r = fma(n, k(-part), r);
    r = named("r", r);
    Expr square = named("q", r * r);
    Expr sine = fma(square * r, horner(kSin, square), r);
    Expr cosine = fma(square * square, horner(kCos, square), fma(square, k(-0.5), k(1)));
    Expr quadrant = named("i", floorMod(cast(DType::i32, n) + ki(shift), ki(4)));
    Expr odd = binary(BinaryOp::Eq, floorMod(quadrant, ki(2)), ki(1));
    Expr value = named("v", select(odd, cosine, sine));
    return select(lessThan(quadrant, ki(2)), value, k(0) - value);
  }

  const Legal &legal;
  std::vector<Named> &lets;
  bool mayName;
  int lanes = 1;
};

} // namespace

Function legalize(const Function &f, const Legal &legal) {
  using Lets = std::vector<Expansion::Named>;
  auto inPlace = [&](const Expr &e, Lets &lets, bool mayName) {
    return rewrite(e, [&](const Expr &x) { return Expansion(legal, lets, mayName).expand(x); });
  };
  auto post = [&](const Stmt &s) -> Stmt {
    Lets lets;
    auto go = [&](const Expr &e) { return e ? inPlace(e, lets, !as<While>(s)) : e; };
    auto all = [&](std::vector<Expr> list) {
      for (auto &e : list) e = go(e);
      return list;
    };
    Stmt r = match(
        s, [&](const For &l) { return loop(l.var, go(l.begin), go(l.end), l.kind, l.body); },
        [&](const While &w) { return makeStmt(While{go(w.cond), w.body}); },
        [&](const Store &t) { return makeStmt(Store{t.buffer, all(t.indices), go(t.value), go(t.mask)}); },
        [&](const If &i) { return makeStmt(If{go(i.cond), i.then}); },
        [&](const Let &l) { return makeStmt(Let{l.var, go(l.value), l.body}); },
        [&](const Eval &v) { return makeStmt(Eval{go(v.call)}); },
        [&](const Launch &l) { return makeStmt(Launch{l.kernel, l.buffers, all(l.scalars), go(l.tasks)}); },
        [&](const auto &) { return s; });
    for (size_t i = lets.size(); i-- > 0;) r = makeStmt(Let{lets[i].var, lets[i].value, r});
    return r;
  };
  return {f.name, f.params, f.scalars, rewrite(f.body, post)};
}

} // namespace planish::loop
