// The evaluator, and groups as one computation.
#include "TestOps.h"

#include "planish/graph/Evaluate.h"
#include "planish/loop/Rewrite.h"

#include <gtest/gtest.h>

namespace planish::graph::test {
namespace {

Tensor tensor(std::vector<int64_t> shape, const std::vector<float> &values) {
  auto bytes = std::as_bytes(std::span(values));
  return {DType::f32, std::move(shape), std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end())};
}
std::vector<float> values(const Tensor &t) {
  auto *data = reinterpret_cast<const float *>(t.data->data());
  return {data, data + t.data->size() / sizeof(float)};
}

/// row_sum -> twice -> + b, as single nodes or as one group.
Graph chain(bool fused) {
  Graph g;
  Var n = g.addInputSymbol("N", 1, 8, 0, 0);
  TensorType matrix{DType::f32, {Dim(n), Dim(3)}, {}, {}}, vector{DType::f32, {Dim(n)}, {}, {}};
  ValueId x = g.addInput(matrix, "x"), b = g.addInput(vector, "b");
  ValueId half = g.addConstant<float>(DType::f32, {1}, {0.5f});
  auto build = [&](Graph &to, ValueId p, ValueId q, ValueId c) {
    ValueId s = (*to.append(kRowSum, {}, {p, q}, {}))[0];
    ValueId t = (*to.append(kTwice, {}, {s}, {}))[0];
    ValueId u = (*to.append(kSum2, {}, {t, c}, {}))[0];
    return (*to.append(kSum2, {}, {u, s}, {}))[0];
  };
  if (!fused) {
    g.setOutputs({build(g, x, b, half)});
    return g;
  }
  Graph body = Graph::regionOf(g);
  ValueId p = body.addInput(matrix, "x"), q = body.addInput(vector, "b"),
          c = body.addInput(g.type(half), "half");
  body.setOutputs({build(body, p, q, c)});
  g.setOutputs({(*g.append(kFused, {}, {x, b, half}, {}, {}, {body}))[0]});
  return g;
}

TEST(Evaluate, NodesAndGroupsAgree) {
  for (int64_t n : {1, 2, 5}) {
    std::vector<float> x, b, expected;
    for (int64_t i = 0; i < n; ++i) {
      x.insert(x.end(), {float(i), 1, 2});
      b.push_back(float(10 * i));
      float s = b.back() + float(i) + 3;
      expected.push_back(s * s + 0.5f + s);
    }
    for (bool fused : {false, true}) {
      auto out = evaluate(chain(fused), std::vector{tensor({n, 3}, x), tensor({n}, b)});
      ASSERT_TRUE(out) << out.error().text;
      EXPECT_EQ((*out)[0].shape, std::vector<int64_t>{n});
      EXPECT_EQ(values((*out)[0]), expected) << "fused " << fused;
    }
  }
}

TEST(Evaluate, ScalarConstantsAreImmediates) {
  Graph g = chain(true);
  const Node &node = g.nodes()[0];
  std::vector<loop::Buffer> in;
  for (ValueId v : node.inputs) {
    std::vector<loop::Expr> extents;
    for (const Dim &d : g.type(v).shape) extents.push_back(loop::extentOf(d));
    in.push_back(loop::buffer(g[v].name, DType::f32, extents));
  }
  loop::Buffer out = loop::buffer("y", DType::f32, {loop::extentOf(g.type(node.outputs[0]).shape[0])});
  loop::Compute c = computeOf(node, g, in, out);
  EXPECT_EQ(c.params, (std::vector<loop::Buffer>{in[0], in[1], out}));
  EXPECT_EQ(c.out, out);
  EXPECT_EQ(c.reduce.size(), 1u);
}

TEST(Evaluate, EveryValue) {
  Graph g = chain(false);
  auto all = evaluateAll(g, std::vector{tensor({1, 3}, {1, 2, 3}), tensor({1}, {4})});
  ASSERT_TRUE(all) << all.error().text;
  ASSERT_EQ(all->size(), g.values().size());
  EXPECT_EQ(values((*all)[g.nodes()[0].outputs[0].index]), std::vector<float>{10});
  EXPECT_EQ(values((*all)[g.nodes()[1].outputs[0].index]), std::vector<float>{100});
}

TEST(Evaluate, InputsThatDoNotFit) {
  Graph g = chain(false);
  auto error = [&](std::vector<Tensor> inputs) {
    auto r = evaluate(g, inputs);
    EXPECT_FALSE(r);
    return r ? "" : r.error().text;
  };
  EXPECT_EQ(error({}), "0 inputs given, the graph has 2");
  EXPECT_EQ(error({tensor({2, 3}, {1, 2, 3, 4, 5, 6}), tensor({1}, {1})}),
            "input 'b' of type f32[N]: given two sizes for 'N'");
  EXPECT_EQ(error({tensor({2, 2}, {1, 2, 3, 4}), tensor({2}, {1, 2})}),
            "input 'x' of type f32[N,3]: given size 2 in dimension 1");
}

} // namespace
} // namespace planish::graph::test
