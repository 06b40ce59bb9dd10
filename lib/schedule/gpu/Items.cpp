// pointwise.gpu and window.gpu: every work-item makes a few neighbouring results by itself; all axes around
// them are one parallel axis. A vector of neighbours where they fill vectors evenly; windows (depthwise
// convolution, pooling) also take several pixels of a row, which share taps.
#include "Internal.h"

#include <algorithm>

namespace planish::schedule {
namespace {

using namespace loop;

bool isGpu(const Target &t) { return t.device != DeviceKind::Cpu && t.groupItems > 1; }

/// The axis along which the output is contiguous, if it divides into vectors that every operand can be read
/// or repeated by.
Axis vectorAxis(const Kernel &k, const Target &t) {
  int64_t lanes = t.lanes(DType::f32);
  for (const Axis &a : k.spaceAxes()) {
    auto n = k.constantExtent(a);
    if (n && *n % lanes == 0 && !k.guarded(a) && strideOf(*k.compute().out, k.outIndices(), a) == 1) return a;
  }
  return {};
}

/// Splits off the vector, makes the rest one parallel axis; returns that axis and the vector (may be absent).
std::pair<Axis, Axis> flatten(Kernel &k, const Target &t, std::vector<Axis> inner, std::vector<Axis> outer) {
  Axis lane = vectorAxis(k, t), v;
  if (lane) {
    size_t at = size_t(std::ranges::find(outer, lane) - outer.begin());
    Axis blocks;
    std::tie(blocks, v) = k.split(lane, t.lanes(DType::f32), "t", "v");
    if (at < outer.size()) outer[at] = blocks;
  }
  std::vector<Axis> order = outer;
  order.insert(order.end(), inner.begin(), inner.end());
  if (v) order.push_back(v);
  k.reorder(order);
  Axis all = outer.empty() ? Axis() : outer[0];
  for (size_t i = 1; i < outer.size(); ++i) all = k.fuse(all, outer[i]);
  if (all) k.mark(all, LoopKind::Parallel);
  if (v) k.mark(v, LoopKind::Vectorized);
  return {all, v};
}

bool matchesPointwise(const Kernel &k, const Target &t) {
  return isGpu(t) && !k.reduces() && !k.spaceAxes().empty();
}
void applyPointwise(Kernel &k, const Config &, const Target &t) {
  std::vector<Axis> axes = k.spaceAxes();
  sortByOutput(k, axes);
  flatten(k, t, {}, axes);
}

bool matchesWindow(const Kernel &k, const Target &t) {
  return isGpu(t) && k.reduces() && !k.spaceAxes().empty() && !k.reduceAxes().empty();
}
/// The row axis whose neighbours share taps, where `pixels` divides it.
Axis pixelAxis(const Kernel &k, const Axis &lane, int64_t pixels) {
  std::vector<Axis> axes = k.spaceAxes();
  std::erase(axes, lane);
  sortByOutput(k, axes);
  if (axes.size() < 2 || pixels < 2) return {};
  auto n = k.constantExtent(axes.back());
  return n && *n % pixels == 0 ? axes.back() : Axis();
}
void applyWindow(Kernel &k, const Config &c, const Target &t) {
  std::vector<Axis> inner = k.reduceAxes(), outer = k.spaceAxes();
  sortByOutput(k, outer);
  Axis p;
  if (Axis pixels = pixelAxis(k, vectorAxis(k, t), knob(c, "pixels"))) {
    size_t at = size_t(std::ranges::find(outer, pixels) - outer.begin());
    std::tie(outer[at], p) = k.split(pixels, knob(c, "pixels"), "tile", "p");
    inner.push_back(p);
    k.mark(p, LoopKind::Unrolled);
  }
  Axis first = inner.front();
  flatten(k, t, inner, outer);
  k.accumulate(first);
}
Config windowDefaults(const Kernel &k, const Target &t) {
  for (int64_t pixels : {4, 2, 3})
    if (pixelAxis(k, vectorAxis(k, t), pixels)) return {{"pixels", pixels}};
  return {{"pixels", 1}};
}
std::vector<Knob> windowSpace(const Kernel &, const Target &) { return {{"pixels", {1, 2, 3, 4}}}; }

std::vector<Knob> noKnobs(const Kernel &, const Target &) { return {}; }
Config noConfig(const Kernel &, const Target &) { return {}; }

} // namespace

const Template kItemPointwise = {"pointwise.gpu", matchesPointwise, noKnobs, noConfig, applyPointwise};
const Template kItemWindow = {"window.gpu", matchesWindow, windowSpace, windowDefaults, applyWindow};

} // namespace planish::schedule
