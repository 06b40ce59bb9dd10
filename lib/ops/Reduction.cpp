// Reductions along axes, and what is composed from them.
#include "Quantization.h"

#include <algorithm>
#include <array>

namespace planish::ops {

namespace {

struct ReduceRow {
  std::string_view name, summary;
  Combine combine;
  DTypes types;
};
constexpr std::array<ReduceRow, size_t(Reduce::kCount)> kReduce{{
    {"reduce_sum", "sum along axes; of codes in i32", Combine::Sum,
     kFloats | kLongs | bit(DType::u8) | bit(DType::i8)},
    {"reduce_mean", "mean along axes", Combine::Sum, kFloats | kLongs},
    {"reduce_max", "largest element along axes", Combine::Max, kNumbers},
    {"reduce_min", "smallest element along axes", Combine::Min, kNumbers},
    {"reduce_prod", "product along axes", Combine::Product, kFloats | kLongs},
}};

bool reduces(const ReduceAttrs &a, size_t d) {
  return std::find(a.axes.begin(), a.axes.end(), int64_t(d)) != a.axes.end();
}

template <size_t I> Types inferReduce(InferContext &c) {
  const ReduceAttrs &a = c.attrs().as<ReduceAttrs>();
  PLANISH_TRY(wantOperands(c, 1, 1));
  PLANISH_TRY(wantType(c, 0, kReduce[I].types));
  PLANISH_TRY(wantAxes(a.axes, c.in(0).rank(), "axes"));
  Shape out;
  for (size_t d = 0; d < c.in(0).shape.size(); ++d) {
    if (!reduces(a, d)) out.push_back(c.in(0).shape[d]);
    else if (a.keepDims) out.push_back(Dim(1));
  }
  DType type = c.in(0).dtype;
  bool codes = I == size_t(Reduce::Sum) && (type == DType::u8 || type == DType::i8);
  return oneOutput({codes ? DType::i32 : type, std::move(out), {}, {}});
}

/// Space over what is kept; lhs reads the input. `from` are the input's indices.
Compute overReduction(const OpView &v, std::string name, const ReduceAttrs &a, Exprs &from) {
  Compute c = graph::overOutput(v, std::move(name));
  const Shape &in = v.inTypes[0].shape;
  size_t next = 0;
  for (size_t d = 0; d < in.size(); ++d) {
    if (!reduces(a, d)) {
      from.push_back(c.outIndices[next++]);
      continue;
    }
    next += a.keepDims;
    Iter k = axis("r" + std::to_string(d), in[d]);
    c.reduce.push_back(k);
    from.push_back(use(k.var));
  }
  return c;
}

template <size_t I> Compute computeReduce(const OpView &v) {
  const ReduceAttrs &a = v.attrs.as<ReduceAttrs>();
  Exprs from;
  Compute c = overReduction(v, std::string(kReduce[I].name), a, from);
  DType type = v.outType.dtype;
  c.lhs = load(v.in[0], from);
  if (c.reduce.empty()) {  // no axis: nothing is combined
    c.value = cast(type, c.lhs);
    c.lhs = {};
    collectParams(c);
    return c;
  }
  if (I != size_t(Reduce::Mean)) return reduced(std::move(c), kReduce[I].combine, type);
  Expr count = imm(1);
  for (const Iter &k : c.reduce) count = count * k.extent;
  return reduced(std::move(c), Combine::Sum, type, [&](const Expr &sum) {
    if (!isFloat(type)) return truncatedDiv(sum, cast(type, count));
    auto n = constantOf(count);
    return n ? sum * loop::fimm(1.0 / double(*n)) : binary(BinaryOp::Div, sum, cast(DType::f32, count));
  });
}

std::optional<graph::IntegerValue> integerReduceMean(graph::IntegerContext &c) {
  const ReduceAttrs &a = c.attrs.as<ReduceAttrs>();
  return integerMean(c, a.axes, a.keepDims);
}

template <size_t... I> std::array<OpDef, sizeof...(I)> reduceRows(std::index_sequence<I...>) {
  return {OpDef{.name = kReduce[I].name,
                .summary = kReduce[I].summary,
                .operands = "x",
                .cls = OpClass::Reduction,
                .prototype = ReduceAttrs{},
                .infer = inferReduce<I>,
                .compute = computeReduce<I>,
                .integer = I == size_t(Reduce::Mean) ? integerReduceMean : nullptr}...};
}

// ---- positions of extremes -----------------------------------------------------------------------

struct FindAttrs {
  int64_t axis = 0;
  bool last = false;
  void visit(FieldVisitor &v) { v.field("axis", axis), v.field("last", last); }
};

Types inferFind(InferContext &c) {
  const FindAttrs &a = c.attrs().as<FindAttrs>();
  PLANISH_TRY(wantOperands(c, 2, 2));
  PLANISH_TRY(wantSameType(c, 0, 1));
  PLANISH_TRY(wantAxes({a.axis}, c.in(0).rank(), "axis"));
  Shape out = c.in(0).shape;
  out[size_t(a.axis)] = Dim(1);
  if (c.in(1).shape != out) return badInput("operand 1 is " + textOf(c.in(1)) + ", expected " + textOf(out));
  return oneOutput({DType::i64, std::move(out), {}, {}});
}
Compute computeFind(const OpView &v) {
  const FindAttrs &a = v.attrs.as<FindAttrs>();
  Compute c = graph::overOutput(v, "find");
  Iter k = axis("k", v.inTypes[0].shape[size_t(a.axis)]);
  Exprs from = c.outIndices;
  from[size_t(a.axis)] = use(k.var);
  Expr hit = binary(BinaryOp::Eq, load(v.in[0], from), load(v.in[1], c.outIndices));
  // Where nothing equals (not a number), the result is still a position.
  Expr nowhere = a.last ? imm(0) : k.extent - 1;
  c.reduce = {k};
  c.lhs = select(hit, use(k.var), nowhere);
  return reduced(std::move(c), a.last ? Combine::Max : Combine::Min, DType::i64);
}
const OpDef kFind = {.name = "find",
                     .summary = "first (or last) position along an axis where x equals y",
                     .operands = "x, y",
                     .cls = OpClass::Reduction,
                     .layout = LayoutRule::RowMajor,
                     .prototype = FindAttrs{},
                     .infer = inferFind,
                     .compute = computeFind};

// ---- running sums --------------------------------------------------------------------------------

struct RunningAttrs {
  int64_t axis = 0;
  bool exclusive = false, reverse = false;
  void visit(FieldVisitor &v) {
    v.field("axis", axis), v.field("exclusive", exclusive), v.field("reverse", reverse);
  }
};
Types inferRunning(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 1, 1));
  PLANISH_TRY(wantType(c, 0, kFloats | kLongs));
  PLANISH_TRY(wantAxes({c.attrs().as<RunningAttrs>().axis}, c.in(0).rank(), "axis"));
  return oneOutput({c.in(0).dtype, c.in(0).shape, {}, {}});
}
template <Combine Step> Compute computeRunning(const OpView &v) {
  const RunningAttrs &a = v.attrs.as<RunningAttrs>();
  Compute c = graph::overOutput(v, Step == Combine::Sum ? "running_sum" : "running_product");
  size_t d = size_t(a.axis);
  Iter k = axis("k", v.outType.shape[d]);
  Exprs from = c.outIndices;
  from[d] = use(k.var);
  Expr distance = a.reverse ? use(k.var) - c.outIndices[d] : c.outIndices[d] - use(k.var);
  c.where = {distance - int64_t(a.exclusive)};
  c.reduce = {k};
  c.lhs = load(v.in[0], from);
  return reduced(std::move(c), Step, v.outType.dtype);
}
template <Combine Step> OpDef runningRow(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .operands = "x",
          .cls = OpClass::Reduction,
          .layout = LayoutRule::RowMajor,
          .prototype = RunningAttrs{},
          .infer = inferRunning,
          .compute = computeRunning<Step>};
}
const OpDef kRunningSum =
    runningRow<Combine::Sum>("running_sum", "sum of all elements up to each along an axis");
