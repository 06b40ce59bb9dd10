// A graph with codes in which each value's can be switched on and off while it runs: which of them disturb
// the results, and what it would cost to do without.
#pragma once

#include "planish/graph/Graph.h"

#include <string>
#include <vector>

namespace planish::transform {

/// A value that becomes codes.
struct SwitchedLayer {
  std::string input; // f32[1] of the graph: 1 rounds the value to its codes, 0 leaves it
  std::vector<std::string>
      readers; // the user's nodes that read it, if those are contractions alone; else none
  double cost = 0;                  // multiplications of these
};

struct SwitchGraph {
  graph::Graph graph; // the given one's inputs, and the switches
  std::vector<SwitchedLayer> layers;
  std::vector<graph::ValueId>
      results; // of the last contractions; the graph's real outputs where there are none
  double cost = 0;                     // multiplications of all contractions that read codes
};

/// Of a graph that placeCodes() gave.
Result<SwitchGraph> switchGraph(const graph::Graph &coded);

} // namespace planish::transform
