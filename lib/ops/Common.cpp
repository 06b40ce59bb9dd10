#include "Common.h"

#include "Rows.h"

#include <algorithm>
#include <cstring>

namespace planish::ops {

// ---- infer ---------------------------------------------------------------------------------------

Status wantOperands(const InferContext &c, int least, int most) {
  if (c.inputs() > most)
    return badInput("has " + std::to_string(c.inputs()) + " operands, at most " + std::to_string(most) +
                    " make sense");
  for (int i = 0; i < least; ++i)
    if (i >= c.inputs() || !c.has(i)) return badInput("misses operand " + std::to_string(i));
  return {};
}

Status wantType(const InferContext &c, int input, DTypes types) {
  DType t = c.in(input).dtype;
  if (types & bit(t)) return {};
  std::string expected;
  for (DType d : {DType::b1, DType::u8, DType::i8, DType::u16, DType::i16, DType::u32, DType::i32, DType::u64,
                  DType::i64, DType::f32})
    if (types & bit(d)) expected += (expected.empty() ? "" : ", ") + std::string(nameOf(d));
  return badInput("operand " + std::to_string(input) + " has element type " + std::string(nameOf(t)) +
                  ", expected one of " + expected);
}

Status wantSameType(const InferContext &c, int a, int b) {
  if (c.in(a).dtype == c.in(b).dtype) return {};
  return badInput("operands " + std::to_string(a) + " and " + std::to_string(b) + " have element types " +
                  std::string(nameOf(c.in(a).dtype)) + " and " + std::string(nameOf(c.in(b).dtype)));
}

Status wantRank(const InferContext &c, int input, int least, int most) {
  int rank = c.in(input).rank();
  if (rank >= least && rank <= most) return {};
  return badInput("operand " + std::to_string(input) + " is " + textOf(c.in(input)) + ", expected rank " +
                  std::to_string(least) + (least == most ? "" : " to " + std::to_string(most)));
}

Status wantEntries(const Ints &values, size_t count, int64_t least, int64_t most, std::string_view what) {
  if (values.size() != count)
    return badInput(std::string(what) + " has " + std::to_string(values.size()) + " entries, expected " +
                    std::to_string(count));
  for (int64_t v : values)
    if (v < least || v > most)
      return badInput(std::string(what) + " has the entry " + std::to_string(v) + ", expected " +
                      std::to_string(least) + " to " + std::to_string(most));
  return {};
}

Status wantAxes(const Ints &axes, int rank, std::string_view what) {
  unsigned seen = 0;
  for (int64_t a : axes) {
    if (a < 0 || a >= rank)
      return badInput(std::string(what) + " names axis " + std::to_string(a) + " of a tensor of rank " +
                      std::to_string(rank));
    if (seen & (1u << a)) return badInput(std::string(what) + " names axis " + std::to_string(a) + " twice");
    seen |= 1u << a;
  }
  return {};
}

Result<int64_t> constantDim(const InferContext &c, int input, int dim) {
  const Dim &d = c.in(input).shape[size_t(dim)];
  if (d.isConstant()) return d.constant();
  return badInput("dimension " + std::to_string(dim) + " of operand " + std::to_string(input) + " (" +
                  textOf(c.in(input)) + ") must be constant");
}

Types oneOutput(TensorType type) {
  if (type.rank() > kMaxRank)
    return unsupported("gives a tensor of rank " + std::to_string(type.rank()) + "; at most " +
                       std::to_string(kMaxRank) + " are supported");
  for (const Dim &d : type.shape)
    if (d.upper() < 0 || d.lower() < 0)
      return badInput("gives the shape " + textOf(type) + " with a negative size");
  if (elementBound(type.shape) > kMaxElements)
    return badInput("gives " + textOf(type) + ", more than 2^40 elements");
  return std::vector<TensorType>{std::move(type)};
}

/// A size that is `value` where `condition` holds; a run where it does not fails, as with any negative size.
/// A constant stays one, the condition is then a size of its own.
static Result<Dim> checkedDim(InferContext &c, const Expr &condition, const Expr &value) {
  PLANISH_ASSIGN(Dim checked, c.derive(loop::select(condition, value, imm(-1))));
  auto constant = loop::constantOf(value);
  return constant ? Dim(*constant) : checked;
}

Result<Dim> sameDim(InferContext &c, const Dim &a, const Dim &b) {
  if (a == b) return a;
  if (std::max(a.lower(), b.lower()) > std::min(a.upper(), b.upper()))
    return badInput("the sizes " + textOf(Shape{a}) + " and " + textOf(Shape{b}) + " differ");
  const Dim &value = b.isConstant() ? b : a;
  return checkedDim(c, loop::binary(loop::BinaryOp::Eq, extentOf(a), extentOf(b)), extentOf(value));
}

static Result<Dim> broadcastDim(InferContext &c, const Dim &a, const Dim &b) {
  auto is = [](const Dim &d, int64_t v) { return d.isConstant() && d.constant() == v; };
  if (a == b || is(b, 1)) return a;
  if (is(a, 1)) return b;
  if (a.isConstant() && b.isConstant())
    return badInput("cannot broadcast the sizes " + std::to_string(a.constant()) + " and " +
                    std::to_string(b.constant()));
  Expr x = extentOf(a), y = extentOf(b);
  auto equals = [](const Expr &p, const Expr &q) { return loop::binary(loop::BinaryOp::Eq, p, q); };
  auto either = [](const Expr &p, const Expr &q) { return loop::binary(loop::BinaryOp::Or, p, q); };
  if (a.isConstant()) return checkedDim(c, either(equals(y, x), equals(y, imm(1))), x);
  if (b.isConstant()) return checkedDim(c, either(equals(x, y), equals(x, imm(1))), y);
  Expr larger = loop::select(equals(x, imm(1)), y, x);
  return checkedDim(c, either(equals(x, y), either(equals(x, imm(1)), equals(y, imm(1)))), larger);
}

Result<Shape> broadcastShape(InferContext &c, const Shape &a, const Shape &b) {
  const Shape &longer = a.size() >= b.size() ? a : b, &shorter = a.size() >= b.size() ? b : a;
  Shape r = longer;
  size_t skip = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    auto d = broadcastDim(c, longer[skip + i], shorter[i]);
    if (!d) return d.error().in("shapes " + textOf(a) + " and " + textOf(b));
    r[skip + i] = *d;
  }
  return r;
}

