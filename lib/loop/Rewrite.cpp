// Walking, rebuilding and comparing trees. A rebuilt node is the old one where nothing below changed.
#include "planish/loop/Rewrite.h"

#include "planish/support/Check.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace planish::loop {

namespace {

/// `list` through `fn`; `changed` becomes true where an element is another node afterwards.
template <class T, class Fn> std::vector<T> mapped(const std::vector<T> &list, const Fn &fn, bool &changed) {
  std::vector<T> r;
  r.reserve(list.size());
  for (auto &x : list) {
    r.push_back(fn(x));
    changed |= r.back().get() != x.get();
  }
  return r;
}

/// `e` with its direct children through `fn`, rebuilt by the builders where one changed.
template <class Fn> Expr mapChildren(const Expr &e, const Fn &fn) {
  bool changed = false;
  auto one = [&](const Expr &x) {
    Expr r = x ? fn(x) : x;
    changed |= r.get() != x.get();
    return r;
  };
  return match(
      e, [&](const IntImm &) { return e; }, [&](const FloatImm &) { return e; },
      [&](const VarRef &) { return e; },
      [&](const Binary &b) {
        Expr x = one(b.a), y = one(b.b);
        return changed ? binary(b.op, x, y) : e;
      },
      [&](const Select &s) {
        Expr c = one(s.cond), x = one(s.a), y = one(s.b);
        return changed ? select(c, x, y) : e;
      },
      [&](const Cast &c) {
        Expr x = one(c.value);
        return changed ? cast(e->type.dtype, x) : e;
      },
      [&](const Load &l) {
        auto indices = mapped(l.indices, one, changed);
        Expr mask = one(l.mask);
        if (!changed) return e;
        if (auto k = constantOf(mask)) {
          if (!*k) return constant(0, e->type);
          mask = {};
        }
        return makeExpr(e->type, Load{l.buffer, std::move(indices), std::move(mask)});
      },
      [&](const Call &c) {
        auto args = mapped(c.args, one, changed);
        return changed ? call(c.fn, std::move(args)) : e;
      },
      [&](const Ramp &r) {
        Expr base = one(r.base);
        return changed ? ramp(base, r.stride, e->type.lanes / r.base->type.lanes) : e;
      },
      [&](const Broadcast &b) {
        Expr value = one(b.value);
        return changed ? broadcast(value, e->type.lanes / b.value->type.lanes) : e;
      });
}

/// `s` with its expressions through `expr` and its statements through `stmt`.
template <class ExprMap, class StmtMap>
Stmt mapChildren(const Stmt &s, const ExprMap &expr, const StmtMap &stmt) {
  bool changed = false;
  auto e = [&](const Expr &x) {
    Expr r = x ? expr(x) : x;
    changed |= r.get() != x.get();
    return r;
  };
  auto go = [&](const Stmt &x) {
    Stmt r = stmt(x);
    changed |= r.get() != x.get();
    return r;
  };
  return match(
      s,
      [&](const For &f) {
        Expr begin = e(f.begin), end = e(f.end);
        Stmt body = go(f.body);
        return changed ? loop(f.var, begin, end, f.kind, body) : s;
      },
      [&](const While &w) {
        Expr cond = e(w.cond);
        Stmt body = go(w.body);
        return changed ? makeStmt(While{cond, body}) : s;
      },
      [&](const Store &t) {
        auto indices = mapped(t.indices, e, changed);
        Expr value = e(t.value), mask = e(t.mask);
        return changed ? store(t.buffer, std::move(indices), value, mask) : s;
      },
      [&](const Alloc &a) {
        Stmt body = go(a.body);
        return changed ? makeStmt(Alloc{a.buffer, body}) : s;
      },
      [&](const If &i) {
        Expr cond = e(i.cond);
        Stmt then = go(i.then);
        return changed ? ifThen(cond, then) : s;
      },
      [&](const Let &l) {
        Expr value = e(l.value);
        Stmt body = go(l.body);
        return changed ? makeStmt(Let{l.var, value, body}) : s;
      },
      [&](const Block &b) {
        auto stmts = mapped(b.stmts, go, changed);
        return changed ? block(std::move(stmts)) : s;
      },
      [&](const Eval &v) {
        Expr call = e(v.call);
        return changed ? makeStmt(Eval{call}) : s;
      },
      [&](const Launch &l) {
        auto scalars = mapped(l.scalars, e, changed);
        Expr tasks = e(l.tasks);
        return changed ? makeStmt(Launch{l.kernel, l.buffers, std::move(scalars), tasks}) : s;
      });
}

/// Calls `fn` for the expressions and `stmt` for the statements directly below `s`, in order.
template <class ExprFn1, class StmtFn1>
void eachChild(const Stmt &s, const ExprFn1 &expr, const StmtFn1 &stmt) {
  auto e = [&](const Expr &x) {
    if (x) expr(x);
  };
  match(
      s, [&](const For &f) { e(f.begin), e(f.end), stmt(f.body); },
      [&](const While &w) { e(w.cond), stmt(w.body); },
      [&](const Store &t) {
        for (auto &i : t.indices) e(i);
        e(t.value), e(t.mask);
      },
      [&](const Alloc &a) { stmt(a.body); }, [&](const If &i) { e(i.cond), stmt(i.then); },
      [&](const Let &l) { e(l.value), stmt(l.body); },
      [&](const Block &b) {
        for (auto &x : b.stmts) stmt(x);
      },
      [&](const Eval &v) { e(v.call); },
      [&](const Launch &l) {
        for (auto &x : l.scalars) e(x);
        e(l.tasks);
      });
}

/// Stops at the first expression that `fn` accepts.
template <class Fn> bool any(const Expr &e, const Fn &fn) {
  if (!e) return false;
  if (fn(e)) return true;
  auto in = [&](const Expr &x) { return any(x, fn); };
  auto inAll = [&](const std::vector<Expr> &v) { return std::any_of(v.begin(), v.end(), in); };
  return match(
      e, [](const IntImm &) { return false; }, [](const FloatImm &) { return false; },
      [](const VarRef &) { return false; }, [&](const Binary &b) { return in(b.a) || in(b.b); },
      [&](const Select &s) { return in(s.cond) || in(s.a) || in(s.b); },
      [&](const Cast &c) { return in(c.value); },
      [&](const Load &l) { return inAll(l.indices) || in(l.mask); },
      [&](const Call &c) { return inAll(c.args); }, [&](const Ramp &r) { return in(r.base); },
      [&](const Broadcast &b) { return in(b.value); });
}

/// Structural comparison under a correspondence of variables and buffers.
class Comparison {
public:
  bool same(const Var &a, const Var &b) const {
    auto it = vars.find(a);
    if (it != vars.end()) return it->second == b;
    return a == b;
  }
  bool same(const Buffer &a, const Buffer &b) const {
    auto it = buffers.find(a);
    if (it != buffers.end()) return it->second == b;
    return a == b;
  }
  bool same(const std::vector<Expr> &a, const std::vector<Expr> &b) const {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](const Expr &x, const Expr &y) { return same(x, y); });
  }
  bool same(const Expr &a, const Expr &b) const {
    if (a.get() == b.get() && vars.empty() && buffers.empty()) return true;
    if (!a || !b) return !a && !b;
    if (a->type != b->type || a->node.index() != b->node.index()) return false;
    return std::visit(
        [&](const auto &x) { return sameNode(x, std::get<std::decay_t<decltype(x)>>(b->node)); }, a->node);
  }

  /// Declares that the parameter or allocation `a` is `b`.
  bool bind(const Buffer &a, const Buffer &b) {
    if (a->dtype != b->dtype || a->scope != b->scope || !same(a->shape, b->shape) ||
        !same(a->strides, b->strides))
      return false;
    buffers[a] = b;
    return true;
  }
  bool bind(const Var &a, const Var &b) {
    vars[a] = b;
    return a->type == b->type;
  }

  bool same(const Stmt &a, const Stmt &b) {
    if (a->node.index() != b->node.index()) return false;
    return std::visit(
        [&](const auto &x) { return sameStmt(x, std::get<std::decay_t<decltype(x)>>(b->node)); }, a->node);
  }

