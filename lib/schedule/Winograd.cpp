// winograd.cpu: sums over 3 x 3 taps with step one and a depth, as dense convolutions of step one are. Where
// taps are dilated, a tile takes every dilation-th row and column. An m x m tile of the output costs (m+2)^2
// products per depth and column instead of 9 m^2. One kernel runs over blocks of tiles: the input's tiles are
// transformed to scratch memory, (m+2)^2 matrix products by the register tile of contraction.cpu follow, then
// the transform back with the computation's own epilogue. A block's scratch stays in the L2 cache. Weights
// are transformed at compile time.
#include "Winograd.h"
#include "Internal.h"

#include "planish/support/Check.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace planish::schedule {
namespace {

using namespace loop;

constexpr int64_t kTaps = 3;

/// One of the two directions in which the taps lie.
struct Direction {
  Axis row, tap;
  size_t dim = 0; // of the image
  int64_t pad = 0, in = 0, out = 0, dilation = 1;
  /// From the first of `count` rows of a tile to behind the last.
  int64_t span(int64_t count) const { return (count - 1) * dilation + 1; }
  int64_t tiles(int64_t m) const {
    int64_t each = (out + dilation - 1) / dilation;
    return std::min(dilation, out) * ((each + m - 1) / m);
  }
  /// The first row of a tile: those of one remainder by the dilation follow those of the one before.
  Expr first(const Expr &tile, int64_t m) const {
    if (dilation == 1) return tile * m;
    int64_t each = tiles(m) / std::min(dilation, out);
    return floorDiv(tile, imm(each)) + floorMod(tile, imm(each)) * (m * dilation);
  }
};

/// The roles of a computation that matches.
struct Form {
  Expr image, weights;
  Direction y, x;
  Axis column, depth, batch; // batch may be absent
  int64_t columns = 1, depths = 1, batches = 1;
};

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

std::optional<Form> formOf(const Kernel &k) {
  const Compute &c = k.compute();
  if (!k.reduces() || !c.rhs || c.combine != Combine::Sum || c.accumulator != DType::f32) return {};
  for (bool swapped : {false, true})
    if (auto f = formOf(k, swapped)) return f;
  return {};
}

/// The division of the work.
struct Plan {
  int64_t m, points; // points: (m+2)^2
  int64_t tilesY, tilesX, tiles;
  int64_t perBlock, blocks;
  int64_t lanes, depth, columns; // depth and columns: of scratch rows, whole vectors
};

int64_t roundedUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/// `perBlock` 0: as many tiles as keep the block's scratch in half of the L2 cache, in blocks that divide
/// evenly over the cores.
Plan planOf(const Form &f, int64_t m, int64_t perBlock, const Target &t) {
  Plan p{};
  p.m = m;
  p.points = (m + 2) * (m + 2);
  p.tilesY = f.y.tiles(m);
  p.tilesX = f.x.tiles(m);
  p.tiles = f.batches * p.tilesY * p.tilesX;
  p.lanes = t.lanes(DType::f32);
  p.depth = roundedUp(f.depths, p.lanes);
  p.columns = roundedUp(f.columns, p.lanes);
  if (!perBlock) {
    int64_t tileBytes = p.points * (p.depth + p.columns) * 4;
    int64_t most = std::max<int64_t>(t.l2Bytes / 2 / tileBytes, 12);
    int64_t blocks = roundedUp((p.tiles + most - 1) / most, std::max(t.cores, 1));
    perBlock = (p.tiles + blocks - 1) / blocks;
  }
  p.perBlock = std::clamp<int64_t>(perBlock, 1, p.tiles);
  p.blocks = (p.tiles + p.perBlock - 1) / p.perBlock;
  return p;
}

/// product[point, tile, column] = sum over depth of image[point, tile, depth] * weights[point, depth,
/// column].
Compute productsOf(const Form &f, const Plan &p, const Buffer &image, const Buffer &product) {
  auto iter = [](const char *name, int64_t n) { return Iter{var(name, {}, 0, n - 1), imm(n)}; };
  Iter point = iter("xi", p.points), column = iter("o", p.columns), tile = iter("t", p.perBlock),
       depth = iter("k", f.depths);
  Buffer weights =
      buffer("u", DType::f32, std::vector<int64_t>{p.points, f.depths, p.columns}, {}, Scope::Constant);
  Compute c;
  c.name = "products";
  c.space = {point, column, tile};
  c.reduce = {depth};
  c.lhs = load(image, {use(point.var), use(tile.var), use(depth.var)});
  c.rhs = load(weights, {use(point.var), use(depth.var), use(column.var)});
  c.init = fimm(0);
  c.sum = var("sum", {DType::f32, 1});
  c.value = use(c.sum);
  c.out = product;
  c.outIndices = {use(point.var), use(tile.var), use(column.var)};
  collectParams(c);
  return c;
}

Buffer scratch(const char *name, int64_t points, int64_t rows, int64_t width) {
  return buffer(name, DType::f32, std::vector<int64_t>{points, rows, width}, {}, Scope::Scratch);
}

/// Cycles of the two transforms per tile of 36 points and vector: loads and stores that reach the L2 cache
/// mostly.
constexpr double kInputCycles = 170, kOutputCycles = 150;

/// What the choice between tiles weighs: cycles of one thread with the image in the caches.
double cyclesOf(const Form &f, int64_t m, const Target &t) {
  Plan p = planOf(f, m, 0, t);
  double vectors = double(p.columns / p.lanes);
  double filled = std::min(double(p.perBlock) / 6, 1.0); // of a register tile
  double products = double(p.blocks * p.perBlock * p.points) * double(f.depths) * vectors / 2 / 0.9 / filled;
  double share = double(p.points) / 36;
  double transforms =
      double(p.tiles) * share * (kInputCycles * double(p.depth / p.lanes) + kOutputCycles * vectors);
  // Transformed weights that do not fit the L2 cache come from beyond it for every block.
  double weights = double(p.points * f.depths * p.columns * 4);
  double fetched = weights > double(t.l2Bytes) / 2 ? weights * double(p.blocks) / 8 : 0;
  return std::max(products, fetched) + transforms;
}
double directCycles(const Form &f, const Target &t) {
  int64_t lanes = t.lanes(DType::f32);
  double outside = 1; // taps in the padding are skipped
  for (const Direction *d : {&f.y, &f.x}) outside *= 1 - double(2 * d->pad) / double(kTaps * d->out) / 1.5;
  return double(f.batches * f.y.out * f.x.out * 9) * double(f.depths) *
         double(roundedUp(f.columns, lanes) / lanes) / 2 / 0.93 * outside;
}

/// The tiles that are faster than direct sums by the model.
std::vector<WeightTrade> tradesOf(const Form &f, const Target &t) {
  constexpr double kCyclesPerNanosecond = 3, kMargin = 0.95;
  std::vector<WeightTrade> r;
  if (f.columns < 16 || f.depths < 16) return r;
  double direct = directCycles(f, t);
  for (int64_t m : {4, 2}) {
    Plan p = planOf(f, m, 0, t);
    double cycles = cyclesOf(f, m, t);
    int64_t bytes = f.depths * p.columns * 4;
    if (cycles < direct * kMargin)
      r.push_back({m, (direct - cycles) / kCyclesPerNanosecond, bytes * p.points,
                   bytes * (p.points - kTaps * kTaps)});
  }
  std::ranges::stable_sort(r, std::greater(), &WeightTrade::savedNs);
  return r;
}
/// The fastest tile; 0 for direct sums.
int64_t bestTile(const Form &f, const Target &t) {
  std::vector<WeightTrade> trades = tradesOf(f, t);
  return trades.empty() ? 0 : trades[0].tile;
}

bool matches(const Kernel &k, const Target &t) { return t.device == DeviceKind::Cpu && formOf(k); }

/// The knobs of the products are those of contraction.cpu.
Kernel productsKernel(const Form &f, const Plan &p) {
  return Kernel(productsOf(f, p, scratch("v", p.points, p.perBlock, p.depth),
                           scratch("m", p.points, p.perBlock, p.columns)));
}

int64_t tileOf(const Kernel &k, const Config &c, const Target &t) {
  auto own = c.find(kTileKnob);
  return own == c.end() ? bestTile(*formOf(k), t) : own->second;
}
bool chosen(const Kernel &k, const Config &c, const Target &t) { return tileOf(k, c, t) != 0; }

Config defaults(const Kernel &k, const Target &t) {
  Form f = *formOf(k);
  int64_t best = bestTile(f, t), m = best ? best : 4;
  Plan p = planOf(f, m, 0, t);
  Config c = kContraction.defaults(productsKernel(f, p), t);
  c.erase("parallel");
  c["strip"] = 0;
  c["prefetch"] = 1;
  c[std::string(kTileKnob)] = m;
  c["tiles"] = 0;
  return c;
}

std::vector<Knob> space(const Kernel &k, const Target &t) {
  std::vector<Knob> r = kContraction.space(k, t);
  std::erase_if(r, [](const Knob &knob) { return knob.name == "parallel"; });
  r.push_back({"tiles", {0, 7, 14, 16, 24, 28, 32, 48, 64, 96}});
  return r;
}

/// Makes the function.
class Builder {
public:
  Builder(const Kernel &kernel, const Form &form, const Plan &plan) : k(kernel), f(form), p(plan) {
    image = scratch("v", p.points, p.perBlock, p.depth);
    product = scratch("m", p.points, p.perBlock, p.columns);
  }

