// contraction.pipelined: sums of products of floats, for devices that copy to a group's memory while items
// compute. A group makes a block of rows x columns. In steps along the reduction the items bring the next
// slices of both operands, four neighbours at a time, to one half of the group's scratch memory while they
// multiply what is in the other. An item has every 16th row and groups of four columns, so that neighbouring
// items read neighbouring words, and keeps four terms of its rows in registers. Padding enters as zeros;
// constant operands are packed terms x columns. Every sum has its terms in order.
#include "Blocks.h"

#include "planish/support/Check.h"

#include <algorithm>

namespace planish::schedule {
namespace {

using namespace loop;

constexpr int64_t kVector = 4;                      // terms or columns that are brought and read at once
constexpr int64_t kAcross = 8;                      // items along the columns of a block
constexpr int64_t kSlice = 16, kPitch = kSlice + 4; // terms of a step; elements between rows, banks apart
constexpr int64_t kManyRows = 4096;                 // rows from which blocks of 128 leave enough blocks

bool isFloat(const Expr &e) {
  const Load *l = Side::loadOf(e);
  return l && l->buffer->dtype == DType::f32;
}

bool matches(const Kernel &k, const Target &t) {
  const Compute &c = k.compute();
  return t.warpItems > 1 && t.groupItems % kAcross == 0 && t.localBytes > 0 && c.accumulator == DType::f32 &&
         isFloat(c.lhs) && isFloat(c.rhs) && rolesOf(k).has_value();
}

class Builder {
public:
  Builder(const Kernel &kernel, const Config &c, const Target &t)
      : k(kernel), r(*rolesOf(k)), def(k.compute()), left(k, r, true), right(k, r, false),
        items(t.groupItems), down(items / kAcross), tileRows(knob(c, "rows")),
        tileVectors(knob(c, "columns") / kVector), blockRows(down * tileRows),
        blockColumns(kAcross * tileVectors * kVector), blocks(k, r, blockRows, blockColumns),
        packs(right.packs()), leftUnit(left.unitOfDepth({kVector})),
        rightUnit(packs ? kVector : right.unitOfLines({kVector})), leftDepth(k, r.depth, leftUnit),
        depth(k, r.depth), columnUnits(k, r.columns, packs ? 1 : rightUnit) {}

  Kernel::Lowered run() {
    Kernel::Lowered made;
    if (packs) pack(made);
    a = buffer("a", DType::f32, std::vector<int64_t>{2, blockRows, kPitch}, {}, Scope::Scratch);
    b = buffer("b", DType::f32, std::vector<int64_t>{2, kSlice, blockColumns}, {}, Scope::Scratch);
    acc = buffer("acc", DType::f32, std::vector<int64_t>{items, tileRows, tileVectors, kVector}, {},
                 Scope::Register);
    Stmt steps = inTwoHalves(
        items, ceilDiv(depth.count, kSlice), [&](const Expr &item) { return clear(item); },
        [&](const Expr &item, const Expr &step) { return bring(item, step); },
        [&](const Expr &item, const Expr &half) { return multiply(item, half); });
    Stmt body = makeStmt(Alloc{a, makeStmt(Alloc{b, makeStmt(Alloc{acc, block({steps, finish()})})})});
    made.function = blocks.function(params, body);
    return made;
  }

private:
  const Kernel &k;
  Roles r;
  const Compute &def;
  Side left, right;
  int64_t items, down; // of a group, of them along the rows
  int64_t tileRows, tileVectors, blockRows, blockColumns;
  Blocks blocks;
  bool packs;
  int64_t leftUnit, rightUnit; // terms, columns that one copy brings
  Digits leftDepth, depth, columnUnits;
  std::vector<Buffer> params = def.params;
  Buffer a, b, acc, packed;

  /// Terms x columns, padded with zeros to whole slices and blocks.
  void pack(Kernel::Lowered &made) {
    auto whole = [](const Expr &n, int64_t of) { return (*constantOf(n) + of - 1) / of * of; };
    const Buffer &from = right.memory();
    packed =
        buffer(from->name + "p", from->dtype,
               std::vector<int64_t>{whole(depth.count, kSlice), whole(blocks.columns.count, blockColumns)},
               {}, Scope::Packed);
    made.packings.push_back(right.packing(packed, /*termsFirst=*/true, def.name));
    params[size_t(made.packings.back().param)] = packed;
  }

