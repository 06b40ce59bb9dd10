// Each pass on small graphs: what it makes of them, and that it keeps their meaning.
#include "Parsed.h"
#include "support/GraphValues.h"

#include "planish/graph/Text.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Passes.h"

#include <gtest/gtest.h>

namespace planish::transform {
namespace {

using graph::Node;
using test::parsed;

/// The pass's result, checked: well formed, and of the same meaning on seeded inputs.
Graph passed(Result<Graph> (*pass)(const Graph &), const Graph &g, double tolerance = 0) {
  auto result = pass(g);
  EXPECT_TRUE(result) << result.error().text;
  if (!result) return Graph();
  Status status = checkGraph(*result);
  EXPECT_TRUE(status) << status.error().text << "\n" << graph::print(*result);
  EXPECT_EQ(test::differenceOf(g, *result, 7, tolerance), "") << graph::print(*result);
  return *result;
}

std::vector<std::string> opsOf(const Graph &g) {
  std::vector<std::string> r;
  for (const Node &n : g.nodes()) {
    std::string name(n.op->name);
    for (const Graph &region : n.regions)
      for (const Node &inner : region.nodes()) name += " " + std::string(inner.op->name);
    r.push_back(name);
  }
  return r;
}
using Names = std::vector<std::string>;

TEST(FoldConstants, ComputesWhatIsConstant) {
  Graph g = parsed(R"(graph @main(%x: f32[2]) {
    %a = constant f32[2] [1.0, 2.0]
    %b: f32[2] = exp(%a)
    %c: f32[2] = add(%b, %a)
    %y: f32[2] = mul(%x, %c)
    return %y
  })");
  Graph r = passed(foldConstants, g);
  EXPECT_EQ(opsOf(r), Names{"mul"});
  EXPECT_EQ(r[r.nodes()[0].inputs[1]].name, "c");
}

TEST(FoldConstants, MovesConstants) {
  Graph g = parsed(R"(graph @main(%x: f32[2,3]) {
    %a = constant f32[3,1,4] [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
    %b: f32[4,3,1] = transpose(%a) {perm=[2, 0, 1]}
    %c: f32[2,3,1] = slice(%b) {begin=[3, 0, 0], steps=[-2, 1, 1], size=[2, 3, 1]}
    %d: f32[1,2,3] = transpose(%c) {perm=[2, 0, 1]}
    %e: f32[2,3] = reshape(%d) {shape=[2, 3]}
    %y: f32[2,3] = mul(%x, %e)
    return %y
  })");
  Graph r = passed(foldConstants, g);
  EXPECT_EQ(opsOf(r), Names{"mul"});
  auto moved = graph::dataOf<float>(r[r.nodes()[0].inputs[1]]);
  EXPECT_EQ(std::vector<float>(moved.begin(), moved.end()), (std::vector<float>{3, 7, 11, 1, 5, 9}));
}

TEST(FoldConstants, LeavesOutputsAndSymbols) {
  Graph g = parsed(R"(graph @main(%x: f32[N]) symbols(N: 1..4 = input 0 dim 0) {
    %a = constant f32[2] [1.0, 2.0]
    %b: f32[2] = exp(%a)
    %y: f32[N] = exp(%x)
    return %b, %y
  })");
  EXPECT_EQ(opsOf(passed(foldConstants, g)), (Names{"exp", "exp"}));
}

TEST(Canonicalize, RemovesWhatChangesNothing) {
  Graph g = parsed(R"(graph @main(%x: f32[2,3]) {
    %a: f32[2,3] = reshape(%x) {shape=[2, 3]}
    %b: f32[2,3] = cast(%a) {to=f32}
    %c: f32[3,2] = transpose(%b) {perm=[1, 0]}
    %d: f32[2,3] = transpose(%c) {perm=[1, 0]}
    %e: f32[2,3] = slice(%d) {begin=[0, 0], steps=[1, 1], size=[2, 3]}
    %y: f32[2,3] = relu(%e)
    return %y
  })");
  EXPECT_EQ(opsOf(passed(canonicalize, g)), Names{"relu"});
}