  Kernel::Lowered run(const Config &config, const Target &t) {
    Kernel products(productsOf(f, p, image, product));
    Config own = config;
    own["parallel"] = 0;
    kContraction.apply(products, own, t);
    Kernel::Lowered gemm = products.materialize();

    Stmt body = block({eachTile([&](const Place &at) { return input(at); }), gemm.function.body,
                       eachTile([&](const Place &at) { return output(at); })});
    body = makeStmt(Alloc{image, makeStmt(Alloc{product, body})});
    body = loop::loop(blockVar, imm(0), imm(p.blocks), LoopKind::Parallel, body);
    return {{k.compute().name, params(gemm.packings.at(0)), k.compute().scalars, body}, {packing(gemm)}};
  }

private:
  const Kernel &k;
  const Form &f;
  const Plan &p;
  Buffer image, product; // scratch: [point, tile of the block, depth or column]
  Var blockVar = var("b");

  /// A tile: its number in the block, its batch, and its first output row and column.
  struct Place {
    Expr number, batch, y, x;
  };

  /// For every tile of the block.
  template <class Body> Stmt eachTile(Body body) {
    Var s = var("s", {}, 0, p.perBlock - 1), y = var("ty", {}, 0, p.tilesY - 1),
        x = var("tx", {}, 0, p.tilesX - 1), n = var("tn", {}, 0, f.batches - 1);
    Expr number = use(blockVar) * p.perBlock + use(s), rest = floorDiv(number, imm(p.tilesX));
    Stmt r = body(Place{use(s), use(n), f.y.first(use(y), p.m), f.x.first(use(x), p.m)});
    r = makeStmt(Let{n, floorDiv(rest, imm(p.tilesY)), r});
    r = makeStmt(Let{y, floorMod(rest, imm(p.tilesY)), r});
    r = makeStmt(Let{x, floorMod(number, imm(p.tilesX)), r});
    Expr last = p.tiles % p.perBlock ? min(imm(p.perBlock), imm(p.tiles) - use(blockVar) * p.perBlock)
                                     : imm(p.perBlock);
    return loop::loop(s, imm(0), last, LoopKind::Serial, r);
  }

