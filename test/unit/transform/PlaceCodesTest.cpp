// Where codes are placed in graphs of real numbers, with which scales, and what that costs.
#include "../../support/GraphValues.h"
#include "Parsed.h"

#include "planish/transform/Equalize.h"
#include "planish/transform/PlaceCodes.h"

using namespace planish;
using graph::Graph;
using quant::Profile;
using test::parsed;

namespace {

size_t count(std::string_view text, std::string_view what) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(what, at)) != std::string_view::npos; at += what.size()) ++n;
  return n;
}

/// What the evaluator sees of every value on seeded inputs.
Profile profileOf(const Graph &g, unsigned seed = 1) {
  std::vector<std::string> names;
  for (const graph::Value &v : g.values()) names.push_back(v.name);
  quant::Profiler profiler(names);
  auto values = graph::evaluateAll(g, test::randomInputs(g, seed));
  EXPECT_TRUE(values) << values.error().text;
  for (size_t v = 0; v < values->size(); ++v) {
    const graph::Tensor &t = (*values)[v];
    if (t.dtype == DType::f32)
      profiler.add(v, t.shape,
                   {reinterpret_cast<const float *>(t.data->data()), t.data->size() / sizeof(float)});
  }
  auto p = profiler.finish(quant::identityOf(g), 1, quant::Calibrator::MinMax);
  EXPECT_TRUE(p) << p.error().text;
  return *p;
}

Graph placed(const Graph &g, const transform::CodeOptions &options = {}) {
  auto r = transform::placeCodes(g, profileOf(g), options);
  EXPECT_TRUE(r) << r.error().text;
  if (!r) return g;
  EXPECT_TRUE(transform::checkGraph(*r));
  return *r;
}

constexpr std::string_view kConvs = R"(graph @main(%x: f32[1,2,5,5]) {
  %w = constant f32[2,2,1,1] [0.5, -0.25, 1.0, 0.125]
  %b = constant f32[2] [0.1, -0.3]
  %c: f32[1,2,5,5] = conv(%x, %w, %b) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]} "first"
  %g: f32[1,2,5,5] = sigmoid(%c) "gate"
  %a: f32[1,2,5,5] = mul(%c, %g) "silu"
  %d: f32[1,2,5,5] = conv(%a, %w) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]} "second"
  return %d
})";

TEST(PlaceCodes, ContractionsAndWhatLeadsToThem) {
  Graph g = parsed(kConvs);
  Graph q = placed(g);
  std::string text = graph::print(q);
  EXPECT_EQ(count(text, " = quantize("), 2) << text; // the input and the activation
  EXPECT_EQ(count(text, "constant i8[2,2,1,1]"), 2);
  EXPECT_EQ(test::differenceOf(g, q, 1, 0.02), "");
  auto integer = transform::quantize(q);
  ASSERT_TRUE(integer);
  text = graph::print(*integer);
  EXPECT_EQ(count(text, ": i32[1,2,5,5] = conv("), 2) << text;
  EXPECT_EQ(test::differenceOf(q, *integer, 1, 0.02), ""); // a bias in whole steps may move a code
}

TEST(PlaceCodes, KeepsNodesReal) {
  Graph g = parsed(kConvs);
  std::string text = graph::print(placed(g, {{}, {"first"}}));
  EXPECT_EQ(count(text, " = quantize("), 1) << text;
  EXPECT_EQ(count(text, "constant i8[2,2,1,1]"), 1);
  auto unknown = transform::placeCodes(g, profileOf(g), {{}, {"third"}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::Usage);
  EXPECT_NE(unknown.error().text.find("--keep-float 'third': the model has no such node"), std::string::npos);
}

TEST(PlaceCodes, AsksForAnotherProfileWhereAValueIsMissing) {
  Graph g = parsed(kConvs);
  Profile p = profileOf(g);
  p.values.erase("a");
  auto r = transform::placeCodes(g, p, {});
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().text, "the profile does not know value 'a'; calibrate the model again");
}

TEST(PlaceCodes, WhatMovesElementsSharesTheirCodes) {
  Graph g = parsed(R"(graph @main(%x: f32[1,2,4,4], %y: f32[1,2,4,4]) {
    %three = constant f32[] [3.0]
    %z: f32[1,2,4,4] = mul(%y, %three)
    %j: f32[1,4,4,4] = concat(%x, %z) {axis=1}
    %w = constant f32[1,4,1,1] [0.5, -0.25, 1.0, 0.125]
    %c: f32[1,1,4,4] = conv(%j, %w) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]}
    return %c
  })");
  auto integer = transform::quantize(placed(g));
  ASSERT_TRUE(integer);
  std::string text = graph::print(*integer);
  EXPECT_EQ(count(text, "requantize("), 0) << text;
  EXPECT_EQ(count(text, ": u8[1,4,4,4] = concat("), 1) << text;
}

