// Every template keeps the meaning: random shapes, random targets, random knobs.
#include "Forms.h"

#include <gtest/gtest.h>

#include <map>

namespace planish::schedule::test {
namespace {

// One case again: PLANISH_SEED=<seed> PLANISH_CASES=1 unit_schedule --gtest_filter=Forms.AgreeOnRandomCases
TEST(Forms, AgreeOnRandomCases) {
  uint64_t first = fromEnvironment("PLANISH_SEED", 1), count = fromEnvironment("PLANISH_CASES", 400);
  std::map<std::string, int> taken;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    Random random(seed);
    Case c = randomCase(random);
    Target t = randomTarget(random);
    Config config = random.chance(30) ? Config{} : randomConfig(c.compute, t, random);
    ++taken[std::string(templateFor(Kernel(c.compute), t).name)];
    std::string wrong = compareForms(c, t, config, seed);
    EXPECT_EQ(wrong, "") << c.text << "\n  vectorBytes=" << t.vectorBytes << " dot4=" << t.dot4
                         << " cores=" << t.cores << " " << textOf(config)
                         << "\n  again: PLANISH_SEED=" << seed
                         << " PLANISH_CASES=1 unit_schedule --gtest_filter=Forms.AgreeOnRandomCases";
  }
  for (const auto &[name, n] : taken) RecordProperty(name, n);
  if (count < 100) return;
  for (const Template &row : templates())
    EXPECT_GT(taken[std::string(row.name)], 0) << row.name << " took no case";
}

} // namespace
} // namespace planish::schedule::test
