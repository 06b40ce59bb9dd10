#include "RandomCompute.h"

#include "planish/loop/Rewrite.h"
#include "planish/support/Check.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace planish::schedule::test {

using namespace loop;

namespace {

/// Builds one case; remembers the symbols it makes and their values.
struct Maker {
  Random &random;
  bool inPlace;  // always, where the output is real
  Case made;
  std::vector<std::pair<Var, int64_t>> symbols;

  void say(const std::string &s) { made.text += s + " "; }
  void say(const std::string &name, int64_t v) { say(name + "=" + std::to_string(v)); }

  /// An extent of n, as a constant or (one time in `percent`) as a symbol whose value is n.
  Expr size(const std::string &name, int64_t n, int percent = 12) {
    say(name, n);
    if (!random.chance(percent)) return imm(n);
    made.text += "(symbol) ";
    symbols.push_back({var(name, {}, 1, n + 5), n});
    return use(symbols.back().first);
  }

  /// A buffer with its dimensions in a random memory order, or a given one (outermost first), with a
  /// gap behind some dimension now and then.
  Buffer tensor(const std::string &name, DType dtype, const std::vector<Expr> &shape,
                std::vector<size_t> order, Scope scope = Scope::Global) {
    std::vector<Expr> strides(shape.size());
    Expr stride = imm(1);
    for (size_t i = order.size(); i-- > 0;) {
      strides[order[i]] = stride;
      stride = stride * shape[order[i]];
      if (scope == Scope::Global && random.chance(10)) stride = stride + random.pick({1, 3, 8}) * 1;
    }
    return buffer(name, dtype, shape, strides, scope);
  }
  std::vector<size_t> natural(size_t rank) {
    std::vector<size_t> order(rank);
    std::iota(order.begin(), order.end(), 0);
    return order;
  }
  /// Channels (dimension 1) innermost, or as written.
  std::vector<size_t> imageOrder(size_t rank) {
    std::vector<size_t> order = natural(rank);
    if (!random.chance(70)) return order;
    order.erase(order.begin() + 1);
    order.push_back(1);
    say("nhwc");
    return order;
  }

  /// What is stored: the sum, perhaps with a residual (in place or not) and a function.
  void epilogue(std::vector<Expr> at) {
    Compute &c = made.compute;
    Expr v = c.reduce.empty() ? Expr() : use(c.sum);
    c.value = v;
    bool real = c.out->dtype == DType::f32;
    if (real && (inPlace || random.chance(30))) {
      say("in-place");
      c.value = c.value + load(c.out, at);
    } else if (real && random.chance(20)) {
      say("residual");
      Buffer res = buffer("res", DType::f32, c.out->shape, c.out->strides);
      c.value = c.value + load(res, at);
    }
    if (!real) {
      Expr q = call(Intrinsic::Bits,
                    {call(Intrinsic::Fma, {cast(DType::f32, v), fimm(0.03125), fimm(12582912.0)})}) -
               imm(0x4B400000, {DType::i32, 1});
      int64_t least = random.pick({0, 0, 3}), most = random.pick({255, 255, 200});
      c.value = cast(c.out->dtype, min(max(q, imm(least, {DType::i32, 1})), imm(most, {DType::i32, 1})));
      if (random.chance(30)) {
        say("table");
        Buffer table = buffer("table", DType::u8, std::vector<int64_t>{256}, {}, Scope::Constant);
        c.value = load(table, {cast(DType::i64, c.value)});
      }
    } else if (random.chance(40)) {
      say("relu");
      c.value = max(c.value, fimm(0));
    } else if (random.chance(10)) {
      say("silu");
      made.exact = false;
      c.value = binary(BinaryOp::Div, c.value, call(Intrinsic::Exp, {fimm(0) - c.value}) + fimm(1));
    }
  }

