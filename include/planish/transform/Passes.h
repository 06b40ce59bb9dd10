// Graph passes: plain functions from a Graph to a Graph that computes the same.
#pragma once

#include "planish/graph/Graph.h"

#include <span>
#include <string_view>

namespace planish::transform {

using graph::Graph;

/// Evaluates nodes whose operands are all constants (results up to 16 MiB and cheap enough).
Result<Graph> foldConstants(const Graph &g);
/// Removes what changes nothing (movement to the same shape, casts to the same type), merges chains
/// of reshapes and of transposes, drops dead nodes.
Result<Graph> canonicalize(const Graph &g);
/// Merges a per-output-channel scale or shift that follows a contraction with constant weights into
/// the weights and bias.
Result<Graph> foldScales(const Graph &g);
/// Chooses how every value lies in memory.
Result<Graph> layout(const Graph &g);
/// Grows groups around one anchor by class: elementwise successors become the anchor's epilogue.
Result<Graph> fuse(const Graph &g);

struct PassRow {
  std::string_view name, summary;
  Result<Graph> (*run)(const Graph &);
};
/// The passes by name, in pipeline order.
std::span<const PassRow> passes();

} // namespace planish::transform
