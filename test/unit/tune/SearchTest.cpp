// Contests and searches on made-up costs with noise: what is chosen is faster, and never slower than the
// default.
#include "KernelSearch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace planish::tune {
namespace {

/// Times around a mean, as a busy machine gives them: a little spread, and now and then an interruption.
class Noise {
public:
  explicit Noise(uint64_t seed) : random(seed) {}
  double operator()(double seconds) {
    double r = seconds * (1 + 0.02 * std::abs(normal(random)));
    return random() % 10 == 0 ? r * 1.5 : r;
  }

private:
  std::mt19937_64 random;
  std::normal_distribution<double> normal;
};

Sampler sampler(Noise &noise, double seconds) {
  return [&noise, seconds] { return noise(seconds); };
}

TEST(Contest, IntervalsOfMedians) {
  // Hand-checked against tables of the sign test: for 9 values the 2nd and 8th, for 21 the 6th and 16th.
  std::vector<double> nine{9, 1, 8, 2, 7, 3, 6, 4, 5};
  Interval i = intervalOf(nine);
  EXPECT_EQ(i.median, 5);
  EXPECT_EQ(i.low, 2);
  EXPECT_EQ(i.high, 8);
  std::vector<double> more;
  for (int n = 21; n >= 1; --n) more.push_back(n);
  EXPECT_EQ(intervalOf(more).low, 6);
  EXPECT_EQ(intervalOf(more).high, 16);
  EXPECT_EQ(intervalOf({1, 2, 3, 4, 5}).low, 0);
  EXPECT_TRUE(std::isinf(intervalOf({1, 2, 3, 4, 5}).high));
  EXPECT_TRUE(std::isinf(intervalOf({}).high));
}

TEST(Contest, TheFasterWins) {
  int wins = 0, losses = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    Noise noise(seed);
    wins += contest(sampler(noise, 1e-4), sampler(noise, 0.9e-4), 1).faster;
    losses += contest(sampler(noise, 0.9e-4), sampler(noise, 1e-4), 1).faster;
  }
  EXPECT_GE(wins, 95);
  EXPECT_EQ(losses, 0);
}

TEST(Contest, EqualsAreRarelyConfirmed) {
  int confirmed = 0;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    Noise noise(seed);
    confirmed += confirmation(sampler(noise, 1e-4), sampler(noise, 1e-4)).faster;
  }
  EXPECT_LE(confirmed, 25); // 2.5 % are expected, and 25 of 400 would be a chance of one in ten thousand
}

TEST(Contest, HopelessOnesEndSoon) {
  int samples = 0;
  Sampler slow = [&] { return ++samples, 2e-4; };
  EXPECT_FALSE(contest([] { return 1e-4; }, slow, 1).faster);
  EXPECT_LE(samples, 3);
}

std::vector<Knob> grid() { return {{"a", {1, 2, 4, 8}}, {"b", {1, 2, 3, 4, 5, 6}}, {"c", {0, 1}}}; }
const Config kStart{{"a", 4}, {"b", 7}, {"c", 0}, {"left", 9}};

TEST(Search, TriesEveryChoiceOnce) {
  Search search(grid(), kStart);
  std::set<Config> seen{kStart};
  while (auto c = search.next()) {
    EXPECT_TRUE(seen.insert(*c).second);
    EXPECT_EQ(c->at("left"), 9);
  }
  EXPECT_EQ(seen.size(), 4u * 7 * 2);  // the start's own b = 7 is a choice
}

TEST(Search, NeighboursComeFirst) {
  Search search(grid(), kStart);
  const Config first = *search.next();
  int changed = 0;
  for (const auto &[name, value] : first) changed += kStart.at(name) != value;
  EXPECT_EQ(changed, 1);
  search.moveTo({{"a", 1}, {"b", 2}, {"c", 1}, {"left", 9}});
  Config next = *search.next();
  EXPECT_TRUE(next.at("a") <= 2 && next.at("b") <= 3);
}

TEST(Search, TheModelsFavouritesComeFirst) {
  Search search(grid(), kStart,
                [](const Config &c) { return c.at("a") == 1 && c.at("b") == 1 ? 1.0 : 10.0; });
  for (int i = 0; i < 2; ++i) {
    Config c = *search.next();
    EXPECT_EQ(c.at("a"), 1);
    EXPECT_EQ(c.at("b"), 1);
  }
}

/// A kernel whose time is a function of its knobs.
class Made : public Subject {
public:
  Made(std::function<double(const Config &)> seconds, uint64_t seed)
      : seconds(std::move(seconds)), noise(seed) {}
  std::vector<Candidate> prepare(const std::vector<Config> &configs) override {
    std::vector<Candidate> r;
    for (const Config &c : configs) {
      Candidate made{c.at("c") == 1 && c.at("b") == 6, c.at("a") == 8 ? "the result differs" : "", {}};
      made.sample = sampler(noise, seconds(c));
      r.push_back(made);
    }
    return r;
  }
  Sampler baseline() override { return sampler(noise, seconds(kStart)); }

private:
  std::function<double(const Config &)> seconds;
  Noise noise;
};

double bowl(const Config &c) {
  return 1e-4 *
         (1 + 0.05 * std::abs(double(c.at("b") - 2)) + 0.1 * double(c.at("c")) + 0.02 * double(c.at("a")));
}

TEST(KernelSearch, FindsTheBestAndNeverAWrongOne) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    // a = 8 would be the fastest by far, but its result is wrong.
    Made kernel([](const Config &c) { return c.at("a") == 8 ? 1e-5 : bowl(c); }, seed);
    KernelSearch search(Search(grid(), kStart), kStart);
    while (!search.exhausted()) search.tryMore(kernel, 4, [] { return true; });
    EXPECT_TRUE(search.improved());
    EXPECT_NE(search.best().at("a"), 8) << "seed " << seed;
    EXPECT_LT(bowl(search.best()), bowl(kStart) * 0.9) << "seed " << seed;
    EXPECT_LT(search.outcome().ratio.high, 1);
    const Candidates &n = search.candidates();
    EXPECT_EQ(n.timed() + n.wrong + n.duplicates, 4 * 7 * 2 - 1);
    EXPECT_EQ(n.wrong, 13);
    EXPECT_EQ(n.duplicates, 4);
    EXPECT_EQ(search.complaint().find("a=8"), 0u) << search.complaint();
  }
}

TEST(KernelSearch, NothingBeatsAnOptimum) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Made kernel([](const Config &c) { return c == kStart ? 1e-4 : 1.02e-4; }, seed);
    KernelSearch search(Search(grid(), kStart), kStart);
    while (!search.exhausted()) search.tryMore(kernel, 8, [] { return true; });
    EXPECT_FALSE(search.improved()) << "seed " << seed;
    EXPECT_EQ(search.best(), kStart);
  }
}

TEST(KernelSearch, WhatWasFoundBeforeComesFirst) {
  Made kernel(bowl, 1);
  Config known{{"a", 1}, {"b", 2}, {"c", 0}, {"left", 9}};
  KernelSearch search(Search(grid(), kStart), kStart, {known});
  int tried = 0;
  search.tryMore(kernel, 4, [&] { return ++tried < 1; });
  EXPECT_EQ(tried, 1);
  EXPECT_EQ(search.best(), known);
}

} // namespace
} // namespace planish::tune
