/* SHA-256 (FIPS 180-4) of bytes that lie in memory. */
#ifndef PLANISH_RUNTIME_SHA256_H
#define PLANISH_RUNTIME_SHA256_H

#include "os.h"

/* The first eight bytes of the hash, big end first. */
PLANISH_SHARED uint64_t planish_sha256_v1(const void *data, uint64_t bytes);

#endif
