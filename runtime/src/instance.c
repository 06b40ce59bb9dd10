/* Instances: their memory, checks of what the caller gives, one run, one launch. */
#include <stdatomic.h>

#include "cpu.h"
#include "device.h"
#include "os.h"
#include "planish/runtime.h"
#include "pool.h"
#include "self_test.h"
#include "text.h"

struct planish_instance {
  planish_instance_head head;
  const planish_model *model;
  planish_frame frame;
  planish_profile_fn profile;
  void *profile_user;
  planish_parallel_fn parallel; /* the caller's threads instead of the pool's; NULL: none */
  void *parallel_user;
  unsigned char *scratch; /* of the first thread; planish_aligned(model->scratch_bytes) each */
  void **inputs;
  void **outputs;
  unsigned char **own_outputs;
  int64_t *input_dims;
  void *owned; /* what destroy frees; NULL for the caller's memory */
  uint32_t threads;
  uint32_t run_threads; /* threads of the present run */
  int32_t process;      /* that acquired the pool */
  _Atomic uint32_t running;
};

/* Where each part of an instance's one block of memory begins. */
typedef struct layout {
  uint64_t inputs;
  uint64_t outputs;
  uint64_t own_outputs;
  uint64_t input_dims;
  uint64_t output_dims;
  uint64_t symbols;
  uint64_t arena;
  uint64_t scratch;
  uint64_t device;
  uint64_t output_data;
  uint64_t total;
} layout;

static uint64_t take(uint64_t *used, uint64_t bytes) {
  const uint64_t begin = *used;
  *used = begin + planish_aligned(bytes);
  return begin;
}

static layout plan(const planish_model *model, uint32_t threads) {
  const uint64_t shape = PLANISH_MAX_RANK * sizeof(int64_t);
  uint64_t used = planish_aligned(sizeof(planish_instance)), outputs = 0;
  layout l;
  for (uint32_t i = 0; i < model->n_outputs; ++i) outputs += planish_aligned(model->outputs[i].max_bytes);
  l.inputs = take(&used, model->n_inputs * sizeof(void *));
  l.outputs = take(&used, model->n_outputs * sizeof(void *));
  l.own_outputs = take(&used, model->n_outputs * sizeof(void *));
  l.input_dims = take(&used, model->n_inputs * shape);
  l.output_dims = take(&used, model->n_outputs * shape);
  l.symbols = take(&used, model->n_symbols * sizeof(int64_t));
  l.arena = take(&used, model->arena_bytes + PLANISH_ARENA_TAIL);
  l.scratch = take(&used, threads * planish_aligned(model->scratch_bytes));
  l.device = take(&used, model->device ? model->device->hooks->bytes(model) : 0);
  l.output_data = take(&used, outputs + PLANISH_ARENA_TAIL);
  l.total = used;
  return l;
}

/* What options.threads stands for: a device divides the work itself. */
static uint32_t threads_for(const planish_model *model, int32_t wanted) {
  const uint32_t threads = model->device ? 1 : wanted > 0 ? (uint32_t)wanted : planish_os_cores_v1();
  return threads > PLANISH_MAX_THREADS ? PLANISH_MAX_THREADS : threads;
}

static uint64_t memory_bytes(const planish_model *model, int32_t threads) {
  return plan(model, threads_for(model, threads)).total;
}

static planish_status check_cpu(const planish_model *model, char *error) {
  uint64_t missing;
  char list[PLANISH_ERROR_BYTES / 2] = "";
  size_t used = 0;
  if (model->architecture == PLANISH_ARCH_ANY) return PLANISH_OK;
  if (model->architecture != planish_cpu_architecture_v1()) {
    planish_text_v1(error, "model '%s' was compiled for another kind of machine (target %s)", model->name,
                    model->target);
    return PLANISH_UNSUPPORTED_CPU;
  }
  missing = model->features & ~planish_cpu_features_v1();
  if (!missing) return PLANISH_OK;
  for (uint32_t bit = 0; bit < 64; ++bit) {
    if (!(missing >> bit & 1)) continue;
    for (const char *c = used ? ", " : ""; *c && used + 1 < sizeof(list); ++c) list[used++] = *c;
    for (const char *c = planish_cpu_feature_name_v1(bit); *c && used + 1 < sizeof(list); ++c)
      list[used++] = *c;
  }
  list[used] = 0;
  planish_text_v1(error, "this CPU lacks what model '%s' was compiled for (target %s): %s", model->name,
                  model->target, list);
  return PLANISH_UNSUPPORTED_CPU;
}

