#include "TestModel.h"

#include <cstdlib>
#include <gtest/gtest.h>

extern "C" {
#include "../../../runtime/src/os.h"
#include <pthread.h>

extern const planish_api planish_api_v1;

struct Start {
  void *(*body)(void *);
  void *argument;
};

static void *begin(void *start) {
  const Start copy = *static_cast<Start *>(start);
  delete static_cast<Start *>(start);
  while (planish::test::testSystem().holdWorkers) sched_yield();
  return copy.body(copy.argument);
}

// Strong definitions: the runtime's own are weak.
void *planish_os_allocate_v1(uint64_t bytes) {
  ++planish::test::testSystem().allocations;
  if (planish::test::testSystem().refuseMemory || bytes > (uint64_t{1} << 32)) return nullptr;
  return std::aligned_alloc(PLANISH_ALIGNMENT,
                            (bytes + PLANISH_ALIGNMENT - 1) / PLANISH_ALIGNMENT * PLANISH_ALIGNMENT);
}

void planish_os_free_v1(void *memory) { std::free(memory); }

uint32_t planish_os_cores_v1(void) { return planish::test::testSystem().cores; }

int planish_os_start_v1(planish_os_thread *thread, void *(*body)(void *), void *argument) {
  if (planish::test::testSystem().threadsLeft-- <= 0) return 11;
  ++planish::test::testSystem().threadsRunning;
  return pthread_create(&thread->handle, nullptr, begin, new Start{body, argument});
}

void planish_os_join_v1(planish_os_thread *thread) {
  pthread_join(thread->handle, nullptr);
  --planish::test::testSystem().threadsRunning;
}
}

