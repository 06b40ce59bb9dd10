// Computations and their unscheduled loops.
#include "planish/loop/Compute.h"

#include "Arithmetic.h"
#include "planish/loop/Rewrite.h"

#include <algorithm>
#include <limits>

namespace planish::loop {

Expr neutral(Combine combine, DType dtype) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  switch (combine) {
  case Combine::Sum: return constant(0, {dtype, 1});
  case Combine::Product: return constant(1, {dtype, 1});
  case Combine::Max:
    return isFloat(dtype) ? constant(-kInfinity, {dtype, 1}) : imm(lowest(dtype), {dtype, 1});
  case Combine::Min:
    return isFloat(dtype) ? constant(kInfinity, {dtype, 1}) : imm(highest(dtype), {dtype, 1});
  }
  return {};
}

Expr combined(const Compute &c, const Expr &acc, const Expr &lhs, const Expr &rhs) {
  DType dtype = acc->type.dtype;
  Expr x = cast(dtype, lhs), y = rhs ? cast(dtype, rhs) : Expr();
  if (c.combine == Combine::Sum && y && dtype == DType::f32) return call(Intrinsic::Fma, {x, y, acc});
  Expr term = y ? x * y : x;
  switch (c.combine) {
  case Combine::Sum: return acc + term;
  case Combine::Product: return acc * term;
  case Combine::Max: return max(acc, term);
  case Combine::Min: return min(acc, term);
  }
  return {};
}

void collectParams(Compute &c) {
  c.params.clear();
  c.scalars.clear();
  std::vector<Var> bound;
  for (auto *axes : {&c.space, &c.reduce})
    for (auto &i : *axes) bound.push_back(i.var);
  bound.push_back(c.sum);

  auto addVars = [&](const Expr &e) {
    walk(e, [&](const Expr &x) {
      auto *v = as<VarRef>(x);
      if (!v || std::count(bound.begin(), bound.end(), v->var)) return;
      bound.push_back(v->var);
      c.scalars.push_back(v->var);
    });
  };
  auto addBuffer = [&](const Buffer &b) {
    if (std::count(c.params.begin(), c.params.end(), b)) return;
    c.params.push_back(b);
    for (auto *sizes : {&b->shape, &b->strides})
      for (auto &s : *sizes) addVars(s);
  };
  auto addExpr = [&](const Expr &e) {
    addVars(e);
    walk(e, [&](const Expr &x) {
      auto *l = as<Load>(x);
      if (l && l->buffer != c.out) addBuffer(l->buffer);
    });
  };

  for (auto *axes : {&c.space, &c.reduce})
    for (auto &i : *axes) addExpr(i.extent);
  addExpr(c.lhs);
  addExpr(c.rhs);
  addExpr(c.init);
  addExpr(c.value);
  for (auto &e : c.where) addExpr(e);
  for (auto &e : c.outIndices) addExpr(e);
  addBuffer(c.out);
}

Function definition(const Compute &c) {
  auto nest = [](const std::vector<Iter> &axes, Stmt body) {
    for (size_t i = axes.size(); i-- > 0;)
      body = loop(axes[i].var, imm(0), axes[i].extent, LoopKind::Serial, body);
    return body;
  };
  Stmt body;
  if (c.reduce.empty()) {
    body = store(c.out, c.outIndices, c.value);
  } else {
    Buffer acc = buffer("acc", c.accumulator, std::vector<int64_t>{1}, {}, Scope::Register);
    Expr current = load(acc, {imm(0)});
    Stmt step = store(acc, {imm(0)}, combined(c, current, c.lhs, c.rhs));
    for (size_t i = c.where.size(); i-- > 0;) step = ifThen(lessEqual(imm(0), c.where[i]), step);
    Stmt start = store(acc, {imm(0)}, c.init ? c.init : neutral(c.combine, c.accumulator));
    Stmt finish = store(c.out, c.outIndices, substitute(c.value, {{c.sum, current}}));
    body = makeStmt(Alloc{acc, block({start, nest(c.reduce, step), finish})});
  }
  return {c.name, c.params, c.scalars, nest(c.space, body)};
}

} // namespace planish::loop