static void reset_output_dims(planish_instance *self) {
  for (uint32_t i = 0; i < self->model->n_outputs; ++i) {
    const planish_tensor_info *info = &self->model->outputs[i];
    for (int32_t d = 0; d < PLANISH_MAX_RANK; ++d)
      self->frame.output_dims[i * PLANISH_MAX_RANK + (uint32_t)d] = d < info->rank ? info->dims[d].upper : 1;
  }
}

static void lay_out(planish_instance *self, unsigned char *memory, const layout *l) {
  const planish_model *model = self->model;
  unsigned char *output = memory + l->output_data;
  self->inputs = (void **)(void *)(memory + l->inputs);
  self->outputs = (void **)(void *)(memory + l->outputs);
  self->own_outputs = (unsigned char **)(void *)(memory + l->own_outputs);
  self->input_dims = (int64_t *)(void *)(memory + l->input_dims);
  self->frame.inputs = self->inputs;
  self->frame.outputs = self->outputs;
  self->frame.arena = memory + l->arena;
  self->scratch = memory + l->scratch;
  self->frame.weights = model->weights;
  self->frame.input_dims = self->input_dims;
  self->frame.output_dims = (int64_t *)(void *)(memory + l->output_dims);
  self->frame.symbols = (int64_t *)(void *)(memory + l->symbols);
  self->frame.instance = self;
  for (uint32_t i = 0; i < model->n_inputs; ++i) {
    self->inputs[i] = NULL;
    for (uint32_t d = 0; d < PLANISH_MAX_RANK; ++d) self->input_dims[i * PLANISH_MAX_RANK + d] = 1;
  }
  for (uint32_t i = 0; i < model->n_outputs; ++i) {
    self->own_outputs[i] = output;
    self->outputs[i] = output;
    output += planish_aligned(model->outputs[i].max_bytes);
  }
  for (uint32_t i = 0; i < model->n_symbols; ++i) self->frame.symbols[i] = -1;
  reset_output_dims(self);
}

static planish_status get_memory(const planish_model *model, const planish_options *options, uint64_t needed,
                                 void **memory, char *error) {
  if (!options->memory) {
    *memory = planish_os_allocate_v1(needed);
    if (*memory) return PLANISH_OK;
    planish_text_v1(error, "no memory for model '%s': it needs %d bytes", model->name, (int64_t)needed);
    return PLANISH_OUT_OF_MEMORY;
  }
  *memory = options->memory;
  if ((uintptr_t)*memory % PLANISH_ALIGNMENT != 0) {
    planish_text_v1(error, "options.memory must be aligned to %d bytes", (int64_t)PLANISH_ALIGNMENT);
    return PLANISH_INVALID_ARGUMENT;
  }
  if (options->memory_bytes < needed) {
    planish_text_v1(error, "options.memory has %d bytes, model '%s' needs %d", (int64_t)options->memory_bytes,
                    model->name, (int64_t)needed);
    return PLANISH_INVALID_ARGUMENT;
  }
  return PLANISH_OK;
}

static planish_status create(const planish_model *model, const planish_options *options,
                             planish_instance **instance, char *error) {
  static const planish_options defaults;
  void *memory = NULL;
  planish_instance *self;
  uint32_t threads;
  layout l;
  planish_status status = check_cpu(model, error);
  if (status) return status;
  if (!options) options = &defaults;
  if (options->threads < 0 || options->threads > PLANISH_MAX_THREADS) {
    planish_text_v1(error, "options.threads is %d, allowed are 0 to %d", (int64_t)options->threads,
                    (int64_t)PLANISH_MAX_THREADS);
    return PLANISH_INVALID_ARGUMENT;
  }
  threads = threads_for(model, options->threads);
  l = plan(model, threads);
  status = get_memory(model, options, l.total, &memory, error);
  if (status) return status;
  if (threads > 1 && !options->parallel && planish_pool_acquire_v1(threads)) {
    planish_text_v1(error, "the system refuses %d threads", (int64_t)threads - 1);
    if (!options->memory) planish_os_free_v1(memory);
    return PLANISH_OUT_OF_MEMORY;
  }
  self = memory;
  self->head.api = model->api;
  self->model = model;
  self->profile = options->profile;
  self->profile_user = options->profile_user;
  self->parallel = options->parallel;
  self->parallel_user = options->parallel_user;
  self->owned = options->memory ? NULL : memory;
  self->threads = threads;
  self->run_threads = threads;
  self->process = planish_os_process_v1();
  atomic_init(&self->running, 0);
  lay_out(self, memory, &l);
  if (model->device) {
    const planish_device_owner owner = {self, model, options, &self->frame, self->scratch};
    self->head.device = (unsigned char *)memory + l.device;
    status = model->device->hooks->create(self->head.device, &owner, error);
    if (status) {
      if (self->owned) planish_os_free_v1(self->owned);
      return status;
    }
  }
  *instance = self;
  return PLANISH_OK;
}

