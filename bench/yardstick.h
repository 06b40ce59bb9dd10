// What a kernel is held against, measured in turns with it: a virtual machine's clock changes by a fifth
// within a second, so a peak of a minute ago says nothing of now.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace planish::bench {

/// Monotonic time in seconds.
double now();

enum class Unit : uint8_t { Fma512, Fma256, Dot512 };

/// Instruction streams at their best.
struct Peaks {
  double fma512, fma256, dot512; // giga operations per second, the best of a short time
};
Peaks peaks();

/// What a call does.
struct Work {
  Unit unit = Unit::Fma512;
  double operations = 0;
  int64_t bytes = 0; // read and written at least once; 0: not held against memory
};

struct Figure {
  double seconds = 0; // the median of one call
  double ofPeak = 0; // operations per second as a part of the unit's peak
  double ofBound = 0; // the same of what bounds it: the peak, or a triad over as many bytes
};

/// Rounds of: yardstick, calls, yardstick. Parts are medians over rounds.
Figure measure(const Work &work, const std::function<void()> &call, double seconds = 0.25);

} // namespace planish::bench
