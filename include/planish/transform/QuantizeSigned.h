// The pass `quantize` for targets that multiply signed codes.
#pragma once

#include "planish/graph/Graph.h"
#include "planish/support/Result.h"

namespace planish::transform {

/// As quantize (planish/transform/Passes.h), but convolutions read u8 codes less 128, as i8. All sums, and so
/// all codes, are the same.
Result<graph::Graph> quantizeSigned(const graph::Graph &g);

} // namespace planish::transform
