// One instance: results, and a clear refusal of everything a caller can get wrong.
#include "TestModel.h"

#include <gmock/gmock.h>

#include <cstring>

namespace planish::test {
namespace {

using testing::HasSubstr;
using testing::StrEq;

class InstanceTest : public testing::Test {
protected:
  AddModel add;
  CopyModel copy;
  alignas(64) std::array<float, 3 * AddModel::kMaxRows> floats{};

  /// Sets both inputs to `rows` rows.
  void setInputs(planish_instance *instance, int64_t rows) {
    const int64_t dims[] = {rows, 3};
    ASSERT_EQ(planish_set_input(instance, 0, floats.data(), dims, 2), PLANISH_OK);
    ASSERT_EQ(planish_set_input(instance, 1, floats.data(), dims, 2), PLANISH_OK);
  }
};

TEST_F(InstanceTest, computesForEverySizeWithinTheBounds) {
  Instance net(add.model);
  for (int64_t rows : {0, 1, 2, 999, 1000, 12, 14}) EXPECT_EQ(checkAdd(net, rows, 1), "") << rows << " rows";
}

TEST_F(InstanceTest, describesTheModel) {
  planish_info info;
  ASSERT_EQ(planish_model_info(&add.model, &info), PLANISH_OK);
  EXPECT_STREQ(info.name, "add");
  EXPECT_EQ(info.n_inputs, 2u);
  EXPECT_STREQ(info.outputs[1].name, "rows");
  EXPECT_EQ(info.memory_bytes, planish_memory_bytes(&add.model, 1));
  EXPECT_GE(info.memory_bytes, add.model.arena_bytes + add.model.scratch_bytes + 12 * AddModel::kMaxRows + 8);
  EXPECT_EQ(planish_memory_bytes(&add.model, 0), planish_memory_bytes(&add.model, 4));  // cores
  EXPECT_GE(planish_memory_bytes(&add.model, 3), info.memory_bytes + 2 * add.model.scratch_bytes);
}

TEST_F(InstanceTest, outputHasItsUpperBoundBeforeTheFirstRun) {
  Instance net(add.model);
  planish_tensor out;
  ASSERT_EQ(planish_get_output(net, 0, &out), PLANISH_OK);
  EXPECT_EQ(out.dims[0], AddModel::kMaxRows);
}

TEST_F(InstanceTest, takesConstantShapesWithoutDimensions) {
  Instance net(copy.model);
  const uint8_t data[] = {1, 2, 3, 4};
  ASSERT_EQ(planish_set_input(net, 0, data, nullptr, 0), PLANISH_OK);
  ASSERT_EQ(planish_run(net), PLANISH_OK);
  planish_tensor out;
  ASSERT_EQ(planish_get_output(net, 0, &out), PLANISH_OK);
  EXPECT_EQ(std::memcmp(out.data, data, 4), 0);

  Instance free(add.model);
  EXPECT_EQ(planish_set_input(free, 0, floats.data(), nullptr, 0), PLANISH_INVALID_ARGUMENT);
  EXPECT_THAT(planish_error(), StrEq("input 'x' has no constant shape: give its dimensions"));
}

TEST_F(InstanceTest, writesToTheCallersOutput) {
  Instance net(copy.model);
  const uint8_t data[] = {1, 2, 3, 4};
  uint8_t mine[4] = {};
  ASSERT_EQ(planish_set_input(net, 0, data, nullptr, 0), PLANISH_OK);
  ASSERT_EQ(planish_set_output(net, 0, mine, sizeof(mine)), PLANISH_OK);
  ASSERT_EQ(planish_run(net), PLANISH_OK);
  EXPECT_EQ(std::memcmp(mine, data, 4), 0);
  planish_tensor out;
  ASSERT_EQ(planish_get_output(net, 0, &out), PLANISH_OK);
  EXPECT_EQ(out.data, mine);
  ASSERT_EQ(planish_set_output(net, 0, nullptr, 0), PLANISH_OK);
  ASSERT_EQ(planish_get_output(net, 0, &out), PLANISH_OK);
  EXPECT_NE(out.data, mine);

  EXPECT_EQ(planish_set_output(net, 0, mine, 3), PLANISH_INVALID_ARGUMENT);
  EXPECT_THAT(planish_error(), StrEq("output 'out' needs 4 bytes, given are 3"));
}

TEST_F(InstanceTest, refusesWrongShapes) {
  Instance net(add.model);
  const int64_t tooMany[] = {AddModel::kMaxRows + 1, 3}, narrow[] = {5, 2}, negative[] = {-1, 3};
  EXPECT_EQ(planish_set_input(net, 0, floats.data(), tooMany, 2), PLANISH_SHAPE_MISMATCH);
  EXPECT_THAT(planish_error(), StrEq("input 'x': dimension 0 must be between 0 and 1000, given is 1001"));
  EXPECT_EQ(planish_set_input(net, 0, floats.data(), negative, 2), PLANISH_SHAPE_MISMATCH);
  EXPECT_THAT(planish_error(), HasSubstr("given is -1"));
  EXPECT_EQ(planish_set_input(net, 1, floats.data(), narrow, 2), PLANISH_SHAPE_MISMATCH);
  EXPECT_THAT(planish_error(), StrEq("input 'y': dimension 1 must be 3, given is 2"));
  EXPECT_EQ(planish_set_input(net, 1, floats.data(), narrow, 1), PLANISH_SHAPE_MISMATCH);
  EXPECT_THAT(planish_error(), StrEq("input 'y' has rank 2, given is rank 1"));
}

TEST_F(InstanceTest, refusesUnequalSizesOfOneSymbol) {
  Instance net(add.model);
  setInputs(net, 4);
  const int64_t five[] = {5, 3};
  ASSERT_EQ(planish_set_input(net, 1, floats.data(), five, 2), PLANISH_OK);
  EXPECT_EQ(planish_run(net), PLANISH_SHAPE_MISMATCH);
  EXPECT_THAT(planish_error(), StrEq("input 'y': dimension 0 is 5, but 'n' is 4 in another place"));
}

TEST_F(InstanceTest, refusesToRunWithoutAnInput) {
  Instance net(add.model);
  const int64_t dims[] = {4, 3};
  ASSERT_EQ(planish_set_input(net, 0, floats.data(), dims, 2), PLANISH_OK);
  EXPECT_EQ(planish_run(net), PLANISH_MISSING_INPUT);
  EXPECT_THAT(planish_error(), StrEq("input 'y' was not set"));
}

TEST_F(InstanceTest, refusesNullAndMisalignedPointers) {
  Instance net(add.model);
  const int64_t dims[] = {4, 3}, none[] = {0, 3};
  const char *misaligned = reinterpret_cast<const char *>(floats.data()) + 2;
  EXPECT_EQ(planish_set_input(net, 0, nullptr, dims, 2), PLANISH_INVALID_ARGUMENT);
  EXPECT_THAT(planish_error(), StrEq("input 'x': data must not be null"));
  EXPECT_EQ(planish_set_input(net, 0, nullptr, none, 2), PLANISH_OK);
  EXPECT_EQ(planish_set_input(net, 0, misaligned, dims, 2), PLANISH_INVALID_ARGUMENT);
  EXPECT_THAT(planish_error(), HasSubstr("aligned to its element of 4 bytes"));
  EXPECT_EQ(planish_get_output(net, 0, nullptr), PLANISH_INVALID_ARGUMENT);
  EXPECT_EQ(planish_run(nullptr), PLANISH_INVALID_ARGUMENT);
  EXPECT_EQ(planish_create(nullptr, nullptr, nullptr), PLANISH_INVALID_ARGUMENT);
  EXPECT_EQ(planish_open(nullptr, nullptr), PLANISH_INVALID_ARGUMENT);
  planish_destroy(nullptr);
}

TEST_F(InstanceTest, refusesIndicesOutOfRange) {
  Instance net(add.model);
  planish_tensor out;
  planish_view view;
  EXPECT_EQ(planish_set_input(net, 2, floats.data(), nullptr, 0), PLANISH_INVALID_ARGUMENT);
  EXPECT_THAT(planish_error(), StrEq("there is no input 2, the model has 2"));
  EXPECT_EQ(planish_set_output(net, 2, nullptr, 0), PLANISH_INVALID_ARGUMENT);
  EXPECT_EQ(planish_get_output(net, 7, &out), PLANISH_INVALID_ARGUMENT);
  EXPECT_EQ(planish_get_value(net, 1, &view), PLANISH_INVALID_ARGUMENT);
}

TEST_F(InstanceTest, tellsWhyTheModelRefusedItsData) {
  Instance net(add.model);
  EXPECT_EQ(checkAdd(net, 13, 1), "model 'add': thirteen rows bring bad luck");
  EXPECT_EQ(checkAdd(net, 12, 1), "");
}

TEST_F(InstanceTest, countsSubnormalsAsZeroOnlyWhileItRuns) {
  Instance net(add.model, 2);
  volatile float tiny = 1e-39F;
  floats.fill(1e-39F);
  setInputs(net, AddModel::kMaxRows);
  ASSERT_EQ(planish_run(net), PLANISH_OK);
  planish_tensor out;
  ASSERT_EQ(planish_get_output(net, 0, &out), PLANISH_OK);
  const auto *sum = static_cast<const float *>(out.data);
  for (size_t i = 0; i < floats.size(); ++i) ASSERT_EQ(sum[i], 0) << i;
  EXPECT_GT(tiny * 2, 0);
}

TEST_F(InstanceTest, runsInTheCallersMemory) {
  const uint64_t bytes = planish_memory_bytes(&add.model, 1);
  std::vector<std::byte> room(bytes + 1 + PLANISH_ALIGNMENT);
  std::byte *memory = room.data() + (-reinterpret_cast<uintptr_t>(room.data())) % PLANISH_ALIGNMENT;
  memory[bytes] = std::byte{0x5a};
  planish_options options{};
  options.threads = 1;
  options.memory = memory;
  options.memory_bytes = bytes;
  planish_instance *net;
  const int before = testSystem().allocations;
  ASSERT_EQ(planish_create(&add.model, &options, &net), PLANISH_OK) << planish_error();
  EXPECT_EQ(checkAdd(net, AddModel::kMaxRows, 3), "");
  EXPECT_EQ(testSystem().allocations, before);
  EXPECT_EQ(memory[bytes], std::byte{0x5a});
  planish_destroy(net);

  options.memory_bytes = bytes - 1;
  EXPECT_EQ(planish_create(&add.model, &options, &net), PLANISH_INVALID_ARGUMENT);
  EXPECT_THAT(planish_error(), HasSubstr("model 'add' needs " + std::to_string(bytes)));
  options.memory = memory + 8;
  options.memory_bytes = bytes;
  EXPECT_EQ(planish_create(&add.model, &options, &net), PLANISH_INVALID_ARGUMENT);
  EXPECT_THAT(planish_error(), StrEq("options.memory must be aligned to 64 bytes"));
}

TEST_F(InstanceTest, allocatesOnceAndNeverWhileRunning) {
  const int before = testSystem().allocations;
  Instance net(add.model, 3);
  EXPECT_EQ(testSystem().allocations, before + 1);
  for (int64_t rows : {5, 1000, 12}) EXPECT_EQ(checkAdd(net, rows, 2), "");
  EXPECT_EQ(testSystem().allocations, before + 1);
}

TEST_F(InstanceTest, reportsRefusedMemory) {
  planish_instance *net = nullptr;
  testSystem().refuseMemory = true;
  EXPECT_EQ(planish_create(&add.model, nullptr, &net), PLANISH_OUT_OF_MEMORY);
  testSystem().refuseMemory = false;
  EXPECT_THAT(planish_error(), HasSubstr("no memory for model 'add': it needs "));
  EXPECT_EQ(net, nullptr);
}

TEST_F(InstanceTest, refusesOtherVersions) {
  add.model.abi = PLANISH_ABI + 1;
  planish_instance *net = nullptr;
  EXPECT_EQ(planish_create(&add.model, nullptr, &net), PLANISH_WRONG_VERSION);
}

TEST_F(InstanceTest, refusesToLoadWhatIsNoModel) {
  const planish_model *model = nullptr;
  EXPECT_EQ(planish_open("no/such/library.so", &model), PLANISH_CANNOT_LOAD);
  EXPECT_THAT(planish_error(), HasSubstr("no/such/library.so"));
  EXPECT_EQ(planish_open("libm.so.6", &model), PLANISH_CANNOT_LOAD);
  EXPECT_THAT(planish_error(), HasSubstr("not a compiled model"));
  EXPECT_EQ(model, nullptr);
}

TEST_F(InstanceTest, cutsLongErrorTexts) {
  const std::string name(1000, 'n');
  add.model.name = name.c_str();
  planish_instance *net = nullptr;
  testSystem().refuseMemory = true;
  EXPECT_EQ(planish_create(&add.model, nullptr, &net), PLANISH_OUT_OF_MEMORY);
  testSystem().refuseMemory = false;
  EXPECT_EQ(std::strlen(planish_error()), PLANISH_ERROR_BYTES - 1u);
}

#if defined(__x86_64__)
TEST_F(InstanceTest, refusesACpuThatLacksFeatures) {
  planish_instance *net = nullptr;
  add.model.architecture = PLANISH_ARCH_X86_64;
  add.model.features = uint64_t{1} << PLANISH_X86_SSE3;
  ASSERT_EQ(planish_create(&add.model, nullptr, &net), PLANISH_OK) << planish_error();
  planish_destroy(net);

  // Of these no CPU has both: one is AMD's alone, the other never came to AMD's.
  add.model.features |= uint64_t{1} << PLANISH_X86_SSE4A | uint64_t{1} << PLANISH_X86_AMX_TILE;
  EXPECT_EQ(planish_create(&add.model, nullptr, &net), PLANISH_UNSUPPORTED_CPU);
  EXPECT_THAT(planish_error(),
              HasSubstr("this CPU lacks what model 'add' was compiled for (target cpu:test): "));
  EXPECT_THAT(planish_error(), testing::AnyOf(HasSubstr("sse4a"), HasSubstr("amx-tile")));

  add.model.features = uint64_t{1} << 62;
  EXPECT_EQ(planish_create(&add.model, nullptr, &net), PLANISH_UNSUPPORTED_CPU);
  EXPECT_THAT(planish_error(), HasSubstr("an unknown feature"));

  add.model.architecture = PLANISH_ARCH_ARM64;
  add.model.features = 0;
  EXPECT_EQ(planish_create(&add.model, nullptr, &net), PLANISH_UNSUPPORTED_CPU);
  EXPECT_THAT(planish_error(), HasSubstr("another kind of machine"));
  EXPECT_EQ(net, nullptr);
}

TEST_F(InstanceTest, findsTheFeaturesTheCompilersRuntimeFinds) {
  struct Row {
    int bit;
    bool supported;
  };
  const Row rows[] = {{PLANISH_X86_SSE42, static_cast<bool>(__builtin_cpu_supports("sse4.2"))},
                      {PLANISH_X86_AVX2, static_cast<bool>(__builtin_cpu_supports("avx2"))},
                      {PLANISH_X86_FMA, static_cast<bool>(__builtin_cpu_supports("fma"))},
                      {PLANISH_X86_BMI2, static_cast<bool>(__builtin_cpu_supports("bmi2"))},
                      {PLANISH_X86_AVX512F, static_cast<bool>(__builtin_cpu_supports("avx512f"))},
                      {PLANISH_X86_AVX512VL, static_cast<bool>(__builtin_cpu_supports("avx512vl"))},
                      {PLANISH_X86_AVX512BW, static_cast<bool>(__builtin_cpu_supports("avx512bw"))},
                      {PLANISH_X86_AVX512VNNI, static_cast<bool>(__builtin_cpu_supports("avx512vnni"))},
                      {PLANISH_X86_AVX512BF16, static_cast<bool>(__builtin_cpu_supports("avx512bf16"))},
                      {PLANISH_X86_SSE4A, static_cast<bool>(__builtin_cpu_supports("sse4a"))},
                      {PLANISH_X86_GFNI, static_cast<bool>(__builtin_cpu_supports("gfni"))}};
  add.model.architecture = PLANISH_ARCH_X86_64;
  for (const Row &row : rows) {
    planish_instance *net = nullptr;
    add.model.features = uint64_t{1} << row.bit;
    EXPECT_EQ(planish_create(&add.model, nullptr, &net), row.supported ? PLANISH_OK : PLANISH_UNSUPPORTED_CPU)
        << "bit " << row.bit;
    planish_destroy(net);
  }
}
#endif

struct Profile {
  std::vector<uint32_t> launches;
  std::vector<float> sums;
  bool ordered = true;