/* A forked child has the instance but not the pool it was made with. */
static int has_threads(const planish_instance *self) {
  return self->parallel || self->process == planish_os_process_v1();
}

static void destroy(planish_instance *self) {
  if (self->threads > 1 && has_threads(self) && !self->parallel) planish_pool_release_v1();
  if (self->model->device) self->model->device->hooks->destroy(self->head.device);
  if (self->owned) planish_os_free_v1(self->owned);
}

static planish_status check_index(const char *what, uint32_t index, uint32_t count, char *error) {
  if (index < count) return PLANISH_OK;
  planish_text_v1(error, "there is no %s %d, the model has %d", what, (int64_t)index, (int64_t)count);
  return PLANISH_INVALID_ARGUMENT;
}

static planish_status check_dims(const planish_tensor_info *info, const int64_t *dims, uint32_t rank,
                                 char *error) {
  if (rank != (uint32_t)info->rank) {
    planish_text_v1(error, "input '%s' has rank %d, given is rank %d", info->name, (int64_t)info->rank,
                    (int64_t)rank);
    return PLANISH_SHAPE_MISMATCH;
  }
  for (uint32_t d = 0; d < rank; ++d) {
    const planish_dim *dim = &info->dims[d];
    if (dims[d] >= dim->lower && dims[d] <= dim->upper) continue;
    if (dim->lower == dim->upper)
      planish_text_v1(error, "input '%s': dimension %d must be %d, given is %d", info->name, (int64_t)d,
                      dim->lower, dims[d]);
    else
      planish_text_v1(error, "input '%s': dimension %d must be between %d and %d, given is %d", info->name,
                      (int64_t)d, dim->lower, dim->upper, dims[d]);
    return PLANISH_SHAPE_MISMATCH;
  }
  return PLANISH_OK;
}

static int64_t elements(const int64_t *dims, int32_t rank) {
  int64_t n = 1;
  for (int32_t d = 0; d < rank; ++d) n *= dims[d];
  return n;
}

static int is_misaligned(const void *data, int32_t dtype) {
  const uint32_t element = planish_dtype_bytes(dtype);
  return element && (uintptr_t)data % element != 0;
}

static planish_status set_input(planish_instance *self, uint32_t index, const void *data, const int64_t *dims,
                                uint32_t rank, char *error) {
  const planish_tensor_info *info;
  int64_t own[PLANISH_MAX_RANK];
  planish_status status = check_index("input", index, self->model->n_inputs, error);
  if (status) return status;
  info = &self->model->inputs[index];
  if (!dims) {
    rank = (uint32_t)info->rank;
    for (uint32_t d = 0; d < rank; ++d) {
      own[d] = info->dims[d].lower;
      if (own[d] == info->dims[d].upper) continue;
      planish_text_v1(error, "input '%s' has no constant shape: give its dimensions", info->name);
      return PLANISH_INVALID_ARGUMENT;
    }
    dims = own;
  }
  status = check_dims(info, dims, rank, error);
  if (status) return status;
  if (!data && elements(dims, info->rank) != 0) {
    planish_text_v1(error, "input '%s': data must not be null", info->name);
    return PLANISH_INVALID_ARGUMENT;
  }
  if (is_misaligned(data, info->dtype)) {
    planish_text_v1(error, "input '%s': data must be aligned to its element of %d bytes", info->name,
                    (int64_t)planish_dtype_bytes(info->dtype));
    return PLANISH_INVALID_ARGUMENT;
  }
  /* An empty tensor may come without data; the frame's pointer says that the input is set. */
  self->inputs[index] = data ? (void *)(uintptr_t)data : (void *)self;
  for (uint32_t d = 0; d < rank; ++d) self->input_dims[index * PLANISH_MAX_RANK + d] = dims[d];
  return PLANISH_OK;
}

