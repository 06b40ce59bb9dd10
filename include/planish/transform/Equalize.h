// Channels of one value brought to like sizes, so that they can share one scale.
#pragma once

#include "planish/quant/Profile.h"
#include "planish/transform/Passes.h"

namespace planish::transform {

/// Factors for values that a contraction with constant weights makes, perhaps through an activation function,
/// and that such contractions alone read (Nagel et al., 2019, with measured ranges in place of those of
/// weights). Powers of two, so a graph of real numbers computes the same bits with them and without.
quant::Equalization equalization(const Graph &g, const quant::Profile &profile);

/// The graph with the factors: into the weights before where the function between keeps factors (ReLU), else
/// a multiplication after it; and into the weights behind. BadInput where a factor fits no value.
Result<Graph> equalized(const Graph &g, const quant::Equalization &factors);

} // namespace planish::transform
