// Tensors without elements: no template may divide by their sizes.
#include "planish/loop/Interpret.h"
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

} // namespace
} // namespace planish::schedule
