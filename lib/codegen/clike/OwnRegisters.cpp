#include "OwnRegisters.h"

#include "planish/loop/Passes.h"
#include "planish/loop/Rewrite.h"
#include "planish/support/Check.h"

#include <map>

namespace planish::codegen {

using namespace loop;

namespace {

Buffer withoutItem(const Buffer &b) {
  std::vector<Expr> shape(b->shape.begin() + 1, b->shape.end());
  if (shape.empty()) shape.push_back(imm(1));
  return buffer(b->name, b->dtype, std::move(shape), {}, b->scope);
}
std::vector<Expr> withoutItem(const std::vector<Expr> &indices) {
  std::vector<Expr> r(indices.begin() + 1, indices.end());
  if (r.empty()) r.push_back(imm(0));
  return r;
}

} // namespace

Stmt withOwnRegisters(const Function &f) {
  std::map<const BufferNode *, Buffer> own, inside;
  std::set<Var> items;
  for (const For *l : groupLoops(f)) {
    items.insert(l->var);
    walk(l->body, [&](const Stmt &s) {
      if (auto *a = as<Alloc>(s)) inside[a->buffer.get()] = a->buffer;
    });
  }
  walk(f.body, [&](const Stmt &s) {
    auto *a = as<Alloc>(s);
    if (a && a->buffer->scope == Scope::Register && !inside.contains(a->buffer.get()))
      own[a->buffer.get()] = withoutItem(a->buffer);
  });
  auto check = [&](const std::vector<Expr> &indices) {
    auto *v = as<VarRef>(indices[0]);
    PLANISH_CHECK(v && items.contains(v->var), "the first index of a group's registers is the item");
  };
  auto expr = [&](const Expr &e) {
    auto *l = as<Load>(e);
    auto it = l ? own.find(l->buffer.get()) : own.end();
    if (it == own.end()) return e;
    check(l->indices);
    return makeExpr(e->type, Load{it->second, withoutItem(l->indices), l->mask});
  };
  return rewrite(
      f.body,
      [&](const Stmt &s) {
        if (auto *t = as<Store>(s))
          if (auto it = own.find(t->buffer.get()); it != own.end()) {
            check(t->indices);
            return makeStmt(Store{it->second, withoutItem(t->indices), t->value, t->mask});
          }
        if (auto *a = as<Alloc>(s))
          if (auto it = own.find(a->buffer.get()); it != own.end())
            return makeStmt(Alloc{it->second, a->body});
        return s;
      },
      expr);
}

} // namespace planish::codegen
