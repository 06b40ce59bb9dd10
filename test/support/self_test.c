/* self_test [THREADS]: the golden self-test of net_model, of the same with one bit of its weights turned, and
 * in the caller's memory. Prints the three texts of planish_error, empty where it passed. */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell(planish_status status) { printf("%s\n", status ? planish_error() : "passed"); }

static void *aligned_block(uint64_t bytes) {
  unsigned char *block = malloc((size_t)bytes + PLANISH_ALIGNMENT);
  return block ? block + (0 - (uintptr_t)block) % PLANISH_ALIGNMENT : NULL;
}

int main(int argc, char **argv) {
  planish_model broken = net_model;
  planish_options options;
  unsigned char *weights = aligned_block(net_model.weights_bytes);
  memset(&options, 0, sizeof(options));
  options.threads = argc > 1 ? atoi(argv[1]) : 1;
  tell(planish_self_test(&net_model, &options));
  memcpy(weights, net_model.weights, (size_t)net_model.weights_bytes);
  for (uint64_t i = 0; i < net_model.weights_bytes; i += 16) weights[i] ^= 1;
  broken.weights = weights;
  tell(planish_self_test(&broken, &options));
  options.memory_bytes = planish_self_test_bytes(&net_model, options.threads);
  options.memory = aligned_block(options.memory_bytes);
  tell(planish_self_test(&net_model, &options));
  return 0;
}
