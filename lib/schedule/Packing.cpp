// Runs a packing as what it is: a strided copy of affine addresses, with zeros where a guard fails.
#include "planish/schedule/Packing.h"

#include "planish/loop/Interpret.h"
#include "planish/loop/Rewrite.h"
#include "planish/support/Check.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace planish::schedule {
namespace {

using namespace loop;

/// offset + sum over the loops of coefficients[i] * loop i.
struct Linear {
  int64_t offset = 0;
  std::vector<int64_t> coefficients;
};

struct Copy {
  std::vector<int64_t> extents;
  Linear from, to;              // in elements
  std::vector<Linear> guards;   // an element is copied where all are >= 0
  int64_t elements = 1;         // of the target
  int elementBytes = 1;
};

std::optional<Linear> linear(const Affine &a, const std::vector<Var> &vars) {
  Linear r{a.constant, std::vector<int64_t>(vars.size())};
  for (const Affine::Term &t : a.terms) {
    const VarRef *v = t.factors.size() == 1 ? as<VarRef>(t.factors[0]) : nullptr;
    auto at = v ? std::find(vars.begin(), vars.end(), v->var) : vars.end();
    if (at == vars.end()) return {};
    r.coefficients[size_t(at - vars.begin())] += t.coefficient;
  }
  return r;
}

/// The guards "0 <= e" of a conjunction.
bool collectGuards(const Expr &cond, const std::vector<Var> &vars, std::vector<Linear> &guards) {
  const Binary *b = as<Binary>(cond);
  if (!b) return false;
  if (b->op == BinaryOp::And) return collectGuards(b->a, vars, guards) && collectGuards(b->b, vars, guards);
  if (b->op != BinaryOp::Le) return false;
  Affine e = affine(b->b);
  e.add(affine(b->a), -1);
  auto l = linear(e, vars);
  if (l) guards.push_back(*l);
  return bool(l);
}

std::optional<Copy> copyOf(const Function &f) {
  Copy c;
  std::vector<Var> vars;
  std::vector<Expr> conditions;
  Stmt s = f.body;
  while (true) {
    if (const For *l = as<For>(s)) {
      auto end = constantOf(l->end);
      if (constantOf(l->begin) != 0 || !end) return {};
      vars.push_back(l->var);
      c.extents.push_back(*end);
      s = l->body;
    } else if (const If *i = as<If>(s)) {
      conditions.push_back(i->cond);
      s = i->then;
    } else {
      break;
    }
  }
  const Store *st = as<Store>(s);
  const Load *ld = st ? as<Load>(st->value) : nullptr;
  if (!ld || st->mask || ld->mask) return {};
  auto to = linear(elementOffset(*st->buffer, st->indices), vars);
  auto from = linear(elementOffset(*ld->buffer, ld->indices), vars);
  if (!to || !from) return {};
  c.to = *to;
  c.from = *from;
  for (const Expr &e : conditions)
    if (!collectGuards(e, vars, c.guards)) return {};
  for (int64_t n : constantsOf(st->buffer->shape)) c.elements *= n;
  c.elementBytes = byteSize(st->buffer->dtype);
  return c;
}

template <class T> struct Runner {
  const Copy &c;
  const T *from;
  T *to;

  void run(size_t depth, int64_t src, int64_t dst, std::vector<int64_t> &guards) const {
    if (depth + 1 >= c.extents.size()) return innermost(src, dst, guards);
    for (int64_t i = 0; i < c.extents[depth]; ++i) {
      run(depth + 1, src, dst, guards);
      src += c.from.coefficients[depth];
      dst += c.to.coefficients[depth];
      for (size_t g = 0; g < guards.size(); ++g) guards[g] += c.guards[g].coefficients[depth];
    }
    for (size_t g = 0; g < guards.size(); ++g)
      guards[g] -= c.guards[g].coefficients[depth] * c.extents[depth];
  }

  /// The iterations where all guards hold are one interval.
  void innermost(int64_t src, int64_t dst, const std::vector<int64_t> &guards) const {
    size_t last = c.extents.size() - 1;
    int64_t lo = 0, hi = c.extents.empty() ? 1 : c.extents[last];
    int64_t sf = c.extents.empty() ? 0 : c.from.coefficients[last];
    int64_t st = c.extents.empty() ? 0 : c.to.coefficients[last];
    for (size_t g = 0; g < guards.size(); ++g) {
      int64_t slope = c.extents.empty() ? 0 : c.guards[g].coefficients[last], base = guards[g];
      if (slope == 0 && base < 0) return;
      if (slope > 0 && base < 0) lo = std::max(lo, (-base + slope - 1) / slope);
      if (slope < 0) hi = std::min(hi, base < 0 ? 0 : base / -slope + 1);
    }
    for (int64_t i = lo; i < hi; ++i) to[dst + i * st] = from[src + i * sf];
  }
};

template <class T> void runAs(const Copy &c, const void *from, void *to) {
  std::vector<int64_t> guards;
  for (const Linear &g : c.guards) guards.push_back(g.offset);
  Runner<T>{c, static_cast<const T *>(from), static_cast<T *>(to)}.run(0, c.from.offset, c.to.offset, guards);
}

int64_t bytesOf(const BufferNode &b) {
  int64_t n = 1;
  for (int64_t d : constantsOf(b.shape)) n *= d;
  return n * byteSize(b.dtype);
}

} // namespace

int64_t packedBytes(const Kernel::Packing &packing) { return bytesOf(*packing.function.params[1]); }

void runPacking(const Kernel::Packing &p, const void *from, void *to) {
  const Function &packing = p.function;
  std::vector<std::byte> prepared;
  if (p.prepare) {
    prepared.resize(size_t(bytesOf(*packing.params[0])));
    p.prepare(from, prepared.data());
    from = prepared.data();
  }
  std::memset(to, 0, size_t(packedBytes(p)));
  if (auto c = copyOf(packing)) {
    switch (c->elementBytes) {
    case 1: return runAs<uint8_t>(*c, from, to);
    case 4: return runAs<uint32_t>(*c, from, to);
    case 8: return runAs<uint64_t>(*c, from, to);
    default: break;
    }
  }
  void *params[] = {const_cast<void *>(from), to};
  Status done = interpret(packing, params);
  PLANISH_CHECK(bool(done), "packing " + packing.name + ": " + (done ? "" : done.error().text));
}

} // namespace planish::schedule
