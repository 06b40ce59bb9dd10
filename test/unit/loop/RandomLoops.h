// Random expressions and functions that run without leaving their buffers, for property tests.
#pragma once

#include "planish/loop/Interpret.h"
#include "planish/loop/Rewrite.h"

#include <cmath>
#include <cstring>
#include <random>
#include <string>

namespace planish::loop::test {

/// An expression built with folding, and the same tree without.
struct Both {
  Expr folded, raw;
};

class RandomLoops {
public:
  explicit RandomLoops(uint64_t seed) : rng(seed) {}

  int64_t upTo(int64_t bound) { return std::uniform_int_distribution<int64_t>(0, bound)(rng); }
  int64_t between(int64_t lo, int64_t hi) { return std::uniform_int_distribution<int64_t>(lo, hi)(rng); }
  bool chance(int percent) { return upTo(99) < percent; }
  template <class T> const T &pick(const std::vector<T> &v) { return v[size_t(upTo(int64_t(v.size()) - 1))]; }
  float real() { return float(between(-400, 400)) / 64.0f; }

  /// A scalar i64 over `vars`; values stay far below overflow.
  Both index(const std::vector<Var> &vars, int depth) {
    using enum BinaryOp;
    if (depth == 0 || chance(15)) {
      if (!vars.empty() && chance(65)) {
        Expr v = use(pick(vars));
        return {v, v};
      }
      Expr k = imm(between(-9, 9));
      return {k, k};
    }
    auto both = [&](BinaryOp op, const Both &a, const Both &b) {
      return Both{binary(op, a.folded, b.folded), makeExpr({}, Binary{op, a.raw, b.raw})};
    };
    Both a = index(vars, depth - 1);
    switch (upTo(9)) {
    case 0:
    case 1:
    case 2: return both(Add, a, index(vars, depth - 1));
    case 3: return both(Sub, a, index(vars, depth - 1));
    case 4: {
      Expr k = imm(between(-4, 4));
      return both(Mul, a, {k, k});
    }
    case 5: return both(Mul, index(vars, std::min(depth - 1, 1)), index(vars, std::min(depth - 1, 1)));
    case 6:
    case 7: {
      Expr k = imm(pick<int64_t>({1, 2, 3, 4, 6, 8, 12}));
      return both(chance(50) ? FloorDiv : FloorMod, a, {k, k});
    }
    case 8: return both(chance(50) ? Min : Max, a, index(vars, depth - 1));
    default: {
      Both b = index(vars, depth - 1), c = index(vars, depth - 1);
      BinaryOp op = pick<BinaryOp>({Lt, Le, Eq});
      return {select(binary(op, a.folded, b.folded), c.folded, a.folded),
              makeExpr({}, Select{makeExpr({DType::b1, 1}, Binary{op, a.raw, b.raw}), c.raw, a.raw})};
    }
    }
  }

  /// A function over one buffer of every type, two symbols, and an output it writes.
  Function function(bool transcendentals = false) {
    height = var("H", {}, 1, 7), width = var("W", {}, 1, 9);
    Expr h = use(height), w = use(width);
    inputs = {buffer("x", DType::f32, {h, w}),
              buffer("t", DType::f32, {w, h}, {imm(1), w}),
              buffer("c", DType::f32, std::vector<int64_t>{5}, {}, Scope::Constant),
              buffer("i", DType::i32, std::vector<int64_t>{4, 3}),
              buffer("u", DType::u8, std::vector<int64_t>{11}),
              buffer("s", DType::i8, std::vector<int64_t>{6}),
              buffer("l", DType::i64, std::vector<int64_t>{3}),
              buffer("b", DType::b1, std::vector<int64_t>{4})};
    output = buffer("y", DType::f32, {h, w + 2, imm(kLanes)});
    special = transcendentals;
    scope = {height, width};
    floats.clear();
    Function f{"random", inputs, {height, width}, {}};
    f.params.push_back(output);
    std::vector<Stmt> stmts;
    for (int i = 0; i < 3; ++i) stmts.push_back(stmt(4, false));
    f.body = block(std::move(stmts));
    return f;
  }

  static constexpr int kLanes = 8;

private:
  Expr at(const Expr &size) { return floorMod(index(scope, 2).folded, size); }

