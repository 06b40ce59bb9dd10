/* An OpenCL library that passes everything on to the system's and counts the kernels that run: when the
 * program ends, PLANISH_TEST_COUNTS gets "enqueues builds binaries". */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void *system_library;
static int enqueues, sources, binaries;

static void *real(const char *name) {
  if (!system_library) system_library = dlopen("libOpenCL.so.1", RTLD_NOW);
  return system_library ? dlsym(system_library, name) : NULL;
}

__attribute__((destructor)) static void report(void) {
  const char *path = getenv("PLANISH_TEST_COUNTS");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file) return;
  fprintf(file, "%d %d %d\n", enqueues, sources, binaries);
  fclose(file);
}

/* Nine words cover the arguments of every function below: pointers and integers alone. */
#define FORWARD(name, count)                                                                                 \
  intptr_t name(intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e, intptr_t f, intptr_t g,          \
                intptr_t h, intptr_t i) {                                                                    \
    static intptr_t (*next)(intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t,  \
                            intptr_t);                                                                       \
    if (!next) *(void **)&next = real(#name);                                                                \
    count;                                                                                                   \
    return next(a, b, c, d, e, f, g, h, i);                                                                  \
  }
FORWARD(clGetPlatformIDs, (void)0)
FORWARD(clGetPlatformInfo, (void)0)
FORWARD(clGetDeviceIDs, (void)0)
FORWARD(clGetDeviceInfo, (void)0)
FORWARD(clCreateContext, (void)0)
FORWARD(clReleaseContext, (void)0)
FORWARD(clCreateCommandQueue, (void)0)
FORWARD(clReleaseCommandQueue, (void)0)
FORWARD(clCreateBuffer, (void)0)
FORWARD(clReleaseMemObject, (void)0)
FORWARD(clCreateProgramWithSource, ++sources)
FORWARD(clCreateProgramWithBinary, ++binaries)
FORWARD(clBuildProgram, (void)0)
FORWARD(clGetProgramBuildInfo, (void)0)
FORWARD(clGetProgramInfo, (void)0)
FORWARD(clReleaseProgram, (void)0)
FORWARD(clCreateKernel, (void)0)
FORWARD(clReleaseKernel, (void)0)
FORWARD(clSetKernelArg, (void)0)
FORWARD(clEnqueueNDRangeKernel, ++enqueues)
FORWARD(clEnqueueReadBuffer, (void)0)
FORWARD(clEnqueueWriteBuffer, (void)0)
FORWARD(clFlush, (void)0)
FORWARD(clFinish, (void)0)
