// Sums along the contiguous axis.
#include "Forms.h"

#include <gtest/gtest.h>

namespace planish::schedule::test {
namespace {

using namespace loop;

/// A convolution of channels-last rows with one output channel; its weights have the taps innermost.
Compute singleOutput(int64_t width, int64_t channels) {
  Var x = var("x"), tap = var("tap"), i = var("i");
  Buffer image = buffer("image", DType::f32, std::vector<int64_t>{width, channels});
  Buffer weights = buffer("weights", DType::f32, std::vector<int64_t>{channels, 3}, {}, Scope::Constant);
  Compute c;
  c.name = "conv";
  c.space = {{x, imm(width)}};
  c.reduce = {{tap, imm(3)}, {i, imm(channels)}};
  Expr at = use(x) + use(tap) - 1;
  c.where = {at, imm(width - 1) - at};
  c.lhs = load(image, {at, use(i)});
  c.rhs = load(weights, {use(i), use(tap)});
  c.init = fimm(0);
  c.sum = var("sum", {DType::f32, 1});
  c.value = use(c.sum);
  c.out = buffer("y", DType::f32, std::vector<int64_t>{width});
  c.outIndices = {use(x)};
  collectParams(c);
  return c;
}

// There is no column to be a vector: the channels are, and the weights are packed along them.
TEST(Reduction, TakesConvolutionsWithOneOutput) {
  for (const char *name : {"cpu:x86-64-v2", "cpu:x86-64-v3", "cpu:x86-64-v4"})
    for (int64_t channels : {16, 21, 64}) {
      Target target = *parseTarget(name);
      Case c{singleOutput(9, channels), {}, "one output"};
      Scheduled made = schedule(c.compute, target);
      EXPECT_EQ(made.templateName, "reduction.cpu") << name << ", " << channels << " channels";
      EXPECT_EQ(made.lowered.packings.size(), 1u);
      EXPECT_EQ(compareForms(c, target, {}, 1), "") << name << ", " << channels << " channels";
    }
}

} // namespace
} // namespace planish::schedule::test