const OpDef kRunningProduct =
    runningRow<Combine::Product>("running_product", "product of all elements up to each along an axis");

// ---- import --------------------------------------------------------------------------------------

/// Axes as attribute or operand 1; none means all, or nothing where noop_with_empty_axes says so.
std::optional<Ints> reducedAxes(Importer &i, ValueId x) {
  Ints axes = i.has(1) ? i.constants(1) : i.intsAttr("axes", {});
  int rank = i.type(x).rank();
  if (axes.empty() && i.intAttr("noop_with_empty_axes", 0)) return std::nullopt;
  if (axes.empty())
    for (int d = 0; d < rank; ++d) axes.push_back(d);
  for (int64_t &a : axes) a = i.axis(a, rank);
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) i.fail("axes names an axis twice");
  return i.error() ? std::nullopt : std::optional(axes);
}

enum class Wrap : uint8_t { None, Abs, Square, Exp };
enum class Finish : uint8_t { None, Sqrt, Log };

/// A reduction of f(x), and a function of the result.
template <Reduce F, Wrap Before, Finish After> std::vector<ValueId> importReduce(Importer &i) {
  ValueId x = i.in(0);
  if (i.has(1) && !i.error() && !i.graph().elements(i.in(1)))
    return overAxes(i, 1, i.type(x).rank(), importReduce<F, Before, After>);
  auto axes = reducedAxes(i, x);
  if (i.error()) return one(x);
  DType given = i.type(x).dtype;
  if (given == DType::b1) x = convertedTo(i, x, DType::u8);
  if (Before == Wrap::Abs) x = apply(i, Unary::Abs, x);
  if (Before == Wrap::Square) x = apply(i, Binary::Mul, x, x);
  ValueId largest = kAbsent;  // subtracted before exp, so that nothing overflows
  if (Before == Wrap::Exp && axes) {
    largest = apply(i, Reduce::Max, x, *axes, true);
    x = apply(i, Binary::Sub, x, largest);
  }
  if (Before == Wrap::Exp) x = apply(i, Unary::Exp, x);
  if (axes) x = apply(i, F, x, *axes, i.intAttr("keepdims", 1) != 0);
  if (After == Finish::Sqrt) x = apply(i, Unary::Sqrt, x);
  if (After == Finish::Log) x = apply(i, Unary::Log, x);
  if (largest != kAbsent && !i.error()) x = apply(i, Binary::Add, x, reshaped(i, largest, i.type(x).shape));
  return one(convertedTo(i, x, given));
}

