// Import of elementwise ONNX operators; select, conversions and copies.
#include "Rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace planish::ops {

using graph::broadcastIndices;

// ---- rows ----------------------------------------------------------------------------------------

static Types inferWhere(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 3, 3));
  PLANISH_TRY(wantType(c, 0, kBools));
  PLANISH_TRY(wantSameType(c, 1, 2));
  PLANISH_ASSIGN(Shape shape, broadcastOperands(c, 0, 3));
  return oneOutput({c.in(1).dtype, std::move(shape), {}, {}});
}
static Compute computeWhere(const OpView &v) {
  return mapped(v, "where", [&](const Exprs &at) {
    auto operand = [&](int i) { return load(v.in[size_t(i)], broadcastIndices(v, i, at)); };
    return select(operand(0), operand(1), operand(2));
  });
}
const OpDef kWhere = {.name = "where",
                      .summary = "condition ? a : b",
                      .operands = "condition, a, b",
                      .cls = OpClass::Elementwise,
                      .infer = inferWhere,
                      .compute = computeWhere};

static Expr k32(int64_t v) { return imm(v, Type{DType::u32}); }
static Expr up(const Expr &e, int64_t by) { return binary(BinaryOp::Shl, e, imm(by, e->type)); }
static Expr down(const Expr &e, int64_t by) { return binary(BinaryOp::Shr, e, imm(by, e->type)); }
static Expr mask(const Expr &e, int64_t bits) { return binary(BinaryOp::And, e, imm(bits, e->type)); }

/// An f32 by the sign bit and the other bits of it, given as u32.
static Expr floatOf(const Expr &sign, const Expr &magnitude) {
  return loop::call(Intrinsic::FromBits, {cast(DType::i32, binary(BinaryOp::Or, sign, magnitude))});
}

/// The f32 of the bits of a shorter float.
static Expr floatOfBits(DType from, const Expr &bits) {
  Expr wide = cast(DType::u32, bits);
  if (from == DType::bf16) return floatOf(k32(0), up(wide, 16));
  Expr sign = up(mask(wide, 0x8000), 16), rest = mask(wide, 0x7fff);
  Expr small = cast(DType::f32, cast(DType::i32, rest)) * loop::fimm(0x1p-24);
  Expr exponent = select(lessThan(rest, k32(0x7c00)), k32(112 << 23), k32(224 << 23));
  return floatOf(sign,
                 select(lessThan(rest, k32(0x400)), cast(DType::u32, loop::call(Intrinsic::Bits, {small})),
                        up(rest, 13) + exponent));
}

/// The way back.
static Expr bitsOfFloat(DType to, const Expr &x) {
  Expr bits = cast(DType::u32, loop::call(Intrinsic::Bits, {x}));
  Expr sign = mask(bits, 0x80000000), rest = mask(bits, 0x7fffffff);
  Expr isNan = lessThan(k32(0x7f800000), rest);
  if (to == DType::bf16) {
    Expr nearest = down(bits + k32(0x7fff) + mask(down(bits, 16), 1), 16);
    return cast(DType::u16, select(isNan, binary(BinaryOp::Or, down(bits, 16), k32(0x40)), nearest));
  }
  Expr nearest = down(rest + k32(0xfff) + mask(down(rest, 13), 1), 13) - k32(112 << 10);
  // The last bit of a number from 0.5 to 1 is that of a subnormal half.
  Expr moved = loop::call(Intrinsic::FromBits, {cast(DType::i32, rest)}) + loop::fimm(0.5);
  Expr small = cast(DType::u32, loop::call(Intrinsic::Bits, {moved})) - k32(0x3f000000);
  Expr number = select(lessThan(rest, k32(0x38800000)), small, min(nearest, k32(0x7c00)));
  Expr nan = binary(BinaryOp::Or, k32(0x7e00), mask(down(rest, 13), 0x3ff));
  return cast(DType::u16, binary(BinaryOp::Or, down(sign, 16), select(isNan, nan, number)));
}

