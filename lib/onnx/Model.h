// The parts of importing: the file, the order of its nodes, its inputs, its nodes.
#pragma once

#include "Tensors.h"
#include "planish/onnx/Import.h"

#include <functional>
#include <map>
#include <unordered_map>

namespace planish::onnx {

/// Parses the file within limits of size, nesting and count, and checks that it is a model.
Result<::onnx::ModelProto> readModel(const std::string &path);

/// "node 'conv1' (Conv)"; a node without a name is known by its type and first output.
std::string nameOf(const ::onnx::NodeProto &node);
std::string shownNode(const ::onnx::NodeProto &node);

/// The version of each domain ("" for ai.onnx too).
using Opsets = std::map<std::string, int>;
using OpsetImports = google::protobuf::RepeatedPtrField<::onnx::OperatorSetIdProto>;
Result<Opsets> opsetsOf(const OpsetImports &imports);

/// The nodes that the outputs need, each after what it reads. Errors: a value that two things make, a
/// name that nothing makes, a cycle.
/// A body may read what the graph around it makes.
Result<std::vector<const ::onnx::NodeProto *>> orderedNodes(const ::onnx::GraphProto &graph, bool isBody);

/// The names that a body, or a body inside it, reads and does not make, each once.
std::vector<std::string> freeNames(const ::onnx::GraphProto &body);

/// Adds the graph's inputs (initializers excepted) with the sizes the options give.
Result<std::map<std::string, graph::ValueId>>
addInputs(const ::onnx::GraphProto &graph, const ImportOptions &options, FileContext &file, Imported &result);

/// A value as another element type.
Result<graph::ValueId> converted(graph::Graph &g, graph::ValueId v, DType to, const std::string &node);

/// Attributes of a node, typed; graphs are left to the caller.
Status readAttributes(const ::onnx::NodeProto &node, FileContext &file, graph::OnnxNode &into);

/// The domain as rules name it: ai.onnx is "".
std::string domainOf(const ::onnx::NodeProto &node);

} // namespace planish::onnx
