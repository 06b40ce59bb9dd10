// Operators that move or rename elements: their rows, and where they are views of memory.
#include "Rows.h"

#include <algorithm>

namespace planish::ops {

// ---- reshape -------------------------------------------------------------------------------------

namespace {

/// Dimensions [inBegin, inEnd) of one shape hold the same elements as [outBegin, outEnd) of another.
struct DimGroup {
  size_t inBegin, inEnd, outBegin, outEnd;
};

/// Cuts two shapes of equal element counts into the smallest groups that hold the same elements.
std::vector<DimGroup> dimGroups(const Shape &in, const Shape &out) {
  std::vector<DimGroup> r;
  size_t i = 0, j = 0;
  while (i < in.size() && j < out.size()) {
    DimGroup g{i, i + 1, j, j + 1};
    auto same = [&] {
      return equal(product(in, int(g.inBegin), int(g.inEnd)), product(out, int(g.outBegin), int(g.outEnd)));
    };
    auto bound = [](const Shape &s, size_t first, size_t last) {
      return elementBound(Shape(s.begin() + long(first), s.begin() + long(last)));
    };
    while (!same() && (g.inEnd < in.size() || g.outEnd < out.size())) {
      int64_t a = bound(in, g.inBegin, g.inEnd), b = bound(out, g.outBegin, g.outEnd);
      if (g.outEnd == out.size() || (g.inEnd < in.size() && a < b)) ++g.inEnd;
      else ++g.outEnd;
    }
    r.push_back(g);
    i = g.inEnd, j = g.outEnd;
  }
  if (r.empty()) r.push_back({0, 0, 0, 0});
  r.back().inEnd = in.size(), r.back().outEnd = out.size();  // what is left has size one
  return r;
}

bool isOne(const Dim &d) { return d.isConstant() && d.constant() == 1; }

/// The indices into a tensor of shape `to` of the element at `at` in one of shape `from`.
Exprs reindexed(const Shape &from, const Exprs &at, const Shape &to) {
  Exprs r(to.size(), imm(0));
  for (const DimGroup &g : dimGroups(from, to)) {
    Expr linear = imm(0);
    for (size_t d = g.inBegin; d < g.inEnd; ++d)
      linear = isOne(from[d]) ? linear : linear * extentOf(from[d]) + at[d];
    size_t first = g.outBegin;
    while (first < g.outEnd && isOne(to[first])) ++first;
    for (size_t d = g.outEnd; d-- > first;) {
      if (isOne(to[d])) continue;
      r[d] = d == first ? linear : floorMod(linear, extentOf(to[d]));
      linear = d == first ? linear : floorDiv(linear, extentOf(to[d]));
    }
  }
  return r;
}

/// Strides of shape `to` over memory that holds shape `from` at `view`: dimensions that merge must be
/// adjacent in memory.
std::optional<View> reshapedView(const Shape &from, const View &view, const Shape &to) {
  View r{Exprs(to.size(), imm(1)), view.offset};
  for (const DimGroup &g : dimGroups(from, to)) {
    Expr stride, next;  // of the innermost dimension; of the next one outward if it lies adjacent
    for (size_t d = g.inEnd; d-- > g.inBegin;) {
      if (isOne(from[d])) continue;
      if (!stride) stride = view.strides[d];
      else if (!equal(affine(next), affine(view.strides[d]))) return std::nullopt;
      next = view.strides[d] * extentOf(from[d]);
    }
    if (!stride) stride = imm(1);
    for (size_t d = g.outEnd; d-- > g.outBegin;) {
      r.strides[d] = stride;
      stride = stride * extentOf(to[d]);
    }
  }
  return r;
}

/// Whether every dimension of `out` is the product of the next ones of `in`.
bool mergesInto(InferContext &c, const Shape &in, const Shape &out) {
  size_t next = 0;
  for (const Dim &wanted : out) {
    Expr size = imm(1);
    bool found = false;
    while (!found && next < in.size()) {
      size = size * extentOf(in[next++]);
      auto merged = c.derive(size);
      found = merged && *merged == wanted;
    }
    if (!found) return false;
  }
  return next == in.size();
}

Types inferReshape(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 1, 1));
  const Shape &in = c.in(0).shape, &out = c.attrs().as<ShapeAttrs>().shape;
  PLANISH_ASSIGN(auto r, oneOutput({c.in(0).dtype, out, {}, {}}));
  bool symbolic = !constantShape(in) || !constantShape(out);
  int fresh = int(std::count_if(out.begin(), out.end(), [&](const Dim &d) {
    return !d.isConstant() && std::find(in.begin(), in.end(), d) == in.end();
  }));
  // A new symbol is the one size that was computed from the others.
  if (!equal(affine(product(in)), affine(product(out))) &&
      !(symbolic && (fresh == 1 || mergesInto(c, in, out))))
    return badInput("cannot give " + textOf(c.in(0)) + " the shape " + textOf(out));
  return r;
}
Compute computeReshape(const OpView &v) {
  return mapped(v, "reshape", [&](const Exprs &at) {
    return load(v.in[0], reindexed(v.outType.shape, at, v.inTypes[0].shape));
  });
}
std::optional<View> reshapeOutput(const OpView &v, const View &input) {
  return reshapedView(v.inTypes[0].shape, input, v.outType.shape);
}
std::optional<View> reshapeInput(const OpView &v, int, const View &output) {
  return reshapedView(v.outType.shape, output, v.inTypes[0].shape);
}

