// Convolutions: logical N, C, spatial indices; taps outside the input are not in the domain.
#include "Quantization.h"
#include "Window.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace planish::ops {

namespace {

/// Constant sizes of the weights, as every kernel needs them.
Result<Ints> weightShape(InferContext &c) {
  Ints r;
  for (int d = 0; d < c.in(1).rank(); ++d) {
    PLANISH_ASSIGN(int64_t size, constantDim(c, 1, d));
    r.push_back(size);
  }
  return r;
}

/// Operands x, w, bias?; all f32, or integers with an i32 bias; of fitting ranks; the bias has `channels`
/// elements.
Status checkOperands(InferContext &c, int64_t channels, DTypes types) {
  PLANISH_TRY(wantOperands(c, 2, 3));
  PLANISH_TRY(wantRank(c, 0, 3));
  PLANISH_TRY(wantRank(c, 1, c.in(0).rank(), c.in(0).rank()));
  PLANISH_TRY(wantType(c, 0, types));
  bool real = isFloat(c.in(0).dtype);
  PLANISH_TRY(wantType(c, 1, real ? kFloats : types & ~kFloats));
  if (c.has(2)) PLANISH_TRY(wantType(c, 2, real ? kFloats : bit(DType::i32)));
  if (channels >= 0 && c.has(2) && c.in(2).shape != Shape{Dim(channels)})
    return badInput("the bias is " + textOf(c.in(2)) + ", expected [" + std::to_string(channels) + "]");
  return {};
}

constexpr DTypes kConvTypes = kFloats | bit(DType::u8) | bit(DType::i8) | bit(DType::i32);

/// The type of sums over elements of a type: integers are summed in 32 bits, which wrap.
DType sumType(DType t) { return isFloat(t) ? t : DType::i32; }

Types inferConv(InferContext &c) {
  const ConvAttrs &a = c.attrs().as<ConvAttrs>();
  PLANISH_TRY(checkOperands(c, -1, kConvTypes));
  PLANISH_ASSIGN(Ints w, weightShape(c));
  bool borders = c.has(2) && c.in(2).rank() > 1;
  PLANISH_TRY(checkOperands(c, borders ? -1 : w[0], kConvTypes));
  PLANISH_ASSIGN(int64_t channels, constantDim(c, 0, 1));
  if (a.group < 1 || w[0] % a.group || channels % a.group)
    return badInput(std::to_string(a.group) + " groups do not divide " + std::to_string(channels) + " and " +
                    std::to_string(w[0]) + " channels");
  if (w[1] != channels / a.group)
    return badInput("the weights take " + std::to_string(w[1]) + " channels per group, the input has " +
                    std::to_string(channels / a.group));
  PLANISH_ASSIGN(auto windows, checkedWindows(int(w.size()) - 2, Ints(w.begin() + 2, w.end()), a.strides,
                                              a.dilations, a.padsBegin, a.padsEnd));
  Shape out{c.in(0).shape[0], Dim(w[0])};
  for (size_t d = 0; d < windows.size(); ++d) {
    PLANISH_ASSIGN(Dim size, positions(c, windows[d], c.in(0).shape[d + 2], false));
    out.push_back(size);
  }
  if (borders) {
    Shape expected;
    for (size_t d = 0; d < windows.size(); ++d) {
      auto borders = bordersOf(windows[d], c.in(0).shape[d + 2], out[d + 2]);
      if (!borders) return badInput("a bias by borders needs constant sizes");
      expected.push_back(borders->classes());
    }
    expected.push_back(w[0]);
    if (c.in(2).shape != expected)
      return badInput("the bias by borders is " + textOf(c.in(2)) + ", expected " + textOf(expected));
  }
  return oneOutput({sumType(c.in(0).dtype), std::move(out), {}, {}});
}

Compute computeConv(const OpView &v) {
  const ConvAttrs &a = v.attrs.as<ConvAttrs>();
  const Shape &x = v.inTypes[0].shape, &out = v.outType.shape;
  Ints w = *constantShape(v.inTypes[1].shape);
  int spatial = int(w.size()) - 2;
  auto windows = windowsOf(Ints(w.begin() + 2, w.end()), a.strides, a.dilations, a.padsBegin, a.padsEnd);
  int64_t outPerGroup = w[0] / a.group, inPerGroup = w[1];

  Compute c;
  c.name = "conv";
  Iter n = axis("n", out[0]), g = axis("g", a.group), o = axis("o", outPerGroup), ic = axis("ic", inPerGroup);
  c.space = {n, g, o};
  Expr channel = use(g.var) * outPerGroup + use(o.var);
  Exprs at{use(n.var), channel}, from{use(n.var), use(g.var) * inPerGroup + use(ic.var)},
      tap{channel, use(ic.var)};
  for (int d = 0; d < spatial; ++d) {
    Iter o2 = axis(spatialName("o", d, spatial), out[size_t(d) + 2]);
    Iter k = axis(spatialName("k", d, spatial), w[size_t(d) + 2]);
    const Window &window = windows[size_t(d)];
    Expr position = tapOf(window, use(o2.var), use(k.var));
    guardTap(c, window, position, x[size_t(d) + 2], out[size_t(d) + 2], false);
    c.space.push_back(o2), c.reduce.push_back(k);
    at.push_back(use(o2.var)), from.push_back(position), tap.push_back(use(k.var));
  }
  c.reduce.push_back(ic);
  DType sum = v.outType.dtype;
  c.lhs = cast(sum, load(v.in[0], from));
  c.rhs = cast(sum, load(v.in[1], tap));
  if (v.in.size() > 2 && v.in[2]) {
    Exprs which;
    if (v.inTypes[2].rank() > 1)
      for (int d = 0; d < spatial; ++d)
        which.push_back(
            bordersOf(windows[size_t(d)], x[size_t(d) + 2], out[size_t(d) + 2])->classOf(at[size_t(d) + 2]));
    which.push_back(channel);
    c.init = load(v.in[2], which);
  }
  c.out = v.out;
  c.outIndices = at;
  return reduced(std::move(c), Combine::Sum, sum);
}

// ---- transposed ----------------------------------------------------------------------------------

Types inferConvTranspose(InferContext &c) {
  const ConvTransposeAttrs &a = c.attrs().as<ConvTransposeAttrs>();
  PLANISH_TRY(checkOperands(c, -1, kConvTypes));
  PLANISH_ASSIGN(Ints w, weightShape(c));
  PLANISH_ASSIGN(int64_t channels, constantDim(c, 0, 1));
  if (a.group < 1 || a.group > kMaxParameter || channels % a.group)
    return badInput(std::to_string(a.group) + " groups do not divide " + std::to_string(channels) +
                    " channels");
  if (w[0] != channels)
    return badInput("the weights take " + std::to_string(w[0]) + " channels, the input has " +
                    std::to_string(channels));
  if (w[1] > kMaxElements / a.group) return badInput("too many output channels");
  PLANISH_TRY(checkOperands(c, w[1] * a.group, kConvTypes));
  PLANISH_ASSIGN(auto windows, checkedWindows(int(w.size()) - 2, Ints(w.begin() + 2, w.end()), a.strides,
                                              a.dilations, a.padsBegin, a.padsEnd));
  PLANISH_TRY(wantEntries(a.outputPadding, windows.size(), 0, kMaxParameter, "output_padding"));
  Shape out{c.in(0).shape[0], Dim(w[1] * a.group)};
  for (size_t d = 0; d < windows.size(); ++d) {
    const Window &window = windows[d];
    Expr size = (extentOf(c.in(0).shape[d + 2]) - 1) * window.stride +
                (a.outputPadding[d] + window.reach() - window.padBegin - window.padEnd);
    if (auto s = constantOf(size); s && *s < 1)
      return badInput("spatial dimension " + std::to_string(d) + " would have the size " +
                      std::to_string(*s));
    PLANISH_ASSIGN(Dim dim, c.derive(size));
    out.push_back(dim);
  }
  return oneOutput({sumType(c.in(0).dtype), std::move(out), {}, {}});
}

/// How one spatial dimension of the output gathers: the axes over its positions and over the taps that
/// reach them, the output's index, the input's index, the weight's index, and when both exist.
struct Gathering {
  std::vector<Iter> space, taps;
  Expr out, in, tap;
  Exprs where;
};

/// Output y takes x[q] through tap k where q*stride + k*dilation = y + pad. Without dilation only every
/// stride-th tap, from (y + pad) mod stride on, can be meant: those are enumerated, so no multiplication
/// is for nothing. Whole strides become an axis of their own, then all indices are affine.
Gathering gathering(const Window &w, const Dim &in, const Dim &out, const std::string &name,
                    const std::string &tapName) {
  Gathering g;
  bool whole = w.dilation == 1 && w.stride > 1 && out.isConstant() && out.constant() % w.stride == 0;
  if (whole) {
    g.space = {axis(name, out.constant() / w.stride), axis(name + "_phase", w.stride)};
    g.out = use(g.space[0].var) * w.stride + use(g.space[1].var);
  } else {
    g.space = {axis(name, out)};
    g.out = use(g.space[0].var);
  }
  Expr place = g.out + w.padBegin, stride = imm(w.stride);
  int64_t steps = w.dilation == 1 ? w.stride : 1;
  g.taps = {axis(tapName, (w.kernel + steps - 1) / steps)};
  Expr step = use(g.taps[0].var);
  if (w.dilation == 1) {
    g.tap = floorMod(place, stride) + step * w.stride;
    g.in = floorDiv(place, stride) - step;
    if (w.kernel % w.stride) g.where.push_back(imm(w.kernel - 1) - g.tap);
  } else {
    Expr rest = place - step * w.dilation;
    g.tap = step;
    g.in = floorDiv(rest, stride);
    if (w.stride > 1) g.where.push_back(imm(0) - floorMod(rest, stride));
  }
  g.where.push_back(g.in);
  g.where.push_back(extentOf(in) - 1 - g.in);
  return g;
}

Compute computeConvTranspose(const OpView &v) {
  const ConvTransposeAttrs &a = v.attrs.as<ConvTransposeAttrs>();
  const Shape &x = v.inTypes[0].shape, &out = v.outType.shape;
  Ints w = *constantShape(v.inTypes[1].shape);
  int spatial = int(w.size()) - 2;
  int64_t outPerGroup = w[1], inPerGroup = w[0] / a.group;
  auto windows = windowsOf(Ints(w.begin() + 2, w.end()), a.strides, a.dilations, a.padsBegin, a.padsEnd);

  Compute c;
  c.name = "conv_transpose";
  Iter n = axis("n", out[0]), g = axis("g", a.group), o = axis("o", outPerGroup), ic = axis("ic", inPerGroup);
  c.space = {n, g, o};
  Expr channel = use(g.var) * outPerGroup + use(o.var), source = use(g.var) * inPerGroup + use(ic.var);
  Exprs at{use(n.var), channel}, from{use(n.var), source}, tap{source, use(o.var)};
  for (int d = 0; d < spatial; ++d) {
    Gathering s = gathering(windows[size_t(d)], x[size_t(d) + 2], out[size_t(d) + 2],
                            spatialName("o", d, spatial), spatialName("k", d, spatial));
    c.space.insert(c.space.end(), s.space.begin(), s.space.end());
    c.reduce.insert(c.reduce.end(), s.taps.begin(), s.taps.end());
    c.where.insert(c.where.end(), s.where.begin(), s.where.end());
    at.push_back(s.out), from.push_back(s.in), tap.push_back(s.tap);
  }
  c.reduce.push_back(ic);
  DType sum = v.outType.dtype;
  c.lhs = cast(sum, load(v.in[0], from));
  c.rhs = cast(sum, load(v.in[1], tap));
  if (v.in.size() > 2 && v.in[2]) c.init = load(v.in[2], {channel});
  c.out = v.out;
  c.outIndices = at;
  return reduced(std::move(c), Combine::Sum, sum);
}

// ---- import --------------------------------------------------------------------------------------

/// Spatial sizes of the weights; they must agree with `kernel_shape` where that is given.
Ints kernelOf(Importer &i, ValueId w) {
  auto shape = constantShape(i.type(w).shape);
  if (!shape || shape->size() < 3) {
    i.fail("the weights are " + textOf(i.type(w)) + ", expected constant sizes and a rank of 3 or more");
    return {};
  }
  Ints kernel(shape->begin() + 2, shape->end());
  if (i.hasAttr("kernel_shape") && i.intsAttr("kernel_shape", {}) != kernel)
    i.fail("attribute 'kernel_shape' differs from the weights, " + textOf(i.type(w)));
  return kernel;
}
std::vector<ValueId> withBias(Importer &i, ValueId x, ValueId w) {
  std::vector<ValueId> operands{x, w};
  if (i.has(2)) operands.push_back(i.in(2));
  return operands;
}

std::vector<ValueId> importConv(Importer &i) {
  ValueId x = i.in(0), w = i.in(1);
  Ints kernel = kernelOf(i, w);
  if (i.error()) return one(x);
  WindowAttrs a = importWindow(i, x, kernel);
  if (i.error()) return one(x);
  return one(i.append(kConv, ConvAttrs{a.strides, a.dilations, a.padsBegin, a.padsEnd, i.intAttr("group", 1)},
                      withBias(i, x, w)));
}

/// Channels of the output from which on a transposed convolution fills vectors as it is.
constexpr int64_t kFillsVectors = 16;

/// A transposed convolution along one dimension by phases: result s q + r, in coordinates before cropping,
/// sums taps r + s j of inputs q - j. So the s phases are the channels of a convolution with ceil(k / s)
/// taps, put side by side.
struct Phasing {
  int64_t step, taps;    // s, ceil(k / s)
  int64_t before, after; // padding of the input: all q of which some result is wanted
  int64_t cropped;       // results before the first wanted one
};
Phasing phasingOf(const ConvTransposeAttrs &a, size_t d, int64_t kernel) {
  int64_t s = a.strides[d], taps = (kernel + s - 1) / s, first = a.padsBegin[d] / s;
  int64_t last = kernel - 1 - a.padsEnd[d] + a.outputPadding[d];
  return {s, taps, taps - 1 - first, last < 0 ? -1 : last / s, a.padsBegin[d] % s};
}

/// Constant weights [c, o, k...] as those of the convolution that makes all phases: [o r..., c, j...] with
/// the last input first; taps beyond the kernel are zeros.
ValueId weightsByPhases(Importer &i, ValueId w, const std::array<Phasing, 2> &phases) {
  Ints from = *constantShape(i.type(w).shape);
  auto [s, t] = std::pair(phases[0], phases[1]);
  Ints to{from[1] * s.step * t.step, from[0], s.taps, t.taps};
  std::span<const float> data = graph::dataOf<float>(i.graph()[w]);
  std::vector<float> moved(size_t(to[0] * to[1] * to[2] * to[3]));
  for (int64_t c = 0; c < from[0]; ++c)
    for (int64_t o = 0; o < from[1]; ++o)
      for (int64_t y = 0; y < from[2]; ++y)
        for (int64_t x = 0; x < from[3]; ++x) {
          int64_t out = (o * s.step + y % s.step) * t.step + x % t.step;
          int64_t row = s.taps - 1 - y / s.step, column = t.taps - 1 - x / t.step;
          moved[size_t(((out * to[1] + c) * to[2] + row) * to[3] + column)] =
              data[size_t(((c * from[1] + o) * from[2] + y) * from[3] + x)];
        }
  return i.graph().addConstant(DType::f32, to, moved);
}

/// A transposed convolution of images as a convolution to all phases of each result, which are then put side
/// by side and cropped. Nothing where the padding of that would be negative. Unless each phase has one tap,
/// the weights are a constant of f32.
std::optional<ValueId> upsamplingConv(Importer &i, ValueId x, ValueId w, const Ints &kernel,
                                      const ConvTransposeAttrs &a) {
  std::array phases{phasingOf(a, 0, kernel[0]), phasingOf(a, 1, kernel[1])};
  for (const Phasing &p : phases)
    if (p.before < 0 || p.after < 0) return std::nullopt;
  auto [s, t] = std::pair(phases[0], phases[1]);
  Ints shape = *constantShape(i.type(w).shape);
  int64_t channels = shape[1], area = s.step * t.step;
  bool oneTap = s.taps == 1 && t.taps == 1;
  std::vector<ValueId> operands{
      x, oneTap ? reshaped(i, transposed(i, w, {1, 2, 3, 0}), {channels * area, shape[0], 1, 1})
                : weightsByPhases(i, w, phases)};
  if (i.has(2)) {
    ValueId bias = reshaped(i, i.in(2), {channels, 1});
    operands.push_back(reshaped(i, broadcastTo(i, bias, {channels, area}), {channels * area}));
  }
  ValueId y =
      i.append(kConv, ConvAttrs{{1, 1}, {1, 1}, {s.before, t.before}, {s.after, t.after}, 1}, operands);
  if (i.error()) return y;
  const Shape made = i.type(y).shape;
  y = transposed(i, reshaped(i, y, {made[0], channels, s.step, t.step, made[2], made[3]}),
                 {0, 1, 4, 2, 5, 3});
  y = reshaped(
      i, y, {made[0], channels, dimOf(i, extentOf(made[2]) * s.step), dimOf(i, extentOf(made[3]) * t.step)});
  for (size_t d = 0; d < 2 && !i.error(); ++d) {
    Expr size = (extentOf(i.type(x).shape[d + 2]) - 1) * a.strides[d] +
                (kernel[d] + a.outputPadding[d] - a.padsBegin[d] - a.padsEnd[d]);
    if (loop::equal(loop::simplify(size, {}), loop::simplify(extentOf(i.type(y).shape[d + 2]), {}))) continue;
    y = sliced(i, y, int(d + 2), imm(phases[d].cropped), size);
  }
  return y;
}

/// Where the output's size is given, or SAME: the padding follows from it.
void padFromOutput(Importer &i, ValueId x, const Ints &kernel, ConvTransposeAttrs &a) {
  std::string mode = i.stringAttr("auto_pad", "NOTSET");
  bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  Ints output = i.intsAttr("output_shape", {});
  size_t n = kernel.size();
  if (output.size() == n + 2) output.erase(output.begin(), output.begin() + 2);
  if (!output.empty() && output.size() != n) i.fail("attribute 'output_shape' has the wrong length");
  if (i.error() || (output.empty() && !same)) return;
  for (size_t d = 0; d < n; ++d) {
    const Dim &in = i.type(x).shape[d + 2];
    if (!in.isConstant()) return i.notSupported("'output_shape' and 'auto_pad' need constant sizes");
    int64_t full =
        (in.constant() - 1) * a.strides[d] + a.outputPadding[d] + a.dilations[d] * (kernel[d] - 1) + 1;
    int64_t wanted = output.empty() ? in.constant() * a.strides[d] : output[d];
    int64_t total = full - wanted;
    if (total < 0) a.outputPadding[d] -= total, total = 0;
    a.padsBegin[d] = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
    a.padsEnd[d] = total - a.padsBegin[d];
  }
}

std::vector<ValueId> importConvTranspose(Importer &i) {
  ValueId x = i.in(0), w = i.in(1);
  Ints kernel = kernelOf(i, w);
  if (i.error()) return one(x);
  size_t n = kernel.size();
  if (i.type(x).shape.size() != n + 2)
    i.fail("operand 0 is " + textOf(i.type(x)) + ", the weights " + textOf(i.type(w)));
  Ints pads = i.intsAttr("pads", Ints(2 * n, 0));
  ConvTransposeAttrs a{i.intsAttr("strides", Ints(n, 1)),
                       i.intsAttr("dilations", Ints(n, 1)),
                       Ints(n, 0),
                       Ints(n, 0),
                       i.intsAttr("output_padding", Ints(n, 0)),
                       i.intAttr("group", 1)};
  for (auto *values : {&a.strides, &a.dilations, &a.outputPadding, &pads})
    if (values->size() != (values == &pads ? 2 * n : n) ||
        std::any_of(values->begin(), values->end(), [](int64_t v) { return v < 0 || v > kMaxParameter; }))
      i.fail("attribute 'strides', 'dilations', 'output_padding' or 'pads' has a wrong entry or length");
  if (i.error()) return one(x);
  if (i.stringAttr("auto_pad", "NOTSET") == "NOTSET") {
    a.padsBegin = Ints(pads.begin(), pads.begin() + long(n));
    a.padsEnd = Ints(pads.begin() + long(n), pads.end());
  }
  padFromOutput(i, x, kernel, a);
  if (i.error()) return one(x);
  // Phases beyond the kernel would be all zeros.
  bool images = n == 2 && a.group == 1 && a.dilations == Ints(n, 1) && a.strides != Ints(n, 1);
  for (size_t d = 0; d < n; ++d) images &= a.strides[d] >= 1 && a.strides[d] <= kernel[d];
  bool apart = a.strides == kernel && a.padsBegin == Ints(n, 0) && a.padsEnd == Ints(n, 0) &&
               a.outputPadding == Ints(n, 0);
  bool few = i.type(w).shape[1].constant() < kFillsVectors && i.graph()[w].isConstant() &&
             i.type(w).dtype == DType::f32;
  if (images && (apart || few))
    if (auto y = upsamplingConv(i, x, w, kernel, a)) return one(*y);
  return one(i.append(kConvTranspose, a, withBias(i, x, w)));
}

} // namespace