TEST(Canonicalize, MergesReshapes) {
  Graph g = parsed(R"(graph @main(%x: f32[2,N,3]) symbols(N: 1..4 = input 0 dim 1, M: 2..8 = (2 * N)) {
    %a: f32[M,3] = reshape(%x) {shape=[M, 3]}
    %b: f32[M,1,3] = reshape(%a) {shape=[M, 1, 3]}
    %c: f32[M,3] = reshape(%b) {shape=[M, 3]}
    %y: f32[M,3] = relu(%c)
    %z: f32[2,N,3] = reshape(%c) {shape=[2, N, 3]}
    %w: f32[2,N,3] = relu(%z)
    return %y, %w
  })");
  Graph r = passed(canonicalize, g);
  EXPECT_EQ(opsOf(r), (Names{"reshape", "relu", "relu"}));
  EXPECT_EQ(r.nodes()[2].inputs[0], r.inputs()[0]);
}

TEST(Canonicalize, KeepsNamesOfOutputs) {
  Graph g = parsed(R"(graph @main(%x: f32[2,3]) {
    %a: f32[2,3] = relu(%x)
    %y: f32[2,3] = reshape(%a) {shape=[2, 3]}
    %z: f32[2,3] = reshape(%x) {shape=[2, 3]}
    return %y, %z, %a
  })");
  Graph r = passed(canonicalize, g);
  Names names;
  for (auto v : r.outputs()) names.push_back(r[v].name);
  EXPECT_EQ(names, (Names{"y", "z", "a"}));
  EXPECT_EQ(opsOf(r), (Names{"relu", "reshape", "reshape"}));
}

constexpr std::string_view kScales = R"(graph @main(%x: f32[1,2,3,3]) {
    %w = constant f32[2,2,1,1] [1.0, 2.0, 3.0, 4.0]
    %s = constant f32[2,1,1] [2.0, 0.5]
    %t = constant f32[1,2,1,1] [10.0, 20.0]
    %u = constant f32[] [4.0]
    %a: f32[1,2,3,3] = conv(%x, %w) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]} "conv"
    %b: f32[1,2,3,3] = mul(%a, %s) "scale"
    %c: f32[1,2,3,3] = add(%t, %b) "shift"
    %d: f32[1,2,3,3] = div(%c, %u) "divide"
    %y: f32[1,2,3,3] = sub(%u, %d) "subtract"
    return %y
  })";

TEST(FoldScales, MergesAffineChains) {
  Graph r = passed(foldScales, parsed(kScales), 1e-6);
  ASSERT_EQ(opsOf(r), Names{"conv"});
  auto data = [&](size_t i) {
    auto span = graph::dataOf<float>(r[r.nodes()[0].inputs[i]]);
    return std::vector<float>(span.begin(), span.end());
  };
  EXPECT_EQ(data(1), (std::vector<float>{-0.5f, -1.0f, -0.375f, -0.5f}));
  EXPECT_EQ(data(2), (std::vector<float>{1.5f, -1.0f}));
  EXPECT_EQ(r.nodes()[0].loc.onnxNodes, (Names{"conv", "scale", "shift", "divide", "subtract"}));
  EXPECT_EQ(r[r.outputs()[0]].name, "y");
}

