// Constant weights of contractions: which of their slices make which slice of the result.
#pragma once

#include "Questions.h"

namespace planish::transform {

/// How a contraction's output dimension shows in its constant operands.
struct Channels {
  size_t weight = 0, weightDim = 0; // operand, and its dimension that is the output's
  size_t dim = 0;                   // of the output
  int bias = -1;                    // operand that the sum starts with, if it has one
};

/// The operand that the sum starts with: a vector over the output's dimension `dim`; -1 if there is
/// none, nothing if the start is something else.
std::optional<int> biasOf(const Meaning &m, size_t dim);

/// Whether scaling slices of a constant operand scales slices of the output along `dim`, and how.
std::optional<Channels> channelsOf(const Graph &g, const Node &node, const Meaning &m, size_t dim);

/// The same along whichever dimension of the output the weights have slices for.
std::optional<Channels> channelsOf(const Graph &g, const Node &node, const Meaning &m);

/// Terms of all sums of a contraction, symbols at their bounds.
double multiplicationsOf(const Graph &g, const Node &node);

} // namespace planish::transform
