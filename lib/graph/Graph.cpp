#include "planish/graph/Graph.h"

#include "planish/graph/OpDef.h"

#include <algorithm>

namespace planish::graph {

namespace {

/// What a row's inference sees of a graph under construction.
class GraphInference : public InferContext {
public:
  GraphInference(Graph &graph, const Attrs &attrs, std::span<const ValueId> operands,
                 std::span<const Graph> regions)
      : g(graph), given(attrs), operandList(operands), regionList(regions) {}

  int inputs() const override { return int(operandList.size()); }
  bool has(int input) const override {
    return size_t(input) < operandList.size() && operandList[size_t(input)] != kAbsent;
  }
  const TensorType &in(int input) const override {
    PLANISH_CHECK(has(input), "inference asks for an absent operand");
    return g.type(operandList[size_t(input)]);
  }
  const Attrs &attrs() const override { return given; }
  std::span<const Graph> regions() const override { return regionList; }
  std::optional<std::vector<loop::Expr>> elements(int input) const override {
    return has(input) ? g.elements(operandList[size_t(input)]) : std::nullopt;
  }
  Result<Dim> derive(const loop::Expr &size) override { return g.derive(size); }

private:
  Graph &g;
  const Attrs &given;
  std::span<const ValueId> operandList;
  std::span<const Graph> regionList;
};

} // namespace

Loc merged(const Loc &a, const Loc &b) {
  Loc r = a;
  for (const std::string &name : b.onnxNodes)
    if (std::ranges::find(r.onnxNodes, name) == r.onnxNodes.end()) r.onnxNodes.push_back(name);
  return r;
}

std::optional<int64_t> elementCount(const Shape &shape) {
  int64_t count = 1;
  for (const Dim &d : shape) {
    if (!d.isConstant()) return std::nullopt;
    count *= d.constant();
  }
  return count;
}

Graph Graph::regionOf(const Graph &outer) {
  Graph r;
  r.symbolList = outer.symbolList;
  for (Symbol &s : r.symbolList) s.value = kAbsent;
  return r;
}

std::string Graph::uniqueName(std::string wished) {
  if (!wished.empty() && names.insert(wished).second) return wished;
  std::string stem = wished.empty() ? "v" : wished + "_";
  for (;;) {
    std::string made = stem + std::to_string(madeNames++);
    if (names.insert(made).second) return made;
  }
}

ValueId Graph::addValue(Value value) {
  value.name = uniqueName(std::move(value.name));
  valueList.push_back(std::move(value));
  elementFacts.emplace_back();
  return {uint32_t(valueList.size() - 1)};
}

ValueId Graph::addInput(TensorType type, std::string name) {
  inputList.push_back(addValue({std::move(type), std::move(name), std::nullopt, nullptr}));
  return inputList.back();
}

ValueId Graph::addCapture(const Graph &outer, ValueId value) {
  TensorType type = outer.type(value);
  type.layout.clear();
  ValueId made = addInput(std::move(type), outer[value].name);
  elementFacts[made.index] = outer.elementFacts[value.index];
  return made;
}

ValueId Graph::addConstant(TensorType type, Bytes data, std::string name) {
  auto count = elementCount(type.shape);
  PLANISH_CHECK(data && count && size_t(*count) * size_t(byteSize(type.dtype)) == data->size(),
                "a constant's bytes do not match its type " + textOf(type));
  return addValue({std::move(type), std::move(name), std::nullopt, std::move(data)});
}

Result<std::vector<ValueId>> Graph::append(const OpDef &op, Attrs attrs, std::vector<ValueId> inputs, Loc loc,
                                           std::vector<std::string> wishedNames, std::vector<Graph> regions) {
  for (ValueId v : inputs)
    PLANISH_CHECK(v == kAbsent || v.index < valueList.size(), "operand of another graph");
  PLANISH_TRY(checkOperands(op, inputs));
  if (attrs.empty()) attrs = op.prototype;
  GraphInference context(*this, attrs, inputs, regions);
  auto types = op.infer(context);
  if (!types) return types.error().in(std::string(op.name));

  std::vector<loop::Expr> known;
  if (types->size() == 1) known = knownResults(op, attrs, inputs, types->front());
  NodeId id{uint32_t(nodeList.size())};
  std::vector<ValueId> results;
  for (size_t i = 0; i < types->size(); ++i) {
    std::string name = i < wishedNames.size() ? std::move(wishedNames[i]) : "";
    results.push_back(addValue({std::move((*types)[i]), std::move(name), id, nullptr}));
  }
  if (results.size() == 1) elementFacts[results[0].index] = std::move(known);
  nodeList.push_back({&op, std::move(attrs), std::move(inputs), results, std::move(regions), std::move(loc)});
  return results;
}

void Graph::setOutputs(std::vector<ValueId> values) {
  for (ValueId v : values) PLANISH_CHECK(v.index < valueList.size(), "output of another graph");
  outputList = std::move(values);
}

void Graph::rename(ValueId value, std::string name) {
  std::string &current = valueList[value.index].name;
  if (current == name) return;
  names.erase(current);
  current = uniqueName(std::move(name));
}

void Graph::setRegions(NodeId node, std::vector<Graph> regions) {
  PLANISH_CHECK(regions.size() == nodeList[node.index].regions.size(), "another number of regions");
  nodeList[node.index].regions = std::move(regions);
}

void Graph::setLayout(ValueId value, Layout layout) {
  valueList[value.index].type.layout = std::move(layout);
}

std::vector<std::vector<NodeId>> Graph::uses() const {
  std::vector<std::vector<NodeId>> r(valueList.size());
  for (uint32_t n = 0; n < nodeList.size(); ++n)
    for (ValueId v : nodeList[n].inputs)
      if (v != kAbsent && (r[v.index].empty() || r[v.index].back() != NodeId{n})) r[v.index].push_back({n});
  return r;
}

std::vector<int> Graph::outputUses() const {
  std::vector<int> r(valueList.size());
  for (ValueId v : outputList) ++r[v.index];
  for (const Symbol &s : symbolList)
    if (s.value != kAbsent) ++r[s.value.index];
  return r;
}

} // namespace planish::graph
