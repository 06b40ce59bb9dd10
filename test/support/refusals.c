/* LD_PRELOAD: a system that runs out. After test_granted requests for memory or threads every further one is
 * refused; test_held counts the blocks of memory that were given and not returned. Only what a compiled model
 * asks for passes here: its own names for malloc and pthread_create are those below. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

_Atomic long test_granted = 1L << 40;
_Atomic long test_asked;
_Atomic long test_held;

static int refused(void) { return atomic_fetch_add(&test_asked, 1) >= atomic_load(&test_granted); }

enum { kMost = 64 };
static _Atomic(void *) blocks[kMost];

void *aligned_alloc(size_t alignment, size_t bytes) {
  void *block = refused() ? NULL : __libc_memalign(alignment, bytes);
  for (int i = 0; block && i < kMost; ++i) {
    void *none = NULL;
    if (!atomic_compare_exchange_strong(&blocks[i], &none, block)) continue;
    atomic_fetch_add(&test_held, 1);
    break;
  }
  return block;
}

void free(void *block) {
  for (int i = 0; block && i < kMost; ++i) {
    void *own = block;
    if (!atomic_compare_exchange_strong(&blocks[i], &own, NULL)) continue;
    atomic_fetch_sub(&test_held, 1);
    break;
  }
  __libc_free(block);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                   void *argument) {
  static int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  if (refused()) return EAGAIN;
  if (!create) *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
  return create(thread, attributes, body, argument);
}
