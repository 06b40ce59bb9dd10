#include "pool.h"

#include "cpu.h"

#include <stdatomic.h>

#include "planish/runtime.h"

/* A hand-over between running threads takes some 100 ns, waking a sleeper some 20 us: so wait awake for about
 * as long as a wake costs, doubled. */
#define SPIN_NANOSECONDS 50000
#define SPINS_PER_CLOCK 32

#define CACHE_LINE 64

/* Without an operating system no thread ever starts. */
#if defined(__linux__)
#define MOST_WORKERS (PLANISH_MAX_THREADS - 1)
#else
#define MOST_WORKERS 1
#endif

/* A word that one thread changes and one waits on. */
typedef struct signal_word {
  _Atomic uint32_t value;
  _Atomic uint32_t sleeping;
} signal_word;

/* One line carries a job to its worker, the other carries back that it is done. Jobs are numbered. A job
 * belongs to whoever moves `claimed` to its number: the worker, or the caller when its own part is done and
 * the worker has not begun, because it sleeps or has no core. Only the owner reads the job, only the holder
 * of `pool.busy` (or of `pool.lock` when there is no user) writes one, and only when the last one is done. */
typedef struct worker {
  _Alignas(CACHE_LINE) signal_word go;
  _Atomic uint32_t claimed;
  planish_kernel_fn kernel; /* NULL: end */
  void *const *buffers;
  const int64_t *scalars;
  void *scratch;
  int64_t begin;
  int64_t end;
  _Alignas(CACHE_LINE) signal_word done;
  planish_os_thread thread;
} worker;

typedef struct pool_state {
  _Alignas(CACHE_LINE) _Atomic uint32_t busy; /* 1 while an instance uses the workers */
  _Alignas(CACHE_LINE) _Atomic uint32_t lock; /* guards users and running: 0 free, 1 taken, 2 with sleepers */
  _Atomic int32_t process; /* whose threads these are; -1 while being set up */
  _Atomic int64_t spin; /* nanoseconds to wait awake */
  uint32_t users;
  uint32_t running;
  worker workers[MOST_WORKERS];
} pool_state;

static pool_state pool;

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || (defined(__arm__) && __ARM_ARCH >= 7)
  __asm__ volatile("yield");
#endif
}

/* The store must not pass the load after it, nor in wait_for_change: either the waiter sees the value or the
 * signaller sees the sleeper. Hence sequential consistency. */
static void set_signal(signal_word *word, uint32_t value) {
  atomic_store(&word->value, value);
  if (atomic_load(&word->sleeping)) planish_os_wake_v1(&word->value);
}

static int spin_for_change(const signal_word *word, uint32_t old) {
  const int64_t spin = atomic_load_explicit(&pool.spin, memory_order_relaxed);
  int64_t begin = 0;
  for (;;) {
    for (int i = 0; i < SPINS_PER_CLOCK; ++i) {
      if (atomic_load_explicit(&word->value, memory_order_acquire) != old) return 1;
      relax();
    }
    const int64_t now = planish_os_now_v1();
    if (!begin) begin = now;
    if (now - begin >= spin) return 0;
  }
}

/* Waits until the word is no longer `old`; its new value. */
static uint32_t wait_for_change(signal_word *word, uint32_t old) {
  if (!spin_for_change(word, old)) {
    atomic_store(&word->sleeping, 1);
    while (atomic_load(&word->value) == old) planish_os_wait_v1(&word->value, old);
    atomic_store_explicit(&word->sleeping, 0, memory_order_relaxed);
  }
  return atomic_load_explicit(&word->value, memory_order_acquire);
}

static int claim(worker *from, uint32_t job) {
  uint32_t last = job - 1;
  return atomic_compare_exchange_strong_explicit(&from->claimed, &last, job, memory_order_acq_rel,
                                                 memory_order_relaxed);
}

static void run_job(const worker *job) {
  job->kernel(job->buffers, job->scalars, job->scratch, job->begin, job->end);
}

static void *work(void *argument) {
  worker *self = argument;
  uint32_t job = 0;
  planish_cpu_begin_floats();
  for (;;) {
    job = wait_for_change(&self->go, job);
    if (!claim(self, job)) continue;
    if (!self->kernel) return NULL;
    run_job(self);
    set_signal(&self->done, job);
  }
}

