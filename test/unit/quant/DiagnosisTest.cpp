// The causes that are named for made distributions of values and weights.
#include "planish/quant/Diagnosis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace planish::quant;

namespace {

constexpr size_t kChannels = 8, kPerChannel = 4000;

/// Channels of normally distributed numbers of a width each.
std::vector<float> normal(const std::vector<double> &widths, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<double> number;
  std::vector<float> r;
  for (double w : widths)
    for (size_t i = 0; i < kPerChannel; ++i) r.push_back(float(w * number(random)));
  return r;
}
std::vector<double> alike(double width) { return std::vector<double>(kChannels, width); }

/// A layer that computes `values` without error before it makes codes of them.
Evidence evidenceOf(const std::vector<float> &values, Coding coding, std::optional<double> decoded = {}) {
  Channels channels{int64_t(values.size() / kPerChannel), int64_t(kPerChannel)};
  Evidence e{.coding = coding,
             .decoded = decoded.value_or(coding.scale),
             .own = Deviation(channels),
             .coded = Deviation(channels),
             .accumulated = Deviation(channels),
             .codes = CodeUse(coding)};
  e.values.add(values);
  std::vector<float> got = e.codes.add(values, e.decoded);
  e.own.add(values, got);
  e.coded.add(values, got);
  return e;
}

/// The same with weights whose rounding adds noise to each channel's result.
void addWeights(Evidence &e, const std::vector<float> &values, const std::vector<double> &largest,
                double step) {
  WeightEvidence w;
  w.known = true;
  std::mt19937 random(5);
  std::normal_distribution<double> number;
  std::vector<float> got = e.codes.add(values, e.decoded);
  for (size_t c = 0; c < largest.size(); ++c) {
    double power = largest[c] * largest[c] / 9, noise = std::min(power, step * step / 12);
    w.channels.push_back({.step = step, .largest = largest[c], .power = power, .noise = noise});
    double relative = std::sqrt(noise / power);
    for (size_t i = c * kPerChannel; i < (c + 1) * kPerChannel; ++i)
      got[i] += float(relative * std::sqrt(e.coded.signal(c)) * number(random));
  }
  e.own = e.coded;
  e.own = Deviation({int64_t(largest.size()), int64_t(kPerChannel)});
  e.own.add(values, got);
  e.weights = w;
}

TEST(Deviation, measures) {
  Deviation d({2, 2});
  d.add(std::vector<float>{1, 1, 100, 100}, std::vector<float>{1.1f, 0.9f, 100, 100});
  EXPECT_EQ(d.count(), 4);
  EXPECT_NEAR(d.noise(), 0.005, 1e-6);
  EXPECT_NEAR(d.noise(0), 0.01, 1e-6);
  EXPECT_EQ(d.noise(1), 0);
  EXPECT_NEAR(d.sqnr(), 10 * std::log10(5000.5 / 0.005), 1e-3);
  EXPECT_NEAR(d.relativeNoise(), 0.005, 1e-6); // the mean of 1 % and nothing
  EXPECT_NEAR(d.cosine(), 1, 1e-5);
}

TEST(Deviation, emptyEqualAndNotFinite) {
  Deviation d;
  EXPECT_EQ(d.relativeNoise(), 0);
  d.add(std::vector<float>{0, 0}, std::vector<float>{0, 0});
  EXPECT_EQ(d.cosine(), 1);
  EXPECT_EQ(d.sqnr(), Deviation::kMostDecibels);
  d.add(std::vector<float>{1}, std::vector<float>{NAN});
  EXPECT_EQ(d.sqnr(), -Deviation::kMostDecibels);
  EXPECT_EQ(d.relativeNoise(), 1);
}

TEST(CodeUse, countsCodesAndWhatLiesBeyond) {
  CodeUse use({0.5, 10});
  std::vector<float> got = use.add(std::vector<float>{-6, -5, 0, 0.2f, 122.5f, 125, 125}, 0.5);
  EXPECT_EQ(got, (std::vector<float>{-5, -5, 0, 0, 122.5f, 122.5f, 122.5f}));
  EXPECT_EQ(use.used(), 3);
  EXPECT_NEAR(use.below(), 1 / 7.0, 1e-9);
  EXPECT_NEAR(use.above(), 2 / 7.0, 1e-9);
}

TEST(Histogram, clippingNoise) {
  std::vector<float> values = normal(alike(1));
  Histogram h;
  h.add(values);
  Range range{-1, 1.5};
  double wanted = 0, beyond = 0;
  for (float v : values) {
    double d = double(v) - std::clamp(double(v), range.least, range.most);
    wanted += d * d / double(values.size()), beyond += d != 0;
  }
  EXPECT_NEAR(clippingNoise(h, range), wanted, 0.02 * wanted);
  EXPECT_NEAR(outside(h, range), beyond / double(values.size()), 0.01);
}

TEST(Diagnosis, aGoodLayerHasNone) {
  Diagnosis d = diagnose(evidenceOf(normal(alike(1)), codingOf({-4.6, 4.6})));
  EXPECT_EQ(d.cause, Cause::None) << d.detail;
  EXPECT_LT(d.noise, 1e-3);
}

TEST(Diagnosis, clippedRange) {
  Diagnosis d = diagnose(evidenceOf(normal(alike(1)), codingOf({-0.5, 0.5})));
  EXPECT_EQ(d.cause, Cause::ClippedRange);
  EXPECT_EQ(d.cure, Cure::Rescale);
  EXPECT_NEAR(d.coding.scale, 9.0 / 255, 2.0 / 255);
  EXPECT_LT(d.remaining, 0.01 * d.noise);
}

TEST(Diagnosis, coarseScale) {
  Diagnosis d = diagnose(evidenceOf(normal(alike(1)), codingOf({-200, 200})));
  EXPECT_EQ(d.cause, Cause::CoarseScale);
  EXPECT_EQ(d.cure, Cure::Rescale);
}

TEST(Diagnosis, codesReadWithAnotherScale) {
  Diagnosis d = diagnose(evidenceOf(normal(alike(1)), codingOf({-5, 5}), 3 * codingOf({-5, 5}).scale));
  EXPECT_EQ(d.cause, Cause::WrongScale);
  EXPECT_EQ(d.cure, Cure::Rescale);
}

TEST(Diagnosis, activationTail) {
  std::vector<float> values = normal(alike(1));
  values[7] = 300;
  values[9007] = -150;
  Diagnosis d = diagnose(evidenceOf(values, codingOf({-150, 300})));
  EXPECT_EQ(d.cause, Cause::ActivationTail);
  EXPECT_EQ(d.cure, Cure::ClipTail);
  EXPECT_LT(d.coding.scale, 15.0 / 255);
}

TEST(Diagnosis, sharedScale) {
  std::vector<float> values = normal({200, 200, 200, 200, 0.3, 0.3, 0.3, 0.3});
  Evidence e = evidenceOf(values, codingOf({-900, 900}));
  e.parts = {{"boxes", 0, 4, {}}, {"scores", 4, 8, {}}};
  std::span<const float> all = values;
  e.parts[0].values.add(all.subspan(0, 4 * kPerChannel));
  e.parts[1].values.add(all.subspan(4 * kPerChannel));
  EXPECT_GT(e.own.sqnr(), 30); // over all elements it looks well
  Diagnosis d = diagnose(e);
  EXPECT_EQ(d.cause, Cause::SharedScale);
  EXPECT_NE(d.detail.find("'scores'"), std::string::npos) << d.detail;
  EXPECT_GT(d.noise, 0.4);
  EXPECT_LT(d.remaining, 0.01);
}

TEST(Diagnosis, oneWideChannelOfWeights) {
  std::vector<float> values = normal({40, 1, 1, 1, 1, 1, 1, 1});
  Evidence e = evidenceOf(values, codingOf({-170, 170}));
  // What the codes of the values cost has another cause; here only the weights count.
  e.coded = e.own = Deviation({kChannels, kPerChannel});
  e.coded.add(values, values);
  addWeights(e, values, {10, 0.1, 0.12, 0.1, 0.09, 0.1, 0.11, 0.1}, 10.0 / 127);
  Diagnosis d = diagnose(e);
  EXPECT_EQ(d.cause, Cause::WideChannel) << d.detail;
  EXPECT_EQ(d.cure, Cure::RequantizeWeights);
}

TEST(Diagnosis, spreadOfWeights) {
  std::vector<float> values = normal(alike(1));
  Evidence e = evidenceOf(values, codingOf({-4.6, 4.6}));
  addWeights(e, values, {1, 0.7, 0.5, 0.3, 0.1, 0.05, 0.02, 0.01}, 1.0 / 127);
  EXPECT_EQ(diagnose(e).cause, Cause::WeightSpread);
}

TEST(Diagnosis, weightsThatAreAMultiple) {
  std::vector<float> values = normal(alike(1)), got = values;
  for (float &v : got) v *= 0.5f;
  Evidence e = evidenceOf(values, codingOf({-4.6, 4.6}));
  e.own = Deviation({kChannels, kPerChannel});
  e.own.add(values, got);
  e.weights = WeightEvidence{.perChannel = true, .gain = 0.5, .known = true};
  for (size_t c = 0; c < kChannels; ++c) e.weights->channels.push_back({0.01, 1, 0.1, 0.025, 0.5});
  Diagnosis d = diagnose(e);
  EXPECT_EQ(d.cause, Cause::WrongScale);
  EXPECT_EQ(d.cure, Cure::RequantizeWeights);
}

TEST(Diagnosis, bias) {
  std::vector<float> values = normal(alike(1)), got = values;
  for (size_t i = 0; i < kPerChannel; ++i) got[i] -= 2;
  Evidence e = evidenceOf(values, codingOf({-4.6, 4.6}));
  e.own = Deviation({kChannels, kPerChannel});
  e.own.add(values, got);
  e.bias = BiasEvidence{.atLimit = 1, .error = std::vector<double>(kChannels, 0)};
  e.bias->error[0] = -2;
  Diagnosis d = diagnose(e);
  EXPECT_EQ(d.cause, Cause::Bias);
  EXPECT_EQ(d.cure, Cure::FloatBias);
}

TEST(Diagnosis, everyCauseHasARow) {
  for (int c = 0; c <= int(Cause::Bias); ++c) EXPECT_EQ(rowOf(Cause(c)).cause, Cause(c));
  EXPECT_EQ(causes().size(), size_t(Cause::Bias) + 1);
}

} // namespace
