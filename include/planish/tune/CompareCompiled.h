// A compiled model next to the real numbers of the model that it was made from, kernel by kernel.
#pragma once

#include "planish/tune/Compare.h"

namespace planish::tune {

/// What a kernel of a compiled model leaves in memory.
struct CompiledLayer {
  std::string name;               // of the value in the model of real numbers
  std::vector<std::string> nodes; // the user's nodes that the kernel computes
  bool fitted =
      false; // next to the straight line through the real numbers that fits best, channel by channel
  ValueError error;    // with all layers before it
};

struct CompiledComparison {
  size_t samples = 0;
  std::vector<CompiledLayer> layers; // in the order of their computation
  std::vector<OutputError> outputs;
};

/// Runs `library`, a shared library that was compiled from the model of the graph, and the graph, which is
/// one before the pass `layout`, on every sample. Values that keep their name in the library are compared as
/// they are. Others stand for what the last of their kernel's nodes computes: codes, and real numbers that
/// are multiples of it by channel, so of them a straight line is compared, the one that fits best; a wrong
/// scale shows in what is computed from it. Values whose shapes differ are left out. BadInput where the
/// library cannot be loaded, or has other inputs or no value of the graph.
Result<CompiledComparison> compareCompiled(const graph::Graph &real, const std::string &library,
                                           Samples &samples);

} // namespace planish::tune
