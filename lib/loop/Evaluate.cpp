#include "Evaluate.h"

#include "Arithmetic.h"
#include "Normal.h"
#include "planish/loop/Text.h"
#include "planish/support/Check.h"

#include <algorithm>
#include <cmath>

namespace planish::loop {

namespace {

using enum BinaryOp;

template <class Fn> class IntegerNode final : public Node {
public:
  explicit IntegerNode(Fn fn) : fn(std::move(fn)) {}
  int64_t i(Frame &s, int lane) const override { return fn(s, lane); }

private:
  Fn fn;
};
template <class Fn> class FloatNode final : public Node {
public:
  explicit FloatNode(Fn fn) : fn(std::move(fn)) {}
  double f(Frame &s, int lane) const override { return fn(s, lane); }

private:
  Fn fn;
};

template <class Fn> NodeRef integer(Fn fn) { return std::make_shared<IntegerNode<Fn>>(std::move(fn)); }
template <class Fn> NodeRef real(Fn fn) { return std::make_shared<FloatNode<Fn>>(std::move(fn)); }

/// a (op) b on int64, wrapped to the type.
template <class Op> NodeRef wrapping(NodeRef a, NodeRef b, DType dtype, Op op) {
  if (dtype == DType::i64) return integer([a, b, op](Frame &s, int l) { return op(a->i(s, l), b->i(s, l)); });
  return integer([a, b, op, dtype](Frame &s, int l) { return wrapTo(dtype, op(a->i(s, l), b->i(s, l))); });
}
/// `op` of numbers of the type, in its arithmetic.
template <class Op> NodeRef onFloats(DType dtype, const NodeRef &a, Op op) {
  if (dtype == DType::f64) return real([a, op](Frame &s, int l) { return op(a->f(s, l)); });
  return real([a, op](Frame &s, int l) { return op(float(a->f(s, l))); });
}
template <class Op> NodeRef onFloats(DType dtype, const NodeRef &a, const NodeRef &b, Op op) {
  if (dtype == DType::f64) return real([a, b, op](Frame &s, int l) { return op(a->f(s, l), b->f(s, l)); });
  return real([a, b, op](Frame &s, int l) { return op(float(a->f(s, l)), float(b->f(s, l))); });
}
template <class Op> NodeRef comparing(NodeRef a, NodeRef b, DType dtype, Op op) {
  if (dtype == DType::u64)
    return integer(
        [a, b, op](Frame &s, int l) -> int64_t { return op(uint64_t(a->i(s, l)), uint64_t(b->i(s, l))); });
  if (isFloat(dtype))
    return integer([a, b, op](Frame &s, int l) -> int64_t { return op(a->f(s, l), b->f(s, l)); });
  return integer([a, b, op](Frame &s, int l) -> int64_t { return op(a->i(s, l), b->i(s, l)); });
}

/// A function of one float, exactly as libm gives it in double, rounded once.
template <double (*Fn)(double)> NodeRef fromDouble(const NodeRef &x) {
  return real([x](Frame &s, int l) { return float(Fn(x->f(s, l))); });
}

int64_t nonZero(int64_t divisor) {
  if (!divisor) throw RunError{"division by zero"};
  return divisor;
}

template <class T> NodeRef floatLoad(Access a) {
  return real([a = std::move(a)](Frame &s, int l) {
    T v = 0;
    if (a.on(s, l)) std::memcpy(&v, a.locate(s, l), sizeof v);
    return double(v);
  });
}
template <class T> NodeRef integerLoad(Access a) {
  return integer([a = std::move(a)](Frame &s, int l) -> int64_t {
    if (!a.on(s, l)) return 0;
    T v;
    std::memcpy(&v, a.locate(s, l), sizeof v);
    return v;
  });
}

} // namespace

void Access::outOfBounds(size_t dimension, int64_t index, int64_t size) const {
  throw RunError{"%" + buffer->name + "[" + print(indices[dimension]) + "]: index " +
                 std::to_string(dimension) + " is " + std::to_string(index) + ", the size is " +
                 std::to_string(size)};
}

int Compiler::slotOf(const Var &v) {
  auto [it, isNew] = slots.emplace(v, nextSlot);
  if (isNew) nextSlot += v->type.lanes;
  return it->second;
}
int Compiler::placeOf(const Buffer &b) { return places.emplace(b, int(places.size())).first->second; }

Access Compiler::access(const Buffer &b, const std::vector<Expr> &indices, const Expr &mask) {
  std::vector<NodeRef> nodes;
  for (auto &i : indices) nodes.push_back(compile(i));
  return {b, placeOf(b), indices, std::move(nodes), mask ? compile(mask) : nullptr};
}

NodeRef Compiler::compile(const Expr &e) {
  auto it = known.find(e.get());
  if (it != known.end()) return it->second;
  alive.push_back(e);
  NodeRef n = fresh(e);
  known.emplace(e.get(), n);
  return n;
}

NodeRef Compiler::fresh(const Expr &e) {
  bool floats = isFloat(e->type.dtype);
  return match(
      e, [&](const IntImm &k) { return integer([v = k.value](Frame &, int) { return v; }); },
      [&](const FloatImm &k) { return real([v = k.value](Frame &, int) { return v; }); },
      [&](const VarRef &v) -> NodeRef {
        int slot = slotOf(v.var);
        if (floats) return real([slot](Frame &s, int l) { return s.slots[size_t(slot + l)].f; });
        return integer([slot](Frame &s, int l) { return s.slots[size_t(slot + l)].i; });
      },
      [&](const Binary &b) -> NodeRef {
        if (e->type == Type{})
          if (NodeRef n = polynomialIndex(e)) return n;
        return floats ? floatBinary(b, e->type.dtype) : integerBinary(b, e->type.dtype);
      },
      [&](const Select &x) -> NodeRef {
        NodeRef c = compile(x.cond), a = compile(x.a), b = compile(x.b);
        if (floats)
          return real([c, a, b](Frame &s, int l) {
            double p = a->f(s, l), q = b->f(s, l);
            return c->i(s, l) ? p : q;
          });
        return integer([c, a, b](Frame &s, int l) {
          int64_t p = a->i(s, l), q = b->i(s, l);
          return c->i(s, l) ? p : q;
        });
      },
      [&](const Cast &c) { return castNode(c, e->type.dtype); }, [&](const Load &l) { return loadNode(l); },
      [&](const Call &c) { return callNode(c, e->type); },
      [&](const Ramp &r) -> NodeRef {
        int times = e->type.lanes / r.base->type.lanes;
        return integer([base = compile(r.base), times, stride = r.stride](Frame &s, int l) {
          return base->i(s, l / times) + stride * (l % times);
        });
      },
      [&](const Broadcast &b) -> NodeRef {
        NodeRef v = compile(b.value);
        int lanes = b.value->type.lanes;
        if (floats) return real([v, lanes](Frame &s, int l) { return v->f(s, l % lanes); });
        return integer([v, lanes](Frame &s, int l) { return v->i(s, l % lanes); });
      });
}

/// A sum of multiples of variables, which most indices are, in one node.
NodeRef Compiler::polynomialIndex(const Expr &e) {
  struct Part {
    int slot;
    int64_t coefficient;
  };
  Affine a = polynomial(e);
  std::vector<Part> parts;
  for (auto &t : a.terms) {
    auto *v = t.factors.size() == 1 ? as<VarRef>(t.factors[0]) : nullptr;
    if (!v) return nullptr;
    parts.push_back({slotOf(v->var), t.coefficient});
  }
  return integer([parts, constant = a.constant](Frame &s, int) {
    int64_t r = constant;
    for (const Part &p : parts) r = wrappingAdd(r, wrappingMul(s.slots[size_t(p.slot)].i, p.coefficient));
    return r;
  });
}

NodeRef Compiler::integerBinary(const Binary &b, DType dtype) {
  NodeRef x = compile(b.a), y = compile(b.b);
  DType of = b.a->type.dtype;
  bool logical = of == DType::b1;
  switch (b.op) {
  case Add: return wrapping(x, y, dtype, wrappingAdd);
  case Sub: return wrapping(x, y, dtype, wrappingSub);
  case Mul: return wrapping(x, y, dtype, wrappingMul);
  case FloorDiv:
    return wrapping(x, y, dtype, [of](int64_t p, int64_t q) { return quotientOf(of, p, nonZero(q)); });
  case FloorMod:
    return wrapping(x, y, dtype, [of](int64_t p, int64_t q) { return remainderOf(of, p, nonZero(q)); });
  case Min:
    return wrapping(x, y, DType::i64, [of](int64_t p, int64_t q) { return isLess(of, p, q) ? p : q; });
  case Max:
    return wrapping(x, y, DType::i64, [of](int64_t p, int64_t q) { return isLess(of, q, p) ? p : q; });
  case And:
    if (logical) return wrapping(x, y, DType::i64, [](int64_t p, int64_t q) { return int64_t(p && q); });
    return wrapping(x, y, dtype, [](int64_t p, int64_t q) { return p & q; });
  case Or:
    if (logical) return wrapping(x, y, DType::i64, [](int64_t p, int64_t q) { return int64_t(p || q); });
    return wrapping(x, y, dtype, [](int64_t p, int64_t q) { return p | q; });
  case Xor: return wrapping(x, y, dtype, [](int64_t p, int64_t q) { return p ^ q; });
  case Shl: return wrapping(x, y, dtype, [of](int64_t p, int64_t q) { return shiftedLeft(of, p, q); });
  case Shr: return wrapping(x, y, dtype, [of](int64_t p, int64_t q) { return shiftedRight(of, p, q); });
  case Lt: return comparing(x, y, of, [](auto p, auto q) { return p < q; });
  case Le: return comparing(x, y, of, [](auto p, auto q) { return p <= q; });
  case Eq: return comparing(x, y, of, [](auto p, auto q) { return p == q; });
  case Div: break;
  }
  internalError(__FILE_NAME__, __LINE__, "a division of integers is a floor division");
}

NodeRef Compiler::floatBinary(const Binary &b, DType dtype) {
  NodeRef x = compile(b.a), y = compile(b.b);
  switch (b.op) {
  case Add: return onFloats(dtype, x, y, [](auto p, auto q) { return p + q; });
  case Sub: return onFloats(dtype, x, y, [](auto p, auto q) { return p - q; });
  case Mul: return onFloats(dtype, x, y, [](auto p, auto q) { return p * q; });
  case Div: return onFloats(dtype, x, y, [](auto p, auto q) { return p / q; });
  case Min: return onFloats(dtype, x, y, [](auto p, auto q) { return p < q ? p : q; });
  case Max: return onFloats(dtype, x, y, [](auto p, auto q) { return p > q ? p : q; });
  default: internalError(__FILE_NAME__, __LINE__, "an operator that floats do not have");
  }
}

NodeRef Compiler::loadNode(const Load &l) {
  Access a = access(l.buffer, l.indices, l.mask);
  switch (l.buffer->dtype) {
  case DType::f32: return floatLoad<float>(std::move(a));
  case DType::f64: return floatLoad<double>(std::move(a));
  case DType::b1:
    return integer([a = std::move(a)](Frame &s, int lane) -> int64_t {
      return a.on(s, lane) && *a.locate(s, lane) != std::byte(0);
    });
  case DType::u8: return integerLoad<uint8_t>(std::move(a));
  case DType::i8: return integerLoad<int8_t>(std::move(a));
  case DType::i32: return integerLoad<int32_t>(std::move(a));
  case DType::u16: return integerLoad<uint16_t>(std::move(a));
  case DType::i16: return integerLoad<int16_t>(std::move(a));
  case DType::u32: return integerLoad<uint32_t>(std::move(a));
  default: return integerLoad<int64_t>(std::move(a));
  }
}

NodeRef Compiler::castNode(const Cast &c, DType to) {
  NodeRef x = compile(c.value);
  bool fromFloat = isFloat(c.value->type.dtype);
  if (isFloat(to)) {
    if (fromFloat) return onFloats(DType::f64, x, [to](double v) { return roundedTo(to, v); });
    return real(
        [x, to, from = c.value->type.dtype](Frame &s, int l) { return realOfInteger(to, from, x->i(s, l)); });
  }
  if (fromFloat) return integer([x, to](Frame &s, int l) { return toInteger(to, x->f(s, l)); });
  return integer([x, to](Frame &s, int l) { return wrapTo(to, x->i(s, l)); });
}

NodeRef Compiler::callNode(const Call &c, Type type) {
  std::vector<NodeRef> args;
  for (auto &a : c.args) args.push_back(compile(a));
  const NodeRef &x = args[0];
  switch (c.fn) {
  case Intrinsic::Fma:
    return real([x, y = args[1], z = args[2]](Frame &s, int l) {
      return std::fma(float(x->f(s, l)), float(y->f(s, l)), float(z->f(s, l)));
    });
  case Intrinsic::Dot4:
    return integer([x, y = args[1], z = args[2]](Frame &s, int l) {
      int64_t sum = z->i(s, l);
      for (int k = 0; k < 4; ++k) sum += x->i(s, 4 * l + k) * y->i(s, 4 * l + k);
      return wrapTo(DType::i32, sum);
    });
  case Intrinsic::Abs:
    if (isFloat(type.dtype)) return onFloats(type.dtype, x, [](auto v) { return std::fabs(v); });
    return integer([x, t = type.dtype](Frame &s, int l) {
      int64_t v = x->i(s, l);
      return wrapTo(t, v < 0 ? wrappingSub(0, v) : v);
    });
  case Intrinsic::Round: return onFloats(type.dtype, x, [](auto v) { return std::nearbyint(v); });
  case Intrinsic::Floor: return onFloats(type.dtype, x, [](auto v) { return std::floor(v); });
  case Intrinsic::Ceil: return onFloats(type.dtype, x, [](auto v) { return std::ceil(v); });
  case Intrinsic::Sqrt: return onFloats(type.dtype, x, [](auto v) { return std::sqrt(v); });
  case Intrinsic::Scale2:
    return onFloats(DType::f32, x, args[1], [](float p, float n) { return scaledByPowerOfTwo(p, n); });
  case Intrinsic::Bits: return integer([x](Frame &s, int l) -> int64_t { return bitsOf(float(x->f(s, l))); });
  case Intrinsic::FromBits: return real([x](Frame &s, int l) { return floatOfBits(int32_t(x->i(s, l))); });
  case Intrinsic::Exp: return fromDouble<std::exp>(x);
  case Intrinsic::Log: return fromDouble<std::log>(x);
  case Intrinsic::Tanh: return fromDouble<std::tanh>(x);
  case Intrinsic::Erf: return fromDouble<std::erf>(x);
  case Intrinsic::Sin: return fromDouble<std::sin>(x);
  case Intrinsic::Cos: return fromDouble<std::cos>(x);
  case Intrinsic::Prefetch: break;
  }
  internalError(__FILE_NAME__, __LINE__, "a prefetch has no value");
}

} // namespace planish::loop
