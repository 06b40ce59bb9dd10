#include "Definition.h"

#include "planish/loop/Rewrite.h"

namespace planish::codegen::fpga {

using namespace loop;

namespace {

/// The only statement of a block of one.
Stmt sole(Stmt s) {
  for (auto *b = as<Block>(s); b && b->stmts.size() == 1; b = as<Block>(s)) s = b->stmts[0];
  return s;
}

/// Takes serial loops of constant extent off.
bool peelLoops(Stmt &s, std::vector<Axis> &axes) {
  s = sole(s);
  for (const For *f = as<For>(s); f; f = as<For>(s)) {
    auto begin = constantOf(f->begin), end = constantOf(f->end);
    if (f->kind != LoopKind::Serial || begin != 0 || !end) return false;
    axes.push_back({f->var, *end});
    s = sole(f->body);
  }
  return true;
}

bool isLoadOf(const Expr &e, const Buffer &b) {
  const Load *l = as<Load>(e);
  return l && l->buffer == b && !l->mask;
}

/// sum = sum + lhs * rhs, or max(sum, lhs).
bool readStep(const Store &s, Definition &d) {
  const Binary *step = as<Binary>(s.value);
  if (s.buffer != d.sum || s.mask || !step) return false;
  Expr term = isLoadOf(step->a, d.sum) ? step->b : step->a;
  if (!isLoadOf(step->a, d.sum) && !isLoadOf(step->b, d.sum)) return false;
  d.accumulates = step->op;
  const Binary *product = as<Binary>(term);
  bool multiplies = product && product->op == BinaryOp::Mul;
  d.lhs = multiplies ? product->a : term;
  if (multiplies) d.rhs = product->b;
  return true;
}

bool readSum(const Alloc &alloc, Definition &d) {
  const Block *parts = as<Block>(alloc.body);
  if (!parts || parts->stmts.size() != 3) return false;
  d.sum = alloc.buffer;
  const Store *start = as<Store>(sole(parts->stmts[0])), *finish = as<Store>(sole(parts->stmts[2]));
  if (!start || start->buffer != d.sum || !finish || finish->mask) return false;
  Stmt step = parts->stmts[1];
  if (!peelLoops(step, d.reduce)) return false;
  for (const If *i = as<If>(step); i; i = as<If>(step)) {
    const Binary *holds = as<Binary>(i->cond);
    if (!holds || holds->op != BinaryOp::Le || constantOf(holds->a) != 0) return false;
    d.guards.push_back(holds->b);
    step = sole(i->then);
  }
  const Store *update = as<Store>(step);
  if (!update || !readStep(*update, d)) return false;
  d.init = start->value;
  d.out = finish->buffer, d.outIndices = finish->indices, d.value = finish->value;
  return true;
}

} // namespace

std::optional<Definition> definitionOf(const Function &f) {
  Definition d;
  Stmt body = f.body;
  if (!f.scalars.empty() || !peelLoops(body, d.space)) return std::nullopt;
  if (const Alloc *a = as<Alloc>(body)) {
    if (!readSum(*a, d)) return std::nullopt;
    return d;
  }
  const Store *s = as<Store>(body);
  if (!s || s->mask) return std::nullopt;
  d.out = s->buffer, d.outIndices = s->indices, d.value = s->value;
  return d;
}

} // namespace planish::codegen::fpga