static Types inferCast(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 1, 1));
  return oneOutput({c.attrs().as<CastAttrs>().to, c.in(0).shape, {}, {}});
}
static Compute computeCast(const OpView &v) {
  DType from = v.inTypes[0].dtype, to = v.outType.dtype;
  return mapped(v, "cast", [&](const Exprs &at) {
    Expr x = load(v.in[0], at);
    if (from == to) return x;
    if (!isComputed(from)) x = floatOfBits(from, x);
    return isComputed(to) ? converted(to, x) : bitsOfFloat(to, converted(DType::f32, x));
  });
}
const OpDef kCast = {.name = "cast",
                     .summary = "another element type; floats truncate and saturate, booleans mean not zero",
                     .operands = "x",
                     .cls = OpClass::Elementwise,
                     .prototype = CastAttrs{},
                     .infer = inferCast,
                     .compute = computeCast};

static Types inferBitCast(InferContext &c) {
  DType from = c.in(0).dtype, to = c.attrs().as<CastAttrs>().to;
  auto hasBits = [](DType t) { return isComputed(t) && t != DType::f64; };
  bool fits = byteSize(from) == byteSize(to) && hasBits(from) && hasBits(to) && to != DType::b1;
  if (!fits) return badInput("cannot take the bits of " + textOf(c.in(0)) + " as " + std::string(nameOf(to)));
  return oneOutput({to, c.in(0).shape, {}, {}});
}
static Compute computeBitCast(const OpView &v) {
  return mapped(v, "bit_cast", [&](const Exprs &at) {
    Expr x = load(v.in[0], at);
    DType from = x->type.dtype, to = v.outType.dtype;
    if (isFloat(from)) x = isFloat(to) ? x : loop::call(Intrinsic::Bits, {x});
    else if (isFloat(to)) return loop::call(Intrinsic::FromBits, {cast(DType::i32, x)});
    return cast(to, x);
  });
}
const OpDef kBitCast = {.name = "bit_cast",
                        .summary = "the same bits as another element type of the same size",
                        .operands = "x",
                        .cls = OpClass::Elementwise,
                        .prototype = CastAttrs{},
                        .infer = inferBitCast,
                        .compute = computeBitCast};

static Types inferCopy(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 1, 1));
  return oneOutput({c.in(0).dtype, c.in(0).shape, {}, {}});
}
static Compute computeCopy(const OpView &v) {
  return mapped(v, "copy", [&](const Exprs &at) { return load(v.in[0], at); });
}
static std::optional<View> copyView(const OpView &, const View &input) { return input; }
static std::optional<View> copySourceView(const OpView &, int, const View &output) { return output; }
const OpDef kCopy = {.name = "copy",
                     .summary = "the same elements, perhaps lying in another order",
                     .operands = "x",
                     .cls = OpClass::Movement,
                     .infer = inferCopy,
                     .compute = computeCopy,
                     .outputView = copyView,
                     .inputView = copySourceView};

// ---- appending -----------------------------------------------------------------------------------

ValueId apply(Importer &i, Unary fn, ValueId x) { return i.append(row(fn), {}, {x}); }
ValueId apply(Importer &i, Unary fn, ValueId x, double alpha, double beta) {
  return i.append(row(fn), UnaryAttrs{alpha, beta}, {x});
}
ValueId apply(Importer &i, Binary fn, ValueId a, ValueId b) { return i.append(row(fn), {}, {a, b}); }
ValueId apply(Importer &i, Binary fn, ValueId a, double b) { return apply(i, fn, a, scalarLike(i, a, b)); }

// ---- import rules --------------------------------------------------------------------------------

template <Unary F> static std::vector<ValueId> importUnary(Importer &i) { return one(apply(i, F, i.in(0))); }

/// The functions with parameters: which ONNX attributes they are, with their defaults.
struct ParameterRow {
  Unary fn;
  std::string_view alphaName;
  double alpha;
  std::string_view betaName;
  double beta;
};
constexpr ParameterRow kLeakyRelu{Unary::LeakyRelu, "alpha", 0.01, "", 0};
constexpr ParameterRow kElu{Unary::Elu, "alpha", 1, "", 0};
constexpr ParameterRow kSelu1{Unary::Selu, "alpha", 1.6732, "gamma", 1.0507};
constexpr ParameterRow kSelu6{Unary::Selu, "alpha", 1.67326319217681884765625, "gamma",
                              1.05070102214813232421875};
constexpr ParameterRow kCelu{Unary::Celu, "alpha", 1, "", 0};
constexpr ParameterRow kThresholdedRelu{Unary::ThresholdedRelu, "alpha", 1, "", 0};
constexpr ParameterRow kHardSigmoid{Unary::HardSigmoid, "alpha", 0.2, "beta", 0.5};
constexpr ParameterRow kSwish{Unary::Swish, "alpha", 1, "", 0};
constexpr ParameterRow kShrink{Unary::Shrink, "lambd", 0.5, "bias", 0};

