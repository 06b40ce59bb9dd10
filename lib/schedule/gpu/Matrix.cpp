// contraction.matrix: sums of products of 8-bit codes by groups of warps, for devices whose warps multiply
// matrices of bytes. A group makes a block of rows x columns, a warp a part of it, 16 x 8 results at a time,
// of which every item holds four in registers. In steps along the reduction the items bring the next slices
// of both operands to one half of the group's scratch memory while they multiply what is in the other. The
// innermost nest (four results, 32 terms) is written so that the results of 32 neighbouring items are one
// instruction (mma.m16n8k32, PTX ISA 9.7.14): code generation recognizes it, its meaning is that of any
// loops. Padding enters as zeros; constant operands are packed as the slices are, so that all of them is
// read.
#include "Blocks.h"

#include "planish/support/Check.h"

#include <algorithm>

namespace planish::schedule {
namespace {

using namespace loop;

constexpr int64_t kTileRows = 16, kTileColumns = 8, kTileDepth = 32; // of the instruction
constexpr int64_t kResults = 4;   // of it, by every item
constexpr int64_t kSlice = 64;    // terms of a step
constexpr int64_t kPitch = kSlice + 16; // bytes between rows of a slice: no two items of a warp share a bank
constexpr int64_t kWarpColumns = 32;

bool isCode(const Expr &e) {
  const Load *l = Side::loadOf(e);
  return l && (l->buffer->dtype == DType::u8 || l->buffer->dtype == DType::i8);
}

bool matches(const Kernel &k, const Target &t) {
  const Compute &c = k.compute();
  return t.byteMatrices && t.groupItems % t.warpItems == 0 && c.accumulator == DType::i32 && isCode(c.lhs) &&
         isCode(c.rhs) && rolesOf(k).has_value();
}

class Builder {
public:
  Builder(const Kernel &kernel, const Config &c, const Target &t)
      : k(kernel), r(*rolesOf(k)), def(k.compute()), left(k, r, true), right(k, r, false),
        items(t.groupItems), warpItems(t.warpItems), blockRows(knob(c, "rows")),
        blockColumns(knob(c, "columns")), across(blockColumns / kWarpColumns),
        warpRows(blockRows / (items / warpItems / across)), blocks(k, r, blockRows, blockColumns),
        packs(right.packs()), leftUnit(left.unitOfDepth({16, 8, 4})),
        rightUnit(packs ? 16 : right.unitOfDepth({16, 8, 4})), leftDepth(k, r.depth, leftUnit),
        rightDepth(k, r.depth, packs ? 1 : rightUnit) {}

