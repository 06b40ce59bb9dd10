// Operators whose outputs pick elements by computed indices: gather, pad, triangles, grids.
#include "Quantization.h"

#include <algorithm>
#include <cmath>

namespace planish::ops {

static constexpr std::string_view kPadModes[] = {"constant", "reflect", "edge", "wrap"};
std::span<const std::string_view> spellings(PadMode) { return kPadModes; }

namespace {

// ---- gather --------------------------------------------------------------------------------------

/// An index operand's element as a position inside [0, size): negative ones count from the end, and
/// whatever a file or a caller gives stays inside the memory.
Expr position(const Expr &index, const Dim &size) {
  Expr e = wrapped(cast(DType::i64, index), extentOf(size));
  return max(min(e, extentOf(size) - 1), imm(0));
}

Status checkGather(InferContext &c, int64_t axis) {
  PLANISH_TRY(wantOperands(c, 2, 2));
  PLANISH_TRY(wantType(c, 1, kIndexes));
  PLANISH_TRY(wantAxes({axis}, c.in(0).rank(), "axis"));
  const Dim &size = c.in(0).shape[size_t(axis)];
  auto known = c.elements(1);
  for (const Expr &e : known ? *known : Exprs{}) {
    auto v = constantOf(e);
    if (v && size.isConstant() && (*v < -size.constant() || *v >= size.constant()))
      return badInput("index " + std::to_string(*v) + " is outside axis " + std::to_string(axis) + " of " +
                      textOf(c.in(0)));
  }
  return {};
}

Types inferGather(InferContext &c) {
  int64_t axis = c.attrs().as<AxisAttrs>().axis;
  PLANISH_TRY(checkGather(c, axis));
  Shape out = c.in(0).shape;
  const Shape &indices = c.in(1).shape;
  out.erase(out.begin() + axis);
  out.insert(out.begin() + axis, indices.begin(), indices.end());
  return oneOutput({c.in(0).dtype, std::move(out), {}, {}});
}
Compute computeGather(const OpView &v) {
  size_t axis = size_t(v.attrs.as<AxisAttrs>().axis), rank = v.inTypes[1].shape.size();
  return mapped(v, "gather", [&](const Exprs &at) {
    Exprs where(at.begin() + long(axis), at.begin() + long(axis + rank));
    Exprs from(at.begin(), at.begin() + long(axis));
    from.push_back(position(load(v.in[1], where), v.inTypes[0].shape[axis]));
    from.insert(from.end(), at.begin() + long(axis + rank), at.end());
    return load(v.in[0], from);
  });
}

Types inferGatherElements(InferContext &c) {
  int64_t axis = c.attrs().as<AxisAttrs>().axis;
  PLANISH_TRY(checkGather(c, axis));
  const Shape &data = c.in(0).shape, &indices = c.in(1).shape;
  if (data.size() != indices.size())
    return badInput("operands differ in rank: " + textOf(c.in(0)) + " and " + textOf(c.in(1)));
  for (size_t d = 0; d < data.size(); ++d)
    if (int64_t(d) != axis && data[d] != indices[d] && indices[d].upper() > data[d].lower())
      return badInput("indices " + textOf(c.in(1)) + " reach beyond " + textOf(c.in(0)));
  return oneOutput({c.in(0).dtype, indices, {}, {}});
}
Compute computeGatherElements(const OpView &v) {
  size_t axis = size_t(v.attrs.as<AxisAttrs>().axis);
  return mapped(v, "gather_elements", [&](const Exprs &at) {
    Exprs from = at;
    from[axis] = position(load(v.in[1], at), v.inTypes[0].shape[axis]);
    return load(v.in[0], from);
  });
}

/// The last dimension of the indices names positions of the dimensions from `axis` on, which counts the
/// batch.
Types inferGatherNd(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 2, 2));
  PLANISH_TRY(wantType(c, 1, kIndexes));
  PLANISH_TRY(wantRank(c, 1, 1));
  const Shape &data = c.in(0).shape, &indices = c.in(1).shape;
  int64_t batch = c.attrs().as<AxisAttrs>().axis;
  PLANISH_ASSIGN(int64_t depth, constantDim(c, 1, c.in(1).rank() - 1));
  if (batch < 0 || batch >= int64_t(indices.size()) || depth < 1 || depth > kMaxRank ||
      batch + depth > int64_t(data.size()))
    return badInput("indices " + textOf(c.in(1)) + " do not fit " + textOf(c.in(0)));
  for (int64_t d = 0; d < batch; ++d)
    if (data[size_t(d)] != indices[size_t(d)])
      return badInput("batch dimensions of " + textOf(c.in(0)) + " and " + textOf(c.in(1)) + " differ");
  Shape out(indices.begin(), indices.end() - 1);
  out.insert(out.end(), data.begin() + batch + depth, data.end());
  return oneOutput({c.in(0).dtype, std::move(out), {}, {}});
}
Compute computeGatherNd(const OpView &v) {
  const Shape &data = v.inTypes[0].shape, &indices = v.inTypes[1].shape;
  long batch = long(v.attrs.as<AxisAttrs>().axis), depth = long(indices.back().constant());
  long outer = long(indices.size()) - 1;
  return mapped(v, "gather_nd", [&](const Exprs &at) {
    Exprs from(at.begin(), at.begin() + batch), where(at.begin(), at.begin() + outer);
    where.push_back({});
    for (long k = 0; k < depth; ++k) {
      where.back() = imm(k);
      from.push_back(position(load(v.in[1], where), data[size_t(batch + k)]));
    }
    from.insert(from.end(), at.begin() + outer, at.end());
    return load(v.in[0], from);
  });
}

