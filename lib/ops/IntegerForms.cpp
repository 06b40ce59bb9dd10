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

/// The weights with output `o`'s terms in a row: [channels][terms].
std::vector<int32_t> byChannel(const IntegerWeights &w, size_t dim) {
  int64_t channels = w.shape[dim], inner = 1;
  for (size_t d = dim + 1; d < w.shape.size(); ++d) inner *= w.shape[d];
  int64_t outer = int64_t(w.values.size()) / (channels * inner);
  std::vector<int32_t> r;
  r.reserve(w.values.size());
  for (int64_t o = 0; o < channels; ++o)
    for (int64_t i = 0; i < outer; ++i) {
      auto from = w.values.begin() + (i * channels + o) * inner;
      r.insert(r.end(), from, from + inner);
    }
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
  p.weights = byChannel(w, channelDim);
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

/// What one spatial dimension's classes of positions have inside.
struct ClassTaps {
  Borders borders;
  Window window;
  int64_t in = 0;
  bool inside(int64_t index, int64_t tap) const {
    int64_t at = borders.member(index) * window.stride + tap * window.dilation - window.padBegin;
    return at >= 0 && at < in;
  }
};

/// The bias of every class of positions and channel, less what the zero point adds through the taps that
/// are inside: [classes..., channels], or [channels] where one class holds all positions.
ValueId biasOf(graph::Graph &g, const IntegerParts &p, int32_t zero, const std::vector<ClassTaps> &dims) {
  Ints shape;
  int64_t taps = 1;
  for (const ClassTaps &d : dims) {
    shape.push_back(zero == 0 ? 1 : d.borders.classes());
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

std::optional<IntegerValue> integerConv(IntegerContext &c) {
  const ConvAttrs &a = c.attrs.as<ConvAttrs>();
  auto parts = integerParts(c, 0);
  if (!parts) return std::nullopt;
  const Ints &shape = c.weights[1]->shape;
  auto windows =
      windowsOf(Ints(shape.begin() + 2, shape.end()), a.strides, a.dilations, a.padsBegin, a.padsEnd);
  const Codes &x = *c.codes[0];
  std::vector<ClassTaps> dims;
  for (size_t d = 0; d < windows.size(); ++d) {
    auto borders = bordersOf(windows[d], c.types[0].shape[d + 2], c.result.shape[d + 2]);
    bool pads = windows[d].padBegin > 0 || windows[d].padEnd > 0;
    if (!borders && pads && x.zero != 0) return std::nullopt;
    if (!borders) borders = Borders{0, 1, 1};
    dims.push_back({*borders, windows[d], borders->count ? c.types[0].shape[d + 2].upper() : 0});
  }
  auto sum = c.append(
      kConv, c.attrs,
      {x.value, weightConstant(c.graph, shape, parts->weights), biasOf(c.graph, *parts, x.zero, dims)});
  if (!sum) return std::nullopt;
  return IntegerValue{*sum, 1, parts->scale, {0}, parts->bound};
}

std::optional<IntegerValue> integerMatmul(IntegerContext &c) {
  if (c.codes.size() < 2 || !c.weights[1] || c.weights[1]->shape.size() != 2) return std::nullopt;
  auto parts = integerParts(c, 1);
  if (!parts) return std::nullopt;
  int64_t depth = parts->terms, columns = parts->channels;
  std::vector<int32_t> weights(size_t(depth * columns));
  std::vector<int64_t> addend(size_t(columns), 0);
  for (int64_t n = 0; n < columns; ++n)
    for (int64_t k = 0; k < depth; ++k) {
      int32_t w = parts->weights[size_t(n * depth + k)];
      weights[size_t(k * columns + n)] = w;
      addend[size_t(n)] -= int64_t(c.codes[0]->zero) * w;
    }
  auto sum = c.append(kMatmul, {}, {c.codes[0]->value, weightConstant(c.graph, {depth, columns}, weights)});
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

std::optional<IntegerValue> integerWindowMean(IntegerContext &c, const ConvAttrs &window,
                                              const Ints &kernel) {
  if (!c.codes[0] || !c.types[0].shape[1].isConstant()) return std::nullopt;
  int64_t channels = c.types[0].shape[1].constant(), area = sizeOf(kernel);
  ConvAttrs attrs = window;
  attrs.group = channels;
  IntegerWeights ones{
      {channels, 1}, std::vector<int32_t>(size_t(channels * area), 1), {1.0 / double(area)}, 0};
  ones.shape.insert(ones.shape.end(), kernel.begin(), kernel.end());
  Attrs boxed = attrs;
  IntegerContext conv{c.graph,
                      boxed,
                      c.loc,
                      {c.types[0], {}},
                      c.result,
                      {c.codes[0], std::nullopt},
                      {std::nullopt, std::move(ones)},
                      {std::nullopt, std::nullopt}};
  return integerConv(conv);
}

} // namespace planish::ops
