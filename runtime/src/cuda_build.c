/* A model's kernels on a CUDA device. */
#include "cuda.h"
#include "text.h"

extern void *dlopen(const char *path, int mode);
extern char *getenv(const char *name);

enum { RESOLVE_NOW = 2 };

/* X(name, parameters): after NVIDIA's "NVRTC" manual; all return 0 or the number of an error. */
#define PLANISH_NVRTC_FUNCTIONS(X)                                                                           \
  X(nvrtcCreateProgram,                                                                                      \
    (cu_handle *, const char *, const char *, int32_t, const char *const *, const char *const *))            \
  X(nvrtcDestroyProgram, (cu_handle *))                                                                      \
  X(nvrtcCompileProgram, (cu_handle, int32_t, const char *const *))                                          \
  X(nvrtcGetCUBINSize, (cu_handle, size_t *))                                                                \
  X(nvrtcGetCUBIN, (cu_handle, char *))                                                                      \
  X(nvrtcGetProgramLogSize, (cu_handle, size_t *))                                                           \
  X(nvrtcGetProgramLog, (cu_handle, char *))

typedef struct nvrtc_functions {
#define PLANISH_MEMBER(name, parameters) int32_t(*name) parameters;
  PLANISH_NVRTC_FUNCTIONS(PLANISH_MEMBER)
#undef PLANISH_MEMBER
} nvrtc_functions;

static planish_status open_nvrtc(nvrtc_functions *to, const planish_model *model, char *error) {
  static const char *const functions[] = {
#define PLANISH_NAME(name, parameters) #name,
      PLANISH_NVRTC_FUNCTIONS(PLANISH_NAME)
#undef PLANISH_NAME
  };
  static const char *const names[] = {"libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"};
  const char *other = getenv("PLANISH_NVRTC_LIBRARY");
  void *library = NULL;
  if (other && *other) library = dlopen(other, RESOLVE_NOW);
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !library && !(other && *other); ++i)
    library = dlopen(names[i], RESOLVE_NOW);
  if (library && !planish_cuda_find_v1(library, functions, sizeof(functions) / sizeof(functions[0]), to))
    return PLANISH_OK;
  planish_text_v1(
      error,
      "model '%s' has its kernels as source, but '%s' of the CUDA toolkit, which would compile them, "
      "is not on this system",
      model->name, other && *other ? other : names[0]);
  return PLANISH_NO_DEVICE;
}

/* The line of the compiler's log that says what is wrong. */
static void explain(const nvrtc_functions *nvrtc, cu_handle work, const planish_model *model, char *error) {
  size_t size = 0;
  char *log = NULL;
  const char *line = "without a word";
  if (nvrtc->nvrtcGetProgramLogSize(work, &size) == 0 && size) log = planish_os_allocate_v1(size + 1);
  if (log && nvrtc->nvrtcGetProgramLog(work, log) == 0) {
    log[size] = 0;
    line = planish_complaint_v1(log);
  }
  planish_text_v1(error, "NVRTC refuses the kernels of model '%s': %s", model->name, line);
  if (log) planish_os_free_v1(log);
}

static planish_status from_source(planish_cuda_shared *of, const planish_model *model, char *error) {
  nvrtc_functions nvrtc;
  cu_handle work = NULL;
  char architecture[PLANISH_ERROR_BYTES];
  const char *const options[] = {architecture, "--fmad=false", "--std=c++17"};
  planish_status status = open_nvrtc(&nvrtc, model, error);
  size_t size = 0;
  char *code = NULL;
  int32_t problem = 0;
  if (status) return status;
  planish_text_v1(architecture, "--gpu-architecture=sm_%d", (int64_t)of->capability);
  if (nvrtc.nvrtcCreateProgram(&work, model->device->source, "kernels.cu", 0, NULL, NULL) != 0) {
    planish_text_v1(error, "NVRTC takes no kernels of model '%s'", model->name);
    return PLANISH_NO_DEVICE;
  }
  status = PLANISH_NO_DEVICE;
  if (nvrtc.nvrtcCompileProgram(work, sizeof(options) / sizeof(options[0]), options) != 0 ||
      nvrtc.nvrtcGetCUBINSize(work, &size) != 0 || !size) {
    explain(&nvrtc, work, model, error);
  } else if (!(code = planish_os_allocate_v1(size))) {
    planish_text_v1(error, "no memory for the kernels of model '%s'", model->name);
    status = PLANISH_OUT_OF_MEMORY;
  } else {
    problem = nvrtc.nvrtcGetCUBIN(work, code) != 0 ? -1 : of->cu.cuModuleLoadData(&of->module, code);
    if (!problem) status = PLANISH_OK;
    else
      planish_text_v1(error, "CUDA device '%s' refuses what NVRTC made of model '%s': %s", of->name,
                      model->name, planish_cuda_word_v1(&of->cu, problem));
  }
  if (code) planish_os_free_v1(code);
  nvrtc.nvrtcDestroyProgram(&work);
  return status;
}

PLANISH_ONE planish_status planish_cuda_build_v1(planish_cuda_shared *of, const planish_model *model,
                                                 char *error) {
  const planish_cuda_program *program = (const planish_cuda_program *)(const void *)model->device;
  int32_t problem;
  if (!program->cubin) return from_source(of, model, error);
  problem = of->cu.cuModuleLoadData(&of->module, program->cubin);
  /* A device of a later generation: its driver compiles the assembly. */
  if (problem == CU_NO_BINARY_FOR_GPU_) problem = of->cu.cuModuleLoadData(&of->module, program->ptx);
  if (!problem) return PLANISH_OK;
  planish_text_v1(error, "CUDA device '%s' (sm_%d) refuses the kernels of model '%s': %s", of->name,
                  (int64_t)of->capability, model->name, planish_cuda_word_v1(&of->cu, problem));
  return PLANISH_NO_DEVICE;
}
