// Vectorized loops become vector expressions; a guard on the lane becomes a mask.
#include "planish/loop/Passes.h"

#include "planish/loop/Rewrite.h"
#include "planish/loop/Text.h"
#include "planish/support/Check.h"

namespace planish::loop {

namespace {

/// Every lane of an integer or boolean expression `times` times in a row.
Expr stretched(const Expr &e, int times) {
  if (times == 1) return e;
  int lanes = e->type.lanes * times;
  if (e->type.lanes == 1) return broadcast(e, times);
  if (e->type.dtype == DType::i64 && !as<IntImm>(e)) return ramp(e, 0, times);
  auto go = [&](const Expr &x) { return stretched(x, times); };
  return match(
      e, [&](const IntImm &k) { return imm(k.value, {e->type.dtype, lanes}); },
      [&](const Binary &b) { return binary(b.op, go(b.a), go(b.b)); },
      [&](const Broadcast &b) {
        PLANISH_CHECK(b.value->type.lanes == 1, "cannot stretch " + print(e));
        return broadcast(b.value, lanes);
      },
      [&](const auto &) -> Expr {
        return internalError("Vectorize.cpp", 0, "cannot stretch " + print(e)), e;
      });
}

/// `e` at `lanes` lanes: its lanes repeated as a whole.
Expr fit(const Expr &e, int lanes) {
  PLANISH_CHECK(lanes % e->type.lanes == 0, "cannot widen " + print(e));
  return broadcast(e, lanes / e->type.lanes);
}

/// Padded constants and registers are readable in every lane, and so are tables by bytes.
bool needsMask(const Load &l) {
  return l.buffer->scope != Scope::Register && l.buffer->scope != Scope::Packed && !isTableRead(l);
}

/// Indices of an access that becomes `lanes * inner` lanes wide, lane l = (v = l / inner, l % inner).
/// What they read is protected by `mask` like the access itself.
std::vector<Expr> widenedIndices(const std::vector<Expr> &indices, const Var &v, int lanes, int inner,
                                 const Expr &mask) {
  std::vector<Expr> r;
  for (auto &i : indices) {
    if (!dependsOn(i, v)) r.push_back(i->type.lanes == 1 ? i : broadcast(i, lanes));
    else
      r.push_back(i->type.lanes == inner ? widen(i, v, lanes, mask)
                                         : stretched(widen(i, v, lanes, mask), inner));
  }
  return r;
}

class Widener {
public:
  Widener(Var v, int lanes) : v(std::move(v)), lanes(lanes) {}

  Stmt stmt(const Stmt &s, const Expr &mask) const {
    return match(
        s, [&](const Store &t) { return store(t, mask); },
        [&](const If &i) {
          // What holds for all lanes stays a branch: it also guards what is read once for all of them.
          Expr common, ofLane;
          divide(i.cond, common, ofLane);
          Stmt then = stmt(i.then, ofLane ? conjunction(mask, widen(ofLane, v, lanes, mask)) : mask);
          return common ? ifThen(common, then) : then;
        },
        [&](const Let &l) {
          if (dependsOn(l.value, v)) return stmt(substitute(l.body, {{l.var, l.value}}), mask);
          return makeStmt(Let{l.var, l.value, stmt(l.body, mask)});
        },
        [&](const For &f) {
          PLANISH_CHECK(!dependsOn(f.begin, v) && !dependsOn(f.end, v),
                        "the bounds of the loop over '" + f.var->name + "' depend on the lane");
          return loop(f.var, f.begin, f.end, f.kind, stmt(f.body, mask));
        },
        [&](const Block &b) {
          std::vector<Stmt> r;
          for (auto &x : b.stmts) r.push_back(stmt(x, mask));
          return block(std::move(r));
        },
        [&](const Eval &e) { return makeStmt(Eval{substitute(e.call, {{v, imm(0)}})}); },
        [&](const auto &) -> Stmt {
          return internalError("Vectorize.cpp", 0, "allocations, launches and while loops have no lanes"), s;
        });
  }

private:
  /// The conjuncts of a condition, by whether they depend on the lane.
  void divide(const Expr &cond, Expr &common, Expr &ofLane) const {
    if (auto *b = as<Binary>(cond); b && b->op == BinaryOp::And) {
      divide(b->a, common, ofLane);
      divide(b->b, common, ofLane);
      return;
    }
    Expr &part = dependsOn(cond, v) ? ofLane : common;
    part = conjunction(part, cond);
  }

  Stmt store(const Store &t, const Expr &mask) const {
    int inner = t.value->type.lanes, all = inner * lanes;
    bool varies = false;
    for (auto &i : t.indices) varies |= dependsOn(i, v);
    PLANISH_CHECK(varies, "all lanes of '" + v->name + "' store to one place of '" + t.buffer->name + "'");
    Expr own =
        t.mask ? (dependsOn(t.mask, v) ? fit(widen(t.mask, v, lanes, mask), all) : fit(t.mask, all)) : Expr();
    Expr both = conjunction(own, mask ? stretched(mask, inner) : mask);
    return loop::store(t.buffer, widenedIndices(t.indices, v, lanes, inner, mask),
                       fit(widen(t.value, v, lanes, mask), all), both);
  }

