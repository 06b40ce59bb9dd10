// contraction.gpu: sums of products by groups of work-items. A group makes a block of rows x columns. In
// steps along the reduction, all its axes as one, the items bring a slice of either operand to the group's
// scratch memory; then each multiplies the tile it holds in registers. A parallel loop inside the one over
// groups is the items of a group: they all finish it before the next statement begins. Padding and what lies
// beyond the last row or column enter the slices as zeros. Constant operands are packed so that neighbouring
// items read neighbouring elements. (Implicit matrix products: Chetlur et al., "cuDNN", arXiv:1410.0759.)
#include "Blocks.h"

#include "planish/support/Check.h"

#include <algorithm>

namespace planish::schedule {
namespace {

using namespace loop;

constexpr int64_t kVector = 4;   // columns that one load brings
constexpr int64_t kAcross = 8;   // items of a group along the columns

bool matches(const Kernel &k, const Target &t) {
  return t.groupItems > kAcross && t.localBytes > 0 && rolesOf(k).has_value();
}

class Builder {
public:
  Builder(const Kernel &kernel, const Config &c, const Target &t)
      : k(kernel), r(*rolesOf(k)), def(k.compute()), depth(k, r.depth), items(t.groupItems),
        tileRows(knob(c, "rows")), tileColumns(knob(c, "columns")), slice(knob(c, "depth")),
        blockRows(items / kAcross * tileRows), blockColumns(kAcross * tileColumns),
        blocks(k, r, blockRows, blockColumns) {}

  Kernel::Lowered run() {
    Expr left = r.swapped ? def.rhs : def.lhs, right = r.swapped ? def.lhs : def.rhs;
    Kernel::Lowered made;
    right = packed(right, made);
    a = buffer("a", left->type.dtype, std::vector<int64_t>{slice, blockRows}, {}, Scope::Scratch);
    b = buffer("b", right->type.dtype, std::vector<int64_t>{slice, blockColumns}, {}, Scope::Scratch);
    acc = buffer("acc", def.accumulator, std::vector<int64_t>{items, tileRows, tileColumns}, {},
                 Scope::Register);

    Var step = counterTo("step", ceilDiv(depth.count, slice));
    Stmt steps =
        loop::loop(step, imm(0), ceilDiv(depth.count, slice), LoopKind::Serial,
                   block({fill(a, left, use(step), true), fill(b, right, use(step), false), multiply()}));
    Stmt body = makeStmt(Alloc{acc, block({start(), steps, finish()})});
    body = makeStmt(Alloc{a, makeStmt(Alloc{b, body})});
    made.function = blocks.function(params, body);
    return made;
  }

private:
  const Kernel &k;
  Roles r;
  const Compute &def;
  Digits depth;
  int64_t items, tileRows, tileColumns, slice, blockRows, blockColumns;
  Blocks blocks;
  std::vector<Buffer> params = def.params;
  Buffer a, b, acc;

  /// A constant read by columns and depth alone gets them as its two dimensions.
  Expr packed(const Expr &right, Kernel::Lowered &made) {
    const Expr access = withoutCast(right);
    bool whole = as<Load>(access) && (equal(access, right) || as<Cast>(right)) && k.canPack(access);
    for (const Axis &s : r.shared) whole = whole && !dependsOn(access, s);
    if (!whole) return right;
    const Buffer &from = as<Load>(access)->buffer;
    int64_t terms = *constantOf(depth.count), wide = *constantOf(blocks.columns.count);
    Buffer to = buffer(from->name + "p", from->dtype, std::vector<int64_t>{terms, wide}, {}, Scope::Packed);
    Var i = var("i", {}, 0, terms - 1), j = var("j", {}, 0, wide - 1);
    Substitution at;
    depth.add(use(i), at), blocks.columns.add(use(j), at);
    Stmt copy = store(to, {use(i), use(j)}, substitute(access, at));
    copy = loop::loop(i, imm(0), imm(terms), LoopKind::Serial,
                      loop::loop(j, imm(0), imm(wide), LoopKind::Serial, copy));
    size_t param = size_t(std::ranges::find(params, from) - params.begin());
    made.packings.push_back({int(param), {def.name + "_pack_" + from->name, {from, to}, {}, copy}});
    params[param] = to;
    packedRight = to;
    Expr read = load(to, {use(packedDepth), use(packedColumn)});
    return equal(access, right) ? read : cast(right->type.dtype, read);
  }
  Buffer packedRight;
  Var packedDepth = var("pd"), packedColumn = var("pc");

