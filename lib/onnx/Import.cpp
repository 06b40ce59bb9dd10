// The model's graph, node by node, through the operators' import rules.
#include "planish/onnx/Import.h"

#include "Functions.h"
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

/// What the graph, its bodies and the functions it calls share.
struct Context {
  FileContext &file;
  Opsets opsets;
  const Functions &functions;
};

/// All operators without a rule in one complaint, each with its count and nodes.
class Missing {
public:
  explicit Missing(const Functions &functions) : functions(functions) {}

  /// Nodes, those of their bodies, and those of the functions that are called, each function once.
  Status check(const std::vector<const NodeProto *> &nodes, const Opsets &opsets) {
    PLANISH_TRY(add(nodes, opsets));
    if (byOperator.empty()) return {};
    return unsupported(
        "operators without support: " + joined(byOperator, [](const auto &m) {
          size_t count = m.second.size();
          std::vector<std::string> named(m.second.begin(), m.second.begin() + long(std::min(count, kNamed)));
          return m.first + " (" + std::to_string(count) + (count == 1 ? " node: " : " nodes: ") +
                 joined(named, [](const std::string &s) { return s; }) + (count > kNamed ? ", ..." : "") +
                 ")";
        }));
  }

private:
  static constexpr size_t kNamed = 5;

  Status add(const std::vector<const NodeProto *> &nodes, const Opsets &opsets) {
    std::vector<const NodeProto *> all(nodes);
    for (size_t k = 0; k < all.size(); ++k)  // bodies count, too
      for (const auto &a : all[k]->attribute())
        for (const NodeProto &inner : a.g().node()) all.push_back(&inner);
    for (const NodeProto *n : all) {
      std::string domain = domainOf(*n);
      auto version = opsets.find(domain);
      bool isConstant = domain.empty() && n->op_type() == "Constant";
      if (isConstant || (version != opsets.end() && ops::ruleFor(domain, n->op_type(), version->second)))
        continue;
      if (const ::onnx::FunctionProto *f = functions.called(*n)) {
        if (!seen.insert(f).second) continue;
        std::vector<const NodeProto *> inner;
        for (const NodeProto &x : f->node()) inner.push_back(&x);
        PLANISH_ASSIGN(Opsets own, opsetsOf(f->opset_import()));
        PLANISH_TRY(add(inner, own));
        continue;
      }
      std::string key = (domain.empty() ? "" : domain + "::") + n->op_type();
      if (version != opsets.end()) key += " of opset " + std::to_string(version->second);
      byOperator[shown(key)].push_back(shown(nameOf(*n)));
    }
    return {};
  }

  const Functions &functions;
  std::set<const ::onnx::FunctionProto *> seen;
  std::map<std::string, std::vector<std::string>> byOperator;
};

constexpr int kMaxDepth = 100;

class GraphImporter {
public:
  /// `around` is the graph that this one is a body of, if it is one.
  GraphImporter(Context &shared, const ::onnx::GraphProto &source, graph::Graph &into, GraphImporter *around)
      : context(shared), proto(source), graph(into), outer(around),
        named_(around && &around->graph == &into ? around->named_ : std::make_shared<std::set<uint32_t>>()),
        stored_(around && &around->graph == &into ? around->stored_
                                                  : std::make_shared<std::map<uint32_t, DType>>()) {
    for (const auto &t : proto.initializer()) initializers[t.name()] = &t;
  }

  Status run(const ImportOptions &options, Imported &result) {
    for (const auto &v : proto.output()) outputs.insert(v.name());
    PLANISH_ASSIGN(auto nodes, orderedNodes(proto, false));
    PLANISH_TRY(Missing(context.functions).check(nodes, context.opsets));
    PLANISH_ASSIGN(values, addInputs(proto, options, context.file, result));
    for (const auto &[name, value] : values) named_->insert(value.index);
    for (const auto &v : proto.input())
      if (auto found = values.find(v.name()); found != values.end())
        store(found->second, portType(v.type().tensor_type().elem_type(), DType::f32));
    PLANISH_TRY(addNodes());
    return setOutputs();
  }

