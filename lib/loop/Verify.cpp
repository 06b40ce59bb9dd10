// The rules of Verify.h, checked in one walk.
#include "planish/loop/Verify.h"

#include "planish/loop/Rewrite.h"
#include "planish/loop/Text.h"
#include "planish/support/Check.h"

#include <algorithm>
#include <array>
#include <set>

namespace planish::loop {

namespace {

using enum BinaryOp;

/// What an intrinsic takes: element types of its arguments; the lanes are those of the result, times
/// `widening` for all but the last argument.
struct SignatureRow {
  std::array<DType, 3> args;
  int widening = 1;
  bool anyFloat = false;   // f64, too
  bool anyNumber = false;  // f32, f64, i32 or i64
};
SignatureRow signatureOf(Intrinsic fn) {
  using enum DType;
  switch (fn) {
  case Intrinsic::Dot4: return {{u8, i8, i32}, 4};
  case Intrinsic::FromBits: return {{i32}};
  case Intrinsic::Round:
  case Intrinsic::Floor:
  case Intrinsic::Ceil:
  case Intrinsic::Sqrt: return {{f32}, 1, true};
  case Intrinsic::Abs: return {{f32}, 1, true, true};
  default: return {{f32, f32, f32}};
  }
}

bool isLocal(const BufferNode &b) { return b.scope == Scope::Register || b.scope == Scope::Scratch; }

class Verifier {
public:
  explicit Verifier(const Function &f) : function(f) {}

  Status run() {
    for (auto &v : function.scalars) {
      if (v->type != Type{}) return error("scalar '" + v->name + "' is not an i64");
      if (!vars.insert(v).second) return error("scalar '" + v->name + "' is listed twice");
    }
    std::vector<Var> later = laterSizes(function);
    vars.insert(later.begin(), later.end());
    for (auto &b : function.params) {
      if (isLocal(*b)) return error("parameter '%" + b->name + "' is a register or scratch buffer");
      if (!buffers.insert(b).second) return error("parameter '%" + b->name + "' is listed twice");
      PLANISH_TRY(sizes(*b));
    }
    if (!function.body) return error("there is no body");
    for (auto &v : later) vars.erase(v);
    return stmt(function.body);
  }

private:
  Diagnostic error(const std::string &text) const {
    return failed("loop function '@" + function.name + "': " + text);
  }
  Diagnostic error(const std::string &text, const Expr &e) const {
    constexpr size_t kLongest = 200;
    std::string shown = print(e);
    if (shown.size() > kLongest) shown = shown.substr(0, kLongest) + "...";
    return error(text + ": " + shown);
  }

  Status sizes(const BufferNode &b) {
    if (b.shape.size() != b.strides.size())
      return error("'%" + b.name + "': sizes and strides differ in number");
    for (auto *list : {&b.shape, &b.strides})
      for (auto &e : *list) {
        PLANISH_TRY(expr(e));
        if (e->type != Type{}) return error("a size of '%" + b.name + "' is not a scalar i64", e);
      }
    return {};
  }

  Status typed(const Expr &e, Type type, const std::string &what) {
    if (!e) return error(what + " is absent");
    PLANISH_TRY(expr(e));
    if (e->type == type) return {};
    return error(what + " has the wrong type", e);
  }

  /// A parameter may be used once all its sizes are known.
  Status inScope(const Buffer &b) {
    if (!buffers.contains(b)) return error("'%" + b->name + "' is used outside of its scope");
    for (const Var &v : sizeVars(*b))
      if (!vars.contains(v))
        return error("'%" + b->name + "' is used before its size '" + v->name + "' is known");
    return {};
  }

  Status access(const Buffer &b, const std::vector<Expr> &indices, const Expr &mask, int lanes) {
    PLANISH_TRY(inScope(b));
    if (indices.size() != b->shape.size())
      return error("'%" + b->name + "' has " + std::to_string(b->shape.size()) +
                   " dimensions and is accessed with " + std::to_string(indices.size()));
    for (auto &i : indices) {
      PLANISH_TRY(expr(i));
      if (i->type.dtype != DType::i64 || (i->type.lanes != 1 && i->type.lanes != lanes))
        return error(
            "an index of '%" + b->name + "' is not an i64 of 1 or " + std::to_string(lanes) + " lanes", i);
    }
    if (mask) PLANISH_TRY(typed(mask, {DType::b1, lanes}, "a mask of '%" + b->name + "'"));
    return {};
  }

