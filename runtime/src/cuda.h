/* What the runtime uses of CUDA's driver, declared by hand after NVIDIA's "CUDA Driver API" manual, since no
 * header and no library of it may be needed: functions are found by dlsym. Likewise of NVRTC, its compiler.
 */
#ifndef PLANISH_RUNTIME_CUDA_H
#define PLANISH_RUNTIME_CUDA_H

#include "device.h"

typedef struct cu_object *cu_handle; /* any of the driver's opaque types */
typedef uint64_t cu_pointer;         /* an address of the device */

enum {
  CU_NO_BINARY_FOR_GPU_ = 209,
  CU_CAPABILITY_MAJOR_ = 75,
  CU_CAPABILITY_MINOR_ = 76,
  CU_STREAM_NON_BLOCKING_ = 1,
  CU_CAPTURE_THREAD_LOCAL_ = 1,
  CU_LAUNCH_END_ = 0,
  CU_LAUNCH_BUFFER_ = 1,
  CU_LAUNCH_BUFFER_SIZE_ = 2
};

/* X(name, parameters): every function of the driver that is used; all return 0 or the number of an error. */
#define PLANISH_CUDA_FUNCTIONS(X)                                                                            \
  X(cuInit, (unsigned))                                                                                      \
  X(cuGetErrorName, (int32_t, const char **))                                                                \
  X(cuDeviceGetCount, (int32_t *))                                                                           \
  X(cuDeviceGet, (int32_t *, int32_t))                                                                       \
  X(cuDeviceGetName, (char *, int32_t, int32_t))                                                             \
  X(cuDeviceGetAttribute, (int32_t *, int32_t, int32_t))                                                     \
  X(cuDevicePrimaryCtxRetain, (cu_handle *, int32_t))                                                        \
  X(cuDevicePrimaryCtxRelease_v2, (int32_t))                                                                 \
  X(cuCtxPushCurrent_v2, (cu_handle))                                                                        \
  X(cuCtxPopCurrent_v2, (cu_handle *))                                                                       \
  X(cuModuleLoadData, (cu_handle *, const void *))                                                           \
  X(cuModuleUnload, (cu_handle))                                                                             \
  X(cuModuleGetFunction, (cu_handle *, cu_handle, const char *))                                             \
  X(cuMemAlloc_v2, (cu_pointer *, size_t))                                                                   \
  X(cuMemFree_v2, (cu_pointer))                                                                              \
  X(cuMemHostAlloc, (void **, size_t, unsigned))                                                             \
  X(cuMemFreeHost, (void *))                                                                                 \
  X(cuMemcpyHtoDAsync_v2, (cu_pointer, const void *, size_t, cu_handle))                                     \
  X(cuMemcpyDtoHAsync_v2, (void *, cu_pointer, size_t, cu_handle))                                           \
  X(cuStreamCreate, (cu_handle *, unsigned))                                                                 \
  X(cuStreamDestroy_v2, (cu_handle))                                                                         \
  X(cuStreamSynchronize, (cu_handle))                                                                        \
  X(cuStreamBeginCapture_v2, (cu_handle, int32_t))                                                           \
  X(cuStreamEndCapture, (cu_handle, cu_handle *))                                                            \
  X(cuGraphInstantiateWithFlags, (cu_handle *, cu_handle, uint64_t))                                         \
  X(cuGraphDestroy, (cu_handle))                                                                             \
  X(cuGraphLaunch, (cu_handle, cu_handle))                                                                   \
  X(cuGraphExecDestroy, (cu_handle))                                                                         \
  X(cuLaunchKernel, (cu_handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,        \
                     cu_handle, void **, void **))

typedef struct planish_cuda_functions {
#define PLANISH_MEMBER(name, parameters) int32_t(*name) parameters;
  PLANISH_CUDA_FUNCTIONS(PLANISH_MEMBER)
#undef PLANISH_MEMBER
} planish_cuda_functions;

#define PLANISH_CUDA_NAME_BYTES 128

/* A device, opened, with a model's kernels and weights; shared by the model's instances. */
typedef struct planish_cuda_shared {
  planish_device_shared common;
  planish_cuda_functions cu;
  int32_t device;
  int32_t capability; /* of the device, as 87 for 8.7 */
  cu_handle context;  /* NULL until it is retained */
  cu_handle module;
  cu_pointer weights; /* 0 where the model has none */
  char name[PLANISH_CUDA_NAME_BYTES];
} planish_cuda_shared;

/* All functions of a library by their names, in order, to `functions`; the name of one that is missing, or
 * NULL. */
PLANISH_SHARED const char *planish_cuda_find_v1(void *library, const char *const *names, size_t count,
                                                void *functions);

/* Loads the driver and chooses the device: the first whose name contains PLANISH_CUDA_DEVICE (any case) and
 * whose compute capability suffices. Fills cu, device, capability and name. PLANISH_CUDA_LIBRARY names
 * another library than libcuda.so.1. */
PLANISH_SHARED planish_status planish_cuda_open_v1(planish_cuda_shared *to, const planish_model *model,
                                                   char *error);

/* Loads the model's kernels into the current context: its machine code, else its assembly, else what NVRTC
 * makes of the source. PLANISH_NVRTC_LIBRARY names another NVRTC than libnvrtc.so. */
PLANISH_SHARED planish_status planish_cuda_build_v1(planish_cuda_shared *of, const planish_model *model,
                                                    char *error);

/* The driver's word for an error. */
PLANISH_SHARED const char *planish_cuda_word_v1(const planish_cuda_functions *cu, int32_t problem);

#endif
