#define CUDA_ON_CPU_EMULATOR
#include "fibers.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <utility>
#include <vector>

#if defined(__x86_64__)
// Saves what a called function must keep, and the stack; continues where the other one did so.
extern "C" void cuda_on_cpu_switch(void **save, void *load);
asm(R"(.text
.globl cuda_on_cpu_switch
.hidden cuda_on_cpu_switch
.type cuda_on_cpu_switch,@function
cuda_on_cpu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
#else
#error "switching fibers is written for x86-64"
#endif

namespace {

constexpr size_t kStack = 256 << 10;
constexpr unsigned kWarp = 32;

struct Copy {
  void *to;
  const void *from;
  unsigned bytes, valid;
};

enum class State { Ready, AtBarrier, InWarp, Done };

struct Fiber {
  char *stack = nullptr;
  void *stackPointer = nullptr;
  State state = State::Ready;
  std::vector<Copy> open;                 // copies begun since the last commit
  std::vector<std::vector<Copy>> groups;  // committed, in order
  void *argument = nullptr;               // of the warp's work
};

std::vector<Fiber> fibers;
unsigned current;
void *scheduler;
const std::function<void()> *body;
uint32_t state = 1;
cuda_on_cpu_hooks hooks;

[[noreturn]] void die(const char *what) {
  fprintf(stderr, "cuda_on_cpu: %s (block %u, thread %u)\n", what, hooks.block.x, current);
  abort();
}

uint32_t random(uint32_t below) {
  state = state * 1664525u + 1013904223u;
  return (state >> 8) % below;
}

void yield() { cuda_on_cpu_switch(&fibers[current].stackPointer, scheduler); }

void begin() {
  (*body)();
  fibers[current].state = State::Done;
  yield();
}

void prepare(Fiber &f) {
  f.state = State::Ready;
  f.open.clear(), f.groups.clear();
  auto **top = reinterpret_cast<void **>(f.stack + kStack);
  *--top = nullptr;
  *--top = reinterpret_cast<void *>(&begin);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  f.stackPointer = top;
}

int skippedLine() {
  const char *text = getenv("PLANISH_TEST_SKIP_LINE");
  return text ? atoi(text) : 0;
}

void barrier(int line) {
  static const int skipped = skippedLine();
  if (line == skipped) return;
  fibers[current].state = State::AtBarrier;
  yield();
}

void copy(void *to, const void *from, unsigned bytes, unsigned valid) {
  if (reinterpret_cast<uint64_t>(to) % bytes || (valid && reinterpret_cast<uint64_t>(from) % bytes))
    die("an asynchronous copy is not aligned");
  fibers[current].open.push_back({to, from, bytes, valid});
}

void commit() {
  Fiber &f = fibers[current];
  f.groups.push_back(std::exchange(f.open, {}));
}

void waitForCopies(int groups, int line) {
  static const int skipped = skippedLine();
  Fiber &f = fibers[current];
  const size_t left = size_t(groups) + (line == skipped);
  while (f.groups.size() > left) {
    for (const Copy &c : f.groups.front()) {
      memcpy(c.to, c.from, c.valid);
      memset(static_cast<char *>(c.to) + c.valid, 0, c.bytes - c.valid);
    }
    f.groups.erase(f.groups.begin());
  }
}

void warp(void *argument, void (*compute)(void *const *arguments)) {
  const unsigned first = current / kWarp * kWarp;
  fibers[current].argument = argument;
  fibers[current].state = State::InWarp;
  void *arguments[kWarp];
  for (unsigned i = 0; i < kWarp; ++i) {
    if (fibers[first + i].state != State::InWarp) return yield();
    arguments[i] = fibers[first + i].argument;
  }
  compute(arguments);
  for (unsigned i = 0; i < kWarp; ++i) fibers[first + i].state = State::Ready;
}

void runBlock(std::vector<unsigned> &order) {
  const size_t n = fibers.size();
  for (Fiber &f : fibers) prepare(f);
  for (;;) {
    for (size_t i = n - 1; i > 0; --i) std::swap(order[i], order[random(uint32_t(i + 1))]);
    bool ran = false;
    for (unsigned i : order) {
      if (fibers[i].state != State::Ready) continue;
      ran = true;
      current = i;
      hooks.thread.x = i;
      cuda_on_cpu_switch(&scheduler, fibers[i].stackPointer);
    }
    const auto count = [&](State s) {
      return size_t(
          std::count_if(fibers.begin(), fibers.end(), [&](const Fiber &f) { return f.state == s; }));
    };
    const size_t done = count(State::Done), waiting = count(State::AtBarrier);
    if (done == n) return;
    if (waiting == n)
      for (Fiber &f : fibers) f.state = State::Ready;
    else if (!ran)
      die(waiting + done == n ? "threads ended while others wait at a barrier" : "threads wait in vain");
  }
}

} // namespace

cuda_on_cpu_hooks &emulated() {
  hooks.barrier = barrier, hooks.copy = copy, hooks.commit = commit, hooks.wait = waitForCopies;
  hooks.warp = warp;
  return hooks;
}

void runBlocks(unsigned blocks, unsigned threads, const std::function<void()> &kernel) {
  while (fibers.size() < threads) {
    Fiber f;
    void *stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) die("no memory for the stacks of threads");
    f.stack = static_cast<char *>(stack);
    fibers.push_back(std::move(f));
  }
  while (fibers.size() > threads) {
    munmap(fibers.back().stack, kStack);
    fibers.pop_back();
  }
  std::vector<unsigned> order(threads);
  for (unsigned i = 0; i < threads; ++i) order[i] = i;
  body = &kernel;
  hooks.size.x = threads;
  for (hooks.block.x = 0; hooks.block.x < blocks; ++hooks.block.x) runBlock(order);
}
