// Shrinking a graph that shows a problem.
#pragma once

#include "planish/graph/Graph.h"

#include <functional>

namespace planish::transform {

using graph::Graph;

/// A smaller graph of which `isInteresting` still holds, as it does of `g`: outputs are dropped, results of
/// nodes become inputs or one of the node's operands, inputs that nothing reads go; until no single such step
/// is possible. Every graph that is asked about is well formed.
Graph reduce(Graph g, const std::function<bool(const Graph &)> &isInteresting);

} // namespace planish::transform
