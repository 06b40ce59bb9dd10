// A queue of bounded depth between two stages that run as threads. Where no queue moves for longer than the
// watchdog allows, the program ends and says who waits at which queue: stages that wait for each other would
// hang on a board, too.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>

#ifndef WATCHDOG_SECONDS
#define WATCHDOG_SECONDS 20
#endif

namespace emulation {

/// Elements that have moved through all queues.
inline std::atomic<uint64_t> moved{0};

template <class T> class Fifo {
public:
  Fifo(const char *name, std::size_t depth) : name(name), depth(depth) {}
  void write(const T &value) {
    std::unique_lock<std::mutex> lock(mutex);
    wait(lock, "write", [&] { return queue.size() < depth; });
    queue.push_back(value);
    done();
  }
  T read() {
    std::unique_lock<std::mutex> lock(mutex);
    wait(lock, "read", [&] { return !queue.empty(); });
    T value = queue.front();
    queue.pop_front();
    done();
    return value;
  }
  std::size_t left() const { return queue.size(); }

private:
  const char *name;
  std::size_t depth;
  std::deque<T> queue;
  std::mutex mutex;
  std::condition_variable changed;
  bool waited = false; // by the one at the other end

  void done() {
    moved.fetch_add(1, std::memory_order_relaxed);
    if (waited) changed.notify_one();
    waited = false;
  }
  template <class Ready> void wait(std::unique_lock<std::mutex> &lock, const char *what, Ready ready) {
    uint64_t seen = moved.load();
    for (int still = 0; !ready();) {
      waited = true;
      if (changed.wait_for(lock, std::chrono::seconds(1)) == std::cv_status::no_timeout) continue;
      const uint64_t now = moved.load();
      still = now == seen ? still + 1 : 0;
      seen = now;
      if (still < WATCHDOG_SECONDS) continue;
      std::fprintf(stderr, "deadlock: %s %s\n", what, name);
      std::_Exit(3);
    }
  }
};

} // namespace emulation
