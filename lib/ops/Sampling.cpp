// Images sampled at given places, and the largest or smallest elements in order.
#include "Rows.h"

#include <algorithm>

namespace planish::ops {

namespace {

// ---- grid sampling -------------------------------------------------------------------------------

enum class SampleMode : uint8_t { Nearest, Linear, Cubic };
enum class Outside : uint8_t { Zeros, Border, Reflection };
constexpr std::string_view kSampleModes[] = {"nearest", "linear", "cubic"};
constexpr std::string_view kOutside[] = {"zeros", "border", "reflection"};
std::span<const std::string_view> spellings(SampleMode) { return kSampleModes; }
std::span<const std::string_view> spellings(Outside) { return kOutside; }

struct SampleAttrs {
  SampleMode mode = SampleMode::Linear;
  Outside outside = Outside::Zeros;
  bool alignCorners = false;
  void visit(FieldVisitor &v) {
    v.field("mode", mode), v.field("outside", outside), v.field("align_corners", alignCorners);
  }
};

Types inferSample(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 2, 2));
  PLANISH_TRY(wantType(c, 0, kFloats));
  PLANISH_TRY(wantType(c, 1, kFloats));
  PLANISH_TRY(wantRank(c, 0, 3));
  PLANISH_TRY(wantRank(c, 1, c.in(0).rank(), c.in(0).rank()));
  const Shape &x = c.in(0).shape, &grid = c.in(1).shape;
  if (x[0] != grid[0] || grid.back() != Dim(c.in(0).rank() - 2))
    return badInput("the grid is " + textOf(c.in(1)) + ", the input " + textOf(c.in(0)));
  Shape out{x[0], x[1]};
  out.insert(out.end(), grid.begin() + 1, grid.end() - 1);
  for (size_t d = 2; d < x.size(); ++d)
    if (x[d].lower() == 0) return badInput("the input " + textOf(c.in(0)) + " may be empty");
  return oneOutput({DType::f32, std::move(out), {}, {}});
}

Expr f(double v) { return loop::fimm(v); }
Expr floorOf(const Expr &x) { return loop::call(Intrinsic::Floor, {x}); }

/// One tap along one axis: an index inside the input, its weight, and whether it counts.
struct Tap {
  Expr index, weight, inside;
};

/// A place mirrored at both ends into the input (half a pixel further out without aligned corners).
Expr mirrored(const Expr &place, const Expr &size, bool align) {
  Expr reach = align ? max(size - f(1), f(0.5)) : size, offset = f(align ? 0 : 0.5);
  Expr t = place + offset, period = reach * f(2);
  Expr m = t - floorOf(binary(BinaryOp::Div, t, period)) * period;
  return min(m, period - m) - offset;
}
Expr mirroredIndex(const Expr &index, const Expr &size, bool align) {
  Expr period = align ? max(size * 2 - 2, imm(1)) : size * 2;
  Expr m = floorMod(index, period);
  return min(m, period - m - (align ? 0 : 1));
}

/// The taps along one axis for a coordinate in [-1, 1].
std::vector<Tap> tapsAt(const SampleAttrs &a, const Expr &coordinate, const Expr &count) {
  Expr size = cast(DType::f32, count);
  Expr place = a.alignCorners ? (coordinate + f(1)) * f(0.5) * (size - f(1))
                              : ((coordinate + f(1)) * size - f(1)) * f(0.5);
  if (a.outside == Outside::Border) place = min(max(place, f(0)), size - f(1));
  if (a.outside == Outside::Reflection) place = mirrored(place, size, a.alignCorners);
  constexpr double kFar = 1 << 24;  // beyond all sizes; keeps index arithmetic small
  place = min(max(place, f(-kFar)), f(kFar));
  Expr low = a.mode == SampleMode::Nearest ? loop::call(Intrinsic::Round, {place}) : floorOf(place);
  Expr t = place - low, u = f(1) - t;
  auto outer = [&](const Expr &d) { return ((d - f(5)) * d + f(8)) * d * f(-0.75) + f(3); };
  auto inner = [&](const Expr &d) { return (d * f(1.25) - f(2.25)) * d * d + f(1); };
  std::vector<Expr> weights;
  int64_t first = 0;
  switch (a.mode) {
  case SampleMode::Nearest: weights = {f(1)}; break;
  case SampleMode::Linear: weights = {u, t}; break;
  case SampleMode::Cubic: weights = {outer(t + f(1)), inner(t), inner(u), outer(u + f(1))}, first = -1; break;
  }
  std::vector<Tap> taps;
  for (const Expr &weight : weights) {
    Expr index = cast(DType::i64, low) + first++;
    Expr inside = a.outside == Outside::Zeros ? within(index, count) : Expr();
    if (a.outside == Outside::Reflection) index = mirroredIndex(index, count, a.alignCorners);
    taps.push_back({max(min(index, count - 1), imm(0)), weight, inside});
  }
  return taps;
}

