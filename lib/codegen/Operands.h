// The expressions directly below an expression.
#pragma once

#include "planish/loop/IR.h"

#include <unordered_set>

namespace planish::codegen {

template <class Fn> void eachOperand(const loop::Expr &e, Fn fn) {
  using namespace loop;
  match(
      e, [](const IntImm &) {}, [](const FloatImm &) {}, [](const VarRef &) {},
      [&](const Binary &n) { fn(n.a), fn(n.b); }, [&](const Select &n) { fn(n.cond), fn(n.a), fn(n.b); },
      [&](const Cast &n) { fn(n.value); },
      [&](const Load &n) {
        for (const Expr &i : n.indices) fn(i);
        if (n.mask) fn(n.mask);
      },
      [&](const Call &n) {
        for (const Expr &a : n.args) fn(a);
      },
      [&](const Ramp &n) { fn(n.base); }, [&](const Broadcast &n) { fn(n.value); });
}

/// Every node at and below `e` once, however many paths lead to it.
template <class Fn> void eachNode(const loop::Expr &e, Fn fn) {
  std::unordered_set<const loop::ExprNode *> seen;
  auto go = [&](auto &self, const loop::Expr &x) -> void {
    if (!x || !seen.insert(x.get()).second) return;
    fn(x);
    eachOperand(x, [&](const loop::Expr &y) { self(self, y); });
  };
  go(go, e);
}

} // namespace planish::codegen
