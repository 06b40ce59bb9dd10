// What Layers.h's functions share: how a layer's value comes from its contraction.
#pragma once

#include "Questions.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace planish::transform {

/// A value's name without what tools put behind it to name its codes: "relu_quantized" -> "relu".
std::string plainName(std::string_view name);

/// The only contraction that a value comes from through functions of elements and movements.
struct PathToContraction {
  NodeId node;
  std::vector<std::string> operators; // on the way, sorted, without those that only limit
};
std::optional<PathToContraction> contractionBehind(const Graph &g, ValueId value);

/// Which dimension of a contraction's operand 1 runs along its output channels, and which of the result.
struct ChannelAxes {
  int weights, result;
};
std::optional<ChannelAxes> channelAxes(const Graph &g, const Node &contraction);

} // namespace planish::transform