const OpDef kConv = {
    .name = "conv",
    .summary = "convolution (N, C, spatial...) with groups, strides, dilations, zero padding; of "
               "integers in i32; a bias of rank above 1 is [classes of positions by skipped taps..., C]",
    .operands = "x, w, bias?",
    .cls = OpClass::Contraction,
    .layout = LayoutRule::ChannelsLast,
    .prototype = ConvAttrs{},
    .infer = inferConv,
    .compute = computeConv,
    .integer = integerConv};
const OpDef kConvTranspose = {.name = "conv_transpose",
                              .summary =
                                  "transposed convolution (N, C, spatial...) with groups; of integers in i32",
                              .operands = "x, w, bias?",
                              .cls = OpClass::Contraction,
                              .layout = LayoutRule::ChannelsLast,
                              .prototype = ConvTransposeAttrs{},
                              .infer = inferConvTranspose,
                              .compute = computeConvTranspose,
                              .integer = integerConvTranspose};

namespace {

/// The shape of weights [o, phase, k...] as [o, channel, steps * k...], and for each element which one it
/// was: tap k of a phase is tap first + steps * k of its channel. Nothing unless each phase there is comes
/// once.
std::optional<Ints> weightsOverPhases(const Ints &shape, int64_t channels, const Ints &steps,
                                      std::span<const Phase> phases, Ints &from) {
  int64_t all = channels;
  for (int64_t step : steps)
    if ((all *= step) > shape[1]) return std::nullopt;
  if (all != shape[1] || size_t(shape[1]) != phases.size()) return std::nullopt;
  Ints to{shape[0], channels};
  for (size_t d = 0; d < steps.size(); ++d) to.push_back(shape[d + 2] * steps[d]);
  int64_t count = 1, taps = 1;
  for (int64_t size : to) count *= size;
  for (size_t d = 2; d < shape.size(); ++d) taps *= shape[d];
  from.assign(size_t(count), -1);
  for (int64_t i = 0; i < count; ++i) {
    int64_t tap = i % taps, phase = i / taps % shape[1], out = i / taps / shape[1];
    const Phase &p = phases[size_t(phase)];
    int64_t at = 0, inner = 1;
    for (size_t d = steps.size(); d-- > 0; inner *= to[d + 2]) {
      at += inner * (tap % shape[d + 2] * steps[d] + p.first[d]);
      tap /= shape[d + 2];
    }
    at += inner * (p.channel + channels * out);
    if (from[size_t(at)] >= 0) return std::nullopt;
    from[size_t(at)] = i;
  }
  return to;
}

} // namespace

