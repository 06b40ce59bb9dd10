// Real numbers to 8-bit codes and back, and what the quantize pass makes: the requantization of a 32-bit
// sum and tables. Scale and zero point are operands that broadcast, so per tensor and per axis are one row.
#include "Quantization.h"

#include <algorithm>
#include <cmath>

namespace planish::ops {

namespace {

constexpr DTypes kCodes = bit(DType::u8) | bit(DType::i8);

std::pair<double, double> limitsOf(DType codes) {
  return codes == DType::u8 ? std::pair(0.0, 255.0) : std::pair(-128.0, 127.0);
}

/// Operand `input` broadcasts to the shape of operand 0.
Status wantBroadcastable(InferContext &c, int input) {
  PLANISH_ASSIGN(Shape shape, broadcastShape(c, c.in(0).shape, c.in(input).shape));
  if (shape == c.in(0).shape) return {};
  return badInput("operand " + std::to_string(input) + " is " + textOf(c.in(input)) +
                  ", which does not broadcast to " + textOf(c.in(0)));
}

/// Scale and zero point of (x, scale, zero).
Status wantParameters(InferContext &c, DTypes zeros) {
  PLANISH_TRY(wantType(c, 1, kFloats));
  PLANISH_TRY(wantBroadcastable(c, 1));
  if (!c.has(2)) return {};
  PLANISH_TRY(wantType(c, 2, zeros));
  return wantBroadcastable(c, 2);
}

Types inferQuantize(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 3, 3));
  PLANISH_TRY(wantType(c, 0, kFloats));
  PLANISH_TRY(wantParameters(c, kCodes));
  return oneOutput({c.in(2).dtype, c.in(0).shape, {}, {}});
}
/// clamp(round(x / scale) + zero), in floats, which hold all these integers.
Compute computeQuantize(const OpView &v) {
  auto [lo, hi] = limitsOf(v.outType.dtype);
  return mapped(v, "quantize", [&](const Exprs &at) {
    auto operand = [&](int i) { return load(v.in[size_t(i)], graph::broadcastIndices(v, i, at)); };
    Expr steps = loop::call(Intrinsic::Round, {binary(BinaryOp::Div, operand(0), operand(1))});
    Expr code = steps + cast(DType::f32, operand(2));
    return cast(v.outType.dtype, min(max(code, loop::fimm(lo)), loop::fimm(hi)));
  });
}

Types inferDequantize(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 2, 3));
  PLANISH_TRY(wantType(c, 0, kCodes | bit(DType::i32)));
  PLANISH_TRY(wantParameters(c, bit(c.in(0).dtype)));
  return oneOutput({DType::f32, c.in(0).shape, {}, {}});
}
Compute computeDequantize(const OpView &v) {
  return mapped(v, "dequantize", [&](const Exprs &at) {
    auto operand = [&](int i) { return load(v.in[size_t(i)], graph::broadcastIndices(v, i, at)); };
    Expr steps = cast(DType::i32, load(v.in[0], at));
    if (v.in.size() > 2 && v.in[2]) steps = steps - cast(DType::i32, operand(2));
    return cast(DType::f32, steps) * operand(1);
  });
}

// ---- requantization ------------------------------------------------------------------------------

Types inferRequantize(InferContext &c) {
  const RequantizeAttrs &a = c.attrs().as<RequantizeAttrs>();
  PLANISH_TRY(wantOperands(c, 1, 2));
  PLANISH_TRY(wantType(c, 0, c.has(1) ? bit(DType::i32) | bit(DType::f32) : bit(DType::f32)));
  if (c.has(1)) {
    PLANISH_TRY(wantType(c, 1, kFloats));
    PLANISH_TRY(wantBroadcastable(c, 1));
  }
  if (a.zero < 0 || a.zero > 255 || a.least < 0 || a.most > 255 || a.least > a.most)
    return badInput("zero, least and most are codes, 0 to 255, least not above most");
  return oneOutput({DType::u8, c.in(0).shape, {}, {}});
}
/// What leaves the integer nearest to a number in the low bits. Beyond those the bits' order is still that of
/// the numbers, but for what is far below zero: it is brought to where it is.
Expr nearestOfReal(const Expr &steps) {
  constexpr double kFar = 2097152; // 2^21: plus a zero point below the 2^22 that those bits hold
  return max(steps, loop::fimm(-kFar)) + loop::fimm(loop::kRounder);
}
/// clamp(nearest(float(acc) * scale) + zero), one rounding after the product: the only rule by which a
/// sum becomes codes, the same on every target. What is real already rounds its product first.
Compute computeRequantize(const OpView &v) {
  const RequantizeAttrs &a = v.attrs.as<RequantizeAttrs>();
  return mapped(v, "requantize", [&](const Exprs &at) {
    bool scaled = v.in.size() > 1 && v.in[1];
    Expr scale = scaled ? load(v.in[1], graph::broadcastIndices(v, 1, at)) : Expr(), x = load(v.in[0], at);
    Expr nearest = isFloat(x->type.dtype)
                       ? nearestOfReal(scaled ? x * scale : x)
                       : loop::call(Intrinsic::Fma, {cast(DType::f32, x), scale, loop::fimm(loop::kRounder)});
    Type i32{DType::i32};
    Expr code = loop::call(Intrinsic::Bits, {nearest}) - imm(loop::kRounderBits - a.zero, i32);
    return cast(DType::u8, min(max(code, imm(a.least, i32)), imm(a.most, i32)));
  });
}