private:
  static bool sameNode(const IntImm &a, const IntImm &b) { return a.value == b.value; }
  static bool sameNode(const FloatImm &a, const FloatImm &b) {
    return (a.value == b.value && std::signbit(a.value) == std::signbit(b.value)) ||
           (std::isnan(a.value) && std::isnan(b.value));
  }
  bool sameNode(const VarRef &a, const VarRef &b) const { return same(a.var, b.var); }
  bool sameNode(const Binary &a, const Binary &b) const {
    return a.op == b.op && same(a.a, b.a) && same(a.b, b.b);
  }
  bool sameNode(const Select &a, const Select &b) const {
    return same(a.cond, b.cond) && same(a.a, b.a) && same(a.b, b.b);
  }
  bool sameNode(const Cast &a, const Cast &b) const { return same(a.value, b.value); }
  bool sameNode(const Load &a, const Load &b) const {
    return same(a.buffer, b.buffer) && same(a.indices, b.indices) && same(a.mask, b.mask);
  }
  bool sameNode(const Call &a, const Call &b) const { return a.fn == b.fn && same(a.args, b.args); }
  bool sameNode(const Ramp &a, const Ramp &b) const { return a.stride == b.stride && same(a.base, b.base); }
  bool sameNode(const Broadcast &a, const Broadcast &b) const { return same(a.value, b.value); }

  bool sameStmt(const For &a, const For &b) {
    return a.kind == b.kind && same(a.begin, b.begin) && same(a.end, b.end) && bind(a.var, b.var) &&
           same(a.body, b.body);
  }
  bool sameStmt(const While &a, const While &b) { return same(a.cond, b.cond) && same(a.body, b.body); }
  bool sameStmt(const Store &a, const Store &b) {
    return same(a.buffer, b.buffer) && same(a.indices, b.indices) && same(a.value, b.value) &&
           same(a.mask, b.mask);
  }
  bool sameStmt(const Alloc &a, const Alloc &b) { return bind(a.buffer, b.buffer) && same(a.body, b.body); }
  bool sameStmt(const If &a, const If &b) { return same(a.cond, b.cond) && same(a.then, b.then); }
  bool sameStmt(const Let &a, const Let &b) {
    return same(a.value, b.value) && bind(a.var, b.var) && same(a.body, b.body);
  }
  bool sameStmt(const Block &a, const Block &b) {
    return std::equal(a.stmts.begin(), a.stmts.end(), b.stmts.begin(), b.stmts.end(),
                      [&](const Stmt &x, const Stmt &y) { return same(x, y); });
  }
  bool sameStmt(const Eval &a, const Eval &b) { return same(a.call, b.call); }
  bool sameStmt(const Launch &a, const Launch &b) {
    return (a.kernel == b.kernel || equivalent(*a.kernel, *b.kernel)) &&
           std::equal(a.buffers.begin(), a.buffers.end(), b.buffers.begin(), b.buffers.end(),
                      [&](const Buffer &x, const Buffer &y) { return same(x, y); }) &&
           same(a.scalars, b.scalars) && same(a.tasks, b.tasks);
  }

  std::map<Var, Var> vars;
  std::map<Buffer, Buffer> buffers;
};

} // namespace

