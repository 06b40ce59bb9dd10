#include "RandomFunctions.h"

#include "planish/loop/Passes.h"

namespace planish::codegen::test {
namespace {

using namespace loop;

class Maker {
public:
  explicit Maker(uint64_t seed) : random(seed) {}

  Case run() {
    rows = 1 + below(5), columns = 1 + below(40);
    lanes = pick({1, 2, 3, 4, 8, 8, 16, 16, 32, 5});
    if (chance(50)) {
      symbol = var("S", {}, 1, 64);
      symbolValue = 1 + below(7);
      r.scalars.push_back(symbolValue);
      f.scalars.push_back(symbol);
    }
    // Rows are counted by the symbol where there is one.
    rowCount = symbol ? use(symbol) : imm(rows);
    if (symbol) rows = symbolValue;
    i = var("i", {}, 0, 63), j = var("j", {}, 0, 63), v = var("v", {}, 0, lanes - 1);
    c = use(j) * lanes + use(v);
    indexBuffer = input(DType::i64, {imm(columns)}, "where");
    DType dtype = DType(below(6));
    Buffer out = makeBuffer(dtype, {rowCount, imm(columns)}, "out");
    Expr value = chance(25) ? reduced(dtype) : Expr();
    Stmt body;
    if (value) {
      body = block({loop::store(out, {use(i), c}, value)});
    } else {
      body = loop::store(out, {use(i), c}, makeValue(dtype, 4));
    }
    if (columns % lanes || chance(20)) body = ifThen(lessThan(c, imm(columns)), body);
    body = loop::loop(v, imm(0), imm(lanes), lanes == 1 ? LoopKind::Serial : LoopKind::Vectorized, body);
    if (accumulator) {
      Stmt clear = loop::loop(v, imm(0), imm(lanes), lanes == 1 ? LoopKind::Serial : LoopKind::Vectorized,
                              loop::store(accumulator, {use(v)}, constant(1, {accumulator->dtype, 1})));
      body = makeStmt(
          Alloc{accumulator, block({clear, loop::loop(k, imm(0), depth, LoopKind::Serial, step), body})});
    }
    body = loop::loop(j, imm(0), imm((columns + lanes - 1) / lanes), LoopKind::Serial, body);
    f.body = loop::loop(i, imm(0), rowCount, LoopKind::Parallel, body);
    f.params.push_back(out);
    f.name = "random";
    r.function = std::make_shared<const Function>(legalize(unroll(vectorize(f))));
    return r;
  }

private:
  std::mt19937_64 random;
  Case r;
  Function f;
  int64_t rows = 1, columns = 1, lanes = 1, symbolValue = 0;
  Expr rowCount, c;
  Var symbol, i, j, v;
  Buffer indexBuffer;
  Buffer accumulator;
  Var k;
  Expr depth;
  Stmt step;

  int64_t below(int64_t n) { return int64_t(random() % uint64_t(n)); }
  bool chance(int percent) { return below(100) < percent; }
  int64_t pick(std::initializer_list<int64_t> l) { return l.begin()[below(int64_t(l.size()))]; }

  /// A buffer with gaps, swapped dimensions or a row stride known only at run time.
  Buffer makeBuffer(DType t, std::vector<Expr> shape, const std::string &name) {
    std::vector<Expr> strides = denseStrides(shape);
    if (shape.size() == 2 && chance(60)) {
      int64_t gap = pick({0, 1, 7});
      auto width = constantOf(shape[1]);
      switch (below(4)) {
      case 0: strides = {imm(width.value_or(160) + gap), imm(1)}; break;
      case 1: strides = {(symbol ? use(symbol) : imm(3)) + (width.value_or(160) + gap), imm(1)}; break;
      case 2: strides = {imm(1), imm(64 + gap)}; break;
      default: strides = {(symbol ? use(symbol) : imm(1)) * (2 * width.value_or(160)), imm(2)}; break;
      }
      if (!width) strides = {shape[1] + gap, imm(1)};
    }
    return buffer(name, t, shape, strides);
  }
  Buffer input(DType t, std::vector<Expr> shape, const std::string &name = "x") {
    Buffer b = makeBuffer(t, std::move(shape), name + std::to_string(f.params.size()));
    f.params.push_back(b);
    return b;
  }

  Expr rowIndex() {
    switch (below(5)) {
    case 0: return floorDiv(use(i), imm(2));
    case 1: return rowCount - 1 - use(i);
    case 2: return min(use(i), imm(2));
    default: return use(i);
    }
  }
  /// A load at some function of the column.
  Expr makeLoad(DType t) {
    Expr mask = chance(15) ? lessThan(imm(2), c) : Expr();
    auto plain = [&](Expr width, Expr index) {
      return loop::load(input(t, {rowCount, width}), {rowIndex(), index}, mask);
    };
    Expr last = imm(columns - 1);
    switch (below(12)) {
    case 0: return plain(imm(columns), last - c);
    case 1: return plain(imm(columns), floorDiv(c, imm(2)));
    case 2: return plain(imm(columns + 3), floorMod(c, imm(3)));
    case 3: return plain(imm(2 * columns), c * 2);
    case 4: return plain(imm(3 * columns + 1), c * 3 + 1);
    case 5: return plain(imm(columns), imm(columns / 2));
    case 6: {
      Expr at = max(min(loop::load(indexBuffer, {c}), last), imm(0));
      return plain(imm(columns), at);
    }
    case 7: return plain(rowCount * 2 + columns, c + use(i) * 2);
    case 8: return plain(imm(columns), max(c - 2, imm(0)));
    case 9: return loop::load(input(t, {imm(columns), rowCount}), {c, use(i)}, mask);
    default: return plain(imm(columns), c);
    }
  }

