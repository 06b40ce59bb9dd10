// Layers of small quantized graphs next to their reference; and graphs whose layers are quantized anew.
#include "../../support/GraphValues.h"

#include "planish/graph/Text.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Passes.h"
#include "planish/tune/Compare.h"

#include <gtest/gtest.h>

#include <random>

using namespace planish;
using graph::Graph;
using graph::ValueId;
using quant::Cause;
using quant::Cure;

namespace {

Graph parsed(const std::string &text) {
  auto g = graph::parse(text, ops::allOps());
  EXPECT_TRUE(g) << g.error().text;
  return g ? *g : Graph();
}

/// Two layers of 1x1 convolutions that are joined, every value through codes: x, "a" (a ReLU as its codes),
/// "b", "both".
std::string net(const std::string &scaleOfA, const std::string &scaleOfB, const std::string &scaleOfBoth) {
  auto pair = [](const std::string &v, const std::string &shape, const std::string &scale, int zero) {
    return "  %" + v + "_s = constant f32[] [" + scale + "]\n  %" + v + "_z = constant u8[] [" +
           std::to_string(zero) + "]\n  %" + v + "_q: u8" + shape + " = quantize(%" + v + ", %" + v +
           "_s, %" + v + "_z) \"" + v + "_quantize\"\n  %" + v + "_d: f32" + shape + " = dequantize(%" + v +
           "_q, %" + v + "_s, %" + v + "_z) \"" + v + "_dequantize\"\n";
  };
  auto conv = [](const std::string &v, const std::string &x, const std::string &weights,
                 const std::string &scale) {
    return "  %" + v + "_wq = constant i8[2,2,1,1] " + weights + "\n  %" + v + "_ws = constant f32[] [" +
           scale + "]\n  %" + v + "_w: f32[2,2,1,1] = dequantize(%" + v + "_wq, %" + v + "_ws) \"" + v +
           "_w\"\n  %" + v + ": f32[1,2,8,8] = conv(%" + x + ", %" + v +
           "_w) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]} \"" + v + "_conv\"\n";
  };
  const std::string shape = "[1,2,8,8]";
  return "graph @main(%x: f32[1,2,8,8]) {\n" + pair("x", shape, "0.0079", 128) +
         conv("a", "x_d", "[100, -50, 30, 127]", "0.01") + pair("a", shape, scaleOfA, 0) +
         conv("b", "a_d", "[127, 20, -60, 90]", "2.0") + pair("b", shape, scaleOfB, 128) +
         "  %both: f32[1,4,8,8] = concat(%a_d, %b_d) {axis=1} \"both_concat\"\n" +
         pair("both", "[1,4,8,8]", scaleOfBoth, 128) + "  return %both_d\n}\n";
}

tune::StoredSamples samplesFor(const Graph &g) {
  std::vector<tune::Sample> samples;
  std::mt19937 random(3);
  std::uniform_real_distribution<float> number(-1, 1);
  for (int s = 0; s < 3; ++s) {
    std::vector<float> values(128);
    for (float &v : values) v = number(random);
    auto bytes = std::make_shared<std::vector<std::byte>>(values.size() * sizeof(float));
    std::memcpy(bytes->data(), values.data(), bytes->size());
    samples.push_back({{g[g.inputs()[0]].name, {DType::f32, {1, 2, 8, 8}, bytes}}});
  }
  return tune::StoredSamples(samples);
}

tune::Comparison compared(const Graph &g, const Graph *reference = nullptr) {
  auto samples = samplesFor(g);
  auto c = tune::compare(g, reference, samples);
  EXPECT_TRUE(c) << c.error().text;
  return c ? *c : tune::Comparison();
}
const tune::LayerError &layer(const tune::Comparison &c, const std::string &name) {
  auto found = std::ranges::find(c.layers, name, &tune::LayerError::name);
  if (found == c.layers.end()) throw std::runtime_error("no layer " + name);
  return *found;
}
Graph mended(const Graph &g, const tune::Comparison &c) {
  auto r = transform::repaired(g, tune::repairsOf(c));
  EXPECT_TRUE(r) << r.error().text;
  if (!r) return g;
  Status s = transform::checkGraph(*r);
  EXPECT_TRUE(s) << s.error().text;
  return *r;
}

TEST(Compare, aGoodModelHasNoCauses) {
  tune::Comparison c = compared(parsed(net("0.008", "3.0", "3.0")));
  ASSERT_EQ(c.layers.size(), 4u);
  EXPECT_EQ(c.samples, 3u);
  for (const std::string name : {"x", "a", "b"}) {
    EXPECT_EQ(layer(c, name).diagnosis.cause, Cause::None) << name << ": " << layer(c, name).diagnosis.detail;
    EXPECT_GT(layer(c, name).own.sqnr, 30) << name;
    EXPECT_LE(layer(c, name).accumulated.sqnr, layer(c, name).own.sqnr + 3) << name;
  }
  EXPECT_EQ(layer(c, "a").nodes, std::vector<std::string>{"a_conv"});
}

TEST(Compare, pointsAtTheScaleThatIsWrong) {
  Graph g = parsed(net("0.0005", "3.0", "3.0"));
  tune::Comparison c = compared(g);
  EXPECT_EQ(c.layers[0].name, "a");
  EXPECT_EQ(c.layers[0].diagnosis.cause, Cause::ClippedRange) << c.layers[0].diagnosis.detail;
  EXPECT_GT(c.layers[0].clipped, 0.2);
  // What comes after is as wrong, but not by itself.
  EXPECT_LT(layer(c, "b").accumulated.sqnr, 10);
  EXPECT_GT(layer(c, "b").own.sqnr, 30);
  tune::Comparison after = compared(mended(g, c));
  EXPECT_GT(layer(after, "b").accumulated.sqnr, 30);
  EXPECT_GT(after.outputs[0].error.sqnr, c.outputs[0].error.sqnr + 20);
}

TEST(Compare, partsThatShareAScale) {
  Graph g = parsed(net("0.008", "3.0", "3.0"));
  tune::Comparison c = compared(g);
  const tune::LayerError &both = layer(c, "both");
  EXPECT_EQ(c.layers[0].name, "both");
  EXPECT_EQ(both.diagnosis.cause, Cause::SharedScale) << both.diagnosis.detail;
  EXPECT_GT(both.own.sqnr, 30); // of all elements together
  ASSERT_TRUE(both.repair);
  EXPECT_GT(c.outputs[0].error.noise, 0.2);
  tune::Comparison after = compared(mended(g, c));
  EXPECT_LT(after.outputs[0].error.noise, 0.01);
}

TEST(Compare, partsThatHaveTheJoinedScaleAlready) {
  Graph g = parsed(net("3.0", "3.0", "3.0"));
  tune::Comparison c = compared(g);
  EXPECT_EQ(layer(c, "a").diagnosis.cause, Cause::SharedScale) << layer(c, "a").diagnosis.detail;
  EXPECT_EQ(layer(c, "a").diagnosis.cure, Cure::Rescale);
  EXPECT_LT(compared(mended(g, c)).outputs[0].error.noise, 0.01);
}

TEST(Compare, nothingToCompare) {
  Graph g = parsed("graph @main(%x: f32[4]) {\n  %y: f32[4] = relu(%x) \"relu\"\n  return %y\n}\n");
  auto samples = samplesFor(g);
  auto c = tune::compare(g, nullptr, samples);
  ASSERT_FALSE(c);
  EXPECT_EQ(c.error().kind, ErrorKind::Usage);
  EXPECT_NE(c.error().text.find("no quantized layers"), std::string::npos);
}

TEST(Compare, aRepairOfNoLayer) {
  Graph g = parsed(net("0.008", "3.0", "3.0"));
  std::vector<transform::Repair> repairs(1);
  repairs[0].cure = Cure::Rescale;
  repairs[0].codes = "nobody";
  auto r = transform::repaired(g, repairs);
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().text.find("'nobody'"), std::string::npos);
}

} // namespace
