// Sizes as values, and values made from sizes.
#include "Rows.h"

#include <algorithm>
#include <cmath>

namespace planish::ops {

namespace {

Types inferShape(InferContext &c) {
  const SizesAttrs &a = c.attrs().as<SizesAttrs>();
  PLANISH_TRY(wantOperands(c, 1, 1));
  if (a.begin < 0 || a.end < a.begin || a.end > c.in(0).rank())
    return badInput("dimensions " + std::to_string(a.begin) + " to " + std::to_string(a.end) + " of " +
                    textOf(c.in(0)));
  return oneOutput({DType::i64, {Dim(a.end - a.begin)}, {}, {}});
}
Compute computeShape(const OpView &v) {
  const SizesAttrs &a = v.attrs.as<SizesAttrs>();
  return mapped(v, "shape", [&](const Exprs &at) {
    Expr value = imm(0);
    for (int64_t d = a.end; d-- > a.begin;)
      value = select(binary(BinaryOp::Eq, at[0], imm(d - a.begin)), extentOf(v.inTypes[0].shape[size_t(d)]),
                     value);
    return value;
  });
}
/// start + i*delta; the numbers are exact for integers below 2^53.
struct RangeAttrs {
  double start = 0, delta = 1;
  Shape count;  // one entry
  DType dtype = DType::i64;
  void visit(FieldVisitor &v) {
    v.field("start", start), v.field("delta", delta), v.field("count", count), v.field("dtype", dtype);
  }
};
Types inferRange(InferContext &c) {
  const RangeAttrs &a = c.attrs().as<RangeAttrs>();
  PLANISH_TRY(wantOperands(c, 0, 0));
  if (a.count.size() != 1) return badInput("count needs one entry");
  return oneOutput({a.dtype, a.count, {}, {}});
}
Compute computeRange(const OpView &v) {
  const RangeAttrs &a = v.attrs.as<RangeAttrs>();
  return mapped(v, "range", [&](const Exprs &at) {
    return number(a.start, a.dtype) + cast(a.dtype, at[0]) * number(a.delta, a.dtype);
  });
}
const OpDef kRange = {.name = "range",
                      .summary = "start, start + delta, ...: `count` of them",
                      .operands = "",
                      .cls = OpClass::Injective,
                      .layout = LayoutRule::RowMajor,
                      .prototype = RangeAttrs{},
                      .infer = inferRange,
                      .compute = computeRange};

// ---- import --------------------------------------------------------------------------------------

std::vector<ValueId> importShape(Importer &i) {
  ValueId x = i.in(0);
  int64_t rank = i.type(x).rank();
  auto clamped = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank); };
  int64_t begin = clamped(std::max(i.intAttr("start", 0), -kMaxParameter));
  int64_t end = clamped(std::max(i.intAttr("end", rank), -kMaxParameter));
  return one(i.append(kShape, SizesAttrs{begin, std::max(begin, end)}, {x}));
}
std::vector<ValueId> importSize(Importer &i) {
  ValueId x = i.in(0);
  int64_t rank = i.type(x).rank();
  ValueId sizes = i.append(kShape, SizesAttrs{0, rank}, {x});
  return one(apply(i, Reduce::Prod, sizes, {0}, false));
}
std::vector<ValueId> importConstantOfShape(Importer &i) {
  ValueId value = i.scalar(DType::f32, 0);
  if (auto found = i.node().attributes.find("value"); found != i.node().attributes.end()) {
    auto *tensor = std::get_if<graph::ConstantTensor>(&found->second);
    if (!tensor || elementBound(tensor->type.shape) != 1)
      i.fail("attribute 'value' is not a tensor of one element");
    else value = i.graph().addConstant({tensor->type.dtype, {}, {}, {}}, tensor->data);
  }
  Shape shape = shapeOperand(i, 0);
  return one(i.error() ? value : broadcastTo(i, value, shape));
}
std::vector<ValueId> importRange(Importer &i) {
  ValueId first = i.in(0);
  DType type = i.type(first).dtype;
  auto start = constantScalar(i, first), limit = constantScalar(i, i.in(1)),
       delta = constantScalar(i, i.in(2));
  if (!start || !delta || *delta == 0 || !std::isfinite(*start) || !std::isfinite(*delta)) {
    i.notSupported("start and delta must be constant, and delta not 0");
    return one(first);
  }
  RangeAttrs a{*start, *delta, {Dim(0)}, type};
  if (limit) {
    double count = std::ceil((*limit - *start) / *delta);
    if (!(count <= double(kMaxElements))) i.fail("the range has more than 2^40 elements");
    else a.count = {Dim(int64_t(std::max(count, 0.0)))};
  } else if (isFloat(type)) {
    i.notSupported("limit must be a constant");
  } else {
    Exprs end = i.elements(1);
    if (i.error()) return one(first);
    int64_t step = int64_t(*delta);
    Expr distance = step > 0 ? cast(DType::i64, end.at(0)) - int64_t(*start)
                             : imm(int64_t(*start)) - cast(DType::i64, end.at(0));
    a.count = {dimOf(i, max(ceilDiv(distance, std::abs(step)), imm(0)))};
  }
  return one(i.error() ? first : i.append(kRange, a, {}));
}

} // namespace

const OpDef kShape = {.name = "shape",
                      .summary = "the sizes of dimensions [begin, end) as a vector",
                      .operands = "x",
                      .cls = OpClass::Opaque,
                      .layout = LayoutRule::RowMajor,
                      .prototype = SizesAttrs{},
                      .infer = inferShape,
                      .compute = computeShape};

Family shapeFamily() {
  return {{&kShape, &kRange},
          {{"Shape", 1, importShape, "", true},
           {"Size", 1, importSize, "", true},
           {"ConstantOfShape", 9, importConstantOfShape},
           {"Range", 11, importRange}}};
}

} // namespace planish::ops
