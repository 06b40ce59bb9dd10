/* Runs a compiled model once, on zeros, and prints the first elements of its outputs:
 *
 *   compile-model net.onnx -o net
 *   cc -std=c11 -I <planish>/include run.c -ldl -o run && ./run net/libnet.so */
#include "planish/runtime.h"

#include <stdio.h>
#include <stdlib.h>

static void check(planish_status status) {
  if (status == PLANISH_OK) return;
  fprintf(stderr, "error: %s\n", planish_error());
  exit(1);
}

int main(int argc, char **argv) {
  const planish_model *model;
  planish_instance *net;
  planish_info info;
  if (argc != 2) return fprintf(stderr, "usage: run LIBRARY.so\n"), 2;
  check(planish_open(argv[1], &model));
  check(planish_model_info(model, &info));
  check(planish_create(model, NULL, &net));
  for (uint32_t i = 0; i < info.n_inputs; ++i) {
    int64_t dims[PLANISH_MAX_RANK];
    for (int d = 0; d < info.inputs[i].rank; ++d) dims[d] = info.inputs[i].dims[d].lower;
    /* The input is used where it is: it must stay until the last run. */
    check(
        planish_set_input(net, i, calloc(info.inputs[i].max_bytes, 1), dims, (uint32_t)info.inputs[i].rank));
  }
  check(planish_run(net));
  for (uint32_t i = 0; i < info.n_outputs; ++i) {
    planish_tensor out;
    check(planish_get_output(net, i, &out));
    printf("%s:", info.outputs[i].name);
    for (int d = 0; d < out.rank; ++d) printf("%s%lld", d ? "x" : " ", (long long)out.dims[d]);
    for (uint64_t k = 0; out.dtype == PLANISH_F32 && k < out.bytes / 4 && k < 4; ++k)
      printf(" %g", (double)((const float *)out.data)[k]);
    printf("\n");
  }
  planish_destroy(net);
  check(planish_close(model));
  return 0;
}
