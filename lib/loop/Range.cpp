// Bounds of integer expressions, and what they decide.
#include "Arithmetic.h"
#include "Normal.h"

#include <algorithm>

namespace planish::loop {

namespace {

using enum BinaryOp;

constexpr Range kAnything{INT64_MIN, INT64_MAX};

int64_t saturatingAdd(int64_t a, int64_t b) {
  int64_t r;
  return __builtin_add_overflow(a, b, &r) ? (a < 0 ? INT64_MIN : INT64_MAX) : r;
}
int64_t saturatingMul(int64_t a, int64_t b) {
  int64_t r;
  return __builtin_mul_overflow(a, b, &r) ? ((a < 0) == (b < 0) ? INT64_MAX : INT64_MIN) : r;
}

Range sum(Range a, Range b) { return {saturatingAdd(a.lo, b.lo), saturatingAdd(a.hi, b.hi)}; }
Range negated(Range a) { return {saturatingMul(a.hi, -1), saturatingMul(a.lo, -1)}; }
Range product(Range a, Range b) {
  auto [lo, hi] = std::minmax({saturatingMul(a.lo, b.lo), saturatingMul(a.lo, b.hi),
                               saturatingMul(a.hi, b.lo), saturatingMul(a.hi, b.hi)});
  return {lo, hi};
}
Range join(Range a, Range b) { return {std::min(a.lo, b.lo), std::max(a.hi, b.hi)}; }
Range meet(Range a, Range b) { return {std::max(a.lo, b.lo), std::min(a.hi, b.hi)}; }

/// A u64 has its bits as an i64 here, so nothing is known of its order.
Range typeRange(DType dtype) {
  return isFloat(dtype) || dtype == DType::u64 ? kAnything : Range{lowest(dtype), highest(dtype)};
}
bool hasOrder(const Expr &e) { return !isFloat(e->type.dtype) && e->type.dtype != DType::u64; }

/// The range, or all values of the type where arithmetic may have wrapped.
Range wrapped(Range r, DType dtype) {
  Range t = typeRange(dtype);
  return r.lo < t.lo || r.hi > t.hi ? t : r;
}

Range quotient(Range a, Range b) {
  if (b.lo <= 0 && b.hi >= 0) return kAnything;
  auto [lo, hi] = std::minmax(
      {floorDivide(a.lo, b.lo), floorDivide(a.lo, b.hi), floorDivide(a.hi, b.lo), floorDivide(a.hi, b.hi)});
  return {lo, hi};
}
Range modulo(Range a, Range b) {
  if (b.lo <= 0) return kAnything;
  if (a.lo >= 0 && a.hi < b.lo) return a;
  return {0, a.lo >= 0 ? std::min(a.hi, b.hi - 1) : b.hi - 1};
}

/// x*d + r style sums are bounded term by term.
Range polynomialRange(const Affine &a, const Ranges &env) {
  Range r{a.constant, a.constant};
  for (auto &t : a.terms) {
    Range p{t.coefficient, t.coefficient};
    for (size_t i = 0; i < t.factors.size(); ++i) {
      Range f = rangeOf(t.factors[i], env);
      // The square of anything is not negative.
      bool square = i + 1 < t.factors.size() && equal(t.factors[i], t.factors[i + 1]);
      if (square) {
        Range s = product(f, f);
        f = f.lo >= 0 || f.hi <= 0
                ? Range{std::min(saturatingMul(f.lo, f.lo), saturatingMul(f.hi, f.hi)), s.hi}
                : Range{0, s.hi};
        ++i;
      }
      p = product(p, f);
    }
    r = sum(r, p);
  }
  return r;
}

Range binaryRange(const Expr &e, const Binary &b, const Ranges &env) {
  if (b.op == Lt || b.op == Le || b.op == Eq || b.op == And || b.op == Or) {
    if (!hasOrder(b.a) || (e->type.dtype != DType::b1 && b.op >= And)) return typeRange(e->type.dtype);
    Range x = rangeOf(b.a, env), y = rangeOf(b.b, env);
    bool both = x.lo > 0 && y.lo > 0, one = x.lo > 0 || y.lo > 0;
    bool none = x.hi <= 0 && y.hi <= 0, either = x.hi <= 0 || y.hi <= 0;
    switch (b.op) {
    case Lt: return {x.hi < y.lo, x.lo < y.hi};
    case Le: return {x.hi <= y.lo, x.lo <= y.hi};
    case Eq: return {x.lo == x.hi && y.lo == y.hi && x.lo == y.lo, x.lo <= y.hi && y.lo <= x.hi};
    case And: return {both, !either};
    default: return {one, !none};
    }
  }
  if (e->type == Type{} && (b.op == Add || b.op == Sub || b.op == Mul)) {
    Affine p = polynomial(e);
    // A product too large to expand is its own only term.
    if (p.terms.size() != 1 || p.constant || p.terms[0].factors[0].get() != e.get())
      return polynomialRange(p, env);
  }
  Range x = rangeOf(b.a, env), y = rangeOf(b.b, env);
  switch (b.op) {
  case FloorDiv:
  case FloorMod:
  case Min:
  case Max:
    if (!hasOrder(e)) return typeRange(e->type.dtype);
    break;
  default: break;
  }
  switch (b.op) {
  case Add: return wrapped(sum(x, y), e->type.dtype);
  case Sub: return wrapped(sum(x, negated(y)), e->type.dtype);
  case Mul: return wrapped(product(x, y), e->type.dtype);
  case FloorDiv: return wrapped(quotient(x, y), e->type.dtype);
  case FloorMod: return wrapped(modulo(x, y), e->type.dtype);
  case Min: return {std::min(x.lo, y.lo), std::min(x.hi, y.hi)};
  case Max: return {std::max(x.lo, y.lo), std::max(x.hi, y.hi)};
  default: return typeRange(e->type.dtype);
  }
}

/// The bounds of a - b; scalar i64 differences are taken as polynomials, so that equal terms cancel.
Range differenceRange(const Expr &a, const Expr &b, const Ranges &env) {
  Range apart = sum(rangeOf(a, env), negated(rangeOf(b, env)));
  return a->type == Type{} ? meet(apart, rangeOf(a - b, env)) : apart;
}

/// `x`, whose operands are simplified, or what the ranges say it is.
Expr decided(const Expr &x, const Ranges &env) {
  if (x->type.lanes != 1) return x;
  if (auto *s = as<Select>(x)) {
    Range c = rangeOf(s->cond, env);
    return c.lo > 0 ? s->a : c.hi <= 0 ? s->b : x;
  }
  auto *b = as<Binary>(x);
  if (!b || !hasOrder(b->a)) return x;
  if (Range r = rangeOf(x, env); r.lo == r.hi) return imm(r.lo, x->type);
  auto changed = [&](const Expr &y) { return !y || equal(x, y) ? x : y; };
  switch (b->op) {
  case FloorDiv: return x->type == Type{} ? changed(normalDivision(b->a, b->b, env)) : x;
  case FloorMod: return x->type == Type{} ? changed(normalModulo(b->a, b->b, env)) : x;
  case Min:
  case Max: {
    Range d = differenceRange(b->a, b->b, env);
    if (d.hi <= 0) return b->op == Min ? b->a : b->b;
    return d.lo >= 0 ? (b->op == Min ? b->b : b->a) : x;
  }
  case Lt:
  case Le:
  case Eq: {
    Range d = differenceRange(b->a, b->b, env);
    int64_t limit = b->op == Lt ? -1 : 0;
    if (b->op == Eq) return d.lo > 0 || d.hi < 0 ? imm(0, x->type) : x;
    return d.hi <= limit ? imm(1, x->type) : d.lo > limit ? imm(0, x->type) : x;
  }
  default: return x;
  }
}

constexpr int kMaxRounds = 4;  // deciding one node can make its parent decidable

} // namespace

Range rangeOf(const Expr &e, const Ranges &env) {
  Range all = typeRange(e->type.dtype);
  if (isFloat(e->type.dtype)) return all;
  return match(
      e, [&](const IntImm &k) { return Range{k.value, k.value}; }, [&](const FloatImm &) { return all; },
      [&](const VarRef &v) {
        Range declared{v.var->lower, v.var->upper};
        auto it = env.find(v.var);
        return meet(it == env.end() ? declared : it->second, all);
      },
      [&](const Binary &b) { return binaryRange(e, b, env); },
      [&](const Select &s) {
        Range c = rangeOf(s.cond, env);
        if (c.lo > 0) return rangeOf(s.a, env);
        if (c.hi <= 0) return rangeOf(s.b, env);
        return join(rangeOf(s.a, env), rangeOf(s.b, env));
      },
      [&](const Cast &c) {
        if (!hasOrder(c.value)) return all;
        Range x = rangeOf(c.value, env);
        if (e->type.dtype == DType::b1) return Range{x.lo > 0 || x.hi < 0, !(x.lo == 0 && x.hi == 0)};
        return wrapped(x, e->type.dtype);
      },
      [&](const Load &) { return all; },
      [&](const Call &c) {
        if (c.fn != Intrinsic::Abs) return all;
        Range x = rangeOf(c.args[0], env);
        if (x.lo >= 0) return x;
        return wrapped(x.hi <= 0 ? negated(x) : Range{0, std::max(negated(x).hi, x.hi)}, e->type.dtype);
      },
      [&](const Ramp &r) {
        int64_t last = e->type.lanes / r.base->type.lanes - 1;
        return sum(rangeOf(r.base, env), product({r.stride, r.stride}, {0, last}));
      },
      [&](const Broadcast &b) { return rangeOf(b.value, env); });
}

Expr simplify(const Expr &e, const Ranges &env) {
  Expr r = e;
  for (int round = 0; round < kMaxRounds; ++round) {
    Expr before = r;
    r = rewrite(before, [&](const Expr &x) { return decided(x, env); });
    if (r.get() == before.get()) break;
  }
  return r;
}

} // namespace planish::loop
