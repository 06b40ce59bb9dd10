// The model's graph, node by node, through the operators' import rules.
#include "planish/onnx/Import.h"

#include "Model.h"
#include "Text.h"
#include "planish/ops/Ops.h"
#include "planish/support/Text.h"

#include <algorithm>
#include <set>

namespace planish::onnx {

namespace {

using graph::kAbsent;
using graph::ValueId;
using ::onnx::NodeProto;

/// All operators without a rule in one complaint, each with its count and nodes.
Status checkOperators(const std::vector<const NodeProto *> &nodes, const Opsets &opsets) {
  static constexpr size_t kNamed = 5;
  std::map<std::string, std::vector<std::string>> missing;
  for (const NodeProto *n : nodes) {
    std::string domain = domainOf(*n);
    auto version = opsets.find(domain);
    bool isConstant = domain.empty() && n->op_type() == "Constant";
    if (isConstant || (version != opsets.end() && ops::ruleFor(domain, n->op_type(), version->second)))
      continue;
    std::string key = (domain.empty() ? "" : domain + "::") + n->op_type();
    if (version != opsets.end()) key += " of opset " + std::to_string(version->second);
    missing[shown(key)].push_back(shown(nameOf(*n)));
  }
  if (missing.empty()) return {};
  return unsupported(
      "operators without support: " + joined(missing, [](const auto &m) {
        size_t count = m.second.size();
        std::vector<std::string> named(m.second.begin(), m.second.begin() + long(std::min(count, kNamed)));
        return m.first + " (" + std::to_string(count) + (count == 1 ? " node: " : " nodes: ") +
               joined(named, [](const std::string &s) { return s; }) + (count > kNamed ? ", ..." : "") + ")";
      }));
}

class GraphImporter {
public:
  GraphImporter(const ::onnx::ModelProto &model, FileContext &file, Imported &result)
      : model(model), file(file), result(result) {}

  Status run(const ImportOptions &options) {
    const ::onnx::GraphProto &g = model.graph();
    PLANISH_ASSIGN(opsets, opsetsOf(model));
    PLANISH_ASSIGN(std::vector<const NodeProto *> nodes, orderedNodes(g));
    PLANISH_TRY(checkOperators(nodes, opsets));
    for (const auto &v : g.output()) outputs.insert(v.name());
    for (const auto &t : g.initializer()) initializers[t.name()] = &t;
    PLANISH_ASSIGN(values, addInputs(g, options, file, result));
    for (const auto &[name, value] : values) named_.insert(value.index);
    for (const NodeProto *n : nodes)
      if (Status s = addNode(*n); !s) return s.error().in(shownNode(*n));
    return setOutputs();
  }

private:
  /// The value of a name; initializers become constants on first use.
  Result<ValueId> valueNamed(const std::string &name) {
    if (name.empty()) return kAbsent;
    if (auto found = values.find(name); found != values.end()) return found->second;
    auto tensor = initializers.find(name);
    if (tensor == initializers.end())
      return unsupported("value " + shown(name) + " is an output or a sparse tensor without support");
    PLANISH_ASSIGN(graph::ConstantTensor constant,
                   constantOf(*tensor->second, "initializer " + shown(name), file));
    ValueId id = result.graph.addConstant(std::move(constant.type), std::move(constant.data), "");
    giveName(id, name);
    return values[name] = id;
  }

  Status addNode(const NodeProto &n) {
    graph::OnnxNode node{.opType = n.op_type(), .domain = domainOf(n), .name = nameOf(n)};
    node.version = opsets.contains(node.domain) ? opsets.at(node.domain) : 0;
    PLANISH_TRY(readAttributes(n, file, node));
    for (const std::string &name : n.input()) {
      PLANISH_ASSIGN(ValueId v, valueNamed(name));
      node.inputs.push_back(v);
    }
    for (int k = 0; k < n.output_size(); ++k)
      if (!n.output(k).empty()) node.outputs = k + 1;
    PLANISH_ASSIGN(std::vector<ValueId> made, converted(node));
    for (int k = 0; k < n.output_size(); ++k) {
      if (n.output(k).empty() || size_t(k) >= made.size() || made[size_t(k)] == kAbsent) continue;
      PLANISH_ASSIGN(values[n.output(k)], named(made[size_t(k)], n.output(k), node.name));
    }
    return {};
  }

  Result<std::vector<ValueId>> converted(const graph::OnnxNode &node) {
    graph::Importer importer(result.graph, node);
    if (node.domain.empty() && node.opType == "Constant") {
      PLANISH_ASSIGN(graph::ConstantTensor c, constantNode(node));
      return std::vector<ValueId>{result.graph.addConstant(std::move(c.type), std::move(c.data), "")};
    }
    auto made = ops::ruleFor(node.domain, node.opType, node.version)->import(importer);
    if (importer.error()) return *importer.error();
    return made;
  }

