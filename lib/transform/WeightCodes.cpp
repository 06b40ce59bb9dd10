#include "WeightCodes.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace planish::transform {

namespace {

constexpr double kMostCode = 127;
/// Scales that are tried between the one of the largest weight and half of it.
constexpr int kScales = 24;
/// Steps of the sum that a bias takes where the weights alone would let it take more.
constexpr double kMostBiasSteps = double(1 << 26);

struct Slices {
  size_t count = 1, inner = 1;
  size_t of(size_t element) const { return element / inner % count; }
};

Slices slicesOf(const std::vector<int64_t> &shape, size_t dim) {
  Slices r;
  r.count = size_t(shape[dim]);
  for (size_t d = dim + 1; d < shape.size(); ++d) r.inner *= size_t(shape[d]);
  return r;
}

double codeOf(double weight, double scale) {
  return std::clamp(std::nearbyint(weight / scale), -kMostCode, kMostCode);
}

/// The scale of least squared error for some weights.
double bestScale(const std::vector<float> &weights) {
  double most = 0;
  for (float w : weights) most = std::max(most, std::abs(double(w)));
  double best = most / kMostCode, least = INFINITY;
  for (int i = 0; i < kScales && most > 0; ++i) {
    double scale = most / kMostCode * (1 - 0.5 * i / kScales), error = 0;
    for (float w : weights) {
      double e = double(w) - codeOf(double(w), scale) * scale;
      error += e * e;
    }
    if (error < least) least = error, best = scale;
  }
  return best;
}

} // namespace

WeightCodes weightCodes(const Graph &g, const Node &node, const Channels &channels, double inputScale) {
  const graph::Value &value = g[node.inputs[channels.weight]];
  std::span<const float> weights = graph::dataOf<float>(value);
  WeightCodes r{*constantShape(value.type.shape), {}, {}, channels.weightDim};
  Slices slices = slicesOf(r.shape, r.dim);
  std::vector<std::vector<float>> bySlice(slices.count);
  for (size_t i = 0; i < weights.size(); ++i) bySlice[slices.of(i)].push_back(weights[i]);
  for (size_t s = 0; s < slices.count; ++s) {
    double bias =
        channels.bias < 0 ? 0 : double(graph::dataOf<float>(g[node.inputs[size_t(channels.bias)]])[s]);
    double scale = std::max(bestScale(bySlice[s]), std::abs(bias) / (inputScale * kMostBiasSteps));
    r.scale.push_back(scale > 0 ? float(scale) : 1.0f);
  }
  for (size_t i = 0; i < weights.size(); ++i)
    r.codes.push_back(int8_t(codeOf(double(weights[i]), double(r.scale[slices.of(i)]))));
  return r;
}

std::optional<std::vector<size_t>> channelsRead(const Graph &g, const Node &node, const Channels &channels) {
  auto meaning = meaningOf(g, node);
  const loop::Compute &c = meaning->compute;
  const loop::Load *weight = nullptr, *input = nullptr;
  for (const loop::Expr &factor : {c.lhs, c.rhs}) {
    int operand = factor ? operandRead(*meaning, factor) : -1;
    if (operand == int(channels.weight)) weight = loop::as<loop::Load>(factor);
    if (operand == 0) input = loop::as<loop::Load>(factor);
  }
  if (!weight || !input || input->indices.size() < 2) return std::nullopt;

  // As far as the channel depends on the weight's own indices. The taps of a window do not matter, so each
  // choice of the others is worked out once.
  loop::Expr channel = withoutUnitAxes(c, input->indices[1]);
  std::vector<int64_t> shape = *constantShape(g.type(node.inputs[channels.weight]).shape);
  std::vector<Var> axes(shape.size());
  for (size_t d = 0; d < axes.size(); ++d)
    if (auto *axis = loop::as<loop::VarRef>(loop::simplify(withoutUnitAxes(c, weight->indices[d]), {})))
      axes[d] = axis->var;
  std::vector<bool> matters(axes.size(), false);
  loop::walk(channel, [&](const loop::Expr &e) {
    if (auto *v = loop::as<loop::VarRef>(e))
      for (size_t d = 0; d < axes.size(); ++d) matters[d] = matters[d] || axes[d] == v->var;
  });
  size_t count = 1;
  for (int64_t size : shape) count *= size_t(size);
  std::vector<size_t> r;
  r.reserve(count);
  std::map<std::vector<int64_t>, std::optional<int64_t>> known;
  std::vector<int64_t> at(shape.size(), 0);
  for (size_t i = 0; i < count; ++i) {
    std::vector<int64_t> key;
    for (size_t d = 0; d < at.size(); ++d)
      if (matters[d]) key.push_back(at[d]);
    auto [found, isNew] = known.try_emplace(std::move(key));
    if (isNew) {
      loop::Substitution point;
      for (size_t d = 0; d < at.size(); ++d)
        if (matters[d]) point[axes[d]] = loop::imm(at[d]);
      found->second = loop::constantOf(loop::simplify(loop::substitute(channel, point), {}));
    }
    if (!found->second || *found->second < 0) return std::nullopt;
    r.push_back(size_t(*found->second));
    for (size_t d = at.size(); d-- > 0 && ++at[d] == shape[d];) at[d] = 0;
  }
  return r;
}

std::optional<std::vector<double>> meanError(const Graph &g, const Node &node, const Channels &channels,
                                             const WeightCodes &codes,
                                             const std::vector<double> &inputMeans) {
  auto reads = channelsRead(g, node, channels);
  if (!reads) return std::nullopt;
  std::span<const float> weights = graph::dataOf<float>(g[node.inputs[channels.weight]]);
  Slices slices = slicesOf(codes.shape, codes.dim);
  std::vector<double> r(slices.count, 0);
  for (size_t i = 0; i < weights.size(); ++i) {
    if ((*reads)[i] >= inputMeans.size()) return std::nullopt;
    size_t slice = slices.of(i);
    double error = double(codes.codes[i]) * double(codes.scale[slice]) - double(weights[i]);
    r[slice] += error * inputMeans[(*reads)[i]];
  }
  return r;
}

} // namespace planish::transform
