// Vector statements as loops over their lanes, for languages without vectors.
#pragma once

#include "planish/loop/IR.h"

#include <functional>

namespace planish::codegen {

/// Replaces vector statements by loops over their lanes. A store or let that `keep` accepts stays as it
/// is (absent: none does); a kept let's variable occurs in kept statements only.
loop::Stmt scalarize(const loop::Stmt &s, const std::function<bool(const loop::Stmt &)> &keep = {});

} // namespace planish::codegen
