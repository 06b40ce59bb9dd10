// Every operator's definition, its views of memory, and its refusals.
#include "Cases.h"
#include "planish/graph/OpDef.h"
#include "planish/graph/Text.h"
#include "planish/loop/Interpret.h"
#include "planish/loop/Rewrite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace planish::ops::test {
namespace {

std::vector<Case> allCases() {
  std::vector<Case> r;
  for (auto cases : {elementwiseCases, windowCases, movementCases, reductionCases, indexingCases,
                     selectionCases, recurrentCases, quantizationCases})
    for (Case &c : cases()) r.push_back(std::move(c));
  return r;
}

TEST(Operators, EachHasACase) {
  std::set<std::string> tested;
  for (const Case &c : allCases()) tested.insert(c.op);
  for (const graph::OpDef *op : allOps())
    EXPECT_TRUE(op->control != graph::Control::None || tested.contains(std::string(op->name))) << op->name;
}

TEST(Operators, RowsAreComplete) {
  std::set<std::string_view> names;
  for (const graph::OpDef *op : allOps()) {
    EXPECT_TRUE(names.insert(op->name).second) << op->name << " twice";
    EXPECT_TRUE(op->infer) << op->name;
    EXPECT_EQ((op->compute != nullptr) + (op->loops != nullptr) + (op->control != graph::Control::None), 1)
        << op->name;
    EXPECT_FALSE(op->summary.empty()) << op->name;
  }
}

TEST(Operators, DefinitionsEqualTheirReferences) {
  for (const Case &c : allCases()) {
    SCOPED_TRACE(testing::PrintToString(c));
    auto got = evaluated(c);
    ASSERT_TRUE(got) << got.error().text;
    ASSERT_EQ(got->shape, c.shape);
    for (size_t i = 0; i < got->values.size(); ++i) {
      double expected = c.reference(c.inputs, unravel(int64_t(i), c.shape)), value = got->values[i];
      if (expected == kAnything) continue;
      bool fits = std::isnan(expected) ? std::isnan(value)
                                       : value == expected || std::abs(value - expected) <=
                                                                  c.tolerance * (1 + std::abs(expected));
      EXPECT_TRUE(fits) << "at " << i << ": " << value << ", expected " << expected;
    }
  }
}

// ---- views ---------------------------------------------------------------------------------------

loop::Expr atPoint(const loop::Expr &e, const loop::Compute &c, const Index &at) {
  loop::Substitution point;
  for (size_t d = 0; d < c.space.size(); ++d) point[c.space[d].var] = loop::imm(at[d]);
  return loop::simplify(loop::substitute(e, point), {});
}
int64_t addressOf(const graph::View &view, const std::vector<loop::Expr> &index) {
  loop::Expr r = view.offset;
  for (size_t d = 0; d < index.size(); ++d) r = r + index[d] * view.strides[d];
  return loop::constantOf(r).value();
}
/// The load that a point's value is; selects have folded.
const loop::Load *loadAt(const loop::Expr &e) { return loop::as<loop::Load>(e); }

graph::OpView viewOf(const graph::Graph &g) {
  const graph::Node &node = g.nodes()[0];
  graph::OpView v{node.attrs, {}, g.type(node.outputs[0]), {}, {}};
  auto bufferOf = [](const TensorType &t) { return loop::buffer("b", t.dtype, *constantShape(t.shape)); };
  for (graph::ValueId in : node.inputs) {
    v.inTypes.push_back(g.type(in));
    v.in.push_back(bufferOf(g.type(in)));
  }
  v.out = bufferOf(v.outType);
  return v;
}

/// Distinct strides, in an order of dimensions that rotates with `turn`, with room around.
graph::View spread(const TensorType &type, size_t turn) {
  graph::View r{std::vector<loop::Expr>(type.shape.size(), loop::imm(1)), loop::imm(5)};
  int64_t stride = 1;
  for (size_t k = 0; k < type.shape.size(); ++k) {
    size_t d = (type.shape.size() - 1 - k + turn) % type.shape.size();
    r.strides[d] = loop::imm(stride);
    stride *= type.shape[d].constant();
  }
  return r;
}

TEST(Views, NameTheAddressThatTheDefinitionReads) {
  int outputs = 0, inputs = 0;
  for (const Case &c : movementCases()) {
    SCOPED_TRACE(testing::PrintToString(c));
    auto g = graphOf(c);
    ASSERT_TRUE(g) << g.error().text;
    const graph::OpDef &op = *g->nodes()[0].op;
    graph::OpView v = viewOf(*g);
    loop::Compute definition = op.compute(v);
    for (size_t turn = 0; turn < 3; ++turn) {
      graph::View memory = v.in.empty() ? graph::View{} : spread(v.inTypes[0], turn),
                  result = spread(v.outType, turn);
      auto output = op.outputView ? op.outputView(v, memory) : std::nullopt;
      for (int64_t i = 0; i < sizeOf(c.shape); ++i) {
        Index at = unravel(i, c.shape);
        std::vector<loop::Expr> index;
        for (int64_t k : at) index.push_back(loop::imm(k));
        loop::Expr value = atPoint(definition.value, definition, at);
        const loop::Load *load = loadAt(value);
        if (!load) continue;
        if (output) {
          EXPECT_EQ(addressOf(*output, index), addressOf(memory, load->indices)) << "output " << i;
        }
        for (size_t k = 0; k < v.in.size() && op.inputView; ++k) {
          auto input = op.inputView(v, int(k), result);
          if (!input || load->buffer != v.in[k]) continue;
          EXPECT_EQ(addressOf(*input, load->indices), addressOf(result, index))
              << "input " << k << " at " << i;
          ++inputs;
        }
        outputs += output.has_value();
      }
    }
  }
  EXPECT_GT(outputs, 500);
  EXPECT_GT(inputs, 500);
}

TEST(Views, ReshapeIsRefusedWhereStridesDoNotMerge) {
  Case c{"reshape", "shape=[12]", {random({3, 4}, 0, 1, 1)}, DType::f32, {12}, {}};
  auto g = graphOf(c);
  ASSERT_TRUE(g);
  graph::OpView v = viewOf(*g);
  EXPECT_TRUE(g->nodes()[0].op->outputView(v, spread(v.inTypes[0], 0)));
  EXPECT_FALSE(g->nodes()[0].op->outputView(v, spread(v.inTypes[0], 1)));
}

TEST(Views, EqualSymbolsAreOneDimension) {
  auto g =
      graph::parse("graph @t(%x: f32[1,H,W,3]) symbols(H: 1..9 = input 0 dim 1, W: 1..9 = input 0 dim 2) {\n"
                   "  %y: f32[H,1,W,3] = reshape(%x) {shape=[H, 1, W, 3]}\n"
                   "  return %y\n}\n",
                   allOps());
  ASSERT_TRUE(g) << g.error().text;
  const graph::Node &node = g->nodes()[0];
  TensorType in = g->type(node.inputs[0]);
  graph::OpView v{node.attrs, {in}, g->type(node.outputs[0]), {}, {}};
  graph::View memory = graph::denseView({in.dtype, in.shape, {0, 3, 1, 2}, {}});  // channels outermost
  auto view = node.op->outputView(v, memory);
  ASSERT_TRUE(view);
  EXPECT_TRUE(loop::equal(view->strides[0], memory.strides[1]));
  EXPECT_TRUE(loop::equal(view->strides[2], memory.strides[2]));
  EXPECT_TRUE(loop::equal(view->strides[3], memory.strides[3]));
}

TEST(Windows, RoundedUpOnesStayInsideInputsOfAnySize) {
  auto g =
      graph::parse("graph @t(%x: f32[1,1,S]) symbols(S: 1..9 = input 0 dim 2, P: 1..5 = "
                   "(min(((S + 1) div 2), ((S - 1) div 2)) + 1)) {\n"
                   "  %y: f32[1,1,P] = max_pool(%x) {window=[2], strides=[2], dilations=[1], pads_begin=[0], "
                   "pads_end=[0], ceil_mode=true}\n"
                   "  return %y\n}\n",
                   allOps());
  ASSERT_TRUE(g) << g.error().text;
  for (int64_t size = 1; size < 10; ++size) {
    auto zeros = std::make_shared<const std::vector<std::byte>>(size_t(size) * sizeof(float));
    std::vector<graph::Tensor> inputs{{DType::f32, {1, 1, size}, zeros}};
    auto y = graph::evaluate(*g, inputs);
    ASSERT_TRUE(y) << y.error().text;
    EXPECT_EQ(y->at(0).shape[2], (size + 1) / 2);
  }
}

// ---- refusals ------------------------------------------------------------------------------------

struct Refusal {
  const char *op, *attrs;
  Inputs inputs;
  const char *message;
};

TEST(Operators, RefuseWhatMakesNoSense) {
  auto f = [](Index shape) { return Numbers{DType::f32, std::move(shape), {}}; };
  auto i = [](Index shape) { return Numbers{DType::i64, std::move(shape), {}}; };
  const std::string pads = ", pads_begin=[0, 0], pads_end=[0, 0]", ones = "strides=[1, 1], dilations=[1, 1]";
  const std::string zeroStride = "strides=[0, 1], dilations=[1, 1]" + pads;
  const std::string negativePads = ones + ", pads_begin=[-1, 0], pads_end=[0, 0]";
  const std::string hugePads =
      ones + ", pads_begin=[9223372036854775807, 0], pads_end=[9223372036854775807, 0]";
  const std::string groups = ones + pads + ", group=2", noGroup = ones + pads + ", group=0",
                    plain = ones + pads;
  const Refusal refusals[] = {
      {"conv", zeroStride.c_str(), {f({1, 1, 4, 4}), f({1, 1, 3, 3})}, "strides has the entry 0"},
      {"conv", negativePads.c_str(), {f({1, 1, 4, 4}), f({1, 1, 3, 3})}, "pads has the entry -1"},
      {"conv",
       hugePads.c_str(),
       {f({1, 1, 4, 4}), f({1, 1, 3, 3})},
       "pads has the entry 9223372036854775807"},
      {"conv", groups.c_str(), {f({1, 3, 4, 4}), f({4, 1, 3, 3})}, "2 groups do not divide 3 and 4 channels"},
      {"conv", noGroup.c_str(), {f({1, 3, 4, 4}), f({4, 1, 3, 3})}, "0 groups do not divide"},
      {"conv", plain.c_str(), {f({1, 3, 2, 4}), f({4, 3, 3, 3})}, "does not fit into 2"},
      {"conv",
       plain.c_str(),
       {f({1, 3, 4, 4}), f({4, 2, 3, 3})},
       "the weights take 2 channels per group, the input has 3"},
      {"conv", plain.c_str(), {f({1, 3, 4, 4}), f({4, 3, 3, 3}), f({5})}, "the bias is f32[5], expected [4]"},
      {"conv", "", {f({1, 3, 4, 4}), f({4, 3, 3, 3})}, "strides has 0 entries, expected 2"},
      {"conv", plain.c_str(), {f({1, 3, 4, 4}), f({4, 3, 3, 0})}, "the window has the entry 0"},
      {"add", "", {f({2, 3}), f({2, 4})}, "cannot broadcast the sizes 3 and 4"},
      {"add", "", {f({2}), i({2})}, "element types f32 and i64"},
      {"exp", "", {i({2})}, "element type i64, expected one of f32"},
      {"matmul", "", {f({2, 3}), f({4, 5})}, "cannot multiply f32[2,3] by f32[4,5]"},
      {"transpose", "perm=[0, 0]", {f({2, 3})}, "names axis 0 twice"},
      {"transpose", "perm=[0]", {f({2, 3})}, "perm has 1 entries, expected 2"},
      {"reshape", "shape=[7]", {f({2, 3})}, "cannot give f32[2,3] the shape [7]"},
      {"reshape", "shape=[1099511627776, 1099511627776]", {f({2, 3})}, "more than 2^40 elements"},
      {"slice",
       "begin=[0, 2], steps=[1, 1], size=[2, 2]",
       {f({2, 3})},
       "axis 1 has 3 elements, not 2 from 2"},
      {"slice", "begin=[0, 0], steps=[1, 0], size=[2, 3]", {f({2, 3})}, "step 0 on axis 1"},
      {"concat", "axis=1", {f({2, 3}), f({3, 3})}, "differ beside axis 1"},
      {"concat", "axis=2", {f({2, 3}), f({2, 3})}, "names axis 2 of a tensor of rank 2"},
      {"reduce_sum", "axes=[-1]", {f({2, 3})}, "names axis -1"},
      {"gather", "axis=0", {f({2, 3}), f({1})}, "element type f32, expected one of i32, i64"},
      {"reverse_sequence", "", {f({2, 3}), i({2})}, "expected one per entry of axis 1"},
      {"pad", "begin=[2, 0], end=[0, 0], mode=reflect", {f({2, 3})}, "too short for its padding"},
      {"tile", "perm=[1099511627776, 1]", {f({2, 3})}, "repeats axis 0 1099511627776 times"},
      {"broadcast", "shape=[4, 3]", {f({2, 3})}, "cannot broadcast the sizes"},
  };
  for (const Refusal &r : refusals) {
    SCOPED_TRACE(std::string(r.op) + " {" + r.attrs + "}");
    auto g = graphOf({r.op, r.attrs, r.inputs, DType::f32, {1}, {}});
    ASSERT_FALSE(g);
    EXPECT_THAT(g.error().text, testing::HasSubstr(r.message));
  }
}

TEST(Rules, TheNewestRowNotAboveTheVersionHolds) {
  EXPECT_EQ(ruleFor("", "Softmax", 12)->since, 1);
  EXPECT_EQ(ruleFor("", "Softmax", 13)->since, 13);
  EXPECT_EQ(ruleFor("", "Softmax", 22)->since, 13);
  EXPECT_EQ(ruleFor("", "Gelu", 19), nullptr);
  EXPECT_EQ(ruleFor("no.such.domain", "Softmax", 13), nullptr);
  for (const graph::OnnxRule &r : allOnnxRules())
    EXPECT_EQ(ruleFor(r.domain, r.opType, r.since), &r) << r.opType;
}

} // namespace
} // namespace planish::ops::test
