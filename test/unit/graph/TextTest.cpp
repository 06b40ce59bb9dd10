// Text: what is printed reads back as the same graph; what is wrong is complained about by line.
#include "TestOps.h"

#include "planish/graph/Text.h"
#include "planish/graph/Verify.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

namespace planish::graph::test {
namespace {

void expectRoundTrip(const Graph &g) {
  Blobs blobs;
  std::string text = print(g, &blobs);
  Status status = verify(g);
  EXPECT_TRUE(status) << status.error().text;
  auto again = parse(text, testOps(), blobs);
  ASSERT_TRUE(again) << again.error().text << "\n" << text;
  EXPECT_TRUE(*again == g) << text;
  EXPECT_EQ(print(*again), text);
}

std::string complaint(std::string_view text) {
  auto parsed = parse(text, testOps());
  EXPECT_FALSE(parsed);
  return parsed ? "" : parsed.error().text;
}

TEST(GraphText, Golden) {
  Graph g;
  Var h = g.addInputSymbol("H", 1, 640, 0, 1);
  ValueId x = g.addInput({DType::f32, {Dim(2), Dim(h)}, {}, {}}, "x");
  ValueId y = (*g.append(kHalve, HalveAttrs{1}, {x}, Loc{{"node 1"}}, {"/down/y:0"}))[0];
  ValueId z = (*g.append(kSum2, {}, {y, g.addConstant<float>(DType::f32, {1}, {0.5f}, "half")},
                         Loc{{"a", "b"}}, {"z"}))[0];
  g.setLayout(z, {1, 0});
  g.setOutputs({z});
  EXPECT_EQ(print(g),
            R"(graph @main(%x: f32[2,H]) symbols(H: 1..640 = input 0 dim 1, s1: 1..320 = ((H + 1) div 2)) {
  %"/down/y:0": f32[2,s1] = halve(%x) {dim=1} "node 1"
  %half = constant f32[1] [0.5]
  %z: f32[2,s1]@(1,0) = sum2(%"/down/y:0", %half) "a" "b"
  return %z
}
)");
  expectRoundTrip(g);
}

TEST(GraphText, ConstantsReadBackBitByBit) {
  Graph g;
  using Limits = std::numeric_limits<float>;
  std::vector<float> odd{0.1f,          -0.0f, Limits::infinity(), -Limits::infinity(), Limits::denorm_min(),
                         Limits::max(), 1e-30f};
  ValueId a = g.addConstant<float>(DType::f32, {int64_t(odd.size())}, odd);
  ValueId b = g.addConstant<float>(DType::f32, {2}, {std::nanf("1"), std::nanf("2")});  // payloads: a blob
  ValueId c = g.addConstant<int64_t>(DType::i64, {3}, {INT64_MIN, -1, INT64_MAX});
  ValueId d = g.addConstant<uint8_t>(DType::b1, {2}, {0, 1});
  ValueId e = g.addConstant<float>(DType::f32, {33}, std::vector<float>(33, 1.5f));
  ValueId f = g.addConstant<int8_t>(DType::i8, {}, {-128});
  ValueId none = g.addConstant<float>(DType::f32, {0, 3}, {});
  ValueId h = g.addConstant<uint64_t>(DType::u64, {2}, {0, UINT64_MAX});
  ValueId i = g.addConstant<double>(DType::f64, {2}, {0.1, -std::numeric_limits<double>::infinity()});
  ValueId j = g.addConstant<double>(DType::f64, {1}, {std::nan("1")});
  g.setOutputs({a, b, c, d, e, f, h, i, j, none});
  expectRoundTrip(g);
  Blobs blobs;
  print(g, &blobs);
  EXPECT_EQ(blobs.size(), 3u);
}

TEST(GraphText, AttributesOfEveryKind) {
  Graph g;
  Var h = g.addInputSymbol("odd name", 0, 7, 0, 0);
  ValueId x = g.addInput({DType::f32, {Dim(h)}, {}, QuantParams{{0.5f, 0.25f}, {1, -2}, 0}}, "x");
  AllFields all{-3,
                std::numeric_limits<double>::quiet_NaN(),
                true,
                DType::u8,
                {1, -2},
                {0.1, -1e300},
                {Dim(4), Dim(h)},
                Mode::Fancy};
  ValueId y = (*g.append(kEverything, all, {x}, {}))[0];
  ValueId z = (*g.append(kEverything, AllFields{}, {y}, {}))[0];
  g.setOutputs({z});
  expectRoundTrip(g);
  EXPECT_NE(
      print(g).find("{count=-3, factor=nan, flag=true, dtype=u8, sizes=[1, -2], weights=[0.1, -1e+300], "
                    "shape=[4, \"odd name\"], mode=fancy}"),
      std::string::npos)
      << print(g);
  auto reordered = parse(
      "graph @m(%x: f32[2]) { %y: f32[2] = everything(%x) {mode=fancy, count=2} return %y }", testOps());
  ASSERT_TRUE(reordered) << reordered.error().text;
  EXPECT_EQ(reordered->nodes()[0].attrs.as<AllFields>().mode, Mode::Fancy);
  EXPECT_EQ(reordered->nodes()[0].attrs.as<AllFields>().count, 2);
}

TEST(GraphText, Regions) {
  Graph g;
  Var n = g.addInputSymbol("N", 1, 8, 0, 0);
  TensorType matrix{DType::f32, {Dim(n), Dim(4)}, {}, {}}, vector{DType::f32, {Dim(n)}, {}, {}};
  ValueId x = g.addInput(matrix, "x"), b = g.addInput(vector, "b");
  Graph body = Graph::regionOf(g);
  ValueId p = body.addInput(matrix, "x"), q = body.addInput(vector, "b");
  ValueId sum = (*body.append(kRowSum, {}, {p, kAbsent}, Loc{{"s"}}, {"s"}))[0];
  body.setOutputs({(*body.append(kSum2, {}, {sum, q}, {}, {"r"}))[0]});
  g.setOutputs({(*g.append(kFused, {}, {x, b}, Loc{{"s", "r"}}, {"r"}, {body}))[0]});
  expectRoundTrip(g);
  EXPECT_NE(print(g).find("= fused(%x, %b) \"s\" \"r\" region(%x: f32[N,4], %b: f32[N]) {"),
            std::string::npos)
      << print(g);
}

TEST(GraphText, Complaints) {
  EXPECT_EQ(complaint("graph @m(%x: f32[2]) {\n  %y: f32[3] = twice(%x)\n  return %y\n}"),
            "line 2, column 3: expected type f32[2] for 'y' instead of f32[3], found '%'");
  EXPECT_EQ(complaint("graph @m(%x: f32[2]) { %y: f32[2] = thrice(%x) return %y }"),
            "line 1, column 37: expected the name of an operator, found 'thrice'");
  EXPECT_EQ(complaint("graph @m(%x: f32[2]) { return %y }"),
            "line 1, column 31: expected a value that stands before its use, found '%'");
  EXPECT_EQ(complaint("graph @m(%x: f32[N]) { return %x }"),
            "line 1, column 18: expected a declared symbol, found 'N'");
  EXPECT_EQ(complaint("graph @m(%x: f32[2]) { %x: f32[2] = twice(%x) return %x }"),
            "line 1, column 24: expected a name that no other value has, found '%'");
  EXPECT_EQ(complaint("graph @m() { %c = constant f32[2] [1.0] return %c }"),
            "line 1, column 35: expected as many elements as f32[2] has, found '['");
  EXPECT_EQ(complaint("graph @m() { %c = constant f32[2] #0123456789abcdef return %c }"),
            "line 1, column 35: expected a constant that is among the blobs, found '#'");
  EXPECT_EQ(complaint("graph @m() { %c = constant u64[1] [-1] return %c }"),
            "line 1, column 36: expected a value of type u64, found '-1'");
  EXPECT_EQ(complaint("graph @m() { %c = constant u8[1] [256] return %c }"),
            "line 1, column 35: expected a value of type u8, found '256'");
  EXPECT_NE(complaint("graph @m(%x: f32[2]) { %y: f32[2] = halve(%x) {dims=1} return %y }").find("'dims'"),
            std::string::npos);
  EXPECT_EQ(complaint("graph @m(%x: f32[2]) { %y: f32[2] = sum2(%x) return %y }"),
            "line 1: sum2: operand 1 of (a, b) is missing");
}

TEST(Verify, WrongLayout) {
  Graph g;
  ValueId x = g.addInput({DType::f32, {Dim(2), Dim(3)}, {}, {}}, "x");
  g.setLayout(x, {0, 0});
  g.setOutputs({x});
  Status s = verify(g);
  ASSERT_FALSE(s);
  EXPECT_EQ(s.error().text, "value 'x' has a layout that is no permutation");
}

} // namespace
} // namespace planish::graph::test
