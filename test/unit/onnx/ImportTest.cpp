// What a model file becomes: encodings of tensors, order, names, sizes. Refusals are in test/errors.
#include "planish/onnx/Import.h"
#include "planish/graph/OpDef.h"
#include "planish/graph/Text.h"
#include "planish/graph/Verify.h"
#include "planish/ops/Ops.h"

#include <onnx-ml.pb.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

namespace planish::onnx {
namespace {

using ::onnx::AttributeProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;
using testing::ElementsAre;
using testing::HasSubstr;

/// A model under construction, imported through a file of its own folder.
class Model {
public:
  explicit Model(int opset = 13) {
    model.set_ir_version(8);
    model.add_opset_import()->set_version(opset);
  }
  NodeProto &node(const std::string &op, std::vector<std::string> inputs, std::vector<std::string> outputs) {
    NodeProto &n = *model.mutable_graph()->add_node();
    n.set_op_type(op), n.set_name(op + "_of_" + (outputs.empty() ? "" : outputs[0]));
    for (auto &i : inputs) n.add_input(i);
    for (auto &o : outputs) n.add_output(o);
    return n;
  }
  /// A size of "" is unnamed and free; digits are a size; else a name.
  void value(bool isInput, const std::string &name, std::vector<std::string> dims) {
    auto &v = *(isInput ? model.mutable_graph()->add_input() : model.mutable_graph()->add_output());
    v.set_name(name);
    auto &type = *v.mutable_type()->mutable_tensor_type();
    type.set_elem_type(TensorProto::FLOAT);
    type.mutable_shape();
    for (const std::string &d : dims) {
      auto &dim = *type.mutable_shape()->add_dim();
      if (!d.empty() && (std::isdigit(d[0]) || d[0] == '-')) dim.set_dim_value(std::stoll(d));
      else if (!d.empty()) dim.set_dim_param(d);
    }
  }
  TensorProto &tensor(const std::string &name, int type, std::vector<int64_t> dims) {
    TensorProto &t = *model.mutable_graph()->add_initializer();
    t.set_name(name), t.set_data_type(type);
    for (int64_t d : dims) t.add_dims(d);
    return t;
  }
  Result<Imported> import(const ImportOptions &options = {}) {
    namespace fs = std::filesystem;
    fs::path folder = fs::path(testing::TempDir()) / ("import_" + std::to_string(::getpid()));
    fs::create_directories(folder);
    std::ofstream(folder / "m.onnx", std::ios::binary) << model.SerializeAsString();
    auto r = importModel((folder / "m.onnx").string(), options);
    fs::remove_all(folder);
    EXPECT_TRUE(!r || graph::verify(r->graph));
    return r;
  }
  ModelProto model;
};

template <class T> std::vector<T> dataOf(const graph::Graph &g, const std::string &name) {
  for (const graph::Value &v : g.values())
    if (v.name == name && v.isConstant()) {
      auto data = graph::dataOf<T>(v);
      return {data.begin(), data.end()};
    }
  return {};
}
std::vector<std::string> namesOf(const graph::Graph &g, std::span<const graph::ValueId> values) {
  std::vector<std::string> r;
  for (auto v : values) r.push_back(g[v].name);
  return r;
}

TEST(Tensors, AllEncodingsOfFloats) {
  Model m;
  m.value(true, "x", {"2"});
  m.value(false, "y", {});
  TensorProto &raw = m.tensor("raw", TensorProto::FLOAT, {2});
  const float numbers[] = {1.5f, -2.f};
  raw.set_raw_data(std::string(reinterpret_cast<const char *>(numbers), sizeof numbers));
  TensorProto &typed = m.tensor("typed", TensorProto::FLOAT, {2});
  typed.add_float_data(1.5f), typed.add_float_data(-2.f);
  TensorProto &wide = m.tensor("wide", TensorProto::DOUBLE, {2});
  wide.add_double_data(1.5), wide.add_double_data(-2);
  TensorProto &half = m.tensor("half", TensorProto::FLOAT16, {5});
  for (int bits : {0x3e00, 0xc000, 0x0001, 0x7c00, 0xfe00}) half.add_int32_data(bits);
  TensorProto &brain = m.tensor("brain", TensorProto::BFLOAT16, {2});
  brain.set_raw_data(std::string("\xc0\x3f\x00\xc0", 4));
  std::string previous = "x";
  for (const char *name : {"raw", "typed", "wide", "brain"}) {
    m.node("Add", {previous, name}, {std::string("after_") + name});
    previous = std::string("after_") + name;
  }
  m.node("ReduceSum", {"half"}, {"total"});
  m.node("Add", {previous, "total"}, {"y"});
  auto r = m.import();
  ASSERT_TRUE(r) << r.error().text;
  EXPECT_THAT(dataOf<double>(r->graph, "wide"), ElementsAre(1.5, -2));
  for (const char *name : {"raw", "typed", "brain"})
    EXPECT_THAT(dataOf<float>(r->graph, name), ElementsAre(1.5f, -2.f)) << name;
  auto halves = dataOf<float>(r->graph, "half");
  EXPECT_THAT(std::vector(halves.begin(), halves.begin() + 4), ElementsAre(1.5f, -2.f, 0x1p-24f, INFINITY));
  EXPECT_TRUE(std::isnan(halves[4]));
  EXPECT_THAT(r->notes, ElementsAre(HasSubstr("bfloat16, float16 values compute as f32")));
}

TEST(Tensors, ConstantNodesInTheirForms) {
  Model m;
  m.value(true, "x", {"2"});
  m.value(false, "y", {});
  auto constant = [&](const std::string &name, const std::string &attribute) -> AttributeProto & {
    AttributeProto &a = *m.node("Constant", {}, {name}).add_attribute();
    a.set_name(attribute);
    return a;
  };
  AttributeProto &one = constant("one", "value_float");
  one.set_type(AttributeProto::FLOAT), one.set_f(1.f);
  AttributeProto &two = constant("two", "value_floats");
  two.set_type(AttributeProto::FLOATS), two.add_floats(2.f), two.add_floats(3.f);
  AttributeProto &shape = constant("shape", "value_ints");
  shape.set_type(AttributeProto::INTS), shape.add_ints(1), shape.add_ints(-1);
  m.node("Add", {"x", "one"}, {"a"});
  m.node("Mul", {"a", "two"}, {"b"});
  m.node("Reshape", {"b", "shape"}, {"y"});
  auto r = m.import();
  ASSERT_TRUE(r) << r.error().text;
  EXPECT_EQ(textOf(r->graph.type(r->graph.outputs()[0])), "f32[1,2]");
  EXPECT_THAT(dataOf<float>(r->graph, "two"), ElementsAre(2.f, 3.f));
}

TEST(Order, NodesMayStandInAnyOrderAndUnneededOnesAreNotLookedAt) {
  Model m;
  m.value(true, "x", {"2"});
  m.value(false, "y", {});
  m.node("Neg", {"a"}, {"y"});
  m.node("Unheard", {"x"}, {"nobody_reads_this"});
  m.node("Abs", {"x"}, {"a"});
  auto r = m.import();
  ASSERT_TRUE(r) << r.error().text;
  ASSERT_EQ(r->graph.nodes().size(), 2u);
  EXPECT_THAT(r->graph.nodes()[0].loc.onnxNodes, ElementsAre("Abs_of_a"));
}

TEST(Names, AreTheFilesNames) {
  Model m;
  m.value(true, "v0", {"2"});  // names that the graph would make itself
  for (const char *name : {"v2", "same", "constant", "v1"}) m.value(false, name, {});
  m.tensor("constant", TensorProto::FLOAT, {1}).add_float_data(4);
  m.node("Gelu", {"v0"}, {"v1"}).set_domain("com.microsoft");
  auto &domain = *m.model.add_opset_import();
  domain.set_domain("com.microsoft"), domain.set_version(1);
  m.node("Softmax", {"v1"}, {"v2"});
  m.node("Identity", {"v2"}, {"same"});
  auto r = m.import();
  ASSERT_TRUE(r) << r.error().text;
  EXPECT_THAT(namesOf(r->graph, r->graph.inputs()), ElementsAre("v0"));
  EXPECT_THAT(namesOf(r->graph, r->graph.outputs()), ElementsAre("v2", "same", "constant", "v1"));
  for (graph::ValueId v : r->graph.outputs()) EXPECT_TRUE(r->graph[v].def) << r->graph[v].name;
}

TEST(Inputs, InitializersListedAsInputsAreConstants) {
  Model m;
  m.value(true, "x", {"2"});
  m.value(true, "w", {"2"});
  m.value(false, "y", {});
  m.tensor("w", TensorProto::FLOAT, {1}).add_float_data(4);
  m.node("Add", {"x", "w"}, {"y"});
  auto r = m.import();
  ASSERT_TRUE(r) << r.error().text;
  EXPECT_THAT(namesOf(r->graph, r->graph.inputs()), ElementsAre("x"));
}

TEST(Inputs, AFreeBatchIsOne) {
  for (const char *batch : {"", "N", "0", "-1"}) {
    Model m;
    m.value(true, "x", {batch, "3"});
    m.value(false, "y", {});
    m.node("Relu", {"x"}, {"y"});
    auto r = m.import();
    ASSERT_TRUE(r) << r.error().text;
    EXPECT_EQ(textOf(r->graph.type(r->graph.outputs()[0])), "f32[1,3]");
    EXPECT_THAT(r->notes, ElementsAre(HasSubstr("batch (dimension 0) of input 'x' taken as 1")));
  }
}

TEST(Inputs, ANamedSizeHoldsForAllInputs) {
  Model m;
  m.value(true, "a", {"N", "3"});
  m.value(true, "b", {"1", "N"});
  m.value(false, "y", {});
  m.node("MatMul", {"b", "a"}, {"y"});
  auto r = m.import({.shapes = {{"a", {5, 3}}}, .maxShapes = {}});
  ASSERT_TRUE(r) << r.error().text;
  EXPECT_EQ(textOf(r->graph.type(r->graph.inputs()[1])), "f32[1,5]");
}

/// Halves are converted on the way in and out; doubles compute as they are where the operator has them.
TEST(Inputs, ShortAndLongFloatsAreConverted) {
  struct Row {
    int type;
    DType port;
    size_t nodes;
  };
  const Row rows[] = {{TensorProto::FLOAT16, DType::f16, 3},
                      {TensorProto::BFLOAT16, DType::bf16, 3},
                      {TensorProto::DOUBLE, DType::f64, 1}};
  for (auto [type, port, nodes] : rows) {
    Model m;
    m.value(true, "x", {"2"});
    m.value(false, "y", {"2"});
    for (auto *v : {m.model.mutable_graph()->mutable_input(0), m.model.mutable_graph()->mutable_output(0)})
      v->mutable_type()->mutable_tensor_type()->set_elem_type(type);
    m.node("Relu", {"x"}, {"y"});
    auto r = m.import();
    ASSERT_TRUE(r) << r.error().text;
    EXPECT_EQ(r->graph.type(r->graph.inputs()[0]).dtype, port);
    EXPECT_EQ(r->graph.type(r->graph.outputs()[0]).dtype, port);
    EXPECT_THAT(namesOf(r->graph, r->graph.outputs()), ElementsAre("y"));
    EXPECT_EQ(r->graph.nodes().size(), nodes);
  }
}

/// How many conversions to f16 there are in x -> f16 -> Relu -> Cast to f16 -> y of f32.
size_t roundings(int elementType) {
  Model m;
  m.value(true, "x", {"2"});
  m.value(false, "y", {"2"});
  m.model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      elementType);
  m.node("Relu", {"x"}, {"t"});
  AttributeProto &to = *m.node("Cast", {"t"}, {"y"}).add_attribute();
  to.set_name("to"), to.set_type(AttributeProto::INT), to.set_i(TensorProto::FLOAT16);
  auto r = m.import();
  if (!r) return 99;
  return size_t(std::ranges::count_if(r->graph.nodes(), [&](const graph::Node &n) {
    return r->graph.type(n.outputs[0]).dtype == DType::f16;
  }));
}

TEST(Inputs, WhatIsAHalfIsNotRoundedToOneAgain) {
  EXPECT_EQ(roundings(TensorProto::FLOAT), 1u);
  EXPECT_EQ(roundings(TensorProto::FLOAT16), 0u);
}

TEST(Inputs, DoublesBecomeFloatsWhereAnOperatorHasNone) {
  Model m;
  m.value(true, "x", {"2"});
  m.value(false, "y", {"2"});
  for (auto *v : {m.model.mutable_graph()->mutable_input(0), m.model.mutable_graph()->mutable_output(0)})
    v->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::DOUBLE);
  m.node("Exp", {"x"}, {"e"});
  m.node("Add", {"e", "x"}, {"y"});
  auto r = m.import();
  ASSERT_TRUE(r) << r.error().text;
  EXPECT_EQ(r->graph.type(r->graph.outputs()[0]).dtype, DType::f64);
  EXPECT_THAT(r->notes, ElementsAre(HasSubstr("double values compute as f32")));
}