  static void note(void *user, const planish_instance *instance, uint32_t launch, int64_t begin,
                   int64_t end) {
    auto *self = static_cast<Profile *>(user);
    self->launches.push_back(launch);
    self->ordered &= end >= begin;
    planish_view view;
    if (launch != 0 || planish_get_value(instance, 0, &view)) return;
    const auto *data = static_cast<const float *>(view.data);
    for (int64_t r = 0; r < view.dims[0]; ++r)
      for (int64_t c = 0; c < view.dims[1]; ++c)
        self->sums.push_back(data[r * view.strides[0] + c * view.strides[1]]);
  }
};

TEST_F(InstanceTest, profilesEachLaunchAndShowsItsValues) {
  Profile profile;
  planish_options options{};
  options.threads = 2;
  options.profile = Profile::note;
  options.profile_user = &profile;
  planish_instance *net;
  ASSERT_EQ(planish_create(&add.model, &options, &net), PLANISH_OK);
  floats[4] = 2.5f;
  setInputs(net, 2);
  planish_view view;
  EXPECT_EQ(planish_get_value(net, 0, &view), PLANISH_INVALID_ARGUMENT);
  EXPECT_THAT(planish_error(), StrEq("value 'sum': dimension 0 is not known"));
  ASSERT_EQ(planish_run(net), PLANISH_OK);
  EXPECT_THAT(profile.launches, testing::ElementsAre(0u, 1u, 2u));
  EXPECT_THAT(profile.sums, testing::ElementsAre(0, 0, 0, 0, 5, 0));
  EXPECT_TRUE(profile.ordered);
  planish_destroy(net);
}

} // namespace
} // namespace planish::test