  Case finish() {
    Compute &c = made.compute;
    collectParams(c);
    for (const Var &s : c.scalars)
      for (auto &[v, n] : symbols)
        if (v == s) made.scalars.push_back(n);
    PLANISH_CHECK(made.scalars.size() == c.scalars.size(), "a scalar without a value");
    return std::move(made);
  }
};

/// A spatial axis of a convolution or pooling.
struct Spatial {
  Var o, k;
  Expr in, out, at;  // sizes and the input index
};

Spatial spatial(Maker &m, const std::string &name, int64_t kernel, bool window, std::vector<Expr> &where) {
  Random &r = m.random;
  int64_t stride = r.pick({1, 1, 1, 2, 3}), dilation = kernel > 1 ? r.pick({1, 1, 1, 2}) : 1;
  int64_t span = (kernel - 1) * dilation + 1;
  int64_t before = kernel > 1 ? r.pick({0, 1, kernel / 2}) : 0,
          after = kernel > 1 ? r.pick({0, 1, kernel / 2}) : 0;
  int64_t n = std::max<int64_t>(r.pick({1, 2, 5, 7, 8, 13, 17}), span - before - after);
  m.say(name + ":k" + std::to_string(kernel) + "s" + std::to_string(stride) + "d" + std::to_string(dilation) +
        "p" + std::to_string(before) + "," + std::to_string(after));
  Spatial s{var("o" + name), var("k" + name), m.size(name, n, window ? 15 : 10), {}, {}};
  // A symbol's lower bound is one: keep the output size positive by construction of its value only.
  s.out = floorDiv(s.in + (before + after - span), imm(stride)) + 1;
  s.at = use(s.o) * stride + use(s.k) * dilation - before;
  if (before) where.push_back(s.at);
  if (before || after) where.push_back(s.in - 1 - s.at);
  return s;
}

Case convolution(Random &r, bool inPlace) {
  Maker m{r, inPlace, {}, {}};
  Compute &c = m.made.compute;
  c.name = "conv";
  m.say("conv");
  bool int8 = !inPlace && r.chance(30), depthwise = r.chance(25);
  int64_t groups = depthwise ? r.pick({3, 8, 17, 24}) : r.pick({1, 1, 1, 2, 3});
  int64_t ic = depthwise ? 1 : r.pick({1, 2, 3, 4, 5, 8, 12, 17, 24}),
          oc = depthwise ? 1 : r.pick({1, 2, 7, 8, 13, 16, 24, 33});
  int64_t batch = r.pick({1, 1, 1, 2, 3}), rank = r.pick({1, 2, 2, 2, 2, 3});
  for (auto &[name, v] :
       {std::pair("g", groups), std::pair("ic", ic), std::pair("oc", oc), std::pair("n", batch)})
    m.say(name, v);
  if (int8) m.say("int8");
  int64_t kernel = r.pick({1, 1, 3, 3, 2, 5});
  Var n = var("n"), g = var("g"), o = var("o"), i = var("i");
  c.space = {{n, imm(batch)}, {g, imm(groups)}, {o, imm(oc)}};
  std::vector<Expr> xs{imm(batch), imm(groups * ic)}, ys{imm(batch), imm(groups * oc)},
      ws{imm(groups * oc), imm(ic)};
  std::vector<Expr> xi{use(n), use(g) * ic + use(i)}, wi{use(g) * oc + use(o), use(i)};
  c.outIndices = {use(n), use(g) * oc + use(o)};
  c.reduce = {{i, imm(ic)}};
  for (int64_t d = 0; d < rank; ++d) {
    Spatial s = spatial(m, std::string(1, char('a' + d)), rank == 3 ? std::min<int64_t>(kernel, 3) : kernel,
                        false, c.where);
    c.space.push_back({s.o, s.out});
    int64_t k = rank == 3 ? std::min<int64_t>(kernel, 3) : kernel;
    c.reduce.push_back({s.k, imm(k)});
    xs.push_back(s.in);
    ys.push_back(s.out);
    ws.push_back(imm(k));
    xi.push_back(s.at);
    wi.push_back(use(s.k));
    c.outIndices.push_back(use(s.o));
  }
  std::vector<size_t> order = m.imageOrder(xs.size());
  DType in = int8 ? DType::u8 : DType::f32, weight = int8 ? DType::i8 : DType::f32;
  Buffer x = m.tensor("x", in, xs, order),
         w = m.tensor("w", weight, ws, m.natural(ws.size()), Scope::Constant);
  c.accumulator = int8 ? DType::i32 : DType::f32;
  if (r.chance(70)) {
    Buffer bias = m.tensor("bias", c.accumulator, {imm(groups * oc)}, {0}, Scope::Constant);
    c.init = load(bias, {use(g) * oc + use(o)});
  }
  c.lhs = load(x, xi);
  c.rhs = load(w, wi);
  if (int8) {
    c.lhs = cast(DType::i32, c.lhs);
    c.rhs = cast(DType::i32, c.rhs);
  }
  c.sum = var("sum", {c.accumulator, 1});
  c.out = m.tensor("y", in, ys, r.chance(80) ? order : m.natural(ys.size()));
  m.epilogue(c.outIndices);
  return m.finish();
}

Case matmul(Random &r, bool inPlace) {
  Maker m{r, inPlace, {}, {}};
  Compute &c = m.made.compute;
  c.name = "matmul";
  m.say("matmul");
  Expr batch = m.size("b", r.pick({1, 1, 2, 3})), rows = m.size("m", r.pick({1, 2, 7, 14, 19, 31}), 25),
       columns = m.size("n", r.pick({1, 3, 8, 16, 19, 40, 66}), 20),
       depth = m.size("k", r.pick({1, 3, 8, 17, 32, 45, 70}), 20);
  Var b = var("b"), i = var("i"), j = var("j"), k = var("k");
  bool fixed = r.chance(50) && constantOf(columns) && constantOf(depth);
  if (fixed) m.say("constant");
  Buffer x = m.tensor("x", DType::f32, {batch, rows, depth},
                      r.chance(80) ? std::vector<size_t>{0, 1, 2} : std::vector<size_t>{0, 2, 1});
  bool transposed = r.chance(40);
  if (transposed) m.say("transposed");
  Scope scope = fixed ? Scope::Constant : Scope::Global;
  Buffer w = fixed
                 ? m.tensor("w", DType::f32, {depth, columns},
                            transposed ? std::vector<size_t>{1, 0} : std::vector<size_t>{0, 1}, scope)
                 : m.tensor("w", DType::f32, {batch, depth, columns},
                            transposed ? std::vector<size_t>{0, 2, 1} : std::vector<size_t>{0, 1, 2}, scope);
  c.space = {{b, batch}, {i, rows}, {j, columns}};
  c.reduce = {{k, depth}};
  c.lhs = load(x, {use(b), use(i), use(k)});
  c.rhs = fixed ? load(w, {use(k), use(j)}) : load(w, {use(b), use(k), use(j)});
  c.sum = var("sum", {DType::f32, 1});
  c.outIndices = {use(b), use(i), use(j)};
  c.out = m.tensor("y", DType::f32, {batch, rows, columns},
                   r.chance(85) ? std::vector<size_t>{0, 1, 2} : std::vector<size_t>{0, 2, 1});
  m.epilogue(c.outIndices);
  return m.finish();
}

Case pooling(Random &r, bool inPlace) {
  Maker m{r, inPlace, {}, {}};
  Compute &c = m.made.compute;
  c.name = "pool";
  m.say("pool");
  bool largest = r.chance(50), bytes = !inPlace && largest && r.chance(40);
  c.combine = largest ? Combine::Max : Combine::Sum;
  c.accumulator = bytes ? DType::u8 : DType::f32;
  int64_t kernel = r.pick({1, 2, 3, 3, 5, 7}), rank = r.pick({1, 2, 2, 2, 3});
  Var n = var("n"), ch = var("c");
  Expr batch = m.size("n", r.pick({1, 1, 2})), channels = m.size("c", r.pick({1, 3, 8, 16, 21, 40, 67}));
  c.space = {{n, batch}, {ch, channels}};
  std::vector<Expr> xs{batch, channels}, ys = xs, at{use(n), use(ch)};
  c.outIndices = at;
  for (int64_t d = 0; d < rank; ++d) {
    int64_t k = rank == 3 ? std::min<int64_t>(kernel, 3) : kernel;
    Spatial s = spatial(m, std::string(1, char('a' + d)), k, true, c.where);
    c.space.push_back({s.o, s.out});
    c.reduce.push_back({s.k, imm(k)});
    xs.push_back(s.in);
    ys.push_back(s.out);
    at.push_back(s.at);
    c.outIndices.push_back(use(s.o));
  }
  std::vector<size_t> order = m.imageOrder(xs.size());
  Buffer x = m.tensor("x", c.accumulator, xs, order);
  c.lhs = load(x, at);
  c.sum = var("sum", {c.accumulator, 1});
  c.out = m.tensor("y", c.accumulator, ys, order);
  if (bytes) c.value = use(c.sum);
  else m.epilogue(c.outIndices);
  return m.finish();
}

/// Sums, largest, smallest elements and products over some dimensions of a tensor.
Case reduction(Random &r, bool inPlace) {
  Maker m{r, inPlace, {}, {}};
  Compute &c = m.made.compute;
  c.name = "reduce";
  m.say("reduce");
  c.combine = Combine(r.below(4));
  m.made.exact = c.combine != Combine::Product;
  m.say("combine", int64_t(c.combine));
  int64_t rank = r.pick({1, 2, 3, 4});
  std::vector<Expr> shape, at, out;
  for (int64_t d = 0; d < rank; ++d) {
    Expr n =
        m.size("d" + std::to_string(d),
               c.combine == Combine::Product ? r.pick({1, 2, 3, 5}) : r.pick({1, 2, 3, 9, 17, 40, 131}), 15);
    if (!shape.empty() && rank == 4) n = imm(std::min<int64_t>(constantOf(n).value_or(3), 9));
    Var v = var("i" + std::to_string(d));
    shape.push_back(n);
    at.push_back(use(v));
    if (r.chance(50)) {
      c.reduce.push_back({v, n});
      m.say("reduced");
    } else {
      c.space.push_back({v, n});
      out.push_back(n);
      c.outIndices.push_back(use(v));
    }
  }
  if (c.reduce.empty()) {
    Var v = var("r");
    shape.push_back(imm(3));
    at.push_back(use(v));
    c.reduce.push_back({v, imm(3)});
  }
  if (out.empty()) {
    out.push_back(imm(1));
    c.outIndices.push_back(imm(0));
  }
  c.lhs = load(m.tensor("x", DType::f32, shape, m.natural(shape.size())), at);
  c.sum = var("sum", {DType::f32, 1});
  c.out = m.tensor("y", DType::f32, out, m.natural(out.size()));
  m.epilogue(c.outIndices);
  return m.finish();
}

Case pointwise(Random &r, bool inPlace) {
  Maker m{r, inPlace, {}, {}};
  Compute &c = m.made.compute;
  c.name = "map";
  m.say("map");
  int64_t rank = r.pick({1, 2, 3, 4});
  std::vector<Expr> shape, at;
  for (int64_t d = 0; d < rank; ++d) {
    Expr n = m.size("d" + std::to_string(d), r.pick({1, 2, 3, 5, 16, 19, 35}), 20);
    if (rank == 4) n = imm(std::min<int64_t>(constantOf(n).value_or(4), 9));
    Var v = var("i" + std::to_string(d));
    c.space.push_back({v, n});
    shape.push_back(n);
    at.push_back(use(v));
  }
  c.outIndices = at;
  auto order = [&] {
    std::vector<size_t> o = m.natural(shape.size());
    if (r.chance(30)) std::swap(o[size_t(r.below(rank))], o[size_t(r.below(rank))]);
    return o;
  };
  bool bytes = !inPlace && r.chance(25);
  DType type = bytes ? DType::u8 : DType::f32;
  c.out = m.tensor("y", type, shape, order());
  c.value = load(m.tensor("x", type, shape, order()), at);
  if (bytes && r.chance(50)) c.value = cast(DType::u8, max(cast(DType::f32, c.value) - fimm(3), fimm(0)));
  if (!bytes) {
    if (r.chance(50)) {  // broadcast along some dimensions
      std::vector<Expr> s, i;
      for (size_t d = 0; d < shape.size(); ++d)
        if (r.chance(50)) {
          s.push_back(shape[d]);
          i.push_back(at[d]);
        }
      if (s.empty()) {
        s.push_back(imm(1));
        i.push_back(imm(0));
      }
      c.value = c.value + load(m.tensor("b", DType::f32, s, m.natural(s.size())), i);
    }
    if (inPlace || r.chance(30)) c.value = c.value + load(c.out, at);
    if (r.chance(20)) c.value = select(lessThan(use(c.space[0].var), imm(2)), c.value, fimm(0) - c.value);
    if (r.chance(30)) c.value = max(c.value, fimm(0));
  }
  c.sum = var("sum", {DType::f32, 1});
  return m.finish();
}

} // namespace