  Expr loadOf(DType dtype) {
    std::vector<Buffer> fitting;
    for (auto &b : inputs)
      if (b->dtype == dtype) fitting.push_back(b);
    const Buffer b = pick(fitting);
    std::vector<Expr> indices;
    for (auto &size : b->shape) indices.push_back(at(size));
    Expr mask;
    if (chance(20)) mask = condition(1);
    return load(b, indices, mask);
  }

  Expr condition(int depth) {
    using enum BinaryOp;
    if (depth > 0 && chance(30))
      return binary(chance(50) ? And : Or, condition(depth - 1), condition(depth - 1));
    switch (upTo(3)) {
    case 0: return lessThan(number(depth), number(depth));
    case 1: return load(inputs[7], {at(imm(4))});
    default: return binary(pick<BinaryOp>({Lt, Le, Eq}), index(scope, 1).folded, index(scope, 1).folded);
    }
  }

  Expr integer(int depth) {
    using enum BinaryOp;
    if (depth <= 0) return chance(40) ? imm(between(-1000000, 1000000), {DType::i32, 1}) : loadOf(DType::i32);
    switch (upTo(6)) {
    case 0: return cast(DType::i32, loadOf(chance(50) ? DType::u8 : DType::i8));
    case 1: return cast(DType::i32, number(depth - 1));
    case 2: return floorMod(integer(depth - 1), imm(between(1, 9), {DType::i32, 1}));
    case 3: return cast(DType::i32, cast(chance(50) ? DType::u8 : DType::i8, integer(depth - 1)));
    case 4: return call(Intrinsic::Bits, {number(depth - 1)});
    default: return binary(pick<BinaryOp>({Add, Sub, Mul, Min, Max}), integer(depth - 1), integer(depth - 1));
    }
  }

  Expr number(int depth) {
    using enum BinaryOp;
    if (depth <= 0) {
      if (!floats.empty() && chance(40)) return use(pick(floats));
      return chance(30) ? fimm(real()) : loadOf(DType::f32);
    }
    switch (upTo(8)) {
    case 0: return call(Intrinsic::Fma, {number(depth - 1), number(depth - 1), number(depth - 1)});
    case 1: return select(condition(depth - 1), number(depth - 1), number(depth - 1));
    case 2: return cast(DType::f32, integer(depth - 1));
    case 3: return cast(DType::f32, chance(50) ? index(scope, 2).folded : loadOf(DType::i64));
    case 4: {
      std::vector<Intrinsic> fns{Intrinsic::Floor, Intrinsic::Ceil, Intrinsic::Round, Intrinsic::Abs,
                                 Intrinsic::Sqrt};
      if (special)
        fns = {Intrinsic::Exp, Intrinsic::Log, Intrinsic::Tanh,
               Intrinsic::Erf, Intrinsic::Sin, Intrinsic::Cos};
      return call(pick(fns), {number(depth - 1)});
    }
    default:
      return binary(pick<BinaryOp>({Add, Sub, Mul, Div, Min, Max}), number(depth - 1), number(depth - 1));
    }
  }

  /// A store to the output, in its last dimension at `lane` if that is given.
  Stmt storeTo(const Expr &lane) {
    Expr mask;
    if (chance(25)) mask = condition(1);
    return store(output, {at(output->shape[0]), at(output->shape[1]), lane ? lane : at(imm(kLanes))},
                 number(int(upTo(3))), mask);
  }

  /// The body of a vectorized loop: stores in distinct lanes, guards, lets; reads only inputs.
  Stmt laneStmt(const Expr &lane, int depth) {
    if (depth > 0 && chance(30)) return ifThen(condition(1), laneStmt(lane, depth - 1));
    if (depth > 0 && chance(30)) return letStmt([&] { return laneStmt(lane, depth - 1); });
    return storeTo(lane);
  }

  template <class Body> Stmt letStmt(const Body &body) {
    if (chance(50)) {
      Expr value = number(2);
      Var v = var("f", {DType::f32, 1});
      floats.push_back(v);
      Stmt s = makeStmt(Let{v, value, body()});
      floats.pop_back();
      return s;
    }
    Expr value = index(scope, 2).folded;
    Var v = var("n", {});
    scope.push_back(v);
    Stmt s = makeStmt(Let{v, value, body()});
    scope.pop_back();
    return s;
  }

