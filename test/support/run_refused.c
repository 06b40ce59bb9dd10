/* run_refused LIBRARY THREADS: a model's whole life on a system that grants 0, 1, 2 ... requests and no more,
 * until that is enough. Prints a line `granted status text` for each. Exits 1 where memory stays behind, an
 * instance is left after a failure, or a call fails that asks for nothing. */
#define _GNU_SOURCE
#include "planish/runtime.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic long *granted, *asked, *held;

static void expect(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "%s: %s\n", what, planish_error());
  exit(1);
}

/* Nothing in a run may ask: it happens while everything is refused. */
static void run(const planish_model *model, planish_instance *net, void *const *inputs) {
  for (uint32_t i = 0; i < model->n_inputs; ++i) {
    int64_t dims[PLANISH_MAX_RANK];
    for (int d = 0; d < model->inputs[i].rank; ++d) dims[d] = model->inputs[i].dims[d].upper;
    expect(!planish_set_input(net, i, inputs[i], dims, (uint32_t)model->inputs[i].rank), "planish_set_input");
  }
  expect(!planish_run(net), "planish_run");
}

static planish_status live(const planish_model *model, int32_t threads, void *const *inputs) {
  planish_options options;
  planish_instance *net = (planish_instance *)(void *)&options;
  planish_status status;
  memset(&options, 0, sizeof(options));
  options.threads = threads;
  status = model->golden ? planish_self_test(model, &options) : PLANISH_OK;
  if (status) return status;
  status = planish_create(model, &options, &net);
  expect(!status == !!net, "planish_create leaves an instance where it fails");
  if (status) return status;
  atomic_store(granted, 0);
  run(model, net, inputs);
  planish_destroy(net);
  return PLANISH_OK;
}

int main(int argc, char **argv) {
  const planish_model *model;
  planish_status status = PLANISH_OUT_OF_MEMORY;
  void **inputs;
  granted = (_Atomic long *)dlsym(RTLD_DEFAULT, "test_granted");
  asked = (_Atomic long *)dlsym(RTLD_DEFAULT, "test_asked");
  held = (_Atomic long *)dlsym(RTLD_DEFAULT, "test_held");
  if (argc != 3 || !granted || !asked || !held) return 2;
  expect(!planish_open(argv[1], &model), "planish_open");
  inputs = calloc(model->n_inputs, sizeof(void *));
  for (uint32_t i = 0; i < model->n_inputs; ++i) inputs[i] = calloc(model->inputs[i].max_bytes, 1);
  for (long n = 0; status; ++n) {
    atomic_store(asked, 0);
    atomic_store(granted, n);
    status = live(model, atoi(argv[2]), inputs);
    expect(atomic_load(held) == 0, "memory stays behind");
    printf("%ld %d %s\n", n, (int)status, status ? planish_error() : "");
    expect(n < 100, "it asks without end");
  }
  return planish_close(model) != PLANISH_OK;
}
