#include "planish/target/Target.h"

#include <gtest/gtest.h>

#include <string_view>

namespace planish {
namespace {

Target parsed(std::string_view text) {
  auto t = parseTarget(text);
  EXPECT_TRUE(t) << text << ": " << t.error().text;
  return t ? *t : Target{};
}

TEST(Target, PresetsKnowTheirVectors) {
  struct Row {
    const char *text;
    int vectorBytes, registers;
    bool fma, dot4, masked;
  };
  for (const Row &r : {Row{"cpu:x86-64-v2", 16, 16, false, false, false},
                       Row{"cpu:x86-64-v3", 32, 16, true, false, false},
                       Row{"cpu:x86-64-v4", 64, 32, true, false, true},
                       Row{"cpu:x86-64-v4+avx512vnni", 64, 32, true, true, true},
                       Row{"cpu:haswell", 32, 16, true, false, false},
                       Row{"cpu:alderlake", 32, 16, true, true, false},
                       Row{"cpu:skylake-avx512", 64, 32, true, false, true},
                       Row{"cpu:icelake-server", 64, 32, true, true, true},
                       Row{"cpu:sapphirerapids", 64, 32, true, true, true},
                       Row{"cpu:znver3", 32, 16, true, false, false},
                       Row{"cpu:znver4", 64, 32, true, true, true},
                       Row{"cpu:znver5", 64, 32, true, true, true},
                       Row{"cpu:znver5-avx512f", 32, 16, true, true, false},
                       Row{"cpu:znver4-avx512f", 32, 16, true, false, false},
                       Row{"cpu:znver5-avx512vnni-avxvnni", 64, 32, true, false, true},
                       Row{"cpu:cortex-a53", 16, 32, true, false, false},
                       Row{"cpu:cortex-a76", 16, 32, true, false, false},
                       Row{"cpu:cortex-a76+i8mm", 16, 32, true, true, false},
                       Row{"cpu:neoverse-v1", 16, 32, true, true, false},
                       Row{"cpu:armv7", 16, 16, true, false, false},
                       Row{"cpu:cortex-a9", 16, 16, false, false, false},
                       Row{"bare:cortex-a53", 16, 32, true, false, false}}) {
    Target t = parsed(r.text);
    bool implied = std::string_view(r.text).ends_with("-avx512f");  // takes other features with it
    if (!implied) { EXPECT_EQ(t.name, r.text); }
    EXPECT_EQ(t.vectorBytes, r.vectorBytes) << r.text;
    EXPECT_EQ(t.registers, r.registers) << r.text;
    EXPECT_EQ(t.fma, r.fma) << r.text;
    EXPECT_EQ(t.dot4, r.dot4) << r.text;
    EXPECT_EQ(t.maskedMemory, r.masked) << r.text;
    EXPECT_EQ(parsed(t.name).requiredIsa, t.requiredIsa) << r.text << " resolved to " << t.name;
  }
}

TEST(Target, ArmKnowsItsProducts) {
  EXPECT_FALSE(parsed("cpu:cortex-a72").signedDot4);
  EXPECT_TRUE(parsed("cpu:cortex-a72+dotprod").signedDot4);
  EXPECT_TRUE(parsed("cpu:cortex-a55").signedDot4);
  EXPECT_FALSE(parsed("cpu:cortex-a55-dotprod").signedDot4);
  EXPECT_TRUE(parsed("cpu:cortex-a53").inOrder);
  EXPECT_FALSE(parsed("cpu:cortex-a76").inOrder);
  EXPECT_EQ(parsed("cpu:cortex-a55").features, std::vector<std::string>{"+slow-paired-128"});
  EXPECT_TRUE(parsed("cpu:cortex-a53").features.empty());
  EXPECT_EQ(parsed("cpu:cortex-a72+fp16").name, "cpu:cortex-a72+fullfp16");
  EXPECT_NE(parsed("cpu:cortex-a76").requiredIsa, parsed("cpu:cortex-a53").requiredIsa);
  EXPECT_NE(parsed("cpu:armv7").requiredIsa, parsed("cpu:cortex-a9").requiredIsa);
}

TEST(Target, BareAsksNobodyForItsCpu) {
  Target t = parsed("bare:cortex-a76");
  EXPECT_TRUE(t.bare);
  EXPECT_EQ(t.cores, 1);
  EXPECT_EQ(t.requiredIsa, 0u);
  EXPECT_TRUE(t.signedDot4);
  EXPECT_EQ(t.triple, "aarch64-unknown-none-elf");
}

TEST(Target, HigherLevelsNeedMore) {
  uint64_t v2 = parsed("cpu:x86-64-v2").requiredIsa, v3 = parsed("cpu:x86-64-v3").requiredIsa,
           v4 = parsed("cpu:x86-64-v4").requiredIsa;
  EXPECT_NE(v2, 0u);
  EXPECT_EQ(v2 & v3, v2);
  EXPECT_EQ(v3 & v4, v3);
  EXPECT_NE(v3, v4);
}

TEST(Target, HostParsesBack) {
  Target t = parsed("cpu");
  EXPECT_GE(t.cores, 1);
  EXPECT_GT(t.l1Bytes, 0);
  Target again = parsed(t.name);
  EXPECT_EQ(again.cpu, t.cpu);
  EXPECT_EQ(again.features, t.features);
  EXPECT_EQ(again.requiredIsa, t.requiredIsa);
  EXPECT_EQ(again.vectorBytes, t.vectorBytes);
  EXPECT_EQ(parsed("cpu-avx2").vectorBytes, 16);
}

TEST(Target, UnknownTextsAreUsageErrors) {
  for (std::string_view text : {"", "gpu", "cpu:", "cpu:pentium9", "cpu:znver5+warp", "cpu:znver5*", "cpux",
                                "cpu+", "opencl:1", "cuda", "cuda:sm_99", "bare", "bare:"}) {
    auto t = parseTarget(text);
    ASSERT_FALSE(t) << text;
    EXPECT_EQ(t.error().kind, ErrorKind::Usage) << text;
    EXPECT_NE(t.error().text.find("'" + std::string(text) + "'"), std::string::npos) << t.error().text;
    EXPECT_NE(t.error().text.find("known are "), std::string::npos) << t.error().text;
  }
}

TEST(Target, OpenClHasNoTriple) {
  for (auto text : {"opencl", "opencl:cpu", "opencl:gpu"}) {
    Target t = parsed(text);
    EXPECT_EQ(t.device, DeviceKind::OpenCl) << text;
    EXPECT_TRUE(t.triple.empty()) << text;
  }
}

TEST(Target, OpenClClassesDifferInTheirGroups) {
  Target cpu = parsed("opencl:cpu"), gpu = parsed("opencl:gpu");
  EXPECT_EQ(cpu.groupItems, 1);
  EXPECT_GT(gpu.groupItems, 1);
  EXPECT_GT(gpu.localBytes, 0);
  EXPECT_GT(cpu.lanes(DType::f32), gpu.lanes(DType::f32));
}

TEST(Target, CudaArchitecturesAreNamedByNvidiasNames) {
  for (auto text : {"cuda:sm_75", "cuda:sm_80", "cuda:sm_87", "cuda:sm_90"}) {
    Target t = parsed(text);
    EXPECT_EQ(t.device, DeviceKind::Cuda) << text;
    EXPECT_EQ("cuda:" + t.cpu, text);
    EXPECT_TRUE(t.triple.empty()) << text;
    EXPECT_EQ(t.groupItems % t.warpItems, 0) << text;
  }
  EXPECT_FALSE(parsed("cuda:sm_75").asyncCopies);
  EXPECT_TRUE(parsed("cuda:sm_80").asyncCopies);
}

TEST(Target, EveryListedTargetParses) {
  auto lines = listTargets();
  EXPECT_GE(lines.size(), 10u);
  for (auto &line : lines)
    if (std::string name = line.substr(0, line.find(' ')); name != "bare:NAME") parsed(name);
}

} // namespace
} // namespace planish