Expr sampled(const OpView &v, const std::vector<std::vector<Tap>> &taps, Exprs &at, size_t d,
             const Expr &inside) {
  if (d == taps.size()) return load(v.in[0], at, inside);
  Expr sum;
  for (const Tap &tap : taps[d]) {
    at[d + 2] = tap.index;
    Expr part =
        sampled(v, taps, at, d + 1, tap.inside ? conjunction(inside, tap.inside) : inside) * tap.weight;
    sum = sum ? sum + part : part;
  }
  return sum;
}
Compute computeSample(const OpView &v) {
  const SampleAttrs &a = v.attrs.as<SampleAttrs>();
  const Shape &x = v.inTypes[0].shape;
  return mapped(v, "grid_sample", [&](const Exprs &at) {
    size_t spatial = x.size() - 2;
    Exprs place{at[0]};
    place.insert(place.end(), at.begin() + 2, at.end());
    place.push_back({});
    std::vector<std::vector<Tap>> taps;
    for (size_t d = 0; d < spatial; ++d) {
      place.back() = imm(int64_t(spatial - 1 - d));  // x comes first in the grid
      taps.push_back(tapsAt(a, load(v.in[1], place), extentOf(x[d + 2])));
    }
    Exprs from = at;
    from.resize(2 + spatial);
    return sampled(v, taps, from, 0, {});
  });
}
const OpDef kSample = {.name = "grid_sample",
                       .summary = "x at the places that a grid of coordinates in [-1, 1] names",
                       .operands = "x, grid",
                       .cls = OpClass::Injective,
                       .prototype = SampleAttrs{},
                       .infer = inferSample,
                       .compute = computeSample};

std::vector<ValueId> importGridSample(Importer &i) {
  ValueId x = i.in(0), grid = i.in(1);
  std::string mode = i.stringAttr("mode", i.node().version < 20 ? "bilinear" : "linear");
  mode = mode == "bilinear" ? "linear" : mode == "bicubic" ? "cubic" : mode;
  std::string outside = i.stringAttr("padding_mode", "zeros");
  auto m = std::find(std::begin(kSampleModes), std::end(kSampleModes), mode);
  auto o = std::find(std::begin(kOutside), std::end(kOutside), outside);
  if (m == std::end(kSampleModes) || o == std::end(kOutside))
    i.fail("attribute 'mode' or 'padding_mode' is '" + mode + "', '" + outside + "'");
  if (i.error()) return one(x);
  SampleAttrs a{SampleMode(m - std::begin(kSampleModes)), Outside(o - std::begin(kOutside)),
                i.intAttr("align_corners", 0) != 0};
  return one(i.append(kSample, a, {x, grid}));
}

// ---- the k largest -------------------------------------------------------------------------------

/// How many elements along an axis come before each: larger (or smaller) ones, and equal ones further
/// to the front. Quadratic, which is right for the thousands of candidates a detector has.
struct RankAttrs {
  int64_t axis = 0;
  bool largest = true;
  void visit(FieldVisitor &v) { v.field("axis", axis), v.field("largest", largest); }
};
Types inferRank(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 1, 1));
  PLANISH_TRY(wantType(c, 0, kNumbers));
  PLANISH_TRY(wantAxes({c.attrs().as<RankAttrs>().axis}, c.in(0).rank(), "axis"));
  return oneOutput({DType::i64, c.in(0).shape, {}, {}});
}
Compute computeRank(const OpView &v) {
  const RankAttrs &a = v.attrs.as<RankAttrs>();
  Compute c = graph::overOutput(v, "rank");
  size_t d = size_t(a.axis);
  Iter k = axis("k", v.outType.shape[d]);
  Exprs from = c.outIndices;
  from[d] = use(k.var);
  Expr self = load(v.in[0], c.outIndices), other = load(v.in[0], from);
  Expr before = a.largest ? lessThan(self, other) : lessThan(other, self);
  Expr earlier = conjunction(binary(BinaryOp::Eq, self, other), lessThan(use(k.var), c.outIndices[d]));
  c.reduce = {k};
  c.lhs = select(binary(BinaryOp::Or, before, earlier), imm(1), imm(0));
  return reduced(std::move(c), Combine::Sum, DType::i64);
}
const OpDef kRank = {.name = "rank",
                     .summary = "position of each element in the sorted order along an axis",
                     .operands = "x",
                     .cls = OpClass::Reduction,
                     .layout = LayoutRule::RowMajor,
                     .prototype = RankAttrs{},
                     .infer = inferRank,
                     .compute = computeRank};

