/* Instances on a CUDA device, with one allocation for the block of planish_places. Launches are collected:
 * the straight line of them up to the next use of their results by the host becomes a graph of the driver,
 * which is made anew only when a launch differs from the last run's. Kernels of the host work on the mirror
 * of the block, with what they read and write copied before and after. Callers' inputs and outputs pass
 * through pinned memory, so their alignment does not matter. */
#include "cuda.h"

#include "text.h"

enum { SEGMENTS = 16 }; /* graphs kept per instance; what a run has beyond is launched one by one */

/* One launch, collected. */
typedef struct cuda_launch {
  const planish_device_kernel *kernel;
  uint64_t groups;
} cuda_launch;

/* Launches [begin, end) of a run, as a graph. */
typedef struct cuda_segment {
  uint32_t begin, end;
  cu_handle graph; /* executable, or NULL */
} cuda_segment;

typedef struct cuda_instance {
  planish_cuda_shared *shared;
  const planish_model *model;
  planish_places places;
  planish_instance *owner;
  planish_profile_fn profile;
  void *profile_user;
  void *scratch; /* of kernels on the host */
  cu_handle stream;
  cu_pointer memory;
  unsigned char *staging; /* pinned, as the block behind the arena */
  cu_handle *functions; /* [n_kernels], NULL for those of the host */
  cuda_launch *launches; /* [capacity] */
  uint64_t *arguments; /* [capacity][words] */
  uint32_t capacity, words;
  uint32_t begin, end; /* the launches of this run that are collected and not begun */
  uint32_t known; /* launches below it are those of the last run */
  int changed; /* one of those collected is not */
  int wrapped; /* this run has had more launches than `capacity` */
  uint32_t segment; /* of this run */
  cuda_segment segments[SEGMENTS];
  int32_t problem; /* the driver's number for the first call that failed in this run */
  const char *problem_at; /* the kernel */
} cuda_instance;

static uint32_t words_of(const planish_model *model) {
  uint32_t most = 1;
  for (uint32_t i = 0; i < model->device->n_kernels; ++i) {
    const planish_device_kernel *k = model->device->kernels[i];
    if (k->n_params + k->n_scalars > most) most = k->n_params + k->n_scalars;
  }
  return most;
}

static uint64_t state_bytes(const planish_model *model) {
  const uint64_t launches = model->n_launches + 1u;
  return planish_aligned(sizeof(cuda_instance)) + planish_places_bytes_v1(model) +
         planish_aligned(model->device->n_kernels * sizeof(cu_handle)) +
         planish_aligned(launches * sizeof(cuda_launch)) +
         planish_aligned(launches * words_of(model) * sizeof(uint64_t));
}

static int32_t enter(const planish_cuda_shared *shared) {
  return shared->cu.cuCtxPushCurrent_v2(shared->context);
}
static void leave(const planish_cuda_shared *shared) {
  cu_handle ignored;
  shared->cu.cuCtxPopCurrent_v2(&ignored);
}

static planish_status refused(const planish_cuda_shared *shared, const char *what, int32_t problem,
                              char *error) {
  planish_text_v1(error, "CUDA device '%s' gives no %s: %s", shared->name, what,
                  planish_cuda_word_v1(&shared->cu, problem));
  return PLANISH_NO_DEVICE;
}

/* In the device's context. */
static planish_status fill_shared(planish_cuda_shared *self, const planish_model *model, char *error) {
  const size_t bytes = (size_t)model->weights_bytes;
  int32_t problem;
  if (bytes) {
    problem = self->cu.cuMemAlloc_v2(&self->weights, bytes);
    if (!problem) problem = self->cu.cuMemcpyHtoDAsync_v2(self->weights, model->weights, bytes, NULL);
    if (!problem) problem = self->cu.cuStreamSynchronize(NULL);
    if (problem) return refused(self, "memory for the weights", problem, error);
  }
  return planish_cuda_build_v1(self, model, error);
}

static void close_shared(void *shared) {
  planish_cuda_shared *self = shared;
  if (self->context && !enter(self)) {
    if (self->module) self->cu.cuModuleUnload(self->module);
    if (self->weights) self->cu.cuMemFree_v2(self->weights);
    leave(self);
  }
  if (self->context) self->cu.cuDevicePrimaryCtxRelease_v2(self->device);
  planish_os_free_v1(self);
}