TEST(FoldScales, RefusesWhatDoesNotCommute) {
  // The contraction's result is also an output; a shift where there is no bias; another dimension; (one
  // that does commute); another reader.
  EXPECT_EQ(opsOf(passed(foldScales, parsed(R"(graph @main(%x: f32[2,2]) {
    %w = constant f32[2,2] [1.0, 2.0, 3.0, 4.0]
    %s = constant f32[2] [2.0, 0.5]
    %r = constant f32[2,1] [2.0, 0.5]
    %a: f32[2,2] = matmul(%x, %w)
    %b: f32[2,2] = mul(%a, %s)
    %c: f32[2,2] = matmul(%x, %w)
    %d: f32[2,2] = add(%c, %s)
    %e: f32[2,2] = matmul(%x, %w)
    %f: f32[2,2] = mul(%e, %r)
    %g: f32[2,2] = matmul(%x, %w)
    %h: f32[2,2] = mul(%g, %s)
    %i: f32[2,2] = matmul(%x, %w)
    %j: f32[2,2] = mul(%i, %s)
    %k: f32[2,2] = relu(%i)
    return %a, %b, %d, %f, %h, %j, %k
  })"))),
            (Names{"matmul", "mul", "matmul", "add", "matmul", "mul", "matmul", "matmul", "mul", "relu"}));
}

TEST(FoldScales, GroupsAndTransposedConvolutions) {
  for (std::string op : {"conv", "conv_transpose"})
    for (int group : {1, 2}) {
      std::string attrs = "{strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]" +
                          std::string(op == "conv" ? "" : ", output_padding=[0, 0]") +
                          ", group=" + std::to_string(group) + "}";
      std::string w = group == 1 ? "f32[2,2,1,1] [1.0, 2.0, 3.0, 4.0]" : "f32[2,1,1,1] [1.0, 2.0]";
      Graph g =
          parsed("graph @main(%x: f32[1,2,3,3]) { %w = constant " + w + " %b = constant f32[2] [5.0, 6.0]\n" +
                 "%s = constant f32[2,1,1] [2.0, 0.5] %a: f32[1,2,3,3] = " + op + "(%x, %w, %b) " + attrs +
                 "\n%y: f32[1,2,3,3] = mul(%a, %s) return %y }");
      Graph r = passed(foldScales, g, 1e-6);
      EXPECT_EQ(opsOf(r), Names{op}) << "groups: " << group;
    }
}

TEST(Layout, ChannelsLastUpToTheOutput) {
  Graph g = parsed(R"(graph @main(%x: f32[1,1,3,3]) {
    %w = constant f32[4,1,1,1] [1.0, 2.0, 3.0, 4.0]
    %a: f32[1,4,3,3] = conv(%x, %w) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]}
    %y: f32[1,4,3,3] = relu(%a)
    %b: f32[1,4,9] = reshape(%a) {shape=[1, 4, 9]}
    %c: f32[1,4,18] = concat(%b, %b) {axis=2}
    %z: f32[1,18,4] = transpose(%c) {perm=[0, 2, 1]}
    return %y, %z
  })");
  Graph r = passed(layout, g);
  EXPECT_EQ(opsOf(r), (Names{"conv", "relu", "reshape", "concat", "transpose"}));
  auto order = [&](size_t node) { return r.type(r.nodes()[node].outputs[0]).layout; };
  EXPECT_EQ(order(0), (Layout{0, 2, 3, 1}));
  EXPECT_EQ(order(1), Layout{});
  EXPECT_EQ(order(2), (Layout{0, 2, 1}));
  EXPECT_EQ(order(3), (Layout{0, 2, 1}));
  EXPECT_EQ(order(4), Layout{});
  EXPECT_EQ(r[r.outputs()[0]].name, "y");
}

TEST(Layout, CopiesWhatAContractionLeavesOtherwise) {
  Graph r = passed(layout, parsed(R"(graph @main(%x: f32[1,1,3,3]) {
    %w = constant f32[4,1,1,1] [1.0, 2.0, 3.0, 4.0]
    %y: f32[1,4,3,3] = conv(%x, %w) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]}
    return %y
  })"));
  ASSERT_EQ(opsOf(r), (Names{"conv", "copy"}));
  EXPECT_EQ(r.type(r.nodes()[0].outputs[0]).layout, (Layout{0, 2, 3, 1}));
  EXPECT_EQ(r.type(r.outputs()[0]).layout, Layout{});
  EXPECT_EQ(r[r.outputs()[0]].name, "y");
}

TEST(Layout, FewChannelsLiePlaneByPlane) {
  Graph g = parsed(R"(graph @main(%x: f32[1,1,3,3]) {
    %w = constant f32[3,1,1,1] [1.0, 2.0, 3.0]
    %a: f32[1,3,3,3] = conv(%x, %w) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]}
    return %a
  })");
  Graph r = passed(layout, g);
  EXPECT_EQ(opsOf(r), (Names{"conv"}));
}

constexpr std::string_view kDiamond = R"(graph @main(%x: f32[2,2], %r: f32[2,2]) {
    %w = constant f32[2,2] [1.0, 2.0, 3.0, 4.0]
    %a: f32[2,2] = matmul(%x, %w) "a"
    %s: f32[2,2] = sigmoid(%a) "s"
    %m: f32[2,2] = mul(%a, %s) "m"
    %q: f32[2,2] = exp(%r) "q"
    %y: f32[2,2] = add(%m, %q) "y"
    %z: f32[2,2] = relu(%y) "z"
    %t: f32[2,2] = neg(%y) "t"
    return %z, %t
  })";

TEST(Fuse, AbsorbsDiamondsAndResiduals) {
  Graph r = passed(fuse, parsed(kDiamond));
  // The group ends where its value has two readers that do not meet again; it takes along what it alone
  // reads.
  EXPECT_EQ(opsOf(r), (Names{"fused matmul sigmoid mul exp add", "relu", "neg"}));
  EXPECT_EQ(r.nodes()[0].loc.onnxNodes.size(), 5u);
}