  Status binary(const Expr &e, const Binary &b) {
    PLANISH_TRY(expr(b.a));
    PLANISH_TRY(expr(b.b));
    if (b.a->type != b.b->type) return error("the operands differ in type", e);
    DType t = b.a->type.dtype;
    bool compares = b.op == Lt || b.op == Le || b.op == Eq, bits = b.op == And || b.op == Or || b.op == Xor;
    bool fits = compares || b.op == Min || b.op == Max ? true
                : bits                                 ? !isFloat(t)
                : b.op == Shl || b.op == Shr           ? !isFloat(t) && t != DType::b1
                : b.op == Div                          ? isFloat(t)
                : b.op == FloorDiv || b.op == FloorMod ? !isFloat(t) && t != DType::b1
                                                       : t != DType::b1;
    if (!fits)
      return error(
          "'" + std::string(nameOf(b.op)) + "' is not defined for " + std::string(planish::nameOf(t)), e);
    Type result = compares ? Type{DType::b1, b.a->type.lanes} : b.a->type;
    return e->type == result ? Status() : error("the result has the wrong type", e);
  }

  Status call(const Expr &e, const Call &c) {
    if (c.args.size() != arityOf(c.fn)) return error("wrong number of arguments", e);
    if (c.fn == Intrinsic::Prefetch) return error("a prefetch stands only alone in a statement", e);
    for (auto &a : c.args) PLANISH_TRY(expr(a));
    SignatureRow row = signatureOf(c.fn);
    for (size_t i = 0; i < c.args.size(); ++i) {
      Type t = c.args[i]->type;
      // Dot4 takes signed codes on the left where the device does.
      bool codes = c.fn == Intrinsic::Dot4 && i == 0 && t.dtype == DType::i8;
      bool fits = codes || t.dtype == row.args[i] || (row.anyFloat && t.dtype == DType::f64) ||
                  (row.anyNumber && (t.dtype == DType::i32 || t.dtype == DType::i64));
      bool last = i + 1 == c.args.size();
      if (!fits || t.lanes != e->type.lanes * (last ? 1 : row.widening))
        return error("argument " + std::to_string(i + 1) + " of '" + std::string(nameOf(c.fn)) +
                         "' has the wrong type",
                     e);
    }
    return e->type == typeOf(c.fn, c.args) ? Status() : error("the result has the wrong type", e);
  }

  Status expr(const Expr &e) {
    if (!e) return error("an operand is absent");
    if (e->type.lanes < 1) return error("an expression has no lanes");
    return match(
        e,
        [&](const IntImm &) {
          return isFloat(e->type.dtype) ? error("an integer immediate of a float type", e) : Status();
        },
        [&](const FloatImm &) {
          return isFloat(e->type.dtype) ? Status() : error("a float immediate of integer type", e);
        },
        [&](const VarRef &v) -> Status {
          if (!vars.contains(v.var))
            return error("variable '" + v.var->name + "' is used outside of its scope");
          return v.var->type == e->type ? Status() : error("a use has another type than its variable", e);
        },
        [&](const Binary &b) { return binary(e, b); },
        [&](const Select &s) -> Status {
          PLANISH_TRY(typed(s.cond, {DType::b1, e->type.lanes}, "a condition"));
          PLANISH_TRY(typed(s.a, e->type, "the first choice of a select"));
          return typed(s.b, e->type, "the second choice of a select");
        },
        [&](const Cast &c) -> Status {
          PLANISH_TRY(expr(c.value));
          return c.value->type.lanes == e->type.lanes ? Status()
                                                      : error("a cast changes the number of lanes", e);
        },
        [&](const Load &l) -> Status {
          if (e->type.dtype != l.buffer->dtype) return error("a load has another type than its buffer", e);
          return access(l.buffer, l.indices, l.mask, e->type.lanes);
        },
        [&](const Call &c) { return call(e, c); },
        [&](const Ramp &r) -> Status {
          PLANISH_TRY(expr(r.base));
          bool fits = r.base->type.dtype == DType::i64 && e->type.dtype == DType::i64 &&
                      e->type.lanes % r.base->type.lanes == 0;
          return fits ? Status() : error("a ramp has the wrong type", e);
        },
        [&](const Broadcast &b) -> Status {
          PLANISH_TRY(expr(b.value));
          bool fits = b.value->type.dtype == e->type.dtype && e->type.lanes % b.value->type.lanes == 0;
          return fits ? Status() : error("a broadcast has the wrong type", e);
        });
  }

  /// Runs `check` with `v` in scope.
  template <class Check> Status with(const Var &v, const Check &check) {
    if (!vars.insert(v).second)
      return error("variable '" + v->name + "' is bound again inside its own scope");
    PLANISH_TRY(check());
    vars.erase(v);
    return {};
  }

