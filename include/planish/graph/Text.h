// Graph IR as text that parses back.
//
//   graph @main(%x: f32[1,3,H,W]) symbols(H: 1..640 = input 0 dim 2, H2: 1..320 = (H - 1) div 2 + 1) {
//     %w = constant f32[16,3,3,3] #0123456789abcdef
//     %y: f32[1,16,H2,W2] = conv(%x, %w, _) {strides=[2,2], ...} "node_1"
//     return %y
//   }
#pragma once

#include "planish/graph/OpDef.h"

#include <map>
#include <string>
#include <string_view>

namespace planish::graph {

/// Constants of more than 32 elements, by the hash that stands in the text.
using Blobs = std::map<std::string, Bytes>;

/// Deterministic; larger constants go to `blobs` where given.
std::string print(const Graph &g, Blobs *blobs = nullptr);
/// parse(print(g)) == g for every graph that verifies.
Result<Graph> parse(std::string_view text, std::span<const OpDef *const> ops, const Blobs &blobs = {});

} // namespace planish::graph
