/* What the runtime uses of OpenCL 1.2, declared by hand after the Khronos specification (section numbers of
 * version 1.2), since no header and no library of it may be needed: functions are found by dlsym. */
#ifndef PLANISH_RUNTIME_OPENCL_H
#define PLANISH_RUNTIME_OPENCL_H

#include "device.h"

typedef struct cl_object *cl_handle; /* any of OpenCL's opaque types */
typedef uint64_t cl_flags;

enum {
  CL_OK = 0,
  CL_TYPE_CPU = 1 << 1,
  CL_TYPE_GPU = 1 << 2,
  CL_TYPE_ACCELERATOR = 1 << 3,
  CL_PLATFORM_NAME_ = 0x0902,
  CL_DEVICE_TYPE_ = 0x1000,
  CL_DEVICE_SINGLE_FP_CONFIG_ = 0x101B,
  CL_DEVICE_NAME_ = 0x102B,
  CL_DRIVER_VERSION_ = 0x102D,
  CL_DEVICE_VERSION_ = 0x102F,
  CL_DEVICE_HOST_UNIFIED_MEMORY_ = 0x1035,
  CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT_ = 1 << 7,
  CL_MEM_READ_WRITE_ = 1 << 0,
  CL_MEM_READ_ONLY_ = 1 << 2,
  CL_MEM_USE_HOST_PTR_ = 1 << 3,
  CL_MEM_COPY_HOST_PTR_ = 1 << 5,
  CL_PROGRAM_BINARY_SIZES_ = 0x1165,
  CL_PROGRAM_BINARIES_ = 0x1166,
  CL_PROGRAM_BUILD_LOG_ = 0x1183
};

/* X(result, name without "cl", parameters): every function that is used, section 4 and 5 of the spec. */
#define PLANISH_OPENCL_FUNCTIONS(X)                                                                          \
  X(int32_t, GetPlatformIDs, (uint32_t, cl_handle *, uint32_t *))                                            \
  X(int32_t, GetPlatformInfo, (cl_handle, uint32_t, size_t, void *, size_t *))                               \
  X(int32_t, GetDeviceIDs, (cl_handle, cl_flags, uint32_t, cl_handle *, uint32_t *))                         \
  X(int32_t, GetDeviceInfo, (cl_handle, uint32_t, size_t, void *, size_t *))                                 \
  X(cl_handle, CreateContext, (const void *, uint32_t, const cl_handle *, void *, void *, int32_t *))        \
  X(int32_t, ReleaseContext, (cl_handle))                                                                    \
  X(cl_handle, CreateCommandQueue, (cl_handle, cl_handle, cl_flags, int32_t *))                              \
  X(int32_t, ReleaseCommandQueue, (cl_handle))                                                               \
  X(cl_handle, CreateBuffer, (cl_handle, cl_flags, size_t, void *, int32_t *))                               \
  X(int32_t, ReleaseMemObject, (cl_handle))                                                                  \
  X(cl_handle, CreateProgramWithSource, (cl_handle, uint32_t, const char **, const size_t *, int32_t *))     \
  X(cl_handle, CreateProgramWithBinary,                                                                      \
    (cl_handle, uint32_t, const cl_handle *, const size_t *, const unsigned char **, int32_t *, int32_t *))  \
  X(int32_t, BuildProgram, (cl_handle, uint32_t, const cl_handle *, const char *, void *, void *))           \
  X(int32_t, GetProgramBuildInfo, (cl_handle, cl_handle, uint32_t, size_t, void *, size_t *))                \
  X(int32_t, GetProgramInfo, (cl_handle, uint32_t, size_t, void *, size_t *))                                \
  X(int32_t, ReleaseProgram, (cl_handle))                                                                    \
  X(cl_handle, CreateKernel, (cl_handle, const char *, int32_t *))                                           \
  X(int32_t, ReleaseKernel, (cl_handle))                                                                     \
  X(int32_t, SetKernelArg, (cl_handle, uint32_t, size_t, const void *))                                      \
  X(int32_t, EnqueueNDRangeKernel,                                                                           \
    (cl_handle, cl_handle, uint32_t, const size_t *, const size_t *, const size_t *, uint32_t, const void *, \
     void *))                                                                                                \
  X(int32_t, EnqueueReadBuffer,                                                                              \
    (cl_handle, cl_handle, uint32_t, size_t, size_t, void *, uint32_t, const void *, void *))                \
  X(int32_t, EnqueueWriteBuffer,                                                                             \
    (cl_handle, cl_handle, uint32_t, size_t, size_t, const void *, uint32_t, const void *, void *))          \
  X(int32_t, Flush, (cl_handle))                                                                             \
  X(int32_t, Finish, (cl_handle))

typedef struct planish_opencl_functions {
#define PLANISH_MEMBER(result, name, parameters) result(*name) parameters;
  PLANISH_OPENCL_FUNCTIONS(PLANISH_MEMBER)
#undef PLANISH_MEMBER
} planish_opencl_functions;

#define PLANISH_OPENCL_NAME_BYTES 128

/* A device, opened, with a model's program and weights; shared by the model's instances. */
typedef struct planish_opencl_shared {
  planish_device_shared common;
  planish_opencl_functions cl;
  void *library;
  int32_t unified; /* device and host have one memory */
  cl_handle device;
  cl_handle context;
  cl_handle program;
  cl_handle weights; /* NULL where the model has none */
  char name[PLANISH_OPENCL_NAME_BYTES]; /* "platform: device" */
} planish_opencl_shared;

/* Loads OpenCL and chooses the device: of those whose "platform: device" contains PLANISH_OPENCL_DEVICE (any
 * case), or of all, the first graphics processor, else accelerator, else CPU. Fills cl, library, device, name
 * and unified. PLANISH_OPENCL_LIBRARY names another library than libOpenCL.so.1. */
PLANISH_SHARED planish_status planish_opencl_open_v1(planish_opencl_shared *to, const planish_model *model,
                                                     char *error);
PLANISH_SHARED void planish_opencl_close_v1(planish_opencl_shared *of);

/* Builds the model's program for the device, from the binary that an earlier build left in the cache, else
 * from source. */
PLANISH_SHARED planish_status planish_opencl_build_v1(planish_opencl_shared *of, const planish_model *model,
                                                      char *error);

#endif