  /// As a body over `inputs`, which are values of the graph that it appends to; inputs of a function that
  /// a call leaves out are absent.
  Result<std::vector<ValueId>> runBody(const std::vector<ValueId> &inputs) {
    if (context.file.depth >= kMaxDepth)
      return badInput("bodies and functions are nested more than " + std::to_string(kMaxDepth) + " deep");
    ++context.file.depth;
    for (int k = 0; k < proto.input_size(); ++k)
      values[proto.input(k).name()] = size_t(k) < inputs.size() ? inputs[size_t(k)] : kAbsent;
    PLANISH_TRY(addNodes());
    std::vector<ValueId> r;
    for (const auto &v : proto.output()) {
      PLANISH_ASSIGN(ValueId value, valueNamed(v.name()));
      r.push_back(value);
    }
    --context.file.depth;
    return r;
  }

  /// Where this graph is a region: what it calls a value of the graph around it.
  std::map<ValueId, ValueId> captured;

  /// The value of a name; initializers become constants on first use.
  Result<ValueId> valueNamed(const std::string &name) {
    if (name.empty()) return kAbsent;
    if (auto found = values.find(name); found != values.end()) return found->second;
    if (auto tensor = initializers.find(name); tensor != initializers.end()) {
      PLANISH_ASSIGN(graph::ConstantTensor constant,
                     constantOf(*tensor->second, "initializer " + shown(name), context.file));
      ValueId id = graph.addConstant(std::move(constant.type), std::move(constant.data), "");
      store(id, portType(tensor->second->data_type(), DType::f32));
      giveName(id, name);
      return values[name] = id;
    }
    if (outer) {
      PLANISH_ASSIGN(ValueId v, outer->valueNamed(name));
      return values[name] = &outer->graph == &graph ? v : fromOuter(v);
    }
    return unsupported("value " + shown(name) + " is an output or a sparse tensor without support");
  }

  graph::Graph &target() { return graph; }
  Context &shared() { return context; }

private:
  ValueId fromOuter(ValueId v) {
    const graph::Value &value = outer->graph[v];
    auto [known, isNew] = captured.try_emplace(v);
    if (isNew)
      known->second = value.isConstant() ? graph.addConstant(value.type, value.data, value.name)
                                         : graph.addCapture(outer->graph, v);
    return known->second;
  }

  Status addNodes() {
    context.file.nodes += proto.node_size();
    if (context.file.nodes > context.file.limits.nodes)
      return badInput("the model has more than " + std::to_string(context.file.limits.nodes) +
                      " nodes, those of functions and loops written out; --limit nodes=N allows N");
    PLANISH_ASSIGN(std::vector<const NodeProto *> nodes, orderedNodes(proto, outer != nullptr));
    for (const NodeProto *n : nodes)
      if (Status s = addNode(*n); !s) return s.error().in(shownNode(*n));
    return {};
  }

  Status addNode(const NodeProto &n);
  Result<std::vector<ValueId>> called(const ::onnx::FunctionProto &f, const NodeProto &call,
                                      const std::vector<ValueId> &inputs);

  /// Doubles for a rule that has none become f32; where there are doubles, other reals are made doubles.
  Status fitDoubles(graph::OnnxNode &node, const graph::OnnxRule &rule) {
    auto has = [&](DType dtype) {
      return std::ranges::any_of(node.inputs,
                                 [&](ValueId v) { return v != kAbsent && graph.type(v).dtype == dtype; });
    };
    if (!has(DType::f64)) return {};
    if (!rule.doubles) context.file.narrowed.insert("double");
    const DType from = rule.doubles ? DType::f32 : DType::f64, to = rule.doubles ? DType::f64 : DType::f32;
    for (ValueId &v : node.inputs) {
      if (v == kAbsent || graph.type(v).dtype != from) continue;
      PLANISH_ASSIGN(v, planish::onnx::converted(graph, v, to, node.name));
    }
    return {};
  }

  /// What the file has a value as that computes as f32.
  DType storedOf(ValueId v) const {
    auto known = stored_->find(v.index);
    return known == stored_->end() ? DType::f32 : known->second;
  }
  void store(ValueId v, DType type) {
    if (v != kAbsent && graph.type(v).dtype == DType::f32 && !isComputed(type))
      stored_->emplace(v.index, type);
  }

