// Import of ONNX operators that move elements: most become reshapes, transposes and slices.
#include "Rows.h"

#include <algorithm>

namespace planish::ops {

ValueId sliced(Importer &i, ValueId x, int axis, const Expr &begin, const Expr &size, int64_t step) {
  const Shape &shape = i.type(x).shape;
  SliceAttrs a{Shape(shape.size(), Dim(0)), Ints(shape.size(), 1), shape};
  a.begin[size_t(axis)] = dimOf(i, begin);
  a.steps[size_t(axis)] = step;
  a.size[size_t(axis)] = dimOf(i, size);
  if (a.size == shape && a.steps == Ints(shape.size(), 1)) return x;
  return i.append(kSlice, std::move(a), {x});
}
ValueId broadcastTo(Importer &i, ValueId x, Shape shape) {
  if (i.type(x).shape == shape) return x;
  return i.append(kBroadcast, ShapeAttrs{std::move(shape)}, {x});
}

namespace {

/// Entries 0 (copy the size, unless zeros are meant) and -1 (what is left) of a target shape.
ValueId reshapedTo(Importer &i, ValueId x, const Exprs &target, bool zeroIsZero) {
  const Shape &in = i.type(x).shape;
  Shape shape;
  int inferred = -1;
  for (size_t d = 0; d < target.size(); ++d) {
    auto c = constantOf(target[d]);
    if (c == -1 && inferred >= 0) i.fail("the target shape has -1 twice");
    if (c && *c < -1) i.fail("the target shape has the size " + std::to_string(*c));
    if (c == -1) inferred = int(d);
    if (c == 0 && !zeroIsZero && d >= in.size())
      i.fail("size 0 at position " + std::to_string(d) + " copies a dimension that " + textOf(i.type(x)) +
             " lacks");
    if (i.error()) return x;
    if (c == 0 && !zeroIsZero) shape.push_back(in[d]);
    else if (c == -1) shape.push_back(Dim(1));
    else shape.push_back(dimOf(i, target[d]));
  }
  if (elementBound(shape) > kMaxElements)
    i.fail("the target shape " + textOf(shape) + " has more than 2^40 elements");
  if (inferred >= 0 && !i.error()) {
    shape.erase(shape.begin() + inferred);
    Expr rest = quotient(in, shape);
    shape.insert(shape.begin() + inferred, Dim(0));
    shape[size_t(inferred)] = dimOf(i, rest);
  }
  return i.error() ? x : reshaped(i, x, std::move(shape));
}

Exprs immediates(const Ints &values) {
  Exprs r;
  for (int64_t v : values) r.push_back(imm(v));
  return r;
}
std::vector<ValueId> importReshapeAttribute(Importer &i) {
  return one(reshapedTo(i, i.in(0), immediates(i.intsAttr("shape", {})), false));
}
std::vector<ValueId> importReshape(Importer &i) {
  ValueId x = i.in(0);
  return one(reshapedTo(i, x, i.elements(1), i.intAttr("allowzero", 0) != 0));
}

std::vector<ValueId> importFlatten(Importer &i) {
  ValueId x = i.in(0);
  const Shape &s = i.type(x).shape;
  int rank = int(s.size()), axis = i.axis(i.intAttr("axis", 1), rank + 1);
  if (i.intAttr("axis", 1) < 0) axis = i.axis(i.intAttr("axis", 1), rank);
  return one(reshaped(i, x, {dimOf(i, product(s, 0, axis)), dimOf(i, product(s, axis, rank))}));
}

/// The axes of an attribute (older) or of operand `input` (newer), in [0, rank) and sorted.
Ints axesOf(Importer &i, int input, int rank) {
  Ints axes = i.has(input) ? i.constants(input) : i.intsAttr("axes", {});
  for (int64_t &a : axes) a = i.axis(a, rank);
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) i.fail("axes names an axis twice");
  return axes;
}

std::vector<ValueId> importSqueeze(Importer &i) {
  ValueId x = i.in(0);
  const Shape in = i.type(x).shape;
  if (i.has(1) && !i.error() && !i.graph().elements(i.in(1))) {
    int64_t ones = 0;
    for (size_t d = 0; d < in.size(); ++d) ones += int64_t(in[d] == Dim(1)) << d;
    return overAxes(i, 1, int(in.size()), importSqueeze, ones);
  }
  Ints axes = axesOf(i, 1, int(in.size()));
  bool all = !i.has(1) && !i.hasAttr("axes");
  Shape shape;
  for (size_t d = 0; d < in.size(); ++d) {
    bool isOne = in[d].isConstant() && in[d].constant() == 1;
    bool named = std::find(axes.begin(), axes.end(), int64_t(d)) != axes.end();
    if (named && !isOne) i.fail("axis " + std::to_string(d) + " of " + textOf(i.type(x)) + " has not size 1");
    if (!named && !(all && isOne)) shape.push_back(in[d]);
  }
  return one(i.error() ? x : reshaped(i, x, shape));
}
std::vector<ValueId> importUnsqueeze(Importer &i) {
  ValueId x = i.in(0);
  Shape shape = i.type(x).shape;
  if (i.has(1) && !i.error() && !i.graph().elements(i.in(1))) {
    auto more = graph::elementCount(i.type(i.in(1)).shape);
    return overAxes(i, 1, int(shape.size()) + int(std::clamp<int64_t>(more.value_or(64), 0, 64)),
                    importUnsqueeze);
  }
  Ints given = i.has(1) ? i.constants(1) : i.intsAttr("axes", {});
  for (int64_t a : axesOf(i, 1, int(std::min<size_t>(shape.size() + given.size(), 64))))
    if (!i.error()) shape.insert(shape.begin() + a, Dim(1));
  return one(i.error() ? x : reshaped(i, x, shape));
}

std::vector<ValueId> importTranspose(Importer &i) {
  ValueId x = i.in(0);
  Ints reversed;
  for (int d = i.type(x).rank(); d-- > 0;) reversed.push_back(d);
  Ints perm = i.intsAttr("perm", reversed);
  if (perm.size() != reversed.size() || !std::is_permutation(perm.begin(), perm.end(), reversed.begin()))
    i.fail("attribute 'perm' is not an order of " + std::to_string(reversed.size()) + " dimensions");
  return one(i.error() ? x : transposed(i, x, perm));
}

std::vector<ValueId> importConcat(Importer &i) {
  std::vector<ValueId> operands;
  for (int k = 0; k < int(i.node().inputs.size()); ++k) operands.push_back(i.in(k));
  if (operands.empty()) i.fail("misses operand 0");
  if (i.error()) return one(i.scalar(DType::f32, 0));
  if (i.node().version >= 4 && !i.hasAttr("axis")) i.fail("misses attribute 'axis'");
  int axis = i.axis(i.intAttr("axis", 1), i.type(operands[0]).rank());
  if (i.error() || operands.size() == 1) return one(operands[0]);
  return one(i.append(kConcat, AxisAttrs{axis}, operands));
}

// ---- slices --------------------------------------------------------------------------------------

/// A start or end after ONNX's rules: counted from the end where negative, then clamped.
Expr sliceBound(const Expr &e, const Dim &size, int64_t least, int64_t most) {
  auto c = constantOf(e);
  Expr at = c ? imm(std::clamp(*c, -kMaxElements, kMaxElements)) : e;
  Expr low = imm(least), high = extentOf(size) + most;
  if (c && *c >= kMaxElements) return max(high, low);
  return simplify(min(max(wrapped(at, extentOf(size)), low), high), {});
}

ValueId importSliceAlong(Importer &i, ValueId x, int axis, const Expr &start, const Expr &end, int64_t step) {
  const Dim size = i.type(x).shape[size_t(axis)];
  step = std::clamp(step, -kMaxElements, kMaxElements);
  Expr first = sliceBound(start, size, 0, step > 0 ? 0 : -1);
  Expr last = sliceBound(end, size, step > 0 ? 0 : -1, step > 0 ? 0 : -1);
  Expr length = step > 0 ? last - first : first - last;
  Expr count = simplify(max(ceilDiv(length, std::abs(step)), imm(0)), {});
  return sliced(i, x, axis, constantOf(count) == 0 ? imm(0) : first, count, step);
}

std::vector<ValueId> importSliceWith(Importer &i, const Exprs &starts, const Exprs &ends, Ints axes,
                                     Ints steps) {
  ValueId x = i.in(0);
  if (axes.empty())
    for (size_t k = 0; k < starts.size(); ++k) axes.push_back(int64_t(k));
  steps.resize(steps.empty() ? starts.size() : steps.size(), 1);
  if (starts.size() != ends.size() || starts.size() != axes.size() || starts.size() != steps.size())
    i.fail("starts, ends, axes and steps differ in length");
  unsigned seen = 0;
  for (size_t k = 0; k < starts.size() && !i.error(); ++k) {
    int axis = i.axis(axes[k], i.type(x).rank());
    if (i.error()) break;
    if (steps[k] == 0) i.fail("step 0 on axis " + std::to_string(axis));
    else if (seen & (1u << axis)) i.fail("axes names axis " + std::to_string(axis) + " twice");
    else x = importSliceAlong(i, x, axis, starts[k], ends[k], steps[k]);
    seen |= 1u << axis;
  }
  return one(x);
}
std::vector<ValueId> importSliceAttributes(Importer &i) {
  return importSliceWith(i, immediates(i.intsAttr("starts", {})), immediates(i.intsAttr("ends", {})),
                         i.intsAttr("axes", {}), {});
}
std::vector<ValueId> importSlice(Importer &i) {
  return importSliceWith(i, i.elements(1), i.elements(2), i.has(3) ? i.constants(3) : Ints{},
                         i.has(4) ? i.constants(4) : Ints{});
}

/// Sizes of the parts: given, or as equal as they come.
Exprs splitSizes(Importer &i, const Dim &size, const Ints &given, int parts) {
  Exprs r = immediates(given);
  if (!given.empty()) {
    int64_t sum = 0;
    for (int64_t g : given) {
      if (g < 0 || g > kMaxElements) i.fail("split has the size " + std::to_string(g));
      else sum += std::min(g, kMaxElements - sum);
    }
    if (given.size() != size_t(parts))
      i.fail("split names " + std::to_string(given.size()) + " sizes for " + std::to_string(parts) +
             " outputs");
    if (size.isConstant() && sum != size.constant())
      i.fail("the sizes of split add up to " + std::to_string(sum) + ", not " +
             std::to_string(size.constant()));
    return r;
  }
  Expr each = ceilDiv(extentOf(size), parts), left = extentOf(size);
  for (int k = 0; k < parts; ++k, left = left - each) r.push_back(max(min(each, left), imm(0)));
  return r;
}
std::vector<ValueId> splitInto(Importer &i, const Ints &given, bool mustBeEqual) {
  ValueId x = i.in(0);
  int axis = i.axis(i.intAttr("axis", 0), i.type(x).rank()), parts = i.node().outputs;
  if (i.error()) return std::vector<ValueId>(size_t(parts), x);
  Dim size = i.type(x).shape[size_t(axis)];
  if (mustBeEqual && given.empty() && size.isConstant() && size.constant() % parts)
    i.fail("cannot split " + std::to_string(size.constant()) + " elements into " + std::to_string(parts) +
           " equal parts");
  std::vector<ValueId> r;
  Expr begin = imm(0);
  for (const Expr &part : splitSizes(i, size, given, parts)) {
    if (int(r.size()) == parts) break;
    r.push_back(i.error() ? x : sliced(i, x, axis, begin, part));
    begin = begin + part;
  }
  r.resize(size_t(parts), x);
  return r;
}
std::vector<ValueId> importSplitAttribute(Importer &i) {
  return splitInto(i, i.intsAttr("split", i.has(1) ? i.constants(1) : Ints{}), true);
}
std::vector<ValueId> importSplit13(Importer &i) {
  return splitInto(i, i.has(1) ? i.constants(1) : Ints{}, true);
}
std::vector<ValueId> importSplit18(Importer &i) {
  int64_t parts = i.intAttr("num_outputs", i.node().outputs);
  if (!i.has(1) && parts != i.node().outputs)
    i.fail("num_outputs is " + std::to_string(parts) + ", but there are " + std::to_string(i.node().outputs) +
           " outputs");
  return splitInto(i, i.has(1) ? i.constants(1) : Ints{}, false);
}

// ---- repetition ----------------------------------------------------------------------------------

std::vector<ValueId> importExpand(Importer &i) {
  ValueId x = i.in(0);
  return one(broadcastTo(i, x, shapeOperand(i, 1)));
}
std::vector<ValueId> importTile(Importer &i) {
  ValueId x = i.in(0);
  Ints repeats = i.constants(1);
  if (std::all_of(repeats.begin(), repeats.end(), [](int64_t r) { return r == 1; })) return one(x);
  return one(i.error() ? x : i.append(kTile, PermAttrs{repeats}, {x}));
}
std::vector<ValueId> importTile1(Importer &i) {
  ValueId x = i.in(0);
  int rank = i.type(x).rank();
  Ints repeats(size_t(rank), 1), tiles = i.constants(1), axes = i.constants(2);
  int axis = axes.empty() ? 0 : i.axis(axes[0], rank);
  if (!tiles.empty() && !i.error()) repeats[size_t(axis)] = tiles[0];
  return one(i.error() ? x : i.append(kTile, PermAttrs{repeats}, {x}));
}

// ---- blocks --------------------------------------------------------------------------------------

/// The block size of DepthToSpace and SpaceToDepth over a rank-4 operand; 0 after a complaint.
int64_t blockSize(Importer &i, ValueId x) {
  int64_t block = i.intAttr("blocksize", 0);
  if (block < 1 || block > kMaxParameter) i.fail("attribute 'blocksize' is " + std::to_string(block));
  if (i.type(x).rank() != 4) i.fail("operand 0 is " + textOf(i.type(x)) + ", expected rank 4");
  return i.error() ? 0 : block;
}

std::vector<ValueId> importDepthToSpace(Importer &i) {
  ValueId x = i.in(0);
  int64_t b = blockSize(i, x);
  if (!b) return one(x);
  Shape s = i.type(x).shape;
  if (!s[1].isConstant() || s[1].constant() % (b * b))
    i.fail("cannot divide the channels of " + textOf(s) + " by " + std::to_string(b) + "^2");
  if (i.error()) return one(x);
  Dim channels = s[1].constant() / (b * b);
  bool columnFirst = i.stringAttr("mode", "DCR") == "CRD";
  if (columnFirst) x = transposed(i, reshaped(i, x, {s[0], channels, b, b, s[2], s[3]}), {0, 1, 4, 2, 5, 3});
  else x = transposed(i, reshaped(i, x, {s[0], b, b, channels, s[2], s[3]}), {0, 3, 4, 1, 5, 2});
  return one(reshaped(i, x, {s[0], channels, dimOf(i, extentOf(s[2]) * b), dimOf(i, extentOf(s[3]) * b)}));
}
std::vector<ValueId> importSpaceToDepth(Importer &i) {
  ValueId x = i.in(0);
  int64_t b = blockSize(i, x);
  if (!b) return one(x);
  Shape s = i.type(x).shape;
  for (size_t d : {size_t(2), size_t(3)})
    if (s[d].isConstant() && s[d].constant() % b)
      i.fail("cannot divide the image of " + textOf(s) + " by " + std::to_string(b));
  Dim h = dimOf(i, floorDiv(extentOf(s[2]), imm(b))), w = dimOf(i, floorDiv(extentOf(s[3]), imm(b)));
  if (i.error()) return one(x);
  bool columnFirst = i.stringAttr("mode", "DCR") == "CRD";
  x = transposed(i, reshaped(i, x, {s[0], s[1], h, b, w, b}),
                 columnFirst ? Ints{0, 1, 3, 5, 2, 4} : Ints{0, 3, 5, 1, 2, 4});
  return one(reshaped(i, x, {s[0], dimOf(i, extentOf(s[1]) * (b * b)), h, w}));
}

} // namespace

Family movementFamily() {
  return {{&kReshape, &kTranspose, &kSlice, &kConcat, &kBroadcast, &kTile},
          {{"Reshape", 1, importReshapeAttribute, "", true},
           {"Reshape", 5, importReshape, "", true},
           {"Flatten", 1, importFlatten, "", true},
           {"Squeeze", 1, importSqueeze, "", true},
           {"Unsqueeze", 1, importUnsqueeze, "", true},
           {"Transpose", 1, importTranspose, "", true},
           {"Concat", 1, importConcat, "", true},
           {"Slice", 1, importSliceAttributes, "", true},
           {"Slice", 10, importSlice, "", true},
           {"Split", 1, importSplitAttribute, "", true},
           {"Split", 13, importSplit13, "", true},
           {"Split", 18, importSplit18, "", true},
           {"Expand", 8, importExpand, "", true},
           {"Tile", 1, importTile1},
           {"Tile", 6, importTile},
           {"DepthToSpace", 1, importDepthToSpace},
           {"SpaceToDepth", 1, importSpaceToDepth}}};
}

} // namespace planish::ops
