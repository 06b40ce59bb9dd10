#include "cpu.h"

#if defined(__x86_64__)

#include <cpuid.h>

typedef struct feature {
  const char *name;
  uint32_t index;
  uint32_t leaf;
  uint32_t subleaf;
  uint8_t word;
  uint8_t bit;
  uint8_t state;
} feature;

static const feature features[] = {
#define ROW(index, name, text, leaf, subleaf, word, bit, state)                                              \
  {text, index, leaf, subleaf, word, bit, state},
    PLANISH_X86_FEATURES(ROW)
#undef ROW
};

/* Register state the operating system saves (XCR0), by the numbers of the table. */
static const uint64_t state_masks[] = {0, 0x6, 0xe6, 0x60000};

static uint64_t saved_state(void) {
  unsigned a, b, c, d, low, high;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27))) return 0; /* no XGETBV */
  __asm__ volatile(".byte 0x0f, 0x01, 0xd0" : "=a"(low), "=d"(high) : "c"(0));
  return ((uint64_t)high << 32) | low;
}

PLANISH_ONE uint32_t planish_cpu_architecture_v1(void) { return PLANISH_ARCH_X86_64; }

PLANISH_ONE uint64_t planish_cpu_features_v1(void) {
  const uint64_t saved = saved_state();
  uint64_t found = 0;
  uint32_t leaf = 0, subleaf = 0;
  unsigned words[4] = {0, 0, 0, 0};
  for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); ++i) {
    const feature *f = &features[i];
    const uint64_t needed = state_masks[f->state];
    /* Virtual machines trap on every CPUID, and the rows come leaf by leaf. */
    if (f->leaf != leaf || f->subleaf != subleaf) {
      leaf = f->leaf;
      subleaf = f->subleaf;
      for (int w = 0; w < 4; ++w) words[w] = 0;
      __get_cpuid_count(leaf, subleaf, &words[0], &words[1], &words[2], &words[3]);
    }
    if ((saved & needed) == needed && (words[f->word] >> f->bit & 1)) found |= (uint64_t)1 << f->index;
  }
  return found;
}

#elif defined(__aarch64__) || defined(__arm__)

#if defined(__aarch64__)
#define ARCHITECTURE PLANISH_ARCH_ARM64
#define FEATURES PLANISH_ARM64_FEATURES
#else
#define ARCHITECTURE PLANISH_ARCH_ARM32
#define FEATURES PLANISH_ARM32_FEATURES
#endif

typedef struct feature {
  const char *name;
  uint32_t index;
  uint32_t word;
  uint32_t bit;
} feature;

static const feature features[] = {
#define ROW(index, name, text, word, bit) {text, index, word, bit},
    FEATURES(ROW)
#undef ROW
};

PLANISH_ONE uint32_t planish_cpu_architecture_v1(void) { return ARCHITECTURE; }

PLANISH_ONE uint64_t planish_cpu_features_v1(void) {
  uint64_t found = 0;
  for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); ++i) {
    if (planish_os_features_v1(features[i].word) >> features[i].bit & 1)
      found |= (uint64_t)1 << features[i].index;
  }
  return found;
}

#else

typedef struct feature {
  const char *name;
  uint32_t index;
} feature;

static const feature features[] = {{"", 64}};

PLANISH_ONE uint32_t planish_cpu_architecture_v1(void) { return PLANISH_ARCH_ANY; }

PLANISH_ONE uint64_t planish_cpu_features_v1(void) { return 0; }

#endif

PLANISH_ONE const char *planish_cpu_feature_name_v1(uint32_t bit) {
  for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); ++i) {
    if (features[i].index == bit) return features[i].name;
  }
  return "an unknown feature";
}
