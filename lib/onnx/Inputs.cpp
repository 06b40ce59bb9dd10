// Graph inputs: which dimensions are fixed, free, given, or bounded symbols.
#include "Model.h"
#include "Text.h"
#include "planish/ops/Ops.h"
#include "planish/support/Text.h"

#include <algorithm>
#include <set>

namespace planish::onnx {

namespace {

constexpr int64_t kLargestSize = int64_t(1) << 31;
constexpr int64_t kExampleSize = 640;

/// A dimension as the file declares it: a size, or free with perhaps a name. Exporters also write
/// free sizes as 0 or -1.
struct Declared {
  int64_t size = 0;
  std::string param;
  bool isFree() const { return size <= 0; }
  std::string text() const { return !isFree() ? std::to_string(size) : param.empty() ? "?" : param; }
};

struct Input {
  std::string name;
  DType dtype = DType::f32, computes = DType::f32;  // in memory, and afterwards
  bool hasRank = true;
  std::vector<Declared> dims;
  std::string text() const {
    return "input " + shown(name) +
           (hasRank ? " is [" +
                          joined(
                              dims, [](const Declared &d) { return d.text(); }, ",") +
                          "]"
                    : " has no declared shape");
  }
};

/// The name of a free dimension. What has no letter ("?", "-1") is no name: it says nothing of equality.
std::string paramOf(const std::string &name) {
  bool isName =
      std::ranges::any_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
  std::string quoted = shown(name);
  return isName ? quoted.substr(1, quoted.size() - 2) : "";
}

Result<Input> declaredInput(const ::onnx::ValueInfoProto &v, FileContext &file) {
  std::string what = "input " + shown(v.name());
  if (!v.type().has_tensor_type()) return unsupported(what + " is no tensor");
  const auto &type = v.type().tensor_type();
  PLANISH_ASSIGN(DType dtype, elementType(type.elem_type(), what, file));
  Input r{v.name(), portType(type.elem_type(), dtype), dtype, type.has_shape(), {}};
  for (const auto &d : type.shape().dim()) {
    if (d.dim_value() > kLargestSize)
      return badInput(what + " has the size " + std::to_string(d.dim_value()));
    r.dims.push_back({d.has_dim_value() ? d.dim_value() : 0, paramOf(d.dim_param())});
  }
  if (r.dims.size() > 8)
    return unsupported(what + " has rank " + std::to_string(r.dims.size()) + "; at most 8 are supported");
  return r;
}

std::string sizesText(const std::vector<int64_t> &sizes) {
  return joined(sizes, [](int64_t s) { return std::to_string(s); }, "x");
}

/// Sizes given for an input fit what the model fixes.
Status checkGiven(const Input &input, const std::vector<int64_t> &given, std::string_view flag) {
  auto wrong = [&](const std::string &why) {
    return usage(std::string(flag) + " " + input.name + "=" + sizesText(given) + ": " + why + "; " +
                 input.text());
  };
  if (input.hasRank && given.size() != input.dims.size())
    return wrong("has " + std::to_string(given.size()) + " dimensions, expected " +
                 std::to_string(input.dims.size()));
  if (given.size() > 8) return wrong("has more than 8 dimensions");
  for (size_t d = 0; d < given.size(); ++d) {
    if (given[d] < 0 || given[d] > kLargestSize) return wrong("size " + std::to_string(given[d]));
    if (input.hasRank && !input.dims[d].isFree() && input.dims[d].size != given[d])
      return wrong("the model fixes dimension " + std::to_string(d) + " to " +
                   std::to_string(input.dims[d].size));
  }
  return {};
}

/// Decides all free dimensions of all inputs.
class Sizes {
public:
  Sizes(const ImportOptions &options, Imported &result) : options(options), result(result) {}

  /// Sizes that --shape gives to named dimensions hold for every input that names them.
  Status learn(const Input &input) {
    auto given = options.shapes.find(input.name);
    if (given == options.shapes.end()) return {};
    PLANISH_TRY(checkGiven(input, given->second, "--shape"));
    for (size_t d = 0; d < input.dims.size(); ++d) {
      const std::string &param = input.dims[d].param;
      if (!input.dims[d].isFree() || param.empty()) continue;
      auto [known, isNew] = named.emplace(param, given->second[d]);
      if (!isNew && known->second != given->second[d])
        return usage("--shape gives the dimension '" + param + "' the sizes " +
                     std::to_string(known->second) + " and " + std::to_string(given->second[d]) + "; " +
                     input.text());
    }
    return {};
  }

  /// The input's shape; what is missing is remembered and told by finish().
  Result<Shape> shapeOf(const Input &input, int index) {
    auto fixed = options.shapes.find(input.name);
    if (fixed != options.shapes.end()) return Shape(fixed->second.begin(), fixed->second.end());
    auto bounds = options.maxShapes.find(input.name);
    if (bounds != options.maxShapes.end()) {
      PLANISH_TRY(checkGiven(input, bounds->second, "--max-shape"));
      return boundedShape(input, bounds->second, index);
    }
    Shape r;
    std::vector<int64_t> example;
    bool complete = input.hasRank;
    for (size_t d = 0; d < input.dims.size(); ++d) {
      auto size = sizeOf(input, d);
      complete &= size.has_value();
      example.push_back(size.value_or(kExampleSize));
      r.push_back(Dim(example.back()));
    }
    if (!complete) {
      if (!input.hasRank) example = {1, 3, kExampleSize, kExampleSize};
      missing.push_back({input.text(), "--shape " + input.name + "=" + sizesText(example)});
    }
    return r;
  }