  /// Copies of the body over the vectors of `count` elements: with no checks where `whole` holds and the
  /// vector is full, with checks elsewhere. `body(vector, checked)`.
  template <class Body> Stmt eachVector(int64_t count, const Expr &whole, Body body) {
    int64_t full = count / p.lanes, all = (count + p.lanes - 1) / p.lanes;
    bool always = !whole || rangeOf(whole).lo > 0, never = full == 0 || (whole && rangeOf(whole).hi <= 0);
    auto vectors = [&](const Expr &begin, const Expr &end, bool check) {
      Var c = var("c");
      return loop::loop(c, begin, end, LoopKind::Serial, body(use(c), check));
    };
    if (never) return vectors(imm(0), imm(all), true);
    if (always && full == all) return vectors(imm(0), imm(all), false);
    if (always) return block({vectors(imm(0), imm(full), false), vectors(imm(full), imm(all), true)});
    Var u = var("full", {}, 0, full);
    Stmt both = block({vectors(imm(0), use(u), false), vectors(use(u), imm(all), true)});
    return makeStmt(Let{u, select(whole, imm(full), imm(0)), both});
  }

  /// 0 <= from and from + size <= limit, as far as the ranges do not decide it; absent if they prove it.
  static Expr inside(const Expr &from, int64_t size, int64_t limit) {
    Expr r;
    for (const Expr &slack : {from, imm(limit - size) - from})
      if (rangeOf(slack).lo < 0) r = conjunction(r, lessEqual(imm(0), slack));
    return r;
  }

  /// for v: if cond: to[indices] = value, both made for the lane v.
  template <class Value>
  Stmt lanes(const Buffer &to, std::vector<Expr> at, const Value &value, const Expr &cond = {},
             const Expr &vector = {}, int64_t count = 0) {
    Var v = var("v", {}, 0, p.lanes - 1);
    at.push_back(use(v));
    Stmt s = store(to, at, value(use(v)));
    return overLanes(v, s, cond, vector, count);
  }
  /// for v: if cond and the lane is one of `count`: s
  Stmt overLanes(const Var &v, const Stmt &s, const Expr &cond, const Expr &vector, int64_t count) {
    Expr guard = cond;
    if (vector && count % p.lanes)
      guard = conjunction(guard, lessThan(vector * p.lanes + use(v), imm(count)));
    return loop::loop(v, imm(0), imm(p.lanes), LoopKind::Vectorized, guard ? ifThen(guard, s) : s);
  }

