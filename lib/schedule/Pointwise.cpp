// pointwise.cpu: no reduction. Axes in the order of the output's memory, fused where all addresses
// allow it, the axis with most contiguous accesses as lanes.
#include "Internal.h"

#include <algorithm>

namespace planish::schedule {
namespace {

using namespace loop;

bool matches(const Kernel &k, const Target &) { return !k.reduces() && !k.spaceAxes().empty(); }

/// The widest element that an expression computes with, indices aside.
DType widest(const Kernel &k) {
  DType r = k.compute().out->dtype;
  auto consider = [&](DType t) {
    if (byteSize(t) > byteSize(r)) r = t;
  };
  rewrite(k.compute().value, [&](const Expr &x) {
    if (const Load *l = as<Load>(x)) consider(l->buffer->dtype);
    else if (as<Cast>(x) || as<Call>(x))
      if (x->type.dtype != DType::i64) consider(x->type.dtype);
    return x;
  });
  return r;
}

/// Cost of one element when `axis` is the lanes: an access with a stride is taken apart.
double laneCost(const Kernel &k, const Axis &axis, const Target &t, DType type) {
  double lanes = double(std::max(t.lanes(type), 1)), n = double(std::max<int64_t>(k.upperExtent(axis), 1));
  double cost = strideOf(*k.compute().out, k.outIndices(), axis) == 1 ? 1 : lanes;
  for (const Expr &l : loadsIn(k.compute().value)) {
    auto stride = strideOf(l, axis);
    cost += stride == 0 ? 0.1 : stride == 1 ? 1 : lanes;
  }
  return cost * double(int64_t((n + lanes - 1) / lanes)) / n;
}

/// The axis along which a load is contiguous whose lanes lie apart, as in a transposition. It runs next to
/// the lanes, so that what one load brings into the cache serves the next ones.
Axis rowOfStridedLoads(const Kernel &k, const std::vector<Axis> &outer, const Axis &lanes) {
  for (const Expr &l : loadsIn(k.compute().value)) {
    auto stride = strideOf(l, lanes);
    if (!stride || (*stride >= -1 && *stride <= 1)) continue;
    for (const Axis &a : outer)
      if (strideOf(l, a) == 1) return a;
  }
  return {};
}

/// A short axis whose elements lie between those of the lanes, as channels do between pixels: run inside of
/// them its stores fill memory together.
Axis betweenLanes(const Kernel &k, const std::vector<Axis> &outer, const Axis &lanes) {
  constexpr int64_t kMost = 4;
  auto stride = strideOf(*k.compute().out, k.outIndices(), lanes);
  if (!stride || *stride < 2 || *stride > kMost) return {};
  for (const Axis &a : outer)
    if (strideOf(*k.compute().out, k.outIndices(), a) == 1 && k.constantExtent(a) == *stride) return a;
  return {};
}

std::vector<Axis> build(Kernel &k, const Config &c, const Target &t) {
  std::vector<Axis> outer = k.spaceAxes();
  sortByOutput(k, outer);
  fuseCollapsing(k, outer);
  DType type = widest(k);
  Axis lane = outer.back();
  for (const Axis &a : outer)
    if (laneCost(k, a, t, type) < laneCost(k, lane, t, type) * 0.99) lane = a;
  std::erase(outer, lane);
  int64_t lanes = lanesFor(k, lane, t, type), unroll = knob(c, "unroll");
  Axis block, u, v;
  if (k.constantExtent(lane)) {
    Axis vec;
    std::tie(vec, v) = k.split(lane, lanes, "vec", "v", Tail::Guard);
    std::tie(block, u) = k.split(vec, std::min(unroll, *k.constantExtent(vec)), "t", "u");
    k.partition(block);
    k.mark(u, LoopKind::Unrolled);
  } else {
    std::tie(block, v) = k.split(lane, lanes, "t", "v", t.maskedMemory ? Tail::Guard : Tail::Segment);
    k.partition(block);
  }
  k.mark(v, LoopKind::Vectorized);
  Axis between = betweenLanes(k, outer, v);
  std::erase(outer, between);
  Axis row = rowOfStridedLoads(k, outer, v);
  std::erase(outer, row);
  outer.push_back(block);
  std::vector<Axis> order = outer;
  if (row) order.push_back(row);
  if (u) order.push_back(u);
  if (between) {
    order.push_back(between);
    k.mark(between, LoopKind::Unrolled);
  }
  order.push_back(v);
  k.reorder(order);
  return outer;
}

void apply(Kernel &k, const Config &c, const Target &t) {
  markParallel(k, build(k, c, t), knob(c, "parallel"));
}

int nodesOf(const Kernel &k) {
  int nodes = 0;
  walk(k.compute().value, [&](const Expr &) { ++nodes; });
  return nodes;
}
double nanoseconds(const Kernel &k, const Target &t) {
  return iterations(k) / double(t.lanes(DType::f32)) * (1 + nodesOf(k) / 16.0) / 2;
}

/// Unrolled unless the value is long (its code would be copied four times); parallel over the outer
/// axis that divides evenly first.
Config defaults(const Kernel &kernel, const Target &t) {
  Config c{{"unroll", nodesOf(kernel) < 40 ? 4 : 1}, {"parallel", 0}};
  Kernel built = kernel;
  std::vector<Axis> outer = build(built, c, t);
  c["parallel"] = balancedAxis(built, outer, nanoseconds(kernel, t), t);
  return c;
}

std::vector<Knob> space(const Kernel &, const Target &) {
  return {{"unroll", {1, 2, 4}}, {"parallel", {0, 1, 2}}};
}

} // namespace

const Template kPointwise = {.name = "pointwise.cpu",
                             .matches = matches,
                             .space = space,
                             .defaults = defaults,
                             .apply = apply,
                             .nanoseconds = nanoseconds};

} // namespace planish::schedule
