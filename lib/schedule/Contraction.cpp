// contraction.cpu: sums of products in which one operand has the vector axis and the other does not:
// dense and grouped convolution of any rank, matmul. A register tile of `pixels` x `vectors`
// accumulators; weights packed in the order of the nest; each kernel tap is a loop of its own (two
// taps in one basic block would share broadcasts across the tile and spill).
#include "Internal.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace planish::schedule {
namespace {

using namespace loop;

/// The roles axes play in sum(left * right), read off the index expressions.
struct Roles {
  Expr left, right;
  bool swapped = false;        // left is the computation's rhs
  Axis vector;                 // the column axis that becomes lanes
  std::vector<Axis> columns;   // the other space axes of right only
  std::vector<Axis> rows;      // space axes of left only: pixels
  std::vector<Axis> shared;    // space axes of both or none: groups, batch
  std::vector<Axis> taps;      // reduction axes that share an index of left with a row
  std::vector<Axis> depth;     // the other reduction axes: input channels
};

/// A vector of `right` along `axis` is one load: packed in that order, or contiguous already.
bool vectorLoads(const Kernel &k, const Expr &right, const Axis &axis) {
  for (const Expr &l : loadsIn(right))
    if (dependsOn(l, axis) && !k.canPack(l) && strideOf(l, axis) != 1) return false;
  return true;
}

/// How good `axis` is as the vector axis; negative if it cannot be.
int vectorScore(const Kernel &k, const Expr &right, const Axis &axis) {
  if (!vectorLoads(k, right, axis)) return -1;
  int64_t n = k.upperExtent(axis);
  return (outStride(k, axis) == 1 ? 8 : 0) + (n >= 8 ? 4 : n >= 4 ? 2 : 0);
}

std::optional<Roles> rolesOf(const Kernel &k, bool swapped) {
  const Compute &c = k.compute();
  Roles r;
  r.swapped = swapped;
  r.left = swapped ? c.rhs : c.lhs;
  r.right = swapped ? c.lhs : c.rhs;
  int best = -1;
  for (const Axis &s : k.spaceAxes()) {
    bool left = dependsOn(r.left, s), right = dependsOn(r.right, s);
    if (left == right) r.shared.push_back(s);
    else if (left) r.rows.push_back(s);
    else {
      r.columns.push_back(s);
      if (int score = vectorScore(k, r.right, s); score > best) {
        best = score;
        r.vector = s;
      }
    }
  }
  if (!r.vector || k.upperExtent(r.vector) < 2) return {};
  std::erase(r.columns, r.vector);
  for (const Axis &a : k.reduceAxes()) {
    bool tap = false;
    for (const Expr &l : loadsIn(r.left))
      for (const Expr &i : as<Load>(l)->indices)
        for (const Axis &p : r.rows) tap |= dependsOn(i, a) && dependsOn(i, p);
    (tap ? r.taps : r.depth).push_back(a);
  }
  if (r.taps.empty() && r.depth.empty()) return {};
  return r;
}

/// The better of the two orientations, if the kernel is a contraction at all.
std::optional<Roles> orient(const Kernel &k) {
  const Compute &c = k.compute();
  if (!k.reduces() || !c.rhs || c.combine != Combine::Sum) return {};
  std::optional<Roles> best;
  int bestScore = -1;
  for (bool swapped : {false, true}) {
    auto r = rolesOf(k, swapped);
    int score = r ? vectorScore(k, r->right, r->vector) + (r->rows.empty() ? 0 : 2) + (swapped ? 0 : 1) : -1;
    if (score > bestScore) {
      best = r;
      bestScore = score;
    }
  }
  return best;
}

bool matches(const Kernel &k, const Target &) { return orient(k).has_value(); }

/// u8 * s8 summed in i32, four at a time: one instruction, or sums of pairs of 16-bit products.
bool usesDot(const Kernel &k, const Roles &r) {
  return !r.depth.empty() && multipliesCodes(k, r.left, r.right);
}

/// The reduction axis to block and unroll: contiguous in `left`, else the longest; then the others.
Axis takeDepth(const Kernel &k, Roles &r) {
  auto better = [&](const Axis &a, const Axis &b) {
    auto contiguous = [&](const Axis &x) {
      std::vector<Expr> l = loadsIn(r.left);
      return !l.empty() && strideOf(l[0], x) == 1;
    };
    return std::pair(contiguous(a), k.upperExtent(a)) < std::pair(contiguous(b), k.upperExtent(b));
  };
  if (r.depth.empty()) return {};
  auto it = std::max_element(r.depth.begin(), r.depth.end(), better);
  Axis a = *it;
  r.depth.erase(it);
  return a;
}

/// Everything about sizes that the choice of knobs needs.
struct Sizes {
  int64_t lanes, vectors, pixels, depth, terms;  // terms: multiply-adds per vector of outputs
  int64_t termBytes;                             // of one right operand
  int64_t rows;                                  // pixels of all row axes
  int64_t pixelBytes;                            // between neighbouring pixels of the left operand
};

Sizes sizesOf(Kernel &k, Roles &r, const Target &t) {
  sortByOutput(k, r.rows);
  fuseCollapsing(k, r.rows);
  fuseCollapsing(k, r.depth);
  Sizes s;
  s.lanes = lanesFor(k, r.vector, t, k.compute().accumulator);
  auto columns = k.constantExtent(r.vector);
  s.vectors = columns ? (*columns + s.lanes - 1) / s.lanes : 1;
  s.pixels = r.rows.empty() ? 1 : k.upperExtent(r.rows.back());
  s.depth = 1;
  s.terms = 1;
  s.termBytes = byteSize(k.compute().accumulator);
  s.rows = 1;
  for (const Axis &a : r.rows) s.rows *= std::max<int64_t>(k.upperExtent(a), 1);
  for (const Axis &a : k.reduceAxes()) s.terms *= std::max<int64_t>(k.upperExtent(a), 1);
  s.pixelBytes = 0;
  if (std::vector<Expr> l = loadsIn(r.left); !r.rows.empty() && !l.empty())
    s.pixelBytes = std::abs(strideOf(l[0], r.rows.back()).value_or(0)) * byteSize(l[0]->type.dtype);
  if (usesDot(k, r)) s.terms = (s.terms + 3) / 4; // four products of a byte each
  Roles copy = r;
  if (Axis d = takeDepth(k, copy)) s.depth = std::max<int64_t>(k.upperExtent(d), 1);
  return s;
}

/// Pixels whose lines fit the first cache together, with ways to spare: neighbours at a multiple of a page
/// share one set of lines.
int64_t pixelsInCache(const Sizes &s, const Target &t) {
  constexpr int64_t page = 4096;
  int64_t places = page / std::gcd(std::max<int64_t>(s.pixelBytes, 1), page), ways = t.l1Bytes / page;
  return std::max<int64_t>(places * (ways - 2), 4);
}

/// Cycles of one pixel row by one column block with a tile: two multiply-adds a cycle, no fewer than ten
/// accumulators hide the latency, loads get a little in the way (weights more so where their panel does
/// not stay in the first cache), and every tile pays for its start and its end.
double tileCost(const Sizes &s, int64_t vectors, int64_t pixels, const Target &t) {
  auto one = [&](int64_t v, int64_t p) {
    bool near = v * s.lanes * s.terms * s.termBytes <= t.l1Bytes / 2;
    double loads = 0.05 * double(p) + (near ? 0.15 : 0.35) * double(v) * t.vectorBytes / 64;
    double multiplies = std::max(double(v * p), 10.0) / 2, reads = 1.1 * double(v + p) / 2;
    double perTerm = std::max(multiplies, reads) + loads;
    return double(s.terms) * perTerm + double(v * p) * 2 + 20;
  };
  auto row = [&](int64_t v) {
    int64_t full = s.pixels / pixels, rest = s.pixels % pixels;
    return double(full) * one(v, pixels) + (rest ? one(v, rest) : 0);
  };
  int64_t full = s.vectors / vectors, rest = s.vectors % vectors;
  return double(full) * row(vectors) + (rest ? row(rest) : 0);
}

/// Vector registers that a tile takes: sums, weights, and the other operands, of which one is at hand at a
/// time or, where lanes of a register multiply, a register of them for every pixel.
int64_t tileRegisters(int64_t vectors, int64_t pixels, const Target &t) {
  return vectors * pixels + vectors + (t.laneOperands ? pixels : 1);
}

std::pair<int64_t, int64_t> bestTile(const Sizes &s, const Target &t) {
  std::pair<int64_t, int64_t> best{1, 1};
  double bestCost = INFINITY;
  int64_t most = std::min<int64_t>({s.pixels, 14, pixelsInCache(s, t)});
  for (int64_t v = 1; v <= (most == 1 ? 8 : 4); ++v)
    for (int64_t p = 1; p <= most; ++p) {
      if (v > s.vectors || p > s.pixels || tileRegisters(v, p, t) > std::min(t.registers, 31)) continue;
      // A single row has columns alone to divide among the cores.
      if (s.rows == 1 && v > 1 && (s.vectors + v - 1) / v < t.cores) continue;
      // Copies of the body for tails cost code, not time; near ties go to the tile that divides.
      double cost = tileCost(s, v, p, t) * (s.pixels % p ? 1.01 : 1) * (s.vectors % v ? 1.01 : 1);
      if (cost < bestCost) {
        bestCost = cost;
        best = {v, p};
      }
    }
  return best;
}

double weightBytes(const Kernel &k, const Roles &r, const Sizes &s) {
  double n = double(s.vectors * s.lanes * s.terms * s.termBytes);
  for (const Axis &a : r.columns) n *= double(k.upperExtent(a));
  return n;
}

/// Nanoseconds that a core waits more where rows are divided: for the weights of the others' columns, from
/// beyond the second cache.
double weightWait(const Kernel &k, const Roles &r, const Sizes &s, const Target &t) {
  constexpr double perByte = 0.1;
  return perByte * weightBytes(k, r, s) * (1 - 1.0 / t.cores);
}
/// The same where columns are divided: for the part of the input that other cores have just written, and
/// later for the right to write where they have read. From core to core a line takes longest.
double inputWait(const Roles &r, const Target &t) {
  constexpr double perByte = 0.3;
  return perByte * operandBytes(r.left) * (1 - 1.0 / t.cores);
}

/// Where all weights stay in the second cache but inputs and outputs do not, columns run inside strips of
/// one row or tile: what is read and written then goes by once, in the order of memory. 0: columns outermost.
int64_t bestStrip(const Kernel &k, const Roles &r, const Sizes &s, int64_t vectors, const Target &t) {
  double weights = weightBytes(k, r, s), half = double(t.l2Bytes) / 2;
  return s.vectors > vectors && weights <= half && operandBytes(r.left) + outputBytes(k) > half ? 1 : 0;
}

/// The largest choice that divides n, else the first.
int64_t dividing(int64_t n, std::initializer_list<int64_t> choices) {
  for (int64_t c : choices)
    if (n % c == 0) return c;
  return *choices.begin();
}

/// A panel of weights is so short that a few lines of the next one at every tile are enough.
bool fewLines(const Sizes &s, int64_t vectors, int64_t pixels) {
  constexpr int64_t line = 64, few = 4;
  return vectors * s.lanes * s.terms * s.termBytes <= few * line * (s.rows / pixels);
}

/// How much of the depth sums on its own where every element stands for `terms` products: a multiple of
/// `unit`, and a divisor if there is one of that size; 0 where the whole sum is short, or must be formed term
/// by term.
int64_t partOf(const Kernel &k, const Axis &depth, int64_t terms, int64_t unit, const Target &t) {
  constexpr int64_t kLong = 768, kPart = 400;
  auto n = k.constantExtent(depth);
  if (!n || t.strict || !isFloat(k.compute().accumulator) || *n * terms < kLong) return 0;
  const int64_t most = std::max<int64_t>(kPart / terms / unit, 1) * unit;
  for (int64_t r = most; r >= most / 3 && r > 0; r -= unit)
    if (*n % r == 0) return r;
  return most < *n ? most : 0;
}

/// Splits, orders and marks; returns the axes around the tile, outermost first.
std::vector<Axis> build(Kernel &k, const Config &c, const Target &t) {
  Roles r = *orient(k);
  Sizes s = sizesOf(k, r, t);
  bool dot = usesDot(k, r);
  std::vector<Axis> outer = r.shared, order, unrolled;

  auto [vec, v] = k.split(r.vector, s.lanes, "vec", "v", Tail::Guard);
  Axis group = vec, n;
  if (k.constantExtent(vec))
    std::tie(group, n) = k.split(vec, std::min(knob(c, "vectors"), s.vectors), "g", "n");
  Axis tile, p;
  bool strips = false;
  if (!r.rows.empty()) {
    int64_t pixels = std::min(knob(c, "pixels"), std::max<int64_t>(s.pixels, 1));
    int64_t strip = knob(c, "strip") * (r.rows.size() == 1 ? pixels : 1);
    if (auto n = k.constantExtent(r.rows.front()); n && strip > 0 && strip < *n) {
      Axis around;
      strips = true;
      std::tie(around, r.rows.front()) = k.split(r.rows.front(), strip, "strip", r.rows.front()->name);
      outer.push_back(around);
    }
    std::tie(tile, p) = k.split(r.rows.back(), pixels, "t", "p");
    r.rows.back() = tile;
  }
  outer.push_back(group);
  outer.insert(outer.end(), r.columns.begin(), r.columns.end());
  outer.insert(outer.end(), r.rows.begin(), r.rows.end());

  Axis depth = takeDepth(k, r), quad, part, chunk, steps, u;
  bool deepTail = false;
  if (depth) {
    if (dot) {
      deepTail = *k.constantExtent(depth) % 4 != 0;
      std::tie(depth, quad) = k.split(depth, 4, "quad", "q", Tail::Guard);
    }
    bool loops = !r.taps.empty() || !r.depth.empty();
    int64_t block = std::max<int64_t>(knob(c, "block") / (dot ? 4 : 1), 1), others = 1;
    for (const auto *axes : {&r.taps, &r.depth})
      for (const Axis &a : *axes) others *= k.upperExtent(a);
    if (int64_t length = partOf(k, depth, others, loops ? block : knob(c, "unroll"), t))
      std::tie(part, depth) = k.split(depth, length, "part", depth->name);
    if (auto count = k.constantExtent(depth); count && loops)
      std::tie(chunk, depth) = k.split(depth, std::clamp<int64_t>(block, 1, *count), "chunk", "step");
    int64_t most = std::max<int64_t>(k.upperExtent(depth), 1);
    std::tie(steps, u) = k.split(depth, std::min(knob(c, "unroll"), most), "s", "u");
  }

  order = outer;
  size_t tileAt = order.size();
  if (part) order.push_back(part);
  if (chunk) order.push_back(chunk);
  order.insert(order.end(), r.depth.begin(), r.depth.end());
  order.insert(order.end(), r.taps.begin(), r.taps.end());
  for (const Axis &a : {steps, u, p, n, v, quad})
    if (a) order.push_back(a);
  k.reorder(order);
  k.accumulate(order[tileAt]);
  if (part) k.subtotal(part);
  for (const Axis &a : {u, p, n})
    if (a) k.mark(a, LoopKind::Unrolled);
  k.mark(v, LoopKind::Vectorized);
  if (n) k.partition(group);
  if (tile) k.partition(tile);
  // Copies of a tap without a loop inside would become one block, share broadcasts and spill.
  if (!r.taps.empty() && steps && k.upperExtent(steps) > 1) k.peel(r.taps.back());
  if (quad) k.tensorize(quad);
  if (deepTail)
    for (const Axis &a : {chunk, steps})
      if (a) k.partition(a);

  bool packed = false;
  for (const Expr &l : loadsIn(r.swapped ? k.compute().lhs : k.compute().rhs))
    if (dependsOn(l, v) && k.canPack(l)) {
      k.pack(l);
      bool fixed = std::all_of(order.begin(), order.end(),
                               [&](const Axis &a) { return k.constantExtent(a).has_value(); });
      if (knob(c, "prefetch") && !packed && steps && !strips && fixed)
        k.prefetch(l, fewLines(s, knob(c, "vectors"), knob(c, "pixels")) && tile ? tile : steps);
      packed = true;
    }
  for (const Expr &l : loadsIn(k.compute().init))
    if (dependsOn(l, v) && k.canPack(l)) k.pack(l);
  return outer;
}

void apply(Kernel &k, const Config &c, const Target &t) {
  markParallel(k, build(k, c, t), knob(c, "parallel"));
}

double nanoseconds(const Kernel &k, const Target &t) {
  return iterations(k) / double(2 * t.lanes(DType::f32)) / 2 / (usesDot(k, *orient(k)) ? 4 : 1);
}

/// Tiles by tileCost, strips by bestStrip; parallel over the first of the outer axes (strips, column groups,
/// rows, tiles) with the least time, what cores wait for each other's data included; prefetch where few tiles
/// use a panel of weights: a network's weights come from beyond the second cache, and the wait for them is
/// not short beside that.
Config defaults(const Kernel &kernel, const Target &t) {
  Kernel k = kernel;
  Roles r = *orient(k);
  Sizes s = sizesOf(k, r, t);
  auto [vectors, pixels] = bestTile(s, t);
  int64_t depth = usesDot(k, r) ? (s.depth + 3) / 4 * 4 : s.depth;
  int64_t quads = usesDot(k, r) ? depth / 4 : depth;
  Config c;
  if (hasWinograd(kernel, t)) c[std::string(kTileKnob)] = 0;
  c["vectors"] = vectors;
  c["pixels"] = pixels;
  // A short depth stays a loop inside the taps, so that their copies at the edges are blocks of their own.
  // Without taps a loop would cost more than its body.
  bool isShort = usesDot(k, r) && r.taps.empty() && quads <= 8;
  c["block"] = usesDot(k, r) ? 64 : depth <= 24 ? depth : dividing(depth, {16, 24, 20, 12, 8});
  // Where lanes multiply there are no broadcasts that more steps in one block could share and spill.
  int64_t step = quads % 8 == 0 && c["block"] % 8 == 0 && t.laneOperands ? 8 : dividing(quads, {4, 3, 5, 2});
  c["unroll"] = quads <= 4 && !r.taps.empty() ? 1 : isShort ? quads : step;
  c["strip"] = bestStrip(k, r, s, vectors, t);
  int64_t tiles = (s.rows + pixels - 1) / pixels;
  // Four products a step: a fetch ahead takes as long as the step, so panels that a near cache holds go
  // without.
  bool far = !usesDot(k, r) || vectors * s.lanes * s.terms * s.termBytes > (48 << 10);
  c["prefetch"] = far && !c["strip"] && tiles > 1 && tiles <= 64;
  c["parallel"] = 0;
  Kernel built = kernel;
  std::vector<Axis> outer = build(built, c, t);
  c["parallel"] = balancedAxis(built, outer, nanoseconds(kernel, t), t, [&](const Axis &a) {
    bool left = dependsOn(r.swapped ? built.compute().rhs : built.compute().lhs, a);
    bool right = dependsOn(r.swapped ? built.compute().lhs : built.compute().rhs, a);
    return left == right ? 0 : (left ? weightWait(k, r, s, t) : inputWait(r, t));
  });
  return c;
}

/// Relative time by the tile; one that does not fit the registers spills.
CostModel model(const Kernel &kernel, const Target &t) {
  constexpr double kSpill = 4;
  Kernel k = kernel;
  Roles r = *orient(k);
  return [s = sizesOf(k, r, t), t, most = std::min(t.registers, 31)](const Config &c) {
    int64_t v = std::min(knob(c, "vectors"), s.vectors), p = std::min(knob(c, "pixels"), s.pixels);
    return tileCost(s, v, p, t) * (tileRegisters(v, p, t) > most ? kSpill : 1);
  };
}

std::vector<Knob> space(const Kernel &k, const Target &t) {
  std::vector<Knob> r{{"vectors", {1, 2, 3, 4}},    {"pixels", {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14}},
                      {"unroll", {1, 2, 3, 4, 8}},  {"block", {8, 16, 24, 32, 64}},
                      {"prefetch", {0, 1}},         {"strip", {0, 1, 2, 4, 8, 16}},
                      {"parallel", {0, 1, 2, 3, 4}}};
  if (hasWinograd(k, t)) r.push_back({kTileKnob, {0, 2, 4}});
  return r;
}

} // namespace

const Template kContraction = {.name = "contraction.cpu",
                               .matches = matches,
                               .space = space,
                               .defaults = defaults,
                               .apply = apply,
                               .model = model,
                               .nanoseconds = nanoseconds};

} // namespace planish::schedule
