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
extern PLANISH_SHARED const planish_device_hooks planish_cuda_hooks_v1;

/* Where the memory of an instance lies on its device: one block of arena, inputs and outputs, which the
 * frame's memory on the host mirrors, and one of weights. A launch is given addresses of the frame.
 * Everything begins at a multiple of PLANISH_ALIGNMENT. */
typedef struct planish_places {
  const planish_model *model;
  const planish_frame *frame;
  uint64_t arena; /* bytes of it, in front of the inputs */
  uint64_t *input_at; /* [n_inputs], bytes from the begin of the block */
  uint64_t *output_at; /* [n_outputs] */
} planish_places;

typedef struct planish_place {
  uint64_t offset; /* bytes from the begin of the block, or of the weights */
  uint64_t bytes; /* to the end of what it is part of */
  int is_input; /* of the caller, who does not see it change */
  int is_weight;
} planish_place;

/* Bytes of the two tables. `plan` puts them at `memory`; returns the bytes of the block. */
PLANISH_SHARED uint64_t planish_places_bytes_v1(const planish_model *model);
PLANISH_SHARED uint64_t planish_places_plan_v1(planish_places *self, void *memory);
/* An address that is nowhere belongs to an empty tensor. */
PLANISH_SHARED planish_place planish_place_v1(const planish_places *self, const void *address);

/* Bytes of a dense tensor of these dimensions. */
PLANISH_SHARED uint64_t planish_bytes_of_v1(const planish_tensor_info *info, const int64_t *dims);

/* What the instances of a model share: its device, opened, with kernels and weights. The first instance opens
 * it, the last one closes it, one thread at a time. A kind of device has its own structure that begins so. */
typedef struct planish_device_shared {
  uint32_t users;
} planish_device_shared;

/* *shared is what is open already, or what `open_device` leaves in *model->device->shared, with no users; the
 * status of that where it fails. */
PLANISH_SHARED planish_status planish_device_acquire_v1(const planish_model *model,
                                                        planish_status (*open_device)(const planish_model *,
                                                                                      char *error),
                                                        void **shared, char *error);
PLANISH_SHARED void planish_device_release_v1(const planish_model *model, void (*close_device)(void *shared));

/* Whether `part` is in `text`, in any case. */
PLANISH_SHARED int planish_contains_v1(const char *text, const char *part);
/* The line of a compiler's log that says what is wrong; cuts the log there. */
PLANISH_SHARED const char *planish_complaint_v1(char *log);

#endif
