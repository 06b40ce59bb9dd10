// ONNX bytes -> Graph.
#pragma once

#include "planish/graph/Graph.h"

#include <map>
#include <string>
#include <vector>

namespace planish::onnx {

struct ImportOptions {
  std::map<std::string, std::vector<int64_t>> shapes;     // fixed sizes of an input, by name
  std::map<std::string, std::vector<int64_t>> maxShapes;  // upper bounds; free dimensions become symbols
};

struct Imported {
  graph::Graph graph;
  std::vector<std::string> notes;  // what the user should know: "batch of input 'x' taken as 1"
};

/// Reads the model. External data is read only from inside the model's folder. Errors: a file that is
/// no ONNX model, or breaks its rules (bad input); all operators without a rule, each with its nodes
/// (unsupported); a free dimension without a size, with the --shape line to paste (usage).
Result<Imported> importModel(const std::string &path, const ImportOptions &options);

} // namespace planish::onnx
