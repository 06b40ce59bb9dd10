// Which numbers of a tensor are looked at together.
#pragma once

#include "planish/quant/Deviation.h"

#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

namespace planish::tune {

/// Channels (dimension 1) of a tensor as far as each has several numbers, else all as one.
inline quant::Channels channelsOf(const std::vector<int64_t> &shape) {
  if (shape.size() < 3)
    return {1, std::accumulate(shape.begin(), shape.end(), int64_t(1), std::multiplies())};
  return {shape[1], std::accumulate(shape.begin() + 2, shape.end(), int64_t(1), std::multiplies())};
}

} // namespace planish::tune