Expr rewrite(const Expr &e, const ExprFn &post) {
  if (!e) return e;
  return post(mapChildren(e, [&](const Expr &x) { return rewrite(x, post); }));
}

Stmt rewrite(const Stmt &s, const StmtFn &post, const ExprFn &expr) {
  auto onExpr = [&](const Expr &x) { return expr ? rewrite(x, expr) : x; };
  Stmt r = mapChildren(s, onExpr, [&](const Stmt &x) { return rewrite(x, post, expr); });
  return post ? post(r) : r;
}

Expr substitute(const Expr &e, const Substitution &map) {
  if (!e) return e;
  if (auto *v = as<VarRef>(e)) {
    auto it = map.find(v->var);
    return it == map.end() ? e : it->second;
  }
  return mapChildren(e, [&](const Expr &x) { return substitute(x, map); });
}
Stmt substitute(const Stmt &s, const Substitution &map) {
  return mapChildren(
      s, [&](const Expr &x) { return substitute(x, map); },
      [&](const Stmt &x) { return substitute(x, map); });
}

void walk(const Expr &e, const std::function<void(const Expr &)> &fn) {
  any(e, [&](const Expr &x) {
    fn(x);
    return false;
  });
}
void walk(const Stmt &s, const std::function<void(const Stmt &)> &fn) {
  fn(s);
  eachChild(s, [](const Expr &) {}, [&](const Stmt &x) { walk(x, fn); });
}
void walkExprs(const Stmt &s, const std::function<void(const Expr &)> &fn) {
  eachChild(s, fn, [&](const Stmt &x) { walkExprs(x, fn); });
}
void walkAccesses(const Stmt &s, const std::function<void(const Buffer &, const std::vector<Expr> &)> &fn) {
  if (auto *t = as<Store>(s)) fn(t->buffer, t->indices);
  auto loads = [&](const Expr &e) {
    walk(e, [&](const Expr &x) {
      if (auto *l = as<Load>(x)) fn(l->buffer, l->indices);
    });
  };
  eachChild(s, loads, [&](const Stmt &x) { walkAccesses(x, fn); });
}

