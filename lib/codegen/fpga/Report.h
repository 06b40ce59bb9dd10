// The design report: what the engine takes of its board and where the time will go, before any synthesis.
#pragma once

#include "Model.h"

#include <string>
#include <vector>

namespace planish::codegen::fpga {

struct OnHost {
  std::string nodes, reason;
};
/// A layer of the engine and its rows.
struct Placed {
  const Layer *layer;
  std::vector<Row> rows;
};

std::string reportText(const std::string &model, const Board &b, const Folding &f,
                       std::span<const Placed> layers, std::span<const OnHost> host);
/// The same as JSON.
std::string reportJson(const std::string &model, const Board &b, const Folding &f,
                       std::span<const Placed> layers, std::span<const OnHost> host);
/// The table for reading: every row's columns by name, every layer's nodes.
std::string tableText(std::span<const Placed> layers, std::span<const Row> rows);
/// One line: ideal and derated latency.
std::string reportNote(const Board &b, const Folding &f, std::span<const Placed> layers);
/// "conv1 + relu1".
std::string nodesOf(const std::vector<std::string> &nodes);

} // namespace planish::codegen::fpga
