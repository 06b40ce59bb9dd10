#include "planish/transform/Passes.h"

#include "planish/graph/OpDef.h"
#include "planish/graph/Text.h"
#include "planish/graph/Verify.h"
#include "planish/ops/Ops.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <span>

namespace planish::transform {

namespace {

const std::array<PassRow, 9> &table() {
  static const std::array<PassRow, 9> rows{{
      {"quantize", "folds quantize and dequantize around operators into integer kernels", quantize},
      {"fold-phases", "merges space-to-depth into the convolution that reads it", foldPhases},
      {"pad-channels", "appends channels of zeros where codes are summed over fewer than four", padChannels},
      {"fold-constants", "computes what depends on constants alone", foldConstants},
      {"canonicalize", "removes and merges what only renames elements", canonicalize},
      {"fold-scales", "merges per-channel scales and shifts into the weights before them", foldScales},
      {"route-channels", "merges shuffles of channels into what reads them", routeChannels},
      {"layout", "chooses how every value lies in memory", layout},
      {"fuse", "grows groups of operators that become one kernel", fuse},
  }};
  return rows;
}

bool mentions(const std::vector<std::string> &list, std::string_view name) {
  return std::ranges::any_of(list, [&](const std::string &s) { return s == name || s == "all"; });
}

Status writeFile(const std::string &path, std::span<const std::byte> bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char *>(bytes.data()), std::streamsize(bytes.size()));
  file.close();
  return file ? Status() : failed("cannot write " + path);
}

/// The text, and each constant that it names by hash as a file of that name: what planish-opt --blobs reads.
Status dump(const std::string &folder, size_t number, std::string_view pass, const Graph &g) {
  std::string digits = (number < 10 ? "0" : "") + std::to_string(number);
  graph::Blobs blobs;
  std::string text = graph::print(g, &blobs);
  for (const auto &[hash, bytes] : blobs)
    if (std::string path = folder + "/" + hash; !std::filesystem::exists(path))
      PLANISH_TRY(writeFile(path, *bytes));
  return writeFile(folder + "/" + digits + "-" + std::string(pass) + ".txt", std::as_bytes(std::span(text)));
}

std::string timingLine(std::string_view pass, double seconds, const Graph &g) {
  char line[120];
  std::snprintf(line, sizeof line, "%-16.*s %9.3f ms  %zu nodes", int(pass.size()), pass.data(),
                seconds * 1e3, g.nodes().size());
  return line;
}

} // namespace

std::span<const PassRow> passes() { return table(); }

const PassRow *findPass(std::string_view name) {
  auto found = std::ranges::find(table(), name, &PassRow::name);
  return found == table().end() ? nullptr : &*found;
}

Status checkGraph(const Graph &g) {
  PLANISH_TRY(graph::verify(g));
  graph::Blobs blobs;
  std::string text = graph::print(g, &blobs);
  auto parsed = graph::parse(text, ops::allOps(), blobs);
  if (!parsed) return parsed.error().in("the graph's own text");
  if (!(*parsed == g) || graph::print(*parsed) != text)
    return failed("the graph's text reads back as another graph");
  return {};
}

/// The pass on the graph and, before that, on the regions of its control flow.
static Result<Graph> applied(const PassRow &pass, Graph g) {
  for (uint32_t n = 0; n < g.nodes().size(); ++n) {
    const graph::Node &node = g[graph::NodeId{n}];
    if (node.op->control == graph::Control::None || !pass.regions) continue;
    std::vector<Graph> regions;
    for (const Graph &region : node.regions) {
      PLANISH_ASSIGN(Graph made, applied(pass, region));
      regions.push_back(std::move(made));
    }
    g.setRegions({n}, std::move(regions));
  }
  return pass.run(g);
}

Result<Graph> runPasses(Graph g, std::span<const PassRow> list, const PassOptions &options) {
  size_t number = 0;
  for (const PassRow &pass : list) {
    auto start = std::chrono::steady_clock::now();
    auto result = applied(pass, std::move(g));
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (!result) return result.error().in("pass " + std::string(pass.name));
    g = *std::move(result);
    if (options.check)
      if (Status s = checkGraph(g); !s) return s.error().in("after pass " + std::string(pass.name));
    if (options.timing && options.say) options.say(timingLine(pass.name, seconds.count(), g));
    if (options.print && mentions(options.printAfter, pass.name)) options.print(graph::print(g));
    if (!options.dumpDir.empty()) PLANISH_TRY(dump(options.dumpDir, ++number, pass.name, g));
    if (options.stopAfter == pass.name) break;
  }
  return g;
}

} // namespace planish::transform