static planish_status make_shared(const planish_model *model, char *error) {
  planish_cuda_shared *self = planish_os_allocate_v1(sizeof(*self));
  planish_status status;
  int32_t problem;
  if (!self) {
    planish_text_v1(error, "no memory for the CUDA device of model '%s'", model->name);
    return PLANISH_OUT_OF_MEMORY;
  }
  __builtin_memset(self, 0, sizeof(*self));
  status = planish_cuda_open_v1(self, model, error);
  if (!status) {
    problem = self->cu.cuDevicePrimaryCtxRetain(&self->context, self->device);
    if (problem) self->context = NULL;
    if (!problem) problem = enter(self);
    if (problem) {
      status = refused(self, "context", problem, error);
    } else {
      status = fill_shared(self, model, error);
      leave(self);
    }
  }
  if (status) close_shared(self);
  else *model->device->shared = self;
  return status;
}

static void destroy(void *state) {
  cuda_instance *self = state;
  const planish_cuda_functions *cu = &self->shared->cu;
  if (!enter(self->shared)) {
    if (self->stream) cu->cuStreamSynchronize(self->stream);
    for (uint32_t i = 0; i < SEGMENTS; ++i)
      if (self->segments[i].graph) cu->cuGraphExecDestroy(self->segments[i].graph);
    if (self->staging) cu->cuMemFreeHost(self->staging);
    if (self->memory) cu->cuMemFree_v2(self->memory);
    if (self->stream) cu->cuStreamDestroy_v2(self->stream);
    leave(self->shared);
  }
  planish_device_release_v1(self->model, close_shared);
}

/* In the device's context. */
static planish_status fill_instance(cuda_instance *self, uint64_t bytes, char *error) {
  const planish_cuda_shared *shared = self->shared;
  const planish_device_program *program = self->model->device;
  int32_t problem = shared->cu.cuStreamCreate(&self->stream, CU_STREAM_NON_BLOCKING_);
  if (problem) return refused(shared, "stream", problem, error);
  problem = shared->cu.cuMemAlloc_v2(&self->memory, (size_t)bytes);
  if (problem) return refused(shared, "memory", problem, error);
  problem = shared->cu.cuMemHostAlloc((void **)&self->staging, (size_t)(bytes - self->places.arena), 0);
  if (problem) return refused(shared, "pinned memory", problem, error);
  for (uint32_t i = 0; i < program->n_kernels; ++i) {
    if (program->kernels[i]->host) continue;
    problem = shared->cu.cuModuleGetFunction(&self->functions[i], shared->module, program->kernels[i]->name);
    if (problem) return refused(shared, program->kernels[i]->name, problem, error);
  }
  return PLANISH_OK;
}

static planish_status create(void *state, const planish_device_owner *owner, char *error) {
  const planish_model *model = owner->model;
  cuda_instance *self = state;
  unsigned char *rest = (unsigned char *)state + planish_aligned(sizeof(*self));
  uint64_t bytes;
  planish_status status;
  void *shared;
  int32_t problem;
  __builtin_memset(state, 0, (size_t)state_bytes(model));
  self->model = model;
  self->places.model = model;
  self->places.frame = owner->frame;
  self->owner = owner->instance;
  self->profile = owner->options->profile;
  self->profile_user = owner->options->profile_user;
  self->scratch = owner->scratch;
  bytes = planish_places_plan_v1(&self->places, rest);
  rest += planish_places_bytes_v1(model);
  self->functions = (cu_handle *)(void *)rest;
  rest += planish_aligned(model->device->n_kernels * sizeof(cu_handle));
  self->capacity = model->n_launches + 1u;
  self->words = words_of(model);
  self->launches = (cuda_launch *)(void *)rest;
  rest += planish_aligned(self->capacity * sizeof(cuda_launch));
  self->arguments = (uint64_t *)(void *)rest;
  status = planish_device_acquire_v1(model, make_shared, &shared, error);
  if (status) return status;
  self->shared = shared;
  problem = enter(self->shared);
  if (problem) {
    status = refused(self->shared, "context", problem, error);
  } else {
    status = fill_instance(self, bytes, error);
    leave(self->shared);
  }
  if (status) destroy(self);
  return status;
}

static void note(cuda_instance *self, int32_t problem, const char *where) {
  if (!problem || self->problem) return;
  self->problem = problem;
  self->problem_at = where;
}

