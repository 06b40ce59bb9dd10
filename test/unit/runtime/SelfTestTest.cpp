// The golden self-test: what it feeds, what it hashes, and what it says.
#include "TestModel.h"

#include <gmock/gmock.h>

#include <cstring>
#include <random>
#include <string_view>

extern "C" uint64_t planish_sha256_v1(const void *data, uint64_t bytes);

namespace planish::test {
namespace {

using testing::HasSubstr;

uint64_t hashOf(std::string_view text) { return planish_sha256_v1(text.data(), text.size()); }

TEST(SelfTestTest, hashesAsTheStandardSays) {
  // FIPS 180-2, appendix B, and the empty message.
  EXPECT_EQ(hashOf(""), 0xe3b0c44298fc1c14u);
  EXPECT_EQ(hashOf("abc"), 0xba7816bf8f01cfeau);
  EXPECT_EQ(hashOf("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), 0x248d6a61d20638b8u);
  EXPECT_EQ(hashOf(std::string(1000000, 'a')), 0xcdc76e5c9914fb92u);
}

TEST(SelfTestTest, fillsWithTheTwistersNumbers) {
  AddModel add;
  std::array<float, 1500> floats{};
  std::array<int64_t, 3> integers{};
  std::array<uint8_t, 3> bytes{};
  add.model.api->fill(PLANISH_F32, 7, floats.data(), sizeof(floats));
  add.model.api->fill(PLANISH_I64, 7, integers.data(), sizeof(integers));
  add.model.api->fill(PLANISH_U8, 7, bytes.data(), sizeof(bytes));
  std::mt19937 random(7);
  for (size_t i = 0; i < floats.size(); ++i) {
    const uint32_t bits = random() >> 8;
    ASSERT_EQ(floats[i], static_cast<float>(bits) * 0x1p-24F) << i;
    if (i >= bytes.size()) continue;
    EXPECT_EQ(integers[i], bits % 8);
    EXPECT_EQ(bytes[i], bits & 255);
  }
}

/// The digest of what CopyModel gives: its four seeded bytes.
uint64_t goldenCopy() {
  std::mt19937 random(1);
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(random() >> 8 & 255);
  return hashOf(bytes);
}

TEST(SelfTestTest, passesOnTheRightBytesAlone) {
  CopyModel copy;
  uint64_t golden = goldenCopy();
  copy.model.golden = &golden;
  EXPECT_EQ(planish_self_test(&copy.model, nullptr), PLANISH_OK) << planish_error();
  golden ^= 1;
  EXPECT_EQ(planish_self_test(&copy.model, nullptr), PLANISH_SELF_TEST_FAILED);
  EXPECT_STREQ(planish_error(),
               "model 'copy': output 'out' has other bits here than the model's definition gives");
}

TEST(SelfTestTest, refusesAModelWithoutDigests) {
  CopyModel copy;
  EXPECT_EQ(planish_self_test(&copy.model, nullptr), PLANISH_INVALID_ARGUMENT);
  EXPECT_THAT(planish_error(), HasSubstr("compile-model --golden"));
  EXPECT_EQ(planish_self_test(nullptr, nullptr), PLANISH_INVALID_ARGUMENT);
  copy.model.abi = PLANISH_ABI + 1;
  EXPECT_EQ(planish_self_test(&copy.model, nullptr), PLANISH_WRONG_VERSION);
}

TEST(SelfTestTest, worksInTheCallersMemory) {
  CopyModel copy;
  const uint64_t golden = goldenCopy();
  copy.model.golden = &golden;
  alignas(64) static std::array<std::byte, 1 << 16> memory;
  planish_options options{};
  options.threads = 1;
  options.memory = memory.data();
  options.memory_bytes = planish_self_test_bytes(&copy.model, 1);
  ASSERT_LE(options.memory_bytes, memory.size());
  memory[options.memory_bytes] = std::byte{0x5a};
  const int before = testSystem().allocations;
  EXPECT_EQ(planish_self_test(&copy.model, &options), PLANISH_OK) << planish_error();
  EXPECT_EQ(testSystem().allocations, before);
  EXPECT_EQ(memory[options.memory_bytes], std::byte{0x5a});
  for (uint64_t less : {uint64_t{1}, options.memory_bytes}) {
    planish_options small = options;
    small.memory_bytes -= less;
    EXPECT_EQ(planish_self_test(&copy.model, &small), PLANISH_INVALID_ARGUMENT);
    EXPECT_THAT(planish_error(), HasSubstr("options.memory has "));
  }
}

TEST(SelfTestTest, reportsRefusedMemory) {
  CopyModel copy;
  const uint64_t golden = goldenCopy();
  copy.model.golden = &golden;
  testSystem().refuseMemory = true;
  EXPECT_EQ(planish_self_test(&copy.model, nullptr), PLANISH_OUT_OF_MEMORY);
  testSystem().refuseMemory = false;
  EXPECT_THAT(planish_error(), HasSubstr("no memory for the self-test of model 'copy'"));
}

} // namespace
} // namespace planish::test