Case randomCase(Random &r, bool inPlace) {
  int64_t kind = r.below(100);
  if (kind < 40) return convolution(r, inPlace);
  if (kind < 60) return matmul(r, inPlace);
  if (kind < 75) return pooling(r, inPlace);
  if (kind < 87) return reduction(r, inPlace);
  return pointwise(r, inPlace);
}

Memory::Memory(const std::vector<Buffer> &params, const std::vector<Var> &scalars,
               const std::vector<int64_t> &values, uint64_t seed) {
  Random r(seed);
  Substitution map;
  for (size_t i = 0; i < scalars.size(); ++i) map[scalars[i]] = imm(values[i]);
  for (const Buffer &b : params) {
    int64_t elements = 1;
    for (size_t d = 0; d < b->shape.size(); ++d)
      elements +=
          (*constantOf(substitute(b->shape[d], map)) - 1) * *constantOf(substitute(b->strides[d], map));
    storage.emplace_back(size_t(elements * byteSize(b->dtype)));
    std::byte *p = storage.back().data();
    for (int64_t i = 0; i < elements; ++i) {
      if (b->dtype == DType::f32) {
        float f = float(r.below(7)) - 3;
        if (f == 0) f = 1;  // products stay apart from zero
        std::memcpy(p + i * 4, &f, 4);
      } else if (b->dtype == DType::i32) {
        int32_t v = int32_t(r.below(2001)) - 1000;
        std::memcpy(p + i * 4, &v, 4);
      } else {
        p[i] = std::byte(b->dtype == DType::u8 ? r.below(256) : r.below(255) - 127);
      }
    }
  }
}

std::vector<void *> Memory::pointers() const {
  std::vector<void *> r;
  for (auto &s : storage) r.push_back(const_cast<std::byte *>(s.data()));
  return r;
}

} // namespace planish::schedule::test