/* Puts a collected launch on the stream. */
static void begin_launch(cuda_instance *self, uint32_t i) {
  const planish_device_kernel *kernel = self->launches[i].kernel;
  size_t bytes = (kernel->n_params + kernel->n_scalars) * sizeof(uint64_t);
  void *extra[] = {(void *)(uintptr_t)CU_LAUNCH_BUFFER_, self->arguments + (size_t)i * self->words,
                   (void *)(uintptr_t)CU_LAUNCH_BUFFER_SIZE_, &bytes, (void *)(uintptr_t)CU_LAUNCH_END_};
  note(self,
       self->shared->cu.cuLaunchKernel(self->functions[kernel->index], (unsigned)self->launches[i].groups, 1,
                                       1, kernel->group, 1, 1, 0, self->stream, NULL, extra),
       kernel->name);
}

/* The segment's launches as an executable graph; NULL where the driver makes none. */
static cu_handle captured(cuda_instance *self) {
  const planish_cuda_functions *cu = &self->shared->cu;
  cu_handle graph = NULL, made = NULL;
  const char *where = self->launches[self->begin].kernel->name;
  int32_t problem = cu->cuStreamBeginCapture_v2(self->stream, CU_CAPTURE_THREAD_LOCAL_);
  if (!problem) {
    for (uint32_t i = self->begin; i < self->end; ++i) begin_launch(self, i);
    problem = cu->cuStreamEndCapture(self->stream, &graph);
  }
  if (!problem) problem = cu->cuGraphInstantiateWithFlags(&made, graph, 0);
  if (graph) cu->cuGraphDestroy(graph);
  note(self, problem, where);
  return problem ? NULL : made;
}

/* Begins what is collected. */
static void begin_segment(cuda_instance *self) {
  const planish_cuda_functions *cu = &self->shared->cu;
  cuda_segment *s = self->segment < SEGMENTS ? &self->segments[self->segment] : NULL;
  if (self->begin == self->end || self->problem) return;
  if (s && (self->changed || !s->graph || s->begin != self->begin || s->end != self->end)) {
    if (s->graph) cu->cuGraphExecDestroy(s->graph);
    s->begin = self->begin;
    s->end = self->end;
    s->graph = captured(self);
  }
  if (s && s->graph) note(self, cu->cuGraphLaunch(s->graph, self->stream), "a graph");
  else
    for (uint32_t i = self->begin; i < self->end; ++i) begin_launch(self, i);
  ++self->segment;
  self->begin = self->end;
  self->changed = 0;
}

