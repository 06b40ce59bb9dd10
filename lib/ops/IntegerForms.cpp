// Contractions and means on codes: exact 32-bit sums, with what zero points add to them as constants.
//
//   sum over taps inside of (x - zero) * w  =  sum over taps inside of x * w  -  zero * sum of those w
//
// The last sum depends on which taps are inside, so where a convolution pads it is a small table by the
// classes of positions (Window.h): padding never becomes a product.
#include "Quantization.h"
#include "Window.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

namespace planish::ops {

using graph::Codes;
using graph::IntegerContext;
using graph::IntegerValue;
using graph::IntegerWeights;

namespace {

/// A bias must leave most of the accumulator to the products.
constexpr double kMaxBias = double(1 << 30);

template <class T>
ValueId constantOf(graph::Graph &g, DType dtype, Ints shape, const std::vector<T> &values) {
  return g.addConstant(dtype, shape, values);
}

int64_t sizeOf(const Ints &shape) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

/// Where the terms of every output stand among weights whose outputs lie along dimension `dim`: indices,
/// [channels][terms].
std::vector<size_t> byChannel(const Ints &shape, size_t dim) {
  size_t channels = size_t(shape[dim]), inner = 1, outer = 1;
  for (size_t d = 0; d < shape.size(); ++d)
    if (d != dim) (d < dim ? outer : inner) *= size_t(shape[d]);
  std::vector<size_t> r;
  r.reserve(channels * outer * inner);
  for (size_t o = 0; o < channels; ++o)
    for (size_t i = 0; i < outer; ++i)
      for (size_t k = 0; k < inner; ++k) r.push_back((i * channels + o) * inner + k);
  return r;
}

/// Where the bias is too large for the scale of the sum, the channel's weights get a coarser one.
void coarsen(IntegerParts &p, size_t channel, double bias) {
  size_t s = p.scale.size() == 1 ? 0 : channel;
  double factor = std::abs(bias) / (p.scale[s] * kMaxBias);
  if (factor <= 1) return;
  if (p.scale.size() == 1) p.scale.assign(size_t(p.channels), p.scale[0]);
  p.scale[channel] *= factor;
  for (int64_t t = 0; t < p.terms; ++t) {
    int32_t &w = p.weights[channel * size_t(p.terms) + size_t(t)];
    w = int32_t(std::nearbyint(w / factor));
  }
}

} // namespace

std::optional<IntegerParts> integerParts(const IntegerContext &c, size_t channelDim) {
  if (c.codes.size() < 2 || !c.codes[0] || !c.weights[1]) return std::nullopt;
  const Codes &x = *c.codes[0];
  const IntegerWeights &w = *c.weights[1];
  if (w.values.empty() || (w.scale.size() > 1 && size_t(w.axis) != channelDim)) return std::nullopt;
  IntegerParts p;
  p.channels = w.shape[channelDim];
  p.terms = int64_t(w.values.size()) / p.channels;
  for (size_t from : byChannel(w.shape, channelDim)) p.weights.push_back(w.values[from]);
  for (double s : w.scale) {
    p.scale.push_back(s * x.scale);
    if (!(p.scale.back() > 0 && std::isfinite(p.scale.back()))) return std::nullopt;
  }

  std::vector<double> bias(size_t(p.channels), 0);
  if (c.types.size() > 2 && c.types[2].rank() > 0) {
    if (!c.reals[2] || c.reals[2]->size() != bias.size()) return std::nullopt;
    bias = *c.reals[2];
  }
  int64_t farthest = std::max(x.zero, 255 - x.zero);
  for (size_t o = 0; o < bias.size(); ++o) {
    if (!std::isfinite(bias[o])) return std::nullopt;
    coarsen(p, o, bias[o]);
    p.bias.push_back(std::llrint(bias[o] / p.scale[p.scale.size() == 1 ? 0 : o]));
    int64_t norm = 0;
    for (int64_t t = 0; t < p.terms; ++t)
      norm += std::abs(int64_t(p.weights[o * size_t(p.terms) + size_t(t)]));
    if (norm > graph::kMaxAccumulator) return std::nullopt;
    p.bound.push_back(norm * farthest + std::abs(p.bias.back()));
    if (p.bound.back() > graph::kMaxAccumulator) return std::nullopt;
  }
  return p;
}

ValueId weightConstant(graph::Graph &g, const Ints &shape, const std::vector<int32_t> &values) {
  bool small = std::ranges::all_of(values, [](int32_t w) { return w >= -128 && w <= 127; });
  if (!small) return constantOf(g, DType::i32, shape, values);
  return constantOf(g, DType::i8, shape, std::vector<int8_t>(values.begin(), values.end()));
}

namespace {

/// The weights as they lay in a constant of the shape.
std::vector<int32_t> inOrder(const IntegerParts &p, const Ints &shape, size_t channelDim) {
  std::vector<int32_t> r(p.weights.size());
  auto from = p.weights.begin();
  for (size_t to : byChannel(shape, channelDim)) r[to] = *from++;
  return r;
}

/// What one spatial dimension's classes of positions have inside; without borders every tap is, everywhere.
struct ClassTaps {
  std::optional<Borders> borders;
  Window window;
  int64_t in = 0;
  int64_t classes() const { return borders ? borders->classes() : 1; }
  bool inside(int64_t index, int64_t tap) const {
    if (!borders) return true;
    int64_t at = borders->member(index) * window.stride + tap * window.dilation - window.padBegin;
    return at >= 0 && at < in;
  }
};

/// The bias of every class of positions and channel, less what the zero point adds through the taps that
/// are inside: [classes..., channels], or [channels] where one class holds all positions.
ValueId biasOf(graph::Graph &g, const IntegerParts &p, int32_t zero, const std::vector<ClassTaps> &dims) {
  Ints shape;
  int64_t taps = 1;
  for (const ClassTaps &d : dims) {
    shape.push_back(zero == 0 ? 1 : d.classes());
    taps *= d.window.kernel;
  }
  int64_t classes = sizeOf(shape);
  auto isInside = [&](int64_t index, int64_t tap) {
    for (size_t d = dims.size(); d-- > 0;) {
      if (!dims[d].inside(index % shape[d], tap % dims[d].window.kernel)) return false;
      index /= shape[d], tap /= dims[d].window.kernel;
    }
    return true;
  };
  std::vector<int32_t> bias(size_t(classes * p.channels));
  for (int64_t o = 0; o < p.channels; ++o) {
    std::vector<int64_t> ofTap(size_t(taps), 0);
    for (int64_t t = 0; t < p.terms; ++t) ofTap[size_t(t % taps)] += p.weights[size_t(o * p.terms + t)];
    for (int64_t index = 0; index < classes; ++index) {
      int64_t sum = 0;
      for (int64_t tap = 0; zero != 0 && tap < taps; ++tap)
        if (isInside(index, tap)) sum += ofTap[size_t(tap)];
      bias[size_t(index * p.channels + o)] = graph::wrapped32(p.bias[size_t(o)] - zero * sum);
    }
  }
  if (classes == 1) shape.clear();
  shape.push_back(p.channels);
  return constantOf(g, DType::i32, shape, bias);
}

} // namespace

namespace {

/// Products of signed codes, four at a time, are what the target has and the convolution is made of. Two of
/// them must fit 16 bits, so no weight is -128.
bool takesSigned(const IntegerContext &c, const IntegerParts &p, const Ints &shape) {
  return c.lowered && shape[1] >= 4 &&
         std::ranges::all_of(p.weights, [](int32_t w) { return w >= -127 && w <= 127; });
}

/// Codes less 128, as i8.
std::optional<ValueId> lowered(IntegerContext &c, ValueId codes) {
  if (auto known = c.lowered->find(codes.index); known != c.lowered->end()) return known->second;
  auto flipped = c.append(row(Binary::BitXor), {},
                          {codes, constantOf(c.graph, DType::u8, {}, std::vector<uint8_t>{128})});
  auto r = flipped ? c.append(kCast, CastAttrs{DType::i8}, {*flipped}) : std::nullopt;
  if (r) c.lowered->emplace(codes.index, *r);
  return r;
}

} // namespace

std::optional<IntegerValue> integerConv(IntegerContext &c) {
  ConvAttrs a = c.attrs.as<ConvAttrs>();
  auto parts = integerParts(c, 0);
  if (!parts) return std::nullopt;
  const Ints &shape = c.weights[1]->shape;
  const Codes &x = *c.codes[0];
  auto windows =
      windowsOf(Ints(shape.begin() + 2, shape.end()), a.strides, a.dilations, a.padsBegin, a.padsEnd);
  std::vector<ClassTaps> dims;
  bool pads = false, known = true;
  for (size_t d = 0; d < windows.size(); ++d) {
    const Dim &in = c.types[0].shape[d + 2];
    dims.push_back({bordersOf(windows[d], in, c.result.shape[d + 2]), windows[d], in.upper()});
    pads |= windows[d].padBegin > 0 || windows[d].padEnd > 0;
    known &= dims.back().borders.has_value();
  }
  std::optional<ValueId> from = x.value;
  bool isSigned = takesSigned(c, *parts, shape);
  if (!known && pads && (x.zero != 0 || isSigned)) {
    // Which taps are outside is seen at run time only: there they read the zero point, like all others.
    PadAttrs around{{0, 0}, {0, 0}, PadMode::Constant, double(x.zero)};
    for (Ints *to : {&around.begin, &around.end}) {
      Ints &amount = to == &around.begin ? a.padsBegin : a.padsEnd;
      to->insert(to->end(), amount.begin(), amount.end());
      amount.assign(amount.size(), 0);
    }
    from = c.append(kPad, around, {x.value});
    if (!from) return std::nullopt;
  }
  if (!known)
    for (ClassTaps &d : dims) d.borders.reset();
  int32_t zero = x.zero;
  if (isSigned) {
    from = lowered(c, *from);
    zero -= 128;
    if (!from) return std::nullopt;
  }
  auto sum = c.append(kConv, a,
                      {*from, weightConstant(c.graph, shape, inOrder(*parts, shape, 0)),
                       biasOf(c.graph, *parts, zero, dims)});
  if (!sum) return std::nullopt;
  return IntegerValue{*sum, 1, parts->scale, {0}, parts->bound};
}

/// Which taps an output takes differs from one to the next, so it is codes less their zero point that are
/// summed.
std::optional<IntegerValue> integerConvTranspose(IntegerContext &c) {
  const ConvTransposeAttrs &a = c.attrs.as<ConvTransposeAttrs>();
  if (a.group != 1) return std::nullopt;
  auto parts = integerParts(c, 1);
  if (!parts) return std::nullopt;
  std::optional<ValueId> x = c.codes[0]->value;
  if (int32_t zero = c.codes[0]->zero) {
    x = c.append(kCast, CastAttrs{DType::i32}, {*x});
    if (x) x = c.append(row(Binary::Sub), {}, {*x, constantOf(c.graph, DType::i32, {}, std::vector{zero})});
    if (!x) return std::nullopt;
  }
  const Ints &shape = c.weights[1]->shape;
  auto sum = c.append(
      kConvTranspose, a,
      {*x, weightConstant(c.graph, shape, inOrder(*parts, shape, 1)), biasOf(c.graph, *parts, 0, {})});
  if (!sum) return std::nullopt;
  return IntegerValue{*sum, 1, parts->scale, {0}, parts->bound};
}

namespace {

/// Codes by codes: with b' = b - 128, which i8 holds, and c = 128 - zb,
///   sum (a - za)(b - zb)  =  sum a b'  +  c sum a  -  za sum b'  -  K za c.
std::optional<IntegerValue> integerProduct(IntegerContext &c) {
  const Codes &a = *c.codes[0], &b = *c.codes[1];
  const Dim &depth = c.types[0].shape.back();
  auto farthest = [](const Codes &x) { return std::max<int64_t>(x.zero, 255 - x.zero); };
  if (!depth.isConstant() || depth.constant() > graph::kMaxAccumulator / (255 * 255)) return std::nullopt;
  auto scalar = [&](DType type, auto value) { return constantOf(c.graph, type, {}, std::vector{value}); };
  auto shifted = c.append(row(Binary::Add), {}, {b.value, scalar(DType::u8, uint8_t(128))});
  if (shifted) shifted = c.append(kCast, CastAttrs{DType::i8}, {*shifted});
  auto sum = shifted ? c.append(kMatmul, {}, {a.value, *shifted}) : std::nullopt;
  /// sum += factor * the sums of `of` along its dimension `axis`
  auto addSums = [&](ValueId of, int axis, int32_t factor) {
    if (!sum || factor == 0) return;
    auto sums = c.append(row(Reduce::Sum), ReduceAttrs{{axis}, true}, {of});
    if (sums) sums = c.append(row(Binary::Mul), {}, {*sums, scalar(DType::i32, factor)});
    sum = sums ? c.append(row(Binary::Add), {}, {*sum, *sums}) : std::nullopt;
  };
  int32_t shift = 128 - b.zero;
  addSums(a.value, c.types[0].rank() - 1, shift);
  addSums(shifted.value_or(b.value), c.types[1].rank() - 2, -a.zero);
  if (!sum) return std::nullopt;
  return IntegerValue{*sum,
                      0,
                      {a.scale * b.scale},
                      {-depth.constant() * a.zero * shift},
                      {depth.constant() * farthest(a) * farthest(b)}};
}

} // namespace

std::optional<IntegerValue> integerMatmul(IntegerContext &c) {
  if (c.codes.size() == 2 && c.codes[0] && c.codes[1]) return integerProduct(c);
  if (c.codes.size() < 2 || !c.weights[1] || c.weights[1]->shape.size() != 2) return std::nullopt;
  auto parts = integerParts(c, 1);
  if (!parts) return std::nullopt;
  std::vector<int64_t> addend(size_t(parts->channels), 0);
  for (size_t i = 0; i < parts->weights.size(); ++i)
    addend[i / size_t(parts->terms)] -= int64_t(c.codes[0]->zero) * parts->weights[i];
  const Ints &shape = c.weights[1]->shape;
  auto sum =
      c.append(kMatmul, {}, {c.codes[0]->value, weightConstant(c.graph, shape, inOrder(*parts, shape, 1))});
  if (!sum) return std::nullopt;
  return IntegerValue{*sum, c.result.rank() - 1, parts->scale, addend, parts->bound};
}

std::optional<IntegerValue> integerMean(IntegerContext &c, const Ints &axes, bool keepDims) {
  if (!c.codes[0]) return std::nullopt;
  int64_t count = 1;
  for (int64_t d : axes) {
    const Dim &size = c.types[0].shape[size_t(d)];
    if (!size.isConstant() || size.constant() < 1 || size.constant() > graph::kMaxAccumulator / 255 / count)
      return std::nullopt;
    count *= size.constant();
  }
  const Codes &x = *c.codes[0];
  auto sum = c.append(row(Reduce::Sum), ReduceAttrs{axes, keepDims}, {x.value});
  if (!sum) return std::nullopt;
  int64_t farthest = std::max(x.zero, 255 - x.zero);
  return IntegerValue{*sum, 0, {x.scale / double(count)}, {-count * x.zero}, {count * farthest}};
}

namespace {

/// The sum over windows: a convolution of each channel by ones.
std::optional<IntegerValue> integerWindowSum(IntegerContext &c, ConvAttrs window, const Ints &kernel) {
  window.group = c.types[0].shape[1].constant();
  IntegerWeights ones{
      {window.group, 1}, std::vector<int32_t>(size_t(window.group * sizeOf(kernel)), 1), {1}, 0};
  ones.shape.insert(ones.shape.end(), kernel.begin(), kernel.end());
  Attrs boxed = window;
  IntegerContext conv{c.graph,
                      boxed,
                      c.loc,
                      {c.types[0], {}},
                      c.result,
                      {c.codes[0], std::nullopt},
                      {std::nullopt, std::nullopt},
                      {std::nullopt, std::move(ones)},
                      {std::nullopt, std::nullopt}};
  return integerConv(conv);
}

} // namespace

std::optional<IntegerValue> integerWindowMean(IntegerContext &c, const ConvAttrs &window, const Ints &kernel,
                                              const std::vector<Ints> &counts) {
  if (!c.codes[0] || !c.types[0].shape[1].isConstant()) return std::nullopt;
  auto sum = integerWindowSum(c, window, kernel);
  if (!sum) return std::nullopt;
  // Where counts differ, sums are brought to a common one: their least common multiple.
  for (size_t d = 0; d < counts.size(); ++d) {
    int64_t common = 1;
    for (int64_t n : counts[d])
      if (n < 1 || (common = std::lcm(common, n)) > graph::kMaxAccumulator) return std::nullopt;
    for (double &s : sum->scale) s /= double(common);
    Ints shape(counts.size() - d, 1);
    shape[0] = int64_t(counts[d].size());
    std::vector<int32_t> factors;
    for (int64_t n : counts[d]) factors.push_back(int32_t(common / n));
    int64_t most = *std::ranges::max_element(factors);
    if (most == 1) continue;
    for (int64_t &b : sum->bound)
      if ((b *= most) > graph::kMaxAccumulator) return std::nullopt;
    auto scaled =
        c.append(row(Binary::Mul), {}, {sum->value, constantOf(c.graph, DType::i32, shape, factors)});
    if (!scaled) return std::nullopt;
    sum->value = *scaled;
  }
  return sum;
}

} // namespace planish::ops
