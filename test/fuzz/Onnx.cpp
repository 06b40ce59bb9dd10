// The importer. What it takes is a well formed graph.
#include "File.h"
#include "planish/onnx/Import.h"
#include "planish/support/Check.h"
#include "planish/transform/Passes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // Limits far below the usual ones, so that no input takes long.
  static constexpr planish::onnx::Limits kSmall{
      .nodes = 2000, .tensorBytes = 1 << 20, .constantBytes = 1 << 22};
  const std::string path = planish::fuzz::fileOf(data, size);
  if (path.empty()) return 0;
  const auto imported = planish::onnx::importModel(path, {.shapes = {}, .maxShapes = {}, .limits = kSmall});
  if (!imported) return 0;
  const planish::Status status = planish::transform::checkGraph(imported->graph);
  PLANISH_CHECK(bool(status), status.error().text);
  return 0;
}
