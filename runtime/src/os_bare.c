/* No operating system: the caller gives the memory, everything runs in its one thread, and a profile is timed
 * by the caller. */
#include "os.h"

#if !defined(__linux__)

PLANISH_ONE int64_t planish_os_now_v1(void) { return 0; }

PLANISH_ONE void *planish_os_allocate_v1(uint64_t bytes) {
  (void)bytes;
  return NULL;
}

PLANISH_ONE void planish_os_free_v1(void *memory) { (void)memory; }

PLANISH_ONE uint32_t planish_os_cores_v1(void) { return 1; }

PLANISH_ONE int32_t planish_os_process_v1(void) { return 1; }

PLANISH_ONE int planish_os_start_v1(planish_os_thread *thread, void *(*body)(void *), void *argument) {
  (void)thread, (void)body, (void)argument;
  return 1;
}

PLANISH_ONE void planish_os_join_v1(planish_os_thread *thread) { (void)thread; }

PLANISH_ONE void planish_os_wait_v1(const void *word, uint32_t value) { (void)word, (void)value; }

PLANISH_ONE void planish_os_wake_v1(const void *word) { (void)word; }

PLANISH_ONE uint64_t planish_os_features_v1(uint32_t word) {
  (void)word;
  return 0;
}

#endif
