// Measures this machine: what planish-peak does.
#pragma once

#include "run/Machine.h"

#include <functional>
#include <string>

namespace planish::peak {

/// Measures for about `seconds`, on all cores that this process may use. Each figure is the median of several
/// rounds; `progress` hears of every group of figures. Fails where the system refuses memory or
/// threads.
Result<run::Machine> measure(double seconds, const std::function<void(int group, int groups)> &progress);

} // namespace planish::peak
