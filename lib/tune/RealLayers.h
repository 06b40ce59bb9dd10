// Which few layers had better stay with real numbers, found without labels.
#pragma once

#include "planish/quant/Profile.h"
#include "planish/tune/Observe.h"

#include <string>
#include <vector>

namespace planish::tune {

/// Names of the nodes that should read real numbers: those of the values whose codes alone disturb a
/// network's last contractions far beyond their share of the work. A network may take differences of large
/// numbers, and what 8 bits leave of those is lost however good the codes look where they are made. Runs some
/// of the samples once for every value that becomes codes.
Result<std::vector<std::string>> realLayers(const graph::Graph &g, const quant::Profile &profile,
                                            Samples &samples);

} // namespace planish::tune
