// The table of loop passes, and the short ones.
#include "planish/loop/Passes.h"

#include "planish/loop/Rewrite.h"
#include "planish/support/Check.h"

#include <algorithm>
#include <array>

namespace planish::loop {

/// Replaces every unrolled loop by one copy of its body per iteration.
Function unroll(const Function &f) {
  auto post = [](const Stmt &s) -> Stmt {
    auto *l = as<For>(s);
    if (!l || l->kind != LoopKind::Unrolled) return s;
    auto begin = constantOf(l->begin), trips = constantOf(l->end - l->begin);
    PLANISH_CHECK(trips, "the unrolled loop over '" + l->var->name + "' has no constant trip count");
    std::vector<Stmt> copies;
    for (int64_t i = 0; i < *trips; ++i)
      copies.push_back(substitute(l->body, {{l->var, begin ? imm(*begin + i) : l->begin + i}}));
    return block(std::move(copies));
  };
  return {f.name, f.params, f.scalars, rewrite(f.body, post)};
}

/// Rebuilds every expression in normal form and decides what the declared bounds decide.
Function simplify(const Function &f) {
  auto rebuilt = [](const Expr &e) -> Expr {
    if (auto *b = as<Binary>(e)) return simplify(binary(b->op, b->a, b->b), {});
    return simplify(e, {});
  };
  return {f.name, f.params, f.scalars, rewrite(f.body, {}, rebuilt)};
}

std::set<const For *> groupLoops(const Function &f) {
  std::set<const For *> r;
  walk(f.body, [&](const Stmt &s) {
    auto *outer = as<For>(s);
    if (!outer || outer->kind != LoopKind::Parallel) return;
    walk(outer->body, [&](const Stmt &x) {
      auto *l = as<For>(x);
      if (l && l->kind == LoopKind::Parallel) r.insert(l);
    });
  });
  return r;
}

Expr taskCount(const Function &f) {
  Expr tasks;
  auto inner = groupLoops(f);
  walk(f.body, [&](const Stmt &s) {
    auto *l = as<For>(s);
    if (l && l->kind == LoopKind::Parallel && !inner.contains(l)) tasks = tasks ? max(tasks, l->end) : l->end;
  });
  return tasks ? tasks : imm(1);
}

ScratchPlan planScratch(const Function &f) {
  constexpr int64_t kAlignment = 64;
  ScratchPlan plan;
  walk(f.body, [&](const Stmt &s) {
    auto *a = as<Alloc>(s);
    if (!a || a->buffer->scope != Scope::Scratch) return;
    if (!plan.offsets.try_emplace(a->buffer.get(), plan.bytes).second) return;
    int64_t last = 0;
    std::vector<int64_t> shape = constantsOf(a->buffer->shape), strides = constantsOf(a->buffer->strides);
    for (size_t d = 0; d < shape.size(); ++d) last += std::max<int64_t>(shape[d] - 1, 0) * strides[d];
    int64_t bytes = (last + 1) * byteSize(a->buffer->dtype);
    plan.bytes += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  });
  return plan;
}

std::span<const PassRow> passes() {
  static constexpr std::array<PassRow, 4> kRows{{
      {"loop-simplify", "rebuild expressions in normal form; decide what declared bounds decide", &simplify},
      {"vectorize", "vectorized loops become ramps, broadcasts and masks", &vectorize},
      {"unroll", "unrolled loops become one copy of the body per iteration", &unroll},
      {"legalize", "exp, log, tanh, erf, sin and cos become polynomials",
       [](const Function &f) { return legalize(f, {}); }},
  }};
  return kRows;
}

} // namespace planish::loop
