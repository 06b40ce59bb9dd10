/* CUDA's driver, and the device that a model runs on. */
#include "cuda.h"
#include "text.h"

extern void *dlopen(const char *path, int mode);
extern void *dlsym(void *library, const char *name);
extern char *getenv(const char *name);

enum { RESOLVE_NOW = 2 };

PLANISH_ONE const char *planish_cuda_find_v1(void *library, const char *const *names, size_t count,
                                             void *functions) {
  unsigned char *at = functions;
  for (size_t i = 0; i < count; ++i) {
    void *symbol = dlsym(library, names[i]);
    if (!symbol) return names[i];
    /* ISO C has no cast from object to function pointer. */
    __builtin_memcpy(at + i * sizeof(symbol), &symbol, sizeof(symbol));
  }
  return NULL;
}

PLANISH_ONE const char *planish_cuda_word_v1(const planish_cuda_functions *cu, int32_t problem) {
  const char *word = NULL;
  return cu->cuGetErrorName(problem, &word) == 0 && word ? word : "an unknown error";
}

static planish_status load(planish_cuda_shared *to, const planish_model *model, char *error) {
  static const char *const names[] = {
#define PLANISH_NAME(name, parameters) #name,
      PLANISH_CUDA_FUNCTIONS(PLANISH_NAME)
#undef PLANISH_NAME
  };
  const char *other = getenv("PLANISH_CUDA_LIBRARY"), *missing;
  const char *path = other && *other ? other : "libcuda.so.1";
  void *library = dlopen(path, RESOLVE_NOW);
  int32_t problem;
  if (!library) {
    planish_text_v1(error, "model '%s' needs a CUDA device, but '%s' is not on this system", model->name,
                    path);
    return PLANISH_NO_DEVICE;
  }
  missing = planish_cuda_find_v1(library, names, sizeof(names) / sizeof(names[0]), &to->cu);
  if (missing) {
    planish_text_v1(error, "'%s' is no CUDA driver, or one that is too old: it has no %s", path, missing);
    return PLANISH_NO_DEVICE;
  }
  problem = to->cu.cuInit(0);
  if (!problem) return PLANISH_OK;
  planish_text_v1(error, "model '%s' needs a CUDA device, but the driver does not start: %s", model->name,
                  planish_cuda_word_v1(&to->cu, problem));
  return PLANISH_NO_DEVICE;
}

static int32_t capability_of(const planish_cuda_functions *cu, int32_t device) {
  int32_t major = 0, minor = 0;
  cu->cuDeviceGetAttribute(&major, CU_CAPABILITY_MAJOR_, device);
  cu->cuDeviceGetAttribute(&minor, CU_CAPABILITY_MINOR_, device);
  return 10 * major + minor;
}

static planish_status choose(planish_cuda_shared *self, const planish_model *model, char *error) {
  const planish_cuda_program *program = (const planish_cuda_program *)(const void *)model->device;
  const char *wanted = getenv("PLANISH_CUDA_DEVICE");
  char seen[PLANISH_ERROR_BYTES / 2] = "", one[PLANISH_ERROR_BYTES];
  int32_t count = 0;
  size_t used = 0;
  if (self->cu.cuDeviceGetCount(&count)) count = 0;
  for (int32_t i = 0; i < count; ++i) {
    if (self->cu.cuDeviceGet(&self->device, i) ||
        self->cu.cuDeviceGetName(self->name, PLANISH_CUDA_NAME_BYTES - 1, self->device))
      continue;
    self->capability = capability_of(&self->cu, self->device);
    if (self->capability >= (int32_t)program->capability &&
        (!wanted || !*wanted || planish_contains_v1(self->name, wanted)))
      return PLANISH_OK;
    planish_text_v1(one, "%s'%s' (sm_%d)", used ? ", " : "", self->name, (int64_t)self->capability);
    for (const char *c = one; *c && used + 1 < sizeof(seen); ++c) seen[used++] = *c;
    seen[used] = 0;
  }
  if (!used) planish_text_v1(error, "model '%s' needs a CUDA device, but the driver has none", model->name);
  else
    planish_text_v1(error, "model '%s' needs a CUDA device of sm_%d or later%s%s%s, but the devices are %s",
                    model->name, (int64_t)program->capability,
                    wanted && *wanted ? " with PLANISH_CUDA_DEVICE '" : "", wanted ? wanted : "",
                    wanted && *wanted ? "' in its name" : "", seen);
  return PLANISH_NO_DEVICE;
}

PLANISH_ONE planish_status planish_cuda_open_v1(planish_cuda_shared *to, const planish_model *model,
                                                char *error) {
  planish_status status = load(to, model, error);
  if (!status) status = choose(to, model, error);
  return status;
}
