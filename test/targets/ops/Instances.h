// Random small instances of every operator: shapes with ones and primes, groups, strides, axes, broadcasts,
// sizes known only at run time.
#pragma once

#include "unit/schedule/RandomCompute.h"

#include "planish/graph/Graph.h"

#include <map>
#include <optional>
#include <vector>

namespace planish::ops::test {

using schedule::test::Random;

/// Integers of an operand lie in [low, high).
struct Bounds {
  int64_t low = -4, high = 5;
};

struct Instance {
  graph::Graph graph;            // one node over the graph's inputs
  std::vector<Bounds> bounds;    // by input
  std::map<Var, int64_t> sizes;  // values of the graph's symbols
};

/// An instance that the operator's inference accepts; nothing where the operator has no generator, or the
/// generator's proposals are all refused.
std::optional<Instance> randomInstance(const graph::OpDef &op, Random &random);

} // namespace planish::ops::test
