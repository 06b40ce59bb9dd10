// Streams and the pointer tree (see Emitter.h).
#include "../Operands.h"
#include "Emitter.h"

#include "planish/support/Check.h"

#include <algorithm>
#include <climits>
#include <ranges>

namespace planish::codegen {

using namespace loop;
using llvm::Value;

const Access &Emitter::accessOf(const void *node, const Buffer &buffer, const std::vector<Expr> &indices,
                                int lanes) {
  auto it = accesses.find(node);
  if (it != accesses.end()) return it->second;
  auto extra = extras.find(buffer.get());
  return accesses
      .emplace(node, analyse(terms, *buffer, indices, lanes, extra == extras.end() ? Expr() : extra->second))
      .first->second;
}

const std::vector<Emitter::Stream> &Emitter::streams(const Stmt &s) {
  if (auto it = memo.find(s.get()); it != memo.end()) return it->second;
  std::vector<Stream> all;
  auto put = [&](const Stream &x) {
    for (Stream &y : all)
      if (x.buffer == y.buffer && x.terms == y.terms) {
        y.lowest = std::min(x.lowest, y.lowest);
        return;
      }
    all.push_back(x);
  };
  auto access = [&](const Access &a) {
    Stream x{a.buffer, {}, a.offset.constant};
    for (auto &t : a.offset.terms)
      if (terms.term(t.first).early) x.terms.push_back(t);
    put(x);
  };
  auto expr = [&](const Expr &e) {
    eachNode(e, [&](const Expr &x) {
      if (auto *l = as<Load>(x)) access(accessOf(l, l->buffer, l->indices, x->type.lanes));
    });
  };
  auto inner = [&](const Stmt &x) {
    for (const Stream &y : streams(x)) put(y);
  };
  match(
      s, [&](const For &f) { expr(f.begin), expr(f.end), inner(f.body); },
      [&](const While &w) { expr(w.cond), inner(w.body); },
      [&](const Store &t) {
        for (const Expr &i : t.indices) expr(i);
        expr(t.value), expr(t.mask);
        access(accessOf(&t, t.buffer, t.indices, t.value->type.lanes));
      },
      [&](const Alloc &a) { inner(a.body); }, [&](const If &i) { expr(i.cond), inner(i.then); },
      [&](const Let &l) { expr(l.value), inner(l.body); },
      [&](const Block &bl) {
        for (const Stmt &x : bl.stmts) inner(x);
      },
      [&](const Eval &v) { expr(v.call); },
      [&](const Launch &l) {
        expr(l.tasks);
        for (const Expr &e : l.scalars) expr(e);
      });
  return memo[s.get()] = std::move(all);
}

int Emitter::levelOf(int term) const {
  int level = 0;
  for (int f : terms.term(term).factors)
    for (const VarNode *v : terms.factor(f).mentions) {
      auto it = levels.find(v);
      level = std::max(level, it == levels.end() ? INT_MAX : it->second);
    }
  return level;
}

/// The stream's terms that are complete once `v`, the innermost variable in scope, is known. With no
/// variable: those of the scope so far, as `outer`.
Emitter::Parts Emitter::partsOf(const Stream &s, const VarNode *v) const {
  int here = int(scope.size());
  Parts r;
  for (auto &t : s.terms) {
    int level = levelOf(t.first);
    if (level > here) continue;
    if (!v || level < here) {
      r.outer.push_back(t);
      continue;
    }
    int plain = 0, hidden = 0;
    for (int f : terms.term(t.first).factors) {
      const TermTable::Factor &factor = terms.factor(f);
      if (factor.var == v) ++plain;
      else hidden += std::ranges::count(factor.mentions, v);
    }
    (plain == 1 && hidden == 0 ? r.linear : r.rest).push_back(t);
  }
  return r;
}

const Emitter::Pointer *Emitter::find(const BufferNode *buffer, const Terms &added) const {
  for (const Pointer &p : std::views::reverse(pointers))
    if (p.buffer == buffer && p.added == added) return &p;
  return nullptr;
}

Value *Emitter::step(Value *pointer, Value *bytes) {
  if (auto *k = llvm::dyn_cast<llvm::ConstantInt>(bytes); k && k->isZero()) return pointer;
  return b.CreateGEP(b.getInt8Ty(), pointer, bytes);
}

/// The sum of the terms in bytes, each divided by the variable `without`.
Value *Emitter::bytesOf(const Terms &sum, const BufferNode &buffer, const VarNode *without) {
  int64_t constant = 0;
  Value *r = nullptr;
  for (auto &[id, coefficient] : sum) {
    int64_t bytes = coefficient * byteSize(buffer.dtype);
    Value *product = nullptr;
    for (int f : terms.term(id).factors) {
      const TermTable::Factor &factor = terms.factor(f);
      if (factor.var && factor.var == without) continue;
      Value *v = factor.var ? vars.at(factor.var) : expr(factor.expr);
      product = product ? b.CreateMul(product, v) : v;
    }
    if (!product) {
      constant += bytes;
      continue;
    }
    if (bytes != 1) product = b.CreateMul(product, b.getInt64(uint64_t(bytes)));
    r = r ? b.CreateAdd(r, product) : product;
  }
  if (!r) return b.getInt64(uint64_t(constant));
  return constant ? b.CreateAdd(r, b.getInt64(uint64_t(constant))) : r;
}

/// Moves a pointer that accesses use directly to the smallest of their constants.
void Emitter::settle(Pointer &p, const std::vector<Stream> &all) {
  for (const Stream &s : all) {
    if (s.buffer != p.buffer || s.terms != p.added) continue;
    int64_t bias = s.lowest * byteSize(s.buffer->dtype);
    p.value = step(p.value, b.getInt64(uint64_t(bias - p.bias)));
    p.bias = bias;
  }
}

/// The pointers of a buffer that comes into scope here: its base, and one per distinct sum of the
/// terms whose variables are already known.
void Emitter::introduce(const BufferNode *buffer, Value *base, const std::vector<Stream> &all) {
  pointers.push_back({buffer, {}, base, 0});
  for (const Stream &s : all) {
    if (s.buffer != buffer) continue;
    Terms known = partsOf(s, nullptr).outer;
    if (find(buffer, known)) continue;
    pointers.push_back({buffer, known, step(base, bytesOf(known, *buffer)), 0});
  }
}

/// The pointers that variable v, innermost in scope, moves linearly: where each stands before v's own
/// contribution, and in `steps` the bytes per step of v.
std::vector<Emitter::Pointer> Emitter::carried(const VarNode *v, const std::vector<Stream> &all,
                                               std::vector<Value *> &steps) {
  std::vector<Pointer> moved;
  for (const Stream &s : all) {
    Parts parts = partsOf(s, v);
    if (parts.linear.empty()) continue;
    const Pointer *parent = find(s.buffer, parts.outer);
    if (!parent) continue;  // allocated further in
    Terms added;
    std::ranges::merge(parts.outer, parts.linear, std::back_inserter(added));
    auto same = [&](const Pointer &p) { return p.buffer == s.buffer && p.added == added; };
    if (std::ranges::any_of(moved, same)) continue;
    moved.push_back({s.buffer, added, parent->value, parent->bias});
    steps.push_back(bytesOf(parts.linear, *s.buffer, v));
  }
  for (Pointer &p : moved) settle(p, all);
  return moved;
}

/// Adds what v, innermost in scope and known by now, contributes in other ways.
void Emitter::addRest(const VarNode *v, const std::vector<Stream> &all) {
  for (const Stream &s : all) {
    Parts parts = partsOf(s, v);
    if (parts.rest.empty()) continue;
    Terms before, added;
    std::ranges::merge(parts.outer, parts.linear, std::back_inserter(before));
    std::ranges::merge(before, parts.rest, std::back_inserter(added));
    const Pointer *parent = find(s.buffer, before);
    if (!parent || find(s.buffer, added)) continue;
    Pointer p{s.buffer, added, step(parent->value, bytesOf(parts.rest, *s.buffer)), parent->bias};
    settle(p, all);
    pointers.push_back(p);
  }
}

Value *Emitter::address(const Access &a) {
  Terms early, late;
  for (auto &t : a.offset.terms) (terms.term(t.first).early ? early : late).push_back(t);
  const Pointer *found = find(a.buffer, early);
  PLANISH_CHECK(found, "no pointer for an access of buffer " + a.buffer->name);
  Pointer p = *found;
  if (!late.empty()) p.value = step(p.value, bytesOf(late, *a.buffer));
  return step(p.value, b.getInt64(uint64_t(a.offset.constant * byteSize(a.buffer->dtype) - p.bias)));
}

Value *Emitter::baseOf(const Buffer &buffer) {
  for (auto &[node, base] : bases)
    if (node == buffer.get()) {
      auto extra = extras.find(node);
      if (extra == extras.end()) return base;
      return step(base, b.CreateMul(expr(extra->second), b.getInt64(uint64_t(byteSize(buffer->dtype)))));
    }
  PLANISH_CHECK(false, "no base for buffer " + buffer->name);
}

} // namespace planish::codegen
