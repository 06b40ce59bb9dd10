// The reference semantics: walks the tree, checks every index against its buffer. Defines what loop
// IR means on small shapes; slow (tens of nanoseconds per operation).
#pragma once

#include "planish/loop/IR.h"
#include "planish/support/Result.h"

#include <span>

namespace planish::loop {

/// Runs all tasks of `f`. `params[i]` is the base address of parameter i (owned by the caller, as
/// large as its shape and strides say); `scalars` binds f.scalars in order. An index out of bounds,
/// a store to a constant or a division by zero is an error that names the access.
Status interpret(const Function &f, std::span<void *const> params, std::span<const int64_t> scalars = {});

} // namespace planish::loop
