// Functions by pieces give the codes of the functions, but for ties.
#include "Parsed.h"

#include "planish/graph/Evaluate.h"
#include "planish/graph/Text.h"
#include "planish/transform/PlaceCodes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace planish::transform {
namespace {

using test::parsed;

struct Function {
  const char *name, *nodes; // of %x, to %f
  float scale;
  int zero;
};

constexpr int64_t kSums = 4001;

Graph graphOf(const Function &f) {
  return parsed("graph @main(%sum: i32[4001]) {\n"
                "  %unit = constant f32[] [0.01]\n"
                "  %one = constant f32[] [1.0]\n"
                "  %half = constant f32[] [0.5]\n"
                "  %x: f32[4001] = dequantize(%sum, %unit)\n" +
                std::string(f.nodes) + "  %s = constant f32[] [" + std::to_string(f.scale) +
                "]\n  %z = constant u8[] [" + std::to_string(f.zero) +
                "]\n  %y: u8[4001] = quantize(%f, %s, %z)\n  return %y\n}");
}

TEST(Pieces, GiveTheCodesOfTheFunction) {
  const Function functions[] = {
      {"silu", "  %p: f32[4001] = sigmoid(%x)\n  %f: f32[4001] = mul(%x, %p)\n", 0.04F, 7},
      {"silu of small numbers", "  %p: f32[4001] = sigmoid(%x)\n  %f: f32[4001] = mul(%x, %p)\n", 0.005F, 56},
      {"mish", "  %p: f32[4001] = softplus(%x)\n  %t: f32[4001] = tanh(%p)\n  %f: f32[4001] = mul(%x, %t)\n",
       0.03F, 11},
      {"gelu",
       "  %e: f32[4001] = erf(%x)\n  %a: f32[4001] = add(%e, %one)\n  %b: f32[4001] = mul(%a, %x)\n"
       "  %f: f32[4001] = mul(%b, %half)\n",
       0.05F, 4},
      {"tanh", "  %f: f32[4001] = tanh(%x)\n", 0.008F, 128},
      {"sigmoid", "  %f: f32[4001] = sigmoid(%x)\n", 0.004F, 0},
  };
  for (const Function &f : functions) {
    SCOPED_TRACE(f.name);
    Graph g = graphOf(f);
    auto r = byPieces(g, {});
    ASSERT_TRUE(r) << r.error().text;
    EXPECT_NE(graph::print(*r).find(" piecewise("), std::string::npos);
    Status status = checkGraph(*r);
    EXPECT_TRUE(status) << status.error().text;
    auto bytes = std::make_shared<std::vector<std::byte>>(kSums * sizeof(int32_t));
    for (int32_t i = 0; i < kSums; ++i) {
      int32_t sum = i - kSums / 2;
      if (i % 100 == 0) sum *= 1000; // far outside, too
      std::memcpy(bytes->data() + size_t(i) * sizeof sum, &sum, sizeof sum);
    }
    graph::Tensor sums{DType::i32, {kSums}, bytes};
    auto want = graph::evaluate(g, std::span(&sums, 1)), got = graph::evaluate(*r, std::span(&sums, 1));
    ASSERT_TRUE(want && got);
    int different = 0;
    for (size_t i = 0; i < size_t(kSums); ++i) {
      int distance = std::abs(int((*got->front().data)[i]) - int((*want->front().data)[i]));
      ASSERT_LE(distance, 1) << "sum " << i;
      different += distance;
    }
    EXPECT_LT(different, kSums / 10);
  }
}

} // namespace
} // namespace planish::transform