  Kernel::Lowered run() {
    Kernel::Lowered made;
    if (packs) pack(made);
    a = buffer("a", left.memory()->dtype, std::vector<int64_t>{2, blockRows, kPitch}, {}, Scope::Scratch);
    b = buffer("b", right.memory()->dtype, std::vector<int64_t>{2, blockColumns, kPitch}, {}, Scope::Scratch);
    acc = buffer("acc", DType::i32,
                 std::vector<int64_t>{items, warpRows / kTileRows, kWarpColumns / kTileColumns, kResults}, {},
                 Scope::Register);
    terms = imm(1);
    for (const Axis &x : r.depth) terms = terms * k.extent(x);
    Stmt steps = inTwoHalves(
        items, ceilDiv(terms, kSlice), [&](const Expr &item) { return clear(item); },
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
  int64_t items, warpItems, blockRows, blockColumns;
  int64_t across; // warps of a block along its columns
  int64_t warpRows; // that a warp makes
  Blocks blocks;
  bool packs;
  int64_t leftUnit, rightUnit; // terms that one copy brings
  Digits leftDepth, rightDepth;
  std::vector<Buffer> params = def.params;
  Buffer a, b, acc, packed;
  Expr terms;

  /// Columns x terms, padded with zeros to whole blocks and slices.
  void pack(Kernel::Lowered &made) {
    auto whole = [](const Expr &n, int64_t of) { return (*constantOf(n) + of - 1) / of * of; };
    const Buffer &from = right.memory();
    packed = buffer(
        from->name + "p", from->dtype,
        std::vector<int64_t>{whole(blocks.columns.count, blockColumns), whole(rightDepth.count, kSlice)}, {},
        Scope::Packed);
    made.packings.push_back(right.packing(packed, /*termsFirst=*/false, def.name));
    params[size_t(made.packings.back().param)] = packed;
  }

  /// An item's part of the slices of a step, to the half of memory that it belongs to.
  Stmt bring(const Expr &item, const Expr &step) const {
    Expr half = floorMod(step, imm(2));
    return block({bringOne(item, step, half, true), bringOne(item, step, half, false)});
  }
  Stmt bringOne(const Expr &item, const Expr &step, const Expr &half, bool isLeft) const {
    const int64_t unit = isLeft ? leftUnit : rightUnit, deep = kSlice / unit;
    const int64_t pieces = (isLeft ? blockRows : blockColumns) * deep;
    PLANISH_CHECK(pieces % items == 0, "every item brings as many pieces");
    return loopTo("e", pieces / items, LoopKind::Serial, [&](const Expr &e) {
      Expr piece = e * items + item, line = floorDiv(piece, imm(deep)), q = floorMod(piece, imm(deep));
      auto one = [&](const Expr &j) {
        return store(isLeft ? a : b, {half, line, q * unit + j}, element(step, line, q, j, isLeft));
      };
      return unit == 1 ? one(imm(0)) : loopTo("j", unit, LoopKind::Vectorized, one);
    });
  }
  /// What a slice has at a line, in piece q at element j.
  Expr element(const Expr &step, const Expr &line, const Expr &q, const Expr &j, bool isLeft) const {
    const int64_t unit = isLeft ? leftUnit : rightUnit, deep = kSlice / unit;
    Expr place = (isLeft ? blocks.row0 : blocks.column0) + line, term = step * deep + q;
    if (!isLeft && packs) return load(packed, {place, term * unit + j});
    return (isLeft ? left : right)
        .value(blocks.here(), isLeft ? blocks.rows : blocks.columns, place, {},
               isLeft ? leftDepth : rightDepth, term, j, deep);
  }

  /// The results that an item holds: of tile (i, j) number n.
  Stmt results(const std::function<Stmt(const Expr &i, const Expr &j, const Expr &n)> &body) const {
    return loopTo("i", warpRows / kTileRows, LoopKind::Serial, [&](const Expr &i) {
      return loopTo("j", kWarpColumns / kTileColumns, LoopKind::Serial, [&](const Expr &j) {
        return loopTo("n", kResults, LoopKind::Serial, [&](const Expr &n) { return body(i, j, n); });
      });
    });
  }
  Expr lineOf(const Expr &item, const Expr &i, const Expr &n) const {
    Expr warp = floorDiv(item, imm(warpItems)), lane = floorMod(item, imm(warpItems));
    return floorDiv(warp, imm(across)) * warpRows + i * kTileRows + floorDiv(lane, imm(4)) +
           floorDiv(n, imm(2)) * 8;
  }
  Expr columnOf(const Expr &item, const Expr &j, const Expr &n) const {
    Expr warp = floorDiv(item, imm(warpItems)), lane = floorMod(item, imm(warpItems));
    return floorMod(warp, imm(across)) * kWarpColumns + j * kTileColumns + floorMod(lane, imm(4)) * 2 +
           floorMod(n, imm(2));
  }
  Stmt clear(const Expr &item) const {
    return results([&](const Expr &i, const Expr &j, const Expr &n) {
      return store(acc, {item, i, j, n}, imm(0, {DType::i32, 1}));
    });
  }
  Stmt multiply(const Expr &item, const Expr &half) const {
    return loopTo("s", kSlice / kTileDepth, LoopKind::Serial, [&](const Expr &s) {
      return results([&](const Expr &i, const Expr &j, const Expr &n) {
        return loopTo("t", kTileDepth, LoopKind::Serial, [&](const Expr &t) {
          Expr x = load(a, {half, lineOf(item, i, n), s * kTileDepth + t}),
               y = load(b, {half, columnOf(item, j, n), s * kTileDepth + t});
          return store(acc, {item, i, j, n},
                       load(acc, {item, i, j, n}) + cast(DType::i32, x) * cast(DType::i32, y));
        });
      });
    });
  }
  Stmt finish() const {
    return eachItem(items, [&](const Expr &item) {
      return results([&](const Expr &i, const Expr &j, const Expr &n) {
        Expr row = blocks.row0 + lineOf(item, i, n), column = blocks.column0 + columnOf(item, j, n);
        Stmt one = blocks.result(row, column, load(acc, {item, i, j, n}));
        return ifThen(lessThan(row, blocks.rows.count), ifThen(lessThan(column, blocks.columns.count), one));
      });
    });
  }
};

/// Blocks that are not mostly empty, of which every warp has a tile at least.
Config defaults(const Kernel &k, const Target &) {
  Roles r = *rolesOf(k);
  bool wide = elementsOf(k, r.columns) > kWarpColumns;
  return {{"rows", wide && elementsOf(k, r.rows) <= 32 ? 32 : 64}, {"columns", wide ? 64 : 32}};
}

std::vector<Knob> space(const Kernel &, const Target &) {
  return {{"rows", {64, 128}}, {"columns", {32, 64}}};
}

Kernel::Lowered build(const Kernel &k, const Config &c, const Target &t) { return Builder(k, c, t).run(); }

} // namespace

const Template kWarpContraction = {.name = "contraction.matrix",
                                   .matches = matches,
                                   .space = space,
                                   .defaults = defaults,
                                   .apply = nullptr,
                                   .build = build};

} // namespace planish::schedule
