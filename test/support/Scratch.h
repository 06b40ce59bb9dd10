// The scratch memory that a kernel of machine code is called with.
#pragma once

#include "planish/loop/Passes.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace planish::test {

/// As large as one call of the function asks for, aligned to 64.
class ScratchMemory {
public:
  explicit ScratchMemory(const loop::Function &f) : bytes(size_t(loop::planScratch(f).bytes) + 64) {}
  void *data() {
    auto p = reinterpret_cast<uintptr_t>(bytes.data());
    return reinterpret_cast<void *>((p + 63) / 64 * 64);
  }

private:
  std::vector<std::byte> bytes;
};

} // namespace planish::test
