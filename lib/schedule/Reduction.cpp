// reduction.cpu: reductions along the contiguous axis: rows of a softmax, means of planes, dot
// products of matrices that cannot be packed, convolutions with one output channel. Lanes (and a few vectors)
// own partial results, which are merged at the end of each output.
#include "Internal.h"

#include <algorithm>

namespace planish::schedule {
namespace {

using namespace loop;

/// A reduction axis along which every operand is contiguous, or can be packed so, or stays the same.
Axis laneAxis(const Kernel &k, const Target &t) {
  for (const Axis &a : k.reduceAxes()) {
    bool good = !k.guarded(a) && k.upperExtent(a) >= t.lanes(k.compute().accumulator), contiguous = false;
    for (const Expr &e : {k.compute().lhs, k.compute().rhs})
      for (const Expr &l : loadsIn(e)) {
        auto stride = strideOf(l, a);
        good &= stride == 0 || stride == 1 || k.canPack(l);
        contiguous |= stride == 1;
      }
    if (good && contiguous) return a;
  }
  return {};
}

bool matches(const Kernel &k, const Target &t) { return k.reduces() && laneAxis(k, t); }

std::vector<Axis> build(Kernel &k, const Config &c, const Target &t) {
  std::vector<Axis> outer = k.spaceAxes(), reduce = k.reduceAxes();
  fuseCollapsing(k, reduce);
  Axis lane = laneAxis(k, t);
  std::erase(reduce, lane);
  auto [vec, l] = k.split(lane, t.lanes(k.compute().accumulator), "vec", "l", Tail::Guard);
  Axis u;
  if (auto n = k.constantExtent(vec); n && *n >= knob(c, "unroll"))
    std::tie(vec, u) = k.split(vec, knob(c, "unroll"), "r", "u", Tail::Guard);
  std::vector<Axis> order = outer;
  order.insert(order.end(), reduce.begin(), reduce.end());
  order.push_back(vec);
  if (u) order.push_back(u);
  order.push_back(l);
  k.reorder(order);
  k.accumulate(order[outer.size()]);
  if (k.constantExtent(vec)) k.partition(vec);
  if (u) {
    k.mark(u, LoopKind::Unrolled);
    k.lanes(u);
  }
  k.mark(l, LoopKind::Vectorized);
  k.lanes(l);
  for (const Expr &e : {k.compute().lhs, k.compute().rhs})
    for (const Expr &x : loadsIn(e))
      if (strideOf(x, l).value_or(2) > 1 && k.canPack(x)) k.pack(x);
  return outer;
}

void apply(Kernel &k, const Config &c, const Target &t) {
  markParallel(k, build(k, c, t), knob(c, "parallel"));
}

double nanoseconds(const Kernel &k, const Target &t) {
  return iterations(k) / double(t.lanes(DType::f32)) / 2;
}

/// Four partial vectors hide the latency of the combination.
Config defaults(const Kernel &kernel, const Target &t) {
  Config c{{"unroll", 4}, {"parallel", 0}};
  Kernel built = kernel;
  std::vector<Axis> outer = build(built, c, t);
  c["parallel"] = balancedAxis(built, outer, nanoseconds(kernel, t), t);
  return c;
}

std::vector<Knob> space(const Kernel &, const Target &) {
  return {{"unroll", {1, 2, 4}}, {"parallel", {0, 1, 2}}};
}

} // namespace

const Template kReduction = {.name = "reduction.cpu",
                             .matches = matches,
                             .space = space,
                             .defaults = defaults,
                             .apply = apply,
                             .nanoseconds = nanoseconds,
                             .reassociates = true};

} // namespace planish::schedule
