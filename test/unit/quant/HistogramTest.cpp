// Histograms that grow, and calibrators on distributions whose best range is known.
#include "planish/quant/Histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

using namespace planish;
using quant::Calibrator;
using quant::Histogram;
using quant::Range;

namespace {

std::vector<float> normal(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> r(count);
  for (float &x : r) x = distribution(random);
  return r;
}

Histogram of(const std::vector<float> &numbers) {
  Histogram h;
  h.add(numbers);
  return h;
}

double meanSquaredError(const std::vector<float> &numbers, Range range) {
  quant::Coding coding = quant::codingOf(range);
  double r = 0;
  for (float x : numbers) r += std::pow(coding.nearest(double(x)) - double(x), 2);
  return r / double(numbers.size());
}

TEST(Histogram, CountsEverythingInAnyOrder) {
  std::vector<float> numbers = normal(5000, 1);
  numbers.push_back(700.0F);
  Histogram whole = of(numbers), pieces;
  std::ranges::reverse(numbers);
  for (size_t i = 0; i < numbers.size(); i += 7)
    pieces.add(std::span(numbers).subspan(i, std::min<size_t>(7, numbers.size() - i)));
  EXPECT_EQ(whole, pieces);
  EXPECT_EQ(std::accumulate(whole.bins().begin(), whole.bins().end(), uint64_t(0)), numbers.size());
  EXPECT_LE(whole.bins().size(), Histogram::kMostBins);
  EXPECT_EQ(whole.most(), 700);
}

TEST(Histogram, TakesAnyNumbers) {
  Histogram h = of({1e30F, 1e30F});
  EXPECT_EQ(h.least(), double(1e30F));
  h.add(std::vector<float>{-1e-30F, NAN, INFINITY, 3e38F});
  EXPECT_EQ(h.notFinite(), 2U);
  EXPECT_EQ(std::accumulate(h.bins().begin(), h.bins().end(), uint64_t(0)), 4U);
  EXPECT_EQ(of({NAN}).notFinite(), 1U);
  EXPECT_TRUE(of({NAN}).empty());
  Histogram zeros = of({0, 0, 0});
  EXPECT_EQ(zeros.bins().size(), 1U);
  EXPECT_EQ(zeros.middle(0), 0);
}

TEST(Coding, HoldsZeroAndBothEnds) {
  quant::Coding c = quant::codingOf({0, 255});
  EXPECT_EQ(c, (quant::Coding{1, 0}));
  EXPECT_EQ(quant::codingOf({-128, 127}), (quant::Coding{1, 128}));
  EXPECT_EQ(quant::codingOf({3, 510}).zero, 0); // numbers above zero: the range begins there
  EXPECT_EQ(quant::codingOf({0, 0}), quant::Coding());
  c = quant::codingOf({-1, 3});
  EXPECT_EQ(c.nearest(0), 0);
  EXPECT_NEAR(c.nearest(-9), -1, c.scale);
  EXPECT_NEAR(c.nearest(9), 3, c.scale);
}

TEST(Calibrate, MinMaxIsWhatWasSeen) {
  EXPECT_EQ(quant::calibrated(of({-1, 2, 5}), Calibrator::MinMax), (Range{-1, 5}));
  EXPECT_EQ(quant::calibrated(of({2, 5}), Calibrator::MinMax), (Range{0, 5}));
}

TEST(Calibrate, PercentileLeavesTheOutermostOut) {
  std::vector<float> numbers(100000);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = float(i) / float(numbers.size());
  numbers.push_back(50);
  numbers.push_back(-50);
  Range r = quant::calibrated(of(numbers), Calibrator::Percentile);
  EXPECT_NEAR(r.most, 1, 0.1);
  EXPECT_NEAR(r.least, 0, 0.1);
}

TEST(Calibrate, UniformNumbersKeepTheirRange) {
  std::vector<float> numbers(100000);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = -1 + 3 * float(i) / float(numbers.size());
  for (Calibrator c : {Calibrator::MinMax, Calibrator::Percentile, Calibrator::Entropy, Calibrator::Mse}) {
    Range r = quant::calibrated(of(numbers), c);
    EXPECT_NEAR(r.least, -1, 0.1) << int(c);
    EXPECT_NEAR(r.most, 2, 0.1) << int(c);
  }
}

TEST(Calibrate, OutliersAreClippedWhereThatPays) {
  std::vector<float> numbers = normal(200000, 2);
  for (int i = 0; i < 4; ++i) numbers.push_back(60);
  Range whole = quant::calibrated(of(numbers), Calibrator::MinMax);
  for (Calibrator c : {Calibrator::Entropy, Calibrator::Percentile}) {
    Range r = quant::calibrated(of(numbers), c);
    EXPECT_LT(r.most, 12) << int(c);
    EXPECT_GT(r.most, 2.5) << int(c);
  }
  Range best = quant::calibrated(of(numbers), Calibrator::Mse);
  EXPECT_LT(meanSquaredError(numbers, best), meanSquaredError(numbers, whole));
  for (double most : {5.0, 10.0, 20.0, 40.0})
    EXPECT_LE(meanSquaredError(numbers, best), 1.1 * meanSquaredError(numbers, {-5, most})) << most;
}

TEST(Calibrate, EntropyIsNotMisledByChance) {
  // Few numbers fill many bins unevenly; that alone must not make a narrow range look better.
  for (size_t count : {2000U, 20000U, 200000U}) {
    std::vector<float> numbers = normal(count, 4);
    Range r = quant::calibrated(of(numbers), Calibrator::Entropy);
    EXPECT_LT(r.least, -2.5) << count;
    EXPECT_GT(r.most, 2.5) << count;
  }
}

TEST(Calibrate, EntropyLooksBesideZero) {
  // What a ReLU makes zero has an exact code, however many numbers that are.
  std::vector<float> numbers = normal(100000, 5);
  for (float &x : numbers) x = std::abs(x);
  Range without = quant::calibrated(of(numbers), Calibrator::Entropy);
  numbers.resize(1000000, 0.0F);
  Range with = quant::calibrated(of(numbers), Calibrator::Entropy);
  EXPECT_NEAR(with.most, without.most, 0.05);
  EXPECT_GT(with.most, 2.5);
}

TEST(Calibrate, OnlyWhatAFunctionLeavesCounts) {
  std::vector<float> numbers = normal(100000, 3);
  for (float &x : numbers) x *= 10;
  quant::Response relu = [](double x) { return std::max(x, 0.0); };
  Range plain = quant::calibrated(of(numbers), Calibrator::Mse);
  Range r = quant::calibrated(of(numbers), Calibrator::Mse, relu);
  EXPECT_LT(plain.least, -15);
  EXPECT_GT(r.least, -2);
  EXPECT_GT(r.most, 15);
}

TEST(Calibrate, NamesAreThoseOfTheTable) {
  for (const quant::CalibratorRow &row : quant::calibrators())
    EXPECT_EQ(*quant::calibratorNamed(std::string(row.name)), row.calibrator);
  auto none = quant::calibratorNamed("kl");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().text, "there is no calibrator 'kl'; it is one of minmax, percentile, entropy, mse");
}

} // namespace
