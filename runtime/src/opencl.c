/* Instances on an OpenCL device, with one buffer for the block of planish_places. Kernels of the host work on
 * its mirror, with what they read and write copied before and after. */
#include "opencl.h"

#include "text.h"

typedef struct opencl_instance {
  planish_opencl_shared *shared;
  const planish_model *model;
  planish_places places;
  planish_instance *owner;
  planish_profile_fn profile;
  void *profile_user;
  void *scratch; /* of kernels on the host */
  cl_handle queue;
  cl_handle memory;
  cl_handle *kernels; /* [n_kernels], NULL for those of the host */
  int32_t problem; /* OpenCL's code of the first call that failed in this run */
  const char *problem_at; /* the kernel */
} opencl_instance;

static uint64_t state_bytes(const planish_model *model) {
  return planish_aligned(sizeof(opencl_instance)) + planish_places_bytes_v1(model) +
         planish_aligned(model->device->n_kernels * sizeof(cl_handle));
}

static planish_status refused(const planish_opencl_shared *shared, const char *what, int32_t problem,
                              char *error) {
  planish_text_v1(error, "OpenCL device '%s' gives no %s (error %d)", shared->name, what, (int64_t)problem);
  return PLANISH_NO_DEVICE;
}

static planish_status fill_shared(planish_opencl_shared *self, const planish_model *model, char *error) {
  int32_t problem = 0;
  planish_status status = planish_opencl_open_v1(self, model, error);
  if (status) return status;
  self->context = self->cl.CreateContext(NULL, 1, &self->device, NULL, NULL, &problem);
  if (!self->context || problem) return refused(self, "context", problem, error);
  if (model->weights_bytes) {
    const cl_flags flags = CL_MEM_READ_ONLY_ | (self->unified ? CL_MEM_USE_HOST_PTR_ : CL_MEM_COPY_HOST_PTR_);
    self->weights = self->cl.CreateBuffer(self->context, flags, (size_t)model->weights_bytes,
                                          (void *)(uintptr_t)model->weights, &problem);
    if (!self->weights || problem) return refused(self, "memory for the weights", problem, error);
  }
  return planish_opencl_build_v1(self, model, error);
}

static void close_shared(void *shared) {
  planish_opencl_close_v1(shared);
  planish_os_free_v1(shared);
}

static planish_status make_shared(const planish_model *model, char *error) {
  planish_opencl_shared *self = planish_os_allocate_v1(sizeof(*self));
  planish_status status;
  if (!self) {
    planish_text_v1(error, "no memory for the OpenCL device of model '%s'", model->name);
    return PLANISH_OUT_OF_MEMORY;
  }
  __builtin_memset(self, 0, sizeof(*self));
  status = fill_shared(self, model, error);
  if (status) close_shared(self);
  else *model->device->shared = self;
  return status;
}

static void destroy(void *state) {
  opencl_instance *self = state;
  const planish_opencl_functions *cl = &self->shared->cl;
  if (self->queue) cl->Finish(self->queue);
  for (uint32_t i = 0; i < self->model->device->n_kernels; ++i)
    if (self->kernels[i]) cl->ReleaseKernel(self->kernels[i]);
  if (self->memory) cl->ReleaseMemObject(self->memory);
  if (self->queue) cl->ReleaseCommandQueue(self->queue);
  planish_device_release_v1(self->model, close_shared);
}

static planish_status fill_instance(opencl_instance *self, uint64_t bytes, char *error) {
  const planish_opencl_shared *shared = self->shared;
  const planish_device_program *program = self->model->device;
  int32_t problem = 0;
  self->queue = shared->cl.CreateCommandQueue(shared->context, shared->device, 0, &problem);
  if (!self->queue || problem) return refused(shared, "command queue", problem, error);
  self->memory = shared->cl.CreateBuffer(shared->context, CL_MEM_READ_WRITE_, (size_t)bytes, NULL, &problem);
  if (!self->memory || problem) return refused(shared, "memory", problem, error);
  for (uint32_t i = 0; i < program->n_kernels; ++i) {
    if (program->kernels[i]->host) continue;
    self->kernels[i] = shared->cl.CreateKernel(shared->program, program->kernels[i]->name, &problem);
    if (!self->kernels[i] || problem) return refused(shared, program->kernels[i]->name, problem, error);
  }
  return PLANISH_OK;
}

static planish_status create(void *state, const planish_device_owner *owner, char *error) {
  const planish_model *model = owner->model;
  opencl_instance *self = state;
  unsigned char *rest = (unsigned char *)state + planish_aligned(sizeof(*self));
  uint64_t bytes;
  planish_status status;
  void *shared;
  __builtin_memset(state, 0, (size_t)state_bytes(model));
  self->model = model;
  self->places.model = model;
  self->places.frame = owner->frame;
  self->owner = owner->instance;
  self->profile = owner->options->profile;
  self->profile_user = owner->options->profile_user;
  self->scratch = owner->scratch;
  bytes = planish_places_plan_v1(&self->places, rest);
  self->kernels = (cl_handle *)(void *)(rest + planish_places_bytes_v1(model));
  status = planish_device_acquire_v1(model, make_shared, &shared, error);
  if (status) return status;
  self->shared = shared;
  status = fill_instance(self, bytes, error);
  if (status) destroy(self);
  return status;
}

