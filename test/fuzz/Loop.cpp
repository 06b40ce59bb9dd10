// Text of loop functions. What parses prints, and the print parses to the same.
#include "planish/loop/Text.h"
#include "planish/loop/Verify.h"
#include "planish/support/Check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace planish;
  const auto functions = loop::parse({reinterpret_cast<const char *>(data), size});
  if (!functions) return 0;
  for (const loop::FunctionRef &f : *functions)
    if (!loop::verify(*f)) return 0;
  const std::string text = loop::print(*functions);
  const auto again = loop::parse(text);
  PLANISH_CHECK(bool(again), again.error().text);
  PLANISH_CHECK(loop::print(*again) == text, "functions print otherwise once they are parsed:\n" + text);
  return 0;
}