Result<Shape> broadcastOperands(InferContext &c, int first, int last) {
  Shape r = c.in(first).shape;
  for (int i = first + 1; i < last; ++i) { PLANISH_ASSIGN(r, broadcastShape(c, r, c.in(i).shape)); }
  return r;
}

// ---- shapes --------------------------------------------------------------------------------------

int64_t elementBound(const Shape &shape) {
  int64_t n = 1;
  for (const Dim &d : shape)
    if (d.upper() == 0) return 0;
  for (const Dim &d : shape) {
    if (d.upper() > kMaxElements || n > kMaxElements / d.upper()) return kMaxElements + 1;
    n *= d.upper();
  }
  return n;
}

Expr product(const Shape &shape, int first, int last) {
  Expr e = imm(1);
  for (int i = first; i < last; ++i) e = e * extentOf(shape[size_t(i)]);
  return e;
}
Expr product(const Shape &shape) { return product(shape, 0, int(shape.size())); }

Exprs extents(const Shape &shape) {
  Exprs r;
  for (const Dim &d : shape) r.push_back(extentOf(d));
  return r;
}

Expr quotient(const Shape &shape, const Shape &known) {
  Shape above = shape, below;
  for (const Dim &d : known) {
    auto same = std::find(above.begin(), above.end(), d);
    if (same != above.end()) above.erase(same);
    else below.push_back(d);
  }
  Expr divisor = product(below);
  return constantOf(divisor) == 0 ? imm(0) : floorDiv(product(above), divisor);
}

// ---- compute -------------------------------------------------------------------------------------

Iter axis(std::string name, const Dim &size) {
  return {loop::var(std::move(name), Type{}, 0, std::max<int64_t>(size.upper() - 1, 0)), extentOf(size)};
}

Exprs usesOf(const std::vector<Iter> &axes) {
  Exprs r;
  for (const Iter &a : axes) r.push_back(use(a.var));
  return r;
}

Compute mapped(const OpView &v, std::string name, const std::function<Expr(const Exprs &)> &value) {
  Compute c = graph::overOutput(v, std::move(name));
  c.value = value(c.outIndices);
  collectParams(c);
  return c;
}

Compute reduced(Compute c, Combine combine, DType accumulator,
                const std::function<Expr(const Expr &)> &value) {
  constexpr int64_t kFar = int64_t(1) << 40;
  c.combine = combine;
  c.accumulator = accumulator;
  c.sum = loop::var("sum", Type{accumulator}, -kFar, kFar);
  c.value = value ? value(use(c.sum)) : use(c.sum);
  collectParams(c);
  return c;
}

Expr number(double value, DType dtype) { return loop::constant(value, Type{dtype}); }
Expr negation(const Expr &boolean) { return select(boolean, number(0, DType::b1), number(1, DType::b1)); }
Expr notEqual(const Expr &a, const Expr &b) { return negation(binary(BinaryOp::Eq, a, b)); }

Expr converted(DType to, const Expr &e) {
  DType from = e->type.dtype;
  if (from == to) return e;
  if (to == DType::b1) return notEqual(e, number(0, from));
  if (from == DType::b1) return select(e, number(1, to), number(0, to));
  return cast(to, e);
}

