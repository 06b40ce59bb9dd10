// The requantization rule against its definition in integers: the significand of the scale times the sum,
// rounded once, ties to even.
#include "planish/graph/Evaluate.h"
#include "planish/ops/Ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace planish::ops {
namespace {

/// v / 2^shift, to nearest, ties to even.
int64_t rounded(__int128 v, int shift) {
  if (shift <= 0) return int64_t(v << -shift);
  __int128 floor = v >> shift, rest = v - (floor << shift), half = __int128(1) << (shift - 1);
  return int64_t(floor + (rest > half || (rest == half && (floor & 1))));
}

/// A sum as a float holds it: 24 significant bits.
int64_t significant(int64_t sum) {
  int excess = 0;
  while ((std::abs(sum) >> excess) >= (int64_t(1) << 24)) ++excess;
  return rounded(sum, excess) << excess;
}

int64_t requantized(int64_t sum, float scale, int64_t zero) {
  int exponent;
  auto significand = int64_t(std::ldexp(std::frexp(scale, &exponent), 24));
  int64_t steps = rounded(__int128(significant(sum)) * significand, 24 - exponent);
  return std::clamp<int64_t>(steps + zero, 0, 255);
}

TEST(Requantize, IsTheIntegerRule) {
  constexpr int64_t kSums = 4096, kChannels = 8;
  std::mt19937 random(20);
  std::vector<int32_t> sums;
  std::vector<float> scales;
  for (int64_t c = 0; c < kChannels; ++c)  // the last are powers of two, whose products tie
    scales.push_back(c < 6 ? std::ldexp(1.0f + float(random() >> 9) * 0x1p-23f, -int(random() % 12) - 8)
                           : std::ldexp(1.0f, -int(c)));
  for (int64_t i = 0; i < kSums * kChannels; ++i) {
    double most = std::min(4194303.0 / double(scales[size_t(i % kChannels)]), 2147483647.0);
    double wanted = std::ldexp(double(int32_t(random())) / 2147483648.0, -int(random() % 24));
    sums.push_back(int32_t(wanted * most));
  }
  graph::Graph g;
  graph::ValueId sum = g.addConstant(DType::i32, {kSums, kChannels}, sums);
  graph::ValueId scale = g.addConstant(DType::f32, {kChannels}, scales);
  auto made = g.append(kRequantize, RequantizeAttrs{77, 0, 255}, {sum, scale}, {});
  ASSERT_TRUE(made) << made.error().text;
  g.setOutputs(*made);
  auto result = graph::evaluate(g, {});
  ASSERT_TRUE(result) << result.error().text;
  for (size_t i = 0; i < sums.size(); ++i)
    ASSERT_EQ(int64_t((*result->front().data)[i]), requantized(sums[i], scales[i % kChannels], 77))
        << sums[i] << " * " << scales[i % kChannels];
}

TEST(Requantize, RoundsRealNumbersTimesTheScale) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  std::vector<float> reals{0, -0.0f, 1e30f, -1e30f, inf, -inf, NAN, 0x1p-140f};
  for (int i = -600; i <= 600; ++i) reals.push_back(float(i) / 4); // every fourth product is a tie
  graph::Graph g;
  graph::ValueId x = g.addConstant(DType::f32, {int64_t(reals.size())}, reals);
  graph::ValueId scale = g.addConstant(DType::f32, {}, std::vector<float>{2});
  auto made = g.append(kRequantize, RequantizeAttrs{77, 3, 250}, {x, scale}, {});
  ASSERT_TRUE(made) << made.error().text;
  g.setOutputs(*made);
  auto result = graph::evaluate(g, {});
  ASSERT_TRUE(result) << result.error().text;
  for (size_t i = 0; i < reals.size(); ++i) {
    float nearest = std::isnan(reals[i]) ? -inf : std::nearbyint(reals[i] * 2);
    EXPECT_EQ(float((*result->front().data)[i]), std::clamp(nearest + 77, 3.0f, 250.0f)) << reals[i];
  }
}

} // namespace
} // namespace planish::ops
