// The k largest or smallest elements, and the heap that finds them.
#include "Sorting.h"

#include "Rows.h"

#include <algorithm>

namespace planish::ops {

Stmt forEach(const std::string &name, const Expr &begin, const Expr &end, int64_t bound,
             const std::function<Stmt(const Expr &)> &body, LoopKind kind) {
  Var v = loop::var(name, {}, 0, std::max<int64_t>(bound - 1, 0));
  return loop::loop(v, begin, end, kind, body(use(v)));
}
Stmt whileTrue(const Expr &condition, Stmt body) {
  return loop::makeStmt(loop::While{condition, std::move(body)});
}

namespace {

/// Moves the position at `root` down to where neither of those below it comes after it.
Stmt siftDown(const Positions &p, const Expr &root, const Expr &size) {
  Cell place("place"), moved("moved"), child("child");
  Expr next = child.get() + 1;
  Stmt choose =
      loop::block({child.set(place.get() * 2 + 1),
                   loop::ifThen(lessThan(next, size),
                                loop::ifThen(p.before(p.get(child.get()), p.get(next)), child.set(next)))});
  // The end of the path is marked by a place from which no path goes on.
  Stmt descend = loop::block({loop::ifThen(p.before(moved.get(), p.get(child.get())),
                                           loop::block({p.set(place.get(), p.get(child.get())),
                                                        place.set(child.get()), child.set(imm(0))})),
                              loop::ifThen(lessThan(imm(0), child.get()),
                                           loop::block({p.set(place.get(), moved.get()), place.set(size)}))});
  Stmt rest = loop::ifThen(lessThan(place.get(), size), p.set(place.get(), moved.get()));
  return place.around({moved.around({child.around(
      {moved.set(p.get(root)), place.set(root),
       whileTrue(lessThan(place.get() * 2 + 1, size), loop::block({choose, descend})), rest})})});
}

} // namespace

Stmt sortedSelection(const Positions &p, const Expr &size, int64_t sizeBound, const Expr &count,
                     int64_t countBound, const std::function<Expr(const Expr &)> &wanted, const Cell *found) {
  Cell own("kept");
  const Cell &kept = found ? *found : own;
  auto heapify = [&] {
    return forEach("n", imm(0), floorDiv(kept.get(), imm(2)), countBound, [&](const Expr &n) {
      return siftDown(p, floorDiv(kept.get(), imm(2)) - 1 - n, kept.get());
    });
  };
  Stmt collect = forEach("i", imm(0), size, sizeBound, [&](const Expr &i) {
    Cell isFull("full");
    Stmt replace =
        loop::ifThen(conjunction(lessThan(imm(0), count), lessEqual(count, kept.get())),
                     loop::ifThen(p.before(i, p.get(imm(0))),
                                  loop::block({p.set(imm(0), i), siftDown(p, imm(0), kept.get())})));
    Stmt append = loop::ifThen(lessThan(kept.get(), count),
                               loop::block({p.set(kept.get(), i), kept.add(1), isFull.set(imm(0)),
                                            loop::ifThen(lessEqual(count, kept.get()), heapify())}));
    Stmt take =
        isFull.around({isFull.set(imm(1)), append, loop::ifThen(lessThan(imm(0), isFull.get()), replace)});
    return wanted ? loop::ifThen(wanted(i), take) : take;
  });
  // Fewer than `count` are no heap yet. Then the last of those left goes to their end, again and again.
  Stmt order = loop::block({loop::ifThen(lessThan(kept.get(), count), heapify()),
                            forEach("n", imm(1), kept.get(), countBound + 1, [&](const Expr &n) {
                              Cell last("last");
                              Expr end = kept.get() - n;
                              return last.around({last.set(p.get(imm(0))), p.set(imm(0), p.get(end)),
                                                  p.set(end, last.get()), siftDown(p, imm(0), end)});
                            })});
  Stmt all = loop::block({kept.set(imm(0)), collect, order});
  return found ? all : own.around({all});
}

namespace {

struct TopKAttrs {
  int64_t axis = 0;
  Shape count;  // one size
  bool largest = true;
  void visit(FieldVisitor &v) { v.field("axis", axis), v.field("count", count), v.field("largest", largest); }
};
Types inferTopK(InferContext &c) {
  const TopKAttrs &a = c.attrs().as<TopKAttrs>();
  PLANISH_TRY(wantType(c, 0, kNumbers));
  PLANISH_TRY(wantAxes({a.axis}, c.in(0).rank(), "axis"));
  const Dim &size = c.in(0).shape[size_t(a.axis)];
  if (a.count.size() != 1)
    return badInput("count has " + std::to_string(a.count.size()) + " entries, expected 1");
  if (a.count[0] != size) {
    PLANISH_ASSIGN(Dim rest,
                   c.derive(extentOf(size) - extentOf(a.count[0])));  // a run checks that it is there
    if (rest.upper() < 0)
      return badInput("no " + textOf(a.count) + " elements along axis " + std::to_string(a.axis));
  }
  Shape out = c.in(0).shape;
  out[size_t(a.axis)] = a.count[0];
  PLANISH_ASSIGN(std::vector<TensorType> r, oneOutput({c.in(0).dtype, out, {}, {}}));
  r.push_back({DType::i64, std::move(out), {}, {}});
  return r;
}
Stmt loopsTopK(const graph::LoopsView &v) {
  const TopKAttrs &a = v.attrs.as<TopKAttrs>();
  const Shape &shape = v.inTypes[0].shape;
  size_t axis = size_t(a.axis);
  Exprs at(shape.size());
  auto along = [&](const Expr &i) {
    Exprs r = at;
    r[axis] = i;
    return r;
  };
  std::function<Stmt(size_t, bool)> over = [&](size_t d, bool outermost) -> Stmt {
    if (d == axis) return over(d + 1, outermost);
    if (d < shape.size())
      return forEach(
          "o" + std::to_string(d), imm(0), extentOf(shape[d]), shape[d].upper(),
          [&](const Expr &i) {
            at[d] = i;
            return over(d + 1, false);
          },
          outermost ? LoopKind::Parallel : LoopKind::Serial);
    Positions p{.get = [&](const Expr &i) { return load(v.out[1], along(i)); },
                .set = [&](const Expr &i, const Expr &e) { return loop::store(v.out[1], along(i), e); },
                .before =
                    [&](const Expr &i, const Expr &j) {
                      Expr x = load(v.in[0], along(i)), y = load(v.in[0], along(j));
                      Expr ahead = a.largest ? lessThan(y, x) : lessThan(x, y);
                      Expr earlier = conjunction(binary(BinaryOp::Eq, x, y), lessThan(i, j));
                      return binary(BinaryOp::Or, ahead, earlier);
                    }};
    Expr count = extentOf(a.count[0]);
    return loop::block(
        {sortedSelection(p, extentOf(shape[axis]), shape[axis].upper(), count, a.count[0].upper()),
         forEach("k", imm(0), count, a.count[0].upper(), [&](const Expr &k) {
           return loop::store(v.out[0], along(k), load(v.in[0], along(load(v.out[1], along(k)))));
         })});
  };
  return over(0, true);
}
const OpDef kTopK = {.name = "top_k",
                     .summary =
                         "the largest (or smallest) elements along an axis in order, and where they are",
                     .operands = "x",
                     .layout = LayoutRule::RowMajor,
                     .prototype = TopKAttrs{},
                     .infer = inferTopK,
                     .loops = loopsTopK};

std::vector<ValueId> topK(Importer &i, const Dim &count) {
  ValueId x = i.in(0);
  int axis = i.axis(i.intAttr("axis", -1), i.type(x).rank());
  return i.appendAll(kTopK, TopKAttrs{axis, {count}, i.intAttr("largest", 1) != 0}, {x}, 2);
}
std::vector<ValueId> importTopK1(Importer &i) { return topK(i, i.intAttr("k", 0)); }
std::vector<ValueId> importTopK(Importer &i) {
  ValueId x = i.in(0);
  int axis = i.axis(i.intAttr("axis", -1), i.type(x).rank());
  if (i.error()) return {x, x};
  const Dim size = i.type(x).shape[size_t(axis)];
  Exprs count = sizesOperand(i, 1, size.upper());
  if (count.size() != 1 && !i.error()) i.fail("K has " + std::to_string(count.size()) + " elements");
  return topK(i, i.error() ? Dim(0) : dimOf(i, count[0]));
}

} // namespace

Family sortingFamily() { return {{&kTopK}, {{"TopK", 1, importTopK1}, {"TopK", 10, importTopK}}}; }

} // namespace planish::ops
