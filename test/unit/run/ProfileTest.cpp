// Machine files, and profiles held against them: lookups, arithmetic, and what each form says.
#include "run/Profile.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace planish::run {
namespace {

using testing::HasSubstr;

Machine machineOf() {
  Machine machine;
  machine.cpu = "a cpu";
  machine.cores = 4;
  machine.compute = {
      {"avx2", "f32", 1, 100}, {"avx2", "f32", 2, 200}, {"avx2", "f32", 4, 300}, {"avx2", "u8s8", 1, 400}};
  machine.levels = {{"L1", 1000, 1, {{1, 500, 100}, {4, 2000, 400}}},
                    {"L2", 8000, 2, {{1, 80, 50}, {4, 160, 100}}},
                    {"memory", 0, 4, {{1, 12, 10}, {4, 24, 20}}}};
  machine.roundTrips = {{0, 1, 110, 100, 500}};
  return machine;
}

TEST(MachineTest, capacityGrowsWithTheCachesThatThreadsReach) {
  const Machine machine = machineOf();
  EXPECT_EQ(machine.levels[0].capacity(3), 3000);
  EXPECT_EQ(machine.levels[1].capacity(1), 8000);
  EXPECT_EQ(machine.levels[1].capacity(2), 8000);
  EXPECT_EQ(machine.levels[1].capacity(3), 16000);
  EXPECT_EQ(machine.levelOf(1000, 1).name, "L1");
  EXPECT_EQ(machine.levelOf(1001, 1).name, "L2");
  EXPECT_EQ(machine.levelOf(1001, 2).name, "L1");
  EXPECT_EQ(machine.levelOf(1e15, 4).name, "memory");
}

TEST(MachineTest, figuresAreOfTheLargestNumberOfThreadsMeasured) {
  const Machine machine = machineOf();
  EXPECT_EQ(machine.computePeak("avx2", "f32", 1), 100);
  EXPECT_EQ(machine.computePeak("avx2", "f32", 3), 200);
  EXPECT_EQ(machine.computePeak("avx2", "f32", 64), 300);
  EXPECT_EQ(machine.computePeak("avx2", "u8s8", 2), 400);
  EXPECT_FALSE(machine.computePeak("avx512", "f32", 1));
  EXPECT_EQ(machine.levels[0].bandwidthOf(3).triad, 100);
  EXPECT_EQ(machine.levels[0].bandwidthOf(4).triad, 400);
}

TEST(MachineTest, readsBackWhatItWrites) {
  const std::string text = jsonOf(machineOf()).dump();
  const Result<Machine> read = parseMachine(text, "m.json");
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(jsonOf(*read).dump(), text);
}

TEST(MachineTest, complaintsNameFileAndField) {
  const auto complaint = [](const std::function<void(nlohmann::ordered_json &)> &change) {
    nlohmann::ordered_json document = jsonOf(machineOf());
    change(document);
    const Result<Machine> read = parseMachine(document.dump(), "m.json");
    EXPECT_FALSE(read);
    EXPECT_EQ(read.error().kind, ErrorKind::BadInput);
    EXPECT_THAT(read.error().text, HasSubstr("'m.json'"));
    return read.error().text;
  };
  EXPECT_THAT(complaint([](auto &d) { d = 7; }), HasSubstr("expected an object"));
  EXPECT_THAT(complaint([](auto &d) { d["version"] = 2; }), HasSubstr("$.version"));
  EXPECT_THAT(complaint([](auto &d) { d.erase("cpu"); }), HasSubstr("\"cpu\" is missing; docs/profiling.md"));
  EXPECT_THAT(complaint([](auto &d) { d["compute"] = nlohmann::json::array(); }), HasSubstr("$.compute"));
  EXPECT_THAT(complaint([](auto &d) { d.erase("compute"); }), HasSubstr("\"compute\" is missing"));
  EXPECT_THAT(complaint([](auto &d) { d["compute"][1]["giga_per_s"] = 0; }),
              HasSubstr("$.compute[1].giga_per_s"));
  EXPECT_THAT(complaint([](auto &d) { d["levels"][0]["bandwidth"][0]["triad_gbytes_per_s"] = "fast"; }),
              HasSubstr("$.levels[0].bandwidth[0].triad_gbytes_per_s"));
  EXPECT_THAT(complaint([](auto &d) { d["levels"][1].erase("bandwidth"); }), HasSubstr("$.levels[1]"));
  EXPECT_THAT(complaint([](auto &d) { d["levels"].erase(2); }), HasSubstr("last level"));
  EXPECT_THAT(complaint([](auto &d) { d["levels"][0]["bytes"] = 0; }), HasSubstr("last level"));
  EXPECT_THAT(complaint([](auto &d) { d["levels"][0]["shared"] = 1; }),
              HasSubstr("unknown field \"shared\""));
  EXPECT_THAT(parseMachine("{", "m.json").error().text, HasSubstr("'m.json'"));
}

// Two launches: 2 us of arithmetic at the peak, and 1 us of memory, which a run launches twice.
struct ProfileTest : testing::Test {
  planish_launch_info infos[2] = {
      {"net_k0_conv", "contraction.cpu pixels=7 vectors=2", "conv, relu", 200e3, 500},
      {"net_k1_copy", "pointwise.cpu", "split", 1, 5000 * 10}};
  planish_model model{};
  Profile profile;

