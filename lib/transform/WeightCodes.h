// Constant weights as i8 codes, symmetric, with a scale per output channel.
#pragma once

#include "Contractions.h"

#include <optional>
#include <vector>

namespace planish::transform {

struct WeightCodes {
  std::vector<int64_t> shape;
  std::vector<int8_t> codes;
  std::vector<float> scale; // per slice along `dim`
  size_t dim = 0;
};

/// Codes of the constant operand that `channels` names, each scale the one of least squared error.
/// `inputScale` is that of the contraction's other operand: the bias, in steps of both scales, must find room
/// in the sum.
WeightCodes weightCodes(const Graph &g, const Node &node, const Channels &channels, double inputScale);

/// For each weight, the channel (dimension 1) of operand 0 that it is multiplied with; nothing where that is
/// not a matter of the weight's own indices.
std::optional<std::vector<size_t>> channelsRead(const Graph &g, const Node &node, const Channels &channels);

/// What codes in place of the weights add to each output channel on average, given the mean of each channel
/// of operand 0 (Nagel et al., "Data-free quantization through weight equalization and bias correction",
/// 2019, with measured means). Borders are taken as the inside. Nothing where the weights do not say which
/// channel each reads.
std::optional<std::vector<double>> meanError(const Graph &g, const Node &node, const Channels &channels,
                                             const WeightCodes &codes, const std::vector<double> &inputMeans);

} // namespace planish::transform
