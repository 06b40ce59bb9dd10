// Updates put into a tensor at places that data name, in the order of the updates.
#include "Rows.h"
#include "Sorting.h"
#include "Window.h"

#include <algorithm>

namespace planish::ops {

namespace {

using graph::LoopsView;

/// What an update does to the element it names.
enum class ScatterMode : uint8_t { Last, Add, Mul, Max, Min };
constexpr std::string_view kScatterModes[] = {"none", "add", "mul", "max", "min"};
std::span<const std::string_view> spellings(ScatterMode) { return kScatterModes; }

struct ScatterAttrs {
  int64_t axis = 0;
  ScatterMode mode = ScatterMode::Add;
  void visit(FieldVisitor &v) { v.field("axis", axis), v.field("mode", mode); }
};
struct ScatterNdAttrs {
  ScatterMode mode = ScatterMode::Add;
  void visit(FieldVisitor &v) { v.field("mode", mode); }
};

Expr updated(ScatterMode mode, const Expr &old, const Expr &update) {
  switch (mode) {
  case ScatterMode::Last: break;
  case ScatterMode::Add: return old + update;
  case ScatterMode::Mul: return old * update;
  case ScatterMode::Max: return max(old, update);
  case ScatterMode::Min: return min(old, update);
  }
  return update;
}

Status wantUpdates(const InferContext &c, ScatterMode mode) {
  PLANISH_TRY(wantSameType(c, 0, 2));
  PLANISH_TRY(wantType(c, 1, kIndexes));
  return mode == ScatterMode::Last ? Status() : wantType(c, 0, kNumbers);
}
/// `part` is not larger than `whole`; where only a run can tell, one where it is fails.
Status wantInside(InferContext &c, const Dim &part, const Dim &whole) {
  if (part == whole || part.upper() <= whole.lower()) return {};
  auto room = c.derive(extentOf(whole) - extentOf(part));
  return room ? Status() : badInput("indices " + textOf(c.in(1)) + " reach beyond " + textOf(c.in(0)));
}

/// Statements at every point of a shape, with the named dimension first and its loop of the given kind.
Stmt overAll(const Shape &shape, size_t first, LoopKind kind,
             const std::function<Stmt(const Exprs &)> &body) {
  Exprs at(shape.size());
  std::vector<size_t> order;
  if (first < shape.size()) order.push_back(first);
  for (size_t d = 0; d < shape.size(); ++d)
    if (d != first) order.push_back(d);
  std::function<Stmt(size_t)> over = [&](size_t n) -> Stmt {
    if (n == order.size()) return body(at);
    size_t d = order[n];
    auto inner = [&](const Expr &i) {
      at[d] = i;
      return over(n + 1);
    };
    return forEach("i" + std::to_string(d), imm(0), extentOf(shape[d]), shape[d].upper(), inner,
                   n == 0 ? kind : LoopKind::Serial);
  };
  return over(0);
}

// ---- scatter_elements ----------------------------------------------------------------------------

Types inferScatter(InferContext &c) {
  const ScatterAttrs &a = c.attrs().as<ScatterAttrs>();
  PLANISH_TRY(wantUpdates(c, a.mode));
  PLANISH_TRY(wantAxes({a.axis}, c.in(0).rank(), "axis"));
  const Shape &data = c.in(0).shape, &indices = c.in(1).shape, &updates = c.in(2).shape;
  if (indices.size() != data.size() || updates.size() != data.size())
    return badInput("indices " + textOf(c.in(1)) + " and updates " + textOf(c.in(2)) + " do not fit " +
                    textOf(c.in(0)));
  for (size_t d = 0; d < data.size(); ++d) {
    PLANISH_TRY(sameDim(c, indices[d], updates[d]));
    if (int64_t(d) != a.axis) PLANISH_TRY(wantInside(c, indices[d], data[d]));
  }
  return oneOutput({c.in(0).dtype, data, {}, {}});
}
/// Slices beside the axis are independent of each other.
Stmt loopsScatter(const LoopsView &v) {
  const ScatterAttrs &a = v.attrs.as<ScatterAttrs>();
  size_t axis = size_t(a.axis);
  const Shape &data = v.inTypes[0].shape, &indices = v.inTypes[1].shape;
  auto copy = [&](const Exprs &at) { return loop::store(v.out[0], at, load(v.in[0], at)); };
  auto update = [&](const Exprs &at) {
    Expr size = extentOf(data[axis]);
    Exprs to = at;
    to[axis] = wrapped(cast(DType::i64, load(v.in[1], at)), size);
    return loop::ifThen(within(to[axis], size),
                        loop::store(v.out[0], to, updated(a.mode, load(v.out[0], to), load(v.in[2], at))));
  };
  size_t side = 0;
  while (side < data.size() && (side == axis || data[side].upper() == 1)) ++side;
  if (side == data.size())
    return loop::block(
        {overAll(data, axis, LoopKind::Serial, copy), overAll(indices, axis, LoopKind::Serial, update)});
  // One slice after the other: first what was there, then the updates.
  auto inSlice = [&](Shape shape, const Expr &slice, const std::function<Stmt(const Exprs &)> &body) {
    shape[side] = Dim(1);
    return overAll(shape, axis, LoopKind::Serial, [&](Exprs at) {
      at[side] = slice;
      return body(at);
    });
  };
  return forEach(
      "slice", imm(0), extentOf(data[side]), data[side].upper(),
      [&](const Expr &slice) {
        return loop::block({inSlice(data, slice, copy), loop::ifThen(lessThan(slice, extentOf(indices[side])),
                                                                     inSlice(indices, slice, update))});
      },
      LoopKind::Parallel);
}
const OpDef kScatter = {.name = "scatter_elements",
                        .summary =
                            "x with updates[i] put (or combined) at i with the axis replaced by indices[i]",
                        .operands = "x, indices, updates",
                        .layout = LayoutRule::RowMajor,
                        .prototype = ScatterAttrs{},
                        .infer = inferScatter,
                        .loops = loopsScatter};

// ---- scatter_nd ----------------------------------------------------------------------------------

Types inferScatterNd(InferContext &c) {
  PLANISH_TRY(wantUpdates(c, c.attrs().as<ScatterNdAttrs>().mode));
  PLANISH_TRY(wantRank(c, 1, 1));
  const Shape &data = c.in(0).shape, &indices = c.in(1).shape, &updates = c.in(2).shape;
  PLANISH_ASSIGN(int64_t depth, constantDim(c, 1, c.in(1).rank() - 1));
  if (depth < 0 || depth > int64_t(data.size()))
    return badInput("indices " + textOf(c.in(1)) + " name no elements of " + textOf(c.in(0)));
  Shape wanted(indices.begin(), indices.end() - 1);
  wanted.insert(wanted.end(), data.begin() + depth, data.end());
  if (updates.size() != wanted.size())
    return badInput("the updates are " + textOf(c.in(2)) + ", expected " + textOf(wanted));
  for (size_t d = 0; d < wanted.size(); ++d) PLANISH_TRY(sameDim(c, updates[d], wanted[d]));
  return oneOutput({c.in(0).dtype, data, {}, {}});
}
Stmt loopsScatterNd(const LoopsView &v) {
  ScatterMode mode = v.attrs.as<ScatterNdAttrs>().mode;
  const Shape &data = v.inTypes[0].shape, &indices = v.inTypes[1].shape;
  long outer = long(indices.size()) - 1, depth = long(indices.back().constant());
  Stmt copy = overAll(data, 0, LoopKind::Serial,
                      [&](const Exprs &at) { return loop::store(v.out[0], at, load(v.in[0], at)); });
  Stmt update = overAll(v.inTypes[2].shape, 0, LoopKind::Serial, [&](const Exprs &at) {
    Exprs where(at.begin(), at.begin() + outer), to;
    where.push_back({});
    Expr inside;
    for (long k = 0; k < depth; ++k) {
      where.back() = imm(k);
      Expr size = extentOf(data[size_t(k)]);
      to.push_back(wrapped(cast(DType::i64, load(v.in[1], where)), size));
      inside = conjunction(inside, within(to.back(), size));
    }
    to.insert(to.end(), at.begin() + outer, at.end());
    Stmt put = loop::store(v.out[0], to, updated(mode, load(v.out[0], to), load(v.in[2], at)));
    return inside ? loop::ifThen(inside, put) : put;
  });
  return loop::block({copy, update});
}
const OpDef kScatterNd = {.name = "scatter_nd",
                          .summary = "x with slices put (or combined) at the index vectors",
                          .operands = "x, indices, updates",
                          .layout = LayoutRule::RowMajor,
                          .prototype = ScatterNdAttrs{},
                          .infer = inferScatterNd,
                          .loops = loopsScatterNd};

// ---- sums of overlapping blocks ------------------------------------------------------------------

struct FoldAttrs {
  Ints image, window, strides, dilations, padsBegin, padsEnd;
  void visit(FieldVisitor &v) {
    v.field("image", image), v.field("window", window), v.field("strides", strides);
    v.field("dilations", dilations), v.field("pads_begin", padsBegin), v.field("pads_end", padsEnd);
  }
};
std::vector<Window> windowsOf(const FoldAttrs &a) {
  return ops::windowsOf(a.window, a.strides, a.dilations, a.padsBegin, a.padsEnd);
}
int64_t productOf(const Ints &sizes) {
  int64_t r = 1;
  for (int64_t s : sizes) r = r > kMaxElements ? r : r * s;
  return r;
}
/// Positions of every window in the image.
Result<Ints> gridOf(const FoldAttrs &a) {
  PLANISH_TRY(wantEntries(a.image, a.window.size(), 1, kMaxParameter, "image"));
  PLANISH_ASSIGN(auto windows, checkedWindows(int(a.window.size()), a.window, a.strides, a.dilations,
                                              a.padsBegin, a.padsEnd));
  Ints r;
  for (size_t d = 0; d < windows.size(); ++d) {
    int64_t room = a.image[d] + windows[d].padBegin + windows[d].padEnd - windows[d].reach();
    if (room < 0)
      return badInput("a window of " + std::to_string(a.window[d]) + " does not fit into " +
                      std::to_string(a.image[d]));
    r.push_back(room / windows[d].stride + 1);
  }
  return r;
}
/// x is [batch, channels * window, positions].
Types inferFold(InferContext &c) {
  const FoldAttrs &a = c.attrs().as<FoldAttrs>();
  PLANISH_TRY(wantType(c, 0, kNumbers));
  PLANISH_TRY(wantRank(c, 0, 3, 3));
  if (a.window.empty() || a.window.size() > size_t(kMaxRank) - 2)
    return badInput("has no spatial dimension, or too many");
  PLANISH_ASSIGN(Ints grid, gridOf(a));
  PLANISH_ASSIGN(int64_t rows, constantDim(c, 0, 1));
  int64_t area = productOf(a.window);
  if (rows % area || c.in(0).shape[2] != Dim(productOf(grid)))
    return badInput("x is " + textOf(c.in(0)) + ", expected blocks of " + std::to_string(area) + " at " +
                    std::to_string(productOf(grid)) + " positions");
  Shape out{c.in(0).shape[0], Dim(rows / area)};
  out.insert(out.end(), a.image.begin(), a.image.end());
  return oneOutput({c.in(0).dtype, std::move(out), {}, {}});
}
Stmt loopsFold(const LoopsView &v) {
  const FoldAttrs &a = v.attrs.as<FoldAttrs>();
  const Shape &out = v.outTypes[0].shape;
  auto windows = windowsOf(a);
  Ints grid = *gridOf(a);
  size_t spatial = windows.size();
  Stmt zero = overAll(out, 0, LoopKind::Serial, [&](const Exprs &at) {
    return loop::store(v.out[0], at, number(0, out.empty() ? DType::f32 : v.outTypes[0].dtype));
  });
  Shape points{out[0], out[1]};  // then taps, then positions
  points.insert(points.end(), a.window.begin(), a.window.end());
  points.insert(points.end(), grid.begin(), grid.end());
  Stmt add = overAll(points, 0, LoopKind::Serial, [&](const Exprs &at) {
    Expr row = at[1], position = imm(0), inside;
    Exprs to{at[0], at[1]};
    for (size_t d = 0; d < spatial; ++d) {
      const Expr &tap = at[2 + d], &place = at[2 + spatial + d];
      row = row * a.window[d] + tap, position = position * grid[d] + place;
      to.push_back(tapOf(windows[d], place, tap));
      inside = conjunction(inside, within(to.back(), imm(a.image[d])));
    }
    return loop::ifThen(
        inside, loop::store(v.out[0], to, load(v.out[0], to) + load(v.in[0], {at[0], row, position})));
  });
  return loop::block({zero, add});
}
const OpDef kFold = {.name = "fold",
                     .summary = "images from blocks at the positions of a window, summed where they overlap",
                     .operands = "x",
                     .layout = LayoutRule::RowMajor,
                     .prototype = FoldAttrs{},
                     .infer = inferFold,
                     .loops = loopsFold};

std::vector<ValueId> importCol2Im(Importer &i) {
  FoldAttrs a{i.constants(1), i.constants(2), {}, {}, {}, {}};
  size_t n = a.window.size();
  a.strides = i.intsAttr("strides", Ints(n, 1)), a.dilations = i.intsAttr("dilations", Ints(n, 1));
  Ints pads = i.intsAttr("pads", Ints(2 * n, 0));
  if (pads.size() != 2 * n)
    i.fail("pads has " + std::to_string(pads.size()) + " entries, expected " + std::to_string(2 * n));
  if (i.error()) return one(i.in(0));
  a.padsBegin.assign(pads.begin(), pads.begin() + long(n)),
      a.padsEnd.assign(pads.begin() + long(n), pads.end());
  return i.appendAll(kFold, a, {i.in(0)}, 1);
}

/// What a MaxPool took, back at the positions that it gave; zeros elsewhere.
std::vector<ValueId> importMaxUnpool(Importer &i) {
  ValueId x = i.in(0), places = i.in(1);
  if (i.error() || i.type(x).rank() < 3) {
    i.fail("the input is " + textOf(i.type(x)) + ", expected spatial dimensions");
    return one(x);
  }
  const Shape shape = i.type(x).shape;
  size_t n = shape.size() - 2;
  Ints kernel = i.intsAttr("kernel_shape", {}), strides = i.intsAttr("strides", Ints(n, 1)),
       pads = i.intsAttr("pads", Ints(2 * n, 0));
  if (kernel.size() != n || strides.size() != n || pads.size() != 2 * n)
    i.fail("'kernel_shape', 'strides' or 'pads' does not fit " + textOf(i.type(x)));
  Shape pooled{shape[0], shape[1]};
  for (size_t d = 0; d < n && !i.error(); ++d)
    pooled.push_back(
        dimOf(i, (extentOf(shape[d + 2]) - 1) * strides[d] + (kernel[d] - pads[d] - pads[n + d])));
  Shape out = i.has(2) && !i.error() ? shapeOperand(i, 2) : pooled;
  if (i.error()) return one(x);
  // Positions count in the image that was pooled; a larger output has it in its corner.
  Dim all = dimOf(i, product(pooled)), count = dimOf(i, product(shape));
  ValueId zeros = broadcastTo(i, i.scalar(i.type(x).dtype, 0), {all});
  ValueId put = i.append(kScatter, ScatterAttrs{0, ScatterMode::Last},
                         {zeros, reshaped(i, places, {count}), reshaped(i, x, {count})});
  put = reshaped(i, put, pooled);
  if (out == pooled || i.error()) return one(put);
  PadAttrs a{Ints(shape.size(), 0), Ints(shape.size(), 0), PadMode::Constant, 0};
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!out[d].isConstant() || !pooled[d].isConstant() || out[d].constant() < pooled[d].constant()) {
      i.notSupported("the output shape " + textOf(out) + " of pooled images " + textOf(pooled));
      return one(put);
    }
    a.end[d] = out[d].constant() - pooled[d].constant();
  }
  return one(i.append(kPad, a, {put}));
}

