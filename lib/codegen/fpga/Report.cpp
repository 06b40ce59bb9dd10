#include "Report.h"

#include "Array.h"

#include "planish/support/Text.h"

#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/JSON.h>
#include <llvm/Support/raw_ostream.h>

#include <cstdio>

namespace planish::codegen::fpga {

namespace {

namespace json = llvm::json;

template <class... Args> std::string formatted(const char *format, Args... args) {
  char text[512];
  std::snprintf(text, sizeof text, format, args...);
  return text;
}

double milliseconds(double cycles, const Board &b) { return cycles / (b.megahertz * 1e3); }

struct Totals {
  double cycles = 0, macs = 0, bytes = 0;
};
Totals totalsOf(const Board &b, const Folding &f, std::span<const Placed> layers) {
  Totals t;
  for (const Placed &p : layers) {
    Cycles c = cyclesOf(p.rows, f, b);
    t.cycles += c.total, t.bytes += c.bytes, t.macs += double(p.layer->macs());
  }
  return t;
}

std::string shapeOf(const Layer &l) {
  std::string r = formatted("%lldx%lldx%lld -> %lldx%lldx%lld", (long long)l.height.in, (long long)l.width.in,
                            (long long)l.in.channels, (long long)l.height.out, (long long)l.width.out,
                            (long long)l.out.channels);
  r += formatted(", %lldx%lld", (long long)l.height.kernel, (long long)l.width.kernel);
  if (l.height.stride > 1 || l.width.stride > 1)
    r += formatted("/%lldx%lld", (long long)l.height.stride, (long long)l.width.stride);
  if (l.groups > 1) r += formatted(", %lld groups", (long long)l.groups);
  return r;
}

std::string_view kindOf(const Layer &l) {
  if (l.sum == Sum::Dense) return "products";
  if (l.sum == Sum::Lanes) return "sums";
  return l.height.kernel * l.width.kernel > 1 ? "maximum" : "codes";
}

} // namespace

std::string nodesOf(const std::vector<std::string> &nodes) {
  std::string r = joined(nodes, [](const std::string &n) { return n; }, " + ");
  for (char &c : r)
    if (c < ' ' || c > '~' || c == '\\') c = '?';
  for (size_t at = r.find("*/"); at != std::string::npos; at = r.find("*/", at)) r[at + 1] = '?';
  return r.empty() ? "(unnamed)" : r;
}

std::string reportText(const std::string &model, const Board &b, const Folding &f,
                       std::span<const Placed> layers, std::span<const OnHost> host) {
  Resources used = resourcesOf(f, b);
  Totals t = totalsOf(b, f, layers);
  std::string r = "Engine of '" + model + "' for " + std::string(b.target) + " (" + std::string(b.device) +
                  "), estimated before synthesis\n\n";
  r += formatted(
      "folding      PE %lld x SIMD %lld = %lld products a cycle, %lld outputs requantized a cycle\n",
      (long long)f.pe, (long long)f.simd, (long long)(f.pe * f.simd), (long long)f.lanes);
  r += formatted("clock        %g MHz, assumed\n", b.megahertz);
  r += formatted("DSP blocks   %lld of %lld (%.0f %%)\n", (long long)used.dsps, (long long)b.dsps,
                 100.0 * double(used.dsps) / double(b.dsps));
  r += formatted("memory       %lld of %lld blocks (%.0f %%)", (long long)used.memories,
                 (long long)b.memories, 100.0 * double(used.memories) / double(b.memories));
  if (b.largeMemories)
    r += formatted(", %lld of %lld UltraRAM", (long long)used.largeMemories, (long long)b.largeMemories);
  r += formatted("\nbandwidth    %g GB/s peak, %.0f %% of it taken\n", b.gigabytes, 100 * kMemoryShare);
  r += "sources      " + std::string(b.sources) + "\n\n";
  r += "     cycles       ideal  use    memory  bound       layer\n";
  for (size_t i = 0; i < layers.size(); ++i) {
    Cycles c = cyclesOf(layers[i].rows, f, b);
    double use = double(layers[i].layer->macs()) / (c.total * double(f.pe * f.simd));
    r += formatted("%11.0f  %7.3f ms  %3.0f %%  %5.2f MB  %-10s  ", c.total, milliseconds(c.total, b),
                   100 * use, c.bytes / 1e6, std::string(c.bound()).c_str());
    r += nodesOf(layers[i].layer->nodes) + " (" + std::string(kindOf(*layers[i].layer)) + ", " +
         shapeOf(*layers[i].layer) + formatted(", %zu rows)\n", layers[i].rows.size());
  }
  double ideal = milliseconds(t.cycles, b);
  r += formatted("\nall layers of the engine: %.2f MMAC, %.1f MB to and from memory\n", t.macs / 1e6,
                 t.bytes / 1e6);
  r += formatted("ideal    %.3f ms, %.0f %% of %.2f TOP/s\n", ideal,
                 t.cycles > 0 ? 100 * t.macs / (t.cycles * double(f.pe * f.simd)) : 0,
                 2e-6 * double(f.pe * f.simd) * b.megahertz);
  r += formatted("derated  %.3f ms: published engines reach 27 to 64 %% of such ideals, %.0f %% is taken\n",
                 ideal / kDerating, 100 * kDerating);
  r += "The host's layers, starting the engine, and what synthesis makes of the clock are not in these "
       "figures.\n";
  r += "\n" + std::to_string(host.size()) + " launches stay on the host:\n";
  for (const OnHost &h : host) r += "  " + h.nodes + ": " + h.reason + "\n";
  return r;
}

std::string reportJson(const std::string &model, const Board &b, const Folding &f,
                       std::span<const Placed> layers, std::span<const OnHost> host) {
  Resources used = resourcesOf(f, b);
  Totals t = totalsOf(b, f, layers);
  json::Array list, onHost;
  for (const Placed &p : layers) {
    Cycles c = cyclesOf(p.rows, f, b);
    json::Array nodes;
    double array = 0;
    for (const Row &r : p.rows) array += arrayCycles(r);
    for (const std::string &n : p.layer->nodes) nodes.push_back(json::fixUTF8(n));
    list.push_back(json::Object{{"nodes", std::move(nodes)},
                                {"kind", std::string(kindOf(*p.layer))},
                                {"shape", shapeOf(*p.layer)},
                                {"rows", int64_t(p.rows.size())},
                                {"macs", p.layer->macs()},
                                {"cycles", c.total},
                                {"compute", c.compute},
                                {"array", array},
                                {"memory", c.memory},
                                {"weights", c.weights},
                                {"load", c.load},
                                {"requantize", c.requantize},
                                {"store", c.store},
                                {"fill", c.fill},
                                {"bytes", c.bytes},
                                {"bound", std::string(c.bound())}});
  }
  for (const OnHost &h : host) onHost.push_back(json::Object{{"nodes", h.nodes}, {"reason", h.reason}});
  double ideal = milliseconds(t.cycles, b);
  json::Value v =
      json::Object{{"model", json::fixUTF8(model)},
                   {"board", std::string(b.target)},
                   {"device", std::string(b.device)},
                   {"folding", json::Object{{"pe", f.pe},
                                            {"simd", f.simd},
                                            {"lanes", f.lanes},
                                            {"weight_words", f.weightWords},
                                            {"line_words", f.lineWords}}},
                   {"megahertz", b.megahertz},
                   {"dsp", json::Object{{"used", used.dsps}, {"of", b.dsps}}},
                   {"memories", json::Object{{"used", used.memories}, {"of", b.memories}}},
                   {"large_memories", json::Object{{"used", used.largeMemories}, {"of", b.largeMemories}}},
                   {"macs", t.macs},
                   {"bytes", t.bytes},
                   {"ideal_ms", ideal},
                   {"derated_ms", ideal / kDerating},
                   {"layers", std::move(list)},
                   {"on_host", std::move(onHost)}};
  std::string text;
  llvm::raw_string_ostream(text) << llvm::formatv("{0:2}", v) << "\n";
  return text;
}

std::string tableText(std::span<const Placed> layers, std::span<const Row> rows) {
  std::string r = "The layer table: every row as the engine reads it, columns that are 0 left out.\n";
  size_t at = 0;
  for (const Placed &p : layers) {
    r += "\n" + nodesOf(p.layer->nodes) + "\n";
    for (size_t i = 0; i < p.rows.size(); ++i, ++at) {
      r += "  " + std::to_string(at) + ":";
      for (size_t c = 0; c < kColumns; ++c)
        if (rows[at][c]) r += std::string(" ") + columns()[c].name + "=" + std::to_string(rows[at][c]);
      r += "\n";
    }
  }
  return r;
}

std::string reportNote(const Board &b, const Folding &f, std::span<const Placed> layers) {
  Totals t = totalsOf(b, f, layers);
  double ideal = milliseconds(t.cycles, b);
  return formatted(
      "the engine runs %zu launches, PE %lld x SIMD %lld at %g MHz (assumed): ideally %.2f ms, derated to "
      "%.2f ms; before synthesis, without the host's part",
      layers.size(), (long long)f.pe, (long long)f.simd, b.megahertz, ideal, ideal / kDerating);
}

} // namespace planish::codegen::fpga
