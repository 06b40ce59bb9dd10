// Integer expressions as polynomials, and back.
#include "Arithmetic.h"
#include "Normal.h"
#include "planish/support/Check.h"

#include <algorithm>
#include <numeric>

namespace planish::loop {

namespace {

using Term = Affine::Term;
using enum BinaryOp;

constexpr size_t kMaxProductTerms = 32;  // larger products stay one factor

bool isVar(const Expr &e, const Var &v) {
  auto *r = as<VarRef>(e);
  return r && r->var == v;
}

/// The same factors in any order.
bool sameMonomial(const std::vector<Expr> &a, const std::vector<Expr> &b) {
  if (a.size() != b.size()) return false;
  if (a.size() == 1) {
    auto *x = as<VarRef>(a[0]), *y = as<VarRef>(b[0]);
    return x && y ? x->var == y->var : !x && !y && equal(a[0], b[0]);
  }
  return std::is_permutation(a.begin(), a.end(), b.begin(),
                             [](const Expr &x, const Expr &y) { return equal(x, y); });
}

int sign(int64_t v) { return v < 0 ? -1 : v > 0; }

/// An order of expressions that does not depend on addresses; 0 for what it cannot tell apart.
int compare(const Expr &a, const Expr &b) {
  if (a.get() == b.get()) return 0;
  if (!a || !b) return a ? 1 : -1;
  if (a->node.index() != b->node.index()) {
    // Variables come first, the largest construction last.
    bool va = as<VarRef>(a), vb = as<VarRef>(b);
    if (va != vb) return va ? -1 : 1;
    return a->node.index() < b->node.index() ? -1 : 1;
  }
  auto lists = [](const std::vector<Expr> &x, const std::vector<Expr> &y) {
    if (x.size() != y.size()) return x.size() < y.size() ? -1 : 1;
    for (size_t i = 0; i < x.size(); ++i)
      if (int c = compare(x[i], y[i])) return c;
    return 0;
  };
  if (auto *x = as<VarRef>(a)) {
    auto *y = as<VarRef>(b);
    return sign(x->var->name.compare(y->var->name));
  }
  if (auto *x = as<IntImm>(a)) {
    auto *y = as<IntImm>(b);
    return x->value < y->value ? -1 : x->value > y->value;
  }
  if (auto *x = as<Binary>(a)) {
    auto *y = as<Binary>(b);
    if (x->op != y->op) return x->op < y->op ? -1 : 1;
    if (int c = compare(x->a, y->a)) return c;
    return compare(x->b, y->b);
  }
  if (auto *x = as<Load>(a)) {
    auto *y = as<Load>(b);
    if (int c = sign(x->buffer->name.compare(y->buffer->name))) return c;
    return lists(x->indices, y->indices);
  }
  if (auto *x = as<Select>(a)) {
    auto *y = as<Select>(b);
    return lists({x->cond, x->a, x->b}, {y->cond, y->a, y->b});
  }
  if (auto *x = as<Cast>(a)) return compare(x->value, as<Cast>(b)->value);
  if (auto *x = as<Call>(a)) {
    auto *y = as<Call>(b);
    if (x->fn != y->fn) return x->fn < y->fn ? -1 : 1;
    return lists(x->args, y->args);
  }
  return 0;
}

/// Positive terms by falling coefficient, then negative ones by falling magnitude; then by degree and
/// names: g*32 + n*16 + v, H*W - oh*2 - kh.
bool before(const Term &a, const Term &b) {
  if ((a.coefficient > 0) != (b.coefficient > 0)) return a.coefficient > 0;
  if (a.factors.size() != b.factors.size()) return a.factors.size() > b.factors.size();
  if (a.coefficient != b.coefficient) return (a.coefficient > b.coefficient) == (a.coefficient > 0);
  for (size_t i = 0; i < a.factors.size(); ++i)
    if (int c = compare(a.factors[i], b.factors[i])) return c < 0;
  return false;
}

/// Stable; sums are short and mostly sorted.
void sortTerms(std::vector<Term> &terms) {
  for (size_t i = 1; i < terms.size(); ++i)
    for (size_t j = i; j > 0 && before(terms[j], terms[j - 1]); --j) std::swap(terms[j], terms[j - 1]);
}

void sortFactors(std::vector<Expr> &factors) {
  std::stable_sort(factors.begin(), factors.end(),
                   [](const Expr &a, const Expr &b) { return compare(a, b) < 0; });
}

void addTerm(Affine &sum, std::vector<Expr> factors, int64_t coefficient) {
  if (coefficient == 0) return;
  for (size_t i = 0; i < sum.terms.size(); ++i) {
    if (!sameMonomial(sum.terms[i].factors, factors)) continue;
    sum.terms[i].coefficient = wrappingAdd(sum.terms[i].coefficient, coefficient);
    if (sum.terms[i].coefficient == 0) sum.terms.erase(sum.terms.begin() + std::ptrdiff_t(i));
    return;
  }
  sum.terms.push_back({std::move(factors), coefficient});
}

/// The polynomial of `e`; `expandModulo` sees x mod d as x - d*(x div d).
void accumulate(Affine &sum, const Expr &e, int64_t factor, bool expandModulo) {
  if (auto *k = as<IntImm>(e)) {
    sum.constant = wrappingAdd(sum.constant, wrappingMul(k->value, factor));
    return;
  }
  if (auto *b = as<Binary>(e); b && e->type == Type{}) {
    switch (b->op) {
    case Add:
    case Sub:
      accumulate(sum, b->a, factor, expandModulo);
      accumulate(sum, b->b, b->op == Add ? factor : -factor, expandModulo);
      return;
    case Mul: {
      if (auto k = constantOf(b->b)) return accumulate(sum, b->a, wrappingMul(factor, *k), expandModulo);
      Affine x, y;
      accumulate(x, b->a, 1, expandModulo);
      accumulate(y, b->b, 1, expandModulo);
      if ((x.terms.size() + 1) * (y.terms.size() + 1) > kMaxProductTerms) break;
      sum.add(x.times(y), factor);
      return;
    }
    case FloorMod: {
      if (!expandModulo) break;
      accumulate(sum, b->a, factor, true);
      Affine quotient, divisor;
      accumulate(quotient, floorDiv(b->a, b->b), 1, true);
      accumulate(divisor, b->b, 1, true);
      if ((quotient.terms.size() + 1) * (divisor.terms.size() + 1) > kMaxProductTerms) {
        sum.add({{{{makeExpr({}, Binary{Mul, toExpr(quotient), b->b})}, 1}}, 0}, -factor);
        return;
      }
      sum.add(quotient.times(divisor), -factor);
      return;
    }
    default: break;
    }
  }
  addTerm(sum, {e}, factor);
}

/// The single monomial that a polynomial is, constants included, if it is one.
std::optional<Term> asMonomial(const Affine &a) {
  if (a.terms.empty() && a.constant) return Term{{}, a.constant};
  if (a.terms.size() == 1 && !a.constant) return a.terms[0];
  return std::nullopt;
}

/// t / d where the division is exact for all values.
std::optional<Term> quotient(const Term &t, const Term &d) {
  if (floorModulo(t.coefficient, d.coefficient)) return std::nullopt;
  Term r{t.factors, floorDivide(t.coefficient, d.coefficient)};
  for (auto &f : d.factors) {
    auto it = std::find_if(r.factors.begin(), r.factors.end(), [&](const Expr &x) { return equal(x, f); });
    if (it == r.factors.end()) return std::nullopt;
    r.factors.erase(it);
  }
  return r;
}

Affine timesMonomial(const Affine &a, const Term &t) {
  Affine r;
  for (auto &x : a.terms) {
    std::vector<Expr> factors = x.factors;
    factors.insert(factors.end(), t.factors.begin(), t.factors.end());
    sortFactors(factors);
    addTerm(r, factors, wrappingMul(x.coefficient, t.coefficient));
  }
  if (t.factors.empty()) r.constant = wrappingMul(a.constant, t.coefficient);
  else addTerm(r, t.factors, wrappingMul(a.constant, t.coefficient));
  return r;
}

const Term *termLike(const Affine &a, const std::vector<Expr> &factors) {
  for (auto &t : a.terms)
    if (sameMonomial(t.factors, factors)) return &t;
  return nullptr;
}

/// k*X - k*D*(X div D) becomes k*(X mod D): one such pattern of the sorted `a`, or false. Which one does
/// not depend on how the sum came about; small divisors come first, since X may hold larger ones.
bool recombineOne(Affine &a) {
  for (size_t n = a.terms.size(); n-- > 0;) {
    const Term t = a.terms[n];
    for (size_t i = 0; i < t.factors.size(); ++i) {
      auto *b = as<Binary>(t.factors[i]);
      if (!b || b->op != FloorDiv) continue;
      auto divisor = asMonomial(affine(b->b));
      if (!divisor) continue;
      Term rest{t.factors, -t.coefficient};
      rest.factors.erase(rest.factors.begin() + std::ptrdiff_t(i));
      auto k = quotient(rest, *divisor);
      if (!k) continue;
      Affine dividend = timesMonomial(affine(b->a), *k);
      bool present = !dividend.terms.empty() &&
                     std::all_of(dividend.terms.begin(), dividend.terms.end(), [&](const Term &x) {
                       const Term *y = termLike(a, x.factors);
                       return y && y->coefficient == x.coefficient;
                     });
      if (!present) continue;
      Term modulo{k->factors, k->coefficient};
      modulo.factors.push_back(makeExpr({}, Binary{FloorMod, b->a, b->b}));
      sortFactors(modulo.factors);
      Affine removed{{{t.factors, t.coefficient}}, 0};
      a.add(removed, -1);
      a.add(dividend, -1);
      addTerm(a, modulo.factors, modulo.coefficient);
      return true;
    }
  }
  return false;
}

bool hasDivision(const Affine &a) {
  for (auto &t : a.terms)
    for (auto &f : t.factors)
      if (auto *b = as<Binary>(f); b && b->op == FloorDiv) return true;
  return false;
}

Expr termExpr(const Term &t, int64_t coefficient) {
  Expr r = t.factors[0];
  for (size_t i = 1; i < t.factors.size(); ++i) r = makeExpr({}, Binary{Mul, r, t.factors[i]});
  return coefficient == 1 ? r : makeExpr({}, Binary{Mul, r, imm(coefficient)});
}

bool isSimpleFactor(const Expr &e) {
  auto *b = as<Binary>(e);
  return !as<IntImm>(e) && (!b || b->op == FloorDiv || b->op == FloorMod || b->op == Min || b->op == Max);
}

/// The normal form's expression.
Expr sumExpr(Affine a) {
  sortTerms(a.terms);
  if (hasDivision(a))
    while (recombineOne(a)) sortTerms(a.terms);
  Expr r;
  bool constantLeads = a.constant > 0 && (a.terms.empty() || a.terms[0].coefficient < 0);
  if (constantLeads) r = imm(a.constant);
  for (auto &t : a.terms) {
    bool minus = t.coefficient < 0 && r && t.coefficient != INT64_MIN;
    Expr e = termExpr(t, minus ? -t.coefficient : t.coefficient);
    r = r ? makeExpr({}, Binary{minus ? Sub : Add, r, e}) : e;
  }
  if (!r) return imm(a.constant);
  if (!a.constant || constantLeads) return r;
  bool minus = a.constant < 0 && a.constant != INT64_MIN;
  return makeExpr({}, Binary{minus ? Sub : Add, r, imm(minus ? -a.constant : a.constant)});
}

/// a = whole*b + rest, `whole` as large as the terms allow without looking at ranges.
struct Division {
  Affine whole, rest;
};
Division divide(const Affine &a, const Term &b) {
  Division r;
  for (auto &t : a.terms) {
    auto q = quotient(t, b);
    if (!q) r.rest.terms.push_back(t);
    else if (q->factors.empty()) r.whole.constant = wrappingAdd(r.whole.constant, q->coefficient);
    else addTerm(r.whole, q->factors, q->coefficient);
  }
  r.rest.constant = a.constant;
  if (b.factors.empty()) {
    int64_t q = floorDivide(a.constant, b.coefficient);
    r.whole.constant = wrappingAdd(r.whole.constant, q);
    r.rest.constant = wrappingSub(a.constant, wrappingMul(q, b.coefficient));
  }
  return r;
}

/// The greatest common divisor of the divisor (a constant) and all coefficients of the dividend.
int64_t commonFactor(const Affine &a, int64_t divisor) {
  int64_t g = divisor;
  for (auto &t : a.terms) g = std::gcd(g, t.coefficient);
  return g;
}

/// a / g, rounding the constant down; all coefficients are multiples of g.
Affine dividedBy(Affine a, int64_t g) {
  for (auto &t : a.terms) t.coefficient /= g;
  a.constant = floorDivide(a.constant, g);
  return a;
}

} // namespace

void Affine::add(const Affine &other, int64_t factor) {
  constant = wrappingAdd(constant, wrappingMul(other.constant, factor));
  for (auto &t : other.terms) addTerm(*this, t.factors, wrappingMul(t.coefficient, factor));
}

Affine Affine::times(const Affine &other) const {
  Affine r;
  r.add(*this, other.constant);
  for (auto &t : other.terms) r.add(timesMonomial(*this, t));
  return r;
}

/// The other factors of a term that is v times something without v; nothing for any other term.
static std::optional<std::vector<Expr>> cofactors(const Affine::Term &t, const Var &v) {
  auto it = std::find_if(t.factors.begin(), t.factors.end(), [&](const Expr &f) { return isVar(f, v); });
  if (it == t.factors.end()) return {};
  std::vector<Expr> rest = t.factors;
  rest.erase(rest.begin() + (it - t.factors.begin()));
  if (std::any_of(rest.begin(), rest.end(), [&](const Expr &f) { return dependsOn(f, v); })) return {};
  return rest;
}

Affine Affine::coefficientOf(const Var &v) const {
  Affine r;
  for (auto &t : terms) {
    auto rest = cofactors(t, v);
    if (!rest) continue;
    if (rest->empty()) r.constant = wrappingAdd(r.constant, t.coefficient);
    else addTerm(r, *rest, t.coefficient);
  }
  return r;
}

Affine Affine::without(const Var &v) const {
  Affine r{{}, constant};
  for (auto &t : terms)
    if (!cofactors(t, v)) r.terms.push_back(t);
  return r;
}

Affine affine(const Expr &e) {
  Affine r;
  accumulate(r, e, 1, true);
  return r;
}
Affine polynomial(const Expr &e) {
  Affine r;
  accumulate(r, e, 1, false);
  return r;
}

bool equal(const Affine &a, const Affine &b) {
  return a.constant == b.constant && a.terms.size() == b.terms.size() &&
         std::all_of(a.terms.begin(), a.terms.end(), [&](const Term &t) {
           const Term *u = termLike(b, t.factors);
           return u && u->coefficient == t.coefficient;
         });
}

Expr toExpr(const Affine &given) { return sumExpr(given); }

Affine elementOffset(const BufferNode &b, const std::vector<Expr> &indices) {
  Affine r;
  for (size_t d = 0; d < indices.size(); ++d) {
    const Expr *lane0 = &indices[d];
    while (true) {
      if (auto *p = as<Ramp>(*lane0)) lane0 = &p->base;
      else if (auto *q = as<Broadcast>(*lane0)) lane0 = &q->value;
      else break;
    }
    if (auto *k = as<IntImm>(*lane0)) {
      r.add(affine(b.strides[d]), k->value);
      continue;
    }
    PLANISH_CHECK((*lane0)->type.lanes == 1, "the lanes of an index of '" + b.name + "' are not a ramp");
    if (auto c = constantOf(b.strides[d])) r.add(affine(*lane0), *c);
    else r.add(affine(*lane0).times(affine(b.strides[d])));
  }
  return r;
}

Expr normalSum(const Expr &a, const Expr &b, int64_t sign) {
  if (auto k = constantOf(b); k && isSimpleFactor(a)) {
    bool minus = (*k < 0) != (sign < 0) && *k != INT64_MIN;
    return makeExpr({}, Binary{minus ? Sub : Add, a, imm(*k < 0 && *k != INT64_MIN ? -*k : *k)});
  }
  Affine r;
  accumulate(r, a, 1, true);
  accumulate(r, b, sign, true);
  return sumExpr(std::move(r));
}

Expr normalProduct(const Expr &a, const Expr &b) {
  auto x = constantOf(a), y = constantOf(b);
  if (x || y) {
    const Expr &other = x ? b : a;
    int64_t k = x ? *x : *y;
    if (isSimpleFactor(other)) return makeExpr({}, Binary{Mul, other, imm(k)});
    Affine r;
    accumulate(r, other, k, true);
    return sumExpr(std::move(r));
  }
  Affine p = affine(a), q = affine(b);
  if ((p.terms.size() + 1) * (q.terms.size() + 1) > kMaxProductTerms) return makeExpr({}, Binary{Mul, a, b});
  return sumExpr(p.times(q));
}

Expr normalDivision(const Expr &a, const Expr &b, const Ranges &env) {
  auto divisor = asMonomial(affine(b));
  if (!divisor) return {};
  if (divisor->factors.empty() && divisor->coefficient == 1) return a;
  auto [whole, rest] = divide(polynomial(a), *divisor);
  Affine none;
  if (equal(rest, none)) return toExpr(whole);
  Range of = rangeOf(toExpr(rest), env), by = rangeOf(b, env);
  if (of.lo >= 0 && by.lo > 0 && of.hi < by.lo) return toExpr(whole);
  Expr d = b;
  if (divisor->factors.empty() && divisor->coefficient > 0) {
    int64_t c = divisor->coefficient, first = floorDivide(of.lo, c);
    if (first == floorDivide(of.hi, c)) {
      whole.constant = wrappingAdd(whole.constant, first);
      return toExpr(whole);
    }
    int64_t g = commonFactor(rest, c);
    rest = dividedBy(rest, g);
    d = imm(c / g);
  }
  addTerm(whole, {makeExpr({}, Binary{FloorDiv, toExpr(rest), d})}, 1);
  return toExpr(whole);
}

Expr normalModulo(const Expr &a, const Expr &b, const Ranges &env) {
  auto divisor = asMonomial(affine(b));
  if (!divisor) return {};
  if (divisor->factors.empty() && divisor->coefficient == 1) return imm(0);
  Affine rest = divide(polynomial(a), *divisor).rest;
  Affine none;
  if (equal(rest, none)) return imm(0);
  Range of = rangeOf(toExpr(rest), env), by = rangeOf(b, env);
  if (of.lo >= 0 && by.lo > 0 && of.hi < by.lo) return toExpr(rest);
  if (!divisor->factors.empty() || divisor->coefficient <= 0)
    return makeExpr({}, Binary{FloorMod, toExpr(rest), b});
  int64_t c = divisor->coefficient, first = floorDivide(of.lo, c);
  if (first == floorDivide(of.hi, c)) {
    rest.constant = wrappingSub(rest.constant, wrappingMul(first, c));
    return toExpr(rest);
  }
  int64_t g = commonFactor(rest, c), low = floorModulo(rest.constant, g);
  Expr inner = makeExpr({}, Binary{FloorMod, toExpr(dividedBy(rest, g)), imm(c / g)});
  return inner * g + low;
}

std::optional<int64_t> constantDifference(const Expr &a, const Expr &b) {
  if (a.get() == b.get()) return 0;
  auto *x = as<VarRef>(a), *y = as<VarRef>(b);
  if ((x && y && x->var != y->var) || (x && as<IntImm>(b)) || (y && as<IntImm>(a))) return std::nullopt;
  Affine d;
  accumulate(d, a, 1, true);
  accumulate(d, b, -1, true);
  return d.terms.empty() ? std::optional(d.constant) : std::nullopt;
}

} // namespace planish::loop
