// Poolings over windows.
#include "Quantization.h"
#include "Window.h"

#include <algorithm>

namespace planish::ops {

namespace {

struct PoolAttrs {
  Ints window, strides, dilations, padsBegin, padsEnd;
  bool ceilMode = false, countPadding = false;
  void visit(FieldVisitor &v) {
    v.field("window", window), v.field("strides", strides), v.field("dilations", dilations);
    v.field("pads_begin", padsBegin), v.field("pads_end", padsEnd);
    v.field("ceil_mode", ceilMode), v.field("count_padding", countPadding);
  }
};
std::vector<Window> windowsOf(const PoolAttrs &a) {
  return ops::windowsOf(a.window, a.strides, a.dilations, a.padsBegin, a.padsEnd);
}

template <DTypes Allowed> Types inferPool(InferContext &c) {
  const PoolAttrs &a = c.attrs().as<PoolAttrs>();
  PLANISH_TRY(wantType(c, 0, Allowed));
  PLANISH_TRY(wantRank(c, 0, 3));
  const TensorType &in = c.in(0);
  PLANISH_ASSIGN(auto windows,
                 checkedWindows(in.rank() - 2, a.window, a.strides, a.dilations, a.padsBegin, a.padsEnd));
  Shape out{in.shape[0], in.shape[1]};
  for (size_t d = 0; d < windows.size(); ++d) {
    PLANISH_ASSIGN(Dim size, positions(c, windows[d], in.shape[d + 2], a.ceilMode));
    out.push_back(size);
  }
  return oneOutput({in.dtype, std::move(out), {}, {}});
}

/// The domain that all poolings share: output positions, taps, guards; lhs reads the input.
Compute overWindows(const OpView &v, std::string name) {
  const PoolAttrs &a = v.attrs.as<PoolAttrs>();
  const Shape &in = v.inTypes[0].shape, &out = v.outType.shape;
  auto windows = windowsOf(a);
  Compute c = graph::overOutput(v, std::move(name));
  Exprs from{c.outIndices[0], c.outIndices[1]};
  for (size_t d = 0; d < windows.size(); ++d) {
    Iter k = axis(spatialName("k", int(d), int(windows.size())), a.window[d]);
    Expr tap = tapOf(windows[d], c.outIndices[d + 2], use(k.var));
    guardTap(c, windows[d], tap, in[d + 2], out[d + 2], a.ceilMode);
    c.reduce.push_back(k);
    from.push_back(tap);
  }
  c.lhs = load(v.in[0], from);
  return c;
}

Compute computeMaxPool(const OpView &v) {
  return reduced(overWindows(v, "max_pool"), Combine::Max, v.outType.dtype);
}

/// How many taps of position `o` lie in [-before, size + after).
Expr countOf(const Window &w, const Expr &o, const Expr &size, int64_t before, int64_t after) {
  Expr start = o * w.stride - w.padBegin;
  Expr first = max(imm(0), floorDiv(imm(w.dilation - 1 - before) - start, imm(w.dilation)));
  Expr last = min(imm(w.kernel), floorDiv(size + (after + w.dilation - 1) - start, imm(w.dilation)));
  return last - first;
}

Compute computeAveragePool(const OpView &v) {
  const PoolAttrs &a = v.attrs.as<PoolAttrs>();
  Compute c = overWindows(v, "average_pool");
  Expr count = imm(1);
  auto windows = windowsOf(a);
  for (size_t d = 0; d < windows.size(); ++d) {
    const Window &w = windows[d];
    bool whole = c.where.empty() || (a.countPadding && !a.ceilMode);
    count = count * (whole ? imm(w.kernel)
                           : countOf(w, c.outIndices[d + 2], extentOf(v.inTypes[0].shape[d + 2]),
                                     a.countPadding ? w.padBegin : 0, a.countPadding ? w.padEnd : 0));
  }
  auto area = constantOf(count);
  return reduced(std::move(c), Combine::Sum, DType::f32, [&](const Expr &sum) {
    return area ? sum * loop::fimm(1.0 / double(*area)) : binary(BinaryOp::Div, sum, cast(DType::f32, count));
  });
}

/// Elements of each position's window that count; one number where that is all of them, everywhere.
/// Nothing where sizes that decide it are symbols.
std::optional<Ints> countsOf(const PoolAttrs &a, const Window &w, const Dim &in, const Dim &out) {
  bool pads = w.padBegin > 0 || w.padEnd > 0;
  if (!a.ceilMode && (!pads || a.countPadding)) return Ints{w.kernel};
  if (!in.isConstant() || !out.isConstant()) return std::nullopt;
  Ints r;
  for (int64_t o = 0; o < out.constant(); ++o)
    r.push_back(constantOf(countOf(w, imm(o), imm(in.constant()), a.countPadding ? w.padBegin : 0,
                                   a.countPadding ? w.padEnd : 0))
                    .value_or(0));
  return r;
}

std::optional<graph::IntegerValue> integerAveragePool(graph::IntegerContext &c) {
  const PoolAttrs &a = c.attrs.as<PoolAttrs>();
  auto windows = windowsOf(a);
  ConvAttrs window{a.strides, a.dilations, a.padsBegin, a.padsEnd, 1};
  std::vector<Ints> counts;
  for (size_t d = 0; d < windows.size(); ++d) {
    const Dim &in = c.types[0].shape[d + 2], &out = c.result.shape[d + 2];
    auto count = countsOf(a, windows[d], in, out);
    if (!count) return std::nullopt;
    counts.push_back(std::move(*count));
    if (!a.ceilMode) continue;
    // As much padding as the positions reach.
    int64_t reached = (out.constant() - 1) * windows[d].stride + windows[d].reach() - windows[d].padBegin;
    window.padsEnd[d] = std::max<int64_t>(reached - in.constant(), 0);
  }
  return integerWindowMean(c, window, a.window, counts);
}

const OpDef kMaxPool = {.name = "max_pool",
                        .summary = "largest element of each window; padding is not looked at",
                        .operands = "x",
                        .cls = OpClass::Reduction,
                        .layout = LayoutRule::ChannelsLast,
                        .prototype = PoolAttrs{},
                        .infer = inferPool<kNumbers>,
                        .compute = computeMaxPool};
const OpDef kAveragePool = {.name = "average_pool",
                            .summary = "mean of each window, over its elements or (count_padding) its area",
                            .operands = "x",
                            .cls = OpClass::Reduction,
                            .layout = LayoutRule::ChannelsLast,
                            .prototype = PoolAttrs{},
                            .infer = inferPool<kFloats>,
                            .compute = computeAveragePool,
                            .integer = integerAveragePool};

/// The first position in the row-major input that holds the largest element of each window.
Types inferWindowFind(InferContext &c) {
  PLANISH_TRY(wantSameType(c, 0, 1));
  PLANISH_ASSIGN(std::vector<TensorType> r, inferPool<kNumbers>(c));
  if (r[0].shape != c.in(1).shape)
    return badInput("operand 1 is " + textOf(c.in(1)) + ", expected " + textOf(r[0].shape));
  return oneOutput({DType::i64, r[0].shape, {}, {}});
}
Compute computeWindowFind(const OpView &v) {
  Compute c = overWindows(v, "window_find");
  const Shape &in = v.inTypes[0].shape;
  const auto *element = loop::as<loop::Load>(c.lhs);
  Expr place = imm(0);
  for (size_t d = 0; d < in.size(); ++d) place = place * extentOf(in[d]) + element->indices[d];
  Expr hit = binary(BinaryOp::Eq, c.lhs, load(v.in[1], c.outIndices));
  c.lhs = select(hit, place, imm(INT64_MAX));
  return reduced(std::move(c), Combine::Min, DType::i64);
}
const OpDef kWindowFind = {.name = "window_find",
                           .summary = "where in x the first element of each window stands that equals y",
                           .operands = "x, y",
                           .cls = OpClass::Reduction,
                           .layout = LayoutRule::RowMajor,
                           .prototype = PoolAttrs{},
                           .infer = inferWindowFind,
                           .compute = computeWindowFind};

// ---- import --------------------------------------------------------------------------------------

std::optional<PoolAttrs> importPool(Importer &i) {
  ValueId x = i.in(0);
  if (!i.hasAttr("kernel_shape")) i.fail("misses attribute 'kernel_shape'");
  Ints kernel = i.intsAttr("kernel_shape", {});
  if (i.error()) return std::nullopt;
  WindowAttrs a = importWindow(i, x, kernel);
  if (i.error()) return std::nullopt;
  return PoolAttrs{kernel,
                   a.strides,
                   a.dilations,
                   a.padsBegin,
                   a.padsEnd,
                   i.intAttr("ceil_mode", 0) != 0,
                   i.intAttr("count_include_pad", 0) != 0};
}
std::vector<ValueId> importMaxPool(Importer &i) {
  auto a = importPool(i);
  ValueId x = i.in(0);
  std::vector<ValueId> r(size_t(i.node().outputs), kAbsent);
  r[0] = a && !i.error() ? i.append(kMaxPool, *a, {x}) : x;
  if (r.size() < 2 || i.error()) return r;
  if (!i.intAttr("storage_order", 0)) {
    r[1] = i.append(kWindowFind, *a, {x, r[0]});
    return r;
  }
  // Positions of the column-major images: rows and columns change places, before and after.
  if (i.type(x).rank() != 4) i.notSupported("attribute 'storage_order' of an input " + textOf(i.type(x)));
  for (Ints *pair : {&a->window, &a->strides, &a->dilations, &a->padsBegin, &a->padsEnd})
    if (pair->size() == 2) std::swap((*pair)[0], (*pair)[1]);
  ValueId found =
      i.append(kWindowFind, *a, {transposed(i, x, {0, 1, 3, 2}), transposed(i, r[0], {0, 1, 3, 2})});
  r[1] = transposed(i, found, {0, 1, 3, 2});
  return r;
}
std::vector<ValueId> importAveragePool(Importer &i) {
  auto a = importPool(i);
  ValueId x = i.in(0);
  return one(a ? i.append(kAveragePool, *a, {x}) : x);
}

/// (sum of |x|^p)^(1/p) over each window.
std::vector<ValueId> importLpPool(Importer &i) {
  auto a = importPool(i);
  ValueId x = i.in(0);
  if (!a) return one(x);
  if (a->ceilMode) i.notSupported("attribute 'ceil_mode'");
  double p = double(i.intAttr("p", 2)), area = 1;
  for (int64_t k : a->window) area *= double(k);
  a->countPadding = true;
  ValueId powers = p == 2 ? apply(i, Binary::Mul, x, x) : apply(i, Binary::Pow, apply(i, Unary::Abs, x), p);
  ValueId sum = apply(i, Binary::Mul, i.append(kAveragePool, *a, {powers}), area);
  return one(p == 2 ? apply(i, Unary::Sqrt, sum) : apply(i, Binary::Pow, sum, 1 / p));
}

Ints spatialAxes(Importer &i, ValueId x) {
  Ints axes;
  for (int d = 2; d < i.type(x).rank(); ++d) axes.push_back(d);
  if (axes.empty()) i.fail("operand 0 is " + textOf(i.type(x)) + ", expected spatial dimensions");
  return axes;
}
template <Reduce F> std::vector<ValueId> importGlobal(Importer &i) {
  ValueId x = i.in(0);
  return one(apply(i, F, x, spatialAxes(i, x)));
}

} // namespace

Family poolingFamily() {
  return {{&kMaxPool, &kAveragePool, &kWindowFind},
          {{"MaxPool", 1, importMaxPool},
           {"AveragePool", 1, importAveragePool},
           {"LpPool", 2, importLpPool},
           {"GlobalAveragePool", 1, importGlobal<Reduce::Mean>},
           {"GlobalMaxPool", 1, importGlobal<Reduce::Max>}}};
}

} // namespace planish::ops
