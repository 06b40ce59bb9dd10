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

} // namespace

std::span<const Template> templates() {
  static const Template rows[] = {kContraction, kWindow, kReduction, kPointwise, kSerial};
  return rows;
}

const Template &templateFor(const Kernel &kernel, const Target &target) {
  std::span<const Template> rows = templates();
  if (isEmpty(kernel)) return rows.back();
  for (const Template &row : rows)
    if (row.matches(kernel, target)) return row;
  return rows.back();
}

Scheduled schedule(loop::Compute compute, const Target &target, const Config &config) {
  Kernel kernel(std::move(compute));
  const Template &row = templateFor(kernel, target);
  Config full = row.defaults(kernel, target);
  for (const auto &[name, value] : config)
    if (auto it = full.find(name); it != full.end()) it->second = value;
  row.apply(kernel, full, target);
  return {kernel.materialize(), row.name, full};
}

} // namespace planish::schedule
