/* The threads of the process: one pool for all instances, started with the first one that wants threads and
 * ended with the last. Workers spin for a short while after a launch and then sleep. */
#ifndef PLANISH_RUNTIME_POOL_H
#define PLANISH_RUNTIME_POOL_H

#include "os.h"
#include "planish/abi.h"

/* Makes sure `threads` - 1 workers run and stay until the matching release. Returns 0, or 1 when the system
 * refuses a thread; then there is nothing to release. */
PLANISH_SHARED int planish_pool_acquire_v1(uint32_t threads);
PLANISH_SHARED void planish_pool_release_v1(void);

/* A kernel with its arguments. Thread i has `scratch_bytes` at `scratch` + i * scratch_bytes. */
typedef struct planish_call {
  planish_kernel_fn kernel;
  void *const *buffers;
  const int64_t *scalars;
  unsigned char *scratch;
  uint64_t scratch_bytes;
} planish_call;

/* Runs all tasks on the caller, which is thread 0, and up to `threads` - 1 workers, which it has acquired.
 * Returns 0 without running any when another instance has the pool. */
PLANISH_SHARED int planish_pool_run_v1(uint32_t threads, const planish_call *call, int64_t tasks);

#endif
