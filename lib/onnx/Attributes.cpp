#include "Model.h"
#include "Text.h"

namespace planish::onnx {

namespace {

using ::onnx::AttributeProto;

/// Files of the first format version leave the type to the field that is set.
AttributeProto::AttributeType typeOf(const AttributeProto &a) {
  if (a.type() != AttributeProto::UNDEFINED) return a.type();
  if (a.has_i()) return AttributeProto::INT;
  if (a.has_f()) return AttributeProto::FLOAT;
  if (a.has_s()) return AttributeProto::STRING;
  if (a.has_t()) return AttributeProto::TENSOR;
  if (a.has_g()) return AttributeProto::GRAPH;
  if (a.floats_size()) return AttributeProto::FLOATS;
  if (a.strings_size()) return AttributeProto::STRINGS;
  return AttributeProto::INTS;
}

Result<graph::AttributeValue> valueOf(const AttributeProto &a, const std::string &what, FileContext &file) {
  switch (typeOf(a)) {
  case AttributeProto::INT: return graph::AttributeValue(a.i());
  case AttributeProto::FLOAT: return graph::AttributeValue(a.f());
  case AttributeProto::STRING: return graph::AttributeValue(a.s());
  case AttributeProto::INTS:
    return graph::AttributeValue(std::vector<int64_t>(a.ints().begin(), a.ints().end()));
  case AttributeProto::FLOATS:
    return graph::AttributeValue(std::vector<float>(a.floats().begin(), a.floats().end()));
  case AttributeProto::STRINGS:
    return graph::AttributeValue(std::vector<std::string>(a.strings().begin(), a.strings().end()));
  case AttributeProto::TENSOR: {
    PLANISH_ASSIGN(graph::ConstantTensor tensor, constantOf(a.t(), what, file));
    return graph::AttributeValue(std::move(tensor));
  }
  default: return unsupported(what + " is a list of graphs, a sparse tensor or a type");
  }
}

} // namespace

Status readAttributes(const ::onnx::NodeProto &node, FileContext &file, graph::OnnxNode &into) {
  for (const AttributeProto &a : node.attribute()) {
    if (typeOf(a) == AttributeProto::GRAPH) continue;
    std::string what = "attribute " + shown(a.name());
    if (!a.ref_attr_name().empty()) return badInput(what + " refers to an attribute of a function");
    PLANISH_ASSIGN(graph::AttributeValue value, valueOf(a, what, file));
    if (!into.attributes.emplace(a.name(), std::move(value)).second)
      return badInput(what + " is given twice");
  }
  return {};
}

} // namespace planish::onnx
