// frame.json.
#include "stream/Frame.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  (void)planish::stream::parseFrame({reinterpret_cast<const char *>(data), size}, "frame.json");
  return 0;
}
