// window.cpu: reductions in which every operand has the vector axis, or none: depthwise convolution,
// pooling, means over space, row-wise sums of a matrix. Taps are unrolled where they are few: then the
// window slides over inputs that are loaded once, because all taps share one basic block, and the
// weights of one channel vector stay in registers over a row. Products of codes are taken four taps at a
// time where the target has such an instruction: a column of the window is one operand, which the pixels that
// look at it share.
#include "Internal.h"

#include <algorithm>

namespace planish::schedule {
namespace {

using namespace loop;

/// The space axis whose neighbours are neighbours in memory, in the output and in what is summed.
Axis vectorAxis(const Kernel &k) {
  const Compute &c = k.compute();
  for (const Axis &a : k.spaceAxes()) {
    if (strideOf(*c.out, k.outIndices(), a) != 1 || k.upperExtent(a) < 4) continue;
    bool good = true;
    for (const Expr &e : {c.lhs, c.rhs})
      for (const Expr &l : loadsIn(e)) {
        auto stride = strideOf(l, a);
        good &= stride == 0 || stride == 1 || (dependsOn(l, a) && k.canPack(l));
      }
    if (good) return a;
  }
  return {};
}

bool matches(const Kernel &k, const Target &) { return k.reduces() && vectorAxis(k); }

/// Taps four at a time: not where four would mostly be none.
bool dots(const Kernel &k, const Target &t) {
  std::vector<Axis> taps = k.reduceAxes();
  auto count = taps.empty() ? std::nullopt : k.constantExtent(taps[0]);
  return t.dot4 && count && *count >= 3 && k.compute().rhs &&
         multipliesCodes(k, k.compute().lhs, k.compute().rhs);
}

constexpr int64_t kUnrolledTaps = 9; // of several axes together
constexpr int64_t kUnrolledRow = 16; // of the innermost axis

std::vector<Axis> build(Kernel &k, const Config &c, const Target &t) {
  std::vector<Axis> rows = k.spaceAxes(), taps = k.reduceAxes();
  Axis lane = vectorAxis(k);
  std::erase(rows, lane);
  sortByOutput(k, rows);
  fuseCollapsing(k, rows);
  fuseCollapsing(k, taps);
  Axis quad;
  if (dots(k, t)) std::tie(taps[0], quad) = k.split(taps[0], 4, "quad", "q", Tail::Guard);

  auto [vec, v] = k.split(lane, lanesFor(k, lane, t, k.compute().accumulator), "vec", "v", Tail::Guard);
  Axis group = vec, block, n, tile, p;
  if (auto vectors = k.constantExtent(vec)) {
    Axis blocks;
    std::tie(blocks, n) = k.split(vec, std::min(knob(c, "vectors"), *vectors), "b", "n");
    group = blocks;
    if (*vectors % std::min(knob(c, "vectors"), *vectors) == 0)
      std::tie(group, block) =
          k.split(blocks, std::min(knob(c, "group"), *k.constantExtent(blocks)), "g", "c");
  }
  if (!rows.empty()) {
    int64_t pixels = std::min(knob(c, "pixels"), std::max<int64_t>(k.upperExtent(rows.back()), 1));
    std::tie(tile, p) = k.split(rows.back(), pixels, "t", "p");
    rows.pop_back();
  }

  // The innermost taps are unrolled, as long as they are few.
  std::vector<Axis> unrolled;
  int64_t copies = 1;
  while (!taps.empty() && k.constantExtent(taps.back())) {
    int64_t count = *k.constantExtent(taps.back());
    if (copies * count > (unrolled.empty() ? kUnrolledRow : kUnrolledTaps)) break;
    copies *= count;
    unrolled.insert(unrolled.begin(), taps.back());
    taps.pop_back();
  }
  if (unrolled.empty() && !taps.empty() && !k.guarded(taps.back())) {
    int64_t most = std::max<int64_t>(k.upperExtent(taps.back()), 1);
    auto [many, few] = k.split(taps.back(), std::min<int64_t>(4, most), "r", "u");
    taps.back() = many;
    unrolled.push_back(few);
  }

  std::vector<Axis> outer{group};
  outer.insert(outer.end(), rows.begin(), rows.end());
  if (block) outer.push_back(block);
  if (tile) outer.push_back(tile);
  std::vector<Axis> order = outer;
  size_t tileAt = order.size();
  order.insert(order.end(), taps.begin(), taps.end());
  order.insert(order.end(), unrolled.begin(), unrolled.end());
  for (const Axis &a : {p, n, v, quad})
    if (a) order.push_back(a);
  bool allUnrolled = taps.empty();
  k.reorder(order);
  if (tileAt < order.size() && !k.reduceAxes().empty()) k.accumulate(order[tileAt]);
  for (const Axis &a : unrolled) k.mark(a, LoopKind::Unrolled);
  for (const Axis &a : {p, n})
    if (a) k.mark(a, LoopKind::Unrolled);
  k.mark(v, LoopKind::Vectorized);
  if (quad) k.tensorize(quad);
  if (n) k.partition(group);
  if (block) k.partition(block);
  if (tile) k.partition(tile);
  if (allUnrolled)
    for (const Axis &a : rows)
      if (k.guarded(a)) k.partition(a);

  for (const Expr &e : {k.compute().lhs, k.compute().rhs, k.compute().init})
    for (const Expr &l : loadsIn(e))
      if (dependsOn(l, v) && k.canPack(l)) k.pack(l);
  int64_t vectorsInside = n ? *k.constantExtent(n) : 1, pixels = p ? *k.constantExtent(p) : 1;
  bool fits = copies * vectorsInside + pixels * vectorsInside + 2 <= t.registers;
  if (tile && allUnrolled && fits && !quad)
    for (const Expr &l : loadsIn(k.compute().rhs))
      if (dependsOn(l, v) && k.canPack(l) && !dependsOn(l, tile) && !dependsOn(l, p)) k.stage(l, tile);
  return outer;
}

void apply(Kernel &k, const Config &c, const Target &t) {
  markParallel(k, build(k, c, t), knob(c, "parallel"));
}

constexpr int64_t kAllGroups = 24;

double nanoseconds(const Kernel &k, const Target &t) {
  return iterations(k) / double(t.lanes(DType::f32)) / 4;
}

/// Two vectors by up to five pixels where there are rows (memory bounds these kernels, so neighbours in
/// memory count more than weights in registers), else several vectors; wider tiles in short rows, where every
/// tile is at an edge. All channels of a row run together where the maps do not stay in the second cache, so
/// that memory is read in its order. Parallel over rows where they divide evenly enough, so that a core finds
/// what it wrote, else over groups.
Config defaults(const Kernel &kernel, const Target &t) {
  std::vector<Axis> rows = kernel.spaceAxes();
  Axis lane = vectorAxis(kernel);
  std::erase(rows, lane);
  sortByOutput(kernel, rows);
  int64_t lanes = lanesFor(kernel, lane, t, kernel.compute().accumulator);
  int64_t vectors = (kernel.upperExtent(lane) + lanes - 1) / lanes;
  int64_t width = rows.empty() ? 1 : kernel.upperExtent(rows.back()), pixels = 1;
  double bestWaste = 1e9;
  bool far = operandBytes(kernel.compute().lhs) + outputBytes(kernel) > double(t.l2Bytes);
  int64_t widest = t.registers < 32 ? 4 : width <= 14 ? 7 : 5;
  for (int64_t p = std::min<int64_t>(width, widest); p >= 1; --p) {
    const int64_t covered = (width + p - 1) / p * p;
    double waste = double(covered) / double(width) + 0.5 / double(p);
    if (waste < bestWaste) {
      bestWaste = waste;
      pixels = p;
    }
  }
  int64_t together = pixels == 1 ? 4 : vectors % 2 == 0 && t.registers >= 32 ? 2 : 1;
  Config c{{"vectors", together}, {"pixels", pixels}, {"group", far ? kAllGroups : 2}, {"parallel", 0}};
  Kernel built = kernel;
  std::vector<Axis> outer = build(built, c, t);
  // A core that takes other channels than it wrote, or reads what others read too, waits for their lines.
  c["parallel"] = balancedAxis(built, outer, nanoseconds(kernel, t), t, [&](const Axis &a) {
    return a == outer.front() && outer.size() > 1 ? 0.1 * outputBytes(kernel) : 0;
  });
  return c;
}

std::vector<Knob> space(const Kernel &, const Target &) {
  return {{"vectors", {1, 2, 3, 4, 6}},
          {"pixels", {1, 2, 3, 4, 5, 7, 8, 14}},
          {"group", {1, 2, 3, 4, 6, 8, 12, 24}},
          {"parallel", {0, 1, 2, 3}}};
}

} // namespace

const Template kWindow = {.name = "window.cpu",
                          .matches = matches,
                          .space = space,
                          .defaults = defaults,
                          .apply = apply,
                          .nanoseconds = nanoseconds};

} // namespace planish::schedule
