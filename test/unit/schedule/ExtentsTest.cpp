// Extents at the ends of their range: tensors without elements (no template may divide by their sizes),
// and axes of millions.
#include "planish/loop/Interpret.h"
#include "planish/loop/Text.h"
#include "planish/schedule/Template.h"

#include <gtest/gtest.h>

namespace planish::schedule {
namespace {

using namespace loop;

/// y[m, n] = sum over k of x[m, k] * w[k, n].
Compute product(int64_t m, int64_t n, int64_t k) {
  Var i = var("i"), j = var("j"), r = var("r");
  Compute c;
  c.name = "product";
  c.space = {{i, imm(m)}, {j, imm(n)}};
  c.reduce = {{r, imm(k)}};
  c.lhs = load(buffer("x", DType::f32, std::vector<int64_t>{m, k}), {use(i), use(r)});
  c.rhs = load(buffer("w", DType::f32, std::vector<int64_t>{k, n}), {use(r), use(j)});
  c.init = fimm(0);
  c.sum = var("sum", {DType::f32, 1});
  c.value = use(c.sum);
  c.out = buffer("y", DType::f32, std::vector<int64_t>{m, n});
  c.outIndices = {use(i), use(j)};
  collectParams(c);
  return c;
}

TEST(Empty, AnAxisOfNoElementsIsSerial) {
  Target target = *parseTarget("cpu:x86-64-v4");
  for (auto [m, n, k] : {std::array<int64_t, 3>{0, 4, 4}, {4, 0, 4}, {4, 4, 0}, {0, 0, 0}}) {
    Scheduled s = schedule(product(m, n, k), target);
    EXPECT_EQ(s.templateName, "serial.any");
    std::array<float, 16> x{}, w{}, y{};
    y.fill(7);
    void *params[] = {x.data(), w.data(), y.data()};
    Status ran = interpret(s.lowered.function, params);
    ASSERT_TRUE(ran) << ran.error().text;
    for (int64_t e = 0; e < m * n; ++e) EXPECT_EQ(y[size_t(e)], 0);
  }
}

// The loops of a long axis are found by bisection, not tile by tile: two million columns take no time.
TEST(Wide, ALongRowIsNotWalked) {
  constexpr int64_t width = 2'000'000;
  Var x = var("x"), c = var("c"), tap = var("tap"), i = var("i");
  Buffer image = buffer("image", DType::f32, std::vector<int64_t>{width, 8});
  Buffer weights = buffer("weights", DType::f32, std::vector<int64_t>{16, 3, 8}, {}, Scope::Constant);
  Compute conv;
  conv.name = "conv";
  conv.space = {{x, imm(width)}, {c, imm(16)}};
  conv.reduce = {{tap, imm(3)}, {i, imm(8)}};
  Expr at = use(x) + use(tap) - 1;
  conv.where = {at, imm(width - 1) - at};
  conv.lhs = load(image, {at, use(i)});
  conv.rhs = load(weights, {use(c), use(tap), use(i)});
  conv.init = fimm(0);
  conv.sum = var("sum", {DType::f32, 1});
  conv.value = use(conv.sum);
  conv.out = buffer("y", DType::f32, std::vector<int64_t>{width, 16});
  conv.outIndices = {use(x), use(c)};
  collectParams(conv);
  Scheduled s = schedule(conv, *parseTarget("cpu:x86-64-v4"));
  EXPECT_EQ(s.templateName, "contraction.cpu");
  EXPECT_LT(print(s.lowered.function).size(), 20000u);
}

} // namespace
} // namespace planish::schedule
