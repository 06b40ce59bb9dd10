// One arena for all intermediate values: offsets such that memory whose lifetimes meet never overlaps.
#pragma once

#include <cstdint>
#include <vector>

namespace planish::lower {

/// Memory needed from the first launch that touches it to the last, both inclusive.
struct Lifetime {
  int64_t bytes = 0;
  int64_t first = 0, last = -1;  // last < first: never needed
};
struct MemoryPlan {
  std::vector<int64_t> offsets;  // by lifetime, multiples of 64; -1 where never needed
  int64_t bytes = 0;             // of the whole arena
};

/// The bytes alive at the busiest launch: no plan needs fewer.
int64_t leastMemory(const std::vector<Lifetime> &lifetimes);

/// Places the largest first, each in the smallest gap that fits among those alive at the same time (greedy by
/// size: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020). While that
/// takes more than `leastMemory`, what ended up on top is placed earlier and everything again; the best of a
/// fixed number of attempts counts.
MemoryPlan planMemory(const std::vector<Lifetime> &lifetimes);

} // namespace planish::lower
