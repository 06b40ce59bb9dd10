// Results whose size depends on data: an operator gives as much as there may be and how much there is; a
// slice of that size follows.
#include "Rows.h"
#include "Sorting.h"

#include <algorithm>
#include <array>
#include <limits>

namespace planish::ops {

namespace {

using graph::LoopsView;

TensorType countType() { return {DType::i64, {Dim(1)}, {}, {}}; }
Stmt setCount(const loop::Buffer &b, const Expr &n) { return loop::store(b, {imm(0)}, n); }

/// Every point of a shape, last dimension fastest.
Stmt overPoints(const Shape &shape, const std::function<Stmt(const Exprs &)> &body) {
  Exprs at;
  std::function<Stmt()> over = [&]() -> Stmt {
    size_t d = at.size();
    if (d == shape.size()) return body(at);
    return forEach("i" + std::to_string(d), imm(0), extentOf(shape[d]), shape[d].upper(), [&](const Expr &i) {
      at.push_back(i);
      Stmt s = over();
      at.pop_back();
      return s;
    });
  };
  return over();
}

/// The size that a count says: that of `values` along `axis` afterwards.
ValueId cutTo(Importer &i, ValueId values, int axis, ValueId count) {
  if (i.error()) return values;
  int64_t most = i.type(values).shape[size_t(axis)].upper();
  return firstOf(i, values, axis, i.graph().sizeHeldBy(count, 0, 0, most));
}

// ---- elements that are not zero ------------------------------------------------------------------

Types inferNonZero(InferContext &c) {
  PLANISH_TRY(wantRank(c, 0, 1));
  const Shape &x = c.in(0).shape;
  PLANISH_TRY(oneOutput({DType::i64, x, {}, {}}));
  PLANISH_ASSIGN(Dim all, c.derive(product(x)));
  PLANISH_ASSIGN(std::vector<TensorType> r, oneOutput({DType::i64, {Dim(int64_t(x.size())), all}, {}, {}}));
  r.push_back(countType());
  return r;
}
Stmt loopsNonZero(const LoopsView &v) {
  Cell count("count");
  Stmt all = overPoints(v.inTypes[0].shape, [&](const Exprs &at) {
    Expr x = load(v.in[0], at);
    std::vector<Stmt> r;
    for (size_t d = 0; d < at.size(); ++d)
      r.push_back(loop::store(v.out[0], {imm(int64_t(d)), count.get()}, at[d]));
    r.push_back(count.add(1));
    return loop::ifThen(notEqual(x, number(0, x->type.dtype)), loop::block(std::move(r)));
  });
  return count.around({count.set(imm(0)), all, setCount(v.out[1], count.get())});
}
const OpDef kNonZero = {.name = "nonzero",
                        .summary =
                            "indices of the elements that are not zero, one row per dimension, and how "
                            "many they are; columns beyond have no meaning",
                        .operands = "x",
                        .layout = LayoutRule::RowMajor,
                        .infer = inferNonZero,
                        .loops = loopsNonZero};

ValueId nonZero(Importer &i, ValueId x) {
  if (i.type(x).rank() == 0) x = reshaped(i, x, {Dim(1)});
  std::vector<ValueId> r = i.appendAll(kNonZero, {}, {x}, 2);
  return cutTo(i, r[0], 1, r[1]);
}
std::vector<ValueId> importNonZero(Importer &i) { return one(nonZero(i, i.in(0))); }

/// The elements (or slices along an axis) whose condition holds.
std::vector<ValueId> importCompress(Importer &i) {
  ValueId x = i.in(0), condition = i.in(1);
  if (i.error()) return one(x);
  int axis = 0;
  if (i.hasAttr("axis")) axis = i.axis(i.intAttr("axis", 0), i.type(x).rank());
  else x = reshaped(i, x, {dimOf(i, product(i.type(x).shape))});
  if (i.error() || i.type(condition).rank() != 1) {
    i.fail("the condition is " + textOf(i.type(condition)) + ", expected rank 1");
    return one(x);
  }
  const Dim &size = i.type(x).shape[size_t(axis)], &given = i.type(condition).shape[0];
  if (given.upper() > size.lower())
    condition = firstOf(i, condition, 0, dimOf(i, min(extentOf(size), extentOf(given))));
  ValueId where = nonZero(i, condition);
  if (i.error()) return one(x);
  return one(i.append(kGather, AxisAttrs{axis}, {x, reshaped(i, where, {i.type(where).shape[1]})}));
}

// ---- distinct elements ---------------------------------------------------------------------------

struct UniqueAttrs {
  bool sorted = true;
  void visit(FieldVisitor &v) { v.field("sorted", sorted); }
};
/// x is [n, m]: n rows that are compared element by element.
Types inferUnique(InferContext &c) {
  PLANISH_TRY(wantRank(c, 0, 2, 2));
  std::vector<TensorType> r(3, {DType::i64, {c.in(0).shape[0]}, {}, {}});
  r.push_back(countType());
  return r;
}
/// Every row is compared with the distinct ones so far: quadratic.
Stmt loopsUnique(const LoopsView &v) {
  bool sorted = v.attrs.as<UniqueAttrs>().sorted;
  const Shape &shape = v.inTypes[0].shape;
  int64_t most = shape[0].upper();
  const loop::Buffer &first = v.out[0], &inverse = v.out[1], &counts = v.out[2];
  Cell known("known"), place("place"), equal("equal"), order("order");
  auto at = [](const loop::Buffer &b, const Expr &i) { return load(b, {i}); };
  // order: 0 while rows agree, else which one is smaller.
  auto compare = [&](const Expr &a, const Expr &b) {
    return loop::block(
        {order.set(imm(0)), forEach("e", imm(0), extentOf(shape[1]), shape[1].upper(), [&](const Expr &e) {
           Expr x = load(v.in[0], {a, e}), y = load(v.in[0], {b, e});
           Expr step = select(lessThan(x, y), imm(-1), select(binary(BinaryOp::Eq, x, y), imm(0), imm(1)));
           return loop::ifThen(binary(BinaryOp::Eq, order.get(), imm(0)), order.set(step));
         })});
  };
  auto insert = [&](const Expr &row) {
    Stmt shift = forEach("q", imm(0), known.get() - place.get(), most, [&](const Expr &q) {
      Expr to = known.get() - q;
      return loop::block(
          {loop::store(first, {to}, at(first, to - 1)), loop::store(counts, {to}, at(counts, to - 1))});
    });
    Stmt renumber = forEach("q", imm(0), row, most, [&](const Expr &q) {
      return loop::ifThen(lessEqual(place.get(), at(inverse, q)),
                          loop::store(inverse, {q}, at(inverse, q) + 1));
    });
    return loop::block({shift, renumber, loop::store(first, {place.get()}, row),
                        loop::store(counts, {place.get()}, imm(1)), known.add(1)});
  };
  Stmt rows = forEach("row", imm(0), extentOf(shape[0]), most, [&](const Expr &row) {
    Stmt search = forEach("q", imm(0), known.get(), most, [&](const Expr &q) {
      return loop::block(
          {compare(row, at(first, q)), loop::ifThen(binary(BinaryOp::Eq, order.get(), imm(0)), equal.set(q)),
           sorted ? loop::ifThen(lessThan(imm(0), order.get()), place.set(q + 1)) : loop::block({})});
    });
    return loop::block(
        {place.set(sorted ? imm(0) : known.get()), equal.set(imm(-1)), search,
         loop::ifThen(lessThan(equal.get(), imm(0)), insert(row)),
         loop::ifThen(lessEqual(imm(0), equal.get()),
                      loop::block({place.set(equal.get()),
                                   loop::store(counts, {place.get()}, at(counts, place.get()) + 1)})),
         loop::store(inverse, {row}, place.get())});
  });
  return known.around({place.around(
      {equal.around({order.around({known.set(imm(0)), rows, setCount(v.out[3], known.get())})})})});
}
const OpDef kUnique = {.name = "unique",
                       .summary =
                           "the distinct rows of a matrix: where each first stands, which one every row "
                           "is, how often each occurs, and how many they are",
                       .operands = "x",
                       .layout = LayoutRule::RowMajor,
                       .prototype = UniqueAttrs{},
                       .infer = inferUnique,
                       .loops = loopsUnique};

std::vector<ValueId> importUnique(Importer &i) {
  ValueId x = i.in(0), rows = x;
  std::vector<ValueId> r(4, x);
  if (i.error()) return r;
  int axis = 0, rank = i.type(x).rank();
  if (i.hasAttr("axis")) {
    axis = i.axis(i.intAttr("axis", 0), rank);
    Ints front{axis};
    for (int d = 0; d < rank; ++d)
      if (d != axis) front.push_back(d);
    rows = transposed(i, x, front);
    if (i.error()) return r;
    const Shape &shape = i.type(rows).shape;
    rows = reshaped(i, rows, {shape[0], dimOf(i, product(shape, 1, rank))});
  } else {
    x = reshaped(i, x, {dimOf(i, product(i.type(x).shape))});
    if (i.error()) return r;
    rows = reshaped(i, x, {i.type(x).shape[0], Dim(1)});
  }
  std::vector<ValueId> made = i.appendAll(kUnique, UniqueAttrs{i.intAttr("sorted", 1) != 0}, {rows}, 4);
  r[1] = cutTo(i, made[0], 0, made[3]);
  r[2] = made[1];
  r[3] = cutTo(i, made[2], 0, made[3]);
  if (!i.error()) r[0] = i.append(kGather, AxisAttrs{axis}, {x, r[1]});
  return r;
}

// ---- non-maximum suppression ---------------------------------------------------------------------

struct NmsAttrs {
  bool centers = false;  // boxes are x, y, width, height, not two corners y, x, y, x
  void visit(FieldVisitor &v) { v.field("centers", centers); }
};
/// Candidates that a kept box is held against at a time.
constexpr int64_t kNmsLanes = 16;
/// boxes [batch, n, 4], scores [batch, classes, n]; most (i64), overlap and score thresholds (f32) of one
/// element each. Results: [most there may be, 3] of batch, class, box; their number; working memory.
Types inferNms(InferContext &c) {
  for (int k : {0, 1, 3, 4}) PLANISH_TRY(wantType(c, k, kFloats));
  PLANISH_TRY(wantType(c, 2, bit(DType::i64)));
  PLANISH_TRY(wantRank(c, 0, 3, 3));
  PLANISH_TRY(wantRank(c, 1, 3, 3));
  const Shape &boxes = c.in(0).shape, &scores = c.in(1).shape;
  if (boxes[2] != Dim(4)) return badInput("the boxes are " + textOf(c.in(0)) + ", expected [batch, n, 4]");
  PLANISH_TRY(sameDim(c, boxes[0], scores[0]));
  PLANISH_TRY(sameDim(c, boxes[1], scores[2]));
  for (int k : {2, 3, 4})
    if (graph::elementCount(c.in(k).shape) != 1)
      return badInput("operand " + std::to_string(k) + " is " + textOf(c.in(k)) + ", expected one number");
  Expr each = extentOf(boxes[1]);
  if (auto known = c.elements(2)) each = min(each, max(cast(DType::i64, (*known)[0]), imm(0)));
  PLANISH_TRY(oneOutput({DType::i64, {scores[0], scores[1], boxes[1]}, {}, {}}));
  PLANISH_ASSIGN(Dim most, c.derive(extentOf(scores[0]) * extentOf(scores[1]) * each));
  PLANISH_ASSIGN(std::vector<TensorType> r, oneOutput({DType::i64, {most, Dim(3)}, {}, {}}));
  r.push_back(countType());
  PLANISH_ASSIGN(Dim lanes, c.derive(ceilDiv(extentOf(boxes[1]), kNmsLanes) * imm(kNmsLanes)));
  r.push_back({DType::i64, {boxes[1]}, {}, {}});          // candidates by rank: of falling score
  r.push_back({DType::i64, {Dim(2), boxes[1]}, {}, {}});  // the rank at each place, the place of each rank
  r.push_back({DType::f32, {Dim(6), lanes}, {}, {}});     // by place: two corners, area, 1 once suppressed
  return r;
}

/// The ranges of a box along both axes.
std::array<Expr, 4> cornersOf(const NmsAttrs &a, const std::function<Expr(int64_t)> &at) {
  if (a.centers) {
    Expr halfWidth = at(2) * loop::fimm(0.5), halfHeight = at(3) * loop::fimm(0.5);
    return {at(1) - halfHeight, at(0) - halfWidth, at(1) + halfHeight, at(0) + halfWidth};
  }
  return {min(at(0), at(2)), min(at(1), at(3)), max(at(0), at(2)), max(at(1), at(3))};
}

/// What the loops of one batch and class keep in registers.
struct NmsCells {
  Cell total{"total"}, candidates{"candidates"}, selected{"selected"}, next{"next"};
  Cell first{"first"}, count{"count"};  // of the places that a search leaves
  Cell widest{"widest", DType::f32};
  /// The kept box: two corners and its area.
  std::array<Cell, 5> box{Cell("y0", DType::f32), Cell("x0", DType::f32), Cell("y1", DType::f32),
                          Cell("x1", DType::f32), Cell("area", DType::f32)};

