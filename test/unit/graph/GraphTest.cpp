// Construction: names, inference, symbols, known elements, rebuilding.
#include "TestOps.h"

#include "planish/loop/Rewrite.h"

#include <gtest/gtest.h>

#include <cmath>

namespace planish::graph::test {
namespace {

TensorType f32(Shape shape) { return {DType::f32, std::move(shape), {}, {}}; }

ValueId one(Graph &g, const OpDef &op, Attrs attrs, std::vector<ValueId> inputs, std::string name = "") {
  auto made = g.append(op, std::move(attrs), std::move(inputs), {}, {std::move(name)});
  EXPECT_TRUE(made) << made.error().text;
  return (*made)[0];
}

std::vector<int64_t> constants(const Graph &g, ValueId v) {
  std::vector<int64_t> r;
  auto known = g.elements(v);
  EXPECT_TRUE(known);
  if (known)
    for (const loop::Expr &e : *known) r.push_back(loop::constantOf(e).value_or(-999));
  return r;
}

TEST(Graph, NamesAreUnique) {
  Graph g;
  ValueId x = g.addInput(f32({2}), "x");
  ValueId y = one(g, kTwice, {}, {x}, "x");
  ValueId z = one(g, kTwice, {}, {y});
  EXPECT_EQ(g[x].name, "x");
  EXPECT_NE(g[y].name, "x");
  EXPECT_NE(g[z].name, g[y].name);
  g.rename(z, "x");
  EXPECT_NE(g[z].name, "x");
}

TEST(Graph, OperandCountsAreChecked) {
  Graph g;
  ValueId x = g.addInput(f32({2, 3}), "x");
  auto few = g.append(kSum2, {}, {x}, {});
  ASSERT_FALSE(few);
  EXPECT_EQ(few.error().text, "sum2: operand 1 of (a, b) is missing");
  auto many = g.append(kTwice, {}, {x, x}, {});
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().text, "twice: takes (x), not 2 operands");
  EXPECT_TRUE(g.append(kRowSum, {}, {x, kAbsent}, {}));
  EXPECT_FALSE(g.append(kRowSum, {}, {kAbsent}, {}));
  auto wrong = g.append(kRowSum, {}, {g.addInput(f32({2}), "v")}, {});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().text, "row_sum: takes a matrix, not f32[2]");
}

TEST(Graph, EqualSizesAreTheSameSymbol) {
  Graph g;
  Var h = g.addInputSymbol("H", 1, 640, 0, 0);
  EXPECT_EQ(g.addInputSymbol("H", 1, 640, 0, 1), h);
  auto half = g.derive(loop::ceilDiv(loop::use(h), 2));
  ASSERT_TRUE(half && !half->isConstant());
  EXPECT_EQ(half->lower(), 1);
  EXPECT_EQ(half->upper(), 320);
  // (H - 1) div 2 + 1 written in another way
  auto again = g.derive(loop::floorDiv(loop::use(h) - 1, loop::imm(2)) + 1);
  ASSERT_TRUE(again);
  EXPECT_TRUE(*again == *half);
  // In terms of a derived symbol, and back to the first one.
  auto doubled = g.derive(loop::use(half->symbol()) * 2);
  auto twice = g.derive(loop::ceilDiv(loop::use(h), 2) * 2);
  ASSERT_TRUE(doubled && twice);
  EXPECT_TRUE(*doubled == *twice);
  auto same = g.derive(loop::use(h) + 3 - 3);
  ASSERT_TRUE(same);
  EXPECT_TRUE(*same == Dim(h));
  EXPECT_EQ(g.symbols().size(), 3u);
}

TEST(Graph, SizesThatCannotBe) {
  Graph g;
  Var h = g.addInputSymbol("H", 1, 640, 0, 0);
  auto negative = g.derive(loop::imm(-3));
  ASSERT_FALSE(negative);
  EXPECT_EQ(negative.error().text, "a dimension would be -3");
  EXPECT_FALSE(g.derive(loop::imm(0) - loop::use(h)));
  auto clamped = g.derive(loop::use(h) - 7);
  ASSERT_TRUE(clamped);
  EXPECT_EQ(clamped->lower(), 0);
  EXPECT_EQ(clamped->upper(), 633);
  auto unbounded = g.derive(loop::use(h) * loop::imm(INT32_MAX));
  ASSERT_FALSE(unbounded);
  EXPECT_NE(unbounded.error().text.find("no upper bound"), std::string::npos) << unbounded.error().text;
  EXPECT_NE(unbounded.error().text.find("H"), std::string::npos);
}

