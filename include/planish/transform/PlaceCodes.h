// Quantization of a graph of real numbers: which values become 8-bit codes, with which scales.
#pragma once

#include "planish/quant/Profile.h"
#include "planish/transform/Passes.h"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace planish::transform {

/// The passes that a graph goes through before its values are profiled and get codes.
std::span<const PassRow> passesBeforeCodes();

/// The f32 values that placeCodes() wants to know the numbers of; `tables` as in the profile.
std::vector<graph::ValueId> valuesToProfile(const Graph &g, bool tables);

struct CodeOptions {
  std::optional<quant::Calibrator> calibrator; // absent: the profile's own
  std::set<std::string> keepFloat; // the user's nodes that stay with real numbers
};

/// Places quantize and dequantize nodes, which the pass `quantize` then folds into integer kernels.
///
/// A contraction with constant weights wants codes of its input; what leads there, back to where numbers have
/// no integer form, gets codes as well. Activations get one scale and zero point (u8), weights one scale per
/// output channel (i8, symmetric) of least squared error, and their bias makes up for what that changes on
/// average. What only moves or picks elements has the codes of what it picks from. What no integer operator
/// reads stays with real numbers: a network's last convolutions give exact sums, times a scale.
///
/// BadInput where the profile is of another graph; Usage where a name of keepFloat is no node.
Result<Graph> placeCodes(const Graph &g, const quant::Profile &profile, const CodeOptions &options);
/// The same as a row of passes: "place-codes".
PassRow placeCodesRow(quant::Profile profile, CodeOptions options);

/// Costly functions (SiLU, Mish, GELU ...) of sums become parabolas over pieces of equal width: off by a
/// quarter of a step at most, of the codes that they become, or, where a contraction reads real numbers, of
/// as many over the range that the profile has seen. A function for which the pieces are too few stays.
Result<Graph> byPieces(const Graph &g, const quant::Profile &profile);

/// The passes that run after `quantize` where codes are ours to define: "pieces" and "code-factors".
std::vector<PassRow> passesForOwnCodes(quant::Profile profile);

} // namespace planish::transform
