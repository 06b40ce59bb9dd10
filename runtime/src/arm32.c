/* What 32-bit code calls for where there is no instruction: 64-bit division, and conversions between 64-bit
 * integers and floating-point numbers. Names and results after "Run-time ABI for the Arm Architecture", 4.2
 * and 4.3; without them a library would need the compiler's own. */
#include "os.h"

#if defined(__arm__)
/* NOLINTBEGIN(cert-dcl37-c,cert-dcl51-cpp): reserved names are what code calls. */

/* The quotient, and the rest in *rest; for a divisor of 0 the quotient is 0. */
PLANISH_SHARED uint64_t planish_divide_v1(uint64_t n, uint64_t d, uint64_t *rest);
PLANISH_SHARED int64_t planish_divide_signed_v1(int64_t n, int64_t d, int64_t *rest);

PLANISH_ONE uint64_t planish_divide_v1(uint64_t n, uint64_t d, uint64_t *rest) {
  uint64_t quotient = 0;
  *rest = n;
  if (!d || n < d) return 0;
  for (int place = __builtin_clzll(d) - __builtin_clzll(n); place >= 0; --place) {
    const uint64_t part = d << place;
    if (*rest < part) continue;
    *rest -= part;
    quotient |= (uint64_t)1 << place;
  }
  return quotient;
}

static uint64_t magnitude(int64_t n) { return n < 0 ? 0 - (uint64_t)n : (uint64_t)n; }

PLANISH_ONE int64_t planish_divide_signed_v1(int64_t n, int64_t d, int64_t *rest) {
  uint64_t left;
  const uint64_t quotient = planish_divide_v1(magnitude(n), magnitude(d), &left);
  *rest = (int64_t)(n < 0 ? 0 - left : left);
  return (int64_t)((n < 0) != (d < 0) ? 0 - quotient : quotient);
}

/* Quotient in r0 and r1, rest in r2 and r3: no C function returns so. */
#define DIVISION(name, function)                                                                             \
  __attribute__((naked)) PLANISH_ONE void name(void);                                                        \
  __attribute__((naked)) PLANISH_ONE void name(void) {                                                       \
    __asm__("push {r4, lr}\n\t"                                                                              \
            "sub sp, sp, #16\n\t"                                                                            \
            "add r4, sp, #8\n\t"                                                                             \
            "str r4, [sp]\n\t"                                                                               \
            "bl " function "\n\t"                                                                            \
            "ldrd r2, r3, [sp, #8]\n\t"                                                                      \
            "add sp, sp, #16\n\t"                                                                            \
            "pop {r4, pc}");                                                                                 \
  }

DIVISION(__aeabi_uldivmod, "planish_divide_v1")
DIVISION(__aeabi_ldivmod, "planish_divide_signed_v1")

/* The rest is the upper word of what is returned. */
PLANISH_ONE uint64_t __aeabi_uidivmod(uint32_t n, uint32_t d);
PLANISH_ONE uint64_t __aeabi_idivmod(int32_t n, int32_t d);
PLANISH_ONE uint32_t __aeabi_uidiv(uint32_t n, uint32_t d);
PLANISH_ONE int32_t __aeabi_idiv(int32_t n, int32_t d);

PLANISH_ONE uint64_t __aeabi_uidivmod(uint32_t n, uint32_t d) {
  uint64_t rest;
  const uint64_t quotient = planish_divide_v1(n, d, &rest);
  return quotient | rest << 32;
}

PLANISH_ONE uint64_t __aeabi_idivmod(int32_t n, int32_t d) {
  int64_t rest;
  const int64_t quotient = planish_divide_signed_v1(n, d, &rest);
  return (uint32_t)quotient | (uint64_t)rest << 32;
}

PLANISH_ONE uint32_t __aeabi_uidiv(uint32_t n, uint32_t d) { return (uint32_t)__aeabi_uidivmod(n, d); }
PLANISH_ONE int32_t __aeabi_idiv(int32_t n, int32_t d) { return (int32_t)__aeabi_idivmod(n, d); }

/* These take and return numbers in integer registers, whatever the rest of the program does. */
#define CONVERSION __attribute__((pcs("aapcs"))) PLANISH_ONE

#define TWO32 4294967296.0

CONVERSION double __aeabi_ul2d(uint64_t n);
CONVERSION double __aeabi_l2d(int64_t n);
CONVERSION float __aeabi_ul2f(uint64_t n);
CONVERSION float __aeabi_l2f(int64_t n);
CONVERSION uint64_t __aeabi_d2ulz(double x);
CONVERSION int64_t __aeabi_d2lz(double x);
CONVERSION uint64_t __aeabi_f2ulz(float x);
CONVERSION int64_t __aeabi_f2lz(float x);

/* The upper word times 2^32 is exact: one rounding. */
CONVERSION double __aeabi_ul2d(uint64_t n) {
  return (double)(uint32_t)(n >> 32) * TWO32 + (double)(uint32_t)n;
}

CONVERSION double __aeabi_l2d(int64_t n) { return (double)(int32_t)(n >> 32) * TWO32 + (double)(uint32_t)n; }

/* A number of more than 53 bits keeps the upper ones and whether there are others: a double holds that, and
 * its rounding to float is the only one. */
CONVERSION float __aeabi_ul2f(uint64_t n) {
  if (n >> 53) n = (n & ~(uint64_t)0x7ff) | (n & 0x7ff ? 0x800 : 0);
  return (float)__aeabi_ul2d(n);
}

CONVERSION float __aeabi_l2f(int64_t n) {
  const float absolute = __aeabi_ul2f(magnitude(n));
  return n < 0 ? -absolute : absolute;
}

/* Toward zero; numbers in range only. */
CONVERSION uint64_t __aeabi_d2ulz(double x) {
  const uint32_t high = (uint32_t)(x / TWO32);
  const uint32_t low = (uint32_t)(x - (double)high * TWO32);
  return (uint64_t)high << 32 | low;
}

CONVERSION int64_t __aeabi_d2lz(double x) {
  return (int64_t)(x < 0 ? 0 - __aeabi_d2ulz(-x) : __aeabi_d2ulz(x));
}

CONVERSION uint64_t __aeabi_f2ulz(float x) { return __aeabi_d2ulz((double)x); }
CONVERSION int64_t __aeabi_f2lz(float x) { return __aeabi_d2lz((double)x); }

/* NOLINTEND(cert-dcl37-c,cert-dcl51-cpp) */
#endif
