// Random vectorized functions over buffers with odd strides: every scalar type, operator and intrinsic
// that back ends take, gathers, masks and symbolic sizes.
#pragma once

#include "planish/loop/IR.h"

#include <random>
#include <vector>

namespace planish::codegen::test {

struct Case {
  loop::FunctionRef function;    // vectorized and legalized
  std::vector<int64_t> scalars;  // values of its parameters
};

Case randomCase(uint64_t seed);

} // namespace planish::codegen::test