std::optional<ValueId> overPhases(graph::Graph &g, const graph::Node &node, std::vector<ValueId> operands,
                                  ValueId image, const Ints &steps, std::span<const Phase> phases) {
  if (node.op != &kConv || !g[operands[1]].isConstant() || !g.type(image).shape[1].isConstant())
    return std::nullopt;
  ConvAttrs a = node.attrs.as<ConvAttrs>();
  if (a.group != 1 || std::ranges::any_of(a.dilations, [](int64_t d) { return d != 1; })) return std::nullopt;
  const graph::Value weights = g[operands[1]];
  Ints from;
  auto shape = weightsOverPhases(*constantShape(weights.type.shape), g.type(image).shape[1].constant(), steps,
                                 phases, from);
  if (!shape) return std::nullopt;
  for (size_t d = 0; d < steps.size(); ++d)
    for (Ints *sizes : {&a.strides, &a.padsBegin, &a.padsEnd}) (*sizes)[d] *= steps[d];

  size_t size = byteSize(weights.type.dtype);
  auto bytes = std::make_shared<std::vector<std::byte>>(from.size() * size);
  for (size_t i = 0; i < from.size(); ++i)
    std::memcpy(bytes->data() + i * size, weights.data->data() + size_t(from[i]) * size, size);
  operands[0] = image;
  operands[1] = g.addConstant({weights.type.dtype, Shape(shape->begin(), shape->end()), {}, {}}, bytes);
  // A bias by borders may not fit the larger window's.
  auto made = g.append(kConv, a, std::move(operands), node.loc);
  return made ? std::optional((*made)[0]) : std::nullopt;
}

Family convolutionFamily() {
  return {{&kConv, &kConvTranspose}, {{"Conv", 1, importConv}, {"ConvTranspose", 1, importConvTranspose}}};
}

} // namespace planish::ops