const OpDef kGatherElements = {.name = "gather_elements",
                               .summary = "out[i] = x[i with the axis replaced by indices[i]]",
                               .operands = "x, indices",
                               .cls = OpClass::Injective,
                               .layout = LayoutRule::RowMajor,
                               .prototype = AxisAttrs{},
                               .infer = inferGatherElements,
                               .compute = computeGatherElements};
const OpDef kGatherNd = {.name = "gather_nd",
                         .summary = "slices of x at the index vectors; `axis` batch dimensions are shared",
                         .operands = "x, indices",
                         .cls = OpClass::Injective,
                         .layout = LayoutRule::RowMajor,
                         .prototype = AxisAttrs{},
                         .infer = inferGatherNd,
                         .compute = computeGatherNd};

// ---- pad -----------------------------------------------------------------------------------------

Types inferPad(InferContext &c) {
  const PadAttrs &a = c.attrs().as<PadAttrs>();
  PLANISH_TRY(wantOperands(c, 1, 1));
  TensorType type{c.in(0).dtype, c.in(0).shape, {}, {}};
  PLANISH_TRY(wantEntries(a.begin, type.shape.size(), 0, kMaxParameter, "pads"));
  PLANISH_TRY(wantEntries(a.end, type.shape.size(), 0, kMaxParameter, "pads"));
  for (size_t d = 0; d < type.shape.size(); ++d) {
    int64_t room = a.mode == PadMode::Reflect ? type.shape[d].lower() - 1 : type.shape[d].lower();
    bool padded = a.begin[d] || a.end[d];
    if (padded && ((a.mode == PadMode::Reflect && std::max(a.begin[d], a.end[d]) > room) ||
                   (a.mode != PadMode::Constant && type.shape[d].upper() == 0)))
      return badInput("axis " + std::to_string(d) + " of " + textOf(type) + " is too short for its padding");
    PLANISH_ASSIGN(type.shape[d], c.derive(extentOf(type.shape[d]) + (a.begin[d] + a.end[d])));
  }
  return oneOutput(std::move(type));
}
/// The element that stands at position `e` outside or inside [0, size).
Expr padSource(PadMode mode, const Expr &e, const Expr &size) {
  switch (mode) {
  case PadMode::Constant: return e;
  case PadMode::Edge: return max(min(e, size - 1), imm(0));
  case PadMode::Wrap: return floorMod(e, size);
  case PadMode::Reflect: {
    Expr positive = max(e, imm(0) - e);
    return min(positive, (size - 1) * 2 - positive);
  }
  }
  return e;
}
Compute computePad(const OpView &v) {
  const PadAttrs &a = v.attrs.as<PadAttrs>();
  return mapped(v, "pad", [&](const Exprs &at) {
    Exprs from;
    Expr inside;
    for (size_t d = 0; d < at.size(); ++d) {
      Expr e = at[d] - a.begin[d], size = extentOf(v.inTypes[0].shape[d]);
      if (a.begin[d] > 0) inside = conjunction(inside, lessEqual(imm(0), e));
      if (a.end[d] > 0) inside = conjunction(inside, lessThan(e, size));
      from.push_back(a.begin[d] || a.end[d] ? padSource(a.mode, e, size) : e);
    }
    if (a.mode != PadMode::Constant || !inside) return load(v.in[0], from);
    return select(inside, load(v.in[0], from, inside), number(a.value, v.outType.dtype));
  });
}

