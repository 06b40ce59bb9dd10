// Manifests: what a compilation reads of the folder that it writes to. It names no file outside of the
// folder.
#include "artifact/Documents.h"
#include "planish/support/Check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::string text(reinterpret_cast<const char *>(data), size);
  for (const std::string &file : planish::artifact::filesOfManifest(text))
    PLANISH_CHECK(!file.empty() && file != ".." && file.find('/') == std::string::npos,
                  "a manifest names the file " + file);
  return 0;
}
