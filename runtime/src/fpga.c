/* Instances whose layers of codes run on an FPGA's engine, through the board's driver (planish/fpga.h). The
 * engine works on the arena; what the host runs is launched as on a CPU. */
#include "fpga.h"

#include "text.h"

extern void *dlopen(const char *path, int mode);
extern void *dlsym(void *library, const char *name);
extern char *getenv(const char *name);

enum { RESOLVE_NOW = 2 };

typedef struct fpga_instance {
  const planish_model *model;
  const planish_fpga_board *driver;
  planish_instance *owner;
  planish_profile_fn profile;
  void *profile_user;
  void *board; /* the driver's */
  int problem;
  char message[PLANISH_FPGA_ERROR_BYTES];
} fpga_instance;

static uint64_t state_bytes(const planish_model *model) {
  (void)model;
  return (sizeof(fpga_instance) + PLANISH_ALIGNMENT - 1) / PLANISH_ALIGNMENT * PLANISH_ALIGNMENT;
}

static planish_status load(fpga_instance *self, const planish_fpga_engine *engine, char *error) {
  const char *other = getenv("PLANISH_FPGA_DRIVER");
  const char *path = other && *other ? other : "libplanish_fpga.so";
  void *library = dlopen(path, RESOLVE_NOW);
  if (!library) {
    planish_text_v1(error,
                    "model '%s' needs the driver of a board for '%s', but '%s' cannot be loaded; "
                    "PLANISH_FPGA_DRIVER names one",
                    engine->model, engine->board, path);
    return PLANISH_NO_DEVICE;
  }
  self->driver = dlsym(library, PLANISH_FPGA_DRIVER_SYMBOL);
  if (!self->driver || self->driver->version != PLANISH_FPGA_VERSION) {
    planish_text_v1(error, "'%s' is no driver of a board for this version: it has no %s of version %d", path,
                    PLANISH_FPGA_DRIVER_SYMBOL, (int64_t)PLANISH_FPGA_VERSION);
    return PLANISH_NO_DEVICE;
  }
  return PLANISH_OK;
}

static planish_status create(void *state, const planish_device_owner *owner, char *error) {
  const planish_fpga_program *program = (const planish_fpga_program *)(const void *)owner->model->device;
  fpga_instance *self = state;
  planish_status status;
  __builtin_memset(self, 0, sizeof(*self));
  self->model = owner->model;
  self->owner = owner->instance;
  self->profile = owner->options->profile;
  self->profile_user = owner->options->profile_user;
  status = load(self, &program->engine, error);
  if (status) return status;
  if (self->driver->open(&program->engine, owner->frame->arena, owner->model->arena_bytes, &self->board,
                         self->message)) {
    self->message[PLANISH_FPGA_ERROR_BYTES - 1] = 0;
    planish_text_v1(error, "the driver of '%s' refuses model '%s': %s", program->engine.board,
                    program->engine.model, self->message);
    return PLANISH_NO_DEVICE;
  }
  return PLANISH_OK;
}

static void destroy(void *state) {
  fpga_instance *self = state;
  self->driver->close(self->board);
}

PLANISH_ONE void planish_fpga_launch_v1(planish_instance *instance, uint32_t launch,
                                        const planish_fpga_kernel *kernel, void *const *buffers,
                                        const int64_t *scalars, int64_t tasks) {
  fpga_instance *self = ((const planish_instance_head *)(const void *)instance)->device;
  int64_t begin;
  if (self->problem) return;
  if (kernel->host) {
    planish_launch_v1(instance, launch, kernel->host, buffers, scalars, tasks);
    return;
  }
  begin = self->profile ? planish_os_now_v1() : 0;
  self->problem = self->driver->run(self->board, kernel->first, kernel->count, self->message);
  if (self->profile) self->profile(self->profile_user, self->owner, launch, begin, planish_os_now_v1());
}

static planish_status begin_run(void *state, char *error) {
  fpga_instance *self = state;
  (void)error;
  self->problem = 0;
  return PLANISH_OK;
}

static planish_status end_run(void *state, char *error) {
  fpga_instance *self = state;
  if (!self->problem) return PLANISH_OK;
  self->message[PLANISH_FPGA_ERROR_BYTES - 1] = 0;
  planish_text_v1(error, "the engine of model '%s' failed: %s", self->model->name, self->message);
  return PLANISH_RUN_FAILED;
}

PLANISH_ONE const planish_device_hooks planish_fpga_hooks_v1 = {
    state_bytes, create, destroy, begin_run, end_run,
};
