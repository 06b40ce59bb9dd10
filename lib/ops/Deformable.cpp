// Deformable convolution (Dai et al. 2017, Zhu et al. 2018): every tap is moved by an offset and weighted by
// a mask that data give.
#include "Rows.h"
#include "Window.h"

#include <array>

namespace planish::ops {

namespace {

struct DeformAttrs {
  Ints strides, dilations, padsBegin, padsEnd;
  int64_t group = 1, offsetGroup = 1;
  void visit(FieldVisitor &v) {
    v.field("strides", strides), v.field("dilations", dilations), v.field("pads_begin", padsBegin);
    v.field("pads_end", padsEnd), v.field("group", group), v.field("offset_group", offsetGroup);
  }
};
std::vector<Window> windowsOf(const DeformAttrs &a, const Shape &w) {
  return ops::windowsOf({w[2].constant(), w[3].constant()}, a.strides, a.dilations, a.padsBegin, a.padsEnd);
}

/// x [n, c, h, w], weights [o, c/group, kh, kw], offsets [n, 2 * offset_group * kh * kw, oh, ow] as (y, x)
/// per tap, bias [o], mask [n, offset_group * kh * kw, oh, ow].
Types inferDeform(InferContext &c) {
  const DeformAttrs &a = c.attrs().as<DeformAttrs>();
  for (int k = 0; k < c.inputs(); ++k)
    if (c.has(k)) PLANISH_TRY(wantType(c, k, kFloats));
  for (int k : {0, 1, 2}) PLANISH_TRY(wantRank(c, k, 4, 4));
  Ints w;
  for (int d = 0; d < 4; ++d) {
    PLANISH_ASSIGN(int64_t size, constantDim(c, 1, d));
    w.push_back(size);
  }
  PLANISH_ASSIGN(int64_t channels, constantDim(c, 0, 1));
  if (a.group < 1 || a.offsetGroup < 1 || channels % a.group || w[0] % a.group || channels % a.offsetGroup ||
      w[1] != channels / a.group)
    return badInput("the weights are " + textOf(c.in(1)) + " for " + std::to_string(channels) +
                    " channels in " + std::to_string(a.group) + " groups, " + std::to_string(a.offsetGroup) +
                    " of offsets");
  PLANISH_ASSIGN(auto windows,
                 checkedWindows(2, {w[2], w[3]}, a.strides, a.dilations, a.padsBegin, a.padsEnd));
  const Shape &x = c.in(0).shape;
  Shape out{x[0], Dim(w[0])};
  for (size_t d = 0; d < 2; ++d) {
    if (x[d + 2].lower() < 1) return badInput("the input " + textOf(c.in(0)) + " may be empty");
    PLANISH_ASSIGN(Dim size, positions(c, windows[d], x[d + 2], false));
    out.push_back(size);
  }
  auto want = [&](int k, int64_t each) -> Status {
    Shape shape{x[0], Dim(each * a.offsetGroup * w[2] * w[3]), out[2], out[3]};
    if (!c.has(k) || c.in(k).shape == shape) return {};
    return badInput("operand " + std::to_string(k) + " is " + textOf(c.in(k)) + ", expected " +
                    textOf(shape));
  };
  PLANISH_TRY(want(2, 2));
  PLANISH_TRY(want(4, 1));
  if (c.has(3) && c.in(3).shape != Shape{Dim(w[0])})
    return badInput("the bias is " + textOf(c.in(3)) + ", expected [" + std::to_string(w[0]) + "]");
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

Compute computeDeform(const OpView &v) {
  const DeformAttrs &a = v.attrs.as<DeformAttrs>();
  const Shape &x = v.inTypes[0].shape;
  Ints w = *constantShape(v.inTypes[1].shape);
  auto windows = windowsOf(a, v.inTypes[1].shape);
  Compute c = graph::overOutput(v, "deform_conv");
  Iter kh = axis("kh", w[2]), kw = axis("kw", w[3]), ic = axis("ic", w[1]);
  c.reduce = {kh, kw, ic};
  const Exprs &at = c.outIndices;
  Expr channel = floorDiv(at[1], imm(w[0] / a.group)) * w[1] + use(ic.var);
  Expr tap = floorDiv(channel, imm(x[1].constant() / a.offsetGroup)) * (w[2] * w[3]) + use(kh.var) * w[3] +
             use(kw.var);
  std::array<std::array<Neighbour, 2>, 2> taps;
  for (size_t d = 0; d < 2; ++d) {
    Expr grid = tapOf(windows[d], at[d + 2], use(d ? kw.var : kh.var));
    Expr offset = load(v.in[2], {at[0], tap * 2 + int64_t(d), at[2], at[3]});
    taps[d] = neighbours(cast(DType::f32, grid) + offset, extentOf(x[d + 2]));
  }
  Expr sum;
  for (const Neighbour &y : taps[0])
    for (const Neighbour &z : taps[1]) {
      Expr part = load(v.in[0], {at[0], channel, y.index, z.index}, conjunction(y.inside, z.inside)) *
                  (y.weight * z.weight);
      sum = sum ? sum + part : part;
    }
  if (v.in.size() > 4 && v.in[4]) sum = sum * load(v.in[4], {at[0], tap, at[2], at[3]});
  c.lhs = sum * load(v.in[1], {at[1], use(ic.var), use(kh.var), use(kw.var)});
  if (v.in.size() > 3 && v.in[3]) c.init = load(v.in[3], {at[1]});
  return reduced(std::move(c), Combine::Sum, DType::f32);
}
const OpDef kDeform = {.name = "deform_conv",
                       .summary = "convolution whose taps lie where offsets move them, weighted by a mask",
                       .operands = "x, w, offset, bias?, mask?",
                       .cls = OpClass::Reduction,
                       .layout = LayoutRule::RowMajor,
                       .prototype = DeformAttrs{},
                       .infer = inferDeform,
                       .compute = computeDeform};

std::vector<ValueId> importDeformConv(Importer &i) {
  ValueId x = i.in(0), w = i.in(1), offset = i.in(2);
  if (i.type(x).rank() != 4)
    i.notSupported("an input " + textOf(i.type(x)) + "; only images of rank 4 are supported");
  Ints ones(2, 1), pads = i.intsAttr("pads", Ints(4, 0));
  if (pads.size() != 4) i.fail("pads has " + std::to_string(pads.size()) + " entries, expected 4");
  if (i.error()) return one(x);
  DeformAttrs a{i.intsAttr("strides", ones), i.intsAttr("dilations", ones), {pads[0], pads[1]},
                {pads[2], pads[3]},          i.intAttr("group", 1),         i.intAttr("offset_group", 1)};
  std::vector<ValueId> operands{x, w, offset, i.has(3) ? i.in(3) : kAbsent, i.has(4) ? i.in(4) : kAbsent};
  while (operands.back() == kAbsent) operands.pop_back();
  return one(i.append(kDeform, a, operands));
}

} // namespace

Family deformableFamily() { return {{&kDeform}, {{"DeformConv", 19, importDeformConv}}}; }

} // namespace planish::ops