TEST(Graph, KnownElementsOfShapes) {
  Graph g;
  Var h = g.addInputSymbol("H", 1, 640, 0, 1);
  ValueId x = g.addInput(f32({Dim(3), Dim(h)}), "x");
  ValueId sizes = one(g, kSizes, {}, {x});
  auto known = g.elements(sizes);
  ASSERT_TRUE(known);
  EXPECT_EQ(loop::constantOf((*known)[0]), 3);
  EXPECT_TRUE(loop::equal((*known)[1], loop::use(h)));

  ValueId index = g.addConstant<int64_t>(DType::i64, {2}, {1, 0});
  ValueId swapped = one(g, kPick, {}, {sizes, index});
  ValueId grown = one(g, kSum2, {}, {swapped, g.addConstant<int64_t>(DType::i64, {}, {5})});
  known = g.elements(grown);
  ASSERT_TRUE(known);
  EXPECT_TRUE(loop::equal((*known)[0], loop::use(h) + 5));
  EXPECT_EQ(loop::constantOf((*known)[1]), 8);

  ValueId y = one(g, kResized, {}, {x, swapped});
  EXPECT_EQ(g.type(y).shape, (Shape{Dim(h), Dim(3)}));
  EXPECT_FALSE(g.elements(x));
}

TEST(Graph, KnownElementsOfSums) {
  Graph g;
  ValueId x = g.addConstant<float>(DType::f32, {2, 3}, {1, 2, 3, 4, 5, 6});
  ValueId bias = g.addConstant<float>(DType::f32, {2}, {0.5f, 0.25f});
  auto known = g.elements(one(g, kRowSum, {}, {x, bias}));
  ASSERT_TRUE(known);
  EXPECT_EQ(loop::as<loop::FloatImm>((*known)[0])->value, 6.5);
  EXPECT_EQ(loop::as<loop::FloatImm>((*known)[1])->value, 15.25);
}

TEST(Graph, UnknownElementsStayUnknown) {
  Graph g;
  ValueId x = g.addInput({DType::i64, {Dim(2)}, {}, {}}, "x");
  ValueId index = g.addConstant<int64_t>(DType::i64, {1}, {0});
  EXPECT_FALSE(g.elements(one(g, kPick, {}, {x, index})));
  ValueId outside = g.addConstant<int64_t>(DType::i64, {1}, {7});
  ValueId data = g.addConstant<int64_t>(DType::i64, {2}, {1, 2});
  EXPECT_FALSE(g.elements(one(g, kPick, {}, {data, outside})));
  EXPECT_EQ(constants(g, one(g, kPick, {}, {data, index})), std::vector<int64_t>{1});
}

TEST(Graph, EqualityIsStructural) {
  auto build = [](const char *name, float c, int64_t bound) {
    Graph g;
    Var n = g.addInputSymbol("N", 1, bound, 0, 0);
    ValueId x = g.addInput(f32({Dim(n)}), name);
    ValueId k = g.addConstant<float>(DType::f32, {1}, {c});
    g.setOutputs({one(g, kSum2, {}, {one(g, kHalve, {}, {x}), k})});
    return g;
  };
  EXPECT_TRUE(build("a", 1, 8) == build("b", 1, 8));
  EXPECT_FALSE(build("a", 1, 8) == build("a", 2, 8));
  EXPECT_FALSE(build("a", 1, 8) == build("a", 1, 9));
}

TEST(Attrs, EqualityIsByFields) {
  AllFields a;
  EXPECT_TRUE(Attrs(a) == Attrs(AllFields{}));
  AllFields b;
  b.mode = Mode::Fancy;
  EXPECT_FALSE(Attrs(a) == Attrs(b));
  EXPECT_FALSE(Attrs(a) == Attrs());
  EXPECT_FALSE(Attrs(a) == Attrs(HalveAttrs{}));
  b.mode = Mode::Plain, b.factor = -0.0, a.factor = 0.0;
  EXPECT_FALSE(Attrs(a) == Attrs(b));
  a.factor = std::nan("1"), b.factor = -std::nan("2");
  EXPECT_TRUE(Attrs(a) == Attrs(b));
}

TEST(Rebuilder, DropsDeadNodesAndKeepsNames) {
  Graph g;
  Var n = g.addInputSymbol("N", 1, 8, 0, 0);
  ValueId x = g.addInput(f32({Dim(n), Dim(4)}), "x");
  ValueId dead = one(g, kHalve, {}, {x}, "dead");
  one(g, kTwice, {}, {dead}, "deader");
  ValueId a = one(g, kTwice, {}, {x}, "a");
  ValueId b = one(g, kTwice, {}, {a}, "b");
  g.setOutputs({b});
  Rebuilder r(g);
  for (uint32_t i = 0; i < g.nodes().size(); ++i) {
    if (g.nodes()[i].outputs[0] == a) r.replace(a, r(x));
    else ASSERT_TRUE(r.copy({i}));
  }
  auto done = r.finish();
  ASSERT_TRUE(done);
  ASSERT_EQ(done->nodes().size(), 1u);
  EXPECT_EQ((*done)[done->outputs()[0]].name, "b");
  EXPECT_EQ(done->symbols().size(), 1u);
  EXPECT_EQ(done->nodes()[0].inputs[0], done->inputs()[0]);
}

} // namespace
} // namespace planish::graph::test
