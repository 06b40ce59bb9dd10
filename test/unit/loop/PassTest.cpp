#include "RandomLoops.h"

#include "planish/loop/Compute.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Text.h"
#include "planish/loop/Verify.h"

#include <gtest/gtest.h>

namespace planish::loop {
namespace {

using test::Memory;
using test::RandomLoops;

Function parsed(std::string_view text) {
  auto r = parse(text);
  EXPECT_TRUE(r) << r.error().text;
  return r ? *(*r).back() : Function{};
}

TEST(Vectorize, GuardsBecomeMasks) {
  Function f = vectorize(parsed(R"(func @f(%x: f32[n], %w: f32[4,16] packed, %y: f32[n]; n: i64 in 1..64) {
  for g in 0..4, vectorized v in 0..16 {
    if g*16 + v < n {
      %y[g*16 + v] = %x[g*16 + v]*%w[g, v] + %x[0]
    }
  }
})"));
  EXPECT_TRUE(verify(f)) << verify(f).error().text;
  EXPECT_EQ(print(f), R"(func @f(%x: f32[n], %w: f32[4,16] packed, %y: f32[n]; n: i64 in 1..64) {
  for g in 0..4 {
    %y[g*16:16 where (g*16:16) < splat16(n)] = %x[g*16:16 where (g*16:16) < splat16(n)]*%w[g, 0:16] + splat16(%x[0])
  }
}
)");
}

TEST(Vectorize, DotProductsTakeFourLanesPerLane) {
  Function f = parsed(R"(func @f(%x: u8[8], %w: i8[8,64], %y: i32[16]) {
  for k in 0..2, vectorized v in 0..16 {
    %y[v] = dot4(%x[k*4:4], %w[k, v*4:4], %y[v])
  }
})");
  Function g = vectorize(f);
  EXPECT_TRUE(verify(g)) << verify(g).error().text;
  EXPECT_NE(print(g).find("dot4(splat16(%x[k*4:4]), %w[k, 0:64], %y[0:16])"), std::string::npos) << print(g);
}

TEST(Unroll, CopiesTheBody) {
  Function f = unroll(parsed(R"(func @f(%y: f32[9]) {
  for unrolled p in 1..3 {
    if p < 2 {
      %y[p*2] = 1.0
    }
    %y[p] = 2.0
  }
})"));
  EXPECT_EQ(print(f), "func @f(%y: f32[9]) {\n  %y[2] = 1.0\n  %y[1] = 2.0\n  %y[2] = 2.0\n}\n");
}

TEST(TaskCount, IsTheLargestEnd) {
  EXPECT_EQ(print(taskCount(parsed(R"(func @f(%y: f32[n]; n: i64 in 1..64) {
  for parallel p in 0..n {
    %y[p] = 1.0
  }
  for parallel p in 0..3 {
    %y[0] = 1.0
  }
})"))),
            "max(n, 3)");
  EXPECT_EQ(print(taskCount(parsed("func @f() { }"))), "1");
}

TEST(Compute, DefinitionOfAGuardedSum) {
  Var i = var("i", {}, 0, 4), k = var("k", {}, 0, 2), n = var("n", {}, 1, 9);
  Compute c;
  c.name = "blur";
  c.space = {{i, use(n)}};
  c.reduce = {{k, imm(3)}};
  Buffer x = buffer("x", DType::f32, {use(n)}),
         w = buffer("w", DType::f32, std::vector<int64_t>{3}, {}, Scope::Constant);
  c.where = {use(i) + use(k) - 1, use(n) - use(i) - use(k)};
  c.lhs = load(x, {use(i) + use(k) - 1});
  c.rhs = load(w, {use(k)});
  c.sum = var("sum", {DType::f32, 1});
  c.value = max(use(c.sum), fimm(0));
  c.out = buffer("y", DType::f32, {use(n)});
  c.outIndices = {use(i)};
  collectParams(c);
  ASSERT_EQ(c.params.size(), 3u);
  EXPECT_EQ(c.params.back(), c.out);
  ASSERT_EQ(c.scalars.size(), 1u);
  Function f = definition(c);
  ASSERT_TRUE(verify(f)) << verify(f).error().text;
  std::vector<float> in{1, 2, 3, -40}, weights{1, 10, 100}, out(4);
  void *memory[] = {in.data(), weights.data(), out.data()};
  int64_t sizes[] = {4};
  Status s = interpret(f, memory, sizes);
  ASSERT_TRUE(s) << s.error().text;
  EXPECT_EQ(out, (std::vector<float>{210, 321, 0, 0}));
}

TEST(Compute, NeutralElements) {
  EXPECT_EQ(print(neutral(Combine::Max, DType::f32)), "-inf");
  EXPECT_EQ(print(neutral(Combine::Min, DType::u8)), "255u8");
  EXPECT_EQ(print(neutral(Combine::Product, DType::i32)), "1i32");
  EXPECT_EQ(print(neutral(Combine::Sum, DType::i64)), "0");
}

/// Runs `f` and `g` on the same memory and compares what they write.
void expectSame(const Function &f, const Function &g, uint64_t seed, const char *what) {
  ASSERT_TRUE(verify(g)) << what << ", seed " << seed << ": " << verify(g).error().text << "\n" << print(g);
  RandomLoops random(seed + 17);
  std::vector<int64_t> sizes{random.between(1, 7), random.between(1, 9)};
  Memory a(f, sizes, seed), b(f, sizes, seed);
  Status x = a.run(f), y = b.run(g);
  ASSERT_TRUE(x) << what << ", seed " << seed << ": " << x.error().text << "\n" << print(f);
  ASSERT_TRUE(y) << what << ", seed " << seed << ": " << y.error().text << "\n" << print(g);
  ASSERT_EQ(a.output(), b.output()) << what << ", seed " << seed << "\n" << print(f) << print(g);
}

TEST(Property, PassesKeepMeaning) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    Function f = RandomLoops(seed).function();
    expectSame(f, unroll(f), seed, "unroll");
    expectSame(f, vectorize(f), seed, "vectorize");
    expectSame(f, simplify(f), seed, "simplify");
    expectSame(f, simplify(unroll(vectorize(f))), seed, "vectorize, unroll, simplify");
    expectSame(f, legalize(f, {true, false}), seed, "legalize scale2");
    if (HasFatalFailure()) return;
  }
}

TEST(Property, LegalizedScalarsEqualVectors) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Function f = RandomLoops(seed).function(true);
    for (Legal legal : {Legal{true, true}, Legal{false, false}}) {
      Function scalar = legalize(f, legal);
      expectSame(scalar, legalize(vectorize(f), legal), seed, "legalize after vectorize");
      expectSame(scalar, vectorize(scalar), seed, "vectorize after legalize");
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Property, LegalFormsOfScale2Agree) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Function f = RandomLoops(seed).function(true);
    expectSame(legalize(f, {true, true}), legalize(f, {true, false}), seed, "scale2");
    if (HasFatalFailure()) return;
  }
}

} // namespace
} // namespace planish::loop
