// Import of quantized operators. Whatever the dialect (Q/DQ pairs, QLinear*, *Integer), the graph gets
// quantize and dequantize around the operator on real numbers: one representation for the quantize pass.
#include "Quantization.h"

#include <algorithm>

namespace planish::ops {

namespace {

/// A parameter of blocks of `size` elements along `axis`, the last one perhaps cut, for each element of x.
ValueId ofEachElement(Importer &i, ValueId parameter, ValueId x, int axis, int64_t size) {
  const Shape wanted = i.type(x).shape;
  Shape blocks = i.type(parameter).shape, whole = wanted;
  const Dim &length = wanted[size_t(axis)];
  bool fits = length.isConstant() && size > 0 && size <= kMaxParameter;
  if (fits) whole[size_t(axis)] = Dim((length.constant() + size - 1) / size);
  if (!fits || blocks != whole) {
    i.fail("operand '" + i.graph()[parameter].name + "' is " + textOf(i.type(parameter)) +
           ", expected one number for each block of " + std::to_string(size) + " along axis " +
           std::to_string(axis) + " of " + textOf(i.type(x)));
    return parameter;
  }
  whole[size_t(axis)] = Dim(blocks[size_t(axis)].constant() * size);
  blocks.insert(blocks.begin() + axis + 1, Dim(1));
  ValueId column = reshaped(i, parameter, blocks);
  blocks[size_t(axis) + 1] = Dim(size);
  return firstOf(i, reshaped(i, broadcastTo(i, column, blocks), whole), axis, length);
}

/// A parameter as it broadcasts to x: a vector lies along `axis`. Constants stay constants.
ValueId aligned(Importer &i, ValueId parameter, ValueId x, int64_t axis, int64_t block = 0) {
  Shape shape = i.type(parameter).shape;
  if (block != 0 && !i.error()) {
    int along = i.axis(axis, i.type(x).rank());
    return i.error() ? parameter : ofEachElement(i, parameter, x, along, block);
  }
  if (shape.size() > 1)
    i.fail("operand '" + i.graph()[parameter].name + "' is " + textOf(i.type(parameter)) +
           ", which takes an attribute 'block_size'");
  if (i.error() || shape.empty()) return parameter;
  int rank = i.type(x).rank();
  bool single = shape[0].isConstant() && shape[0].constant() == 1;
  if (single) shape.clear();
  else shape.resize(size_t(rank - i.axis(axis, rank)), Dim(1));
  if (i.error() || shape == i.type(parameter).shape) return parameter;
  if (const graph::Value &v = i.graph()[parameter]; v.isConstant())
    return i.graph().addConstant({v.type.dtype, shape, {}, {}}, v.data, v.name);
  return reshaped(i, parameter, shape);
}

/// Codes of 16 bits are numbers like others: they have no integer kernels.
bool isWide(DType codes) { return codes == DType::u16 || codes == DType::i16; }

ValueId quantized(Importer &i, ValueId x, ValueId scale, ValueId zero, int64_t axis, int64_t block = 0) {
  scale = aligned(i, scale, x, axis, block), zero = aligned(i, zero, x, axis, block);
  DType codes = i.type(zero).dtype;
  if (!isWide(codes)) return i.append(kQuantize, {}, {x, scale, zero});
  ValueId steps = apply(i, Unary::Round, apply(i, Binary::Div, x, scale));
  return convertedTo(i, apply(i, Binary::Add, steps, convertedTo(i, zero, DType::f32)), codes);
}
ValueId dequantized(Importer &i, ValueId x, ValueId scale, ValueId zero, int64_t axis, int64_t block = 0) {
  scale = aligned(i, scale, x, axis, block);
  if (zero != kAbsent) zero = aligned(i, zero, x, axis, block);
  if (isWide(i.type(x).dtype)) {
    ValueId steps = convertedTo(i, x, DType::i32);
    if (zero != kAbsent) steps = apply(i, Binary::Sub, steps, convertedTo(i, zero, DType::i32));
    return apply(i, Binary::Mul, convertedTo(i, steps, DType::f32), scale);
  }
  std::vector<ValueId> operands{x, scale};
  if (zero != kAbsent) operands.push_back(zero);
  return i.append(kDequantize, {}, operands);
}

constexpr int64_t kOnnxFloat = 1;
constexpr DTypes kCodes = bit(DType::u8) | bit(DType::i8) | bit(DType::u16) | bit(DType::i16);
bool isCode(std::optional<DType> type) { return type && (kCodes & bit(*type)); }

std::vector<ValueId> importQuantize(Importer &i) {
  ValueId x = i.in(0), scale = i.in(1);
  if (int64_t p = i.intAttr("precision", 0); p != 0 && p != kOnnxFloat)
    i.notSupported("attribute 'precision' is " + std::to_string(p));
  int64_t type = i.intAttr("output_dtype", 0);
  DType codes = computedType(type).value_or(DType::u8);
  if (type != 0 && !isCode(computedType(type)))
    i.notSupported("attribute 'output_dtype' is " + std::to_string(type) +
                   "; u8, i8, u16 and i16 are supported");
  if (i.error()) return one(x);
  int64_t axis = i.intAttr("axis", 1), block = i.intAttr("block_size", 0);
  ValueId zero = i.has(2) ? i.in(2) : i.scalar(codes, 0);
  if (DType t = i.type(zero).dtype; !isCode(t))
    i.notSupported("the zero point is " + std::string(nameOf(t)) + "; u8, i8, u16 and i16 are supported");
  if (!i.has(2) && block) zero = broadcastTo(i, zero, i.type(scale).shape);
  return one(i.error() ? x : quantized(i, convertedTo(i, x, DType::f32), scale, zero, axis, block));
}

std::vector<ValueId> importDequantize(Importer &i) {
  ValueId x = i.in(0), scale = i.in(1);
  if (i.error()) return one(x);
  return one(dequantized(i, x, scale, i.has(2) ? i.in(2) : kAbsent, i.intAttr("axis", 1),
                         i.intAttr("block_size", 0)));
}

/// y, its scale and its zero point, from the range of x with 0 in it.
std::vector<ValueId> importDynamicQuantize(Importer &i) {
  ValueId x = i.in(0);
  if (i.error()) return {x, x, x};
  Ints all;
  for (int d = 0; d < i.type(x).rank(); ++d) all.push_back(d);
  ValueId least = apply(i, Binary::Min, apply(i, Reduce::Min, x, all, false), 0);
  ValueId most = apply(i, Binary::Max, apply(i, Reduce::Max, x, all, false), 0);
  ValueId range = apply(i, Binary::Sub, most, least);
  // A range of nothing but 0 has any scale.
  ValueId scale = i.append(
      kWhere, {},
      {apply(i, Binary::Equal, range, 0), i.scalar(DType::f32, 1), apply(i, Binary::Div, range, 255)});
  ValueId zero = apply(i, Binary::Div, apply(i, Unary::Neg, least), scale);
  zero = convertedTo(i, apply(i, Unary::Round, apply(i, Unary::Clip, zero, 0, 255)), DType::u8);
  return {quantized(i, x, scale, zero, 0), scale, zero};
}

// ---- integer products ----------------------------------------------------------------------------

/// Operand `input` as i32, less its zero point (operand `zero`), which is a vector along `axis`.
ValueId centred(Importer &i, int input, int zero, int64_t axis) {
  ValueId x = convertedTo(i, i.in(input), DType::i32);
  if (!i.has(zero)) return x;
  return apply(i, Binary::Sub, x, aligned(i, convertedTo(i, i.in(zero), DType::i32), x, axis));
}

/// The node as another operator of the standard domain on other operands.
std::vector<ValueId> importedAs(Importer &i, std::string opType, std::vector<ValueId> operands) {
  graph::OnnxNode node = i.node();
  node.opType = std::move(opType);
  node.domain.clear();
  node.version = 13;
  node.inputs = std::move(operands);
  const OnnxRule *rule = ruleFor("", node.opType, node.version);
  PLANISH_CHECK(rule, "no rule for " + node.opType);
  Importer inner(i.graph(), node);
  auto results = rule->import(inner);
  if (inner.error()) i.fail(*inner.error());
  return results;
}

std::vector<ValueId> importConvInteger(Importer &i) {
  ValueId x = centred(i, 0, 2, 1), w = centred(i, 1, 3, 0);
  return i.error() ? one(x) : importedAs(i, "Conv", {x, w});
}
/// Zero points lie along the rows of a and the columns of b.
std::vector<ValueId> importMatMulInteger(Importer &i) {
  ValueId a = centred(i, 0, 2, -2), b = centred(i, 1, 3, -1);
  return i.error() ? one(a) : importedAs(i, "MatMul", {a, b});
}

// ---- QLinear operators ---------------------------------------------------------------------------

/// How the operands of a QLinear operator lie: `inputs` triples (x, scale, zero), then the scale and zero
/// of the result, then one of 32 bits in the product of the scales (a bias). Vectors of scales lie along
/// an axis of each operand.
struct QLinearRow {
  std::string_view op;  // on real numbers
  int inputs;
  bool bias = false;
  int64_t axes[2] = {0, 0};
};
constexpr QLinearRow kConvRow{"Conv", 2, true, {1, 0}}, kMatmulRow{"MatMul", 2, false, {-2, -1}},
    kAddRow{"Add", 2}, kMulRow{"Mul", 2}, kAverageRow{"AveragePool", 1},
    kGlobalAverageRow{"GlobalAveragePool", 1}, kSigmoidRow{"Sigmoid", 1}, kLeakyReluRow{"LeakyRelu", 1},
    kSoftmaxRow{"Softmax", 1};

ValueId optional(Importer &i, int input) { return i.has(input) ? i.in(input) : kAbsent; }
/// The zero point of a result; u8 and 0 where it is not given.
ValueId resultZero(Importer &i, int input) { return i.has(input) ? i.in(input) : i.scalar(DType::u8, 0); }

template <const QLinearRow &R> std::vector<ValueId> importQLinear(Importer &i) {
  if (i.intAttr("channels_last", 0)) i.notSupported("attribute 'channels_last'");
  std::vector<ValueId> operands;
  for (int k = 0; k < R.inputs; ++k) {
    ValueId x = i.in(3 * k), scale = i.in(3 * k + 1);
    if (i.error()) return one(x);
    operands.push_back(dequantized(i, x, scale, optional(i, 3 * k + 2), R.axes[k]));
  }
  int result = 3 * R.inputs;
  if (R.bias && i.has(result + 2)) {
    ValueId bias = i.in(result + 2);
    if (i.error()) return one(bias);
    ValueId scale = apply(i, Binary::Mul, aligned(i, i.in(1), bias, 0), aligned(i, i.in(4), bias, 0));
    operands.push_back(i.append(kDequantize, {}, {bias, scale}));
  }
  ValueId y = i.error() ? operands[0] : importedAs(i, std::string(R.op), operands)[0];
  return one(i.error() ? y : quantized(i, y, i.in(result), resultZero(i, result + 1), 0));
}

/// The node of its own attributes as Gemm; b's vectors lie along its columns. Without a scale of the result
/// that is real numbers.
std::vector<ValueId> importQGemm(Importer &i) {
  ValueId a = i.in(0), b = i.in(3);
  if (i.error()) return one(a);
  std::vector<ValueId> operands{dequantized(i, a, i.in(1), optional(i, 2), 0),
                                dequantized(i, b, i.in(4), optional(i, 5), i.intAttr("transB", 0) ? 0 : 1)};
  if (i.has(6)) {
    ValueId scale = apply(i, Binary::Mul, i.in(1), aligned(i, i.in(4), i.in(6), -1));
    if (double alpha = i.floatAttr("alpha", 1); alpha != 1) scale = apply(i, Binary::Mul, scale, alpha);
    operands.push_back(i.append(kDequantize, {}, {i.in(6), scale}));
  }
  ValueId y = i.error() ? a : importedAs(i, "Gemm", operands)[0];
  return one(i.error() || !i.has(7) ? y : quantized(i, y, i.in(7), resultZero(i, 8), 0));
}

/// condition, two triples, then the scale and zero point of the result.
std::vector<ValueId> importQLinearWhere(Importer &i) {
  ValueId chosen = i.in(0), x = i.in(1), y = i.in(4);
  if (i.error()) return one(x);
  std::vector<ValueId> operands{chosen, dequantized(i, x, i.in(2), optional(i, 3), 0),
                                dequantized(i, y, i.in(5), optional(i, 6), 0)};
  ValueId r = i.error() ? x : importedAs(i, "Where", operands)[0];
  return one(i.error() ? r : quantized(i, r, i.in(7), resultZero(i, 8), 0));
}

/// The result's scale and zero come first, then a triple for each part.
std::vector<ValueId> importQLinearConcat(Importer &i) {
  std::vector<ValueId> parts;
  for (int k = 2; k + 1 < int(i.node().inputs.size()); k += 3) {
    ValueId x = i.in(k), scale = i.in(k + 1);
    if (i.error()) return one(x);
    parts.push_back(dequantized(i, x, scale, optional(i, k + 2), 0));
  }
  if (parts.empty()) i.fail("misses operand 2");
  ValueId y = i.error() ? i.in(0) : importedAs(i, "Concat", parts)[0];
  return one(i.error() ? y : quantized(i, y, i.in(0), resultZero(i, 1), 0));
}

constexpr std::string_view kMicrosoft = "com.microsoft";

} // namespace

Family quantizationFamily() {
  return {{&kQuantize, &kDequantize, &kRequantize, &kLookup, &kPiecewise},
          {{"QuantizeLinear", 10, importQuantize},
           {"QuantizeLinear", 1, importQuantize, kMicrosoft},
           {"DequantizeLinear", 10, importDequantize},
           {"DequantizeLinear", 1, importDequantize, kMicrosoft},
           {"DynamicQuantizeLinear", 11, importDynamicQuantize},
           {"ConvInteger", 10, importConvInteger},
           {"MatMulInteger", 10, importMatMulInteger},
           {"QLinearConv", 10, importQLinear<kConvRow>},
           {"QLinearMatMul", 10, importQLinear<kMatmulRow>},
           {"QLinearAdd", 1, importQLinear<kAddRow>, kMicrosoft},
           {"QLinearMul", 1, importQLinear<kMulRow>, kMicrosoft},
           {"QLinearAveragePool", 1, importQLinear<kAverageRow>, kMicrosoft},
           {"QLinearGlobalAveragePool", 1, importQLinear<kGlobalAverageRow>, kMicrosoft},
           {"QLinearSigmoid", 1, importQLinear<kSigmoidRow>, kMicrosoft},
           {"QLinearLeakyRelu", 1, importQLinear<kLeakyReluRow>, kMicrosoft},
           {"QLinearSoftmax", 1, importQLinear<kSoftmaxRow>, kMicrosoft},
           {"QLinearConcat", 1, importQLinearConcat, kMicrosoft},
           {"QLinearWhere", 1, importQLinearWhere, kMicrosoft},
           {"QGemm", 1, importQGemm, kMicrosoft}}};
}

} // namespace planish::ops
