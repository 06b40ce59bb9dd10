#include "TestOps.h"

namespace planish::graph::test {

namespace {

using loop::Expr;
using Types = Result<std::vector<TensorType>>;

std::vector<TensorType> plain(DType dtype, Shape shape) {
  return {TensorType{dtype, std::move(shape), {}, {}}};
}

Types sameAsFirst(InferContext &c) { return plain(c.in(0).dtype, c.in(0).shape); }

loop::Compute mapped(const OpView &v, std::string name,
                     Expr (*value)(const OpView &, const std::vector<Expr> &)) {
  loop::Compute c = overOutput(v, std::move(name));
  c.value = value(v, c.outIndices);
  loop::collectParams(c);
  return c;
}

loop::Compute computeSum2(const OpView &v) {
  return mapped(v, "sum2", [](const OpView &o, const std::vector<Expr> &at) {
    return loop::load(o.in[0], at) + loop::load(o.in[1], broadcastIndices(o, 1, at));
  });
}
loop::Compute computeTwice(const OpView &v) {
  return mapped(v, "twice", [](const OpView &o, const std::vector<Expr> &at) {
    return loop::load(o.in[0], at) * loop::load(o.in[0], at);
  });
}
loop::Compute computeSame(const OpView &v) {
  return mapped(v, "same",
                [](const OpView &o, const std::vector<Expr> &at) { return loop::load(o.in[0], at); });
}

Types inferRowSum(InferContext &c) {
  if (c.in(0).rank() != 2) return badInput("takes a matrix, not " + textOf(c.in(0)));
  return plain(DType::f32, {c.in(0).shape[0]});
}
loop::Compute computeRowSum(const OpView &v) {
  loop::Compute c = overOutput(v, "row_sum");
  Var k = loop::var("k");
  c.reduce = {{k, loop::extentOf(v.inTypes[0].shape[1])}};
  c.lhs = loop::load(v.in[0], {c.outIndices[0], loop::use(k)});
  if (v.in.size() > 1 && v.in[1]) c.init = loop::load(v.in[1], c.outIndices);
  c.sum = loop::var("sum", Type{DType::f32, 1});
  c.value = loop::use(c.sum);
  loop::collectParams(c);
  return c;
}

Types inferSizes(InferContext &c) { return plain(DType::i64, {Dim(c.in(0).rank())}); }
loop::Compute computeSizes(const OpView &v) {
  return mapped(v, "sizes", [](const OpView &o, const std::vector<Expr> &at) {
    Expr r = loop::imm(0);
    for (size_t d = o.inTypes[0].shape.size(); d-- > 0;)
      r = loop::select(binary(loop::BinaryOp::Eq, at[0], loop::imm(int64_t(d))),
                       loop::extentOf(o.inTypes[0].shape[d]), r);
    return r;
  });
}

Types inferPick(InferContext &c) { return plain(DType::i64, c.in(1).shape); }
loop::Compute computePick(const OpView &v) {
  return mapped(v, "pick", [](const OpView &o, const std::vector<Expr> &at) {
    return loop::load(o.in[0], {loop::load(o.in[1], at)});
  });
}

Types inferView(InferContext &c) { return plain(c.in(0).dtype, c.attrs().as<ReshapeAttrs>().shape); }

Types inferResized(InferContext &c) {
  auto sizes = c.elements(1);
  if (!sizes) return badInput("the shape is not known");
  Shape shape;
  for (const Expr &e : *sizes) {
    PLANISH_ASSIGN(Dim d, c.derive(e));
    shape.push_back(d);
  }
  return plain(c.in(0).dtype, std::move(shape));
}

Types inferHalve(InferContext &c) {
  Shape shape = c.in(0).shape;
  Dim &d = shape[size_t(c.attrs().as<HalveAttrs>().dim)];
  PLANISH_ASSIGN(d, c.derive(loop::ceilDiv(loop::extentOf(d), 2)));
  return plain(c.in(0).dtype, std::move(shape));
}

} // namespace

const OpDef kSum2{.name = "sum2",
                  .operands = "a, b",
                  .cls = OpClass::Elementwise,
                  .infer = sameAsFirst,
                  .compute = computeSum2};
const OpDef kTwice{.name = "twice",
                   .operands = "x",
                   .cls = OpClass::Elementwise,
                   .infer = sameAsFirst,
                   .compute = computeTwice};
const OpDef kRowSum{.name = "row_sum",
                    .operands = "x, bias?",
                    .cls = OpClass::Reduction,
                    .infer = inferRowSum,
                    .compute = computeRowSum};
const OpDef kSizes{.name = "sizes",
                   .operands = "x",
                   .cls = OpClass::Injective,
                   .infer = inferSizes,
                   .compute = computeSizes};
const OpDef kPick{.name = "pick",
                  .operands = "data, index",
                  .cls = OpClass::Injective,
                  .infer = inferPick,
                  .compute = computePick};
const OpDef kView{.name = "view",
                  .operands = "x",
                  .cls = OpClass::Movement,
                  .prototype = ReshapeAttrs{},
                  .infer = inferView};
const OpDef kResized{
    .name = "resized", .operands = "x, shape", .cls = OpClass::Movement, .infer = inferResized};
const OpDef kHalve{.name = "halve",
                   .operands = "x",
                   .cls = OpClass::Injective,
                   .prototype = HalveAttrs{},
                   .infer = inferHalve};
const OpDef kEverything{.name = "everything",
                        .operands = "x",
                        .cls = OpClass::Elementwise,
                        .prototype = AllFields{},
                        .infer = sameAsFirst,
                        .compute = computeSame};

std::span<const OpDef *const> testOps() {
  static constexpr const OpDef *kAll[] = {&kSum2, &kTwice,   &kRowSum, &kSizes,     &kPick,
                                          &kView, &kResized, &kHalve,  &kEverything};
  return kAll;
}

} // namespace planish::graph::test
