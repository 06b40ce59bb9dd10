// Packings at work: constants brought into the order a kernel reads them, at compile time.
#pragma once

#include "planish/schedule/Kernel.h"

namespace planish::schedule {

/// Bytes of the packed constant (the second parameter of the packing's function).
int64_t packedBytes(const Kernel::Packing &packing);

/// Runs a packing: `prepare`, then the same as interpreting `function` on a zero-filled target, at the speed
/// of a strided copy. `to` has packedBytes().
void runPacking(const Kernel::Packing &packing, const void *from, void *to);

} // namespace planish::schedule
