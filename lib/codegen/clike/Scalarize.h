// Vector statements as loops over their lanes, for languages without vectors.
#pragma once

#include "planish/loop/IR.h"

#include <functional>

namespace planish::codegen {

/// Replaces vector statements by loops over their lanes. A statement that `keep` accepts stays as it is
/// (absent: none does).
loop::Stmt scalarize(const loop::Stmt &s, const std::function<bool(const loop::Store &)> &keep = {});

} // namespace planish::codegen
