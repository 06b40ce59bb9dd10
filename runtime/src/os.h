/* All the runtime asks of an operating system. One file per system implements it; the declarations of libc
 * functions are by hand, so that the runtime compiles for any target without that target's headers. */
#ifndef PLANISH_RUNTIME_OS_H
#define PLANISH_RUNTIME_OS_H

#include "planish/abi.h"

#include <stddef.h>
#include <stdint.h>

/* On declarations of what the runtime's files share among each other and with generated code, and on their
 * definitions: each compiled model carries a copy, and in a program linked with several static ones the first
 * copy serves them all. Names end in the ABI version. */
#define PLANISH_SHARED __attribute__((visibility("hidden")))
#define PLANISH_ONE __attribute__((weak, visibility("hidden")))

static inline uint64_t planish_aligned(uint64_t bytes) {
  return (bytes + PLANISH_ALIGNMENT - 1) / PLANISH_ALIGNMENT * PLANISH_ALIGNMENT;
}

typedef struct planish_os_thread {
  unsigned long handle;
} planish_os_thread;

/* Monotonic time in nanoseconds. */
PLANISH_SHARED int64_t planish_os_now_v1(void);

/* Memory aligned to PLANISH_ALIGNMENT, not cleared; NULL when there is none. */
PLANISH_SHARED void *planish_os_allocate_v1(uint64_t bytes);
PLANISH_SHARED void planish_os_free_v1(void *memory);

/* How many cores this process may use, at least 1. */
PLANISH_SHARED uint32_t planish_os_cores_v1(void);
PLANISH_SHARED int32_t planish_os_process_v1(void);

/* Starts a thread that receives no signals; 0 when it runs. */
PLANISH_SHARED int planish_os_start_v1(planish_os_thread *thread, void *(*body)(void *), void *argument);
PLANISH_SHARED void planish_os_join_v1(planish_os_thread *thread);

/* Sleeps while *word == value; may return early. Wakes one sleeper. */
PLANISH_SHARED void planish_os_wait_v1(const void *word, uint32_t value);
PLANISH_SHARED void planish_os_wake_v1(const void *word);

/* The system's word about CPU features: 0 AT_HWCAP, 1 AT_HWCAP2. */
PLANISH_SHARED uint64_t planish_os_features_v1(uint32_t word);

#endif
