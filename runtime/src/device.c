/* What instances on any kind of device share: where addresses of the frame lie there, and texts. */
#include "device.h"

#include <stdatomic.h>

PLANISH_ONE uint64_t planish_places_bytes_v1(const planish_model *model) {
  return planish_aligned((model->n_inputs + model->n_outputs) * sizeof(uint64_t));
}

PLANISH_ONE uint64_t planish_places_plan_v1(planish_places *self, void *memory) {
  const planish_model *model = self->model;
  uint64_t used = planish_aligned(model->arena_bytes + PLANISH_ARENA_TAIL);
  self->input_at = memory;
  self->output_at = self->input_at + model->n_inputs;
  self->arena = used;
  for (uint32_t i = 0; i < model->n_inputs; ++i) {
    self->input_at[i] = used;
    used += planish_aligned(model->inputs[i].max_bytes);
  }
  for (uint32_t i = 0; i < model->n_outputs; ++i) {
    self->output_at[i] = used;
    used += planish_aligned(model->outputs[i].max_bytes);
  }
  return used + PLANISH_ARENA_TAIL;
}

static int within(const unsigned char *address, const void *begin, uint64_t bytes, uint64_t *offset) {
  *offset = (uint64_t)((uintptr_t)address - (uintptr_t)begin);
  return begin && (uintptr_t)address >= (uintptr_t)begin && *offset < bytes;
}

PLANISH_ONE planish_place planish_place_v1(const planish_places *self, const void *address) {
  const planish_model *model = self->model;
  const planish_frame *frame = self->frame;
  planish_place r = {0, 0, 0, 0};
  uint64_t offset;
  if (within(address, frame->weights, model->weights_bytes, &offset)) {
    r.offset = offset;
    r.bytes = model->weights_bytes - offset;
    r.is_weight = 1;
    return r;
  }
  if (within(address, frame->arena, model->arena_bytes, &offset)) {
    r.offset = offset;
    r.bytes = model->arena_bytes - offset;
    return r;
  }
  for (uint32_t i = 0; i < model->n_outputs; ++i) {
    if (!within(address, frame->outputs[i], model->outputs[i].max_bytes, &offset)) continue;
    r.offset = self->output_at[i] + offset;
    r.bytes = model->outputs[i].max_bytes - offset;
    return r;
  }
  /* Inputs may share memory: the one that reaches farthest holds the others' parts, too. */
  for (uint32_t i = 0; i < model->n_inputs; ++i) {
    const uint64_t bytes = model->inputs[i].max_bytes;
    if (!within(address, frame->inputs[i], bytes, &offset) || bytes - offset <= r.bytes) continue;
    r.offset = self->input_at[i] + offset;
    r.bytes = bytes - offset;
    r.is_input = 1;
  }
  return r;
}

PLANISH_ONE uint64_t planish_bytes_of_v1(const planish_tensor_info *info, const int64_t *dims) {
  uint64_t bytes = planish_dtype_bytes(info->dtype);
  for (int32_t d = 0; d < info->rank; ++d) bytes *= (uint64_t)dims[d];
  return bytes;
}

static _Atomic uint32_t opening;

static void lock(void) {
  while (atomic_exchange_explicit(&opening, 1, memory_order_acquire)) planish_os_wait_v1(&opening, 1);
}
static void unlock(void) {
  atomic_store_explicit(&opening, 0, memory_order_release);
  planish_os_wake_v1(&opening);
}

PLANISH_ONE planish_status planish_device_acquire_v1(const planish_model *model,
                                                     planish_status (*open_device)(const planish_model *,
                                                                                   char *),
                                                     void **shared, char *error) {
  planish_status status = PLANISH_OK;
  lock();
  if (!*model->device->shared) status = open_device(model, error);
  if (!status) {
    planish_device_shared *self = *model->device->shared;
    ++self->users;
    *shared = self;
  }
  unlock();
  return status;
}

PLANISH_ONE void planish_device_release_v1(const planish_model *model, void (*close_device)(void *)) {
  planish_device_shared *self;
  lock();
  self = *model->device->shared;
  if (--self->users == 0) {
    close_device(self);
    *model->device->shared = NULL;
  }
  unlock();
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

PLANISH_ONE int planish_contains_v1(const char *text, const char *part) {
  for (;; ++text) {
    size_t i = 0;
    while (part[i] && lower(text[i]) == lower(part[i])) ++i;
    if (!part[i]) return 1;
    if (!*text) return 0;
  }
}

PLANISH_ONE const char *planish_complaint_v1(char *log) {
  const char *line = log;
  for (char *c = log; *c; ++c) {
    if (*c != '\n') continue;
    *c = 0;
    if (__builtin_strstr(line, "error")) break;
    if (c[1]) line = c + 1;
  }
  return line;
}