  Result<std::vector<ValueId>> converted(graph::OnnxNode &node) {
    if (node.domain.empty() && node.opType == "Constant") {
      PLANISH_ASSIGN(graph::ConstantTensor c, constantNode(node));
      return std::vector<ValueId>{graph.addConstant(std::move(c.type), std::move(c.data), "")};
    }
    const graph::OnnxRule &rule = *ops::ruleFor(node.domain, node.opType, node.version);
    PLANISH_TRY(fitDoubles(node, rule));
    for (ValueId v : node.inputs) node.stored.push_back(storedOf(v));
    graph::Importer importer(graph, node);
    auto made = rule.import(importer);
    if (importer.error()) return *importer.error();
    for (ValueId v : made) store(v, importer.storedResult());
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
    bool taken = named_->contains(v.index) || !graph[v].def;
    if (taken && !(graph[v].isConstant() && !named_->contains(v.index)) && outputs.contains(name)) {
      PLANISH_ASSIGN(v, copied(v, node));
      taken = false;
    }
    if (!taken || !named_->contains(v.index)) giveName(v, name);
    return v;
  }
  Result<ValueId> copied(ValueId v, const std::string &node) {
    PLANISH_ASSIGN(auto made, graph.append(ops::kCopy, {}, {v}, {{node}}));
    return made[0];
  }

  /// Names of the user go before names that the graph has made up.
  void giveName(ValueId v, const std::string &name) {
    ::planish::graph::Graph &g = graph;
    for (uint32_t k = 0; g[v].name != name && k < 2; ++k) {
      g.rename(v, name);
      if (g[v].name == name) break;
      auto holder = std::ranges::find_if(g.values(), [&](const graph::Value &o) { return o.name == name; });
      if (holder == g.values().end()) break;
      ValueId other{uint32_t(holder - g.values().begin())};
      if (named_->contains(other.index)) break;
      g.rename(other, "");
    }
    named_->insert(v.index);
  }

  /// Outputs are values of nodes, each its own: anything else is copied.
  Status setOutputs() {
    std::vector<ValueId> list;
    std::set<std::string> seen;
    for (const auto &v : proto.output()) {
      if (!seen.insert(v.name()).second) return badInput("two outputs are named " + shown(v.name()));
      auto value = valueNamed(v.name());
      if (!value) return value.error().in("output " + shown(v.name()));
      DType port = portType(v.type().tensor_type().elem_type(), graph.type(*value).dtype);
      if (graph.type(*value).dtype == DType::f32 && port != DType::f32) {
        graph.rename(*value, "");
        PLANISH_ASSIGN(*value, planish::onnx::converted(graph, *value, port, v.name()));
        giveName(*value, v.name());
      }
      bool shared = std::ranges::find(list, *value) != list.end();
      if (!graph[*value].def || shared) {
        bool isConstant = graph[*value].isConstant();
        if (isConstant) graph.rename(*value, "");
        PLANISH_ASSIGN(*value, copied(*value, v.name()));
        if (isConstant) giveName(*value, v.name());
        named_->insert(value->index);
      }
      list.push_back(*value);
    }
    graph.setOutputs(list);
    return {};
  }

  Context &context;
  const ::onnx::GraphProto &proto;
  graph::Graph &graph;
  GraphImporter *outer;
  std::set<std::string> outputs;
  std::map<std::string, const ::onnx::TensorProto *> initializers;
  std::map<std::string, ValueId> values;
  std::shared_ptr<std::set<uint32_t>> named_;  // values of the graph that have a name of the file
  std::shared_ptr<std::map<uint32_t, DType>> stored_;  // values that the file has as f16 or bf16
};

/// A graph attribute of a node.
class Body : public graph::OnnxBody {
public:
  Body(const ::onnx::GraphProto &source, GraphImporter &around) : proto(source), outer(around) {}

  int inputs() const override { return proto.input_size(); }
  int outputs() const override { return proto.output_size(); }

  Result<std::vector<ValueId>> inlined(const std::vector<ValueId> &inputs) override {
    PLANISH_TRY(checkInputs(inputs.size()));
    return GraphImporter(outer.shared(), proto, outer.target(), &outer).runBody(inputs);
  }

  Result<std::vector<ValueId>> captures() override {
    std::vector<ValueId> r;
    for (const std::string &name : freeNames(proto)) {
      PLANISH_ASSIGN(ValueId v, outer.valueNamed(name));
      if (!outer.target()[v].isConstant() && std::ranges::find(r, v) == r.end()) r.push_back(v);
    }
    return r;
  }