template <Reduce F> std::vector<ValueId> importArg(Importer &i) {
  ValueId x = i.in(0);
  int axis = i.axis(i.intAttr("axis", 0), i.type(x).rank());
  bool last = i.intAttr("select_last_index", 0) != 0;
  if (i.error()) return one(x);
  ValueId extreme = apply(i, F, x, {axis}, true);
  ValueId r = i.append(kFind, FindAttrs{axis, last}, {x, extreme});
  if (i.intAttr("keepdims", 1) || i.error()) return one(r);
  Shape shape = i.type(r).shape;
  shape.erase(shape.begin() + axis);
  return one(reshaped(i, r, shape));
}

/// 1 where the first largest element along an axis stands, 0 elsewhere.
ValueId hardmax(Importer &i, ValueId x, int axis) {
  const TensorType type = i.type(x);
  ValueId first = i.append(kFind, FindAttrs{axis, false}, {x, apply(i, Reduce::Max, x, {axis}, true)});
  Shape along(type.shape.size(), Dim(1));
  along[size_t(axis)] = type.shape[size_t(axis)];
  ValueId positions = broadcastTo(i, i.scalar(DType::i64, 1), along);
  positions = i.append(kRunningSum, RunningAttrs{axis, true, false}, {positions});
  return convertedTo(i, apply(i, Binary::Equal, positions, first), type.dtype);
}
std::vector<ValueId> importHardmax(Importer &i) {
  ValueId x = i.in(0);
  int axis = i.axis(i.intAttr("axis", -1), i.type(x).rank());
  return one(i.error() ? x : hardmax(i, x, axis));
}
/// Before opset 13 everything from the axis on was one row.
std::vector<ValueId> importHardmax1(Importer &i) {
  ValueId x = i.in(0);
  const Shape shape = i.type(x).shape;
  int axis = i.axis(i.intAttr("axis", 1), int(shape.size()));
  if (i.error()) return one(x);
  ValueId rows =
      reshaped(i, x, {dimOf(i, product(shape, 0, axis)), dimOf(i, product(shape, axis, int(shape.size())))});
  return one(i.error() ? x : reshaped(i, hardmax(i, rows, 1), shape));
}