  ProfileTest() {
    model.name = "net";
    model.target = "cpu:x86-64-v3";
    model.build_id = "id";
    model.architecture = PLANISH_ARCH_X86_64;
    model.features = uint64_t{1} << PLANISH_X86_AVX2 | uint64_t{1} << PLANISH_X86_FMA;
    model.launches = infos;
    model.n_launches = 2;
    profile.model = &model;
    profile.runs = 9;
    profile.median = 50;
    profile.between = 6;
    profile.launches = {{0, 1, 4, 3, {}}, {1, 2, 40, 39, {}}};
    profile.lastRun = {{0, 1000, 5000}, {1, 6000, 26000}, {1, 27000, 47000}};
  }
};

TEST_F(ProfileTest, aLaunchIsBoundByTheLongerOfArithmeticAndMemory) {
  ASSERT_TRUE(compareWithPeak(profile, machineOf(), "m.json"));
  EXPECT_EQ(profile.launches[0].roofline->bound, "avx2");
  EXPECT_DOUBLE_EQ(profile.launches[0].roofline->microseconds, 2);
  EXPECT_DOUBLE_EQ(profile.launches[0].percentOfPeak(), 50);
  EXPECT_EQ(profile.launches[1].roofline->bound, "memory");
  EXPECT_DOUBLE_EQ(profile.launches[1].roofline->microseconds, 10);
  EXPECT_DOUBLE_EQ(profile.launches[1].percentOfPeak(), 25);
  EXPECT_DOUBLE_EQ(profile.launched(), 44);
  EXPECT_DOUBLE_EQ(profile.atPeak(), 12);
  EXPECT_EQ(profile.byBound(), (std::map<std::string, double>{{"avx2", 4}, {"memory", 40}}));
}

TEST_F(ProfileTest, theInstructionSetIsTheModels) {
  EXPECT_EQ(isaOf(model), "avx2");
  model.features |= uint64_t{1} << PLANISH_X86_AVX512F;
  EXPECT_EQ(isaOf(model), "avx512");
  const Status status = compareWithPeak(profile, machineOf(), "m.json");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::BadInput);
  EXPECT_THAT(status.error().text,
              HasSubstr("'m.json' has no f32 peak for 'avx512', which model 'net' uses"));
  model.features = 0;
  EXPECT_EQ(isaOf(model), "sse4.2");
}

TEST_F(ProfileTest, theTableHasTheSlowestFirstAndTheSum) {
  EXPECT_EQ(tableOf(profile),
            "  us  share  GFLOP/s  GB/s  kernel       schedule                            nodes\n"
            "40.0  80.0%      0.0   2.5  net_k1_copy  pointwise.cpu                       split\n"
            " 4.0   8.0%     50.0   0.1  net_k0_conv  contraction.cpu pixels=7 vectors=2  conv +1\n"
            "50.0 us, 6.0 us of them between launches; median of 9 runs, threads 1\n");
  ASSERT_TRUE(compareWithPeak(profile, machineOf(), "m.json"));
  EXPECT_THAT(tableOf(profile), HasSubstr("40.0  80.0%      0.0   2.5    25.0%  memory  net_k1_copy"));
  EXPECT_THAT(tableOf(profile),
              HasSubstr("bound by avx2 8.0%, memory 80.0%; at the machine's peak 12.0 us, which is 24.0%\n"));
}

TEST_F(ProfileTest, jsonHasKnobsNodesAndPeaks) {
  EXPECT_FALSE(jsonOf(profile).contains("machine"));
  EXPECT_FALSE(jsonOf(profile)["launches"][0].contains("bound"));
  ASSERT_TRUE(compareWithPeak(profile, machineOf(), "m.json"));
  const auto json = jsonOf(profile);
  const auto &conv = json["launches"][0];
  EXPECT_EQ(conv["template"], "contraction.cpu");
  EXPECT_EQ(conv["knobs"], (nlohmann::json{{"pixels", 7}, {"vectors", 2}}));
  EXPECT_EQ(conv["nodes"], (nlohmann::json{"conv", "relu"}));
  EXPECT_EQ(conv["percent_of_peak"], 50);
  EXPECT_EQ(json["launches"][1]["knobs"], nlohmann::json::object());
  EXPECT_EQ(json["bounds"]["memory"]["percent_of_time"], 80);
  EXPECT_EQ(json["machine"], "m.json");
  EXPECT_EQ(json["percent_of_peak"], 24);
}

TEST_F(ProfileTest, theTraceHasEveryLaunchOfARun) {
  ASSERT_TRUE(compareWithPeak(profile, machineOf(), "m.json"));
  const auto events = traceOf(profile)["traceEvents"];
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0]["name"], "conv, relu");
  EXPECT_EQ(events[2]["ts"], 27);
  EXPECT_EQ(events[2]["dur"], 20);
  EXPECT_EQ(events[0]["args"]["bound"], "avx2");
  EXPECT_EQ(events[0]["args"]["knobs"]["pixels"], 7);
}

TEST_F(ProfileTest, aLaunchThatNeverRanIsNoDivisionByZero) {
  profile.launches[1] = {1, 0, 0, 0, {}};
  ASSERT_TRUE(compareWithPeak(profile, machineOf(), "m.json"));
  EXPECT_EQ(jsonOf(profile)["launches"][1]["percent_of_peak"], 0);
  EXPECT_EQ(jsonOf(profile)["launches"][1]["gbytes_per_s"], 0);
}

} // namespace
} // namespace planish::run
