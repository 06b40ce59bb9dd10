// The rules every graph obeys; checked after import, parsing and every pass in debug builds.
#pragma once

#include "planish/graph/OpDef.h"

namespace planish::graph {

/// SSA and topological order, operand counts, stored types equal to inferred ones (layout aside), layouts are
/// permutations, constants have as many bytes as their type says, names are unique.
Status verify(const Graph &g);

} // namespace planish::graph
