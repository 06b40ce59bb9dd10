// The rules every loop function obeys; checked after each pass and after parsing.
#pragma once

#include "planish/loop/IR.h"
#include "planish/support/Result.h"

namespace planish::loop {

/// Every variable is bound where used, every buffer a parameter or allocated around its use; types,
/// lanes and ranks agree; register and scratch buffers
/// have constant shapes and are no parameters; vectorized and unrolled loops have
/// constant trip counts; at most one parallel loop encloses a statement; constants are not written.
Status verify(const Function &f);

} // namespace planish::loop