// ---- import --------------------------------------------------------------------------------------

ScatterMode modeOf(Importer &i) {
  std::string mode = i.stringAttr("reduction", "none");
  auto found = std::find(std::begin(kScatterModes), std::end(kScatterModes), mode);
  if (found != std::end(kScatterModes)) return ScatterMode(found - std::begin(kScatterModes));
  i.fail("attribute 'reduction' is '" + mode + "'");
  return ScatterMode::Last;
}
std::vector<ValueId> importScatterElements(Importer &i) {
  ValueId x = i.in(0), indices = i.in(1), updates = i.in(2);
  int axis = i.axis(i.intAttr("axis", 0), i.type(x).rank());
  return i.appendAll(kScatter, ScatterAttrs{axis, modeOf(i)}, {x, indices, updates}, 1);
}
std::vector<ValueId> importScatterNd(Importer &i) {
  return i.appendAll(kScatterNd, ScatterNdAttrs{modeOf(i)}, {i.in(0), i.in(1), i.in(2)}, 1);
}

} // namespace

Family scatterFamily() {
  return {{&kScatter, &kScatterNd, &kFold},
          {{"Col2Im", 18, importCol2Im},
           {"MaxUnpool", 9, importMaxUnpool},
           {"Scatter", 9, importScatterElements},
           {"ScatterElements", 11, importScatterElements},
           {"ScatterND", 11, importScatterNd}}};
}

} // namespace planish::ops
