// Archives of NumPy arrays.
#include "File.h"
#include "run/Array.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::string path = planish::fuzz::fileOf(data, size);
  if (!path.empty()) (void)planish::run::readNpz(path);
  return 0;
}