  Stmt stmt(int depth, bool inParallel) {
    if (depth == 0) return storeTo({});
    switch (upTo(7)) {
    case 0: return ifThen(condition(1), stmt(depth - 1, inParallel));
    case 1: return letStmt([&] { return stmt(depth - 1, inParallel); });
    case 2: return block({stmt(depth - 1, inParallel), stmt(depth - 1, inParallel)});
    case 3: {
      Buffer r = buffer("acc", DType::f32, std::vector<int64_t>{3}, {}, Scope::Register);
      Stmt fill = loop::store(r, {imm(1)}, number(1));
      inputs.push_back(r);
      // Only element 1 is written, so only it is read.
      Stmt use = loop::store(output, {imm(0), imm(1), imm(2)}, load(r, {imm(1)}));
      inputs.pop_back();
      return makeStmt(Alloc{r, block({fill, use})});
    }
    case 4: {
      Var v = var("v", {}, 0, kLanes);
      int64_t begin = upTo(1), end = between(begin + 1, kLanes);
      scope.push_back(v);
      Stmt body = laneStmt(use(v), 2);
      scope.pop_back();
      return loop::loop(v, imm(begin), imm(end), LoopKind::Vectorized, body);
    }
    default: {
      bool unrolled = chance(40), parallel = !unrolled && !inParallel && chance(30);
      Expr begin = imm(upTo(2)),
           end = unrolled || chance(50) ? imm(between(0, 5)) : use(chance(50) ? height : width);
      Var v = chance(50) ? var("k") : var("k", {}, 0, 9);
      scope.push_back(v);
      Stmt body = stmt(depth - 1, inParallel || parallel);
      scope.pop_back();
      return loop::loop(v, begin, end,
                        unrolled   ? LoopKind::Unrolled
                        : parallel ? LoopKind::Parallel
                                   : LoopKind::Serial,
                        body);
    }
    }
  }

  std::mt19937_64 rng;
  Var height, width;
  std::vector<Buffer> inputs;
  Buffer output;
  std::vector<Var> scope, floats;
  bool special = false;
};

/// Memory for the parameters of RandomLoops::function, filled from a seed.
class Memory {
public:
  Memory(const Function &f, std::vector<int64_t> scalars, uint64_t seed) : scalars(std::move(scalars)) {
    RandomLoops random(seed);
    Substitution sizes;
    for (size_t i = 0; i < f.scalars.size(); ++i) sizes[f.scalars[i]] = imm(this->scalars[i]);
    for (auto &b : f.params) {
      int64_t n = 1;
      for (auto &d : b->shape) n *= *constantOf(substitute(d, sizes));
      auto &bytes = buffers.emplace_back(size_t(n * byteSize(b->dtype)));
      for (int64_t i = 0; i < n; ++i) {
        if (b->dtype == DType::f32) {
          float v = random.chance(3) ? INFINITY : random.chance(3) ? NAN : random.real();
          std::memcpy(&bytes[size_t(i) * 4], &v, 4);
        } else {
          int64_t v = b->dtype == DType::b1 ? random.upTo(1) : random.between(-100, 155);
          std::memcpy(&bytes[size_t(i) * size_t(byteSize(b->dtype))], &v, size_t(byteSize(b->dtype)));
        }
      }
    }
  }

  Status run(const Function &f) {
    std::vector<void *> pointers;
    for (auto &b : buffers) pointers.push_back(b.data());
    return interpret(f, pointers, scalars);
  }
  /// The output, every NaN the same.
  std::vector<int32_t> output() const {
    std::vector<int32_t> r(buffers.back().size() / 4);
    for (size_t i = 0; i < r.size(); ++i) {
      float v;
      std::memcpy(&v, &buffers.back()[i * 4], 4);
      std::memcpy(&r[i], &v, 4);
      if (std::isnan(v)) r[i] = 0x7fc00000;
    }
    return r;
  }

  std::vector<int64_t> scalars;
  std::vector<std::vector<std::byte>> buffers;
};

} // namespace planish::loop::test