namespace planish::test {
namespace {

constexpr planish_dim constant(int64_t size) { return {size, size, -1, 0}; }
constexpr planish_dim kRows{0, AddModel::kMaxRows, 0, 0};

planish_tensor_info tensor(const char *name, planish_dtype dtype, std::initializer_list<planish_dim> dims) {
  planish_tensor_info info{};
  info.name = name;
  info.dtype = dtype;
  info.max_bytes = planish_dtype_bytes(dtype);
  for (const planish_dim &dim : dims) {
    info.dims[info.rank++] = dim;
    info.max_bytes *= static_cast<uint64_t>(dim.upper);
  }
  return info;
}

// A task is a row of three. All of x first goes through the scratch memory, which nobody else may touch.
void addRows(void *const *buffers, const int64_t *, void *scratch, int64_t begin, int64_t end) {
  const auto *x = static_cast<const float *>(buffers[0]);
  const auto *y = static_cast<const float *>(buffers[1]);
  auto *sum = static_cast<float *>(buffers[2]);
  auto *copy = static_cast<float *>(scratch) - 3 * begin;
  for (int64_t i = 3 * begin; i < 3 * end; ++i) copy[i] = x[i];
  for (int64_t i = 3 * begin; i < 3 * end; ++i) sum[i] = copy[i] + y[i];
}

void scaleRows(void *const *buffers, const int64_t *scalars, void *, int64_t begin, int64_t end) {
  const auto *in = static_cast<const float *>(buffers[0]);
  auto *out = static_cast<float *>(buffers[1]);
  for (int64_t i = 3 * begin; i < 3 * end; ++i) out[i] = in[i] * static_cast<float>(scalars[0]);
}

void writeScalar(void *const *buffers, const int64_t *scalars, void *, int64_t, int64_t) {
  *static_cast<int64_t *>(buffers[0]) = scalars[0];
}

constexpr int64_t kRefusedRows = 13;

int32_t addHost(const planish_frame *frame) {
  const int64_t rows = frame->input_dims[0];
  if (rows == kRefusedRows) return 1;
  void *add[] = {frame->inputs[0], frame->inputs[1], frame->arena};
  planish_launch_v1(frame->instance, 0, addRows, add, nullptr, rows);
  void *scale[] = {frame->arena, frame->outputs[0]};
  const int64_t two = 2;
  planish_launch_v1(frame->instance, 1, scaleRows, scale, &two, rows);
  void *count[] = {frame->outputs[1]};
  planish_launch_v1(frame->instance, 2, writeScalar, count, &rows, 1);
  frame->output_dims[0] = rows;
  return 0;
}

int32_t copyHost(const planish_frame *frame) {
  for (int i = 0; i < 4; ++i)
    static_cast<uint8_t *>(frame->outputs[0])[i] = static_cast<const uint8_t *>(frame->inputs[0])[i];
  return 0;
}

const planish_tensor_info kAddInputs[] = {tensor("x", PLANISH_F32, {kRows, constant(3)}),
                                          tensor("y", PLANISH_F32, {kRows, constant(3)})};
const planish_tensor_info kAddOutputs[] = {tensor("twice", PLANISH_F32, {kRows, constant(3)}),
                                           tensor("rows", PLANISH_I64, {})};
constexpr planish_symbol_info kAddSymbols[] = {{"n", 0, AddModel::kMaxRows}};
constexpr planish_launch_info kAddLaunches[] = {{"add", "pointwise", "Add_0", 3000, 36000},
                                                {"scale", "pointwise", "Mul_1", 3000, 24000},
                                                {"count", "scalar", "Shape_2", 0, 8}};
const planish_value_info kAddValues[] = {
    {"sum", PLANISH_F32, 2, {kRows, constant(3)}, {3, 1}, PLANISH_REGION_ARENA, 0, 0, 0, 0}};
constexpr const char *kAddFailures[] = {"thirteen rows bring bad luck"};
const planish_tensor_info kCopyInputs[] = {tensor("in", PLANISH_U8, {constant(4)})};
const planish_tensor_info kCopyOutputs[] = {tensor("out", PLANISH_U8, {constant(4)})};

planish_model baseModel(const char *name, planish_host_fn host) {
  planish_model model{};
  model.abi = PLANISH_ABI;
  model.architecture = PLANISH_ARCH_ANY;
  model.name = name;
  model.target = "cpu:test";
  model.build_id = "0";
  model.api = &planish_api_v1;
  model.host = host;
  return model;
}

} // namespace

AddModel::AddModel() : model(baseModel("add", addHost)) {
  model.arena_bytes = 12 * kMaxRows;
  model.scratch_bytes = 12 * kMaxRows;
  model.inputs = kAddInputs;
  model.n_inputs = 2;
  model.outputs = kAddOutputs;
  model.n_outputs = 2;
  model.symbols = kAddSymbols;
  model.n_symbols = 1;
  model.launches = kAddLaunches;
  model.n_launches = 3;
  model.values = kAddValues;
  model.n_values = 1;
  model.failures = kAddFailures;
  model.n_failures = 1;
}

CopyModel::CopyModel() : model(baseModel("copy", copyHost)) {
  model.inputs = kCopyInputs;
  model.n_inputs = 1;
  model.outputs = kCopyOutputs;
  model.n_outputs = 1;
}

System &testSystem() {
  static System system;
  return system;
}

Instance::Instance(const planish_model &model, int threads) {
  planish_options options{};
  options.threads = threads;
  EXPECT_EQ(planish_create(&model, &options, &instance), PLANISH_OK) << planish_error();
}

std::string checkAdd(planish_instance *instance, int64_t rows, uint32_t seed) {
  std::vector<float> x(static_cast<size_t>(3 * rows)), y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<float>((i + seed) % 1009);
    y[i] = static_cast<float>((i * 7 + seed) % 503);
  }
  const int64_t dims[] = {rows, 3};
  if (planish_set_input(instance, 0, x.data(), dims, 2) ||
      planish_set_input(instance, 1, y.data(), dims, 2) || planish_run(instance))
    return planish_error();
  planish_tensor twice, count;
  if (planish_get_output(instance, 0, &twice) || planish_get_output(instance, 1, &count))
    return planish_error();
  if (twice.rank != 2 || twice.dims[0] != rows || twice.dims[1] != 3) return "wrong dimensions";
  if (twice.bytes != x.size() * sizeof(float) || count.rank != 0 || count.bytes != sizeof(int64_t))
    return "wrong size";
  if (*static_cast<const int64_t *>(count.data) != rows) return "wrong count";
  for (size_t i = 0; i < x.size(); ++i) {
    const float got = static_cast<const float *>(twice.data)[i];
    if (got != 2 * (x[i] + y[i])) return "element " + std::to_string(i) + " is " + std::to_string(got);
  }
  return "";
}

} // namespace planish::test
