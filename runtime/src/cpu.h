/* What the CPU at hand can do. */
#ifndef PLANISH_RUNTIME_CPU_H
#define PLANISH_RUNTIME_CPU_H

#include "os.h"
#include "planish/abi.h"

/* The planish_architecture this runtime was built for. */
PLANISH_SHARED uint32_t planish_cpu_architecture_v1(void);

/* The features of this architecture's table that CPU and operating system both support. */
PLANISH_SHARED uint64_t planish_cpu_features_v1(void);

/* The name of a feature bit as LLVM writes it, "an unknown feature" for others. */
PLANISH_SHARED const char *planish_cpu_feature_name_v1(uint32_t bit);

/* The floating-point mode models run in: round to nearest even, no traps, and subnormals count as zero. A
 * subnormal operand costs a hundred cycles on most CPUs and stands for nothing in a network's values. Returns
 * the mode before, for planish_cpu_restore_floats. */
static inline uint64_t planish_cpu_begin_floats(void) {
#if defined(__x86_64__)
  const uint64_t before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(0x9fc0u); /* all exceptions masked, FTZ and DAZ: Intel SDM volume 1, 10.2.3 */
  return before;
#elif defined(__aarch64__)
  uint64_t before;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)1 << 24)); /* FZ: Arm ARM, FPCR */
  return before;
#elif defined(__arm__)
  uint32_t before;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(before));
  __asm__ volatile("vmsr fpscr, %0" : : "r"((uint32_t)1 << 24));
  return before;
#else
  return 0;
#endif
}

static inline void planish_cpu_restore_floats(uint64_t mode) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr((uint32_t)mode);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(mode));
#elif defined(__arm__)
  __asm__ volatile("vmsr fpscr, %0" : : "r"((uint32_t)mode));
#else
  (void)mode;
#endif
}

#endif
