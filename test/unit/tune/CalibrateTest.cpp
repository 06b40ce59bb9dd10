// What calibration finds out by running a network: where 8 bits do not do.
#include "../../support/GraphValues.h"

#include "planish/graph/Text.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Equalize.h"
#include "planish/transform/PlaceCodes.h"
#include "planish/tune/Calibrate.h"
#include "planish/tune/Compare.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

using namespace planish;
using graph::Graph;

namespace {

/// "sum" makes large * x0 + x1 and large * x0 - x1, "difference" multiples of x1 of them; where `again` is
/// given "sum2" and "difference2" do the same once more; then come convolutions that are most of the work.
Graph network(float large, float again = 0) {
  std::mt19937 random(7);
  std::normal_distribution<float> number(0, 0.2F);
  auto constant = [&](const std::string &name, const std::string &shape, size_t count) {
    std::string r = "  %" + name + " = constant f32" + shape + " [";
    for (size_t i = 0; i < count; ++i) r += (i ? ", " : "") + std::to_string(number(random));
    return r + "]\n";
  };
  auto conv = [](const std::string &result, const std::string &x, const std::string &w, int channels,
                 int pad) {
    std::string pads = "[" + std::to_string(pad) + ", " + std::to_string(pad) + "]";
    return "  %" + result + ": f32[1," + std::to_string(channels) + ",8,8] = conv(%" + x + ", %" + w +
           ") {strides=[1, 1], dilations=[1, 1], pads_begin=" + pads + ", pads_end=" + pads + "} \"" +
           result + "\"\n";
  };
  std::string l = std::to_string(large), a = std::to_string(again), twice;
  if (again > 0)
    twice = "  %wa = constant f32[2,4,1,1] [" + a + ", 1.0, 0.0, 0.0, " + a + ", -1.0, 0.0, 0.0]\n" +
            conv("sum2", "positive", "wa", 2, 0) + conv("difference2", "sum2", "wd", 4, 0);
  auto g = graph::parse(
      "graph @main(%x: f32[1,2,8,8]) {\n  %ws = constant f32[2,2,1,1] [" + l + ", 1.0, " + l +
          ", -1.0]\n  %wd = constant f32[4,2,1,1] [0.5, -0.5, -0.4, 0.4, 0.3, -0.3, -0.6, 0.6]\n" +
          constant("w1", "[32,4,3,3]", 1152) + constant("w2", "[32,32,3,3]", 9216) +
          constant("w3", "[8,32,1,1]", 256) + conv("sum", "x", "ws", 2, 0) +
          conv("difference", "sum", "wd", 4, 0) +
          "  %positive: f32[1,4,8,8] = relu(%difference) \"positive\"\n" + twice +
          conv("first", again > 0 ? "difference2" : "positive", "w1", 32, 1) +
          conv("second", "first", "w2", 32, 1) + conv("last", "second", "w3", 8, 0) + "  return %last\n}\n",
      ops::allOps());
  EXPECT_TRUE(g) << g.error().text;
  return g ? *g : Graph();
}

tune::StoredSamples samples() {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> number(-1, 1);
  std::vector<tune::Sample> r;
  for (int s = 0; s < 6; ++s) {
    std::vector<float> values(128);
    for (float &v : values) v = number(random);
    auto bytes = std::make_shared<std::vector<std::byte>>(values.size() * sizeof(float));
    std::memcpy(bytes->data(), values.data(), bytes->size());
    r.push_back({{"x", {DType::f32, {1, 2, 8, 8}, bytes}}});
  }
  return tune::StoredSamples(r);
}

/// Signal to noise of the output, in dB.
double quality(const Graph &g, const quant::Profile &profile) {
  auto coded = transform::placeCodes(g, profile, {});
  auto real = transform::equalized(g, profile.equalization);
  EXPECT_TRUE(coded && real);
  tune::StoredSamples seen = samples();
  auto c = tune::compare(*coded, &*real, seen);
  EXPECT_TRUE(c) << c.error().text;
  return c ? c->outputs[0].error.sqnr : 0;
}

TEST(Calibrate, aDifferenceOfLargeNumbersIsTakenOfRealNumbers) {
  Graph g = network(64);
  tune::StoredSamples seen = samples();
  auto profile = tune::calibrate(g, seen, {quant::Calibrator::Mse});
  ASSERT_TRUE(profile) << profile.error().text;
  EXPECT_EQ(profile->real, std::vector<std::string>{"difference"});
  quant::Profile without = *profile;
  without.real.clear();
  EXPECT_GT(quality(g, *profile), quality(g, without) + 10);
}

TEST(Calibrate, theWorstValueHidesNoOther) {
  Graph g = network(64, 16);
  tune::StoredSamples seen = samples();
  auto profile = tune::calibrate(g, seen, {quant::Calibrator::Mse});
  ASSERT_TRUE(profile) << profile.error().text;
  EXPECT_EQ(profile->real, (std::vector<std::string>{"difference", "difference2"}));
}

TEST(Calibrate, whereCodesDoNothingStaysReal) {
  tune::StoredSamples seen = samples();
  auto profile = tune::calibrate(network(1), seen, {quant::Calibrator::Mse});
  ASSERT_TRUE(profile) << profile.error().text;
  EXPECT_EQ(profile->real, std::vector<std::string>());
}

} // namespace
