// Images sampled at given places.
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
  // A cubic curve goes on where its middle leaves the input: only the elements that it reads are of the
  // border.
  if (a.outside == Outside::Border && a.mode != SampleMode::Cubic) place = min(max(place, f(0)), size - f(1));
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

// ---- affine grids --------------------------------------------------------------------------------

struct AffineGridAttrs {
  Ints size;  // of the images: height, width or depth, height, width
  bool alignCorners = false;
  void visit(FieldVisitor &v) { v.field("size", size), v.field("align_corners", alignCorners); }
};
/// theta is [batch, spatial, spatial + 1].
Types inferAffineGrid(InferContext &c) {
  const AffineGridAttrs &a = c.attrs().as<AffineGridAttrs>();
  int64_t spatial = int64_t(a.size.size());
  PLANISH_TRY(wantType(c, 0, kFloats));
  PLANISH_TRY(wantRank(c, 0, 3, 3));
  PLANISH_TRY(wantEntries({spatial}, 1, 2, 3, "the number of spatial sizes"));
  PLANISH_TRY(wantEntries(a.size, a.size.size(), 1, kMaxParameter, "size"));
  const Shape &theta = c.in(0).shape;
  if (theta[1] != Dim(spatial) || theta[2] != Dim(spatial + 1))
    return badInput("theta is " + textOf(c.in(0)) + ", expected one matrix of " + std::to_string(spatial) +
                    " by " + std::to_string(spatial + 1) + " per image");
  Shape out{theta[0]};
  out.insert(out.end(), a.size.begin(), a.size.end());
  out.push_back(Dim(spatial));
  return oneOutput({DType::f32, std::move(out), {}, {}});
}
Compute computeAffineGrid(const OpView &v) {
  const AffineGridAttrs &a = v.attrs.as<AffineGridAttrs>();
  size_t spatial = a.size.size();
  return mapped(v, "affine_grid", [&](const Exprs &at) {
    auto theta = [&](size_t k) { return load(v.in[0], {at[0], at.back(), imm(int64_t(k))}); };
    Expr sum = theta(spatial);
    for (size_t k = 0; k < spatial; ++k) {  // x, the last dimension, comes first
      size_t d = spatial - 1 - k;
      double size = double(a.size[d]);
      Expr index = cast(DType::f32, at[1 + d]);
      Expr place = !a.alignCorners ? (index * f(2) + f(1)) * f(1 / size) - f(1)
                   : size > 1      ? index * f(2 / (size - 1)) - f(1)
                                   : f(-1);
      sum = sum + theta(k) * place;
    }
    return sum;
  });
}
const OpDef kAffineGrid = {.name = "affine_grid",
                           .summary = "the coordinates that affine maps send the pixels of images to",
                           .operands = "theta",
                           .cls = OpClass::Injective,
                           .layout = LayoutRule::RowMajor,
                           .prototype = AffineGridAttrs{},
                           .infer = inferAffineGrid,
                           .compute = computeAffineGrid};
std::vector<ValueId> importAffineGrid(Importer &i) {
  Ints size = i.constants(1);
  if (size.size() < 4 && !i.error())
    i.fail("size has " + std::to_string(size.size()) + " entries, expected 4 or 5");
  if (i.error()) return one(i.in(0));
  return one(i.append(kAffineGrid,
                      AffineGridAttrs{Ints(size.begin() + 2, size.end()), i.intAttr("align_corners", 0) != 0},
                      {i.in(0)}));
}

} // namespace

Family samplingFamily() {
  return {{&kSample, &kAffineGrid},
          {{"GridSample", 16, importGridSample}, {"AffineGrid", 20, importAffineGrid}}};
}

} // namespace planish::ops