  Status finish() const {
    if (missing.empty()) return {};
    auto text = [](const auto &m) { return m.first; };
    auto line = [](const auto &m) { return m.second; };
    return usage(joined(missing, text) +
                 ": give sizes (or bounds with --max-shape), for example: " + joined(missing, line, " "));
  }

private:
  std::optional<int64_t> sizeOf(const Input &input, size_t d) {
    const Declared &dim = input.dims[d];
    if (!dim.isFree()) return dim.size;
    if (auto known = named.find(dim.param); !dim.param.empty() && known != named.end()) return known->second;
    if (d != 0) return std::nullopt;
    result.notes.push_back("batch (dimension 0) of input " + shown(input.name) +
                           " taken as 1; --shape or --max-shape gives another");
    return 1;
  }

  Result<Shape> boundedShape(const Input &input, const std::vector<int64_t> &bounds, int index) {
    Shape r;
    for (size_t d = 0; d < bounds.size(); ++d) {
      bool isFree = !input.hasRank || input.dims[d].isFree();
      if (!isFree || bounds[d] <= 1) {
        r.push_back(Dim(bounds[d]));
        continue;
      }
      std::string param = input.hasRank ? input.dims[d].param : "";
      std::string key = param.empty() ? input.name + "_d" + std::to_string(d) : param;
      auto [known, isNew] = symbols.try_emplace(key);
      if (isNew) {
        std::string unique = identifier(key);
        while (!symbolNames.insert(unique).second) unique += "_";
        known->second = result.graph.addInputSymbol(unique, 1, bounds[d], index, int(d));
      } else if (known->second->upper != bounds[d]) {
        return usage("--max-shape bounds the dimension '" + key + "' by " +
                     std::to_string(known->second->upper) + " and by " + std::to_string(bounds[d]) + "; " +
                     input.text());
      }
      r.push_back(Dim(known->second));
    }
    return r;
  }

  const ImportOptions &options;
  Imported &result;
  std::map<std::string, int64_t> named;
  std::map<std::string, Var> symbols;
  std::set<std::string> symbolNames;
  std::vector<std::pair<std::string, std::string>> missing;
};

Status checkNames(const std::map<std::string, std::vector<int64_t>> &given, const std::vector<Input> &inputs,
                  std::string_view flag) {
  for (const auto &[name, sizes] : given)
    if (std::ranges::none_of(inputs, [&](const Input &i) { return i.name == name; }))
      return usage(std::string(flag) + " names " + shown(name) + ", but the inputs are " +
                   joined(inputs, [](const Input &i) { return shown(i.name); }));
  return {};
}

} // namespace

Result<graph::ValueId> converted(graph::Graph &g, graph::ValueId v, DType to, const std::string &node) {
  if (g.type(v).dtype == to) return v;
  PLANISH_ASSIGN(auto made, g.append(ops::kCast, ops::CastAttrs{to}, {v}, {{node}}));
  return made[0];
}

Result<std::map<std::string, graph::ValueId>>
addInputs(const ::onnx::GraphProto &g, const ImportOptions &options, FileContext &file, Imported &result) {
  std::set<std::string> constants;
  for (const auto &t : g.initializer()) constants.insert(t.name());
  for (const auto &t : g.sparse_initializer()) constants.insert(t.values().name());
  std::vector<Input> inputs;
  for (const auto &v : g.input()) {
    if (constants.contains(v.name())) continue;
    PLANISH_ASSIGN(Input input, declaredInput(v, file));
    inputs.push_back(std::move(input));
  }
  PLANISH_TRY(checkNames(options.shapes, inputs, "--shape"));
  PLANISH_TRY(checkNames(options.maxShapes, inputs, "--max-shape"));

  Sizes sizes(options, result);
  for (const Input &input : inputs) PLANISH_TRY(sizes.learn(input));
  std::map<std::string, graph::ValueId> values;
  for (size_t k = 0; k < inputs.size(); ++k) {
    PLANISH_ASSIGN(Shape shape, sizes.shapeOf(inputs[k], int(k)));
    double elements = 1;
    for (const Dim &d : shape) elements *= double(d.upper());
    if (elements > 0x1p40)
      return usage(inputs[k].text() + ": " + textOf(shape) + " has more than 2^40 elements");
    graph::ValueId input = result.graph.addInput({inputs[k].dtype, std::move(shape), {}, {}}, inputs[k].name);
    PLANISH_ASSIGN(values[inputs[k].name],
                   converted(result.graph, input, inputs[k].computes, inputs[k].name));
  }
  PLANISH_TRY(sizes.finish());
  return values;
}

} // namespace planish::onnx
