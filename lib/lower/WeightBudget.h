// Which kernels read larger weights to save time.
#pragma once

#include "Storage.h"

#include "planish/lower/Lower.h"

#include <map>
#include <string>

namespace planish::lower {

/// The tile of Winograd's transform (0: none) for every computation, by schedule::keyOf, that would like one
/// and has no tuned knobs. A tile is given where it saves more time than fetching its extra bytes from memory
/// costs; all transformed weights together are no more than twice the model's weights, and go to those that
/// save most per byte.
std::map<std::string, int64_t> chosenTiles(const Storage &storage, const Target &target,
                                           const LowerOptions &options);

} // namespace planish::lower
