/* OpenCL's library, and the device that a model runs on. */
#include "opencl.h"
#include "text.h"

extern void *dlopen(const char *path, int mode);
extern void *dlsym(void *library, const char *name);
extern char *getenv(const char *name);

enum { RESOLVE_NOW = 2, MOST_PLATFORMS = 16, MOST_DEVICES = 32 };

static planish_status load(planish_opencl_shared *to, const planish_model *model, char *error) {
  static const char *const names[] = {
#define PLANISH_NAME(result, name, parameters) "cl" #name,
      PLANISH_OPENCL_FUNCTIONS(PLANISH_NAME)
#undef PLANISH_NAME
  };
  const char *other = getenv("PLANISH_OPENCL_LIBRARY");
  const char *path = other && *other ? other : "libOpenCL.so.1";
  unsigned char *at = (unsigned char *)&to->cl;
  to->library = dlopen(path, RESOLVE_NOW);
  if (!to->library) {
    planish_text_v1(error, "model '%s' needs an OpenCL device, but '%s' is not on this system", model->name,
                    path);
    return PLANISH_NO_DEVICE;
  }
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
    void *symbol = dlsym(to->library, names[i]);
    if (!symbol) {
      planish_text_v1(error, "'%s' is no OpenCL library: it has no %s", path, names[i]);
      return PLANISH_NO_DEVICE;
    }
    /* ISO C has no cast from object to function pointer. */
    __builtin_memcpy(at + i * sizeof(symbol), &symbol, sizeof(symbol));
  }
  return PLANISH_OK;
}

static void name_of(planish_opencl_shared *self, cl_handle platform, cl_handle device, char *name) {
  enum { HALF = PLANISH_OPENCL_NAME_BYTES / 2 };
  char first[HALF] = "", second[HALF] = "", line[PLANISH_ERROR_BYTES];
  self->cl.GetPlatformInfo(platform, CL_PLATFORM_NAME_, HALF - 2, first, NULL);
  self->cl.GetDeviceInfo(device, CL_DEVICE_NAME_, HALF - 2, second, NULL);
  planish_text_v1(line, "%s: %s", first, second);
  __builtin_memcpy(name, line, PLANISH_OPENCL_NAME_BYTES);
  name[PLANISH_OPENCL_NAME_BYTES - 1] = 0;
}

/* How much rather than another this device is taken. */
static int rank_of(const planish_opencl_shared *self, cl_handle device) {
  cl_flags type = 0;
  self->cl.GetDeviceInfo(device, CL_DEVICE_TYPE_, sizeof(type), &type, NULL);
  return type & CL_TYPE_GPU ? 3 : type & CL_TYPE_ACCELERATOR ? 2 : 1;
}

static planish_status choose(planish_opencl_shared *self, const planish_model *model, char *error) {
  const char *wanted = getenv("PLANISH_OPENCL_DEVICE");
  cl_handle platforms[MOST_PLATFORMS], devices[MOST_DEVICES];
  char seen[PLANISH_ERROR_BYTES / 2] = "", name[PLANISH_OPENCL_NAME_BYTES];
  uint32_t n_platforms = 0, n_devices = 0, unified = 0;
  size_t used = 0;
  int best = 0;
  if (self->cl.GetPlatformIDs(MOST_PLATFORMS, platforms, &n_platforms) != CL_OK) n_platforms = 0;
  for (uint32_t p = 0; p < n_platforms && p < MOST_PLATFORMS; ++p) {
    if (self->cl.GetDeviceIDs(platforms[p], 0xFFFFFFFF, MOST_DEVICES, devices, &n_devices) != CL_OK) continue;
    for (uint32_t d = 0; d < n_devices && d < MOST_DEVICES; ++d) {
      const int rank = rank_of(self, devices[d]);
      name_of(self, platforms[p], devices[d], name);
      for (const char *c = used ? ", '" : "'"; *c && used + 2 < sizeof(seen); ++c) seen[used++] = *c;
      for (const char *c = name; *c && used + 2 < sizeof(seen); ++c) seen[used++] = *c;
      seen[used++] = '\'';
      seen[used] = 0;
      if (rank <= best || (wanted && !planish_contains_v1(name, wanted))) continue;
      best = rank;
      self->device = devices[d];
      __builtin_memcpy(self->name, name, sizeof(name));
    }
  }
  if (best) {
    self->cl.GetDeviceInfo(self->device, CL_DEVICE_HOST_UNIFIED_MEMORY_, sizeof(unified), &unified, NULL);
    self->unified = unified != 0 || best == 1;
    return PLANISH_OK;
  }
  if (used)
    planish_text_v1(error, "PLANISH_OPENCL_DEVICE is '%s', but the OpenCL devices are %s", wanted, seen);
  else
    planish_text_v1(error, "model '%s' needs an OpenCL device, but OpenCL has none on this system",
                    model->name);
  return PLANISH_NO_DEVICE;
}

PLANISH_ONE planish_status planish_opencl_open_v1(planish_opencl_shared *to, const planish_model *model,
                                                  char *error) {
  planish_status status = load(to, model, error);
  if (!status) status = choose(to, model, error);
  return status;
}

/* The library itself stays: some drivers do not survive being unloaded. */
PLANISH_ONE void planish_opencl_close_v1(planish_opencl_shared *of) {
  if (of->weights) of->cl.ReleaseMemObject(of->weights);
  if (of->program) of->cl.ReleaseProgram(of->program);
  if (of->context) of->cl.ReleaseContext(of->context);
}