  Status forStmt(const For &f) {
    PLANISH_TRY(typed(f.begin, {}, "the begin of the loop over '" + f.var->name + "'"));
    PLANISH_TRY(typed(f.end, {}, "the end of the loop over '" + f.var->name + "'"));
    if (f.var->type != Type{}) return error("loop variable '" + f.var->name + "' is not an i64");
    bool constantTrips = f.kind == LoopKind::Vectorized || f.kind == LoopKind::Unrolled;
    if (constantTrips && !constantOf(f.end - f.begin))
      return error("the vectorized or unrolled loop over '" + f.var->name + "' has no constant trip count");
    if (f.kind == LoopKind::Parallel && parallel == 1 && (constantOf(f.begin) != 0 || !constantOf(f.end)))
      return error("the items of a group, the loop over '" + f.var->name +
                   "', are no constant number from 0");
    if (f.kind == LoopKind::Parallel && parallel == 2)
      return error("the parallel loop over '" + f.var->name + "' is inside a group's parallel loop");
    parallel += f.kind == LoopKind::Parallel;
    PLANISH_TRY(with(f.var, [&] { return stmt(f.body); }));
    parallel -= f.kind == LoopKind::Parallel;
    return {};
  }

  Status storeStmt(const Store &t) {
    PLANISH_TRY(expr(t.value));
    if (t.buffer->scope == Scope::Constant) return error("constant '%" + t.buffer->name + "' is written");
    if (t.value->type.dtype != t.buffer->dtype)
      return error("'%" + t.buffer->name + "' holds another type than is stored", t.value);
    bool vectorIndex =
        std::any_of(t.indices.begin(), t.indices.end(), [](const Expr &i) { return i && i->type.lanes > 1; });
    if (t.value->type.lanes > 1 && !vectorIndex)
      return error("several lanes are stored to one place of '%" + t.buffer->name + "'", t.value);
    return access(t.buffer, t.indices, t.mask, t.value->type.lanes);
  }

  Status launchStmt(const Launch &l) {
    if (!l.kernel) return error("a launch has no kernel");
    const std::string name = "the launch of '@" + l.kernel->name + "'";
    if (l.buffers.size() != l.kernel->params.size() || l.scalars.size() != l.kernel->scalars.size())
      return error(name + " has another number of arguments than the function");
    for (size_t i = 0; i < l.buffers.size(); ++i) {
      PLANISH_TRY(inScope(l.buffers[i]));
      if (l.buffers[i]->dtype != l.kernel->params[i]->dtype)
        return error(name + ": '%" + l.buffers[i]->name + "' has another element type than the parameter");
    }
    for (auto &s : l.scalars) PLANISH_TRY(typed(s, {}, "a scalar of " + name));
    return typed(l.tasks, {}, "the task count of " + name);
  }

  Status stmt(const Stmt &s) {
    if (!s) return error("a statement is absent");
    return match(
        s, [&](const For &f) { return forStmt(f); },
        [&](const While &w) -> Status {
          PLANISH_TRY(typed(w.cond, {DType::b1, 1}, "the condition of a while"));
          return stmt(w.body);
        },
        [&](const Store &t) { return storeStmt(t); },
        [&](const Alloc &a) -> Status {
          PLANISH_TRY(sizes(*a.buffer));
          if (isLocal(*a.buffer) && !hasConstantShape(*a.buffer))
            return error("register or scratch buffer '%" + a.buffer->name + "' has no constant shape");
          if (!buffers.insert(a.buffer).second)
            return error("'%" + a.buffer->name + "' is allocated inside its own scope");
          PLANISH_TRY(stmt(a.body));
          buffers.erase(a.buffer);
          return {};
        },
        [&](const If &i) -> Status {
          PLANISH_TRY(typed(i.cond, {DType::b1, 1}, "the condition of an if"));
          return stmt(i.then);
        },
        [&](const Let &l) -> Status {
          PLANISH_TRY(typed(l.value, l.var->type, "the value of '" + l.var->name + "'"));
          return with(l.var, [&] { return stmt(l.body); });
        },
        [&](const Block &b) -> Status {
          for (auto &x : b.stmts) PLANISH_TRY(stmt(x));
          return {};
        },
        [&](const Eval &v) -> Status {
          auto *c = as<Call>(v.call);
          if (!c || c->fn != Intrinsic::Prefetch || c->args.size() != 1 || !as<Load>(c->args[0]))
            return error("only a prefetch of a load is evaluated for its effect", v.call);
          return expr(c->args[0]);
        },
        [&](const Launch &l) { return launchStmt(l); });
  }

  const Function &function;
  std::set<Var> vars;
  std::set<Buffer> buffers;
  int parallel = 0;  // parallel loops around
};

} // namespace

Status verify(const Function &f) { return Verifier(f).run(); }

} // namespace planish::loop
