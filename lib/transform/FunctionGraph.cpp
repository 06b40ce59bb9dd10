#include "FunctionGraph.h"

#include "planish/graph/Evaluate.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace planish::transform {

namespace {
/// Nodes of a function.
constexpr size_t kMaxFunction = 64;
} // namespace

std::optional<std::vector<double>> FunctionGraph::at(const std::vector<float> &points) const {
  Graph made;
  Copies copies{{from, made.addInput({DType::f32, {int64_t(points.size())}, {}, {}}, "x")}};
  auto y = copied(made, result, copies);
  if (!y) return std::nullopt;
  made.setOutputs({*y});
  auto bytes = std::make_shared<std::vector<std::byte>>(points.size() * sizeof(float));
  std::memcpy(bytes->data(), points.data(), bytes->size());
  graph::Tensor x{DType::f32, {int64_t(points.size())}, std::move(bytes)};
  auto values = graph::evaluate(made, std::span(&x, 1));
  if (!values || values->front().data->size() != points.size() * sizeof(float)) return std::nullopt;
  std::vector<float> r(points.size());
  std::memcpy(r.data(), values->front().data->data(), r.size() * sizeof(float));
  if (!std::ranges::all_of(r, [](float v) { return std::isfinite(v); })) return std::nullopt;
  return std::vector<double>(r.begin(), r.end());
}

std::optional<ValueId> FunctionGraph::copied(Graph &made, ValueId v, Copies &copies) const {
  if (auto found = copies.find(v); found != copies.end()) return found->second;
  if (old[v].isConstant())
    return copies[v] = made.addConstant(DType::f32, {}, std::vector<float>{graph::dataOf<float>(old[v])[0]});
  if (!old[v].def || copies.size() > kMaxFunction) return std::nullopt;
  const Node &node = old[*old[v].def];
  std::vector<ValueId> operands;
  for (ValueId input : node.inputs) {
    auto operand = input == kAbsent ? std::optional(kAbsent) : copied(made, input, copies);
    if (!operand) return std::nullopt;
    operands.push_back(*operand);
  }
  auto appended = made.append(*node.op, node.attrs, operands, {});
  if (!appended) return std::nullopt;
  return copies[v] = appended->front();
}

} // namespace planish::transform
