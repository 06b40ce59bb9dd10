// Text of graphs. What parses prints, and the print parses to the same.
#include "planish/graph/Text.h"
#include "planish/ops/Ops.h"
#include "planish/support/Check.h"
#include "planish/transform/Passes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace planish;
  const auto g = graph::parse({reinterpret_cast<const char *>(data), size}, ops::allOps());
  if (!g || !transform::checkGraph(*g)) return 0;
  graph::Blobs blobs;
  const std::string text = graph::print(*g, &blobs);
  const auto again = graph::parse(text, ops::allOps(), blobs);
  PLANISH_CHECK(bool(again), again.error().text);
  PLANISH_CHECK(graph::print(*again) == text, "a graph prints otherwise once it is parsed:\n" + text);
  return 0;
}
