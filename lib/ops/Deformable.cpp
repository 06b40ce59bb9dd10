// Deformable convolution (Dai et al. 2017, Zhu et al. 2018): every tap is moved by an offset and weighted by
// a mask that data give.
#include "Rows.h"
#include "Window.h"

#include <array>

namespace planish::ops {

namespace {

/// Of a convolution with these attributes over windows of `kernel`.
struct DeformAttrs {
  Ints kernel, strides, dilations, padsBegin, padsEnd;
  int64_t group = 1, offsetGroup = 1;
  void visit(FieldVisitor &v) {
    v.field("kernel", kernel), v.field("strides", strides), v.field("dilations", dilations);
    v.field("pads_begin", padsBegin), v.field("pads_end", padsEnd);
    v.field("group", group), v.field("offset_group", offsetGroup);
  }
};

/// x [n, c, h, w], offsets [n, 2 * offset_group * kh * kw, oh, ow] as (y, x) per tap,
/// mask [n, offset_group * kh * kw, oh, ow].
Types inferDeform(InferContext &c) {
  const DeformAttrs &a = c.attrs().as<DeformAttrs>();
  for (int k = 0; k < c.inputs(); ++k) {
    if (!c.has(k)) continue;
    PLANISH_TRY(wantType(c, k, kFloats));
    PLANISH_TRY(wantRank(c, k, 4, 4));
  }
  PLANISH_ASSIGN(int64_t channels, constantDim(c, 0, 1));
  if (a.group < 1 || a.offsetGroup < 1 || channels % a.group || channels % a.offsetGroup)
    return badInput(std::to_string(channels) + " channels are not " + std::to_string(a.group) + " groups, " +
                    std::to_string(a.offsetGroup) + " of offsets");
  PLANISH_ASSIGN(auto windows, checkedWindows(2, a.kernel, a.strides, a.dilations, a.padsBegin, a.padsEnd));
  int64_t taps = a.kernel[0] * a.kernel[1];
  if (taps > kMaxElements / std::max<int64_t>(channels, 1)) return badInput("too many taps");
  const Shape &x = c.in(0).shape;
  Shape out{x[0], Dim(channels * taps)};
  for (size_t d = 0; d < 2; ++d) {
    if (x[d + 2].lower() < 1) return badInput("the input " + textOf(c.in(0)) + " may be empty");
    PLANISH_ASSIGN(Dim size, positions(c, windows[d], x[d + 2], false));
    out.push_back(size);
  }
  auto want = [&](int k, int64_t each) -> Status {
    Shape shape{x[0], Dim(each * a.offsetGroup * taps), out[2], out[3]};
    if (!c.has(k) || c.in(k).shape == shape) return {};
    return badInput("operand " + std::to_string(k) + " is " + textOf(c.in(k)) + ", expected " +
                    textOf(shape));
  };
  PLANISH_TRY(want(1, 2));
  PLANISH_TRY(want(2, 1));
  return oneOutput({DType::f32, std::move(out), {}, {}});
}

Expr f(double v) { return loop::fimm(v); }

/// The two pixels beside a place along one axis, each with its weight and whether it is inside.
struct Neighbour {
  Expr index, weight, inside;
};
std::array<Neighbour, 2> neighbours(const Expr &place, const Expr &size) {
  constexpr double kFar = 1 << 24;  // keeps index arithmetic small
  Expr p = min(max(place, f(-kFar)), f(kFar)), low = loop::call(Intrinsic::Floor, {p}), t = p - low;
  Expr index = cast(DType::i64, low);
  auto clamped = [&](const Expr &i) { return max(min(i, size - 1), imm(0)); };
  return {Neighbour{clamped(index), f(1) - t, within(index, size)},
          Neighbour{clamped(index + 1), t, within(index + 1, size)}};
}

/// Channel (group, ky, kx, channel in the group) of the result is a tap of a channel: in this order vectors
/// run along channels.
Compute computeDeform(const OpView &v) {
  const DeformAttrs &a = v.attrs.as<DeformAttrs>();
  const Shape &x = v.inTypes[0].shape, &out = v.outType.shape;
  auto windows = ops::windowsOf(a.kernel, a.strides, a.dilations, a.padsBegin, a.padsEnd);
  int64_t channels = x[1].constant(), inGroup = channels / a.group;
  Compute c;
  c.name = "deform_sample";
  c.out = v.out;
  Iter n = axis("n", out[0]), g = axis("g", a.group), kh = axis("kh", a.kernel[0]),
       kw = axis("kw", a.kernel[1]), ch = axis("c", inGroup), oh = axis("oh", out[2]),
       ow = axis("ow", out[3]);
  c.space = {n, g, kh, kw, ch, oh, ow};
  Expr tap = use(kh.var) * a.kernel[1] + use(kw.var);
  int64_t taps = a.kernel[0] * a.kernel[1];
  c.outIndices = {use(n.var), (use(g.var) * taps + tap) * inGroup + use(ch.var), use(oh.var), use(ow.var)};
  Expr channel = use(g.var) * inGroup + use(ch.var);
  Expr moved = floorDiv(channel, imm(channels / a.offsetGroup)) * taps + tap;
  const Exprs &at = c.outIndices;
  std::array<std::array<Neighbour, 2>, 2> sides;
  for (size_t d = 0; d < 2; ++d) {
    Expr grid = tapOf(windows[d], at[d + 2], use(d ? kw.var : kh.var));
    Expr offset = load(v.in[1], {at[0], moved * 2 + int64_t(d), at[2], at[3]});
    sides[d] = neighbours(cast(DType::f32, grid) + offset, extentOf(x[d + 2]));
  }
  Expr sum;
  for (const Neighbour &y : sides[0])
    for (const Neighbour &z : sides[1]) {
      Expr part = load(v.in[0], {at[0], channel, y.index, z.index}, conjunction(y.inside, z.inside)) *
                  (y.weight * z.weight);
      sum = sum ? sum + part : part;
    }
  if (v.in.size() > 2 && v.in[2]) sum = sum * load(v.in[2], {at[0], moved, at[2], at[3]});
  c.value = sum;
  loop::collectParams(c);
  return c;
}
const OpDef kDeform = {.name = "deform_sample",
                       .summary =
                           "the taps of a convolution's windows where offsets move them, weighted by a mask: "
                           "channels (group, ky, kx, channel)",
                       .operands = "x, offset, mask?",
                       .cls = OpClass::Injective,
                       .layout = LayoutRule::ChannelsLast,
                       .prototype = DeformAttrs{},
                       .infer = inferDeform,
                       .compute = computeDeform};

/// Samples, then a 1x1 convolution of them.
std::vector<ValueId> importDeformConv(Importer &i) {
  ValueId x = i.in(0), w = i.in(1), offset = i.in(2);
  if (i.type(x).rank() != 4)
    i.notSupported("an input " + textOf(i.type(x)) + "; only images of rank 4 are supported");
  auto weights = constantShape(i.type(w).shape);
  if (!weights || weights->size() != 4) i.fail("the weights are " + textOf(i.type(w)) + ", expected rank 4");
  Ints ones(2, 1), pads = i.intsAttr("pads", Ints(4, 0));
  if (pads.size() != 4) i.fail("pads has " + std::to_string(pads.size()) + " entries, expected 4");
  if (i.error()) return one(x);
  DeformAttrs a{{(*weights)[2], (*weights)[3]},
                i.intsAttr("strides", ones),
                i.intsAttr("dilations", ones),
                {pads[0], pads[1]},
                {pads[2], pads[3]},
                i.intAttr("group", 1),
                i.intAttr("offset_group", 1)};
  std::vector<ValueId> operands{x, offset};
  if (i.has(4)) operands.push_back(i.in(4));
  ValueId samples = i.append(kDeform, a, operands);
  ValueId taps = reshaped(i, transposed(i, w, {0, 2, 3, 1}),
                          {(*weights)[0], (*weights)[1] * (*weights)[2] * (*weights)[3], 1, 1});
  operands = {samples, taps};
  if (i.has(3)) operands.push_back(i.in(3));
  return one(i.append(kConv, ConvAttrs{ones, ones, Ints(2, 0), Ints(2, 0), a.group}, operands));
}

} // namespace

Family deformableFamily() { return {{&kDeform}, {{"DeformConv", 19, importDeformConv}}}; }

} // namespace planish::ops