// ---- transpose -----------------------------------------------------------------------------------

Types inferTranspose(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 1, 1));
  const Ints &perm = c.attrs().as<PermAttrs>().perm;
  const TensorType &in = c.in(0);
  PLANISH_TRY(wantEntries(perm, in.shape.size(), 0, kMaxRank, "perm"));
  PLANISH_TRY(wantAxes(perm, in.rank(), "perm"));
  Shape shape;
  for (int64_t p : perm) shape.push_back(in.shape[size_t(p)]);
  return oneOutput({in.dtype, std::move(shape), {}, {}});
}
Exprs unpermuted(const Ints &perm, const Exprs &at) {
  Exprs r(at.size());
  for (size_t k = 0; k < perm.size(); ++k) r[size_t(perm[k])] = at[k];
  return r;
}
Compute computeTranspose(const OpView &v) {
  return mapped(v, "transpose",
                [&](const Exprs &at) { return load(v.in[0], unpermuted(v.attrs.as<PermAttrs>().perm, at)); });
}
std::optional<View> transposeOutput(const OpView &v, const View &input) {
  View r{{}, input.offset};
  for (int64_t p : v.attrs.as<PermAttrs>().perm) r.strides.push_back(input.strides[size_t(p)]);
  return r;
}
std::optional<View> transposeInput(const OpView &v, int, const View &output) {
  return View{unpermuted(v.attrs.as<PermAttrs>().perm, output.strides), output.offset};
}

// ---- slice ---------------------------------------------------------------------------------------

