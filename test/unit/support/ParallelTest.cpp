#include "planish/support/Parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace planish {
namespace {

TEST(Parallel, EveryPieceRunsOnce) {
  for (size_t count : {size_t(0), size_t(1), size_t(1000)}) {
    std::vector<std::atomic<int>> runs(count);
    inParallel(count, [&](size_t i) { ++runs[i]; });
    for (const auto &n : runs) EXPECT_EQ(n, 1);
  }
}

TEST(Parallel, TheFirstExceptionIsThrownWhenAllIsDone) {
  std::atomic<int> done = 0;
  try {
    inParallel(100, [&](size_t i) {
      ++done;
      if (i >= 50) throw std::runtime_error(std::to_string(i));
    });
    FAIL();
  } catch (const std::runtime_error &e) { EXPECT_STREQ(e.what(), "50"); }
  EXPECT_EQ(done, 100);
}

} // namespace
} // namespace planish
