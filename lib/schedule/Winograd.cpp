// winograd.cpu: sums over 3 x 3 taps with step one and a depth, as dense convolutions of step one are. Where
// taps are dilated, a tile takes every dilation-th row and column. An m x m tile of the output costs (m+2)^2
// products per depth and column instead of 9 m^2. One kernel runs over blocks of tiles: the input's tiles are
// transformed to scratch memory, (m+2)^2 matrix products by the register tile of contraction.cpu follow, then
// the transform back with the computation's own epilogue. Weights are transformed at compile time.
#include "Winograd.h"
#include "Internal.h"
#include "WinogradPlan.h"

#include "planish/support/Check.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace planish::schedule {
namespace {

using namespace loop;

using namespace winograd;

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

/// Half of what direct sums take.
double nanoseconds(const Kernel &k, const Target &t) {
  return iterations(k) / double(2 * t.lanes(DType::f32)) / 2 / 2;
}

Config defaults(const Kernel &k, const Target &t) {
  Form f = *formOf(k);
  int64_t best = bestTile(f, t), m = best ? best : 4;
  Plan p = planOf(f, m, 0, 0, t);
  Config c = kContraction.defaults(productsKernel(f, p), t);
  c.erase("parallel");
  c["strip"] = 0;
  c["prefetch"] = 1;
  c[std::string(kTileKnob)] = m;
  c["tiles"] = 0;
  c["parts"] = 0;
  return c;
}

std::vector<Knob> space(const Kernel &k, const Target &t) {
  std::vector<Knob> r = kContraction.space(k, t);
  std::erase_if(r, [](const Knob &knob) { return knob.name == "parallel"; });
  r.push_back({"tiles", {0, 7, 14, 16, 24, 28, 32, 48, 64, 96}});
  r.push_back({"parts", {0, 1, 2, 4}});
  return r;
}

/// Makes the function.
class Builder {
public:
  Builder(const Kernel &kernel, const Form &form, const Plan &plan) : k(kernel), f(form), p(plan) {
    image = scratch("v", p.points, p.perBlock, p.depth);
    product = scratch("m", p.points, p.perBlock, p.columns);
    blockVar = var("b", {}, 0, p.blocks - 1);
    partVar = var("part", {}, 0, p.parts - 1);
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
    std::vector<Buffer> all = k.compute().params;
    all[weightsAt()] = gemm.function.params[1];
    if (p.parts > 1) {
      Buffer whole = ofParts(gemm.function.params[1]);
      body = intoPart(body, gemm.function.params[1], whole, use(partVar));
      all[weightsAt()] = whole;
      Var task = var("task", {}, 0, p.tasks() - 1);
      body = makeStmt(Let{partVar, floorMod(use(task), imm(p.parts)), body});
      body = makeStmt(Let{blockVar, floorDiv(use(task), imm(p.parts)), body});
      body = loop::loop(task, imm(0), imm(p.tasks()), LoopKind::Parallel, body);
    } else {
      body = loop::loop(blockVar, imm(0), imm(p.blocks), LoopKind::Parallel, body);
    }
    return {{k.compute().name, all, k.compute().scalars, body}, {packing(gemm)}};
  }

private:
  const Kernel &k;
  const Form &f;
  const Plan &p;
  Buffer image, product; // scratch: [point, tile of the block, depth or column]
  Var blockVar, partVar;

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

  /// A buffer of the products with the parts as its first dimension, and what accesses it in one of them.
  Buffer ofParts(const Buffer &b) const {
    std::vector<Expr> shape{imm(p.parts)};
    shape.insert(shape.end(), b->shape.begin(), b->shape.end());
    return buffer(b->name, b->dtype, shape, {}, b->scope);
  }
  static Stmt intoPart(const Stmt &s, const Buffer &from, const Buffer &to, const Expr &part) {
    auto indices = [&](std::vector<Expr> at) {
      at.insert(at.begin(), part);
      return at;
    };
    auto loads = [&](const Expr &e) {
      const Load *l = as<Load>(e);
      return l && l->buffer == from ? load(to, indices(l->indices), l->mask) : e;
    };
    auto stores = [&](const Stmt &at) {
      const Store *st = as<Store>(at);
      return st && st->buffer == from ? store(to, indices(st->indices), st->value, st->mask) : at;
    };
    return rewrite(s, stores, loads);
  }
  /// The number among all vectors of the columns of a part's vector c.
  Expr ofAll(const Expr &c) const { return c + use(partVar) * (p.columns / p.lanes); }

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
    return eachVector(f.columns / p.parts, whole, [&](const Expr &c, bool checked) {
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
        for (int64_t j = 0; j < p.m; ++j)
          s.push_back(finish(at, p.parts > 1 ? ofAll(c) : c, y, i, j, checked));
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
    if (p.parts > 1) {
      Buffer from = ofParts(r.function.params[0]), to = ofParts(r.function.params[1]);
      Var part = var("part", {}, 0, p.parts - 1);
      Stmt moved = intoPart(r.function.body, r.function.params[0], from, use(part));
      moved = intoPart(moved, r.function.params[1], to, use(part));
      r.function.body = loop::loop(part, imm(0), imm(p.parts), LoopKind::Serial, moved);
      r.function.params = {from, to};
    }
    r.prepare = [at, plan = p, depth = f.depths, columns = f.columns / p.parts](const void *from, void *to) {
      for (int64_t part = 0; part < plan.parts; ++part) {
        TapStrides first = at;
        first.offset += part * columns * at.column;
        winogradWeights(plan.m, first, depth, columns, plan.columns, static_cast<const float *>(from),
                        static_cast<float *>(to) + part * plan.points * depth * plan.columns);
      }
    };
    return r;
  }
};

Kernel::Lowered build(const Kernel &k, const Config &c, const Target &t) {
  Form f = *formOf(k);
  Plan p = planOf(f, knob(c, kTileKnob), knob(c, "tiles"), knob(c, "parts"), t);
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
                            .nanoseconds = nanoseconds,
                            .chosen = chosen,
                            .reassociates = true};

} // namespace planish::schedule