Expr within(const Expr &e, const Expr &size) { return conjunction(lessEqual(imm(0), e), lessThan(e, size)); }

Expr truncatedDiv(const Expr &a, const Expr &b) {
  DType t = a->type.dtype;
  Expr zero = number(0, t);
  // Dividing by zero has no meaning in ONNX; here it gives the dividend, on every target.
  Expr divisor = select(binary(BinaryOp::Eq, b, zero), number(1, t), b);
  Expr floor = floorDiv(a, divisor);
  if (isUnsigned(t)) return floor;
  Expr inexact = negation(binary(BinaryOp::Eq, binary(BinaryOp::FloorMod, a, divisor), zero));
  Expr signsDiffer = notEqual(lessThan(a, zero), lessThan(divisor, zero));
  return floor + select(conjunction(inexact, signsDiffer), number(1, t), zero);
}

Expr wrapped(const Expr &e, const Expr &size) { return select(lessThan(e, imm(0)), e + size, e); }

// ---- import --------------------------------------------------------------------------------------

ValueId reshaped(Importer &i, ValueId x, Shape shape) {
  if (i.type(x).shape == shape) return x;
  return i.append(kReshape, ShapeAttrs{std::move(shape)}, {x});
}
ValueId transposed(Importer &i, ValueId x, Ints perm) {
  if (std::is_sorted(perm.begin(), perm.end())) return x;
  return i.append(kTranspose, PermAttrs{std::move(perm)}, {x});
}
ValueId convertedTo(Importer &i, ValueId x, DType dtype) {
  return i.type(x).dtype == dtype ? x : i.append(kCast, CastAttrs{dtype}, {x});
}
ValueId scalarLike(Importer &i, ValueId like, double value) { return i.scalar(i.type(like).dtype, value); }
std::vector<ValueId> one(ValueId v) { return {v}; }

Dim dimOf(Importer &i, const Expr &size) {
  auto c = constantOf(size);
  return c ? Dim(*c) : i.derive(size);
}
Shape shapeOperand(Importer &i, int input) {
  Shape r;
  for (const Expr &e : i.elements(input)) r.push_back(dimOf(i, e));
  return r;
}

Exprs sizesOperand(Importer &i, int input, int64_t most) {
  ValueId v = i.in(input);
  if (i.error() || isFloat(i.type(v).dtype) || i.graph().elements(v)) return i.elements(input);
  auto count = graph::elementCount(i.type(v).shape);
  if (!count || *count > kMaxRank) return i.elements(input);
  v = convertedTo(i, v, DType::i64);
  Exprs r;
  for (int64_t k = 0; k < *count && !i.error(); ++k)
    r.push_back(extentOf(i.graph().sizeHeldBy(v, k, 0, most)));
  return r;
}
ValueId firstOf(Importer &i, ValueId x, int axis, const Dim &size) {
  return i.type(x).shape[size_t(axis)] == size ? x : sliced(i, x, axis, imm(0), extentOf(size));
}

template <class T> static double numberAt(const graph::Value &v) {
  T t;
  std::memcpy(&t, v.data->data(), sizeof t);
  return double(t);
}

std::optional<double> constantScalar(Importer &i, ValueId id) {
  const graph::Value &v = i.graph()[id];
  if (elementBound(v.type.shape) != 1 || !constantShape(v.type.shape)) return std::nullopt;
  if (!v.isConstant()) {
    auto e = isFloat(v.type.dtype) ? std::nullopt : i.graph().elements(id);
    auto c = e && e->size() == 1 ? constantOf((*e)[0]) : std::nullopt;
    return c ? std::optional<double>(double(*c)) : std::nullopt;
  }
  switch (v.type.dtype) {
  case DType::f32: return numberAt<float>(v);
  case DType::f64: return numberAt<double>(v);
  case DType::i64: return numberAt<int64_t>(v);
  case DType::i32: return numberAt<int32_t>(v);
  case DType::i8: return numberAt<int8_t>(v);
  case DType::u8:
  case DType::b1: return numberAt<uint8_t>(v);
  case DType::u16: return numberAt<uint16_t>(v);
  case DType::i16: return numberAt<int16_t>(v);
  case DType::u32: return numberAt<uint32_t>(v);
  case DType::u64: return numberAt<uint64_t>(v);
  case DType::f16:
  case DType::bf16: break;
  }
  return std::nullopt;
}

double scalarOperand(Importer &i, int input, double otherwise) {
  if (!i.has(input)) return otherwise;
  auto v = constantScalar(i, i.in(input));
  if (!v) i.notSupported("operand " + std::to_string(input) + " must be a constant scalar");
  return v.value_or(otherwise);
}

} // namespace planish::ops