static void wait(cuda_instance *self, const char *where) {
  begin_segment(self);
  note(self, self->shared->cu.cuStreamSynchronize(self->stream), where);
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Copies a kernel's parameters from the device to the frame, or back (`up`) those that it writes. */
static void move(cuda_instance *self, const planish_device_kernel *kernel, void *const *buffers, int up) {
  const planish_cuda_functions *cu = &self->shared->cu;
  for (uint32_t i = 0; i < kernel->n_params; ++i) {
    const planish_place at = planish_place_v1(&self->places, buffers[i]);
    const size_t bytes = (size_t)least(kernel->params[i].bytes, at.bytes);
    if (at.is_input || at.is_weight || !bytes || (up && !kernel->params[i].written)) continue;
    note(self,
         up ? cu->cuMemcpyHtoDAsync_v2(self->memory + at.offset, buffers[i], bytes, self->stream)
            : cu->cuMemcpyDtoHAsync_v2(buffers[i], self->memory + at.offset, bytes, self->stream),
         kernel->name);
  }
  note(self, cu->cuStreamSynchronize(self->stream), kernel->name);
}

/* Whether the new launch is another than the last run's at the same place; writes it there. */
static int collect(cuda_instance *self, const planish_device_kernel *kernel, void *const *buffers,
                   const int64_t *scalars, uint64_t groups) {
  cuda_launch *launch = &self->launches[self->end];
  uint64_t *arguments = self->arguments + (size_t)self->end * self->words;
  int changed = self->end >= self->known || launch->kernel != kernel || launch->groups != groups;
  for (uint32_t i = 0; i < kernel->n_params + kernel->n_scalars; ++i) {
    uint64_t word;
    if (i < kernel->n_params) {
      const planish_place at = planish_place_v1(&self->places, buffers[i]);
      word = (at.is_weight ? self->shared->weights : self->memory) + at.offset;
    } else {
      word = (uint64_t)scalars[i - kernel->n_params];
    }
    changed |= arguments[i] != word;
    arguments[i] = word;
  }
  launch->kernel = kernel;
  launch->groups = groups;
  ++self->end;
  if (self->known < self->end) self->known = self->end;
  return changed;
}

static void enqueue(cuda_instance *self, const planish_device_kernel *kernel, void *const *buffers,
                    const int64_t *scalars, int64_t tasks) {
  const uint64_t group = kernel->task_is_group ? 1 : kernel->group;
  if (self->end == self->capacity) { /* a loop: its launches take the same places again */
    begin_segment(self);
    self->begin = self->end = 0;
    self->segment = SEGMENTS;
    self->known = 0;
    self->wrapped = 1;
  }
  self->changed |= collect(self, kernel, buffers, scalars, ((uint64_t)tasks + group - 1) / group);
}

PLANISH_ONE void planish_cuda_launch_v1(planish_instance *instance, uint32_t launch,
                                        const planish_device_kernel *kernel, void *const *buffers,
                                        const int64_t *scalars, int64_t tasks) {
  cuda_instance *self = ((const planish_instance_head *)(const void *)instance)->device;
  const int64_t begin = self->profile ? planish_os_now_v1() : 0;
  int64_t end;
  if (tasks > 0 && !self->problem) {
    if (kernel->host) {
      begin_segment(self);
      move(self, kernel, buffers, 0);
      if (!self->problem) kernel->host(buffers, scalars, self->scratch, 0, tasks);
      move(self, kernel, buffers, 1);
    } else {
      enqueue(self, kernel, buffers, scalars, tasks);
    }
  }
  if (!self->profile) return;
  wait(self, kernel->name);
  end = planish_os_now_v1();
  if (!kernel->host && tasks > 0 && !self->problem)
    move(self, kernel, buffers, 0); /* the callback may look */
  self->profile(self->profile_user, self->owner, launch, begin, end);
}

static planish_status status_of(const cuda_instance *self, char *error) {
  if (!self->problem) return PLANISH_OK;
  planish_text_v1(error, "CUDA device '%s' failed at %s: %s", self->shared->name, self->problem_at,
                  planish_cuda_word_v1(&self->shared->cu, self->problem));
  return PLANISH_RUN_FAILED;
}

static planish_status begin_run(void *state, char *error) {
  cuda_instance *self = state;
  const planish_model *model = self->model;
  self->problem = enter(self->shared);
  self->problem_at = "the begin of the run";
  if (self->problem) return status_of(self, error);
  self->begin = self->end = self->segment = 0;
  self->changed = self->wrapped = 0;
  for (uint32_t i = 0; i < model->n_inputs; ++i) {
    const size_t bytes =
        (size_t)planish_bytes_of_v1(&model->inputs[i], self->places.frame->input_dims + i * PLANISH_MAX_RANK);
    const uint64_t at = self->places.input_at[i];
    unsigned char *pinned = self->staging + (at - self->places.arena);
    if (!bytes) continue;
    __builtin_memcpy(pinned, self->places.frame->inputs[i], bytes);
    note(self, self->shared->cu.cuMemcpyHtoDAsync_v2(self->memory + at, pinned, bytes, self->stream),
         model->inputs[i].name);
  }
  if (self->problem) leave(self->shared);
  return status_of(self, error);
}

static planish_status end_run(void *state, char *error) {
  cuda_instance *self = state;
  const planish_model *model = self->model;
  const int64_t *dims = self->places.frame->output_dims;
  begin_segment(self);
  /* Graphs are as the places say only after a run that took each once. */
  self->known = self->wrapped || self->problem ? 0 : self->end;
  for (uint32_t i = 0; i < model->n_outputs && !self->problem; ++i) {
    const size_t bytes = (size_t)planish_bytes_of_v1(&model->outputs[i], dims + i * PLANISH_MAX_RANK);
    const uint64_t at = self->places.output_at[i];
    if (bytes)
      note(self,
           self->shared->cu.cuMemcpyDtoHAsync_v2(self->staging + (at - self->places.arena), self->memory + at,
                                                 bytes, self->stream),
           model->outputs[i].name);
  }
  note(self, self->shared->cu.cuStreamSynchronize(self->stream), "the end of the run");
  for (uint32_t i = 0; i < model->n_outputs && !self->problem; ++i)
    __builtin_memcpy(self->places.frame->outputs[i],
                     self->staging + (self->places.output_at[i] - self->places.arena),
                     (size_t)planish_bytes_of_v1(&model->outputs[i], dims + i * PLANISH_MAX_RANK));
  leave(self->shared);
  return status_of(self, error);
}

PLANISH_ONE const planish_device_hooks planish_cuda_hooks_v1 = {
    state_bytes, create, destroy, begin_run, end_run,
};
