/* LD_PRELOAD: counts what a process asks of the allocator and of mmap while the counter is on. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

_Atomic int test_counting;
_Atomic long test_allocations;

static void note(void) {
  if (atomic_load(&test_counting)) atomic_fetch_add(&test_allocations, 1);
}

void *malloc(size_t bytes) { return note(), __libc_malloc(bytes); }
void *calloc(size_t count, size_t bytes) { return note(), __libc_calloc(count, bytes); }
void *realloc(void *old, size_t bytes) { return note(), __libc_realloc(old, bytes); }
void *memalign(size_t alignment, size_t bytes) { return note(), __libc_memalign(alignment, bytes); }
void *aligned_alloc(size_t alignment, size_t bytes) { return note(), __libc_memalign(alignment, bytes); }
int posix_memalign(void **result, size_t alignment, size_t bytes) {
  note();
  *result = __libc_memalign(alignment, bytes);
  return *result ? 0 : ENOMEM;
}
void *mmap(void *where, size_t bytes, int protection, int flags, int file, off_t offset) {
  note();
  return (void *)syscall(SYS_mmap, where, bytes, protection, flags, file, offset);
}