  Stmt around(Stmt body) const {
    for (const Cell *cell : {&total, &candidates, &selected, &next, &first, &count, &widest})
      body = cell->around({body});
    for (const Cell &cell : box) body = cell.around({body});
    return body;
  }
};
/// Rows of the working memory of floats.
constexpr int64_t kNmsLeft = 1, kNmsRight = 3, kNmsArea = 4, kNmsSuppressed = 5;
/// Rows of that of places and ranks.
constexpr int64_t kNmsRankAt = 0, kNmsPlaceOf = 1;

/// Gives every candidate a place: from left to right, so that a box meets only its neighbours. A box with a
/// coordinate that is no number has an area that is none and meets nothing, wherever it stands.
Stmt placeCandidates(const LoopsView &v, const NmsCells &cells, const Expr &batch) {
  const loop::Buffer &order = v.out[2], &places = v.out[3], &found = v.out[4];
  const int64_t most = v.inTypes[0].shape[1].upper();
  auto cornersAt = [&](const Expr &rank) {
    std::array<Expr, 4> c = cornersOf(v.attrs.as<NmsAttrs>(), [&](int64_t k) {
      return load(v.in[0], {batch, load(order, {rank}), imm(k)});
    });
    Expr nowhere = loop::fimm(std::numeric_limits<double>::infinity());
    c[kNmsLeft] = select(binary(BinaryOp::Eq, c[kNmsLeft], c[kNmsLeft]), c[kNmsLeft], nowhere);
    return c;
  };
  auto leftOf = [&](const Expr &rank) { return load(found, {imm(kNmsLeft), rank}); };
  // Until the candidates stand at their places, the rows of floats go by rank.
  Stmt begin = forEach("i", imm(0), cells.candidates.get(), most, [&](const Expr &i) {
    return loop::store(found, {imm(kNmsLeft), i}, cornersAt(i)[kNmsLeft]);
  });
  Positions p{
      .get = [&](const Expr &i) { return load(places, {imm(kNmsRankAt), i}); },
      .set = [&](const Expr &i, const Expr &e) { return loop::store(places, {imm(kNmsRankAt), i}, e); },
      .before =
          [&](const Expr &i, const Expr &j) {
            Expr earlier = conjunction(binary(BinaryOp::Eq, leftOf(i), leftOf(j)), lessThan(i, j));
            return binary(BinaryOp::Or, lessThan(leftOf(i), leftOf(j)), earlier);
          }};
  Expr all = cells.candidates.get();
  Stmt sort = sortedSelection(p, all, most, all, most);
  Stmt place = forEach("i", imm(0), cells.candidates.get(), most, [&](const Expr &i) {
    auto mine = [&](int64_t k) { return load(found, {imm(k), i}); };
    Expr rank = load(places, {imm(kNmsRankAt), i});
    std::array<Expr, 4> corners = cornersAt(rank);
    std::vector<Stmt> r;
    for (int64_t k = 0; k < 4; ++k) r.push_back(loop::store(found, {imm(k), i}, corners[size_t(k)]));
    Expr width = mine(kNmsRight) - mine(kNmsLeft);
    r.push_back(loop::store(found, {imm(kNmsArea), i}, (mine(2) - mine(0)) * width));
    r.push_back(loop::store(found, {imm(kNmsSuppressed), i}, loop::fimm(0)));
    r.push_back(loop::store(places, {imm(kNmsPlaceOf), rank}, i));
    r.push_back(cells.widest.set(select(lessThan(cells.widest.get(), width), width, cells.widest.get())));
    return loop::block(std::move(r));
  });
  return loop::block({begin, sort, cells.widest.set(loop::fimm(0)), place});
}

/// Marks the candidates that overlap the kept box by more than `threshold`; those of a higher rank are
/// settled, so that a mark on them says nothing. From the first place whose box may reach the kept one to the
/// last that starts before its end, whole lanes: what stands behind the last candidate is nobody's.
Stmt suppressOthers(const LoopsView &v, const NmsCells &cells, const Expr &threshold) {
  const loop::Buffer &found = v.out[4];
  auto kept = [&](size_t k) { return cells.box[k].get(); };
  auto leftAt = [&](const Expr &place) { return load(found, {imm(kNmsLeft), place}); };
  // No box that starts before `reach` comes as far as the kept one, however its width was rounded.
  Expr slack = loop::call(Intrinsic::Abs, {kept(kNmsLeft)}) + cells.widest.get();
  Expr reach = kept(kNmsLeft) - cells.widest.get() - slack * loop::fimm(0x1p-20);
  const Cell &first = cells.first, &count = cells.count;
  Expr half = ceilDiv(count.get(), 2), isBefore = lessThan(leftAt(first.get() + half - 1), reach);
  Stmt halve =
      loop::block({loop::ifThen(isBefore, first.set(first.get() + half)), count.set(count.get() - half)});
  Stmt search = loop::block({first.set(imm(0)), count.set(cells.candidates.get()),
                             whileTrue(lessThan(imm(0), count.get()), halve)});

  // common / all rounds to more than the threshold just when common - threshold * all is more than half the
  // threshold's last place times all: no quotient lies half way between two floats, and where it matters
  // the difference is exact. It takes a fraction of a division's time.
  Expr step = (loop::call(Intrinsic::Fma, {threshold, loop::fimm(0x1.8p-24), threshold}) - threshold) *
              loop::fimm(0.5);
  Var lane = loop::var("lane", {}, 0, kNmsLanes - 1);
  Expr j = first.get() * kNmsLanes + use(lane), zero = loop::fimm(0);
  auto other = [&](int64_t k) { return load(found, {imm(k), j}); };
  Expr height = min(other(2), kept(2)) - max(other(0), kept(0));
  Expr width = min(other(kNmsRight), kept(kNmsRight)) - max(other(kNmsLeft), kept(kNmsLeft));
  Expr common = height * width, all = other(kNmsArea) + kept(kNmsArea) - common;
  Expr meets = loop::conjunction(lessThan(zero, height), lessThan(zero, width));
  Expr real = loop::conjunction(lessThan(zero, other(kNmsArea)), lessThan(zero, kept(kNmsArea)));
  Expr above = lessThan(step * all, loop::call(Intrinsic::Fma, {loop::fimm(-1) * threshold, all, common}));
  Stmt mark = loop::store(
      found, {imm(kNmsSuppressed), j},
      select(loop::conjunction(loop::conjunction(meets, real), above), loop::fimm(1), other(kNmsSuppressed)));
  Expr place = first.get() * kNmsLanes, last = cells.candidates.get() - 1;
  Stmt sweep = whileTrue(
      conjunction(lessEqual(place, last), lessThan(leftAt(min(place, last)), kept(kNmsRight))),
      loop::block({loop::loop(lane, imm(0), imm(kNmsLanes), LoopKind::Vectorized, mark), first.add(1)}));
  return loop::block({search, first.set(floorDiv(first.get(), imm(kNmsLanes))), sweep});
}

Stmt loopsNms(const LoopsView &v) {
  const Shape &boxes = v.inTypes[0].shape, &scores = v.inTypes[1].shape;
  const loop::Buffer &order = v.out[2], &places = v.out[3], &found = v.out[4];
  const int64_t most = boxes[1].upper();
  auto only = [&](size_t k) { return load(v.in[k], Exprs(v.inTypes[k].shape.size(), imm(0))); };
  const NmsCells cells;
  const Cell &selected = cells.selected, &next = cells.next;
  Expr limit = min(max(only(2), imm(0)), extentOf(boxes[1]));

  auto suppression = [&](const Expr &batch, const Expr &cls) {
    auto score = [&](const Expr &box) { return load(v.in[1], {batch, cls, box}); };
    Positions p{.get = [&](const Expr &i) { return load(order, {i}); },
                .set = [&](const Expr &i, const Expr &e) { return loop::store(order, {i}, e); },
                .before =
                    [&](const Expr &i, const Expr &j) {
                      Expr earlier = conjunction(binary(BinaryOp::Eq, score(i), score(j)), lessThan(i, j));
                      return binary(BinaryOp::Or, lessThan(score(j), score(i)), earlier);
                    }};
    Stmt sort = sortedSelection(
        p, extentOf(boxes[1]), most, extentOf(boxes[1]), most,
        [&](const Expr &i) { return lessThan(only(4), score(i)); }, &cells.candidates);
    Expr row = cells.total.get() + selected.get();
    std::vector<Stmt> keep{loop::store(v.out[0], {row, imm(0)}, batch),
                           loop::store(v.out[0], {row, imm(1)}, cls),
                           loop::store(v.out[0], {row, imm(2)}, load(order, {next.get()})), selected.add(1)};
    Expr place = load(places, {imm(kNmsPlaceOf), next.get()});
    for (size_t k = 0; k < cells.box.size(); ++k)
      keep.push_back(cells.box[k].set(load(found, {imm(int64_t(k)), place})));
    keep.push_back(suppressOthers(v, cells, only(3)));
    Expr isFree = binary(BinaryOp::Eq, load(found, {imm(kNmsSuppressed), place}), loop::fimm(0));
    Stmt choose =
        whileTrue(conjunction(lessThan(next.get(), cells.candidates.get()), lessThan(selected.get(), limit)),
                  loop::block({loop::ifThen(isFree, loop::block(std::move(keep))), next.add(1)}));
    return loop::block({sort, placeCandidates(v, cells, batch), selected.set(imm(0)), next.set(imm(0)),
                        choose, cells.total.set(row)});
  };
  Stmt all = forEach("b", imm(0), extentOf(scores[0]), scores[0].upper(), [&](const Expr &batch) {
    return forEach("c", imm(0), extentOf(scores[1]), scores[1].upper(),
                   [&](const Expr &cls) { return suppression(batch, cls); });
  });
  return cells.around(loop::block({cells.total.set(imm(0)), all, setCount(v.out[1], cells.total.get())}));
}
const OpDef kNms = {.name = "non_max_suppression",
                    .summary =
                        "per batch and class the boxes of falling score that overlap none kept before: "
                        "(batch, class, box), how many; the last two results are working memory",
                    .operands = "boxes, scores, most, overlap, score",
                    .layout = LayoutRule::RowMajor,
                    .prototype = NmsAttrs{},
                    .infer = inferNms,
                    .loops = loopsNms};

std::vector<ValueId> importNms(Importer &i) {
  int64_t form = i.intAttr("center_point_box", 0);
  if (form != 0 && form != 1) i.fail("attribute 'center_point_box' is " + std::to_string(form));
  ValueId boxes = i.in(0), scores = i.in(1);
  if (i.error()) return one(boxes);
  auto number = [&](int k, DType type, double otherwise) {
    return i.has(k) ? convertedTo(i, i.in(k), type) : i.scalar(type, otherwise);
  };
  ValueId most = number(2, DType::i64, 0), overlap = number(3, DType::f32, 0);
  ValueId least = number(4, DType::f32, -std::numeric_limits<double>::infinity());
  std::vector<ValueId> r = i.appendAll(kNms, NmsAttrs{form == 1}, {boxes, scores, most, overlap, least}, 5);
  return one(cutTo(i, r[0], 0, r[1]));
}

} // namespace

Family selectionFamily() {
  return {{&kNonZero, &kUnique, &kNms},
          {{"NonZero", 9, importNonZero},
           {"Compress", 9, importCompress},
           {"Unique", 11, importUnique},
           {"NonMaxSuppression", 10, importNms}}};
}

} // namespace planish::ops