  Var v;
  int lanes;
};

} // namespace

namespace {
/// The operand of a minimum or maximum with a constant, which may be repeated, and that constant.
std::optional<std::pair<Expr, int64_t>> boundedBy(const Expr &e, BinaryOp op) {
  auto *b = as<Binary>(e);
  if (!b || b->op != op) return std::nullopt;
  Expr bound = b->b;
  while (auto *repeated = as<Broadcast>(bound)) bound = repeated->value;
  auto *k = as<IntImm>(bound);
  return k ? std::optional(std::pair(b->a, k->value)) : std::nullopt;
}

/// How many entries a table needs so that an index is always within: all that a byte can say, or what a
/// difference of a clamped number and its least can.
std::optional<int64_t> entriesFor(const Expr &index) {
  if (index->type.dtype == DType::u8) return 256;
  auto *difference = as<Binary>(index);
  if (!difference || difference->op != BinaryOp::Sub) return std::nullopt;
  Expr base = difference->b;
  while (auto *repeated = as<Broadcast>(base)) base = repeated->value;
  auto upper = boundedBy(difference->a, BinaryOp::Min);
  auto lower = upper ? boundedBy(upper->first, BinaryOp::Max) : std::nullopt;
  auto *least = as<IntImm>(base);
  if (!lower || !least || lower->second < least->value || upper->second < lower->second) return std::nullopt;
  return upper->second - least->value + 1;
}
} // namespace

bool isTableRead(const Load &l) {
  const Cast *index = l.indices.size() == 1 ? as<Cast>(l.indices[0]) : nullptr;
  auto size = constantOf(l.buffer->shape.empty() ? Expr() : l.buffer->shape[0]);
  auto entries = index ? entriesFor(index->value) : std::nullopt;
  return size && entries && *size >= *entries;
}

/// What does not depend on v stays scalar and is repeated where an operator needs vectors; an
/// expression that has k lanes already gets k*lanes. `mask` (one lane per value of v) protects what
/// is read from memory that is not padded.
Expr widen(const Expr &e, const Var &v, int lanes, const Expr &mask) {
  if (!dependsOn(e, v)) return e;
  auto go = [&](const Expr &x) { return widen(x, v, lanes, mask); };
  int n = e->type.lanes * lanes;
  return match(
      e, [&](const VarRef &) { return ramp(imm(0), 1, lanes); },
      [&](const Binary &b) { return binary(b.op, fit(go(b.a), n), fit(go(b.b), n)); },
      [&](const Select &s) { return select(fit(go(s.cond), n), fit(go(s.a), n), fit(go(s.b), n)); },
      [&](const Cast &c) { return cast(e->type.dtype, go(c.value)); },
      [&](const Load &l) {
        Expr own = l.mask ? fit(go(l.mask), n) : Expr();
        Expr all = mask && needsMask(l) ? conjunction(own, stretched(mask, e->type.lanes)) : own;
        return makeExpr({e->type.dtype, n},
                        Load{l.buffer, widenedIndices(l.indices, v, lanes, e->type.lanes, mask), all});
      },
      [&](const Call &c) {
        std::vector<Expr> args;
        for (auto &a : c.args) args.push_back(fit(go(a), a->type.lanes * lanes));
        return call(c.fn, std::move(args));
      },
      [&](const Ramp &r) { return ramp(go(r.base), r.stride, e->type.lanes / r.base->type.lanes); },
      [&](const Broadcast &b) {
        PLANISH_CHECK(b.value->type.lanes == 1, "cannot vectorize " + print(e));
        return stretched(go(b.value), e->type.lanes);
      },
      [&](const auto &) -> Expr {
        return internalError("Vectorize.cpp", 0, "cannot vectorize " + print(e)), e;
      });
}

Function vectorize(const Function &f) {
  auto post = [](const Stmt &s) -> Stmt {
    auto *l = as<For>(s);
    if (!l || l->kind != LoopKind::Vectorized) return s;
    auto trips = constantOf(l->end - l->begin);
    PLANISH_CHECK(trips, "the vectorized loop over '" + l->var->name + "' has no constant trip count");
    if (*trips <= 0) return block({});
    if (*trips == 1) return substitute(l->body, {{l->var, l->begin}});
    Stmt body = l->body;
    if (constantOf(l->begin) != 0) body = substitute(body, {{l->var, use(l->var) + l->begin}});
    return Widener(l->var, int(*trips)).stmt(body, {});
  };
  return {f.name, f.params, f.scalars, rewrite(f.body, post)};
}

} // namespace planish::loop