std::vector<Var> sizeVars(const BufferNode &b) {
  std::vector<Var> r;
  for (auto *list : {&b.shape, &b.strides})
    for (const Expr &e : *list)
      walk(e, [&](const Expr &x) {
        auto *v = as<VarRef>(x);
        if (v && std::ranges::find(r, v->var) == r.end()) r.push_back(v->var);
      });
  return r;
}
std::vector<Var> laterSizes(const Function &f) {
  std::set<Var> bound;
  if (f.body)
    walk(f.body, [&](const Stmt &s) {
      if (auto *l = as<Let>(s)) bound.insert(l->var);
    });
  std::vector<Var> r;
  for (const Buffer &b : f.params)
    for (const Var &v : sizeVars(*b))
      if (bound.contains(v) && std::ranges::find(r, v) == r.end()) r.push_back(v);
  return r;
}
bool dependsOn(const Expr &e, const Var &v) {
  return any(e, [&](const Expr &x) {
    auto *r = as<VarRef>(x);
    return r && r->var == v;
  });
}

std::vector<Var> freeVariables(const Function &f) {
  std::set<Var> bound;
  walk(f.body, [&](const Stmt &s) {
    if (auto *l = as<For>(s)) bound.insert(l->var);
    if (auto *l = as<Let>(s)) bound.insert(l->var);
  });
  std::vector<Var> r;
  auto look = [&](const Expr &e) {
    walk(e, [&](const Expr &x) {
      auto *v = as<VarRef>(x);
      if (v && !bound.contains(v->var) && std::find(r.begin(), r.end(), v->var) == r.end())
        r.push_back(v->var);
    });
  };
  for (const Buffer &b : f.params)
    for (auto *sizes : {&b->shape, &b->strides})
      for (const Expr &e : *sizes) look(e);
  walkExprs(f.body, look);
  return r;
}

bool equal(const Expr &a, const Expr &b) { return Comparison().same(a, b); }

bool equivalent(const Function &a, const Function &b) {
  if (a.params.size() != b.params.size() || a.scalars.size() != b.scalars.size()) return false;
  Comparison c;
  for (size_t i = 0; i < a.scalars.size(); ++i)
    if (!c.bind(a.scalars[i], b.scalars[i])) return false;
  std::vector<Var> laterA = laterSizes(a), laterB = laterSizes(b);
  if (laterA.size() != laterB.size()) return false;
  for (size_t i = 0; i < laterA.size(); ++i)
    if (!c.bind(laterA[i], laterB[i])) return false;
  for (size_t i = 0; i < a.params.size(); ++i)
    if (!c.bind(a.params[i], b.params[i])) return false;
  return c.same(a.body, b.body);
}

} // namespace planish::loop
