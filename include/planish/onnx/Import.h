// ONNX bytes -> Graph.
#pragma once

#include "planish/graph/Graph.h"

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace planish::onnx {

/// What a file may ask for at most.
struct Limits {
  int64_t nodes = int64_t(1) << 20;          // with functions, loops and bodies written out
  int64_t tensorBytes = int64_t(1) << 34;    // of one constant
  int64_t constantBytes = int64_t(1) << 36;  // of all constants
};
/// A limit as users name it.
struct LimitRow {
  std::string_view name, summary;
  int64_t Limits::*value;
};
std::span<const LimitRow> limitRows();

struct ImportOptions {
  std::map<std::string, std::vector<int64_t>> shapes;     // fixed sizes of an input, by name
  std::map<std::string, std::vector<int64_t>> maxShapes;  // upper bounds; free dimensions become symbols
  Limits limits = {};
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