/// Codes with the constant's code around them, where one stands for it exactly.
std::optional<graph::IntegerValue> integerPad(graph::IntegerContext &c) {
  PadAttrs a = c.attrs.as<PadAttrs>();
  if (a.mode != PadMode::Constant || !c.codes[0]) return std::nullopt;
  const graph::Codes &x = *c.codes[0];
  double code = a.value / x.scale + x.zero;
  if (!(code >= 0 && code <= 255 && code == std::nearbyint(code))) return std::nullopt;
  a.value = code;
  auto padded = c.append(kPad, a, {x.value});
  if (!padded) return std::nullopt;
  return graph::IntegerValue{*padded, 0, {x.scale}, {-x.zero}, {std::max(x.zero, 255 - x.zero)}};
}

/// Negative paddings cut; `axes` names the dimensions the paddings are for.
std::vector<ValueId> padWith(Importer &i, ValueId x, Ints pads, Ints axes, double value) {
  size_t rank = i.type(x).shape.size();
  std::string mode = i.stringAttr("mode", "constant");
  auto found = std::find(std::begin(kPadModes), std::end(kPadModes), mode);
  if (found == std::end(kPadModes)) i.fail("attribute 'mode' is '" + mode + "'");
  if (axes.empty())
    for (size_t d = 0; d < rank; ++d) axes.push_back(int64_t(d));
  if (pads.size() != 2 * axes.size())
    i.fail("pads has " + std::to_string(pads.size()) + " entries, expected " +
           std::to_string(2 * axes.size()));
  PadAttrs a{Ints(rank, 0), Ints(rank, 0), PadMode(found - std::begin(kPadModes)), value};
  Ints cutBegin(rank, 0), cutEnd(rank, 0);
  for (size_t k = 0; k < axes.size() && !i.error(); ++k) {
    size_t d = size_t(i.axis(axes[k], int(rank)));
    if (i.error()) break;
    auto put = [&](int64_t pad, int64_t &grow, int64_t &cut) {
      if (pad < -kMaxParameter || pad > kMaxParameter) i.fail("pads has the entry " + std::to_string(pad));
      else (pad < 0 ? cut : grow) = std::abs(pad);
    };
    put(pads[k], a.begin[d], cutBegin[d]);
    put(pads[k + axes.size()], a.end[d], cutEnd[d]);
  }
  if (i.error()) return one(x);
  bool grows = std::any_of(a.begin.begin(), a.begin.end(), [](int64_t p) { return p > 0; }) ||
               std::any_of(a.end.begin(), a.end.end(), [](int64_t p) { return p > 0; });
  for (size_t d = 0; d < rank; ++d) {
    if (!cutBegin[d] && !cutEnd[d]) continue;
    Expr size = extentOf(i.type(x).shape[d]) - (cutBegin[d] + cutEnd[d]);
    if (auto s = constantOf(size); s && *s < 0)
      i.fail("pads cut more than axis " + std::to_string(d) + " has");
    if (!i.error()) x = sliced(i, x, int(d), imm(cutBegin[d]), size);
  }
  return one(grows && !i.error() ? i.append(kPad, a, {x}) : x);
}
std::vector<ValueId> importPadAttributes(Importer &i) {
  return padWith(i, i.in(0), i.intsAttr("pads", i.intsAttr("paddings", {})), {}, i.floatAttr("value", 0));
}
std::vector<ValueId> importPad(Importer &i) {
  Ints pads = i.constants(1), axes = i.has(3) ? i.constants(3) : Ints{};
  auto value = i.has(2) ? constantScalar(i, i.in(2)) : 0;
  std::vector<ValueId> r = padWith(i, i.in(0), pads, axes, value.value_or(0));
  if (value || i.error() || i.stringAttr("mode", "constant") != "constant") return r;
  // A value known only at run time: where x is not, which the same padding of a mask says.
  ValueId x = i.in(0), mask = broadcastTo(i, i.scalar(DType::b1, 1), i.type(x).shape);
  mask = padWith(i, mask, pads, axes, 0)[0];
  return one(i.append(kWhere, {}, {mask, r[0], reshaped(i, i.in(2), {})}));
}

