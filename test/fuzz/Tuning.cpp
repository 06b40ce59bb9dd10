// Tuning databases.
#include "planish/schedule/Tuning.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  (void)planish::schedule::TuningDatabase::parse({reinterpret_cast<const char *>(data), size}, "database");
  return 0;
}
