// Scalars of constants and closed expressions as immediates.
#pragma once

#include "planish/graph/Graph.h"

namespace planish::graph {

/// Element `position` of a constant.
loop::Expr immediateOf(const Value &constant, int64_t position);
bool isImmediate(const loop::Expr &e);
/// An expression without variables and loads as an immediate: what the builders do not fold, the
/// interpreter computes. Any other expression as it is.
loop::Expr folded(const loop::Expr &e);

} // namespace planish::graph