static void note(opencl_instance *self, int32_t problem, const char *where) {
  if (!problem || self->problem) return;
  self->problem = problem;
  self->problem_at = where;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Copies a kernel's parameters from the device to the frame, or back (`up`) those that it writes. */
static void move(opencl_instance *self, const planish_device_kernel *kernel, void *const *buffers, int up) {
  const planish_opencl_functions *cl = &self->shared->cl;
  for (uint32_t i = 0; i < kernel->n_params; ++i) {
    const planish_place at = planish_place_v1(&self->places, buffers[i]);
    const cl_handle memory = at.is_weight ? self->shared->weights : self->memory;
    const size_t bytes = (size_t)least(kernel->params[i].bytes, at.bytes);
    if (at.is_input || at.is_weight || !bytes || (up && !kernel->params[i].written)) continue;
    note(self,
         up ? cl->EnqueueWriteBuffer(self->queue, memory, 1, (size_t)at.offset, bytes, buffers[i], 0, NULL,
                                     NULL)
            : cl->EnqueueReadBuffer(self->queue, memory, 1, (size_t)at.offset, bytes, buffers[i], 0, NULL,
                                    NULL),
         kernel->name);
  }
}

static void enqueue(opencl_instance *self, const planish_device_kernel *kernel, void *const *buffers,
                    const int64_t *scalars, int64_t tasks) {
  const planish_opencl_functions *cl = &self->shared->cl;
  const cl_handle handle = self->kernels[kernel->index];
  const size_t group = kernel->group;
  const size_t groups = kernel->task_is_group ? (size_t)tasks : ((size_t)tasks + group - 1) / group;
  const size_t items = groups * group;
  uint32_t argument = 0;
  int32_t problem = 0;
  for (uint32_t i = 0; i < kernel->n_params; ++i) {
    const planish_place at = planish_place_v1(&self->places, buffers[i]);
    const cl_handle memory = at.is_weight ? self->shared->weights : self->memory;
    const int64_t element = (int64_t)(at.offset / kernel->params[i].element);
    problem |= cl->SetKernelArg(handle, argument++, sizeof(memory), &memory);
    problem |= cl->SetKernelArg(handle, argument++, sizeof(element), &element);
  }
  for (uint32_t i = 0; i < kernel->n_scalars; ++i)
    problem |= cl->SetKernelArg(handle, argument++, sizeof(scalars[i]), &scalars[i]);
  if (!problem)
    problem = cl->EnqueueNDRangeKernel(self->queue, handle, 1, NULL, &items, &group, 0, NULL, NULL);
  note(self, problem, kernel->name);
}

PLANISH_ONE void planish_opencl_launch_v1(planish_instance *instance, uint32_t launch,
                                          const planish_device_kernel *kernel, void *const *buffers,
                                          const int64_t *scalars, int64_t tasks) {
  opencl_instance *self = ((const planish_instance_head *)(const void *)instance)->device;
  const int64_t begin = self->profile ? planish_os_now_v1() : 0;
  int64_t end;
  if (tasks > 0 && !self->problem) {
    if (kernel->host) {
      move(self, kernel, buffers, 0);
      kernel->host(buffers, scalars, self->scratch, 0, tasks);
      move(self, kernel, buffers, 1);
    } else {
      enqueue(self, kernel, buffers, scalars, tasks);
    }
  }
  if (!self->profile) return;
  note(self, self->shared->cl.Finish(self->queue), kernel->name);
  end = planish_os_now_v1();
  if (!kernel->host && tasks > 0 && !self->problem)
    move(self, kernel, buffers, 0); /* the callback may look */
  self->profile(self->profile_user, self->owner, launch, begin, end);
}

static planish_status status_of(const opencl_instance *self, char *error) {
  if (!self->problem) return PLANISH_OK;
  planish_text_v1(error, "OpenCL device '%s' failed at %s (error %d)", self->shared->name, self->problem_at,
                  (int64_t)self->problem);
  return PLANISH_RUN_FAILED;
}

static planish_status begin_run(void *state, char *error) {
  opencl_instance *self = state;
  const planish_model *model = self->model;
  self->problem = 0;
  for (uint32_t i = 0; i < model->n_inputs; ++i) {
    const size_t bytes =
        (size_t)planish_bytes_of_v1(&model->inputs[i], self->places.frame->input_dims + i * PLANISH_MAX_RANK);
    if (!bytes) continue;
    note(self,
         self->shared->cl.EnqueueWriteBuffer(self->queue, self->memory, 1, (size_t)self->places.input_at[i],
                                             bytes, self->places.frame->inputs[i], 0, NULL, NULL),
         model->inputs[i].name);
  }
  return status_of(self, error);
}

static planish_status end_run(void *state, char *error) {
  opencl_instance *self = state;
  const planish_model *model = self->model;
  note(self, self->shared->cl.Finish(self->queue), "the end of the run");
  for (uint32_t i = 0; i < model->n_outputs && !self->problem; ++i) {
    const size_t bytes = (size_t)planish_bytes_of_v1(&model->outputs[i],
                                                     self->places.frame->output_dims + i * PLANISH_MAX_RANK);
    if (!bytes) continue;
    note(self,
         self->shared->cl.EnqueueReadBuffer(self->queue, self->memory, 1, (size_t)self->places.output_at[i],
                                            bytes, self->places.frame->outputs[i], 0, NULL, NULL),
         model->outputs[i].name);
  }
  return status_of(self, error);
}

PLANISH_ONE const planish_device_hooks planish_opencl_hooks_v1 = {
    state_bytes, create, destroy, begin_run, end_run,
};
