#include "Team.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <pthread.h>
#include <sched.h>
#include <system_error>
#include <thread>

namespace planish::peak {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void pinTo(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(core), &set);
  // Without it the figures are those of wherever the system puts the thread.
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/// Runs body(i) on core i of the list, all at once; begins none where the system refuses one.
Status onCores(std::span<const int> cores, const std::function<void(size_t)> &body) {
  std::barrier<> together(static_cast<std::ptrdiff_t>(cores.size()));
  std::atomic<bool> cancelled = false;
  std::vector<std::jthread> team;
  Status result;
  for (size_t i = 0; i < cores.size(); ++i) {
    try {
      team.emplace_back([&, i] {
        pinTo(cores[i]);
        together.arrive_and_wait();
        if (!cancelled) body(i);
      });
    } catch (const std::system_error &error) {
      cancelled = true;
      result = failed("the system refuses " + std::to_string(cores.size()) + " threads: " + error.what());
      for (; i < cores.size(); ++i) together.arrive_and_drop();
    }
  }
  team.clear(); // joins: `together` must outlive them
  return result;
}

void pause() { __builtin_ia32_pause(); }

} // namespace

std::vector<int> usableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(static_cast<size_t>(core), &set)) cores.push_back(core);
  return cores.empty() ? std::vector{0} : cores;
}

Result<double> rateOf(std::span<const int> cores, std::span<const Piece> pieces, double seconds) {
  std::vector<double> rates(cores.size(), 0);
  PLANISH_TRY(onCores(cores, [&](size_t i) {
    // Cores take a moment to reach the clock at which they do such work.
    const auto start = Clock::now();
    do pieces[i]();
    while (secondsSince(start) < seconds / 5);
    const auto begin = Clock::now();
    double amount = 0, time = 0;
    do {
      amount += pieces[i]();
      time = secondsSince(begin);
    } while (time < seconds * 4 / 5);
    rates[i] = amount / time;
  }));
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

Result<double> roundTrip(int first, int second, double seconds) {
  constexpr uint64_t kTripsPerClock = 256;
  constexpr uint64_t kEnd = UINT64_MAX;
  struct alignas(128) Word { // neighbouring lines are fetched in pairs
    std::atomic<uint64_t> value = 0;
  };
  Word there, back;
  double nanoseconds = 0;
  const int cores[] = {first, second};
  PLANISH_TRY(onCores(cores, [&](size_t side) {
    if (side == 1) {
      for (uint64_t seen = 0; seen != kEnd;) {
        uint64_t value = there.value.load(std::memory_order_acquire);
        if (value == seen) {
          pause();
          continue;
        }
        seen = value;
        back.value.store(value, std::memory_order_release);
      }
      return;
    }
    uint64_t trips = 0;
    const auto begin = Clock::now();
    do {
      for (uint64_t i = 0; i < kTripsPerClock; ++i) {
        there.value.store(++trips, std::memory_order_release);
        while (back.value.load(std::memory_order_acquire) != trips) pause();
      }
      nanoseconds = secondsSince(begin) * 1e9 / static_cast<double>(trips);
    } while (nanoseconds * static_cast<double>(trips) < seconds * 1e9);
    there.value.store(kEnd, std::memory_order_release);
  }));
  return nanoseconds;
}

} // namespace planish::peak
