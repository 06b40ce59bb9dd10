// NumPy arrays. What is read is written, and the file reads to the same.
#include "planish/support/Check.h"
#include "run/Array.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace planish;
  const auto array = run::parseNpy({reinterpret_cast<const std::byte *>(data), size}, "array");
  if (!array) return 0;
  const std::string file = run::formatNpy(*array);
  const auto again = run::parseNpy(std::as_bytes(std::span(file)), "written");
  PLANISH_CHECK(bool(again), again.error().text);
  PLANISH_CHECK(again->dtype == array->dtype && again->shape == array->shape && again->bytes == array->bytes,
                "an array is another once it is written");
  return 0;
}