template <const ParameterRow &R> static std::vector<ValueId> importParametric(Importer &i) {
  double alpha = i.floatAttr(R.alphaName, R.alpha);
  double beta = R.betaName.empty() ? 0 : i.floatAttr(R.betaName, R.beta);
  ValueId x = i.in(0);
  DType type = i.type(x).dtype;
  return one(convertedTo(i, apply(i, R.fn, convertedTo(i, x, DType::f32), alpha, beta), type));
}

static std::vector<ValueId> importIsInf(Importer &i) {
  double negative = double(i.intAttr("detect_negative", 1) != 0);
  return one(apply(i, Unary::IsInf, i.in(0), negative, double(i.intAttr("detect_positive", 1) != 0)));
}

template <Binary F, bool Swapped = false> static std::vector<ValueId> importBinary(Importer &i) {
  ValueId a = i.in(0), b = i.in(1);
  return one(Swapped ? apply(i, F, b, a) : apply(i, F, a, b));
}

/// Before opset 7 the second operand was placed at an axis, and only where `broadcast` said so.
template <Binary F, bool Swapped = false> static std::vector<ValueId> importBinaryAtAxis(Importer &i) {
  ValueId a = i.in(0), b = i.in(1);
  Shape shape = i.type(b).shape;
  int rank = i.type(a).rank(), inner = i.type(b).rank();
  if (i.intAttr("broadcast", 0) && i.hasAttr("axis") && inner <= rank) {
    int axis = i.axis(i.intAttr("axis", 0), rank + 1);
    if (axis + inner > rank)
      i.fail("axis " + std::to_string(axis) + " leaves no room for operand 1, " + textOf(shape));
    else shape.insert(shape.end(), size_t(rank - axis - inner), Dim(1));
    b = reshaped(i, b, shape);
  }
  return one(Swapped ? apply(i, F, b, a) : apply(i, F, a, b));
}

static std::vector<ValueId> importMod(Importer &i) {
  ValueId a = i.in(0), b = i.in(1);
  return one(apply(i, i.intAttr("fmod", 0) ? Binary::Fmod : Binary::Mod, a, b));
}

/// Powers that are cheaper and more exact than exp(b ln a).
static std::optional<ValueId> constantPower(Importer &i, ValueId a, double exponent) {
  if (exponent == 1) return a;
  if (exponent == 2) return apply(i, Binary::Mul, a, a);
  if (exponent == 3) return apply(i, Binary::Mul, apply(i, Binary::Mul, a, a), a);
  if (!isFloat(i.type(a).dtype)) return std::nullopt;
  if (exponent == 0.5) return apply(i, Unary::Sqrt, a);
  if (exponent == -1) return apply(i, Unary::Reciprocal, a);
  if (exponent == -0.5) return apply(i, Unary::Reciprocal, apply(i, Unary::Sqrt, a));
  return std::nullopt;
}

static std::vector<ValueId> importPow(Importer &i) {
  ValueId a = i.in(0), b = i.in(1);
  if (auto exponent = constantScalar(i, b); exponent && i.type(b).rank() <= i.type(a).rank())
    if (auto r = constantPower(i, a, *exponent)) return one(*r);
  DType type = i.type(a).dtype;
  ValueId r = apply(i, Binary::Pow, convertedTo(i, a, DType::f32), convertedTo(i, b, DType::f32));
  return one(isFloat(type) ? r : convertedTo(i, apply(i, Unary::Round, r), type));
}

template <Binary F> static std::vector<ValueId> importVariadic(Importer &i) {
  ValueId r = i.in(0);
  for (int k = 1; k < int(i.node().inputs.size()); ++k) r = apply(i, F, r, i.in(k));
  return one(r);
}
static std::vector<ValueId> importMean(Importer &i) {
  ValueId sum = importVariadic<Binary::Add>(i)[0];
  return one(apply(i, Binary::Mul, sum, 1.0 / double(i.node().inputs.size())));
}