static planish_status set_output(planish_instance *self, uint32_t index, void *data, uint64_t bytes,
                                 char *error) {
  const planish_tensor_info *info;
  const planish_status status = check_index("output", index, self->model->n_outputs, error);
  if (status) return status;
  info = &self->model->outputs[index];
  if (data && bytes < info->max_bytes) {
    planish_text_v1(error, "output '%s' needs %d bytes, given are %d", info->name, (int64_t)info->max_bytes,
                    (int64_t)bytes);
    return PLANISH_INVALID_ARGUMENT;
  }
  if (is_misaligned(data, info->dtype)) {
    planish_text_v1(error, "output '%s': data must be aligned to its element of %d bytes", info->name,
                    (int64_t)planish_dtype_bytes(info->dtype));
    return PLANISH_INVALID_ARGUMENT;
  }
  self->outputs[index] = data ? data : self->own_outputs[index];
  return PLANISH_OK;
}

/* Reads the symbols off the inputs' dimensions; equal ones must agree. */
static planish_status bind_inputs(planish_instance *self, char *error) {
  const planish_model *model = self->model;
  int64_t *symbols = self->frame.symbols;
  for (uint32_t s = 0; s < model->n_symbols; ++s) symbols[s] = -1;
  for (uint32_t i = 0; i < model->n_inputs; ++i) {
    const planish_tensor_info *info = &model->inputs[i];
    if (!self->inputs[i]) {
      planish_text_v1(error, "input '%s' was not set", info->name);
      return PLANISH_MISSING_INPUT;
    }
    if (!model->n_symbols) continue;
    for (int32_t d = 0; d < info->rank; ++d) {
      const int32_t symbol = info->dims[d].symbol;
      const int64_t size = self->input_dims[i * PLANISH_MAX_RANK + (uint32_t)d];
      if (symbol < 0) continue;
      if (symbols[symbol] < 0) symbols[symbol] = size;
      if (symbols[symbol] == size) continue;
      planish_text_v1(error, "input '%s': dimension %d is %d, but '%s' is %d in another place", info->name,
                      (int64_t)d, size, model->symbols[symbol].name, symbols[symbol]);
      return PLANISH_SHAPE_MISMATCH;
    }
  }
  return PLANISH_OK;
}

static planish_status run_host(planish_instance *self, char *error) {
  const planish_model *model = self->model;
  uint64_t mode;
  int32_t failure;
  const planish_device_hooks *hooks = model->device ? model->device->hooks : NULL;
  planish_status status = bind_inputs(self, error);
  if (status) return status;
  self->run_threads = self->threads > 1 && has_threads(self) ? self->threads : (uint32_t)1;
  reset_output_dims(self);
  if (hooks) status = hooks->begin(self->head.device, error);
  if (status) return status;
  mode = planish_cpu_begin_floats();
  failure = model->host(&self->frame);
  planish_cpu_restore_floats(mode);
  if (hooks) status = hooks->end(self->head.device, error);
  if (status) return status;
  if (!failure) return PLANISH_OK;
  planish_text_v1(error, "model '%s': %s", model->name,
                  failure > 0 && (uint32_t)failure <= model->n_failures ? model->failures[failure - 1]
                                                                        : "the run failed");
  return PLANISH_RUN_FAILED;
}

static planish_status run(planish_instance *self, char *error) {
  planish_status status;
  if (atomic_exchange_explicit(&self->running, 1, memory_order_acquire)) {
    planish_text_v1(error, "the instance of model '%s' is running in another thread", self->model->name);
    return PLANISH_BUSY;
  }
  status = run_host(self, error);
  atomic_store_explicit(&self->running, 0, memory_order_release);
  return status;
}

static planish_status get_output(const planish_instance *self, uint32_t index, planish_tensor *tensor,
                                 char *error) {
  const planish_tensor_info *info;
  const int64_t *dims;
  const planish_status status = check_index("output", index, self->model->n_outputs, error);
  if (status) return status;
  if (!tensor) {
    planish_text_v1(error, "planish_get_output: tensor must not be null");
    return PLANISH_INVALID_ARGUMENT;
  }
  info = &self->model->outputs[index];
  dims = self->frame.output_dims + index * PLANISH_MAX_RANK;
  tensor->data = self->outputs[index];
  tensor->dtype = info->dtype;
  tensor->rank = info->rank;
  for (int32_t d = 0; d < PLANISH_MAX_RANK; ++d) tensor->dims[d] = d < info->rank ? dims[d] : 1;
  tensor->bytes = (uint64_t)elements(dims, info->rank) * planish_dtype_bytes(info->dtype);
  return PLANISH_OK;
}

