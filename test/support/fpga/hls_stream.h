// What emitted engines use of hls::stream, for emulation. With EMULATED_THREADS every stage is a thread and
// streams hold FIFO_DEPTH elements; else stages run one after the other and streams hold everything, as in
// the vendor's C simulation.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <deque>

#ifdef EMULATED_THREADS
#include "fifo.h"
#endif

namespace hls {

template <class T, int Depth = 2> class stream {
public:
#ifdef EMULATED_THREADS
  explicit stream(const char *name) : name(name), queue(name, Depth) {}
  void write(const T &value) { queue.write(value); }
  T read() { return queue.read(); }
  ~stream() { check(queue.left()); }
#else
  explicit stream(const char *name) : name(name) {}
  void write(const T &value) { queue.push_back(value); }
  T read() {
    if (queue.empty()) {
      std::fprintf(stderr, "read of the empty stream %s\n", name);
      std::_Exit(3);
    }
    T value = queue.front();
    queue.pop_front();
    return value;
  }
  ~stream() { check(queue.size()); }
#endif

private:
  const char *name;
#ifdef EMULATED_THREADS
  emulation::Fifo<T> queue;
#else
  std::deque<T> queue;
#endif
  void check(std::size_t left) const {
    if (!left) return;
    std::fprintf(stderr, "%zu elements are left in stream %s\n", left, name);
    std::_Exit(3);
  }
};

} // namespace hls
