#include "text.h"

#include <stdarg.h>

#include "planish/runtime.h"

typedef struct writer {
  char *out;
  size_t used;
} writer;

static void put(writer *to, char c) {
  if (to->used + 1 < PLANISH_ERROR_BYTES) to->out[to->used++] = c;
}

static void put_string(writer *to, const char *text) {
  for (; text && *text; ++text) put(to, *text);
}

static void put_number(writer *to, int64_t value) {
  char digits[20];
  size_t n = 0;
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do {
    digits[n++] = (char)('0' + (int)(rest % 10));
    rest /= 10;
  } while (rest);
  if (value < 0) put(to, '-');
  while (n) put(to, digits[--n]);
}

PLANISH_ONE void planish_text_v1(char *out, const char *format, ...) {
  writer to = {out, 0};
  va_list arguments;
  va_start(arguments, format);
  for (; *format; ++format) {
    if (*format != '%') {
      put(&to, *format);
    } else if (*++format == 's') {
      put_string(&to, va_arg(arguments, const char *));
    } else {
      put_number(&to, va_arg(arguments, int64_t));
    }
  }
  va_end(arguments);
  out[to.used] = 0;
}
