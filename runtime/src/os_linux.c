/* Linux, over any libc. */
#include "os.h"
#include "planish/abi.h"

#if defined(__linux__)

struct planish_timespec {
  long seconds;
  long nanoseconds;
};

extern int clock_gettime(int clock, struct planish_timespec *time);
extern void *aligned_alloc(size_t alignment, size_t bytes);
extern void free(void *memory);
extern int madvise(void *memory, size_t bytes, int advice);
extern int getpid(void);
extern int sched_getaffinity(int process, size_t bytes, void *mask);
extern int pthread_create(unsigned long *thread, const void *attributes, void *(*body)(void *),
                          void *argument);
extern int pthread_join(unsigned long thread, void **result);
extern int pthread_sigmask(int how, const void *set, void *old);
extern long syscall(long number, ...);
extern unsigned long getauxval(unsigned long type);

#if defined(__x86_64__)
#define SYS_FUTEX 202L
#elif defined(__aarch64__)
#define SYS_FUTEX 98L
#elif defined(__arm__)
#define SYS_FUTEX 240L
#else
#error "the number of the futex system call is not known for this machine"
#endif

#define CLOCK_MONOTONIC_ID 1
#define FUTEX_WAIT_PRIVATE_OPERATION 128
#define FUTEX_WAKE_PRIVATE_OPERATION 129
#define SIGNALS_SET_MASK 2
#define HUGE_PAGE_BYTES ((uint64_t)2 << 20)
#define ADVICE_HUGE_PAGES 14
#define SIGNAL_SET_BYTES 128u /* glibc's and musl's sigset_t */
#define CORE_MASK_WORDS 128u  /* 8192 cores */

PLANISH_ONE int64_t planish_os_now_v1(void) {
  struct planish_timespec time = {0, 0};
  if (clock_gettime(CLOCK_MONOTONIC_ID, &time) != 0) return 0;
  return (int64_t)time.seconds * 1000000000 + (int64_t)time.nanoseconds;
}

PLANISH_ONE void *planish_os_allocate_v1(uint64_t bytes) {
  const uint64_t rounded = (bytes + PLANISH_ALIGNMENT - 1) / PLANISH_ALIGNMENT * PLANISH_ALIGNMENT;
  const uint64_t huge = rounded / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
  const uint64_t whole =
      huge < rounded ? huge + HUGE_PAGE_BYTES : huge; /* C11: a multiple of the alignment */
  void *memory;
  if (rounded < bytes || rounded > SIZE_MAX || whole < huge || whole > SIZE_MAX) return NULL;
  if (!huge) return aligned_alloc(PLANISH_ALIGNMENT, (size_t)rounded);
  /* Kernels walk over planes and rows far apart: with small pages they wait for translations of addresses.
   * The rest that fills no huge page stays in small ones, so that it takes no more memory: what nobody
   * touches has none. */
  memory = aligned_alloc((size_t)HUGE_PAGE_BYTES, (size_t)whole);
  if (memory) madvise(memory, (size_t)huge, ADVICE_HUGE_PAGES);
  return memory;
}

PLANISH_ONE void planish_os_free_v1(void *memory) { free(memory); }

PLANISH_ONE uint32_t planish_os_cores_v1(void) {
  unsigned long long mask[CORE_MASK_WORDS];
  uint32_t cores = 0;
  for (size_t i = 0; i < CORE_MASK_WORDS; ++i) mask[i] = 0;
  if (sched_getaffinity(0, sizeof(mask), mask) != 0) return 1;
  for (size_t i = 0; i < CORE_MASK_WORDS; ++i) {
    for (unsigned long long rest = mask[i]; rest; rest &= rest - 1) ++cores;
  }
  return cores ? cores : 1;
}

PLANISH_ONE int32_t planish_os_process_v1(void) { return getpid(); }

PLANISH_ONE int planish_os_start_v1(planish_os_thread *thread, void *(*body)(void *), void *argument) {
  unsigned char all[SIGNAL_SET_BYTES], old[SIGNAL_SET_BYTES];
  int failed;
  /* The program's signal handlers expect the program's threads. */
  for (size_t i = 0; i < SIGNAL_SET_BYTES; ++i) all[i] = 0xff;
  pthread_sigmask(SIGNALS_SET_MASK, all, old);
  failed = pthread_create(&thread->handle, NULL, body, argument);
  pthread_sigmask(SIGNALS_SET_MASK, old, NULL);
  return failed;
}

PLANISH_ONE void planish_os_join_v1(planish_os_thread *thread) { pthread_join(thread->handle, NULL); }

PLANISH_ONE void planish_os_wait_v1(const void *word, uint32_t value) {
  syscall(SYS_FUTEX, word, FUTEX_WAIT_PRIVATE_OPERATION, value, NULL, NULL, 0);
}

PLANISH_ONE void planish_os_wake_v1(const void *word) {
  syscall(SYS_FUTEX, word, FUTEX_WAKE_PRIVATE_OPERATION, 1, NULL, NULL, 0);
}

PLANISH_ONE uint64_t planish_os_features_v1(uint32_t word) { return getauxval(word ? 26 : 16); }

#endif
