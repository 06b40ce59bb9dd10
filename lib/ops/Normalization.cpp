// Normalizations and softmax, composed from reductions and elementwise operators.
#include "Rows.h"

#include <algorithm>

namespace planish::ops {

namespace {

Ints range(int first, int last) {
  Ints r;
  for (int d = first; d < last; ++d) r.push_back(d);
  return r;
}

/// A vector over the channels (dimension 1) as [C, 1, 1 ...] for an operand of the given rank.
ValueId perChannel(Importer &i, ValueId v, int rank) {
  Shape shape = i.type(v).shape;
  if (shape.size() != 1) i.fail("a per-channel operand is " + textOf(i.type(v)) + ", expected rank 1");
  shape.resize(size_t(std::max(rank - 1, 1)), Dim(1));
  return i.error() ? v : reshaped(i, v, shape);
}

/// With the mean and variance of the batch; the running ones move towards those.
std::vector<ValueId> trainingBatchNormalization(Importer &i) {
  ValueId x = i.in(0);
  int rank = i.type(x).rank();
  Ints axes;
  for (int d = 0; d < rank; ++d)
    if (d != 1) axes.push_back(d);
  if (rank < 2) i.fail("operand 0 is " + textOf(i.type(x)) + ", expected a channel dimension");
  if (i.error()) return one(x);
  ValueId mean = apply(i, Reduce::Mean, x, axes), centred = apply(i, Binary::Sub, x, mean);
  ValueId variance = apply(i, Reduce::Mean, apply(i, Binary::Mul, centred, centred), axes);
  ValueId deviation = apply(i, Unary::Sqrt, apply(i, Binary::Add, variance, i.floatAttr("epsilon", 1e-5)));
  ValueId scaled =
      apply(i, Binary::Mul, apply(i, Binary::Div, centred, deviation), perChannel(i, i.in(1), rank));
  std::vector<ValueId> r{apply(i, Binary::Add, scaled, perChannel(i, i.in(2), rank))};
  double momentum = i.floatAttr("momentum", 0.9);
  auto running = [&](ValueId old, ValueId now) {
    ValueId flat = i.error() ? now : reshaped(i, now, {i.type(x).shape[1]});
    return apply(i, Binary::Add, apply(i, Binary::Mul, old, momentum),
                 apply(i, Binary::Mul, flat, 1 - momentum));
  };
  if (i.node().outputs > 1) r.push_back(running(i.in(3), mean));
  if (i.node().outputs > 2) r.push_back(running(i.in(4), variance));
  return r;
}

/// x*scale + shift with constants that fold into a preceding convolution.
std::vector<ValueId> importBatchNormalization(Importer &i) {
  ValueId x = i.in(0), scale = i.in(1), bias = i.in(2), mean = i.in(3), variance = i.in(4);
  if (i.intAttr("training_mode", 0)) return trainingBatchNormalization(i);
  if (i.node().version < 9 && !i.intAttr("spatial", 1)) i.notSupported("attribute 'spatial' of 0");
  int rank = i.type(x).rank();
  if (rank < 2) i.fail("operand 0 is " + textOf(i.type(x)) + ", expected a channel dimension");
  ValueId deviation = apply(i, Unary::Sqrt, apply(i, Binary::Add, variance, i.floatAttr("epsilon", 1e-5)));
  ValueId factor = apply(i, Binary::Div, scale, deviation);
  ValueId shift = apply(i, Binary::Sub, bias, apply(i, Binary::Mul, mean, factor));
  ValueId scaled = apply(i, Binary::Mul, x, perChannel(i, factor, rank));
  std::vector<ValueId> r(size_t(std::max(i.node().outputs, 1)), kAbsent);
  r[0] = apply(i, Binary::Add, scaled, perChannel(i, shift, rank));
  return r;
}

struct Normalized {
  ValueId value, mean, inverseDeviation;
};
/// (x - mean) / sqrt(variance + epsilon) along axes.
Normalized normalized(Importer &i, ValueId x, const Ints &axes, double epsilon) {
  ValueId mean = apply(i, Reduce::Mean, x, axes);
  ValueId centred = apply(i, Binary::Sub, x, mean);
  ValueId variance = apply(i, Reduce::Mean, apply(i, Binary::Mul, centred, centred), axes);
  ValueId deviation = apply(i, Unary::Sqrt, apply(i, Binary::Add, variance, epsilon));
  ValueId inverse = apply(i, Unary::Reciprocal, deviation);
  return {apply(i, Binary::Mul, centred, inverse), mean, inverse};
}

std::vector<ValueId> importInstanceNormalization(Importer &i) {
  ValueId x = i.in(0);
  int rank = i.type(x).rank();
  if (rank < 3) i.fail("operand 0 is " + textOf(i.type(x)) + ", expected spatial dimensions");
  ValueId y = normalized(i, x, range(2, rank), i.floatAttr("epsilon", 1e-5)).value;
  y = apply(i, Binary::Mul, y, perChannel(i, i.in(1), rank));
  return one(apply(i, Binary::Add, y, perChannel(i, i.in(2), rank)));
}

std::vector<ValueId> importLayerNormalization(Importer &i) {
  ValueId x = i.in(0);
  int rank = i.type(x).rank(), axis = i.axis(i.intAttr("axis", -1), rank);
  auto n = normalized(i, x, range(axis, rank), i.floatAttr("epsilon", 1e-5));
  ValueId y = apply(i, Binary::Mul, n.value, i.in(1));
  if (i.has(2)) y = apply(i, Binary::Add, y, i.in(2));
  std::vector<ValueId> r{y, n.mean, n.inverseDeviation};
  r.resize(size_t(std::clamp(i.node().outputs, 1, 3)));
  return r;
}

std::vector<ValueId> importRmsNormalization(Importer &i) {
  ValueId x = i.in(0);
  int rank = i.type(x).rank(), axis = i.axis(i.intAttr("axis", -1), rank);
  ValueId mean = apply(i, Reduce::Mean, apply(i, Binary::Mul, x, x), range(axis, rank));
  ValueId deviation = apply(i, Unary::Sqrt, apply(i, Binary::Add, mean, i.floatAttr("epsilon", 1e-5)));
  return one(apply(i, Binary::Mul, apply(i, Binary::Div, x, deviation), i.in(1)));
}

/// Channels in groups: normalized per group; scale and bias per group before version 21, then per channel.
std::vector<ValueId> importGroupNormalization(Importer &i) {
  ValueId x = i.in(0);
  Shape in = i.type(x).shape;
  int64_t groups = i.intAttr("num_groups", 0);
  if (in.size() < 3 || !in[1].isConstant() || groups < 1 || in[1].constant() % groups)
    i.fail("cannot divide " + textOf(i.type(x)) + " into " + std::to_string(groups) + " groups of channels");
  if (i.error()) return one(x);
  Dim inner = dimOf(i, product(in, 2, int(in.size())));
  ValueId grouped = reshaped(i, x, {in[0], Dim(groups), Dim(in[1].constant() / groups), inner});
  ValueId y = normalized(i, grouped, {2, 3}, i.floatAttr("epsilon", 1e-5)).value;
  bool perGroup = i.node().version < 21;
  if (!perGroup) y = reshaped(i, y, in);
  int rank = perGroup ? 4 : int(in.size());
  y = apply(i, Binary::Mul, y, perChannel(i, i.in(1), rank));
  y = apply(i, Binary::Add, y, perChannel(i, i.in(2), rank));
  return one(i.error() ? x : reshaped(i, y, in));
}

std::vector<ValueId> importMeanVarianceNormalization(Importer &i) {
  ValueId x = i.in(0);
  Ints axes = i.intsAttr("axes", {0, 2, 3});
  for (int64_t &a : axes) a = i.axis(a, i.type(x).rank());
  ValueId mean = apply(i, Reduce::Mean, x, axes);
  ValueId centred = apply(i, Binary::Sub, x, mean);
  ValueId deviation =
      apply(i, Unary::Sqrt, apply(i, Reduce::Mean, apply(i, Binary::Mul, centred, centred), axes));
  return one(apply(i, Binary::Div, centred, apply(i, Binary::Add, deviation, 1e-9)));
}

std::vector<ValueId> importLpNormalization(Importer &i) {
  ValueId x = i.in(0);
  int axis = i.axis(i.intAttr("axis", -1), i.type(x).rank());
  bool squares = i.intAttr("p", 2) == 2;
  ValueId sum =
      apply(i, Reduce::Sum, squares ? apply(i, Binary::Mul, x, x) : apply(i, Unary::Abs, x), {axis});
  ValueId norm = squares ? apply(i, Unary::Sqrt, sum) : sum;
  // A vector of zeros stays one.
  ValueId isZero = apply(i, Binary::Equal, norm, 0);
  return one(apply(i, Binary::Div, x, i.append(kWhere, {}, {isZero, scalarLike(i, x, 1), norm})));
}

/// x / (bias + alpha/size * sum of squares over neighbouring channels)^beta.
std::vector<ValueId> importLrn(Importer &i) {
  ValueId x = i.in(0);
  int64_t size = i.intAttr("size", 1);
  const Shape in = i.type(x).shape;
  if (in.size() < 2 || !in[1].isConstant())
    i.fail("operand 0 is " + textOf(i.type(x)) + ", expected constant channels");
  if (size < 1 || size > kMaxParameter) i.fail("attribute 'size' is " + std::to_string(size));
  if (i.error()) return one(x);
  // The sum is a 1-d convolution with ones along the channels, here over [N, 1, C, rest].
  Dim rest = dimOf(i, product(in, 2, int(in.size())));
  ValueId squares = reshaped(i, apply(i, Binary::Mul, x, x), {in[0], Dim(1), in[1], rest});
  ValueId ones = i.constant(DType::f32, {1, 1, size, 1}, std::vector<double>(size_t(size), 1.0));
  ConvAttrs a{{1, 1}, {1, 1}, {(size - 1) / 2, 0}, {size / 2, 0}, 1};
  ValueId sum = reshaped(i, i.append(kConv, a, {squares, ones}), in);
  ValueId base = apply(i, Binary::Add, apply(i, Binary::Mul, sum, i.floatAttr("alpha", 1e-4) / double(size)),
                       i.floatAttr("bias", 1));
  return one(apply(i, Binary::Div, x, apply(i, Binary::Pow, base, i.floatAttr("beta", 0.75))));
}

// ---- softmax -------------------------------------------------------------------------------------

ValueId softmaxAlong(Importer &i, ValueId x, const Ints &axes, bool log) {
  ValueId shifted = apply(i, Binary::Sub, x, apply(i, Reduce::Max, x, axes));
  ValueId powers = apply(i, Unary::Exp, shifted);
  ValueId sum = apply(i, Reduce::Sum, powers, axes);
  return log ? apply(i, Binary::Sub, shifted, apply(i, Unary::Log, sum))
             : apply(i, Binary::Mul, powers, apply(i, Unary::Reciprocal, sum));
}
/// Before version 13 all dimensions from the axis on were one.
template <bool Log> std::vector<ValueId> importSoftmax1(Importer &i) {
  ValueId x = i.in(0);
  int rank = i.type(x).rank(), axis = i.axis(i.intAttr("axis", 1), rank);
  return one(i.error() ? x : softmaxAlong(i, x, range(axis, rank), Log));
}
template <bool Log> std::vector<ValueId> importSoftmax(Importer &i) {
  ValueId x = i.in(0);
  int axis = i.axis(i.intAttr("axis", -1), i.type(x).rank());
  return one(i.error() ? x : softmaxAlong(i, x, {axis}, Log));
}

} // namespace

Family normalizationFamily() {
  return {{},
          {{"BatchNormalization", 1, importBatchNormalization},
           {"InstanceNormalization", 1, importInstanceNormalization},
           {"LayerNormalization", 17, importLayerNormalization},
           {"LayerNormalization", 1, importLayerNormalization, "com.microsoft"},
           {"RMSNormalization", 23, importRmsNormalization},
           {"GroupNormalization", 18, importGroupNormalization},
           {"MeanVarianceNormalization", 1, importMeanVarianceNormalization},
           {"LpNormalization", 1, importLpNormalization},
           {"LRN", 1, importLrn},
           {"Softmax", 1, importSoftmax1<false>},
           {"Softmax", 13, importSoftmax<false>},
           {"LogSoftmax", 1, importSoftmax1<true>},
           {"LogSoftmax", 13, importSoftmax<true>}}};
}

} // namespace planish::ops
