// What the host function reads of memory that a device writes.
#pragma once

#include "planish/loop/Program.h"

namespace planish::lower {

/// Puts a launch before every statement of the host function that reads values in memory: an empty kernel
/// that the host runs, whose only parameter is the element. Device runtimes bring the parameters of such
/// kernels to the host.
void insertHostReads(loop::Program &p);

} // namespace planish::lower