  template <class T>
  static graph::ConstantTensor listOf(DType dtype, const std::vector<T> &values, bool scalar) {
    auto bytes = std::as_bytes(std::span(values));
    Shape shape = scalar ? Shape{} : Shape{Dim(int64_t(values.size()))};
    return {{dtype, shape, {}, {}},
            std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end())};
  }
  /// The forms in which a Constant node holds its value.
  static Result<graph::ConstantTensor> constantNode(const graph::OnnxNode &node) {
    using Tensor = graph::ConstantTensor;
    if (node.attributes.size() != 1) return badInput("a constant needs exactly one attribute");
    const auto &[name, value] = *node.attributes.begin();
    if (auto *tensor = std::get_if<Tensor>(&value); tensor && name == "value") return *tensor;
    if (auto *f = std::get_if<float>(&value); f && name == "value_float")
      return listOf(DType::f32, std::vector{*f}, true);
    if (auto *i = std::get_if<int64_t>(&value); i && name == "value_int")
      return listOf(DType::i64, std::vector{*i}, true);
    if (auto *fs = std::get_if<std::vector<float>>(&value); fs && name == "value_floats")
      return listOf(DType::f32, *fs, false);
    if (auto *is = std::get_if<std::vector<int64_t>>(&value); is && name == "value_ints")
      return listOf(DType::i64, *is, false);
    return unsupported("a constant given by attribute " + shown(name));
  }

  /// The value under its ONNX name. One that already has a user's name stays as it is, unless the new
  /// name is an output: then it is copied.
  Result<ValueId> named(ValueId v, const std::string &name, const std::string &node) {
    bool taken = named_.contains(v.index) || !result.graph[v].def;
    if (taken && !(result.graph[v].isConstant() && !named_.contains(v.index)) && outputs.contains(name)) {
      PLANISH_ASSIGN(v, copied(v, node));
      taken = false;
    }
    if (!taken || !named_.contains(v.index)) giveName(v, name);
    return v;
  }
  Result<ValueId> copied(ValueId v, const std::string &node) {
    PLANISH_ASSIGN(auto made, result.graph.append(ops::kCopy, {}, {v}, {{node}}));
    return made[0];
  }

  /// Names of the user go before names that the graph has made up.
  void giveName(ValueId v, const std::string &name) {
    graph::Graph &g = result.graph;
    for (uint32_t k = 0; g[v].name != name && k < 2; ++k) {
      g.rename(v, name);
      if (g[v].name == name) break;
      auto holder = std::ranges::find_if(g.values(), [&](const graph::Value &o) { return o.name == name; });
      if (holder == g.values().end()) break;
      ValueId other{uint32_t(holder - g.values().begin())};
      if (named_.contains(other.index)) break;
      g.rename(other, "");
    }
    named_.insert(v.index);
  }

  /// Outputs are values of nodes, each its own: anything else is copied.
  Status setOutputs() {
    std::vector<ValueId> list;
    std::set<std::string> seen;
    for (const auto &v : model.graph().output()) {
      if (!seen.insert(v.name()).second) return badInput("two outputs are named " + shown(v.name()));
      auto value = valueNamed(v.name());
      if (!value) return value.error().in("output " + shown(v.name()));
      bool shared = std::ranges::find(list, *value) != list.end();
      if (!result.graph[*value].def || shared) {
        bool isConstant = result.graph[*value].isConstant();
        if (isConstant) result.graph.rename(*value, "");
        PLANISH_ASSIGN(*value, copied(*value, v.name()));
        if (isConstant) giveName(*value, v.name());
        named_.insert(value->index);
      }
      list.push_back(*value);
    }
    result.graph.setOutputs(list);
    return {};
  }

  const ::onnx::ModelProto &model;
  FileContext &file;
  Imported &result;
  Opsets opsets;
  std::set<std::string> outputs;
  std::map<std::string, const ::onnx::TensorProto *> initializers;
  std::map<std::string, ValueId> values;
  std::set<uint32_t> named_;  // values that have a name of the file
};

} // namespace

Result<Imported> importModel(const std::string &path, const ImportOptions &options) {
  PLANISH_ASSIGN(::onnx::ModelProto model, readModel(path));
  FileContext file{std::filesystem::path(path).parent_path(), {}, 0};
  Imported result;
  if (Status s = GraphImporter(model, file, result).run(options); !s) return s.error().in(path);
  if (!file.narrowed.empty())
    result.notes.push_back(joined(file.narrowed, [](const std::string &s) { return s; }) +
                           " values are taken as f32");
  result.graph = withoutDeadNodes(result.graph);
  return result;
}

} // namespace planish::onnx