/// The middle of x at the given sizes: cut where x is larger, padded where it is smaller.
std::vector<ValueId> importCenterCropPad(Importer &i) {
  ValueId x = i.in(0);
  int rank = i.type(x).rank();
  Ints sizes = i.constants(1), axes = i.intsAttr("axes", {});
  if (axes.empty())
    for (int d = 0; d < rank; ++d) axes.push_back(d);
  if (sizes.size() != axes.size())
    i.fail("the shape has " + std::to_string(sizes.size()) + " entries, expected " +
           std::to_string(axes.size()));
  PadAttrs a{Ints(size_t(rank), 0), Ints(size_t(rank), 0), PadMode::Constant, 0};
  bool grows = false;
  for (size_t k = 0; k < axes.size() && !i.error(); ++k) {
    size_t d = size_t(i.axis(axes[k], rank));
    if (i.error()) break;
    const Dim size = i.type(x).shape[d];
    if (!size.isConstant() || sizes[k] < 0 || sizes[k] > kMaxParameter) {
      i.notSupported("axis " + std::to_string(d) + " of " + textOf(i.type(x)) + " at size " +
                     std::to_string(sizes[k]));
      break;
    }
    int64_t room = sizes[k] - size.constant();
    if (room < 0) x = sliced(i, x, int(d), imm(-room / 2), imm(sizes[k]));
    else a.begin[d] = room / 2, a.end[d] = room - room / 2, grows |= room > 0;
  }
  return one(grows && !i.error() ? i.append(kPad, a, {x}) : x);
}

// ---- triangles, one-hot --------------------------------------------------------------------------

struct TriangleAttrs {
  int64_t diagonal = 0;
  bool upper = true;
  void visit(FieldVisitor &v) { v.field("diagonal", diagonal), v.field("upper", upper); }
};
Types inferTriangle(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 1, 2));
  PLANISH_TRY(wantRank(c, 0, 2));
  if (c.has(1)) PLANISH_TRY(wantType(c, 1, bit(DType::i64)));
  if (c.has(1) && c.in(1).rank() != 0) return badInput("the diagonal is " + textOf(c.in(1)));
  return oneOutput({c.in(0).dtype, c.in(0).shape, {}, {}});
}
Compute computeTriangle(const OpView &v) {
  const TriangleAttrs &a = v.attrs.as<TriangleAttrs>();
  auto limited = [](const Expr &e) { return max(min(e, imm(kMaxElements)), imm(-kMaxElements)); };
  return mapped(v, "triangle", [&](const Exprs &at) {
    Expr shifted = at[at.size() - 2] + a.diagonal, column = at.back();
    if (v.in.size() > 1) shifted = shifted + limited(load(v.in[1], {}));
    Expr keep = a.upper ? lessEqual(shifted, column) : lessEqual(column, shifted);
    return select(keep, load(v.in[0], at), number(0, v.outType.dtype));
  });
}
const OpDef kTriangle = {.name = "triangle",
                         .summary =
                             "elements on and above (or below) a diagonal of the last two dimensions, else 0",
                         .operands = "x, diagonal?",
                         .cls = OpClass::Injective,
                         .layout = LayoutRule::RowMajor,
                         .prototype = TriangleAttrs{},
                         .infer = inferTriangle,
                         .compute = computeTriangle};