Types inferSlice(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 1, 1));
  const SliceAttrs &a = c.attrs().as<SliceAttrs>();
  const TensorType &in = c.in(0);
  PLANISH_TRY(wantEntries(a.steps, in.shape.size(), -kMaxElements, kMaxElements, "steps"));
  if (a.begin.size() != in.shape.size() || a.size.size() != in.shape.size())
    return badInput("begin and size need " + std::to_string(in.rank()) + " entries");
  for (size_t d = 0; d < in.shape.size(); ++d) {
    if (a.steps[d] == 0) return badInput("step 0 on axis " + std::to_string(d));
    if (!a.begin[d].isConstant() || !a.size[d].isConstant() || !in.shape[d].isConstant()) continue;
    int64_t n = a.size[d].constant(), first = a.begin[d].constant(), dim = in.shape[d].constant();
    bool inside = n == 0 || (n <= dim && first >= 0 && first < dim);
    int64_t last = inside && n > 0 ? first + (n - 1) * a.steps[d] : 0;
    if (!inside || (n > 0 && (last < 0 || last >= dim)))
      return badInput("axis " + std::to_string(d) + " has " + std::to_string(dim) + " elements, not " +
                      std::to_string(n) + " from " + std::to_string(first) + " on by " +
                      std::to_string(a.steps[d]));
  }
  return oneOutput({in.dtype, a.size, {}, {}});
}
Compute computeSlice(const OpView &v) {
  const SliceAttrs &a = v.attrs.as<SliceAttrs>();
  return mapped(v, "slice", [&](const Exprs &at) {
    Exprs from;
    for (size_t d = 0; d < at.size(); ++d) from.push_back(extentOf(a.begin[d]) + at[d] * a.steps[d]);
    return load(v.in[0], from);
  });
}
std::optional<View> sliceOutput(const OpView &v, const View &input) {
  const SliceAttrs &a = v.attrs.as<SliceAttrs>();
  View r{{}, input.offset};
  for (size_t d = 0; d < a.steps.size(); ++d) {
    r.offset = r.offset + extentOf(a.begin[d]) * input.strides[d];
    r.strides.push_back(input.strides[d] * a.steps[d]);
  }
  return r;
}

// ---- concat --------------------------------------------------------------------------------------

Types inferConcat(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 1, 1 << 16));
  TensorType type = c.in(0);
  int64_t axis = c.attrs().as<AxisAttrs>().axis;
  PLANISH_TRY(wantAxes({axis}, type.rank(), "axis"));
  Expr size = imm(0);
  for (int i = 0; i < c.inputs(); ++i) {
    if (!c.has(i)) return badInput("misses operand " + std::to_string(i));
    PLANISH_TRY(wantSameType(c, 0, i));
    Shape others = c.in(i).shape;
    if (others.size() != type.shape.size())
      return badInput("operands 0 and " + std::to_string(i) + " differ in rank: " + textOf(type) + " and " +
                      textOf(c.in(i)));
    size = size + extentOf(others[size_t(axis)]);
    for (size_t d = 0; d < others.size(); ++d) {
      if (int64_t(d) == axis) continue;
      auto shared = sameDim(c, type.shape[d], others[d]);
      if (!shared)
        return badInput("operands 0 and " + std::to_string(i) + " differ beside axis " +
                        std::to_string(axis) + ": " + textOf(c.in(0)) + " and " + textOf(c.in(i)));
      type.shape[d] = *shared;
    }
    if (elementBound(c.in(i).shape) > kMaxElements)
      return badInput("operand " + std::to_string(i) + " is too large");
  }
  PLANISH_ASSIGN(type.shape[size_t(axis)], c.derive(size));
  return oneOutput({type.dtype, std::move(type.shape), {}, {}});
}

/// Where each operand starts along the axis.
Exprs concatStarts(const OpView &v) {
  size_t axis = size_t(v.attrs.as<AxisAttrs>().axis);
  Exprs r{imm(0)};
  for (const TensorType &t : v.inTypes) r.push_back(r.back() + extentOf(t.shape[axis]));
  return r;
}
Compute computeConcat(const OpView &v) {
  size_t axis = size_t(v.attrs.as<AxisAttrs>().axis);
  Exprs starts = concatStarts(v);
  return mapped(v, "concat", [&](const Exprs &at) {
    Expr value;
    for (size_t i = v.in.size(); i-- > 0;) {
      Exprs from = at;
      from[axis] = at[axis] - starts[i];
      bool only = v.in.size() == 1;
      Expr element = load(v.in[i], from, only ? Expr() : within(from[axis], starts[i + 1] - starts[i]));
      value = value ? select(lessThan(at[axis], starts[i + 1]), element, value) : element;
    }
    return value;
  });
}
std::optional<View> concatInput(const OpView &v, int input, const View &output) {
  size_t axis = size_t(v.attrs.as<AxisAttrs>().axis);
  return View{output.strides, output.offset + concatStarts(v)[size_t(input)] * output.strides[axis]};
}

// ---- broadcast, tile -----------------------------------------------------------------------------

