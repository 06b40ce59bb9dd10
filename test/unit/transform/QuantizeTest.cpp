// The quantize pass at the edges of what it can prove.
#include "Parsed.h"

#include "planish/graph/Evaluate.h"
#include "planish/graph/Text.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Passes.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace planish::transform {
namespace {

using graph::ValueId;
using test::parsed;

/// The pass's result as text, checked.
std::string quantized(const Graph &g, Graph *result = nullptr) {
  auto r = quantize(g);
  EXPECT_TRUE(r) << r.error().text;
  if (!r) return "";
  Status status = checkGraph(*r);
  EXPECT_TRUE(status) << status.error().text;
  if (result) *result = *r;
  return graph::print(*r);
}
int count(const std::string &text, std::string_view what) {
  int n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

/// y = codes of (codes of x) * weights, all of them 127, over `depth` terms.
Graph product(int64_t depth) {
  Graph g;
  ValueId x = g.addInput({DType::u8, {1, depth}, {}, {}}, "x");
  auto scale = [&](float s) { return g.addConstant(DType::f32, {}, std::vector<float>{s}); };
  ValueId zero = g.addConstant(DType::u8, {}, std::vector<uint8_t>{0});
  auto append = [&](std::string_view op, std::vector<ValueId> operands) {
    return g.append(*graph::findOp(ops::allOps(), op), {}, operands, {})->front();
  };
  ValueId w = g.addConstant(DType::i8, {depth, 1}, std::vector<int8_t>(size_t(depth), 127));
  ValueId real = append("dequantize", {x, scale(0.01f), zero});
  ValueId weights = append("dequantize", {w, scale(0.01f)});
  g.setOutputs({append("quantize", {append("matmul", {real, weights}), scale(1), zero})});
  return g;
}

TEST(Quantize, StaysWithRealNumbersWhereASumMightOverflow) {
  EXPECT_EQ(count(quantized(product(66000)), "requantize("), 1);  // 66000 * 127 * 255 < 2^31
  std::string text = quantized(product(67000));
  EXPECT_EQ(count(text, "requantize("), 0);
  EXPECT_EQ(count(text, "matmul("), 1);
}

TEST(Quantize, ClampsSumsThatTheRuleCannotTake) {
  Graph g = parsed(R"(graph @main(%x: u8[4,2]) {
    %s = constant f32[] [1.0]
    %ys = constant f32[] [0.0001]
    %z = constant u8[] [0]
    %w = constant i8[2,2] [100, -100, 50, 1]
    %a: f32[4,2] = dequantize(%x, %s, %z)
    %b: f32[2,2] = dequantize(%w, %s)
    %c: f32[4,2] = matmul(%a, %b)
    %y: u8[4,2] = quantize(%c, %ys, %z)
    return %y
  })");
  Graph r;
  std::string text = quantized(g, &r);
  EXPECT_EQ(count(text, "min(") + count(text, "max("), 2) << text;
  std::vector<std::byte> codes{std::byte(0), std::byte(0), std::byte(255), std::byte(255),
                               std::byte(0), std::byte(1), std::byte(1),   std::byte(0)};
  graph::Tensor x{DType::u8, {4, 2}, std::make_shared<const std::vector<std::byte>>(codes)};
  auto y = graph::evaluate(r, std::span(&x, 1));
  ASSERT_TRUE(y);
  std::vector<std::byte> expected;
  for (int code : {0, 0, 255, 0, 255, 255, 255, 0}) expected.push_back(std::byte(code));
  EXPECT_EQ(*y->front().data, expected);
}

TEST(Quantize, CoarsensWeightsUnderABiasTooLarge) {
  Graph g = parsed(R"(graph @main(%x: u8[1,1,1,1]) {
    %s = constant f32[] [1.0e-6]
    %ys = constant f32[] [20.0]
    %z = constant u8[] [0]
    %w = constant i8[1,1,1,1] [100]
    %bias = constant f32[1] [2000.0]
    %a: f32[1,1,1,1] = dequantize(%x, %s, %z)
    %b: f32[1,1,1,1] = dequantize(%w, %s)
    %c: f32[1,1,1,1] = conv(%a, %b, %bias) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]}
    %y: u8[1,1,1,1] = quantize(%c, %ys, %z)
    return %y
  })");
  Graph r;
  EXPECT_EQ(count(quantized(g, &r), "requantize("), 1);
  graph::Tensor x{DType::u8, {1, 1, 1, 1}, std::make_shared<const std::vector<std::byte>>(1, std::byte(7))};
  auto y = graph::evaluate(r, std::span(&x, 1));
  ASSERT_TRUE(y);
  EXPECT_EQ(int((*y->front().data)[0]), 100);
}