  Result<graph::Graph> region(const std::vector<TensorType> &types,
                              const std::vector<ValueId> &captured) override {
    PLANISH_TRY(checkInputs(types.size()));
    graph::Graph made = graph::Graph::regionOf(outer.target());
    GraphImporter inner(outer.shared(), proto, made, &outer);
    std::vector<ValueId> inputs;
    for (size_t k = 0; k < types.size(); ++k)
      inputs.push_back(made.addInput(types[k], proto.input(int(k)).name()));
    for (ValueId v : captured) inner.captured[v] = made.addCapture(outer.target(), v);
    PLANISH_ASSIGN(std::vector<ValueId> results, inner.runBody(inputs));
    made.setOutputs(std::move(results));
    return made;
  }

private:
  Status checkInputs(size_t given) const {
    if (given == size_t(proto.input_size())) return {};
    return badInput("its graph " + shown(proto.name()) + " has " + std::to_string(proto.input_size()) +
                    " inputs, expected " + std::to_string(given));
  }

  const ::onnx::GraphProto &proto;
  GraphImporter &outer;
};

/// The body of a function instead of its call.
Result<std::vector<ValueId>> GraphImporter::called(const ::onnx::FunctionProto &f, const NodeProto &call,
                                                   const std::vector<ValueId> &inputs) {
  if (inputs.size() > size_t(f.input_size()))
    return badInput("function " + shown(f.name()) + " takes " + std::to_string(f.input_size()) +
                    " operands, not " + std::to_string(inputs.size()));
  PLANISH_ASSIGN(Opsets opsets, opsetsOf(f.opset_import()));
  Context inside{context.file, std::move(opsets), context.functions};
  const ::onnx::GraphProto body = bodyOf(f, call);
  GraphImporter inner(inside, body, graph, nullptr);
  inner.named_ = named_;
  inner.stored_ = stored_;
  const size_t first = graph.values().size();
  PLANISH_ASSIGN(std::vector<ValueId> results, inner.runBody(inputs));
  for (ValueId v : results)  // the call's names go before the function's
    if (v != kAbsent && v.index >= first) named_->erase(v.index);
  return results;
}

Status GraphImporter::addNode(const NodeProto &n) {
  graph::OnnxNode node{.opType = n.op_type(), .domain = domainOf(n), .name = nameOf(n)};
  node.version = context.opsets.contains(node.domain) ? context.opsets.at(node.domain) : 0;
  PLANISH_TRY(readAttributes(n, context.file, node));
  for (const auto &a : n.attribute())
    if (a.has_g()) node.bodies[a.name()] = std::make_shared<Body>(a.g(), *this);
  for (const std::string &name : n.input()) {
    PLANISH_ASSIGN(ValueId v, valueNamed(name));
    node.inputs.push_back(v);
  }
  for (int k = 0; k < n.output_size(); ++k)
    if (!n.output(k).empty()) node.outputs = k + 1;
  const bool hasRule = (node.domain.empty() && node.opType == "Constant") ||
                       ops::ruleFor(node.domain, node.opType, node.version);
  const ::onnx::FunctionProto *function = hasRule ? nullptr : context.functions.called(n);
  PLANISH_ASSIGN(std::vector<ValueId> made, function ? called(*function, n, node.inputs) : converted(node));
  for (int k = 0; k < n.output_size(); ++k) {
    if (n.output(k).empty() || size_t(k) >= made.size() || made[size_t(k)] == kAbsent) continue;
    PLANISH_ASSIGN(values[n.output(k)], named(made[size_t(k)], n.output(k), node.name));
  }
  return {};
}

} // namespace

std::span<const LimitRow> limitRows() {
  static constexpr LimitRow kRows[] = {
      {"nodes", "nodes, those of functions and loops written out", &Limits::nodes},
      {"tensor-bytes", "bytes of one constant", &Limits::tensorBytes},
      {"constant-bytes", "bytes of all constants", &Limits::constantBytes}};
  return kRows;
}

Result<Imported> importModel(const std::string &path, const ImportOptions &options) {
  PLANISH_ASSIGN(::onnx::ModelProto model, readModel(path));
  FileContext file{.folder = std::filesystem::path(path).parent_path(), .limits = options.limits};
  Imported result;
  auto run = [&]() -> Status {
    PLANISH_ASSIGN(Opsets opsets, opsetsOf(model.opset_import()));
    PLANISH_ASSIGN(Functions functions, Functions::of(model));
    Context context{file, std::move(opsets), functions};
    return GraphImporter(context, model.graph(), result.graph, nullptr).run(options, result);
  };
  if (Status s = run(); !s) return s.error().in(path);
  if (!file.narrowed.empty())
    result.notes.push_back(joined(file.narrowed, [](const std::string &s) { return s; }) +
                           " values compute as f32");
  result.graph = withoutDeadNodes(result.graph);
  return result;
}

} // namespace planish::onnx