Types inferBroadcast(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 1, 1));
  PLANISH_ASSIGN(Shape shape, broadcastShape(c, c.in(0).shape, c.attrs().as<ShapeAttrs>().shape));
  return oneOutput({c.in(0).dtype, std::move(shape), {}, {}});
}
Compute computeBroadcast(const OpView &v) {
  return mapped(v, "broadcast",
                [&](const Exprs &at) { return load(v.in[0], graph::broadcastIndices(v, 0, at)); });
}

Types inferTile(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 1, 1));
  const Ints &repeats = c.attrs().as<PermAttrs>().perm;
  TensorType type{c.in(0).dtype, c.in(0).shape, {}, {}};
  PLANISH_TRY(wantEntries(repeats, type.shape.size(), 0, kMaxElements, "repeats"));
  for (size_t d = 0; d < repeats.size(); ++d) {
    if (repeats[d] > 0 && type.shape[d].upper() > kMaxElements / repeats[d])
      return badInput("repeats axis " + std::to_string(d) + " " + std::to_string(repeats[d]) + " times");
    PLANISH_ASSIGN(type.shape[d], c.derive(extentOf(type.shape[d]) * repeats[d]));
  }
  return oneOutput(std::move(type));
}
Compute computeTile(const OpView &v) {
  const Ints &repeats = v.attrs.as<PermAttrs>().perm;
  return mapped(v, "tile", [&](const Exprs &at) {
    Exprs from;
    for (size_t d = 0; d < at.size(); ++d)
      from.push_back(repeats[d] == 1 ? at[d] : floorMod(at[d], extentOf(v.inTypes[0].shape[d])));
    return load(v.in[0], from);
  });
}

} // namespace

const OpDef kReshape = {.name = "reshape",
                        .summary = "the same elements in row-major order under another shape",
                        .operands = "x",
                        .cls = OpClass::Movement,
                        .layout = LayoutRule::RowMajor,
                        .prototype = ShapeAttrs{},
                        .infer = inferReshape,
                        .compute = computeReshape,
                        .outputView = reshapeOutput,
                        .inputView = reshapeInput};
const OpDef kTranspose = {.name = "transpose",
                          .summary = "dimensions in another order",
                          .operands = "x",
                          .cls = OpClass::Movement,
                          .layout = LayoutRule::RowMajor,
                          .prototype = PermAttrs{},
                          .infer = inferTranspose,
                          .compute = computeTranspose,
                          .outputView = transposeOutput,
                          .inputView = transposeInput};
const OpDef kSlice = {.name = "slice",
                      .summary = "out[i] = x[begin + i*step] per dimension",
                      .operands = "x",
                      .cls = OpClass::Movement,
                      .prototype = SliceAttrs{},
                      .infer = inferSlice,
                      .compute = computeSlice,
                      .outputView = sliceOutput};
const OpDef kConcat = {.name = "concat",
                       .summary = "operands one after the other along an axis",
                       .operands = "x...",
                       .cls = OpClass::Movement,
                       .prototype = AxisAttrs{},
                       .infer = inferConcat,
                       .compute = computeConcat,
                       .inputView = concatInput};
Result<ValueId> concatenated(graph::Graph &g, std::vector<ValueId> values, size_t dim, graph::Loc loc) {
  PLANISH_ASSIGN(auto r, g.append(kConcat, AxisAttrs{int64_t(dim)}, std::move(values), std::move(loc)));
  return r[0];
}

const OpDef kBroadcast = {.name = "broadcast",
                          .summary = "sizes of one repeated up to a shape",
                          .operands = "x",
                          .cls = OpClass::Injective,
                          .prototype = ShapeAttrs{},
                          .infer = inferBroadcast,
                          .compute = computeBroadcast};
const OpDef kTile = {.name = "tile",
                     .summary = "the whole tensor repeated `perm` times per dimension",
                     .operands = "x",
                     .cls = OpClass::Injective,
                     .prototype = PermAttrs{},
                     .infer = inferTile,
                     .compute = computeTile};

} // namespace planish::ops