TEST(Fuse, OutputsAndOtherShapesEndAGroup) {
  Graph r = passed(fuse, parsed(R"(graph @main(%x: f32[2,2]) {
    %w = constant f32[2,2] [1.0, 2.0, 3.0, 4.0]
    %k = constant f32[3,1,1] [1.0, 2.0, 3.0]
    %a: f32[2,2] = matmul(%x, %w)
    %b: f32[2,2] = relu(%a)
    %c: f32[2,2] = exp(%b)
    %d: f32[3,2,2] = mul(%c, %k)
    %e: f32[3,2,2] = neg(%d)
    return %b, %e
  })"));
  EXPECT_EQ(opsOf(r), (Names{"fused matmul relu", "exp", "fused mul neg"}));
}

TEST(Fuse, BoundsTheExpression) {
  std::string text = "graph @main(%x: f32[2]) { %v0: f32[2] = exp(%x)\n";
  for (int i = 1; i <= 40; ++i) {
    std::string from = "%v" + std::to_string(i - 1);
    text += "%v" + std::to_string(i) + ": f32[2] = mul(" + from + ", " + from + ")\n";
  }
  Graph r = passed(fuse, parsed(text + "return %v40 }"));
  EXPECT_GT(r.nodes().size(), 3u);
  EXPECT_LT(r.nodes().size(), 20u);
}

TEST(Pipeline, StopsPrintsAndTimes) {
  std::vector<std::string> printed, said;
  PassOptions options;
  options.printAfter = {"canonicalize"};
  options.stopAfter = "fold-scales";
  options.timing = true;
  options.check = true;
  options.print = [&](std::string_view s) { printed.emplace_back(s); };
  options.say = [&](std::string_view s) { said.emplace_back(s); };
  auto r = runPasses(parsed(kScales), passes(), options);
  ASSERT_TRUE(r);
  EXPECT_EQ(opsOf(*r), Names{"conv"});
  ASSERT_EQ(printed.size(), 1u);
  EXPECT_NE(printed[0].find("mul("), std::string::npos);
  EXPECT_EQ(said.size(), 6u);  // quantize ... fold-scales
}

TEST(FoldPhases, KeepsMeaning) {
  // Rows in threes, columns in twos, the phases out of order, over an image of two channels; the convolution
  // has steps and unequal borders of its own.
  std::string text = "graph @main(%x: f32[1,2,9,8]) {\n";
  std::string parts;
  for (int i : {4, 1, 5, 0, 3, 2}) {
    std::string name = "%p" + std::to_string(i);
    text += name + ": f32[1,2,3,4] = slice(%x) {begin=[0, 0, " + std::to_string(i / 2) + ", " +
            std::to_string(i % 2) + "], steps=[1, 1, 3, 2], size=[1, 2, 3, 4]}\n";
    parts += (parts.empty() ? "" : ", ") + name;
  }
  std::string weights;
  for (int i = 0; i < 3 * 12 * 4; ++i) weights += (i ? ", " : "") + std::to_string(i * 7 % 11 - 5);
  text += "%all: f32[1,12,3,4] = concat(" + parts + ") {axis=1}\n%w = constant f32[3,12,2,2] [" + weights +
          "]\n%b = constant f32[3] [1, 2, 3]\n%y: f32[1,3,2,5] = conv(%all, %w, %b) {strides=[2, 1], "
          "dilations=[1, 1], pads_begin=[0, 1], pads_end=[1, 1]}\nreturn %y\n}\n";
  Graph g = parsed(text);
  auto r = foldPhases(g);
  ASSERT_TRUE(r) << r.error().text;
  EXPECT_EQ(opsOf(*r), Names{"conv"});
  EXPECT_EQ(test::differenceOf(g, *r, 3, 1e-6), "");
}

TEST(Pipeline, KeepsMeaning) {
  for (std::string_view text : {kScales, kDiamond}) {
    Graph g = parsed(text);
    PassOptions options;
    options.check = true;
    auto r = runPasses(g, passes(), options);
    ASSERT_TRUE(r) << r.error().text;
    EXPECT_EQ(test::differenceOf(g, *r, 3, 1e-6), "");
  }
}

} // namespace
} // namespace planish::transform
