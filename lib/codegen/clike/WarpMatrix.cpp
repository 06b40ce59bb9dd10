#include "WarpMatrix.h"

#include "planish/loop/Passes.h"
#include "planish/loop/Rewrite.h"

#include <algorithm>
#include <map>

namespace planish::codegen {

using namespace loop;

namespace {

constexpr int64_t kWarp = 32, kDepth = 32, kResults = 4;

/// A loop from 0 to n with one store in it, or another such loop.
const For *loopOf(const Stmt &s, int64_t n) {
  auto *f = as<For>(s);
  return f && f->kind == LoopKind::Serial && constantOf(f->begin) == 0 && constantOf(f->end) == n ? f
                                                                                                  : nullptr;
}

/// A load of bytes from a group's memory, widened to i32.
const Load *codes(const Expr &e) {
  auto *c = as<Cast>(e);
  auto *l = c && e->type == Type{DType::i32, 1} ? as<Load>(c->value) : nullptr;
  bool bytes = l && (l->buffer->dtype == DType::u8 || l->buffer->dtype == DType::i8);
  return bytes && l->buffer->scope == Scope::Scratch && !l->mask ? l : nullptr;
}

/// Where an operand's element of result n, term t lies, for an item.
class Operand {
public:
  Operand(const Load &l, Var item, Var result, Var term)
      : at(elementOffset(*l.buffer, l.indices)), item(std::move(item)), result(std::move(result)),
        term(std::move(term)) {}

  /// The elements between neighbours, if item v has for result n the line line(v % 32, n) of its warp's tile.
  std::optional<int64_t> pitch(int64_t items, int64_t (*line)(int64_t lane, int64_t n)) const {
    Affine linear = at.coefficientOf(term);
    if (!linear.isConstant() || linear.constant != 1 || dependsOn(toExpr(at.without(term)), term)) return {};
    std::optional<int64_t> found;
    for (int64_t v = 0; v < items; ++v)
      for (int64_t n = 0; n < kResults; ++n) {
        Affine d = offset(imm(v), n);
        d.add(offset(imm(v / kWarp * kWarp), 0), -1);
        int64_t lines = line(v % kWarp, n);
        if (!d.isConstant() || (lines == 0 && d.constant != 0)) return {};
        if (lines != 0 && !found) found = d.constant / lines;
        if (lines != 0 && d.constant != lines * *found) return {};
      }
    return found;
  }
  /// Elements in front of the warp's tile.
  Expr origin() const { return toExpr(offset(floorDiv(use(item), imm(kWarp)) * kWarp, 0)); }

private:
  Affine at;
  Var item, result, term;

  Affine offset(const Expr &ofItem, int64_t n) const {
    return affine(substitute(toExpr(at), {{item, ofItem}, {result, imm(n)}, {term, imm(0)}}));
  }
};

int64_t lineOfA(int64_t lane, int64_t n) { return lane / 4 + n / 2 * 8; }
int64_t lineOfB(int64_t lane, int64_t n) { return lane % 4 * 2 + n % 2; }

/// What e is the remainder of by n; e itself where it is in [0, n).
std::optional<Expr> dividend(const Expr &e, int64_t n) {
  auto *m = as<Binary>(e);
  if (m && m->op == BinaryOp::FloorMod && constantOf(m->b) == n) return m->a;
  Range r = rangeOf(e);
  return r.lo >= 0 && r.hi < n ? std::optional(e) : std::nullopt;
}

/// Whether two indices of the halves of a buffer, or any n parts, are never equal.
bool differ(const Expr &x, const Expr &y, int64_t n) {
  auto a = dividend(x, n), b = dividend(y, n);
  if (!a || !b) return false;
  Affine d = affine(*a);
  d.add(affine(*b), -1);
  return d.isConstant() && d.constant % n != 0;
}

} // namespace

std::optional<WarpProduct> warpProduct(const For &results, const Var &item, int64_t items) {
  if (constantOf(results.begin) != 0 || constantOf(results.end) != kResults || items % kWarp != 0) return {};
  const For *terms = loopOf(results.body, kDepth);
  auto *s = terms ? as<Store>(terms->body) : nullptr;
  if (!s || s->mask || s->buffer->scope != Scope::Register || s->buffer->dtype != DType::i32) return {};
  auto *sum = as<Binary>(s->value);
  auto *old = sum && sum->op == BinaryOp::Add ? as<Load>(sum->a) : nullptr;
  auto *product = old ? as<Binary>(sum->b) : nullptr;
  if (!product || product->op != BinaryOp::Mul || old->buffer != s->buffer || old->mask) return {};
  Affine at = elementOffset(*s->buffer, s->indices), same = elementOffset(*old->buffer, old->indices);
  Expr first = substitute(toExpr(at), {{results.var, imm(0)}});
  same.add(at, -1);
  at.add(affine(first), -1);
  at.add(affine(use(results.var)), -1);
  bool own = at.isConstant() && at.constant == 0 && same.isConstant() && same.constant == 0;
  if (!own || dependsOn(first, item) || dependsOn(first, terms->var)) return {};
  const Load *x = codes(product->a), *y = codes(product->b);
  if (!x || !y) return {};
  for (bool swapped : {false, true}) {
    const Load *a = swapped ? y : x, *b = swapped ? x : y;
    Operand left(*a, item, results.var, terms->var), right(*b, item, results.var, terms->var);
    auto aPitch = left.pitch(items, lineOfA), bPitch = right.pitch(items, lineOfB);
    if (!aPitch || !bPitch || *aPitch % 4 != 0 || *bPitch % 4 != 0) continue;
    return WarpProduct{s->buffer,     a->buffer,      b->buffer, first,
                       left.origin(), right.origin(), *aPitch,   *bPitch};
  }
  return {};
}

std::set<const BufferNode *> copyTargets(const Function &f) {
  std::set<const BufferNode *> r, mixed;
  for (const For *items : groupLoops(f)) {
    std::map<const BufferNode *, std::vector<Expr>> written, read; // first indices
    walk(items->body, [&](const Stmt &s) {
      auto *t = as<Store>(s);
      if (!t || t->buffer->scope != Scope::Scratch) return;
      written[t->buffer.get()].push_back(t->indices[0]);
      // A copy and another store to one place would have no order.
      if (!as<Load>(t->value)) mixed.insert(t->buffer.get());
    });
    walkExprs(items->body, [&](const Expr &e) {
      walk(e, [&](const Expr &x) {
        auto *l = as<Load>(x);
        if (l && l->buffer->scope == Scope::Scratch) read[l->buffer.get()].push_back(l->indices[0]);
      });
    });
    for (const auto &[buffer, places] : written) {
      r.insert(buffer);
      for (const Expr &w : places)
        for (const Expr &l : read[buffer])
          if (!differ(w, l, *constantOf(buffer->shape[0]))) mixed.insert(buffer);
    }
  }
  for (const BufferNode *b : mixed) r.erase(b);
  return r;
}

} // namespace planish::codegen
