// A chain of elementwise nodes as a function of one real number: an activation function, say.
#pragma once

#include "Questions.h"

#include <map>
#include <vector>

namespace planish::transform {

class FunctionGraph {
public:
  /// `result` as a function of `from`; constants on the way have one element. `g` must outlive it.
  FunctionGraph(const Graph &g, ValueId from, ValueId result) : old(g), from(from), result(result) {}

  /// Its values at points; nothing where they cannot be told, or are not finite.
  std::optional<std::vector<double>> at(const std::vector<float> &points) const;

private:
  using Copies = std::map<ValueId, ValueId>;
  std::optional<ValueId> copied(Graph &made, ValueId v, Copies &copies) const;

  const Graph &old;
  ValueId from, result;
};

} // namespace planish::transform