std::vector<ValueId> importTrilu(Importer &i) {
  const bool upper = i.intAttr("upper", 1) != 0;
  if (i.has(1) && !constantScalar(i, i.in(1))) {
    ValueId diagonal = convertedTo(i, reshaped(i, i.in(1), {}), DType::i64);
    return one(i.append(kTriangle, TriangleAttrs{0, upper}, {i.in(0), diagonal}));
  }
  int64_t k = std::clamp(int64_t(scalarOperand(i, 1, 0)), -kMaxElements, kMaxElements);
  return one(i.append(kTriangle, TriangleAttrs{k, upper}, {i.in(0)}));
}
std::vector<ValueId> importEyeLike(Importer &i) {
  ValueId x = i.in(0);
  DType type = i.type(x).dtype;
  if (i.hasAttr("dtype")) {
    auto wanted = computedType(i.intAttr("dtype", 1));
    if (!wanted) i.notSupported("attribute 'dtype' is " + std::to_string(i.intAttr("dtype", 1)));
    else type = *wanted;
  }
  int64_t k = std::clamp(i.intAttr("k", 0), -kMaxElements, kMaxElements);
  ValueId ones = broadcastTo(i, i.scalar(type, 1), i.type(x).shape);
  ValueId above = i.append(kTriangle, TriangleAttrs{k, true}, {ones});
  return one(i.append(kTriangle, TriangleAttrs{k, false}, {above}));
}

struct OneHotAttrs {
  int64_t axis = 0;
  Shape depth;  // one entry
  void visit(FieldVisitor &v) { v.field("axis", axis), v.field("depth", depth); }
};
Types inferOneHot(InferContext &c) {
  const OneHotAttrs &a = c.attrs().as<OneHotAttrs>();
  PLANISH_TRY(wantOperands(c, 2, 2));
  PLANISH_TRY(wantType(c, 0, kNumbers));
  PLANISH_TRY(wantAxes({a.axis}, c.in(0).rank() + 1, "axis"));
  if (a.depth.size() != 1) return badInput("depth needs one entry");
  if (c.in(1).shape != Shape{Dim(2)}) return badInput("values is " + textOf(c.in(1)) + ", expected [2]");
  Shape out = c.in(0).shape;
  out.insert(out.begin() + a.axis, a.depth[0]);
  return oneOutput({c.in(1).dtype, std::move(out), {}, {}});
}
Compute computeOneHot(const OpView &v) {
  const OneHotAttrs &a = v.attrs.as<OneHotAttrs>();
  return mapped(v, "one_hot", [&](const Exprs &at) {
    Exprs from = at;
    from.erase(from.begin() + a.axis);
    Expr index = wrapped(cast(DType::i64, load(v.in[0], from)), extentOf(a.depth[0]));
    Expr hot = binary(BinaryOp::Eq, index, at[size_t(a.axis)]);
    return select(hot, load(v.in[1], {imm(1)}), load(v.in[1], {imm(0)}));
  });
}
const OpDef kOneHot = {.name = "one_hot",
                       .summary = "values[1] where the new axis equals the index, values[0] elsewhere",
                       .operands = "indices, values",
                       .cls = OpClass::Injective,
                       .layout = LayoutRule::RowMajor,
                       .prototype = OneHotAttrs{},
                       .infer = inferOneHot,
                       .compute = computeOneHot};
std::vector<ValueId> importOneHot(Importer &i) {
  ValueId indices = i.in(0);
  double depth = scalarOperand(i, 1, 1);
  int axis = i.axis(i.intAttr("axis", -1), i.type(indices).rank() + 1);
  if (!(depth >= 1 && depth <= double(kMaxParameter))) i.fail("depth is " + textOf(depth));
  if (i.error()) return one(indices);
  return one(i.append(kOneHot, OneHotAttrs{axis, {Dim(int64_t(depth))}}, {indices, i.in(2)}));
}

