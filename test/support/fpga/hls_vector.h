// What emitted engines use of hls::vector, for emulation.
#pragma once

#include <cstddef>

namespace hls {

template <class T, std::size_t N> struct vector {
  T element[N];
  T &operator[](std::size_t i) { return element[i]; }
  const T &operator[](std::size_t i) const { return element[i]; }
};

} // namespace hls
