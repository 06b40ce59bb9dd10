// Resampling along axes. Coordinates are computed in f32, in the order of operations of ONNX Runtime,
// so that nearest neighbours and weights agree with it. Codes are mixed linearly with integer weights, which
// add up to a power of two.
#include "Quantization.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace planish::ops {

namespace {

enum class ResizeMode : uint8_t { Nearest, Linear, Cubic };
enum class Coordinates : uint8_t {
  HalfPixel,
  HalfPixelSymmetric,
  PytorchHalfPixel,
  AlignCorners,
  Asymmetric,
  TfHalfPixelForNn,
  TfCropAndResize
};
enum class Rounding : uint8_t { PreferFloor, PreferCeil, Floor, Ceil, Simple };

constexpr std::string_view kModes[] = {"nearest", "linear", "cubic"};
constexpr std::string_view kCoordinates[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
    "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
constexpr std::string_view kRoundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil",
                                           "simple"};
std::span<const std::string_view> spellings(ResizeMode) { return kModes; }
std::span<const std::string_view> spellings(Coordinates) { return kCoordinates; }
std::span<const std::string_view> spellings(Rounding) { return kRoundings; }

/// Per dimension of the input: its new size and scale (0: the quotient of the sizes).
struct ResizeAttrs {
  Shape sizes;
  std::vector<double> scales, roi;  // roi: starts, then ends, in fractions
  ResizeMode mode = ResizeMode::Nearest;
  Coordinates coordinates = Coordinates::HalfPixel;
  Rounding rounding = Rounding::PreferFloor;
  double cubicA = -0.75, extrapolation = 0;
  bool excludeOutside = false, antialias = false;
  void visit(FieldVisitor &v) {
    v.field("sizes", sizes), v.field("scales", scales), v.field("roi", roi), v.field("mode", mode);
    v.field("coordinates", coordinates), v.field("rounding", rounding), v.field("cubic_a", cubicA);
    v.field("extrapolation", extrapolation), v.field("exclude_outside", excludeOutside);
    v.field("antialias", antialias);
  }
};

/// Elements on each side of a place that a filter against aliases mixes, at most.
constexpr int64_t kMaxReach = 32;

std::optional<double> constantScale(const ResizeAttrs &a, size_t dim, const Dim &in) {
  if (a.scales[dim] > 0) return a.scales[dim];
  const Dim &out = a.sizes[dim];
  if (!in.isConstant() || !out.isConstant() || in.constant() == 0) return std::nullopt;
  return double(out.constant()) / double(in.constant());
}
int64_t reachOf(const ResizeAttrs &a, double scale) {
  return int64_t(std::min(std::ceil((a.mode == ResizeMode::Linear ? 1 : 2) / std::max(scale, 1e-9)), 1e9));
}

Types inferResize(InferContext &c) {
  const ResizeAttrs &a = c.attrs().as<ResizeAttrs>();
  PLANISH_TRY(wantOperands(c, 1, 1));
  constexpr DTypes integers = bit(DType::u8) | bit(DType::i8) | bit(DType::i32);
  bool mixes = a.mode == ResizeMode::Linear && !a.antialias;
  if (a.mode != ResizeMode::Nearest) PLANISH_TRY(wantType(c, 0, mixes ? kFloats | integers : kFloats));
  bool weighs = mixes && !isFloat(c.in(0).dtype);
  const Shape &in = c.in(0).shape;
  if (a.sizes.size() != in.size() || a.scales.size() != in.size() ||
      (a.coordinates == Coordinates::TfCropAndResize && a.roi.size() != 2 * in.size()))
    return badInput("sizes, scales and roi must fit " + textOf(c.in(0)));
  for (size_t d = 0; d < in.size(); ++d)
    if (in[d].upper() == 0 && a.sizes[d].upper() > 0)
      return badInput("cannot enlarge an axis without elements");
  for (double s : a.scales)
    if (!(s >= 0 && s <= double(kMaxElements))) return badInput("a scale is " + textOf(s));
  for (size_t d = 0; d < in.size() && a.antialias && a.mode != ResizeMode::Nearest; ++d) {
    auto scale = constantScale(a, d, in[d]);
    if (!scale || (*scale < 1 && reachOf(a, *scale) > kMaxReach))
      return unsupported("antialias along axis " + std::to_string(d) + " of " + textOf(c.in(0)) +
                         " needs a constant scale of at least 1/" + std::to_string(kMaxReach / 2));
  }
  return oneOutput({weighs ? DType::i32 : c.in(0).dtype, a.sizes, {}, {}});
}

Expr f(double v) { return loop::fimm(v); }
Expr floorOf(const Expr &x) { return loop::call(Intrinsic::Floor, {x}); }
Expr ceilOf(const Expr &x) { return loop::call(Intrinsic::Ceil, {x}); }
Expr divide(const Expr &a, const Expr &b) { return binary(BinaryOp::Div, a, b); }
Expr asFloat(const Expr &e) { return constantOf(e) ? f(float(*constantOf(e))) : cast(DType::f32, e); }

/// One axis of a resampling.
struct Axis {
  const ResizeAttrs &a;
  size_t dim;
  Dim in, out;
  Expr scale() const {
    return a.scales[dim] > 0 ? f(a.scales[dim]) : divide(asFloat(extentOf(out)), asFloat(extentOf(in)));
  }
  /// The scale if it is a whole number that the output's size confirms.
  std::optional<int64_t> factor() const {
    double s = a.scales[dim];
    if (s == 0 && in.isConstant() && out.isConstant() && in.constant() > 0)
      s = double(out.constant()) / double(in.constant());
    if (s < 1 || s != std::floor(s) || s > double(kMaxParameter)) return std::nullopt;
    return int64_t(s);
  }
  bool unchanged() const {
    return in == out && a.coordinates != Coordinates::TfCropAndResize &&
           (a.scales[dim] == 0 || a.scales[dim] == 1);
  }
};

/// The place in the input, in elements, of output position `o`.
Expr source(const Axis &x, const Expr &o) {
  Expr at = asFloat(o), size = asFloat(extentOf(x.in)), resized = asFloat(extentOf(x.out));
  Expr half = divide(at + f(0.5), x.scale()) - f(0.5);
  switch (x.a.coordinates) {
  case Coordinates::HalfPixel: return half;
  case Coordinates::PytorchHalfPixel: return select(lessThan(imm(1), extentOf(x.out)), half, f(0));
  case Coordinates::Asymmetric: return divide(at, x.scale());
  case Coordinates::TfHalfPixelForNn: return divide(at + f(0.5), x.scale());
  case Coordinates::AlignCorners: {
    // With scales the corners are those of the size before it is rounded.
    Expr span = (x.a.scales[x.dim] != 0 ? size * x.scale() : resized) - f(1);
    return select(lessThan(imm(1), extentOf(x.out)),
                  divide(at * (size - f(1)), select(lessThan(f(0), span), span, f(1))), f(0));
  }
  case Coordinates::HalfPixelSymmetric: {
    Expr adjustment = divide(resized, x.scale() * size);
    Expr offset = divide(size, f(2)) * (f(1) - adjustment);
    return offset + half;
  }
  case Coordinates::TfCropAndResize: {
    Expr start = f(x.a.roi[x.dim]), end = f(x.a.roi[x.dim + x.a.sizes.size()]), last = size - f(1);
    Expr many = start * last + divide(at * (end - start) * last, max(resized - f(1), f(1)));
    return select(lessThan(imm(1), extentOf(x.out)), many, f(0.5) * (start + end) * last);
  }
  }
  return half;
}

Expr clamped(const Expr &index, const Dim &size) { return max(min(index, extentOf(size) - 1), imm(0)); }

Expr nearest(const Axis &x, const Expr &o) {
  auto factor = x.factor();
  bool asymmetricFloor = x.a.coordinates == Coordinates::Asymmetric &&
                         (x.a.rounding == Rounding::Floor || x.a.rounding == Rounding::Simple);
  bool halfPixelRound = x.a.coordinates == Coordinates::HalfPixel && x.a.rounding == Rounding::PreferFloor;
  // Whole factors: (o + 0.5)/s is never an integer, so both reduce to o div s.
  if (factor && (asymmetricFloor || halfPixelRound)) {
    Expr index = floorDiv(o, imm(*factor));
    bool exact = x.in.isConstant() && x.out.isConstant() && x.out.constant() <= x.in.constant() * *factor;
    return exact ? index : clamped(index, x.in);
  }
  Expr at = source(x, o), index;
  switch (x.a.rounding) {
  case Rounding::PreferFloor: index = ceilOf(at - f(0.5)); break;
  case Rounding::PreferCeil: index = floorOf(at + f(0.5)); break;
  case Rounding::Floor: index = floorOf(at); break;
  case Rounding::Ceil: index = ceilOf(at); break;
  case Rounding::Simple: index = select(lessThan(x.scale(), f(1)), ceilOf(at), floorOf(at)); break;
  }
  return clamped(cast(DType::i64, index), x.in);
}

/// The elements of one axis that an output position mixes, and how.
struct Taps {
  Exprs indices, weights;  // one index without weight: taken as it is
};

Taps linearTaps(const Axis &x, const Expr &o) {
  Expr last = asFloat(extentOf(x.in) - 1);
  Expr at = max(min(source(x, o), last), f(0)), low = floorOf(at), share = at - low;
  Expr first = cast(DType::i64, low);
  return {{clamped(first, x.in), clamped(first + 1, x.in)}, {f(1) - share, share}};
}

/// Cubic convolution (Keys 1981) with parameter a over four neighbours.
Taps cubicTaps(const Axis &x, const Expr &o) {
  const double a = x.a.cubicA;
  Expr at = source(x, o), low = floorOf(at), t = at - low, u = f(1) - t;
  auto outer = [&](const Expr &d) {
    return ((d * f(a) - f(5 * a)) * d + f(8 * a)) * d - f(4 * a);
  };  // 1 < d < 2
  auto inner = [&](const Expr &d) { return (d * f(a + 2) - f(a + 3)) * d * d + f(1); }; // d <= 1
  Taps taps{{}, {outer(t + f(1)), inner(t), inner(u), outer(u + f(1))}};
  Expr first = cast(DType::i64, low), sum;
  for (int64_t k = 0; k < 4; ++k) {
    Expr index = first + (k - 1);
    taps.indices.push_back(clamped(index, x.in));
    if (!x.a.excludeOutside) continue;
    Expr &w = taps.weights[size_t(k)];
    w = select(within(index, extentOf(x.in)), w, f(0));
    sum = sum ? sum + w : w;
  }
  if (sum)
    for (Expr &w : taps.weights) w = divide(w, sum);
  return taps;
}

/// Where a picture shrinks, the filter is as wide in the output as it is where it does not.
Taps antialiasedTaps(const Axis &x, const Expr &o, double scale) {
  const double a = x.a.cubicA;
  int64_t reach = reachOf(x.a, scale);
  Expr at = source(x, o), low = floorOf(at), first = cast(DType::i64, low) + (1 - reach), sum;
  Taps taps;
  for (int64_t k = 0; k < 2 * reach; ++k) {
    Expr index = first + k,
         d = loop::call(Intrinsic::Abs, {(low + f(double(k + 1 - reach)) - at) * f(scale)});
    Expr inner = (d * f(a + 2) - f(a + 3)) * d * d + f(1),
         outer = ((d * f(a) - f(5 * a)) * d + f(8 * a)) * d - f(4 * a);
    Expr cubic = select(lessEqual(d, f(1)), inner, select(lessThan(d, f(2)), outer, f(0)));
    Expr weight = x.a.mode == ResizeMode::Linear ? max(f(1) - d, f(0)) : cubic;
    if (x.a.excludeOutside) weight = select(within(index, extentOf(x.in)), weight, f(0));
    sum = sum ? sum + weight : weight;
    taps.indices.push_back(clamped(index, x.in));
    taps.weights.push_back(weight);
  }
  for (Expr &w : taps.weights) w = divide(w, sum);
  return taps;
}

Taps tapsOf(const Axis &x, const Expr &o) {
  if (x.unchanged()) return {{o}, {}};
  if (x.a.antialias && x.a.mode != ResizeMode::Nearest)
    if (double scale = *constantScale(x.a, x.dim, x.in); scale < 1) return antialiasedTaps(x, o, scale);
  switch (x.a.mode) {
  case ResizeMode::Nearest: return {{nearest(x, o)}, {}};
  case ResizeMode::Linear: return linearTaps(x, o);
  case ResizeMode::Cubic: return cubicTaps(x, o);
  }
  return {};
}

/// Weights of codes are multiples of 2^-n with as many bits for each axis that is mixed, so that the sum of
/// codes fits 32 bits.
constexpr int kWeightBits = 22, kMostWeightBits = 11;
int weightBits(int mixedAxes) { return std::min(kMostWeightBits, kWeightBits / std::max(mixedAxes, 1)); }
int mixedAxes(const ResizeAttrs &a, const Shape &in, const Shape &out) {
  int n = 0;
  for (size_t d = 0; d < in.size(); ++d) n += !Axis{a, d, in[d], out[d]}.unchanged();
  return n;
}
/// Two weights as integers that add up to 2^bits.
void asIntegers(Taps &taps, int bits) {
  if (taps.weights.empty()) return;
  Expr second = loop::call(Intrinsic::Round, {taps.weights[1] * f(double(1 << bits))});
  taps.weights[1] = cast(DType::i32, second);
  taps.weights[0] = imm(1 << bits, {DType::i32}) - taps.weights[1];
}

/// The weighted sum over all taps of dimensions `d` and later.
Expr mixed(const OpView &v, const std::vector<Taps> &taps, Exprs &at, size_t d) {
  if (d == taps.size()) return cast(v.outType.dtype, load(v.in[0], at));
  Expr sum;
  for (size_t k = 0; k < taps[d].indices.size(); ++k) {
    at[d] = taps[d].indices[k];
    Expr part = mixed(v, taps, at, d + 1);
    if (!taps[d].weights.empty()) part = part * taps[d].weights[k];
    sum = sum ? sum + part : part;
  }
  return sum;
}

Compute computeResize(const OpView &v) {
  const ResizeAttrs &a = v.attrs.as<ResizeAttrs>();
  bool weighs = a.mode == ResizeMode::Linear && !isFloat(v.outType.dtype);
  int bits = weightBits(mixedAxes(a, v.inTypes[0].shape, v.outType.shape));
  return mapped(v, "resize", [&](const Exprs &at) {
    std::vector<Taps> taps;
    Expr inside;
    for (size_t d = 0; d < at.size(); ++d) {
      Axis x{a, d, v.inTypes[0].shape[d], v.outType.shape[d]};
      taps.push_back(tapsOf(x, at[d]));
      if (weighs) asIntegers(taps.back(), bits);
      if (a.coordinates != Coordinates::TfCropAndResize) continue;
      Expr place = source(x, at[d]);
      Expr here = conjunction(lessEqual(f(0), place), lessEqual(place, asFloat(extentOf(x.in) - 1)));
      inside = conjunction(inside, here);
    }
    Exprs from = at;
    Expr value = mixed(v, taps, from, 0);
    return inside ? select(inside, value, number(a.extrapolation, v.outType.dtype)) : value;
  });
}

extern const OpDef kResize;
/// Whether integers can be mixed: linearly, at places that no target computes by rounding a product and a sum
/// at once.
bool mixesIntegers(const ResizeAttrs &a) {
  bool corners = a.coordinates == Coordinates::AlignCorners &&
                 std::ranges::all_of(a.scales, [](double s) { return s == 0 || s == 1; });
  return a.mode == ResizeMode::Linear && !a.antialias &&
         (corners || a.coordinates == Coordinates::HalfPixel ||
          a.coordinates == Coordinates::PytorchHalfPixel || a.coordinates == Coordinates::Asymmetric);
}
/// What the weights of all elements add up to.
int64_t unitOf(const ResizeAttrs &a, const Shape &in, const Shape &out) {
  int mixed = mixedAxes(a, in, out);
  return int64_t(1) << (mixed * weightBits(mixed));
}

std::optional<graph::IntegerValue> integerResize(graph::IntegerContext &c) {
  const ResizeAttrs &a = c.attrs.as<ResizeAttrs>();
  if (!mixesIntegers(a)) return std::nullopt;
  graph::IntegerValue v;
  if (const auto &x = c.codes[0])
    v = {x->value, 0, {x->scale}, {-x->zero}, {std::max(x->zero, 255 - x->zero)}};
  else v = *c.sums[0];
  int64_t unit = unitOf(a, c.types[0].shape, c.result.shape);
  for (int64_t &b : v.bound)
    if ((b *= unit) > graph::kMaxAccumulator) return std::nullopt;
  for (int64_t &add : v.addend) add *= unit;
  for (double &s : v.scale) s /= double(unit);
  bool varies = v.scale.size() > 1 || v.addend.size() > 1 || v.bound.size() > 1;
  if (varies && c.types[0].shape[size_t(v.axis)] != c.result.shape[size_t(v.axis)]) return std::nullopt;
  auto mixed = c.append(kResize, a, {v.value});
  if (!mixed) return std::nullopt;
  v.value = *mixed;
  return v;
}

const OpDef kResize = {.name = "resize",
                       .summary = "resampling along axes: nearest, linear or cubic, in ONNX's coordinate "
                                  "modes; linear of codes in i32, in units of its weights",
                       .operands = "x",
                       .cls = OpClass::Injective,
                       .prototype = ResizeAttrs{},
                       .infer = inferResize,
                       .compute = computeResize,
                       .integer = integerResize};

// ---- import --------------------------------------------------------------------------------------

template <class E, size_t N>
E spelled(Importer &i, std::string_view attribute, const std::string_view (&names)[N],
          const std::string &value) {
  auto found = std::find(std::begin(names), std::end(names), value);
  if (found == std::end(names)) i.fail("attribute '" + std::string(attribute) + "' is '" + value + "'");
  return found == std::end(names) ? E{} : E(found - std::begin(names));
}

template <class T> std::vector<double> elementsAsDouble(const graph::Value &v) {
  auto data = graph::dataOf<T>(v);
  return std::vector<double>(data.begin(), data.end());
}
/// Float elements of a constant operand.
std::vector<double> floatOperand(Importer &i, int input) {
  const graph::Value &v = i.graph()[i.in(input)];
  if (v.isConstant() && v.type.dtype == DType::f32) return elementsAsDouble<float>(v);
  auto known = isFloat(v.type.dtype) ? i.graph().elements(i.in(input)) : std::nullopt;
  std::vector<double> r;
  for (const Expr &e : known ? *known : Exprs{})
    if (auto *imm = loop::as<loop::FloatImm>(e)) r.push_back(imm->value);
  if (!known || r.size() != known->size())
    i.notSupported("operand " + std::to_string(input) + " must be computable from constants");
  return r;
}

Dim scaledSize(Importer &i, const Dim &size, double scale) {
  if (!(scale > 0 && scale <= double(kMaxParameter))) {
    i.fail("a scale is " + textOf(scale));
    return size;
  }
  if (size.isConstant()) return Dim(int64_t(std::floor(float(size.constant()) * float(scale))));
  if (scale == std::floor(scale)) return dimOf(i, extentOf(size) * int64_t(scale));
  return i.derive(cast(DType::i64, floorOf(cast(DType::f32, extentOf(size)) * f(scale))));
}

/// Sets sizes and scales of the dimensions in `axes`; the others stay.
void applyScales(Importer &i, ResizeAttrs &a, const std::vector<double> &scales, const Ints &axes) {
  if (scales.size() != axes.size())
    return i.fail("there are " + std::to_string(scales.size()) + " scales for " +
                  std::to_string(axes.size()) + " axes");
  for (size_t k = 0; k < axes.size() && !i.error(); ++k) {
    size_t d = size_t(axes[k]);
    a.scales[d] = scales[k];
    a.sizes[d] = scaledSize(i, a.sizes[d], scales[k]);
  }
}

void applySizes(Importer &i, ResizeAttrs &a, Shape sizes, const Ints &axes, const std::string &policy) {
  if (sizes.size() != axes.size())
    return i.fail("there are " + std::to_string(sizes.size()) + " sizes for " + std::to_string(axes.size()) +
                  " axes");
  if (policy == "stretch") {
    for (size_t k = 0; k < axes.size(); ++k)
      a.scales[size_t(axes[k])] = 0, a.sizes[size_t(axes[k])] = sizes[k];
    return;
  }
  bool larger = policy == "not_smaller";
  float scale = larger ? 0.f : std::numeric_limits<float>::infinity();
  for (size_t k = 0; k < axes.size(); ++k) {
    const Dim &in = a.sizes[size_t(axes[k])];
    if (!in.isConstant() || !sizes[k].isConstant() || in.constant() == 0)
      return i.notSupported("attribute 'keep_aspect_ratio_policy' needs constant sizes");
    float s = float(sizes[k].constant()) / float(in.constant());
    scale = larger ? std::max(scale, s) : std::min(scale, s);
  }
  for (int64_t d : axes) {
    a.scales[size_t(d)] = double(scale);
    a.sizes[size_t(d)] = Dim(int64_t(std::round(float(a.sizes[size_t(d)].constant()) * scale)));
  }
}

ResizeAttrs unchanged(Importer &i, ValueId x) {
  const Shape &in = i.type(x).shape;
  ResizeAttrs a{.sizes = in, .scales = std::vector<double>(in.size(), 1.0), .roi = {}};
  for (size_t d = 0; d < 2 * in.size(); ++d) a.roi.push_back(d < in.size() ? 0 : 1);
  return a;
}
/// Weights of several axes multiply, so axes go one by one: the innermost first, while there is least of it.
ValueId interpolated(Importer &i, ValueId x, const ResizeAttrs &a) {
  const Shape in = i.type(x).shape;
  bool grows = true;
  for (size_t d = 0; d < in.size(); ++d)
    grows &= a.scales[d] == 0 ? a.sizes[d].lower() >= in[d].upper() : a.scales[d] >= 1;
  if (a.coordinates == Coordinates::TfCropAndResize || !grows) return i.append(kResize, a, {x});
  for (size_t d = in.size(); d-- > 0 && !i.error();) {
    if (in[d] == a.sizes[d] && (a.scales[d] == 0 || a.scales[d] == 1)) continue;
    ResizeAttrs along = a;
    along.sizes = i.type(x).shape;
    along.scales.assign(in.size(), 1.0);
    along.sizes[d] = a.sizes[d], along.scales[d] = a.scales[d];
    x = i.append(kResize, along, {x});
  }
  return x;
}
std::vector<ValueId> resized(Importer &i, ValueId x, const ResizeAttrs &a) {
  bool crops = a.coordinates == Coordinates::TfCropAndResize;
  if (i.error() || (a.sizes == i.type(x).shape && !crops)) return one(x);
  if (a.mode == ResizeMode::Nearest) return one(i.append(kResize, a, {x}));
  DType type = i.type(x).dtype;
  if (isFloat(type)) return one(interpolated(i, x, a));
  // Between integers lie none: what is mixed is cut off, as the ONNX reference does.
  bool codes = type == DType::u8 || type == DType::i8;
  if (!codes || !mixesIntegers(a) || mixedAxes(a, i.type(x).shape, a.sizes) > 2)
    return one(convertedTo(i, interpolated(i, convertedTo(i, x, DType::f32), a), type));
  double unit = double(unitOf(a, i.type(x).shape, a.sizes));
  return one(convertedTo(i, apply(i, Binary::Div, interpolated(i, x, a), unit), type));
}
Ints allAxes(size_t rank) {
  Ints r;
  for (size_t d = 0; d < rank; ++d) r.push_back(int64_t(d));
  return r;
}

/// Upsample, and Resize before version 11.
std::vector<ValueId> resizeBySimpleScales(Importer &i, const std::vector<double> &scales) {
  ValueId x = i.in(0);
  ResizeAttrs a = unchanged(i, x);
  std::string mode = i.stringAttr("mode", "nearest");
  a.mode = spelled<ResizeMode>(i, "mode", kModes, mode == "bilinear" ? "linear" : mode);
  a.coordinates = Coordinates::Asymmetric;
  a.rounding = Rounding::Simple;
  applyScales(i, a, scales, allAxes(a.sizes.size()));
  return resized(i, x, a);
}
std::vector<ValueId> importUpsample1(Importer &i) {
  return resizeBySimpleScales(i, {1, 1, i.floatAttr("height_scale", 1), i.floatAttr("width_scale", 1)});
}
std::vector<ValueId> importUpsample7(Importer &i) {
  return resizeBySimpleScales(i, i.floatsAttr("scales", {}));
}
std::vector<ValueId> importResize10(Importer &i) { return resizeBySimpleScales(i, floatOperand(i, 1)); }

std::vector<ValueId> importResize(Importer &i) {
  ValueId x = i.in(0);
  ResizeAttrs a = unchanged(i, x);
  size_t rank = a.sizes.size();
  a.mode = spelled<ResizeMode>(i, "mode", kModes, i.stringAttr("mode", "nearest"));
  a.coordinates = spelled<Coordinates>(i, "coordinate_transformation_mode", kCoordinates,
                                       i.stringAttr("coordinate_transformation_mode", "half_pixel"));
  a.rounding =
      spelled<Rounding>(i, "nearest_mode", kRoundings, i.stringAttr("nearest_mode", "round_prefer_floor"));
  a.cubicA = i.floatAttr("cubic_coeff_a", -0.75);
  a.excludeOutside = i.intAttr("exclude_outside", 0) != 0;
  a.extrapolation = i.floatAttr("extrapolation_value", 0);
  a.antialias = i.intAttr("antialias", 0) != 0;
  Ints axes = i.intsAttr("axes", allAxes(rank));
  for (int64_t &d : axes) d = i.axis(d, int(rank));
  bool bySizes = i.has(3);
  if (!bySizes && !i.has(2)) i.fail("has neither scales nor sizes");
  if (i.error()) return one(x);
  if (a.coordinates == Coordinates::TfCropAndResize) {
    std::vector<double> roi = i.has(1) ? floatOperand(i, 1) : std::vector<double>();
    if (roi.size() != 2 * axes.size()) i.fail("roi has " + std::to_string(roi.size()) + " entries");
    for (size_t k = 0; k < axes.size() && !i.error(); ++k) {
      a.roi[size_t(axes[k])] = roi[k];
      a.roi[size_t(axes[k]) + rank] = roi[k + axes.size()];
    }
  }
  if (bySizes)
    applySizes(i, a, shapeOperand(i, 3), axes, i.stringAttr("keep_aspect_ratio_policy", "stretch"));
  else applyScales(i, a, floatOperand(i, 2), axes);
  return resized(i, x, a);
}

} // namespace

Family resizeFamily() {
  return {{&kResize},
          {{"Upsample", 1, importUpsample1},
           {"Upsample", 7, importUpsample7},
           {"Upsample", 9, importResize10},
           {"Resize", 10, importResize10},
           {"Resize", 11, importResize}}};
}

} // namespace planish::ops
