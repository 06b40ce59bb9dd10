// The threads of a block as fibers of one thread of the CPU.
#pragma once

#include "cuda_on_cpu.h"

#include <functional>

/// What kernels call; filled for the fiber that runs.
cuda_on_cpu_hooks &emulated();

/// Runs a kernel: `body` once per thread of every block, one block after the other. Ends the process where
/// threads wait for each other in vain.
void runBlocks(unsigned blocks, unsigned threads, const std::function<void()> &body);