static const unsigned char *region_begin(const planish_instance *self, const planish_value_info *value) {
  switch (value->region) {
  case PLANISH_REGION_WEIGHTS: return self->frame.weights;
  case PLANISH_REGION_INPUT: return self->inputs[value->index];
  case PLANISH_REGION_OUTPUT: return self->outputs[value->index];
  default: return self->frame.arena;
  }
}

static planish_status get_value(const planish_instance *self, uint32_t index, planish_view *view,
                                char *error) {
  const planish_value_info *value;
  const unsigned char *begin;
  const planish_status status = check_index("value", index, self->model->n_values, error);
  if (status) return status;
  if (!view) {
    planish_text_v1(error, "planish_get_value: view must not be null");
    return PLANISH_INVALID_ARGUMENT;
  }
  value = &self->model->values[index];
  begin = region_begin(self, value);
  view->data = begin ? begin + value->offset : NULL;
  view->name = value->name;
  view->dtype = value->dtype;
  view->rank = value->rank;
  for (int32_t d = 0; d < PLANISH_MAX_RANK; ++d) {
    const planish_dim *dim = &value->dims[d];
    view->dims[d] = 1;
    view->strides[d] = 0;
    if (d >= value->rank) continue;
    view->dims[d] = dim->symbol < 0 ? dim->upper : self->frame.symbols[dim->symbol];
    view->strides[d] = value->strides[d];
    if (view->dims[d] >= 0) continue;
    planish_text_v1(error, "value '%s': dimension %d is not known", value->name, (int64_t)d);
    return PLANISH_INVALID_ARGUMENT;
  }
  return PLANISH_OK;
}

static uint32_t threads(const planish_instance *self) { return self->threads; }

/* A kernel's tasks in parts, one for each of the caller's threads. */
typedef struct shared_call {
  planish_call call;
  int64_t tasks;
  int64_t parts;
} shared_call;

static void run_part(void *work, uint32_t index) {
  const shared_call *shared = work;
  const planish_call *call = &shared->call;
  const uint64_t mode = planish_cpu_begin_floats();
  call->kernel(call->buffers, call->scalars, call->scratch + index * call->scratch_bytes,
               shared->tasks * index / shared->parts, shared->tasks * (index + 1) / shared->parts);
  planish_cpu_restore_floats(mode);
}

/* Runs all tasks by several threads; 0 when none are free. */
static int run_shared(planish_instance *self, const planish_call *call, int64_t tasks) {
  const int64_t threads = self->run_threads;
  shared_call shared = {*call, tasks, tasks < threads ? tasks : threads};
  if (!self->parallel) return planish_pool_run_v1(self->run_threads, call, tasks);
  self->parallel(self->parallel_user, (uint32_t)shared.parts, run_part, &shared);
  return 1;
}

PLANISH_ONE void planish_launch_v1(planish_instance *self, uint32_t launch, planish_kernel_fn kernel,
                                   void *const *buffers, const int64_t *scalars, int64_t tasks) {
  const int64_t begin = self->profile ? planish_os_now_v1() : 0;
  const planish_call call = {kernel, buffers, scalars, self->scratch,
                             planish_aligned(self->model->scratch_bytes)};
  if (tasks == 1 || self->run_threads == 1 || tasks <= 0 || !run_shared(self, &call, tasks)) {
    if (tasks > 0) kernel(buffers, scalars, self->scratch, 0, tasks);
  }
  if (self->profile) self->profile(self->profile_user, self, launch, begin, planish_os_now_v1());
}

static void *library;

extern PLANISH_SHARED const planish_api planish_api_v1;

PLANISH_ONE const planish_api planish_api_v1 = {
    PLANISH_ABI,
    0,
    memory_bytes,
    create,
    destroy,
    set_input,
    set_output,
    run,
    get_output,
    get_value,
    threads,
    &library,
    planish_fill_v1,
    planish_self_test_bytes_v1,
    planish_self_test_run_v1,
};