template <const OpDef &Row> std::vector<ValueId> importRunning(Importer &i) {
  ValueId x = i.in(0), where = i.in(1);
  if (!i.error() && !i.graph().elements(where)) return overAxes(i, 1, i.type(x).rank(), importRunning<Row>);
  int axis = i.axis(int64_t(scalarOperand(i, 1, 0)), i.type(x).rank());
  RunningAttrs a{axis, i.intAttr("exclusive", 0) != 0, i.intAttr("reverse", 0) != 0};
  return one(i.error() ? x : i.append(Row, a, {x}));
}

} // namespace

const OpDef &row(Reduce fn) {
  static const auto rows = reduceRows(std::make_index_sequence<size_t(Reduce::kCount)>());
  return rows[size_t(fn)];
}
ValueId apply(Importer &i, Reduce fn, ValueId x, Ints axes, bool keepDims) {
  return i.append(row(fn), ReduceAttrs{std::move(axes), keepDims}, {x});
}

Family reductionFamily() {
  using enum Reduce;
  Family f;
  for (int r = 0; r < int(kCount); ++r) f.ops.push_back(&row(Reduce(r)));
  f.ops.insert(f.ops.end(), {&kFind, &kRunningSum, &kRunningProduct});
  f.rules = {{"ReduceSum", 1, importReduce<Sum, Wrap::None, Finish::None>},
             {"ReduceMean", 1, importReduce<Mean, Wrap::None, Finish::None>},
             {"ReduceMax", 1, importReduce<Max, Wrap::None, Finish::None>},
             {"ReduceMin", 1, importReduce<Min, Wrap::None, Finish::None>},
             {"ReduceProd", 1, importReduce<Prod, Wrap::None, Finish::None>},
             {"ReduceL1", 1, importReduce<Sum, Wrap::Abs, Finish::None>},
             {"ReduceL2", 1, importReduce<Sum, Wrap::Square, Finish::Sqrt>},
             {"ReduceSumSquare", 1, importReduce<Sum, Wrap::Square, Finish::None>},
             {"ReduceLogSum", 1, importReduce<Sum, Wrap::None, Finish::Log>},
             {"ReduceLogSumExp", 1, importReduce<Sum, Wrap::Exp, Finish::Log>},
             {"ArgMax", 1, importArg<Max>},
             {"ArgMin", 1, importArg<Min>},
             {"Hardmax", 1, importHardmax1},
             {"Hardmax", 13, importHardmax},
             {"CumSum", 11, importRunning<kRunningSum>},
             {"CumProd", 26, importRunning<kRunningProduct>}};
  return f;
}

} // namespace planish::ops
