// What the engine takes of a board and how many cycles it needs, before any synthesis.
#pragma once

#include "Rows.h"

#include <string_view>

namespace planish::codegen::fpga {

/// Blocks of a device that the engine takes.
struct Resources {
  int64_t dsps = 0, memories = 0, largeMemories = 0;
};
Resources resourcesOf(const Folding &f, const Board &b);

/// What the stages of the engine need for one row or layer, in cycles; the slowest one is what counts.
struct Cycles {
  double load = 0, compute = 0, weights = 0, requantize = 0, store = 0, memory = 0; // memory: all bytes, at
                                                                                    // the share of its peak
  double fill = 0; // before the first result and between rows
  double bytes = 0; // to and from memory
  double total = 0;
  std::string_view bound() const;
};
/// A layer's rows one after the other; the weights of a row come while the one before is computed.
Cycles cyclesOf(std::span<const Row> rows, const Folding &f, const Board &b);

/// The folding of least cycles for all layers that fits into the budget of the board. Layers that it cannot
/// run count nothing; it is the same for the same layers and board.
Folding chooseFolding(std::span<const Layer> layers, const Board &b);

/// What part of a board the engine may take; the rest is for addresses, control and the paths to memory.
inline constexpr double kBudget = 0.8;
/// What part of its peak bandwidth memory gives.
inline constexpr double kMemoryShare = 0.7;
/// What part of such ideals published engines reach: 27 to 64 % (docs/fpga.md), so this in the middle.
inline constexpr double kDerating = 0.45;

} // namespace planish::codegen::fpga