TEST(PlaceCodes, SumsOfTwoHaveCodesOfTheirOwn) {
  Graph g = parsed(R"(graph @main(%x: f32[1,1,4,4]) {
    %w = constant f32[1,1,1,1] [0.5]
    %v = constant f32[1,1,1,1] [-0.75]
    %a: f32[1,1,4,4] = conv(%x, %w) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]}
    %s: f32[1,1,4,4] = add(%x, %a)
    %r: f32[1,1,4,4] = relu(%s)
    %c: f32[1,1,4,4] = conv(%r, %v) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]}
    return %c
  })");
  Graph q = placed(g);
  EXPECT_EQ(count(graph::print(q), " = quantize("), 3) << graph::print(q); // x, a, r
  EXPECT_EQ(test::differenceOf(g, q, 1, 0.03), "");
  auto integer = transform::quantize(q);
  ASSERT_TRUE(integer);
  EXPECT_EQ(count(graph::print(*integer), "requantize("), 2) << graph::print(*integer);
}

TEST(PlaceCodes, BiasesMakeUpForTheMeanErrorOfWeights) {
  // Weights that one scale cannot hold well, over an input that is always near 1.
  Graph g = parsed(R"(graph @main(%x: f32[1,2,8,8]) {
    %w = constant f32[1,2,1,1] [100.0, 0.3]
    %c: f32[1,1,8,8] = conv(%x, %w) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]}
    return %c
  })");
  Profile p = profileOf(g);
  quant::ValueProfile &x = p.values.at("x");
  x.channels = {{0, 1, 0}, {0, 1, 1}};
  auto q = transform::placeCodes(g, p, {});
  ASSERT_TRUE(q);
  EXPECT_EQ(count(graph::print(*q), " = add("), 1) << graph::print(*q);
}

TEST(Equalize, ComputesTheSameBits) {
  for (std::string_view activation : {"relu", "sigmoid"}) {
    std::string text =
        "graph @main(%x: f32[1,2,4,4]) {\n"
        "%w = constant f32[2,2,1,1] [8.0, 4.0, 0.01, 0.02]\n"
        "%v = constant f32[2,1,3,3] [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, "
        "9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]\n"
        "%c: f32[1,2,4,4] = conv(%x, %w) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], "
        "pads_end=[0, 0]}\n%a: f32[1,2,4,4] = " +
        std::string(activation) +
        "(%c)\n%d: f32[1,2,4,4] = conv(%a, %v) {strides=[1, 1], dilations=[1, 1], pads_begin=[1, 1], "
        "pads_end=[1, 1], group=2}\nreturn %d\n}";
    Graph g = parsed(text);
    Profile p = profileOf(g);
    if (activation == "sigmoid") p.values.at("a").channels = {{0, 1, 0}, {0, 0.01, 0}};
    quant::Equalization factors = transform::equalization(g, p);
    ASSERT_TRUE(factors.contains("a")) << activation;
    EXPECT_EQ(factors.at("a")[0], 0);
    EXPECT_LT(factors.at("a")[1], -5);
    auto r = transform::equalized(g, factors);
    ASSERT_TRUE(r) << r.error().text;
    EXPECT_EQ(test::differenceOf(g, *r, 1, 0), "");
    // Functions that keep factors take none after them: the weights before hold it.
    EXPECT_EQ(count(graph::print(*r), " = mul("), activation == "relu" ? 0 : 1) << graph::print(*r);
    // A depthwise window weighs channels one by one: both use all of the codes.
    Profile after = profileOf(*r);
    if (activation != "relu") continue;
    const auto &channels = after.values.at("a").channels;
    EXPECT_GT(std::min(channels[0].most, channels[1].most) * 2, std::max(channels[0].most, channels[1].most));
  }
}

TEST(Equalize, RefusesFactorsOfAnotherModel) {
  Graph g = parsed(kConvs);
  for (const quant::Equalization &factors :
       {quant::Equalization{{"none", {1, 2}}}, {{"a", {1, 2, 3}}}, {{"d", {1, 2}}}}) {
    auto r = transform::equalized(g, factors);
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().kind, ErrorKind::BadInput);
  }
}

} // namespace