// ---- reversed sequences --------------------------------------------------------------------------

struct ReverseAttrs {
  int64_t axis = 0, batch = 1;
  void visit(FieldVisitor &v) { v.field("axis", axis), v.field("batch", batch); }
};
Types inferReverse(InferContext &c) {
  const ReverseAttrs &a = c.attrs().as<ReverseAttrs>();
  PLANISH_TRY(wantOperands(c, 2, 2));
  PLANISH_TRY(wantType(c, 1, kIndexes));
  PLANISH_TRY(wantAxes({a.axis, a.batch}, c.in(0).rank(), "axis or batch"));
  if (c.in(1).shape != Shape{c.in(0).shape[size_t(a.batch)]})
    return badInput("lengths is " + textOf(c.in(1)) + ", expected one per entry of axis " +
                    std::to_string(a.batch) + " of " + textOf(c.in(0)));
  return oneOutput({c.in(0).dtype, c.in(0).shape, {}, {}});
}
Compute computeReverse(const OpView &v) {
  const ReverseAttrs &a = v.attrs.as<ReverseAttrs>();
  return mapped(v, "reverse_sequence", [&](const Exprs &at) {
    Expr size = extentOf(v.outType.shape[size_t(a.axis)]), time = at[size_t(a.axis)];
    Expr length = min(cast(DType::i64, load(v.in[1], {at[size_t(a.batch)]})), size);
    Exprs from = at;
    from[size_t(a.axis)] = select(lessThan(time, length), length - 1 - time, time);
    return load(v.in[0], from);
  });
}
const OpDef kReverse = {.name = "reverse_sequence",
                        .summary =
                            "the first lengths[b] elements along an axis in reverse, the others as they are",
                        .operands = "x, lengths",
                        .cls = OpClass::Injective,
                        .layout = LayoutRule::RowMajor,
                        .prototype = ReverseAttrs{},
                        .infer = inferReverse,
                        .compute = computeReverse};
std::vector<ValueId> importReverseSequence(Importer &i) {
  ValueId x = i.in(0);
  int rank = i.type(x).rank();
  ReverseAttrs a{i.axis(i.intAttr("time_axis", 0), rank, "time_axis"),
                 i.axis(i.intAttr("batch_axis", 1), rank, "batch_axis")};
  return one(i.append(kReverse, a, {x, i.in(1)}));
}

// ---- import of gathers ---------------------------------------------------------------------------

/// The indices of a gather when they are known and evenly spaced: first, step and count.
struct Spacing {
  int64_t first, step, count;
};
std::optional<Spacing> evenSpacing(Importer &i, ValueId indices, int64_t size) {
  auto known = i.graph().elements(indices);
  if (!known || known->empty()) return std::nullopt;
  Ints at;
  for (const Expr &e : *known) {
    auto v = loop::constantOf(e);
    if (!v || *v < -size || *v >= size) return std::nullopt;
    at.push_back(*v < 0 ? *v + size : *v);
  }
  Spacing s{at[0], at.size() > 1 ? at[1] - at[0] : 1, int64_t(at.size())};
  for (size_t k = 0; k < at.size(); ++k)
    if (at[k] != s.first + int64_t(k) * s.step) return std::nullopt;
  return s.step == 0 ? std::nullopt : std::optional(s);
}