static void lock_pool(void) {
  uint32_t state = 0;
  if (atomic_compare_exchange_strong(&pool.lock, &state, 1)) return;
  if (state != 2) state = atomic_exchange(&pool.lock, 2);
  while (state) {
    planish_os_wait_v1(&pool.lock, 2);
    state = atomic_exchange(&pool.lock, 2);
  }
}

static void unlock_pool(void) {
  if (atomic_exchange(&pool.lock, 0) == 2) planish_os_wake_v1(&pool.lock);
}

/* A forked child inherits the pool's memory but none of its threads: whoever comes first starts from nothing.
 */
static void adopt_process(void) {
  const int32_t self = planish_os_process_v1();
  int32_t owner = atomic_load(&pool.process);
  while (owner != self) {
    if (owner != -1 && atomic_compare_exchange_strong(&pool.process, &owner, -1)) {
      pool.users = 0;
      pool.running = 0;
      atomic_store(&pool.busy, 0);
      atomic_store(&pool.lock, 0);
      atomic_store(&pool.process, self);
    } else {
      relax();
    }
    owner = atomic_load(&pool.process);
  }
}

static void start_job(worker *to) {
  set_signal(&to->go, atomic_load_explicit(&to->go.value, memory_order_relaxed) + 1);
}

/* Part `part` of `parts` of a call's tasks. */
static void set_job(worker *to, const planish_call *call, int64_t part, int64_t parts, int64_t tasks) {
  to->kernel = call->kernel;
  to->buffers = call->buffers;
  to->scalars = call->scalars;
  to->scratch = call->scratch + (uint64_t)part * call->scratch_bytes;
  to->begin = tasks * part / parts;
  to->end = tasks * (part + 1) / parts;
  start_job(to);
}

static void end_workers(void) {
  for (uint32_t i = 0; i < pool.running; ++i) {
    pool.workers[i].kernel = NULL;
    start_job(&pool.workers[i]);
  }
  for (uint32_t i = 0; i < pool.running; ++i) planish_os_join_v1(&pool.workers[i].thread);
  pool.running = 0;
}

static int start_workers(uint32_t wanted) {
  while (pool.running < wanted) {
    worker *next = &pool.workers[pool.running];
    atomic_store(&next->go.value, 0);
    atomic_store(&next->go.sleeping, 0);
    atomic_store(&next->claimed, 0);
    atomic_store(&next->done.value, 0);
    atomic_store(&next->done.sleeping, 0);
    if (planish_os_start_v1(&next->thread, work, next) != 0) return 1;
    ++pool.running;
  }
  /* Waiting awake for a thread that has no core of its own only keeps it from running. */
  const int64_t spin = pool.running < planish_os_cores_v1() ? SPIN_NANOSECONDS : 0;
  atomic_store_explicit(&pool.spin, spin, memory_order_relaxed);
  return 0;
}

PLANISH_ONE int planish_pool_acquire_v1(uint32_t threads) {
  int failed;
  adopt_process();
  lock_pool();
  failed = start_workers(threads - 1);
  if (!failed) {
    ++pool.users;
  } else if (!pool.users) {
    end_workers();
  }
  unlock_pool();
  return failed;
}

PLANISH_ONE void planish_pool_release_v1(void) {
  lock_pool();
  if (--pool.users == 0) end_workers();
  unlock_pool();
}

/* Runs the present job of `from` if its worker has not begun, else waits for it. */
static void finish_job(worker *from) {
  const uint32_t job = atomic_load_explicit(&from->go.value, memory_order_relaxed);
  if (claim(from, job)) {
    run_job(from);
    return;
  }
  for (uint32_t done = atomic_load_explicit(&from->done.value, memory_order_acquire); done != job;)
    done = wait_for_change(&from->done, done);
}

PLANISH_ONE int planish_pool_run_v1(uint32_t threads, const planish_call *call, int64_t tasks) {
  const int64_t parts = tasks < (int64_t)threads ? tasks : (int64_t)threads;
  uint32_t idle = 0;
  if (!atomic_compare_exchange_strong_explicit(&pool.busy, &idle, 1, memory_order_acquire,
                                               memory_order_relaxed))
    return 0;
  for (int64_t part = 1; part < parts; ++part) set_job(&pool.workers[part - 1], call, part, parts, tasks);
  call->kernel(call->buffers, call->scalars, call->scratch, 0, tasks / parts);
  for (int64_t part = 1; part < parts; ++part) finish_job(&pool.workers[part - 1]);
  atomic_store_explicit(&pool.busy, 0, memory_order_release);
  return 1;
}