TEST(CodeFactors, MultipliesByTheInverseScale) {
  Graph g = parsed(R"(graph @main(%x: f32[6]) {
    %s = constant f32[] [0.25]
    %z = constant u8[] [3]
    %y: u8[6] = quantize(%x, %s, %z) "q"
    %i = constant i8[] [0]
    %w: i8[6] = quantize(%x, %s, %i) "signed"
    return %y, %w
  })");
  auto r = codesByFactors(g);
  ASSERT_TRUE(r);
  std::string text = graph::print(*r);
  EXPECT_EQ(count(text, " quantize("), 1) << text;
  EXPECT_EQ(count(text, " requantize("), 1) << text;
  std::vector<float> reals{0, 1, -1, 0.125f, 1e9f, 0.375f};
  auto bytes = std::as_bytes(std::span(reals));
  graph::Tensor x{
      DType::f32, {6}, std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end())};
  auto want = graph::evaluate(g, std::span(&x, 1)), got = graph::evaluate(*r, std::span(&x, 1));
  ASSERT_TRUE(want && got);
  EXPECT_EQ(*got->front().data, *want->front().data);
}

TEST(Quantize, GivesEveryOutputANodeOfItsOwn) {
  std::string text = quantized(parsed(R"(graph @main(%x: u8[4]) {
    %s = constant f32[] [0.5]
    %z = constant u8[] [3]
    %a: f32[4] = dequantize(%x, %s, %z)
    %y: u8[4] = quantize(%a, %s, %z)
    return %y
  })"));
  EXPECT_EQ(count(text, "copy("), 1) << text;
}

TEST(Quantize, PadsCodesWhereBordersAreSymbols) {
  auto text = [](int zero) {
    return quantized(parsed("graph @main(%x: u8[1,1,H,3]) symbols(H: 1..9 = input 0 dim 2) {\n"
                            "%s = constant f32[] [0.5]\n%z = constant u8[] [" +
                            std::to_string(zero) +
                            "]\n%w = constant i8[1,1,3,3] [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
                            "%a: f32[1,1,H,3] = dequantize(%x, %s, %z)\n"
                            "%b: f32[1,1,3,3] = dequantize(%w, %s)\n"
                            "%c: f32[1,1,H,3] = conv(%a, %b) {strides=[1, 1], dilations=[1, 1], "
                            "pads_begin=[1, 1], pads_end=[1, 1]}\n"
                            "%y: u8[1,1,H,3] = quantize(%c, %s, %z)\nreturn %y\n}"));
  };
  EXPECT_EQ(count(text(0), "requantize("), 1);
  EXPECT_EQ(count(text(0), " pad("), 0);
  EXPECT_EQ(count(text(4), "requantize("), 1) << text(4);
  EXPECT_EQ(count(text(4), "pads_end=[0, 0]"), 1);
  EXPECT_EQ(count(text(4), "end=[0, 0, 1, 1], value=4.0"), 1) << text(4);
}

TEST(Quantize, NamesWhatComputesWithRealNumbers) {
  Graph g = parsed(R"(graph @main(%x: u8[1,4]) {
    %s = constant f32[] [0.5]
    %z = constant u8[] [3]
    %a: f32[1,4] = dequantize(%x, %s, %z) "dq"
    %m: f32[1,1] = reduce_max(%a) {axes=[1], keep_dims=true} "most"
    %d: f32[1,4] = sub(%a, %m) "less"
    %e: f32[1,4] = exp(%d) "exp"
    return %e
  })");
  Graph r;
  quantized(g, &r);
  EXPECT_EQ(realNodes(r), (std::vector<std::string>{"less", "exp"}));
  EXPECT_EQ(realNodes(parsed("graph @main(%x: f32[2]) {\n%y: f32[2] = exp(%x) \"e\"\nreturn %y\n}")),
            std::vector<std::string>{});
}

} // namespace
} // namespace planish::transform