/// Evenly spaced indices are a slice, which is a view; others are gathered at run time.
std::vector<ValueId> importGather(Importer &i) {
  ValueId x = i.in(0), indices = i.in(1);
  int axis = i.axis(i.intAttr("axis", 0), i.type(x).rank());
  if (i.error()) return one(x);
  Shape shape = i.type(x).shape;
  const Dim &size = shape[size_t(axis)];
  auto spacing = size.isConstant() ? evenSpacing(i, indices, size.constant()) : std::nullopt;
  if (!spacing) return one(i.append(kGather, AxisAttrs{axis}, {x, indices}));
  SliceAttrs slice{Shape(shape.size(), Dim(0)), Ints(shape.size(), 1), shape};
  slice.begin[size_t(axis)] = spacing->first;
  slice.steps[size_t(axis)] = spacing->step;
  slice.size[size_t(axis)] = spacing->count;
  ValueId part = i.append(kSlice, slice, {x});
  if (i.error()) return one(x);
  Shape result(shape.begin(), shape.begin() + axis);
  const Shape &index = i.type(indices).shape;
  result.insert(result.end(), index.begin(), index.end());
  result.insert(result.end(), shape.begin() + axis + 1, shape.end());
  return one(i.append(kReshape, ShapeAttrs{result}, {part}));
}
std::vector<ValueId> importGatherElements(Importer &i) {
  ValueId x = i.in(0);
  int axis = i.axis(i.intAttr("axis", 0), i.type(x).rank());
  return one(i.error() ? x : i.append(kGatherElements, AxisAttrs{axis}, {x, i.in(1)}));
}
std::vector<ValueId> importGatherNd(Importer &i) {
  return one(i.append(kGatherNd, AxisAttrs{i.intAttr("batch_dims", 0)}, {i.in(0), i.in(1)}));
}

} // namespace

const OpDef kGather = {.name = "gather",
                       .summary =
                           "slices of x along an axis at the given indices, which may count from the end",
                       .operands = "x, indices",
                       .cls = OpClass::Injective,
                       .prototype = AxisAttrs{},
                       .infer = inferGather,
                       .compute = computeGather};
Result<ValueId> picked(graph::Graph &g, ValueId x, size_t dim, const std::vector<int64_t> &positions,
                       graph::Loc loc) {
  bool inARow = std::ranges::adjacent_find(positions, [](int64_t a, int64_t b) { return b != a + 1; }) ==
                positions.end();
  if (inARow && !positions.empty()) {
    const Shape &shape = g.type(x).shape;
    SliceAttrs a{Shape(shape.size(), Dim(0)), Ints(shape.size(), 1), shape};
    a.begin[dim] = Dim(positions[0]), a.size[dim] = Dim(int64_t(positions.size()));
    PLANISH_ASSIGN(auto part, g.append(kSlice, std::move(a), {x}, std::move(loc)));
    return part[0];
  }
  ValueId table = g.addConstant(DType::i64, {int64_t(positions.size())}, positions);
  PLANISH_ASSIGN(auto r, g.append(kGather, AxisAttrs{int64_t(dim)}, {x, table}, std::move(loc)));
  return r[0];
}

Result<ValueId> extended(graph::Graph &g, ValueId x, size_t dim, int64_t size, graph::Loc loc) {
  const Shape &shape = g.type(x).shape;
  PadAttrs a{Ints(shape.size(), 0), Ints(shape.size(), 0), PadMode::Constant, 0};
  a.end[dim] = size - shape[dim].constant();
  PLANISH_ASSIGN(auto r, g.append(kPad, std::move(a), {x}, std::move(loc)));
  return r[0];
}

const OpDef kPad = {.name = "pad",
                    .summary =
                        "x with elements added around it: a constant, mirrored, the edge's, or wrapped",
                    .operands = "x",
                    .cls = OpClass::Injective,
                    .prototype = PadAttrs{},
                    .infer = inferPad,
                    .compute = computePad,
                    .integer = integerPad};

Family indexingFamily() {
  return {{&kGather, &kGatherElements, &kGatherNd, &kPad, &kTriangle, &kOneHot, &kReverse},
          {{"Gather", 1, importGather, "", true},
           {"GatherElements", 11, importGatherElements},
           {"GatherND", 11, importGatherNd},
           {"Pad", 1, importPadAttributes},
           {"Pad", 11, importPad},
           {"CenterCropPad", 18, importCenterCropPad},
           {"Trilu", 14, importTrilu},
           {"ReverseSequence", 10, importReverseSequence},
           {"EyeLike", 9, importEyeLike},
           {"OneHot", 9, importOneHot}}};
}

} // namespace planish::ops