  /// An item's part of the slices of a step, to the half of memory that it belongs to.
  Stmt bring(const Expr &item, const Expr &step) const {
    Expr half = floorMod(step, imm(2));
    Stmt ofLeft = pieces(item, blockRows, kSlice / leftUnit, [&](const Expr &line, const Expr &q) {
      return copy(leftUnit, [&](const Expr &j) {
        Expr value = left.value(blocks.here(), blocks.rows, blocks.row0 + line, {}, leftDepth,
                                step * (kSlice / leftUnit) + q, j, kSlice / leftUnit);
        return store(a, {half, line, q * leftUnit + j}, value);
      });
    });
    Stmt ofRight = pieces(item, kSlice, blockColumns / rightUnit, [&](const Expr &d, const Expr &q) {
      return copy(rightUnit, [&](const Expr &j) {
        return store(b, {half, d, q * rightUnit + j}, rightValue(step * kSlice + d, q, j));
      });
    });
    return block({ofLeft, ofRight});
  }
  Expr rightValue(const Expr &term, const Expr &q, const Expr &j) const {
    if (packs) return load(packed, {term, blocks.column0 + q * rightUnit + j});
    Expr unit = floorDiv(blocks.column0, imm(rightUnit)) + q; // blocks begin at multiples of it
    return right.value(blocks.here(), columnUnits, unit, j, depth, term, {}, kSlice);
  }
  Stmt pieces(const Expr &item, int64_t lines, int64_t perLine,
              const std::function<Stmt(const Expr &line, const Expr &q)> &body) const {
    PLANISH_CHECK(lines * perLine % items == 0, "every item brings as many pieces");
    return loopTo("e", lines * perLine / items, LoopKind::Serial, [&](const Expr &e) {
      Expr piece = e * items + item;
      return body(floorDiv(piece, imm(perLine)), floorMod(piece, imm(perLine)));
    });
  }
  static Stmt copy(int64_t unit, const std::function<Stmt(const Expr &)> &one) {
    return unit == 1 ? one(imm(0)) : loopTo("j", unit, LoopKind::Vectorized, one);
  }

  /// Of an item: tile row i, vector v of four columns.
  Stmt tile(const std::function<Stmt(const Expr &i, const Expr &v)> &body) const {
    return loopTo("i", tileRows, LoopKind::Serial, [&](const Expr &i) {
      return loopTo("v", tileVectors, LoopKind::Serial, [&](const Expr &v) { return body(i, v); });
    });
  }
  Expr lineOf(const Expr &item, const Expr &i) const { return i * down + floorDiv(item, imm(kAcross)); }
  Expr columnOf(const Expr &item, const Expr &v) const {
    return v * (kAcross * kVector) + floorMod(item, imm(kAcross)) * kVector;
  }
  static Stmt lanes(const std::function<Stmt(const Expr &)> &one) {
    return loopTo("j", kVector, LoopKind::Vectorized, one);
  }
  Stmt clear(const Expr &item) const {
    return tile([&](const Expr &i, const Expr &v) {
      return lanes([&](const Expr &j) { return store(acc, {item, i, v, j}, constant(0, {DType::f32, 1})); });
    });
  }
  Stmt multiply(const Expr &item, const Expr &half) const {
    Buffer terms = buffer("terms", DType::f32, std::vector<int64_t>{tileRows, kVector}, {}, Scope::Register);
    return loopTo("s", kSlice / kVector, LoopKind::Serial, [&](const Expr &s) {
      Stmt read = loopTo("i", tileRows, LoopKind::Serial, [&](const Expr &i) {
        return lanes([&](const Expr &j) {
          return store(terms, {i, j}, load(a, {half, lineOf(item, i), s * kVector + j}));
        });
      });
      Stmt add = loopTo("d", kVector, LoopKind::Serial, [&](const Expr &d) {
        return tile([&](const Expr &i, const Expr &v) {
          return lanes([&](const Expr &j) {
            Expr x = load(terms, {i, d}), y = load(b, {half, s * kVector + d, columnOf(item, v) + j});
            Expr old = load(acc, {item, i, v, j});
            return store(acc, {item, i, v, j},
                         r.swapped ? combined(def, old, y, x) : combined(def, old, x, y));
          });
        });
      });
      return makeStmt(Alloc{terms, block({read, add})});
    });
  }

  /// The results that exist, with the epilogue.
  Stmt finish() const {
    auto wide = constantOf(blocks.columns.count);
    bool vectors = r.columns.size() == 1 && wide && *wide % kVector == 0;
    return eachItem(items, [&](const Expr &item) {
      return tile([&](const Expr &i, const Expr &v) {
        Expr row = blocks.row0 + lineOf(item, i), first = blocks.column0 + columnOf(item, v);
        auto one = [&](const Expr &j) { return blocks.result(row, first + j, load(acc, {item, i, v, j})); };
        Stmt some = vectors ? ifThen(lessThan(first, blocks.columns.count), lanes(one))
                            : loopTo("j", kVector, LoopKind::Serial, [&](const Expr &j) {
                                return ifThen(lessThan(first + j, blocks.columns.count), one(j));
                              });
        return ifThen(lessThan(row, blocks.rows.count), some);
      });
    });
  }
};

/// Large tiles where they leave enough blocks.
Config defaults(const Kernel &k, const Target &) {
  Roles r = *rolesOf(k);
  return {{"rows", elementsOf(k, r.rows) >= kManyRows ? 8 : 4},
          {"columns", elementsOf(k, r.columns) > kAcross * kVector ? 8 : 4}};
}

std::vector<Knob> space(const Kernel &, const Target &) { return {{"rows", {4, 8}}, {"columns", {4, 8}}}; }

Kernel::Lowered build(const Kernel &k, const Config &c, const Target &t) { return Builder(k, c, t).run(); }

} // namespace

const Template kPipelinedContraction = {.name = "contraction.pipelined",
                                        .matches = matches,
                                        .space = space,
                                        .defaults = defaults,
                                        .apply = nullptr,
                                        .build = build};

} // namespace planish::schedule
