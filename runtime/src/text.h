/* Error texts. */
#ifndef PLANISH_RUNTIME_TEXT_H
#define PLANISH_RUNTIME_TEXT_H

#include "os.h"

/* Writes one line to `out` (PLANISH_ERROR_BYTES, cut where it is longer). `%s` takes a const char *, `%d` an
 * int64_t; nothing else. */
PLANISH_SHARED void planish_text_v1(char *out, const char *format, ...);

#endif
