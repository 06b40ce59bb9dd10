// Files of planish-peak.
#include "run/Machine.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::string text(reinterpret_cast<const char *>(data), size);
  (void)planish::run::parseMachine(text, "machine");
  return 0;
}
