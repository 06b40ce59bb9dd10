/* How the instances of a model with a device program reach its device. One table per kind of device; a
 * library for the CPU has none and links none of their code. */
#ifndef PLANISH_RUNTIME_DEVICE_H
#define PLANISH_RUNTIME_DEVICE_H

#include "os.h"
#include "planish/runtime.h"

/* The instance that a device's state belongs to; what the pointers point to stays as long. */
typedef struct planish_device_owner {
  planish_instance *instance;
  const planish_model *model;
  const planish_options *options; /* only while it is made */
  const planish_frame *frame;
  void *scratch; /* planish_model.scratch_bytes for kernels that run on the host */
} planish_device_owner;

typedef struct planish_device_hooks {
  /* What the device's part of an instance takes of the instance's memory. */
  uint64_t (*bytes)(const planish_model *model);
  /* Opens the device and puts program and weights there. `state` has bytes(model), aligned, any content. */
  planish_status (*create)(void *state, const planish_device_owner *owner, char *error);
  void (*destroy)(void *state);
  /* Before and after the host function: inputs go to the device, outputs come back, with what went wrong. */
  planish_status (*begin)(void *state, char *error);
  planish_status (*end)(void *state, char *error);
} planish_device_hooks;

extern PLANISH_SHARED const planish_device_hooks planish_opencl_hooks_v1;

#endif
