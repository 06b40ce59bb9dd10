// Profiles of values. What parses prints, and the print parses to the same.
#include "planish/quant/Profile.h"
#include "planish/support/Check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace planish;
  const auto profile = quant::parseProfile({reinterpret_cast<const char *>(data), size}, "profile");
  if (!profile) return 0;
  const std::string text = quant::print(*profile);
  const auto again = quant::parseProfile(text, "print");
  PLANISH_CHECK(bool(again), again.error().text);
  PLANISH_CHECK(*again == *profile, "a profile is another once it is printed:\n" + text);
  return 0;
}
