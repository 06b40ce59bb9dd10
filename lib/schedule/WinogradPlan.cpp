// Which computations Winograd's transform fits, and how its work is divided.
#include "WinogradPlan.h"
#include "Internal.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace planish::schedule::winograd {

using namespace loop;

namespace {

/// Index = row + dilation * tap - pad of an image dimension; false if it is not that.
bool isWindow(const Kernel &k, const Expr &index, Direction &d) {
  Affine a = affine(index);
  if (a.terms.size() != 2) return false;
  for (const Affine::Term &t : a.terms) {
    const VarRef *v = t.factors.size() == 1 ? as<VarRef>(t.factors[0]) : nullptr;
    if (!v || t.coefficient < 1) return false;
    std::vector<Axis> space = k.spaceAxes();
    bool isRow = std::ranges::find(space, v->var) != space.end();
    if (isRow && t.coefficient != 1) return false;
    (isRow ? d.row : d.tap) = v->var;
    if (!isRow) d.dilation = t.coefficient;
  }
  if (!d.row || !d.tap || k.constantExtent(d.tap) != kTaps || !k.constantExtent(d.row)) return false;
  d.pad = -a.constant;
  d.out = *k.constantExtent(d.row);
  return d.out > 0;
}

/// Every guard says that an index is inside the image, and every index that may be outside has its guard.
bool guardsArePadding(const Compute &c, const std::vector<Expr> &indices, const Form &f) {
  std::array<bool, 4> seen{};
  const std::array<const Direction *, 2> directions{&f.y, &f.x};
  for (const Expr &g : c.where) {
    bool known = false;
    for (size_t i = 0; i < 2; ++i) {
      const Direction &d = *directions[i];
      Affine guard = affine(g);
      bool low = equal(guard, affine(indices[d.dim]));
      bool high = equal(guard, affine(imm(d.in - 1) - indices[d.dim]));
      seen[2 * i] |= low;
      seen[2 * i + 1] |= high;
      known |= low || high;
    }
    if (!known) return false;
  }
  for (size_t i = 0; i < 2; ++i) {
    const Direction &d = *directions[i];
    if (d.pad > 0 && !seen[2 * i]) return false;
    if (d.out - 1 + d.span(kTaps) - d.pad > d.in && !seen[2 * i + 1]) return false;
  }
  return true;
}

std::optional<Form> formOf(const Kernel &k, bool swapped) {
  const Compute &c = k.compute();
  Form f;
  f.image = swapped ? c.rhs : c.lhs;
  f.weights = swapped ? c.lhs : c.rhs;
  const Load *image = as<Load>(f.image);
  if (!image || image->mask || !hasConstantShape(*image->buffer) || !k.canPack(f.weights)) return {};
  int directions = 0;
  for (size_t d = 0; d < image->indices.size(); ++d) {
    Direction dir;
    if (!isWindow(k, image->indices[d], dir)) continue;
    if (++directions > 2) return {};
    dir.dim = d;
    dir.in = *constantOf(image->buffer->shape[d]);
    (directions == 1 ? f.y : f.x) = dir;
  }
  if (directions != 2) return {};
  for (const Axis &a : k.reduceAxes())
    if (a != f.y.tap && a != f.x.tap) f.depth = a;
  if (k.reduceAxes().size() != 3 || !f.depth || !k.constantExtent(f.depth)) return {};
  for (const Axis &a : k.spaceAxes()) {
    if (!k.constantExtent(a)) return {};
    if (a == f.y.row || a == f.x.row) continue;
    bool inImage = dependsOn(f.image, a), inWeights = dependsOn(f.weights, a);
    Axis &role = inWeights ? f.column : f.batch;
    if (inImage == inWeights || role) return {};
    role = a;
  }
  if (!f.column) return {};
  f.columns = *k.constantExtent(f.column);
  f.depths = *k.constantExtent(f.depth);
  if (f.batch) f.batches = *k.constantExtent(f.batch);
  bool contiguous = strideOf(f.image, f.depth) == 1 && strideOf(*c.out, k.outIndices(), f.column) == 1 &&
                    hasConstantShape(*c.out);
  for (const Axis &a : {f.column, f.depth, f.y.tap, f.x.tap})
    contiguous &= strideOf(f.weights, a).has_value();
  if (!contiguous || !guardsArePadding(c, image->indices, f)) return {};
  return f;
}

int64_t roundedUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/// Bytes that a core gets in a cycle from beyond its L2 cache, and from memory; what is larger than
/// kNearBytes comes from there.
constexpr double kNearRate = 8, kMemoryRate = 4, kNearBytes = 32e6;
double cyclesToFetch(double bytes) { return bytes / (bytes > kNearBytes ? kMemoryRate : kNearRate); }

/// Cycles of the two transforms per tile of 36 points and vector: loads and stores that reach the L2 cache
/// mostly.
constexpr double kInputCycles = 170, kOutputCycles = 150;

/// Cycles of one thread with the image in the caches.
double cyclesOf(const Form &f, const Plan &p, const Target &t) {
  const int64_t columnVectors = p.columns / p.lanes, depthVectors = p.depth / p.lanes;
  double vectors = double(columnVectors * p.parts), parts = double(p.parts);
  double filled = std::min(double(p.perBlock) / 6, 1.0); // of a register tile
  double products = double(p.blocks * p.perBlock * p.points) * double(f.depths) * vectors / 2 / 0.9 / filled;
  double share = double(p.points) / 36;
  double transforms =
      double(p.tiles) * share * (kInputCycles * double(depthVectors) * parts + kOutputCycles * vectors);
  // Transformed weights that do not fit the L2 cache are fetched for every block, and so is a block's
  // scratch.
  double cache = double(t.l2Bytes), fetched = 0;
  double weights = double(p.points * f.depths * p.columns * p.parts * 4);
  if (weights > cache / 2) fetched += cyclesToFetch(weights) * double(p.blocks);
  double scratch = double(p.points * p.perBlock * (p.depth + p.columns) * 4);
  if (scratch > cache * 3 / 4) fetched += 2 * scratch / kNearRate * double(p.tasks());
  return products + fetched + transforms;
}

double directCycles(const Form &f, const Target &t) {
  const int64_t lanes = t.lanes(DType::f32), vectors = roundedUp(f.columns, lanes) / lanes;
  double outside = 1; // taps in the padding are skipped
  for (const Direction *d : {&f.y, &f.x}) outside *= 1 - double(2 * d->pad) / double(kTaps * d->out) / 1.5;
  double products =
      double(f.batches * f.y.out * f.x.out * 9) * double(f.depths) * double(vectors) / 2 / 0.93 * outside;
  double weights = double(9 * f.depths * f.columns * 4);
  return products + (weights > double(t.l2Bytes) / 2 ? cyclesToFetch(weights) : 0);
}

} // namespace

