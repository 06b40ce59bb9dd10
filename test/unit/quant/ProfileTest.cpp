// Profiles: what is gathered, and that a file gives it back or says what is wrong.
#include "planish/quant/Profile.h"
#include "planish/graph/Text.h"
#include "planish/ops/Ops.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace planish;
using quant::Profile;

namespace {

Profile gathered() {
  quant::Profiler profiler({"a", "b"});
  const int64_t shape[] = {1, 2, 2};
  profiler.add(0, shape, std::vector<float>{1, 2, -3, 5});
  profiler.add(0, shape, std::vector<float>{7, 2, -3, 0.1F});
  const int64_t flat[] = {3};
  profiler.add(1, flat, std::vector<float>{0, 0, 0});
  auto p = profiler.finish("0123", 2, quant::Calibrator::Entropy);
  EXPECT_TRUE(p) << p.error().text;
  return *p;
}

std::string complaint(const std::string &text) {
  auto p = quant::parseProfile(text, "p.json");
  EXPECT_FALSE(p);
  if (p) return "";
  EXPECT_EQ(p.error().kind, ErrorKind::BadInput);
  return p.error().text;
}

TEST(Profile, KnowsChannels) {
  Profile p = gathered();
  const quant::ValueProfile &a = p.values.at("a");
  ASSERT_EQ(a.channels.size(), 2U);
  EXPECT_EQ(a.channels[0].least, 1);
  EXPECT_EQ(a.channels[0].most, 7);
  EXPECT_EQ(a.channels[0].mean, 3);
  EXPECT_NEAR(a.channels[1].mean, -0.225, 1e-6);
  EXPECT_EQ(a.histogram.least(), -3);
  EXPECT_TRUE(p.values.at("b").channels.empty());
}

TEST(Profile, ReadsWhatItWrites) {
  Profile p = gathered();
  p.real = {"Conv_1", "a node"};
  auto read = quant::parseProfile(quant::print(p), "p.json");
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(*read, p);
  EXPECT_EQ(quant::print(*read), quant::print(p));
}

TEST(Profile, ARangeIsEnough) {
  auto p = quant::parseProfile(R"({"planish_profile": 1, "graph": "x", "samples": 1, "calibrator": "minmax",
                                   "values": {"v": {"least": -1, "most": 2}}})",
                               "p.json");
  ASSERT_TRUE(p) << p.error().text;
  EXPECT_EQ(quant::calibrated(p->values.at("v").histogram, p->calibrator), (quant::Range{-1, 2}));
}

TEST(Profile, SaysWhatIsWrong) {
  EXPECT_NE(complaint("{").find("'p.json' is no calibration profile: "), std::string::npos);
  EXPECT_EQ(complaint("{}"), "'p.json' is no calibration profile of this version; calibrate again");
  auto head = [](const std::string &rest) {
    return R"({"planish_profile": 1, "graph": "x", "samples": 1, )" + rest + "}";
  };
  EXPECT_EQ(complaint(head(R"("calibrator": "kl", "values": {})")),
            "'p.json': calibrator is 'kl'; calibrate again");
  EXPECT_EQ(complaint(head(R"("calibrator": "mse")")),
            "'p.json': values is missing or no object; calibrate again");
  EXPECT_EQ(complaint(head(R"("calibrator": "mse", "real": [1], "values": {})")),
            "'p.json': real has something else than texts; calibrate again");
  EXPECT_EQ(complaint(head(R"("calibrator": "mse", "values": {"v": {"least": 1, "most": 0}})")),
            "'p.json': values.v.least is above most; calibrate again");
  EXPECT_EQ(complaint(head(R"("calibrator": "mse", "values": {"v": {"least": -1e40, "most": 0}})")),
            "'p.json': values.v.least is below all floats; calibrate again");
  EXPECT_EQ(complaint(head(R"("calibrator": "mse", "values": {"v": {"least": 0, "most": 1,
                             "bins": {"exponent": 0, "first": 0, "counts": []}}})")),
            "'p.json': values.v.bins do not make a histogram; calibrate again");
  EXPECT_EQ(complaint(head(R"("calibrator": "mse", "values": {"v": {"least": 0, "most": 1,
                             "channels": {"least": [1], "most": [1, 2], "mean": [1]}}})")),
            "'p.json': values.v.channels has lists of different lengths; calibrate again");
}

TEST(Profile, RefusesWhatIsNotFinite) {
  quant::Profiler profiler({"v"});
  const int64_t shape[] = {2};
  profiler.add(0, shape, std::vector<float>{1, NAN});
  auto p = profiler.finish("g", 1, quant::Calibrator::Mse);
  ASSERT_FALSE(p);
  EXPECT_NE(p.error().text.find("value 'v' is not finite in 1 places"), std::string::npos);
}

TEST(Profile, GraphsAreKnownByWhatTheyCompute) {
  auto identity = [](std::string_view text) { return quant::identityOf(*graph::parse(text, ops::allOps())); };
  std::string_view relu = "graph @main(%x: f32[2]) {\n%y: f32[2] = relu(%x)\nreturn %y\n}";
  EXPECT_EQ(identity(relu), identity(relu));
  EXPECT_NE(identity(relu), identity("graph @main(%x: f32[3]) {\n%y: f32[3] = relu(%x)\nreturn %y\n}"));
}

} // namespace
