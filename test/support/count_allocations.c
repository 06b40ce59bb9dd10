/* count_allocations LIBRARY THREADS: prints the allocations of planish_create and of five runs after it.
 * Sizes that are free are at their bounds in the first run and change with every run. */
#define _GNU_SOURCE
#include "planish/runtime.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static _Atomic int *counting;
static _Atomic long *allocations;

static void check(planish_status status) {
  if (status == PLANISH_OK) return;
  fprintf(stderr, "%s\n", planish_error());
  exit(1);
}

static long counted(void) {
  atomic_store(counting, 0);
  return atomic_exchange(allocations, 0);
}

int main(int argc, char **argv) {
  const planish_model *model;
  planish_instance *net;
  planish_options options = {0};
  long in_create, in_runs = 0;
  counting = (_Atomic int *)dlsym(RTLD_DEFAULT, "test_counting");
  allocations = (_Atomic long *)dlsym(RTLD_DEFAULT, "test_allocations");
  if (argc != 3 || !counting || !allocations) return 2;
  options.threads = atoi(argv[2]);
  check(planish_open(argv[1], &model));
  atomic_store(counting, 1);
  check(planish_create(model, &options, &net));
  in_create = counted();
  for (int run = 0; run < 5; ++run) {
    for (uint32_t i = 0; i < model->n_inputs; ++i) {
      const planish_tensor_info *info = &model->inputs[i];
      int64_t dims[PLANISH_MAX_RANK];
      void *data = calloc(info->max_bytes, 1);
      for (int d = 0; d < info->rank; ++d)
        dims[d] = info->dims[d].upper - (info->dims[d].lower < info->dims[d].upper - run ? run : 0);
      atomic_store(counting, 1);
      check(planish_set_input(net, i, data, dims, (uint32_t)info->rank));
      in_runs += counted();
    }
    atomic_store(counting, 1);
    check(planish_run(net));
    for (uint32_t i = 0; i < model->n_outputs; ++i) {
      planish_tensor out;
      check(planish_get_output(net, i, &out));
    }
    in_runs += counted();
  }
  planish_destroy(net);
  printf("%ld %ld\n", in_create, in_runs);
  return 0;
}
