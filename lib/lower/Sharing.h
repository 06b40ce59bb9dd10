// Which kernels the cores share. A core reads what it has written itself from its own cache, but what another
// has just written comes line by line, slower than from memory. So to split a small kernel, or
// one whose halves need what the other core holds, can cost more than half of its work. The times that the
// templates expect are weighed against that for the whole program, because it depends on a kernel's
// neighbours.
#pragma once

#include "Kernels.h"

#include <set>

namespace planish::lower {

/// The elements of each parameter that either half of a kernel's tasks touches. `f` before loop passes.
CoreParts coreParts(const loop::Function &f);

/// About how long one core takes for loops that no template made: a nanosecond for each element stored, at
/// the bounds of all sizes, and ten milliseconds at most.
double storeNanoseconds(const loop::Function &f);

/// The kernels of `steps` that one core should run alone.
std::set<const loop::Function *> keptWhole(const std::vector<LoweredStep> &steps, const Target &target);

} // namespace planish::lower