std::optional<Form> formOf(const Kernel &k) {
  const Compute &c = k.compute();
  if (!k.reduces() || !c.rhs || c.combine != Combine::Sum || c.accumulator != DType::f32) return {};
  for (bool swapped : {false, true})
    if (auto f = formOf(k, swapped)) return f;
  return {};
}

Plan planOf(const Form &f, int64_t m, int64_t perBlock, int64_t parts, const Target &t) {
  Plan p{};
  p.m = m;
  p.points = (m + 2) * (m + 2);
  p.tilesY = f.y.tiles(m);
  p.tilesX = f.x.tiles(m);
  p.tiles = f.batches * p.tilesY * p.tilesX;
  p.lanes = t.lanes(DType::f32);
  p.depth = roundedUp(f.depths, p.lanes);
  auto divided = [&](int64_t blocks, int64_t columnParts) {
    Plan r = p;
    r.perBlock = (p.tiles + blocks - 1) / blocks;
    r.blocks = (p.tiles + r.perBlock - 1) / r.perBlock;
    r.parts = f.columns % (columnParts * 2 * p.lanes) == 0 ? columnParts : 1;
    r.columns = roundedUp(f.columns / r.parts, p.lanes);
    return r;
  };
  if (perBlock) {
    perBlock = std::clamp<int64_t>(perBlock, 1, p.tiles);
    return divided((p.tiles + perBlock - 1) / perBlock, std::max<int64_t>(parts, 1));
  }
  const int64_t cores = std::max(t.cores, 1);
  std::optional<Plan> best;
  double bestCycles = 0;
  for (int64_t columnParts : {int64_t(1), cores}) {
    if (parts && columnParts != parts) continue;
    for (int64_t blocks = 1; blocks <= p.tiles; blocks += blocks < 16 ? 1 : blocks / 8) {
      Plan r = divided(blocks, columnParts);
      int64_t rounds = roundedUp(r.tasks(), cores);
      if (best && rounds > 16 * cores && r.perBlock < 12) break;
      double cycles = cyclesOf(f, r, t) * double(rounds) / double(r.tasks());
      if (!best || cycles < bestCycles) best = r, bestCycles = cycles;
    }
  }
  return best ? *best : divided(1, std::max<int64_t>(parts, 1));
}

std::vector<WeightTrade> tradesOf(const Form &f, const Target &t) {
  constexpr double kCyclesPerNanosecond = 3, kMargin = 0.95;
  std::vector<WeightTrade> r;
  if (f.columns < 16 || f.depths < 16) return r;
  double direct = directCycles(f, t);
  for (int64_t m : {4, 2}) {
    Plan p = planOf(f, m, 0, 0, t);
    double cycles = cyclesOf(f, p, t);
    int64_t bytes = f.depths * p.columns * p.parts * 4;
    if (cycles < direct * kMargin)
      r.push_back({m, (direct - cycles) / kCyclesPerNanosecond, bytes * p.points,
                   bytes * (p.points - kTaps * kTaps)});
  }
  std::ranges::stable_sort(r, std::greater(), &WeightTrade::savedNs);
  return r;
}

int64_t bestTile(const Form &f, const Target &t) {
  std::vector<WeightTrade> trades = tradesOf(f, t);
  return trades.empty() ? 0 : trades[0].tile;
}

} // namespace planish::schedule::winograd
