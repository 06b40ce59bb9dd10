// Nodes, tables and the builders of everything but binary operators (Fold.cpp).
#include "planish/loop/IR.h"

#include "Arithmetic.h"
#include "planish/support/Check.h"

#include <algorithm>
#include <array>

namespace planish::loop {

namespace {

struct IntrinsicRow {
  std::string_view name;
  size_t arity;
  int typeFrom;  // the argument whose type the result has
};
constexpr std::array<IntrinsicRow, 17> kIntrinsics{{
    {"fma", 3, 0},
    {"dot4", 3, 2},
    {"round", 1, 0},
    {"floor", 1, 0},
    {"ceil", 1, 0},
    {"sqrt", 1, 0},
    {"abs", 1, 0},
    {"scale2", 2, 0},
    {"bits", 1, 0},
    {"frombits", 1, 0},
    {"exp", 1, 0},
    {"log", 1, 0},
    {"tanh", 1, 0},
    {"erf", 1, 0},
    {"sin", 1, 0},
    {"cos", 1, 0},
    {"prefetch", 1, 0},
}};
static_assert(kIntrinsics.size() == size_t(Intrinsic::Prefetch) + 1);

constexpr std::array<std::string_view, 16> kBinaryNames{"+", "-",  "*",  "/",   "div", "mod", "min", "max",
                                                        "<", "<=", "==", "and", "or",  "xor", "shl", "shr"};
static_assert(kBinaryNames.size() == size_t(BinaryOp::Shr) + 1);

std::vector<Expr> immediates(const std::vector<int64_t> &values) {
  std::vector<Expr> r;
  r.reserve(values.size());
  for (int64_t v : values) r.push_back(imm(v));
  return r;
}

/// Immediates of the small integers that most indices consist of are shared.
const Expr &smallImmediate(int64_t value) {
  static const std::array<Expr, 256> table = [] {
    std::array<Expr, 256> r;
    for (size_t i = 0; i < r.size(); ++i) r[i] = makeExpr({}, IntImm{int64_t(i) - 64});
    return r;
  }();
  return table[size_t(value + 64)];
}

/// Calls of exactly rounded functions on immediates. The square root of a float is the same by way of double.
Expr folded(Intrinsic fn, const std::vector<Expr> &args, Type type) {
  auto *x = as<FloatImm>(args[0]);
  if (!x) return {};
  const double value = x->value;
  switch (fn) {
  case Intrinsic::Round: return constant(std::nearbyint(value), type);
  case Intrinsic::Floor: return constant(std::floor(value), type);
  case Intrinsic::Ceil: return constant(std::ceil(value), type);
  case Intrinsic::Sqrt: return constant(std::sqrt(value), type);
  case Intrinsic::Abs: return constant(std::fabs(value), type);
  case Intrinsic::Fma: {
    auto *y = as<FloatImm>(args[1]), *z = as<FloatImm>(args[2]);
    if (!y || !z) return {};
    return fimm(std::fma(float(value), float(y->value), float(z->value)), type.lanes);
  }
  default: return {};
  }
}

} // namespace

std::string_view nameOf(Intrinsic fn) { return kIntrinsics[size_t(fn)].name; }
std::string_view nameOf(BinaryOp op) { return kBinaryNames[size_t(op)]; }
size_t arityOf(Intrinsic fn) { return kIntrinsics[size_t(fn)].arity; }

Type typeOf(Intrinsic fn, const std::vector<Expr> &args) {
  Type type = args[size_t(kIntrinsics[size_t(fn)].typeFrom)]->type;
  if (fn == Intrinsic::Bits) type.dtype = DType::i32;
  if (fn == Intrinsic::FromBits) type.dtype = DType::f32;
  return type;
}

Expr makeExpr(Type type, decltype(ExprNode::node) node) {
  return Expr(std::make_shared<const ExprNode>(ExprNode{type, std::move(node)}));
}
Stmt makeStmt(decltype(StmtNode::node) node) {
  return Stmt(std::make_shared<const StmtNode>(StmtNode{std::move(node)}));
}
Var var(std::string name, Type type, int64_t lower, int64_t upper) {
  return std::make_shared<const VarNode>(VarNode{std::move(name), type, lower, upper});
}

Buffer buffer(std::string name, DType dtype, std::vector<Expr> shape, std::vector<Expr> strides,
              Scope scope) {
  if (strides.empty()) strides = denseStrides(shape);
  PLANISH_CHECK(strides.size() == shape.size(), "buffer '" + name + "': strides and shape differ in rank");
  return std::make_shared<const BufferNode>(
      BufferNode{std::move(name), bitsOf(dtype), std::move(shape), std::move(strides), scope});
}
Buffer buffer(std::string name, DType dtype, const std::vector<int64_t> &shape,
              const std::vector<int64_t> &strides, Scope scope) {
  return buffer(std::move(name), dtype, immediates(shape), immediates(strides), scope);
}
std::vector<Expr> denseStrides(const std::vector<Expr> &shape) {
  std::vector<Expr> r(shape.size(), imm(1));
  for (size_t d = shape.size(); d-- > 1;) r[d - 1] = r[d] * shape[d];
  return r;
}

Expr imm(int64_t value, Type type) {
  if (type == Type{} && value >= -64 && value < 192) return smallImmediate(value);
  PLANISH_CHECK(!isFloat(type.dtype), "an integer immediate of float type");
  return makeExpr(type, IntImm{wrapTo(type.dtype, value)});
}
Expr fimm(double value, int lanes) { return makeExpr({DType::f32, lanes}, FloatImm{double(float(value))}); }
Expr constant(double value, Type type) {
  if (isFloat(type.dtype)) return makeExpr(type, FloatImm{roundedTo(type.dtype, value)});
  if (type.dtype == DType::b1) return imm(value != 0, type);
  if (std::isnan(value)) return imm(0, type);
  if (type.dtype == DType::u64)
    return imm(value <= 0 ? 0 : value >= 0x1p64 ? -1 : int64_t(uint64_t(value)), type);
  if (value <= double(lowest(type.dtype))) return imm(lowest(type.dtype), type);
  if (value >= double(highest(type.dtype))) return imm(highest(type.dtype), type);
  return imm(int64_t(value), type);
}
Expr use(const Var &v) { return makeExpr(v->type, VarRef{v}); }
Expr extentOf(const Dim &d) { return d.isConstant() ? imm(d.constant()) : use(d.symbol()); }

Expr load(const Buffer &b, std::vector<Expr> indices, Expr mask) {
  int lanes = mask ? mask->type.lanes : 1;
  for (auto &i : indices) lanes = std::max(lanes, i->type.lanes);
  if (auto *k = as<IntImm>(mask)) {
    if (!k->value) return constant(0, {b->dtype, lanes});
    mask = {};
  }
  return makeExpr({b->dtype, lanes}, Load{b, std::move(indices), std::move(mask)});
}

Expr cast(DType dtype, const Expr &e) {
  Type type{dtype, e->type.lanes};
  if (e->type == type) return e;
  if (auto *k = as<IntImm>(e))
    return isFloat(dtype) ? constant(realOfInteger(dtype, e->type.dtype, k->value), type)
                          : imm(k->value, type);
  if (auto *k = as<FloatImm>(e))
    return isFloat(dtype) ? constant(k->value, type) : imm(toInteger(dtype, k->value), type);
  return makeExpr(type, Cast{e});
}

Expr call(Intrinsic fn, std::vector<Expr> args) {
  PLANISH_CHECK(args.size() == arityOf(fn), std::string(nameOf(fn)) + ": wrong number of arguments");
  Type type = typeOf(fn, args);
  if (Expr r = folded(fn, args, type)) return r;
  return makeExpr(type, Call{fn, std::move(args)});
}

Expr select(const Expr &cond, const Expr &a, const Expr &b) {
  if (auto *k = as<IntImm>(cond)) return k->value ? a : b;
  if (a.get() == b.get()) return a;
  return makeExpr(a->type, Select{cond, a, b});
}

Expr ramp(const Expr &base, int64_t stride, int lanes) {
  if (lanes == 1) return base;
  Type type{DType::i64, base->type.lanes * lanes};
  if (auto *r = as<Ramp>(base); r && r->stride == stride * lanes)
    return makeExpr(type, Ramp{r->base, stride});
  return makeExpr(type, Ramp{base, stride});
}

Expr broadcast(const Expr &value, int times) {
  if (times == 1) return value;
  Type type{value->type.dtype, value->type.lanes * times};
  if (auto *k = as<IntImm>(value)) return makeExpr(type, *k);
  if (auto *k = as<FloatImm>(value)) return makeExpr(type, *k);
  if (auto *b = as<Broadcast>(value)) return makeExpr(type, *b);
  return makeExpr(type, Broadcast{value});
}

Stmt loop(const Var &v, Expr begin, Expr end, LoopKind kind, Stmt body) {
  return makeStmt(For{v, std::move(begin), std::move(end), kind, std::move(body)});
}
Stmt store(const Buffer &b, std::vector<Expr> indices, Expr value, Expr mask) {
  if (auto *k = as<IntImm>(mask)) {
    if (!k->value) return block({});
    mask = {};
  }
  return makeStmt(Store{b, std::move(indices), std::move(value), std::move(mask)});
}
Stmt block(std::vector<Stmt> stmts) {
  std::vector<Stmt> flat;
  flat.reserve(stmts.size());
  for (auto &s : stmts) {
    if (!s) continue;
    if (auto *b = as<Block>(s)) flat.insert(flat.end(), b->stmts.begin(), b->stmts.end());
    else flat.push_back(std::move(s));
  }
  return flat.size() == 1 ? flat[0] : makeStmt(Block{std::move(flat)});
}
Stmt ifThen(const Expr &cond, const Stmt &then) {
  if (auto *k = as<IntImm>(cond)) return k->value ? then : block({});
  return makeStmt(If{cond, then});
}

std::optional<int64_t> constantOf(const Expr &e) {
  auto *k = as<IntImm>(e);
  return k ? std::optional(k->value) : std::nullopt;
}
bool hasConstantShape(const BufferNode &b) {
  auto constant = [](const Expr &e) { return as<IntImm>(e) != nullptr; };
  return std::all_of(b.shape.begin(), b.shape.end(), constant) &&
         std::all_of(b.strides.begin(), b.strides.end(), constant);
}
std::vector<int64_t> constantsOf(const std::vector<Expr> &exprs) {
  std::vector<int64_t> r;
  for (auto &e : exprs) {
    auto *k = as<IntImm>(e);
    PLANISH_CHECK(k, "a constant size was expected");
    r.push_back(k->value);
  }
  return r;
}

} // namespace planish::loop
