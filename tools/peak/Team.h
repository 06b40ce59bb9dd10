// Threads that work at the same time, each on a core of its own.
#pragma once

#include "planish/support/Result.h"

#include <functional>
#include <span>
#include <vector>

namespace planish::peak {

/// The system's numbers of the cores that this process may use; never empty.
std::vector<int> usableCores();

/// Does a piece of work of some microseconds and returns its amount.
using Piece = std::function<double()>;

/// What the cores do together per second: core i repeats pieces[i], all at the same time, for `seconds`.
/// Fails where the system refuses a thread.
Result<double> rateOf(std::span<const int> cores, std::span<const Piece> pieces, double seconds);

/// Nanoseconds that a word takes from one core to another and back.
Result<double> roundTrip(int first, int second, double seconds);

} // namespace planish::peak
