#include "RandomLoops.h"

#include "planish/loop/Text.h"

#include <gtest/gtest.h>

namespace planish::loop {
namespace {

using test::RandomLoops;

const Var x = var("x", {}, 0, 100), y = var("y", {}, -20, 20), f = var("f", {}, 0, 9999);
const Var W = var("W", {}, 1, 640), H = var("H", {}, 1, 640), C = var("C", {}, 1, 64);

std::string textOf(const Expr &e) { return print(e); }

TEST(Fold, KeepsSumsInNormalForm) {
  EXPECT_EQ(textOf(use(y) + use(x) * 4 - 3 + use(y)), "x*4 + y*2 - 3");
  EXPECT_EQ(textOf(imm(1) - use(x)), "1 - x");
  EXPECT_EQ(textOf((use(x) + 1) * (use(y) - 1) - use(y)), "x*y - x - 1");
  EXPECT_TRUE(equal(use(x) * use(W) * 3, (use(W) + use(W) * 2) * use(x)));
  EXPECT_EQ(textOf(use(x) - use(x)), "0");
}

TEST(Fold, DividesWhatDividesExactly) {
  EXPECT_EQ(textOf(floorDiv(use(x) * 4 + 3, imm(4))), "x");
  EXPECT_EQ(textOf(floorMod(use(x) * 4 + 3, imm(4))), "3");
  EXPECT_EQ(textOf(floorDiv(use(x) * 4 + use(y) * 2 + 9, imm(8))), "(x*2 + y) div 4 + 1");
  EXPECT_EQ(textOf(floorMod(use(x), imm(101))), "x");
  EXPECT_EQ(textOf(floorDiv(use(y), imm(1))), "y");
  EXPECT_EQ(textOf(floorDiv(use(H) * use(W) + use(x) * use(W), use(W))), "H + x");
}

TEST(Fold, AddressOfAFusedAxisCancels) {
  Expr oh = floorDiv(use(f), use(W)), ow = floorMod(use(f), use(W));
  EXPECT_EQ(textOf(oh * use(W) * use(C) + ow * use(C) + use(x)), "C*f + x");
  Expr plane = floorMod(use(f), use(H) * use(W));
  Expr n = floorDiv(use(f), use(H) * use(W)), h = floorDiv(plane, use(W)), w = floorMod(plane, use(W));
  EXPECT_EQ(textOf(n * use(H) * use(W) + h * use(W) + w), "f");
  EXPECT_EQ(textOf(floorMod(floorDiv(use(f), imm(7)), imm(5)) + use(x) - 1 - use(x)), "(f div 7) mod 5 - 1");
}

TEST(Fold, ConstantsOfEveryType) {
  Type u8{DType::u8, 1}, i32{DType::i32, 1};
  EXPECT_EQ(constantOf(imm(250, u8) + imm(10, u8)), 4);
  EXPECT_EQ(constantOf(imm(INT32_MAX, i32) + imm(1, i32)), INT32_MIN);
  EXPECT_EQ(constantOf(imm(-7, i32) + imm(0, i32)), -7);
  EXPECT_EQ(constantOf(floorDiv(imm(-7), imm(2))), -4);
  EXPECT_EQ(constantOf(floorMod(imm(-7), imm(2))), 1);
  EXPECT_EQ(constantOf(cast(DType::i8, fimm(300))), 127);
  EXPECT_EQ(constantOf(cast(DType::i32, fimm(NAN))), 0);
  EXPECT_EQ(constantOf(cast(DType::u8, imm(-1))), 255);
  EXPECT_EQ(as<FloatImm>(fimm(16777216) + fimm(1))->value, 16777216.0);
  EXPECT_TRUE(std::isnan(as<FloatImm>(fimm(INFINITY) - fimm(INFINITY))->value));
  EXPECT_EQ(constantOf(constant(16777217, i32)), 16777217);
}

TEST(Fold, LogicSelectAndComparisons) {
  Expr c = lessThan(use(x), use(W)), yes = imm(1, {DType::b1, 1}), no = imm(0, {DType::b1, 1});
  EXPECT_EQ(binary(BinaryOp::And, c, yes).get(), c.get());
  EXPECT_EQ(constantOf(binary(BinaryOp::And, c, no)), 0);
  EXPECT_EQ(constantOf(binary(BinaryOp::Or, c, yes)), 1);
  EXPECT_EQ(constantOf(lessThan(use(x), use(x) + 1)), 1);
  EXPECT_EQ(constantOf(lessEqual(use(x) + 1, use(x))), 0);
  EXPECT_EQ(select(c, use(x), use(x)).get() != nullptr, true);
  EXPECT_EQ(textOf(min(use(x) + 2, use(x))), "x");
}

TEST(Fold, RampsKeepAScalarBase) {
  Expr r = ramp(use(x), 1, 8);
  EXPECT_EQ(textOf(r * imm(4) + broadcast(use(y), 8)), "x*4 + y:8:4");
  EXPECT_EQ(textOf(ramp(ramp(use(x), 4, 8), 1, 4)), "x:32");
  EXPECT_EQ(textOf(broadcast(imm(3), 8) - r), "3 - x:8:-1");
}

TEST(Affine, CoefficientsOverTheRest) {
  Affine a = affine(use(x) * use(W) * use(C) + use(x) * 3 + use(y));
  EXPECT_EQ(textOf(toExpr(a.coefficientOf(x))), "C*W + 3");
  EXPECT_EQ(textOf(toExpr(a.coefficientOf(y))), "1");
  EXPECT_TRUE(a.coefficientOf(f).isConstant());
  EXPECT_EQ(a.coefficientOf(f).constant, 0);
  EXPECT_EQ(textOf(toExpr(a.without(x))), "y");
  // What is not linear stays: x mod 3 is x - 3*(x div 3).
  Affine b = affine(floorMod(use(x), imm(3)) + use(y));
  EXPECT_EQ(textOf(toExpr(b.coefficientOf(x))), "1");
  EXPECT_TRUE(dependsOn(toExpr(b.without(x)), x));
}

TEST(Affine, ElementOffsetOfSymbolicStrides) {
  Buffer b = buffer("b", DType::f32, {use(H), use(W), imm(8)});
  EXPECT_EQ(textOf(toExpr(elementOffset(*b, {use(y), use(x), ramp(imm(2), 1, 4)}))), "W*y*8 + x*8 + 2");
}

TEST(Range, ProductsDivisionsAndSaturation) {
  auto range = [](const Expr &e) {
    Range r = rangeOf(e);
    return std::pair(r.lo, r.hi);
  };
  EXPECT_EQ(range(use(H) * use(W)), std::pair(int64_t(1), int64_t(640 * 640)));
  EXPECT_EQ(range(floorDiv(use(y), imm(3))), std::pair(int64_t(-7), int64_t(6)));
  EXPECT_EQ(range(floorMod(use(y), imm(3))), std::pair(int64_t(0), int64_t(2)));
  EXPECT_EQ(range(use(y) * use(y)), std::pair(int64_t(0), int64_t(400)));
  Expr huge = imm(INT64_MAX / 2) * use(x);
  EXPECT_EQ(rangeOf(huge).hi, INT64_MAX);
  EXPECT_EQ(range(cast(DType::i64, load(buffer("u", DType::u8, std::vector<int64_t>{1}), {imm(0)}))),
            std::pair(int64_t(0), int64_t(255)));
  EXPECT_EQ(range(cast(DType::i8, use(x) + 100)), std::pair(int64_t(-128), int64_t(127)));
}

TEST(Simplify, DecidesByRanges) {
  EXPECT_EQ(textOf(simplify(max(imm(0), use(x)), {})), "x");
  EXPECT_EQ(textOf(simplify(min(use(y), imm(5)), {{y, {6, 9}}})), "5");
  EXPECT_EQ(constantOf(simplify(lessThan(use(y), use(x) + 21), {})), 1);
  EXPECT_EQ(textOf(simplify(floorDiv(use(x) * 4 + use(y), imm(4)), {{y, {0, 3}}})), "x");
  EXPECT_EQ(textOf(simplify(select(lessThan(use(x), imm(200)), use(x), use(y)), {})), "x");
}

TEST(Rewrite, KeepsUnchangedNodes) {
  Expr e = max(floorDiv(use(x) + use(y), imm(3)), use(W));
  EXPECT_EQ(rewrite(e, [](const Expr &v) { return v; }).get(), e.get());
  EXPECT_EQ(substitute(e, {{H, imm(3)}}).get(), e.get());
  EXPECT_EQ(textOf(substitute(e, {{y, use(x) * 2}})), "max(x, W)");
}

/// The values of `exprs` at one assignment of `vars`.
std::vector<int64_t> evaluate(const std::vector<Expr> &exprs, const std::vector<Var> &vars,
                              const std::vector<int64_t> &values) {
  Buffer out = buffer("out", DType::i64, std::vector<int64_t>{int64_t(exprs.size())});
  std::vector<Stmt> stmts;
  for (size_t i = 0; i < exprs.size(); ++i) stmts.push_back(store(out, {imm(int64_t(i))}, exprs[i]));
  std::vector<int64_t> r(exprs.size());
  void *memory[] = {r.data()};
  Status s = interpret({"evaluate", {out}, vars, block(std::move(stmts))}, memory, values);
  EXPECT_TRUE(s) << s.error().text;
  return r;
}

TEST(Property, NormalFormsKeepValues) {
  const std::vector<Var> vars{x, y, H};
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    RandomLoops random(seed);
    auto e = random.index(vars, 4);
    std::vector<int64_t> values{random.between(0, 100), random.between(-20, 20), random.between(1, 640)};
    Ranges env{{x, {values[0] - 1, values[0] + 2}}, {y, {values[1], values[1]}}};
    Expr simple = simplify(e.folded, env), again = toExpr(affine(e.folded));
    auto r = evaluate({e.raw, e.folded, simple, again}, vars, values);
    ASSERT_EQ(r[0], r[1]) << "seed " << seed << ": " << print(e.raw) << " folded to " << print(e.folded);
    ASSERT_EQ(r[0], r[2]) << "seed " << seed << ": " << print(e.folded) << " simplified to " << print(simple);
    ASSERT_EQ(r[0], r[3]) << "seed " << seed << ": " << print(e.folded) << " as polynomial " << print(again);
    Range bounds = rangeOf(e.folded, env), rawBounds = rangeOf(e.raw, env);
    ASSERT_LE(bounds.lo, r[0]) << "seed " << seed << ": " << print(e.folded);
    ASSERT_GE(bounds.hi, r[0]) << "seed " << seed << ": " << print(e.folded);
    ASSERT_LE(rawBounds.lo, r[0]) << "seed " << seed << ": " << print(e.raw);
    ASSERT_GE(rawBounds.hi, r[0]) << "seed " << seed << ": " << print(e.raw);
    ASSERT_TRUE(equal(simplify(simple, env), simple))
        << "seed " << seed << ": simplify is not idempotent on " << print(e.folded) << ": " << print(simple)
        << " then " << print(simplify(simple, env));
  }
}

TEST(Property, EqualPolynomialsAreEqualTrees) {
  const std::vector<Var> vars{x, y, H};
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    RandomLoops random(seed);
    Expr a = random.index(vars, 2).folded, b = random.index(vars, 2).folded, c = random.index(vars, 2).folded;
    ASSERT_TRUE(equal((a + b) + c, c + (b + a))) << "seed " << seed << ": " << print((a + b) + c);
    ASSERT_TRUE(equal((a - b) + b, a + imm(0)))
        << "seed " << seed << ": " << print(a) << ", " << print(b) << " gives " << print((a - b) + b);
    ASSERT_TRUE(equal(a * 3 + b * 3, (a + b) * 3)) << "seed " << seed;
  }
}

} // namespace
} // namespace planish::loop
