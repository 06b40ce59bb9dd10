/* three_models THREADS: three generated libraries in one program. Two instances of each run at the same time,
 * each in a thread of its own and with THREADS threads, one of them in the caller's memory; all runs of a
 * model must give the same bytes. Prints
 * the elements of every model's outputs, the models in order. Inputs are seeded. */
#include "first.h"
#include "second.h"
#include "third.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kModels = 3, kInstances = 2, kRuns = 10 };

static const planish_model *const models[kModels] = {&first_model, &second_model, &third_model};

typedef struct user {
  pthread_t thread;
  const planish_model *model;
  planish_instance *net;
  int failed;
} user;

static void check(planish_status status) {
  if (!status) return;
  fprintf(stderr, "three_models: %s\n", planish_error());
  exit(1);
}

static void *aligned_block(uint64_t bytes) {
  unsigned char *block = malloc((size_t)bytes + PLANISH_ALIGNMENT);
  return block + (0 - (uintptr_t)block) % PLANISH_ALIGNMENT;
}

static user made(const planish_model *model, int threads, int own_memory) {
  user result;
  planish_options options;
  memset(&result, 0, sizeof(result));
  memset(&options, 0, sizeof(options));
  options.threads = threads;
  if (own_memory) {
    options.memory_bytes = planish_memory_bytes(model, threads);
    options.memory = aligned_block(options.memory_bytes);
  }
  result.model = model;
  check(planish_create(model, &options, &result.net));
  for (uint32_t i = 0; i < model->n_inputs; ++i) {
    void *data = malloc((size_t)model->inputs[i].max_bytes);
    model->api->fill(model->inputs[i].dtype, i + 1, data, model->inputs[i].max_bytes);
    check(planish_set_input(result.net, i, data, NULL, 0));
  }
  return result;
}

/* Runs, and compares with the first run: every output byte for byte. */
static void *use(void *argument) {
  user *self = argument;
  for (int run = 0; run < kRuns && !self->failed; ++run) {
    self->failed = planish_run(self->net) != PLANISH_OK;
    for (uint32_t i = 0; !self->failed && i < self->model->n_outputs; ++i) {
      planish_tensor out;
      static _Thread_local unsigned char *first[8];
      check(planish_get_output(self->net, i, &out));
      if (!run) memcpy(first[i] = malloc((size_t)out.bytes), out.data, (size_t)out.bytes);
      self->failed = memcmp(first[i], out.data, (size_t)out.bytes) != 0;
    }
  }
  return NULL;
}

static int equal(const user *a, const user *b) {
  for (uint32_t i = 0; i < a->model->n_outputs; ++i) {
    planish_tensor x, y;
    check(planish_get_output(a->net, i, &x));
    check(planish_get_output(b->net, i, &y));
    if (x.bytes != y.bytes || memcmp(x.data, y.data, (size_t)x.bytes) != 0) return 0;
  }
  return 1;
}

static void print(const user *of) {
  for (uint32_t i = 0; i < of->model->n_outputs; ++i) {
    planish_tensor out;
    check(planish_get_output(of->net, i, &out));
    for (uint64_t k = 0; k < out.bytes / sizeof(float); ++k) printf("%.9g\n", (double)((float *)out.data)[k]);
  }
}

_Static_assert(first_INPUTS == 1 && second_INPUTS == 2 && second_OUTPUTS == 2, "what the headers say");
_Static_assert(first_INPUT0_BYTES == sizeof(float) * first_INPUT0_ELEMENTS, "what the headers say");

int main(int argc, char **argv) {
  static user users[kModels][kInstances];
  for (int m = 0; m < kModels; ++m)
    for (int i = 0; i < kInstances; ++i) users[m][i] = made(models[m], argc > 1 ? atoi(argv[1]) : 1, i);
  for (int m = 0; m < kModels; ++m)
    for (int i = 0; i < kInstances; ++i)
      if (pthread_create(&users[m][i].thread, NULL, use, &users[m][i])) return 2;
  for (int m = 0; m < kModels; ++m)
    for (int i = 0; i < kInstances; ++i) {
      pthread_join(users[m][i].thread, NULL);
      if (users[m][i].failed || !equal(&users[m][0], &users[m][i])) return 3;
    }
  if (planish_memory_bytes(&first_model, 1) < first_ARENA_BYTES) return 5;
  if (first_model.api != second_model.api || first_model.api != third_model.api) return 4;
  for (int m = 0; m < kModels; ++m) print(&users[m][0]);
  for (int m = 0; m < kModels; ++m)
    for (int i = 0; i < kInstances; ++i) planish_destroy(users[m][i].net);
  return 0;
}