/// Lowest and highest value of a type, as bounds that clip nothing.
static std::pair<double, double> limitsOf(DType t) {
  switch (t) {
  case DType::u8: return {0, 255};
  case DType::i8: return {-128, 127};
  case DType::i32: return {INT32_MIN, INT32_MAX};
  case DType::u16: return {0, UINT16_MAX};
  case DType::i16: return {INT16_MIN, INT16_MAX};
  case DType::u32: return {0, UINT32_MAX};
  case DType::u64: return {0, 18446744073709549568.0};
  case DType::i64: return {double(INT64_MIN), 9223372036854774784.0};
  default: return {-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  }
}
static ValueId clipped(Importer &i, ValueId x, double lo, double hi) {
  auto [least, most] = limitsOf(i.type(x).dtype);
  if (lo <= least && hi >= most) return x;
  if (lo == 0 && hi >= most) return apply(i, Unary::Relu, x);
  return apply(i, Unary::Clip, x, std::max(lo, least), std::min(hi, most));
}
static std::vector<ValueId> importClipAttributes(Importer &i) {
  double lo = i.floatAttr("min", std::numeric_limits<float>::lowest());
  double hi = i.floatAttr("max", std::numeric_limits<float>::max());
  double inf = std::numeric_limits<double>::infinity();
  return one(clipped(i, i.in(0), lo == std::numeric_limits<float>::lowest() ? -inf : lo,
                     hi == std::numeric_limits<float>::max() ? inf : hi));
}
static std::vector<ValueId> importClip(Importer &i) {
  ValueId x = i.in(0);
  auto [lo, hi] = limitsOf(i.type(x).dtype);
  auto low = i.has(1) ? constantScalar(i, i.in(1)) : lo, high = i.has(2) ? constantScalar(i, i.in(2)) : hi;
  if (low && high) return one(clipped(i, x, *low, *high));
  if (i.has(1)) x = apply(i, Binary::Max, x, i.in(1));
  if (i.has(2)) x = apply(i, Binary::Min, x, i.in(2));
  return one(x);
}

/// The slope broadcasts to x; Keras and PyTorch exports give it without the leading dimensions.
static std::vector<ValueId> importPRelu(Importer &i) {
  ValueId x = i.in(0), slope = i.in(1);
  const Shape &s = i.type(slope).shape;
  int rank = i.type(x).rank();
  if (i.node().version < 7 && s.size() == 1 && rank > 2) {
    Shape channels(size_t(rank - 1), Dim(1));
    channels[0] = s[0];
    slope = reshaped(i, slope, channels);
  }
  return one(apply(i, Binary::PRelu, x, slope));
}

static std::vector<ValueId> importGelu(Importer &i) {
  bool tanh = i.stringAttr("approximate", "none") == "tanh";
  return one(apply(i, tanh ? Unary::GeluTanh : Unary::Gelu, i.in(0)));
}
static std::vector<ValueId> importSwiGlu(Importer &i) {
  return one(apply(i, Binary::Mul, apply(i, Unary::Swish, i.in(0), i.floatAttr("alpha", 1), 0), i.in(1)));
}
static std::vector<ValueId> importWhere(Importer &i) {
  return one(i.append(kWhere, {}, {i.in(0), i.in(1), i.in(2)}));
}
static std::vector<ValueId> importIdentity(Importer &i) { return one(i.in(0)); }

/// Half and bfloat16 compute as f32.
std::optional<DType> computedType(int64_t onnxType) {
  switch (onnxType) {
  case 1:
  case 10:
  case 16: return DType::f32;
  case 11: return DType::f64;
  case 2: return DType::u8;
  case 3: return DType::i8;
  case 4: return DType::u16;
  case 5: return DType::i16;
  case 6: return DType::i32;
  case 7: return DType::i64;
  case 9: return DType::b1;
  case 12: return DType::u32;
  case 13: return DType::u64;
  default: return std::nullopt;
  }
}
/// `x` as what it is once the type `stored` has held it: what f16 or bf16 cannot hold is rounded away.
static ValueId roundedTo(Importer &i, ValueId x, DType stored) {
  if (i.error()) return x;
  x = convertedTo(i, x, DType::f32);
  return convertedTo(i, convertedTo(i, x, stored), DType::f32);
}
static std::vector<ValueId> importCast(Importer &i) {
  int64_t type = i.intAttr("to", 0);
  auto to = computedType(type);
  if (!to) i.notSupported("cannot cast to ONNX element type " + std::to_string(type));
  ValueId x = i.in(0);
  DType stored = type == 10 ? DType::f16 : type == 16 ? DType::bf16 : DType::f32;
  bool rounds = stored != DType::f32 && stored != i.stored(0);
  i.storeAs(stored);
  if (rounds) return one(roundedTo(i, x, stored));
  return one(convertedTo(i, x, to.value_or(DType::f32)));
}
static std::vector<ValueId> importBitCast(Importer &i) {
  int64_t type = i.intAttr("to", 0);
  auto to = computedType(type);
  DType from = i.type(i.in(0)).dtype;
  // Half values are no longer the bits that the file means.
  if (!to || type == 10 || type == 16 || from == DType::f64 || to == DType::f64 ||
      byteSize(from) != byteSize(*to) || to == DType::b1)
    i.notSupported("cannot take the bits of " + std::string(nameOf(from)) + " as ONNX element type " +
                   std::to_string(type));
  return one(i.append(kBitCast, CastAttrs{to.value_or(DType::i32)}, {i.in(0)}));
}
static std::vector<ValueId> importBitShift(Importer &i) {
  std::string direction = i.stringAttr("direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    i.fail("attribute 'direction' is '" + direction + "', expected LEFT or RIGHT");
  return one(apply(i, direction == "LEFT" ? Binary::ShiftLeft : Binary::ShiftRight, i.in(0), i.in(1)));
}
static std::vector<ValueId> importBitwiseNot(Importer &i) {
  ValueId x = i.in(0);
  bool isSigned = !isUnsigned(i.type(x).dtype);
  double ones = isSigned ? -1 : std::ldexp(1.0, 8 * byteSize(i.type(x).dtype)) - 1;
  if (i.type(x).dtype == DType::u64)
    return one(
        apply(i, Binary::Sub, i.graph().addConstant(DType::u64, {}, std::vector<uint64_t>{UINT64_MAX}), x));
  return one(apply(i, Binary::BitXor, x, ones));
}
static std::vector<ValueId> importCastLike(Importer &i) {
  ValueId x = i.in(0);
  DType stored = i.stored(1);
  i.storeAs(stored);
  if (stored != DType::f32 && stored != i.stored(0)) return one(roundedTo(i, x, stored));
  return one(convertedTo(i, x, i.type(i.in(1)).dtype));
}
/// In inference, or where nothing is dropped, a dropout is nothing, and its mask keeps everything.
static std::vector<ValueId> importDropout(Importer &i) {
  bool dropsNothing = i.has(1) && constantScalar(i, i.in(1)) == 0.0;
  if (i.has(2) && !dropsNothing && constantScalar(i, i.in(2)) != 0.0) i.notSupported("training mode");
  ValueId x = i.in(0);
  std::vector<ValueId> r{x};
  if (i.node().outputs > 1) r.push_back(broadcastTo(i, i.scalar(DType::b1, 1), i.type(x).shape));
  return r;
}

/// Names that map to a row of the unary table one to one.
#define PLANISH_RULE(onnx) {#onnx, 1, importUnary<Unary::onnx>}
#define PLANISH_RULE_OF_DOUBLES(onnx) {#onnx, 1, importUnary<Unary::onnx>, "", true}

Family elementwiseFamily() {
  Family f;
  for (int u = 0; u < int(Unary::kCount); ++u) f.ops.push_back(&row(Unary(u)));
  for (int b = 0; b < int(Binary::kCount); ++b) f.ops.push_back(&row(Binary(b)));
  f.ops.insert(f.ops.end(), {&kWhere, &kCast, &kBitCast, &kCopy});
  f.rules = {
      PLANISH_RULE_OF_DOUBLES(Relu),
      PLANISH_RULE_OF_DOUBLES(Neg),
      PLANISH_RULE_OF_DOUBLES(Abs),
      PLANISH_RULE(Sign),
      PLANISH_RULE(Exp),
      PLANISH_RULE(Log),
      PLANISH_RULE_OF_DOUBLES(Sqrt),
      PLANISH_RULE(Reciprocal),
      PLANISH_RULE(Tanh),
      PLANISH_RULE(Erf),
      PLANISH_RULE(Sin),
      PLANISH_RULE(Cos),
      PLANISH_RULE(Tan),
      PLANISH_RULE(Asin),
      PLANISH_RULE(Acos),
      PLANISH_RULE(Atan),
      PLANISH_RULE(Sinh),
      PLANISH_RULE(Cosh),
      PLANISH_RULE(Asinh),
      PLANISH_RULE(Acosh),
      PLANISH_RULE(Atanh),
      PLANISH_RULE_OF_DOUBLES(Floor),
      PLANISH_RULE_OF_DOUBLES(Ceil),
      PLANISH_RULE_OF_DOUBLES(Round),
      PLANISH_RULE(Sigmoid),
      PLANISH_RULE(Softplus),
      PLANISH_RULE(Softsign),
      PLANISH_RULE(HardSwish),
      PLANISH_RULE(Mish),
      PLANISH_RULE(Not),
      {"IsNaN", 9, importUnary<Unary::IsNan>},
      {"IsInf", 10, importIsInf},
      {"LeakyRelu", 1, importParametric<kLeakyRelu>},
      {"Elu", 1, importParametric<kElu>},
      {"Selu", 1, importParametric<kSelu1>},
      {"Selu", 6, importParametric<kSelu6>},
      {"Celu", 12, importParametric<kCelu>},
      {"ThresholdedRelu", 10, importParametric<kThresholdedRelu>},
      {"HardSigmoid", 1, importParametric<kHardSigmoid>},
      {"Swish", 24, importParametric<kSwish>},
      {"Shrink", 9, importParametric<kShrink>},
      {"Gelu", 20, importGelu},
      {"Gelu", 1, importGelu, "com.microsoft"},
      {"Add", 1, importBinaryAtAxis<Binary::Add>, "", true},
      {"Add", 7, importBinary<Binary::Add>, "", true},
      {"Sub", 1, importBinaryAtAxis<Binary::Sub>, "", true},
      {"Sub", 7, importBinary<Binary::Sub>, "", true},
      {"Mul", 1, importBinaryAtAxis<Binary::Mul>, "", true},
      {"Mul", 7, importBinary<Binary::Mul>, "", true},
      {"Div", 1, importBinaryAtAxis<Binary::Div>, "", true},
      {"Div", 7, importBinary<Binary::Div>, "", true},
      {"Pow", 1, importBinaryAtAxis<Binary::Pow>},
      {"Pow", 7, importPow},
      {"Mod", 10, importMod},
      {"Less", 1, importBinaryAtAxis<Binary::Less>},
      {"Less", 7, importBinary<Binary::Less>, "", true},
      {"LessOrEqual", 12, importBinary<Binary::LessOrEqual>, "", true},
      {"Greater", 1, importBinaryAtAxis<Binary::Less, true>},
      {"Greater", 7, importBinary<Binary::Less, true>, "", true},
      {"GreaterOrEqual", 12, importBinary<Binary::LessOrEqual, true>, "", true},
      {"Equal", 1, importBinaryAtAxis<Binary::Equal>},
      {"Equal", 7, importBinary<Binary::Equal>, "", true},
      {"And", 1, importBinaryAtAxis<Binary::And>},
      {"And", 7, importBinary<Binary::And>},
      {"Or", 1, importBinaryAtAxis<Binary::Or>},
      {"Or", 7, importBinary<Binary::Or>},
      {"Xor", 1, importBinaryAtAxis<Binary::Xor>},
      {"Xor", 7, importBinary<Binary::Xor>},
      {"Min", 1, importVariadic<Binary::Min>, "", true},
      {"Max", 1, importVariadic<Binary::Max>, "", true},
      {"Sum", 1, importVariadic<Binary::Add>, "", true},
      {"Mean", 1, importMean, "", true},
      {"Clip", 1, importClipAttributes},
      {"Clip", 11, importClip},
      {"PRelu", 1, importPRelu},
      {"SwiGLU", 28, importSwiGlu},
      {"Where", 9, importWhere, "", true},
      {"Identity", 1, importIdentity, "", true},
      {"Cast", 6, importCast, "", true},
      {"CastLike", 15, importCastLike},
      {"BitCast", 26, importBitCast, "", true},
      {"BitShift", 11, importBitShift},
      {"BitwiseAnd", 18, importBinary<Binary::BitAnd>},
      {"BitwiseOr", 18, importBinary<Binary::BitOr>},
      {"BitwiseXor", 18, importBinary<Binary::BitXor>},
      {"BitwiseNot", 18, importBitwiseNot},
      {"Dropout", 1, importDropout},
  };
  return f;
}

} // namespace planish::ops
