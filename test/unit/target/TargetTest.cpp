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
  for (const Row &r :
       {Row{"cpu:x86-64-v2", 16, 16, false, false, false}, Row{"cpu:x86-64-v3", 32, 16, true, false, false},
        Row{"cpu:x86-64-v4", 64, 32, true, false, true},
        Row{"cpu:x86-64-v4+avx512vnni", 64, 32, true, true, true},
        Row{"cpu:haswell", 32, 16, true, false, false}, Row{"cpu:alderlake", 32, 16, true, true, false},
        Row{"cpu:skylake-avx512", 64, 32, true, false, true},
        Row{"cpu:icelake-server", 64, 32, true, true, true},
        Row{"cpu:sapphirerapids", 64, 32, true, true, true}, Row{"cpu:znver3", 32, 16, true, false, false},
        Row{"cpu:znver4", 64, 32, true, true, true}, Row{"cpu:znver5", 64, 32, true, true, true},
        Row{"cpu:znver5-avx512f", 32, 16, true, true, false},
        Row{"cpu:znver4-avx512f", 32, 16, true, false, false},
        Row{"cpu:znver5-avx512vnni-avxvnni", 64, 32, true, false, true}}) {
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
  for (std::string_view text :
       {"", "gpu", "cpu:", "cpu:pentium9", "cpu:znver5+warp", "cpu:znver5*", "cpux", "cpu+", "opencl:1"}) {
    auto t = parseTarget(text);
    ASSERT_FALSE(t) << text;
    EXPECT_EQ(t.error().kind, ErrorKind::Usage) << text;
    EXPECT_NE(t.error().text.find("'" + std::string(text) + "'"), std::string::npos) << t.error().text;
    EXPECT_NE(t.error().text.find("known are "), std::string::npos) << t.error().text;
  }
}

TEST(Target, OpenClHasNoTriple) {
  Target t = parsed("opencl");
  EXPECT_EQ(t.device, DeviceKind::OpenCl);
  EXPECT_TRUE(t.triple.empty());
}

TEST(Target, EveryListedTargetParses) {
  auto lines = listTargets();
  EXPECT_GE(lines.size(), 10u);
  for (auto &line : lines) parsed(line.substr(0, line.find(' ')));
}

} // namespace
} // namespace planish
