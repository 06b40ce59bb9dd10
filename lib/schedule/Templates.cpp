// The table of templates, and the way of a computation through it.
#include "Internal.h"

#include <algorithm>

namespace planish::schedule {
namespace {

/// Runs the definition as it is written.
constexpr Template kSerial = {
    "serial.any",
    [](const Kernel &, const Target &) { return true; },
    [](const Kernel &, const Target &) { return std::vector<Knob>{}; },
    [](const Kernel &, const Target &) { return Config{}; },
    [](Kernel &, const Config &, const Target &) {},
};

/// Nothing is computed along an empty axis, so there is nothing to split.
bool isEmpty(const Kernel &k) {
  auto empty = [&](const Axis &a) { return k.upperExtent(a) <= 0; };
  return std::ranges::any_of(k.spaceAxes(), empty) || std::ranges::any_of(k.reduceAxes(), empty);
}

/// Whether another order of the terms can give another result.
bool rounds(const Kernel &k) {
  const loop::Compute &c = k.compute();
  using loop::Combine;
  return isFloat(c.accumulator) && (c.combine == Combine::Sum || c.combine == Combine::Product);
}

} // namespace

std::span<const Template> templates() {
  static const Template rows[] = {kWarpContraction,  kPipelinedContraction,
                                  kGroupContraction, kGroupReduction,
                                  kItemWindow,       kItemPointwise,
                                  kWinograd,         kContraction,
                                  kWindow,           kReduction,
                                  kPointwise,        kSerial};
  return rows;
}

const Template &templateFor(const Kernel &kernel, const Target &target, const Config &config, bool strict) {
  std::span<const Template> rows = templates();
  if (isEmpty(kernel)) return rows.back();
  for (const Template &row : rows) {
    if ((strict && row.reassociates && rounds(kernel)) || !row.matches(kernel, target)) continue;
    if (!row.chosen || row.chosen(kernel, config, target)) return row;
  }
  return rows.back();
}

Scheduled schedule(loop::Compute compute, const Target &device, const Config &config, bool strict) {
  Kernel kernel(std::move(compute));
  Target target = device;
  target.strict |= strict;
  const Template &row = templateFor(kernel, target, config, strict);
  Config full = row.defaults(kernel, target);
  for (const auto &[name, value] : config)
    if (auto it = full.find(name); it != full.end()) it->second = value;
  double nanoseconds = row.nanoseconds ? row.nanoseconds(kernel, target) : 0;
  if (row.build) return {row.build(kernel, full, target), row.name, full, nanoseconds};
  row.apply(kernel, full, target);
  return {kernel.materialize(), row.name, full, nanoseconds};
}

} // namespace planish::schedule