Types inferLookup(InferContext &c) {
  int64_t along = c.attrs().as<AxisAttrs>().axis;
  PLANISH_TRY(wantOperands(c, 2, 2));
  PLANISH_TRY(wantType(c, 0, bit(DType::u8)));
  const Shape &x = c.in(0).shape, &table = c.in(1).shape;
  bool one = table == Shape{Dim(256)};
  bool many = along >= 0 && along < int64_t(x.size()) && table == Shape{x[size_t(along)], Dim(256)};
  if (!one && !many)
    return badInput("the table is " + textOf(c.in(1)) + ", expected 256 entries, or as many for each index " +
                    "along dimension " + std::to_string(along) + " of " + textOf(c.in(0)));
  return oneOutput({c.in(1).dtype, x, {}, {}});
}
Compute computeLookup(const OpView &v) {
  return mapped(v, "lookup", [&](const Exprs &at) {
    Exprs entry{cast(DType::i64, load(v.in[0], at))};
    if (v.inTypes[1].rank() > 1) entry.insert(entry.begin(), at[size_t(v.attrs.as<AxisAttrs>().axis)]);
    return load(v.in[1], entry);
  });
}

Types inferPiecewise(InferContext &c) {
  constexpr int64_t kMostFirst = 1 << 20; // what the rounding of x * perUnit leaves room for
  const PiecewiseAttrs &a = c.attrs().as<PiecewiseAttrs>();
  PLANISH_TRY(wantOperands(c, 3, 4));
  for (int i = 0; i < (c.has(3) ? 4 : 3); ++i) PLANISH_TRY(wantType(c, i, bit(DType::f32)));
  for (int i = 1; i < (c.has(3) ? 4 : 3); ++i)
    if (c.in(i).shape != Shape{Dim(kPieces)})
      return badInput("operand " + std::to_string(i) + " is " + textOf(c.in(i)) + ", expected f32[" +
                      std::to_string(kPieces) + "]: a coefficient of each piece");
  if (!(a.perUnit > 0) || std::isinf(a.perUnit) || std::abs(a.first) > kMostFirst)
    return badInput("per_unit must be positive, and first at most " + std::to_string(kMostFirst) +
                    " from zero");
  return oneOutput({DType::f32, c.in(0).shape, {}, {}});
}
/// offset + (slope + square * x) * x, by the piece that x lies in.
Compute computePiecewise(const OpView &v) {
  const PiecewiseAttrs &a = v.attrs.as<PiecewiseAttrs>();
  return mapped(v, "piecewise", [&](const Exprs &at) {
    Type i32{DType::i32};
    Expr x = load(v.in[0], at);
    // The order of such floats' bits is that of the numbers, so that what is far outside is clamped rightly.
    Expr nearest = loop::call(Intrinsic::Fma, {x, loop::fimm(a.perUnit), loop::fimm(loop::kRounder)});
    Expr bits = loop::call(Intrinsic::Bits, {nearest}), least = imm(loop::kRounderBits + a.first, i32);
    Expr piece = min(max(bits, least), imm(loop::kRounderBits + a.first + kPieces - 1, i32)) - least;
    auto coefficient = [&](size_t i) { return load(v.in[i], {cast(DType::i64, piece)}); };
    Expr slope = coefficient(2);
    if (v.in.size() > 3 && v.in[3]) slope = coefficient(3) * x + slope;
    return slope * x + coefficient(1);
  });
}

} // namespace

const OpDef kQuantize = {.name = "quantize",
                         .summary = "codes of real numbers: x / scale to the nearest (ties to even), plus "
                                    "zero, saturated; zero's type is the result's",
                         .operands = "x, scale, zero",
                         .cls = OpClass::Elementwise,
                         .layout =
                             LayoutRule::ChannelsLast, // what reads codes sums them four channels at a time
                         .infer = inferQuantize,
                         .compute = computeQuantize,
                         .coding = graph::Coding::Encodes};
const OpDef kDequantize = {.name = "dequantize",
                           .summary = "the real numbers of codes: (x - zero) * scale",
                           .operands = "x, scale, zero?",
                           .cls = OpClass::Elementwise,
                           .infer = inferDequantize,
                           .compute = computeDequantize,
                           .coding = graph::Coding::Decodes};
const OpDef kRequantize = {
    .name = "requantize",
    .summary = "u8 codes of a 32-bit sum, or of real numbers: x * scale, or x, to the nearest "
               "(one rounding of a sum's), plus zero, within least and most",
    .operands = "x, scale?",
    .cls = OpClass::Elementwise,
    .prototype = RequantizeAttrs{},
    .infer = inferRequantize,
    .compute = computeRequantize};
const OpDef kLookup = {.name = "lookup",
                       .summary =
                           "table[x]: any function of one u8 code; a table for each index along an axis: "
                           "table[i, x]",
                       .operands = "x, table",
                       .cls = OpClass::Elementwise,
                       .prototype = AxisAttrs{},
                       .infer = inferLookup,
                       .compute = computeLookup};
const OpDef kPiecewise = {.name = "piecewise",
                          .summary = "a function of one number by lines or parabolas over equal pieces: "
                                     "offset[i] + (slope[i] + square[i] * x) * x",
                          .operands = "x, offset, slope, square?",
                          .cls = OpClass::Elementwise,
                          .prototype = PiecewiseAttrs{},
                          .infer = inferPiecewise,
                          .compute = computePiecewise};

} // namespace planish::ops
