/* What generated code and the runtime's FPGA part share. */
#ifndef PLANISH_RUNTIME_FPGA_H
#define PLANISH_RUNTIME_FPGA_H

#include "device.h"
#include "planish/fpga.h"

/* What planish_fpga_launch_v1 runs: a function on the host, or rows of the engine's table. */
typedef struct planish_fpga_kernel {
  planish_kernel_fn host; /* NULL: the engine runs it */
  uint32_t first;
  uint32_t count;
} planish_fpga_kernel;

/* The device program of such a model. */
typedef struct planish_fpga_program {
  planish_device_program device;
  planish_fpga_engine engine;
} planish_fpga_program;

PLANISH_SHARED void planish_fpga_launch_v1(planish_instance *instance, uint32_t launch,
                                           const planish_fpga_kernel *kernel, void *const *buffers,
                                           const int64_t *scalars, int64_t tasks);
extern PLANISH_SHARED const planish_device_hooks planish_fpga_hooks_v1;

#endif
