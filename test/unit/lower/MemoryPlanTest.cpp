#include "MemoryPlan.h"

#include <gtest/gtest.h>

#include <random>

using namespace planish::lower;

namespace {

bool meet(const Lifetime &a, const Lifetime &b) { return a.first <= b.last && b.first <= a.last; }

TEST(MemoryPlan, ReusesMemoryOfValuesThatNeverMeet) {
  MemoryPlan p = planMemory({{1000, 0, 1}, {1000, 2, 3}, {500, 1, 2}});
  EXPECT_EQ(p.offsets[0], p.offsets[1]);
  EXPECT_EQ(p.offsets[2], 1024);
  EXPECT_EQ(p.bytes, 1024 + 512);
}

TEST(MemoryPlan, SkipsWhatIsNeverNeeded) {
  MemoryPlan p = planMemory({{1000, 0, -1}, {64, 0, 0}});
  EXPECT_EQ(p.offsets[0], -1);
  EXPECT_EQ(p.bytes, 64);
}

TEST(MemoryPlan, NeverOverlapsAndStaysNearTheLowerBound) {
  const unsigned seed = 7;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  int optimal = 0;
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> all;
    for (unsigned n = 1 + random() % 40; n-- > 0;) {
      int64_t first = int64_t(random() % 50);
      all.push_back({int64_t(1 + random() % 5000), first, first + int64_t(random() % 6)});
    }
    MemoryPlan p = planMemory(all);
    int64_t peak = 0;
    for (int64_t t = 0; t < 60; ++t) {
      int64_t alive = 0;
      for (const Lifetime &l : all)
        if (l.first <= t && t <= l.last) alive += (l.bytes + 63) / 64 * 64;
      peak = std::max(peak, alive);
    }
    EXPECT_EQ(leastMemory(all), peak);
    EXPECT_GE(p.bytes, peak);
    EXPECT_LE(double(p.bytes), 1.25 * double(peak));
    optimal += p.bytes == peak;
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(p.offsets[i] % 64, 0);
      for (size_t j = 0; j < i; ++j)
        EXPECT_TRUE(!meet(all[i], all[j]) || p.offsets[i] + all[i].bytes <= p.offsets[j] ||
                    p.offsets[j] + all[j].bytes <= p.offsets[i]);
    }
  }
  EXPECT_GE(optimal, 150);
}

} // namespace