/// The elements of ranks 0 .. count-1 along an axis, or where they stand.
struct PickAttrs {
  int64_t axis = 0, count = 0;
  bool positions = false;
  void visit(FieldVisitor &v) {
    v.field("axis", axis), v.field("count", count), v.field("positions", positions);
  }
};
Types inferPick(InferContext &c) {
  const PickAttrs &a = c.attrs().as<PickAttrs>();
  PLANISH_TRY(wantOperands(c, 2, 2));
  PLANISH_TRY(wantType(c, 0, kNumbers));
  PLANISH_TRY(wantType(c, 1, bit(DType::i64)));
  PLANISH_TRY(wantAxes({a.axis}, c.in(0).rank(), "axis"));
  if (c.in(0).shape != c.in(1).shape) return badInput("ranks " + textOf(c.in(1)) + " of " + textOf(c.in(0)));
  Shape out = c.in(0).shape;
  if (a.count < 0 || a.count > out[size_t(a.axis)].lower())
    return badInput("cannot take " + std::to_string(a.count) + " of axis " + std::to_string(a.axis) + " of " +
                    textOf(c.in(0)));
  out[size_t(a.axis)] = Dim(a.count);
  return oneOutput({a.positions ? DType::i64 : c.in(0).dtype, std::move(out), {}, {}});
}
Compute computePick(const OpView &v) {
  const PickAttrs &a = v.attrs.as<PickAttrs>();
  Compute c = graph::overOutput(v, "pick");
  size_t d = size_t(a.axis);
  Iter k = axis("k", v.inTypes[0].shape[d]);
  Exprs from = c.outIndices;
  from[d] = use(k.var);
  DType type = v.outType.dtype;
  Expr hit = binary(BinaryOp::Eq, load(v.in[1], from), c.outIndices[d]);
  c.reduce = {k};
  c.lhs = select(hit, a.positions ? use(k.var) : load(v.in[0], from), number(0, type));
  return reduced(std::move(c), Combine::Sum, type);
}
const OpDef kPick = {.name = "pick",
                     .summary = "elements (or positions) of the first ranks along an axis, in order",
                     .operands = "x, ranks",
                     .cls = OpClass::Reduction,
                     .layout = LayoutRule::RowMajor,
                     .prototype = PickAttrs{},
                     .infer = inferPick,
                     .compute = computePick};

std::vector<ValueId> topK(Importer &i, int64_t count) {
  ValueId x = i.in(0);
  int axis = i.axis(i.intAttr("axis", -1), i.type(x).rank());
  std::vector<ValueId> r{x, x};
  if (i.error()) return r;
  ValueId ranks = i.append(kRank, RankAttrs{axis, i.intAttr("largest", 1) != 0}, {x});
  for (bool positions : {false, true})
    r[positions] = i.append(kPick, PickAttrs{axis, count, positions}, {x, ranks});
  return r;
}
std::vector<ValueId> importTopK1(Importer &i) { return topK(i, i.intAttr("k", 0)); }
std::vector<ValueId> importTopK(Importer &i) {
  Ints count = i.constants(1);
  if (count.size() != 1 && !i.error()) i.fail("K has " + std::to_string(count.size()) + " elements");
  return topK(i, i.error() ? 0 : count[0]);
}

} // namespace

Family samplingFamily() {
  return {{&kSample, &kRank, &kPick},
          {{"GridSample", 16, importGridSample}, {"TopK", 1, importTopK1}, {"TopK", 10, importTopK}}};
}

} // namespace planish::ops