  /// Starts a reduction whose result is the accumulator.
  Expr reduced(DType t) {
    if (t == DType::b1) return {};
    accumulator =
        buffer("acc", t, std::vector<int64_t>{lanes}, {}, chance(70) ? Scope::Register : Scope::Scratch);
    k = var("k", {}, 0, 63);
    depth = symbol && chance(50) ? use(symbol) : imm(1 + below(5));
    Buffer x = input(t, {depth, rowCount}), w = input(t, {depth, imm(columns)});
    Expr own = loop::load(accumulator, {use(v)});
    Expr left = loop::load(x, {use(k), use(i)}), right = loop::load(w, {use(k), min(c, imm(columns - 1))});
    Expr sum = t == DType::f32 ? call(Intrinsic::Fma, {left, right, own}) : own + left * right;
    step = loop::loop(v, imm(0), imm(lanes), lanes == 1 ? LoopKind::Serial : LoopKind::Vectorized,
                      loop::store(accumulator, {use(v)}, sum));
    return own;
  }

  Expr makeValue(DType t, int level) {
    if (level == 0) return leaf(t);
    auto again = [&](DType of) { return makeValue(of, level - 1); };
    if (chance(12)) return select(again(DType::b1), again(t), again(t));
    if (chance(15)) {
      DType from = DType(below(6));
      if (from != t) return cast(t, again(from));
    }
    switch (t) {
    case DType::f32: return floatValue(level);
    case DType::b1: return condition(level);
    case DType::i32:
      if (chance(12)) return call(Intrinsic::Bits, {makeLoad(DType::f32)});
      if (chance(12)) return dot(level);
      return integerValue(t, level);
    default: return integerValue(t, level);
    }
  }
  Expr leaf(DType t) {
    if (t == DType::i64 && chance(40)) return chance(50) ? c : use(i);
    if (chance(20)) return constant(t == DType::b1 ? double(below(2)) : double(below(20)), {t, 1});
    return makeLoad(t);
  }
  Expr floatValue(int level) {
    auto again = [&] { return makeValue(DType::f32, level - 1); };
    switch (below(13)) {
    case 0: return again() + again();
    case 1: return again() - again();
    case 2: return again() * again();
    case 3: return min(again(), again());
    case 4: return max(again(), again());
    case 5: return call(Intrinsic::Fma, {again(), again(), again()});
    case 6: return call(Intrinsic::Round, {again()});
    case 7: return call(Intrinsic::Floor, {again()});
    case 8: return call(Intrinsic::Ceil, {again()});
    case 9: return call(Intrinsic::Sqrt, {call(Intrinsic::Abs, {again()})});
    case 10: {
      Expr n = call(Intrinsic::Round, {max(min(makeLoad(DType::f32), fimm(60)), fimm(-60))});
      return call(Intrinsic::Scale2, {again(), n});
    }
    case 11: return binary(BinaryOp::Div, again(), call(Intrinsic::Abs, {again()}) + fimm(1));
    default: return call(Intrinsic::FromBits, {call(Intrinsic::Bits, {makeLoad(DType::f32)})});
    }
  }
  Expr integerValue(DType t, int level) {
    auto again = [&] { return makeValue(t, level - 1); };
    if (t == DType::i64) {  // index arithmetic must not overflow
      switch (below(4)) {
      case 0: return min(again(), leaf(t));
      case 1: return floorDiv(leaf(t), imm(pick({1, 2, 3, 7, 16})));
      case 2: return floorMod(leaf(t), imm(pick({1, 2, 5, 8, -3})));
      default: return leaf(t) + c;
      }
    }
    switch (below(8)) {
    case 0: return again() + again();
    case 1: return again() - again();
    case 2: return again() * again();
    case 3: return min(again(), again());
    case 4: return max(again(), again());
    case 5: return floorDiv(again(), imm(pick({2, 3, 8, 7}), {t, 1}));
    case 6: return floorMod(again(), imm(pick({2, 3, 8, 7}), {t, 1}));
    default: return t == DType::i32 ? call(Intrinsic::Abs, {again()}) : again();
    }
  }
  Expr dot(int level) {
    Buffer x = input(DType::u8, {rowCount, imm(4 * columns)}), w = input(DType::i8, {imm(columns), imm(4)});
    Expr a =
        chance(50) ? loop::load(x, {use(i), ramp(c * 4, 1, 4)}) : loop::load(x, {use(i), ramp(imm(0), 1, 4)});
    Expr b = loop::load(w, {c, ramp(imm(0), 1, 4)});
    return call(Intrinsic::Dot4, {a, b, makeValue(DType::i32, level - 1)});
  }
  Expr condition(int level) {
    DType of = DType(below(6));
    auto again = [&] { return makeValue(of, level - 1); };
    switch (below(6)) {
    case 0: return binary(BinaryOp::And, makeValue(DType::b1, level - 1), makeValue(DType::b1, level - 1));
    case 1: return binary(BinaryOp::Or, makeValue(DType::b1, level - 1), makeValue(DType::b1, level - 1));
    case 2: return binary(BinaryOp::Eq, again(), again());
    case 3: return lessEqual(again(), again());
    default: return lessThan(again(), again());
    }
  }
};

} // namespace

Case randomCase(uint64_t seed) { return Maker(seed).run(); }

} // namespace planish::codegen::test
