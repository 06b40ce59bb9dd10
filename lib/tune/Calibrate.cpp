#include "planish/tune/Calibrate.h"

#include "RealLayers.h"

#include "planish/transform/Equalize.h"
#include "planish/transform/PlaceCodes.h"

namespace planish::tune {

namespace {

Result<quant::Profile> profiled(const graph::Graph &g, Samples &samples, const Calibration &how) {
  std::vector<graph::ValueId> watched = transform::valuesToProfile(g, how.tables);
  std::vector<std::string> names;
  for (graph::ValueId v : watched) names.push_back(g[v].name);
  quant::Profiler profiler(std::move(names));
  PLANISH_TRY(observe(g, watched, samples, [&](size_t, size_t index, const TensorView &value) -> Status {
    profiler.add(index, value.shape, value.floats());
    return {};
  }));
  PLANISH_ASSIGN(quant::Profile r, profiler.finish(quant::identityOf(g), samples.count(), how.calibrator));
  r.tables = how.tables;
  return r;
}

} // namespace

Result<quant::Profile> calibrate(const graph::Graph &g, Samples &samples, const Calibration &how) {
  if (samples.count() == 0) return badInput("there are no samples to calibrate with");
  PLANISH_ASSIGN(quant::Profile r, profiled(g, samples, how));
  if (quant::Equalization factors = transform::equalization(g, r); !factors.empty()) {
    // Channels change their sizes, so values are looked at once more.
    PLANISH_ASSIGN(graph::Graph equalized, transform::equalized(g, factors));
    std::string graph = r.graph;
    PLANISH_ASSIGN(r, profiled(equalized, samples, how));
    r.graph = std::move(graph);
    r.equalization = std::move(factors);
  }
  PLANISH_ASSIGN(r.real, realLayers(g, r, samples));
  return r;
}

} // namespace planish::tune