  Buffer registers(const char *name, int64_t rows, int64_t columns) {
    return buffer(name, DType::f32, std::vector<int64_t>{rows, columns, p.lanes}, {}, Scope::Register);
  }

  using Transform = std::vector<Expr> (*)(int64_t, const std::vector<Expr> &);

  /// One transform along each column of `from` (n rows): to[i, j] = T(from[0, j], from[1, j], ...)[i].
  void alongColumns(std::vector<Stmt> &out, Transform transform, const Buffer &from, const Buffer &to,
                    int64_t n, int64_t j) {
    auto column = [&](const Expr &v) {
      std::vector<Expr> r;
      for (int64_t i = 0; i < n; ++i) r.push_back(load(from, {imm(i), imm(j), v}));
      return transform(p.m, r);
    };
    size_t count = column(imm(0)).size();
    for (size_t i = 0; i < count; ++i)
      out.push_back(lanes(to, {imm(int64_t(i)), imm(j)}, [&](const Expr &v) { return column(v)[i]; }));
  }

  /// v[points, tile, :] = B^T d B for every vector of the depth.
  Stmt input(const Place &at) {
    int64_t n = p.m + 2;
    Expr y = at.y - f.y.pad, x = at.x - f.x.pad;
    Expr whole = conjunction(inside(y, f.y.span(n), f.y.in), inside(x, f.x.span(n), f.x.in));
    return eachVector(f.depths, whole, [&](const Expr &c, bool checked) {
      Buffer d = registers("d", n, n), e = registers("e", n, n);
      std::vector<Stmt> s;
      for (int64_t j = 0; j < n; ++j) {
        for (int64_t i = 0; i < n; ++i) {
          if (!checked) {
            s.push_back(lanes(d, {imm(i), imm(j)}, [&](const Expr &v) { return pixel(at, c, v, i, j); }));
            continue;
          }
          Expr in =
              conjunction(inside(y + i * f.y.dilation, 1, f.y.in), inside(x + j * f.x.dilation, 1, f.x.in));
          if (in || f.depths % p.lanes)
            s.push_back(lanes(d, {imm(i), imm(j)}, [&](const Expr &) { return fimm(0); }));
          s.push_back(lanes(
              d, {imm(i), imm(j)}, [&](const Expr &v) { return pixel(at, c, v, i, j); }, in, c, f.depths));
        }
        alongColumns(s, winogradInput, d, e, n, j);
      }
      for (int64_t i = 0; i < n; ++i) {
        auto row = [&](const Expr &v) {
          std::vector<Expr> r;
          for (int64_t j = 0; j < n; ++j) r.push_back(load(e, {imm(i), imm(j), v}));
          return winogradInput(p.m, r);
        };
        for (int64_t j = 0; j < n; ++j)
          s.push_back(toScratch(at, c, i * n + j, [&](const Expr &v) { return row(v)[size_t(j)]; }));
      }
      return makeStmt(Alloc{d, makeStmt(Alloc{e, block(std::move(s))})});
    });
  }
  template <class Value> Stmt toScratch(const Place &at, const Expr &c, int64_t point, const Value &value) {
    Var v = var("v", {}, 0, p.lanes - 1);
    Stmt s = store(image, {imm(point), at.number, c * p.lanes + use(v)}, value(use(v)));
    return loop::loop(v, imm(0), imm(p.lanes), LoopKind::Vectorized, s);
  }
  /// The image at row i and column j of the tile.
  Expr pixel(const Place &at, const Expr &c, const Expr &v, int64_t i, int64_t j) const {
    Substitution s{
        {f.y.row, at.y}, {f.y.tap, imm(i)}, {f.x.row, at.x}, {f.x.tap, imm(j)}, {f.depth, c * p.lanes + v}};
    if (f.batch) s[f.batch] = at.batch;
    return substitute(f.image, s);
  }

