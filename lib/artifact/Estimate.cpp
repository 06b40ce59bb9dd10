#include "planish/artifact/Estimate.h"

#include "planish/support/Text.h"

#include <algorithm>
#include <cmath>

namespace planish::artifact {
namespace {

/// Products that one instruction adds up.
double productsEach(const loop::Function &f, const Target &t) {
  bool codes = std::ranges::any_of(f.params, [](const loop::Buffer &b) {
    return b->scope == loop::Scope::Packed && b->dtype == DType::i8;
  });
  double lanes = t.lanes(DType::f32);
  if (!codes) return t.fma ? lanes : lanes / 2;
  if (t.dot4 || t.signedDot4) return 4 * lanes;
  return t.architecture == Architecture::Arm64 ? lanes
                                               : lanes / 2;  // widened to 16 bits and added up in pairs
}

} // namespace

std::optional<Estimate> estimateOf(const loop::Program &p, const Target &t) {
  if (t.assumed.gigahertz == 0) return std::nullopt;
  constexpr double vectorsRead = 0.3; // for each multiply-add of a tile of usual size
  Estimate r{t.assumed, t.inOrder ? 0.6 : 0.75, {}, 0};
  for (const loop::LaunchInfo &l : p.launches) {
    auto f = std::ranges::find(p.kernels, l.kernel, [](const loop::FunctionRef &k) { return k->name; });
    if (f == p.kernels.end()) return std::nullopt;
    double each = std::max(1 / t.assumed.multiplies, vectorsRead / t.assumed.loads);
    double cycles = l.flops / 2 / productsEach(**f, t) * each / r.ofPeak;
    double computing = cycles / t.assumed.gigahertz / 1e3, reading = l.bytes / t.assumed.gigabytes / 1e3;
    r.launches.push_back({std::max(computing, reading), reading > computing});
    r.microseconds += r.launches.back().microseconds;
  }
  return r;
}

std::string textOf(const Estimate &e) {
  auto number = [](double v) { return planish::textOf(std::round(v * 100) / 100); };
  return "may take " + number(e.microseconds / 1e3) + " ms on one core that begins " +
         number(e.assumed.multiplies) + " vector multiply-adds a cycle at " + number(e.assumed.gigahertz) +
         " GHz, of which kernels reach " + number(100 * e.ofPeak) + " %, with memory at " +
         number(e.assumed.gigabytes) + " GB/s: nobody measured it";
}

} // namespace planish::artifact
