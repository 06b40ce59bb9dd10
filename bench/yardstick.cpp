#include "yardstick.h"

#include <algorithm>
#include <chrono>
#include <memory>

namespace planish::bench {
namespace {

// 24 independent chains, so that latency does not bound it.
#define CHAIN(op, r, d) op " %%" r "30, %%" r "31, %%" r #d "\n"
#define SIX(op, r, a, b, c, d, e, f)                                                                         \
  CHAIN(op, r, a) CHAIN(op, r, b) CHAIN(op, r, c) CHAIN(op, r, d) CHAIN(op, r, e) CHAIN(op, r, f)
#define CHAINS(op, r)                                                                                        \
  SIX(op, r, 0, 1, 2, 3, 4, 5)                                                                               \
  SIX(op, r, 6, 7, 8, 9, 10, 11)                                                                             \
  SIX(op, r, 12, 13, 14, 15, 16, 17)                                                                         \
  SIX(op, r, 18, 19, 20, 21, 22, 23)
constexpr double kChains = 24;
void zeroed() { asm volatile("vzeroall" ::: "memory"); }
void run(Unit unit, long n) {
  zeroed();
  for (long i = 0; i < n; ++i) switch (unit) {
    case Unit::Fma512: asm volatile(CHAINS("vfmadd231ps", "zmm")::: "memory"); break;
    case Unit::Fma256: asm volatile(CHAINS("vfmadd231ps", "ymm")::: "memory"); break;
    case Unit::Dot512: asm volatile(CHAINS("vpdpbusd", "zmm")::: "memory"); break;
    }
}
double operationsOf(Unit unit) {
  switch (unit) {
  case Unit::Fma512: return kChains * 16 * 2;
  case Unit::Fma256: return kChains * 8 * 2;
  case Unit::Dot512: return kChains * 64 * 2;
  }
  return 0;
}

/// Operations per second of one short burst.
double burst(Unit unit) {
  constexpr long rounds = 3000;
  double t = now();
  run(unit, rounds);
  return double(rounds) * operationsOf(unit) / (now() - t);
}

/// c = a + s * b over three arrays of `count` vectors each; written out because a compiler's choice of width
/// differs.
void triad(float *to, const float *a, const float *b, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    asm volatile("vmovups (%1), %%zmm0\n vfmadd231ps (%2), %%zmm31, %%zmm0\n vmovups %%zmm0, (%0)\n" ::"r"(
                     to + 16 * i),
                 "r"(a + 16 * i), "r"(b + 16 * i)
                 : "memory");
}

double median(std::vector<double> v) {
  std::ranges::nth_element(v, v.begin() + long(v.size() / 2));
  return v[v.size() / 2];
}

} // namespace

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Peaks peaks() {
  Peaks p{};
  for (double stop = now() + 0.3; now() < stop;) {
    p.fma512 = std::max(p.fma512, burst(Unit::Fma512) * 1e-9);
    p.fma256 = std::max(p.fma256, burst(Unit::Fma256) * 1e-9);
    p.dot512 = std::max(p.dot512, burst(Unit::Dot512) * 1e-9);
  }
  return p;
}

Figure measure(const Work &work, const std::function<void()> &call, double seconds) {
  constexpr int64_t lineFloats = 16;
  int64_t vectors = work.bytes / 3 / (4 * lineFloats);
  std::vector<float> memory(size_t(vectors * lineFloats * 3 + lineFloats), 1.0F);
  float *base = reinterpret_cast<float *>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
  auto triadSeconds = [&] {
    float *a = base, *b = a + vectors * lineFloats, *c = b + vectors * lineFloats;
    triad(c, a, b, vectors);
    int64_t repeats = std::max<int64_t>(1'000'000 / std::max<int64_t>(work.bytes, 1), 1);
    double t = now();
    for (int64_t i = 0; i < repeats; ++i) triad(c, a, b, vectors);
    return (now() - t) / double(repeats);
  };
  call();
  double t = now();
  call();
  int n = int(3e-4 / (now() - t)) + 1;
  std::vector<double> times, ofPeak, ofBound;
  double stop = now() + seconds;
  do {
    double moved = vectors ? triadSeconds() : 0, before = burst(work.unit);
    if (vectors) call(); // the triad took the caches
    t = now();
    for (int i = 0; i < n; ++i) call();
    double took = (now() - t) / n, peak = (before + burst(work.unit)) / 2;
    times.push_back(took);
    ofPeak.push_back(work.operations / took / peak);
    ofBound.push_back(std::max(work.operations / peak, moved) / took);
  } while (now() < stop || times.size() < 5);
  return {median(times), median(ofPeak), median(ofBound)};
}

} // namespace planish::bench
