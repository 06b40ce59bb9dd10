#include "Scalarize.h"
#include "../Operands.h"

#include "planish/loop/Rewrite.h"
#include "planish/support/Check.h"

#include <map>

namespace planish::codegen {
namespace {

using namespace loop;

/// One lane of a vector expression as a scalar expression. Shared nodes stay shared.
class LaneView {
public:
  Expr at(const Expr &e, const Expr &lane) {
    if (!e || e->type.lanes == 1) return rewritten(e);
    auto key = std::make_pair(e.get(), lane.get());
    if (auto it = seen.find(key); it != seen.end()) return it->second;
    kept.push_back(lane);
    return seen[key] = make(e, lane);
  }

  std::map<Var, Buffer> arrays;  // vector variables live in register buffers

private:
  std::map<std::pair<const ExprNode *, const ExprNode *>, Expr> seen;
  std::vector<Expr> kept;

  /// A scalar may hold vectors only below Dot4.
  Expr rewritten(const Expr &e) {
    if (!e) return e;
    bool vector = false;
    eachNode(e, [&](const Expr &x) { vector |= x->type.lanes > 1; });
    if (!vector) return e;
    auto key = std::make_pair(e.get(), static_cast<const ExprNode *>(nullptr));
    if (auto it = seen.find(key); it != seen.end()) return it->second;
    return seen[key] = make(e, imm(0));
  }

  Expr make(const Expr &e, const Expr &lane) {
    auto go = [&](const Expr &x) { return at(x, lane); };
    DType dtype = e->type.dtype;
    return match(
        e, [&](const IntImm &k) { return imm(k.value, {dtype, 1}); },
        [&](const FloatImm &k) { return fimm(k.value); },
        [&](const VarRef &v) { return e->type.lanes == 1 ? e : loop::load(arrays.at(v.var), {lane}); },
        [&](const Binary &x) { return binary(x.op, go(x.a), go(x.b)); },
        [&](const Select &s) { return select(go(s.cond), go(s.a), go(s.b)); },
        [&](const Cast &c) { return cast(dtype, go(c.value)); },
        [&](const Load &l) {
          std::vector<Expr> indices;
          for (const Expr &i : l.indices) indices.push_back(go(i));
          return loop::load(l.buffer, std::move(indices), go(l.mask));
        },
        [&](const Call &c) { return c.fn == Intrinsic::Dot4 ? dot4(c, lane) : plainCall(c, lane); },
        [&](const Ramp &r) {
          int64_t inner = e->type.lanes / r.base->type.lanes;
          Expr outer = at(r.base, floorDiv(lane, imm(inner)));
          return outer + (r.base->type.lanes == 1 ? lane : floorMod(lane, imm(inner))) * r.stride;
        },
        [&](const Broadcast &x) {
          int64_t k = x.value->type.lanes;
          return at(x.value, k == 1 ? lane : floorMod(lane, imm(k)));
        });
  }
  Expr plainCall(const Call &c, const Expr &lane) {
    std::vector<Expr> args;
    for (const Expr &a : c.args) args.push_back(at(a, lane));
    return call(c.fn, std::move(args));
  }
  Expr dot4(const Call &c, const Expr &lane) {
    Expr sum = at(c.args[2], lane);
    for (int64_t k = 0; k < 4; ++k) {
      Expr place = lane * 4 + k;
      sum = sum + cast(DType::i32, at(c.args[0], place)) * cast(DType::i32, at(c.args[1], place));
    }
    return sum;
  }
};

class Scalarizer {
public:
  explicit Scalarizer(const std::function<bool(const Stmt &)> &k) : keep(k) {}

  Stmt run(const Stmt &s) {
    return match(
        s, [&](const For &f) { return makeStmt(For{f.var, one(f.begin), one(f.end), f.kind, run(f.body)}); },
        [&](const While &w) { return makeStmt(While{one(w.cond), run(w.body)}); },
        [&](const Store &t) { return store(s, t); },
        [&](const Alloc &a) { return makeStmt(Alloc{a.buffer, run(a.body)}); },
        [&](const If &i) { return makeStmt(If{one(i.cond), run(i.then)}); },
        [&](const Let &l) { return let(s, l); },
        [&](const Block &b) {
          std::vector<Stmt> r;
          for (const Stmt &x : b.stmts) r.push_back(run(x));
          return block(std::move(r));
        },
        [&](const Eval &) { return block({}); },  // a prefetch has no effect on results
        [&](const Launch &) { return s; });
  }

private:
  const std::function<bool(const Stmt &)> &keep;
  std::map<Var, Buffer> arrays;

  LaneView view() const {
    LaneView v;
    v.arrays = arrays;
    return v;
  }
  Expr one(const Expr &e) { return view().at(e, imm(0)); }

  static Stmt overLanes(int lanes, const std::function<Stmt(const Expr &lane)> &body) {
    Var lane = var("lane", {}, 0, lanes - 1);
    return loop::loop(lane, imm(0), imm(lanes), LoopKind::Serial, body(use(lane)));
  }
  Stmt let(const Stmt &s, const Let &l) {
    int lanes = l.var->type.lanes;
    if (lanes > 1 && keep && keep(s)) return makeStmt(Let{l.var, l.value, run(l.body)});
    if (lanes == 1) return makeStmt(Let{l.var, one(l.value), run(l.body)});
    Buffer array = buffer(l.var->name, l.var->type.dtype, std::vector<int64_t>{lanes}, {}, Scope::Register);
    Stmt fill = overLanes(
        lanes, [&](const Expr &lane) { return loop::store(array, {lane}, view().at(l.value, lane)); });
    arrays[l.var] = array;
    Stmt body = run(l.body);
    arrays.erase(l.var);
    return makeStmt(Alloc{array, block({fill, body})});
  }
  Stmt store(const Stmt &s, const Store &t) {
    int lanes = t.value->type.lanes;
    if (keep && keep(s)) return s;
    auto assigned = [&](const Expr &lane, const Expr &value) {
      LaneView v = view();
      std::vector<Expr> indices;
      for (const Expr &i : t.indices) indices.push_back(v.at(i, lane));
      return makeStmt(
          Store{t.buffer, std::move(indices), value ? value : v.at(t.value, lane), v.at(t.mask, lane)});
    };
    if (lanes == 1) return assigned(imm(0), {});
    if (!reads(t)) return overLanes(lanes, [&](const Expr &lane) { return assigned(lane, {}); });
    // All lanes are read before any is written.
    Buffer all = buffer("lanes", t.buffer->dtype, std::vector<int64_t>{lanes}, {}, Scope::Register);
    Stmt fill = overLanes(
        lanes, [&](const Expr &lane) { return loop::store(all, {lane}, view().at(t.value, lane)); });
    Stmt move = overLanes(lanes, [&](const Expr &lane) { return assigned(lane, loop::load(all, {lane})); });
    return makeStmt(Alloc{all, block({fill, move})});
  }
  /// The stored buffer is read elsewhere than in the very lane that is written.
  static bool reads(const Store &t) {
    bool found = false;
    auto look = [&](const Expr &e) {
      eachNode(e, [&](const Expr &x) {
        auto *l = as<Load>(x);
        if (!l || l->buffer != t.buffer) return;
        for (size_t d = 0; d < l->indices.size(); ++d) found |= !equal(l->indices[d], t.indices[d]);
      });
    };
    look(t.value), look(t.mask);
    for (const Expr &i : t.indices) look(i);
    return found;
  }
};

} // namespace

Stmt scalarize(const Stmt &s, const std::function<bool(const Stmt &)> &keep) {
  return Scalarizer(keep).run(s);
}

} // namespace planish::codegen
