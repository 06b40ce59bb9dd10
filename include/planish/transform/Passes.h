// Graph passes: plain functions from a Graph to a Graph that computes the same.
#pragma once

#include "planish/graph/Graph.h"

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace planish::transform {

using graph::Graph;

/// Folds quantize and dequantize nodes around operators into integer ones: exact 32-bit sums and one
/// requantization, tables for functions of one code, bytes for what only picks elements. What it cannot
/// prove exact stays with real numbers.
Result<Graph> quantize(const Graph &g);
/// For scales that are ours to define: u8 codes of real numbers are their product with the inverse of the
/// scale, where `quantize` divides.
Result<Graph> codesByFactors(const Graph &g);
/// Whether a graph has quantize or dequantize nodes.
bool isQuantized(const Graph &g);
/// The user's nodes that compute with real numbers in a graph that also has codes; none where it has none.
std::vector<std::string> realNodes(const Graph &g);
/// Convolutions whose channels are every other pixel of an image (space-to-depth) read the image itself.
Result<Graph> foldPhases(const Graph &g);
/// Appends channels of zeros to images and weights where codes are summed over fewer than four of them.
Result<Graph> padChannels(const Graph &g);
/// Evaluates nodes whose operands are all constants (results up to 16 MiB and cheap enough).
Result<Graph> foldConstants(const Graph &g);
/// Removes what changes nothing (movement to the same shape, casts to the same type), merges chains
/// of reshapes and of transposes, and pieces of a value that are joined again; drops dead nodes.
Result<Graph> canonicalize(const Graph &g);
/// Merges a per-output-channel scale or shift that follows a contraction with constant weights into
/// the weights and bias.
Result<Graph> foldScales(const Graph &g);
/// Removes shuffles of channels (dimension 1): what treats every channel alike runs in the order in which
/// they lie, a contraction along them takes the order into its constant weights, or reads the channels it
/// wants out of the values that hold them.
Result<Graph> routeChannels(const Graph &g);
/// Chooses how every value lies in memory.
Result<Graph> layout(const Graph &g);
/// Grows groups around one anchor by class: elementwise successors become the anchor's epilogue, and take
/// what only they read along; a lookup of what a contraction sums over becomes part of it.
Result<Graph> fuse(const Graph &g);

struct PassRow {
  std::string_view name, summary;
  std::function<Result<Graph>(const Graph &)> run;
  bool regions = true; // whether it runs on the regions of control flow as well
};
/// The passes by name, in pipeline order.
std::span<const PassRow> passes();
const PassRow *findPass(std::string_view name);

struct PassOptions {
  std::vector<std::string> printAfter;  // names of passes; "all" for every one
  std::string stopAfter;                // name of the last pass to run; empty: all
  std::string dumpDir; // an existing folder: NN-<pass>.txt after every pass, constants by hash
  bool timing = false; // a line per pass through `say`
#ifdef NDEBUG
  bool check = false; // verify, and compare with what the graph's own text parses to, after every pass
#else
  bool check = true;
#endif
  std::function<void(std::string_view)> print; // where printAfter's text goes
  std::function<void(std::string_view)> say; // where timing's lines go
};

/// Runs passes in order. An error names the pass.
Result<Graph> runPasses(Graph g, std::span<const PassRow> list, const PassOptions &options);
/// Structure, types and the round trip through text: what must hold after every pass.
Status checkGraph(const Graph &g);

} // namespace planish::transform