  /// out = value(A^T m A + init) for every vector of the columns.
  Stmt output(const Place &at) {
    int64_t n = p.m + 2;
    Expr whole = conjunction(inside(at.y, f.y.span(p.m), f.y.out), inside(at.x, f.x.span(p.m), f.x.out));
    return eachVector(f.columns, whole, [&](const Expr &c, bool checked) {
      Buffer d = registers("d", n, n), e = registers("e", p.m, n), y = registers("y", p.m, p.m);
      std::vector<Stmt> s;
      for (int64_t j = 0; j < n; ++j) {
        for (int64_t i = 0; i < n; ++i)
          s.push_back(lanes(d, {imm(i), imm(j)}, [&](const Expr &v) {
            return load(product, {imm(i * n + j), at.number, c * p.lanes + v});
          }));
        alongColumns(s, winogradOutput, d, e, n, j);
      }
      for (int64_t i = 0; i < p.m; ++i) {
        auto row = [&](const Expr &v) {
          std::vector<Expr> r;
          for (int64_t j = 0; j < n; ++j) r.push_back(load(e, {imm(i), imm(j), v}));
          return winogradOutput(p.m, r);
        };
        for (int64_t j = 0; j < p.m; ++j)
          s.push_back(lanes(y, {imm(i), imm(j)}, [&](const Expr &v) { return row(v)[size_t(j)]; }));
        for (int64_t j = 0; j < p.m; ++j) s.push_back(finish(at, c, y, i, j, checked));
      }
      return makeStmt(Alloc{d, makeStmt(Alloc{e, makeStmt(Alloc{y, block(std::move(s))})})});
    });
  }
  Stmt finish(const Place &at, const Expr &c, const Buffer &y, int64_t i, int64_t j, bool checked) {
    const Compute &def = k.compute();
    Var v = var("v", {}, 0, p.lanes - 1);
    Expr row = at.y + i * f.y.dilation, column = at.x + j * f.x.dilation;
    Substitution s{{f.y.row, row}, {f.x.row, column}, {f.column, c * p.lanes + use(v)}};
    if (f.batch) s[f.batch] = at.batch;
    s[def.sum] = load(y, {imm(i), imm(j), use(v)}) + substitute(def.init, s);
    std::vector<Expr> to;
    for (const Expr &index : def.outIndices) to.push_back(substitute(index, s));
    Stmt done = store(def.out, to, substitute(def.value, s));
    if (!checked) return overLanes(v, done, {}, {}, 0);
    Expr in = conjunction(inside(row, 1, f.y.out), inside(column, 1, f.x.out));
    return overLanes(v, done, in, c, f.columns);
  }

  std::vector<Buffer> params(const Kernel::Packing &gemm) const {
    std::vector<Buffer> r = k.compute().params;
    r[weightsAt()] = gemm.function.params[1];
    return r;
  }
  size_t weightsAt() const {
    const std::vector<Buffer> &all = k.compute().params;
    return size_t(std::ranges::find(all, as<Load>(f.weights)->buffer) - all.begin());
  }
  Kernel::Packing packing(const Kernel::Lowered &gemm) const {
    Kernel::Packing r = gemm.packings.at(0);
    r.param = int(weightsAt());
    const Load &w = *as<Load>(f.weights);
    Substitution origin;
    for (const Axis &a : {f.column, f.depth, f.y.tap, f.x.tap}) origin[a] = imm(0);
    std::vector<Expr> first;
    for (const Expr &i : w.indices) first.push_back(substitute(i, origin));
    TapStrides at{elementOffset(*w.buffer, first).constant, *strideOf(f.weights, f.y.tap),
                  *strideOf(f.weights, f.x.tap), *strideOf(f.weights, f.depth),
                  *strideOf(f.weights, f.column)};
    r.prepare = [m = p.m, at, depth = f.depths, columns = f.columns, padded = p.columns](const void *from,
                                                                                         void *to) {
      winogradWeights(m, at, depth, columns, padded, static_cast<const float *>(from),
                      static_cast<float *>(to));
    };
    return r;
  }
};

Kernel::Lowered build(const Kernel &k, const Config &c, const Target &t) {
  Form f = *formOf(k);
  Plan p = planOf(f, knob(c, kTileKnob), knob(c, "tiles"), t);
  return Builder(k, f, p).run(c, t);
}

} // namespace

bool hasWinograd(const Kernel &k, const Target &t) { return matches(k, t); }

std::vector<WeightTrade> weightTrades(const Kernel &k, const Target &t) {
  if (!matches(k, t)) return {};
  return tradesOf(*formOf(k), t);
}

const Template kWinograd = {.name = "winograd.cpu",
                            .matches = matches,
                            .space = space,
                            .defaults = defaults,
                            .apply = nullptr,
                            .build = build,
                            .chosen = chosen,
                            .reassociates = true};

} // namespace planish::schedule