  /// The items bring a slice of an operand: neighbours along the depth of the rows, along the columns else.
  Stmt fill(const Buffer &to, const Expr &operand, const Expr &step, bool isLeft) const {
    const Digits &side = isLeft ? blocks.rows : blocks.columns;
    int64_t across = isLeft ? blockRows : blockColumns, total = across * slice;
    PLANISH_CHECK(total % items == 0, "every item brings as many elements");
    return eachItem(items, [&](const Expr &item) {
      return loopTo("e", total / items, LoopKind::Serial, [&](const Expr &e) {
        Expr flat = e * items + item;
        Expr d = isLeft ? floorMod(flat, imm(slice)) : floorDiv(flat, imm(across));
        Expr i = isLeft ? floorDiv(flat, imm(slice)) : floorMod(flat, imm(across));
        Expr term = step * slice + d, place = (isLeft ? blocks.row0 : blocks.column0) + i;
        Substitution at = blocks.here();
        at[packedDepth] = term, at[packedColumn] = place;
        depth.add(term, at), side.add(place, at);
        Stmt bring = store(to, {d, i}, substitute(operand, at));
        // One zero is enough, so a guard stands at the operand whose axes it speaks of; at both where it
        // speaks of the depth alone.
        for (const Expr &guard : def.where)
          if (ofSide(guard, isLeft)) bring = ifThen(lessEqual(imm(0), substitute(guard, at)), bring);
        bring = ifThen(lessThan(term, depth.count), bring);
        bring = ifThen(lessThan(place, side.count), bring);
        return block({store(to, {d, i}, constant(0, operand->type)), bring});
      });
    });
  }
  bool ofSide(const Expr &guard, bool isLeft) const {
    return std::ranges::none_of(isLeft ? r.columns : r.rows,
                                [&](const Axis &x) { return dependsOn(guard, x); });
  }

  Stmt start() const {
    return eachItem(items, [&](const Expr &item) {
      return tile([&](const Expr &i, const Expr &v, const Expr &j) {
        return store(acc, {item, i, v * kVector + j}, constant(0, {def.accumulator, 1}));
      });
    });
  }
  Stmt tile(const std::function<Stmt(const Expr &, const Expr &, const Expr &)> &body) const {
    return loopTo("i", tileRows, LoopKind::Unrolled, [&](const Expr &i) {
      return loopTo("v", tileColumns / kVector, LoopKind::Unrolled, [&](const Expr &v) {
        return loopTo("j", kVector, LoopKind::Vectorized, [&](const Expr &j) { return body(i, v, j); });
      });
    });
  }
  Stmt multiply() const {
    return eachItem(items, [&](const Expr &item) {
      Expr down = floorDiv(item, imm(kAcross)) * tileRows,
           across = floorMod(item, imm(kAcross)) * tileColumns;
      return loopTo("d", slice, LoopKind::Serial, [&](const Expr &d) {
        return tile([&](const Expr &i, const Expr &v, const Expr &j) {
          Expr left = load(a, {d, down + i}), right = load(b, {d, across + v * kVector + j});
          std::vector<Expr> at{item, i, v * kVector + j};
          Expr sum = r.swapped ? combined(def, load(acc, at), right, left)
                               : combined(def, load(acc, at), left, right);
          return store(acc, at, sum);
        });
      });
    });
  }

  /// The results that exist, with the epilogue.
  Stmt finish() const {
    auto wide = constantOf(blocks.columns.count);
    bool vectors = r.columns.size() == 1 && wide && *wide % kVector == 0;
    return eachItem(items, [&](const Expr &item) {
      Expr down = floorDiv(item, imm(kAcross)) * tileRows,
           across = floorMod(item, imm(kAcross)) * tileColumns;
      return loopTo("i", tileRows, LoopKind::Unrolled, [&](const Expr &i) {
        Expr row = blocks.row0 + down + i;
        Stmt some = loopTo("v", tileColumns / kVector, LoopKind::Unrolled, [&](const Expr &v) {
          Expr first = blocks.column0 + across + v * kVector;
          auto one = [&](const Expr &j) {
            return blocks.result(row, first + j, load(acc, {item, i, v * kVector + j}));
          };
          if (vectors)
            return ifThen(lessThan(first, blocks.columns.count),
                          loopTo("j", kVector, LoopKind::Vectorized, one));
          return loopTo("j", kVector, LoopKind::Serial, [&](const Expr &j) {
            return ifThen(lessThan(first + j, blocks.columns.count), one(j));
          });
        });
        return ifThen(lessThan(row, blocks.rows.count), some);
      });
    });
  }
};

/// Eight columns an item where there are enough of them.
Config defaults(const Kernel &k, const Target &) {
  Roles r = *rolesOf(k);
  return {{"rows", 4}, {"columns", elementsOf(k, r.columns) >= 64 ? 8 : 4}, {"depth", 16}};
}

std::vector<Knob> space(const Kernel &, const Target &) {
  return {{"rows", {2, 4, 8}}, {"columns", {4, 8}}, {"depth", {8, 16, 32}}};
}

Kernel::Lowered build(const Kernel &k, const Config &c, const Target &t) { return Builder(k, c, t).run(); }

} // namespace

const Template kGroupContraction = {.name = "contraction.gpu",
                                    .matches = matches,
                                    .space = space,
                                    .defaults = defaults,
                                    .apply = nullptr,
                                    .build = build};

} // namespace planish::schedule
