// Packings at work: constants brought into the order a kernel reads them, at compile time.
#pragma once

#include "planish/loop/IR.h"

namespace planish::schedule {

/// Bytes of the packed constant (the packing's second parameter).
int64_t packedBytes(const loop::Function &packing);

/// Runs a packing function (original constant) -> (packed constant) of Kernel::Lowered: the same as
/// interpreting it on a zero-filled target, at the speed of a strided copy. `to` has packedBytes().
void runPacking(const loop::Function &packing, const void *from, void *to);

} // namespace planish::schedule