/// A branch is made before the sizes that later nodes count; its text is read where all of them are known.
TEST(Bodies, KnowNoSizesThatComeLater) {
  Model m;
  m.value(true, "x", {"4"});
  m.value(false, "y", {"4"});
  m.value(false, "u", {"N"});
  m.node("ReduceMax", {"x"}, {"most"});
  m.node("IsNaN", {"most"}, {"strange"});
  NodeProto &branch = m.node("If", {"strange"}, {"y"});
  for (const char *name : {"then_branch", "else_branch"}) {
    AttributeProto &a = *branch.add_attribute();
    a.set_name(name), a.set_type(AttributeProto::GRAPH), a.mutable_g()->set_name(name);
    NodeProto &inner = *a.mutable_g()->add_node();
    inner.set_op_type(name[0] == 't' ? "Neg" : "Abs"), inner.add_input("x");
    inner.add_output(name), a.mutable_g()->add_output()->set_name(name);
  }
  m.node("Unique", {"x"}, {"u"});
  auto r = m.import();
  ASSERT_TRUE(r) << r.error().text;
  graph::Blobs blobs;
  auto again = graph::parse(graph::print(r->graph, &blobs), ops::allOps(), blobs);
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_TRUE(*again == r->graph);
}

/// x -> a function of LeakyRelu whose slope is an attribute -> y, called twice.
TEST(Functions, AreWrittenOutWithTheirAttributes) {
  Model m;
  m.value(true, "x", {"2"});
  m.value(false, "y", {});
  m.node("Leak", {"x"}, {"t"}).set_domain("mine");
  NodeProto &call = m.node("Leak", {"t"}, {"y"});
  call.set_domain("mine");
  AttributeProto &slope = *call.add_attribute();
  slope.set_name("slope"), slope.set_type(AttributeProto::FLOAT), slope.set_f(0.25f);
  auto &f = *m.model.add_functions();
  f.set_name("Leak"), f.set_domain("mine"), f.add_input("a"), f.add_output("b");
  f.add_opset_import()->set_version(13);
  AttributeProto &otherwise = *f.add_attribute_proto();
  otherwise = slope, otherwise.set_f(0.5f);
  NodeProto &inner = *f.add_node();
  inner.set_op_type("LeakyRelu"), inner.add_input("a"), inner.add_output("b");
  AttributeProto &alpha = *inner.add_attribute();
  alpha.set_name("alpha"), alpha.set_type(AttributeProto::FLOAT), alpha.set_ref_attr_name("slope");
  auto &mine = *m.model.add_opset_import();
  mine.set_domain("mine"), mine.set_version(1);
  auto r = m.import();
  ASSERT_TRUE(r) << r.error().text;
  const std::string text = graph::print(r->graph);
  EXPECT_THAT(text, HasSubstr("%t: f32[2] = leaky_relu(%x) {alpha=0.5"));
  EXPECT_THAT(text, HasSubstr("%y: f32[2] = leaky_relu(%t) {alpha=0.25"));
}

TEST(Inputs, BoundsMakeSymbols) {
  Model m;
  m.value(true, "x", {"", "3", "height", "?"});
  m.value(false, "y", {});
  AttributeProto &kernel = *m.node("MaxPool", {"x"}, {"y"}).add_attribute();
  kernel.set_name("kernel_shape"), kernel.set_type(AttributeProto::INTS), kernel.add_ints(3),
      kernel.add_ints(1);
  auto r = m.import({.shapes = {}, .maxShapes = {{"x", {1, 3, 640, 480}}}});
  ASSERT_TRUE(r) << r.error().text;
  EXPECT_EQ(textOf(r->graph.type(r->graph.inputs()[0])), "f32[1,3,height,x_d3]");
  const Shape &out = r->graph.type(r->graph.outputs()[0]).shape;
  EXPECT_EQ(out[2].upper(), 638);
  EXPECT_EQ(out[3].symbol(), r->graph.type(r->graph.inputs()[0]).shape[3].symbol());
}

} // namespace
} // namespace planish::onnx
