#include "planish/codegen/Fpga.h"

#include "Array.h"
#include "Engine.h"
#include "Report.h"
#include "Scripts.h"

#include "planish/loop/Rewrite.h"
#include "planish/support/Check.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

namespace planish::codegen {

using namespace loop;

namespace {

std::vector<Launch> launchesOf(const Program &p) {
  std::vector<Launch> r;
  walk(p.host.body, [&](const Stmt &s) {
    if (auto *l = as<Launch>(s)) r.push_back(*l);
  });
  return r;
}

/// What of a program the engine may run, and why not the rest. Copies and the like are not worth a word.
struct Found {
  std::vector<fpga::Layer> layers;
  std::vector<fpga::OnHost> host;
};

Found layersOf(const Program &definitions) {
  Found r;
  std::vector<Launch> launches = launchesOf(definitions);
  PLANISH_CHECK(launches.size() == definitions.launches.size(), "every launch of the host function is known");
  for (size_t i = 0; i < launches.size(); ++i) {
    Result<fpga::Layer> layer = fpga::layerOf(definitions, launches[i]);
    const std::vector<std::string> &nodes = definitions.launches[i].nodes;
    if (!layer) {
      r.host.push_back(
          {nodes.empty() ? definitions.launches[i].kernel : fpga::nodesOf(nodes), layer.error().text});
      continue;
    }
    layer->nodes = nodes;
    layer->launch = i;
    r.layers.push_back(*std::move(layer));
  }
  return r;
}

/// Weights of layers that the engine has are its own; the host's copies go.
void dropUnusedConstants(Program &p) {
  std::set<const BufferNode *> used;
  for (const Launch &l : launchesOf(p))
    for (const Buffer &b : l.buffers) used.insert(b.get());
  std::map<int64_t, int64_t> newIndex;
  std::vector<Buffer> params;
  std::vector<Slot> slots;
  std::vector<int64_t> newParam(p.host.params.size(), -1);
  std::vector<ConstantData> constants;
  for (size_t i = 0; i < p.host.params.size(); ++i) {
    Slot slot = p.slots[i];
    if (slot.region == Region::Constant) {
      if (!used.contains(p.host.params[i].get())) continue;
      auto [it, fresh] = newIndex.try_emplace(slot.index, int64_t(constants.size()));
      if (fresh) constants.push_back(p.constants[size_t(slot.index)]);
      slot.index = it->second;
    }
    newParam[i] = int64_t(params.size());
    params.push_back(p.host.params[i]);
    slots.push_back(std::move(slot));
  }
  for (Materialised &v : p.values) v.param = newParam.at(size_t(v.param));
  p.host.params = std::move(params), p.slots = std::move(slots), p.constants = std::move(constants);
}

template <class T> std::vector<std::byte> bytesOf(const std::vector<T> &values) {
  std::vector<std::byte> r(values.size() * sizeof(T));
  if (!r.empty()) std::memcpy(r.data(), values.data(), r.size());
  return r;
}

} // namespace

Result<FpgaProgram> fpgaProgram(const Program &definitions, const Target &target) {
  PLANISH_CHECK(target.board, "a target that is a board");
  const Board &board = *target.board;
  Found found = layersOf(definitions);
  fpga::Folding folding = fpga::chooseFolding(found.layers, board);

  FpgaProgram r;
  r.launches.resize(definitions.launches.size());
  fpga::Tables tables;
  std::vector<fpga::Placed> placed;
  for (const fpga::Layer &l : found.layers) {
    auto rows = fpga::rowsOf(l, folding);
    if (!rows) {
      found.host.push_back({fpga::nodesOf(l.nodes), rows.error().text});
      continue;
    }
    auto first = int64_t(tables.rows.size());
    fpga::append(tables, l, *rows, folding);
    r.launches[l.launch] = {first, int64_t(rows->size())};
    placed.push_back({&l, *std::move(rows)});
  }
  if (placed.empty()) {
    std::string text =
        "target '" + target.name + "': no layer of '" + definitions.name +
        "' runs on the engine, which takes layers of 8-bit codes; quantize the model (--int8 --tables)";
    for (const fpga::OnHost &h : found.host) text += "\n  " + h.nodes + ": " + h.reason;
    return unsupported(text);
  }
  for (const fpga::Row &row : tables.rows) r.table.insert(r.table.end(), row.begin(), row.end());
  r.columns = fpga::kColumns;
  r.weights = std::move(tables.weights);
  r.scales = bytesOf(tables.scales);

  std::vector<std::string> about;
  for (const fpga::Placed &p : placed) about.push_back(fpga::nodesOf(p.layer->nodes));
  about.insert(about.begin(), "Runs these layers of '" + definitions.name + "' from its table:");
  bool amd = board.vendor == FpgaVendor::Amd;
  r.files.push_back(amd ? FpgaFile{"_engine.cpp", fpga::hlsSource(folding, board, about)}
                        : FpgaFile{"_engine.cl", fpga::channelSource(folding, board, about)});
  r.files.push_back(
      {"_engine_report.txt", fpga::reportText(definitions.name, board, folding, placed, found.host)});
  r.files.push_back(
      {"_engine_report.json", fpga::reportJson(definitions.name, board, folding, placed, found.host)});
  r.files.push_back({"_engine_table.txt", fpga::tableText(placed, tables.rows)});
  r.files.push_back({"_engine_array.v", fpga::arrayVerilog(folding, board)});
  for (FpgaFile &f : fpga::scripts(definitions.name, board)) r.files.push_back(std::move(f));
  r.notes.push_back(fpga::reportNote(board, folding, placed));
  if (!found.host.empty())
    r.notes.push_back(std::to_string(found.host.size()) + " launches stay on the host; " + definitions.name +
                      "_engine_report.txt says why");
  return r;
}

Program withEngine(Program host, const FpgaProgram &engine) {
  PLANISH_CHECK(engine.launches.size() == host.launches.size(), "an engine of another program");
  auto isConstant = [&](const Buffer &b) {
    size_t i = size_t(std::ranges::find(host.host.params, b) - host.host.params.begin());
    return host.slots.at(i).region == Region::Constant;
  };
  std::vector<FunctionRef> kernels;
  size_t launch = 0;
  Stmt body = rewrite(host.host.body, [&](const Stmt &s) {
    auto *l = as<Launch>(s);
    if (!l) return s;
    Launch made = *l;
    size_t index = launch++;
    if (engine.launches[index]) {
      made = {};
      Function f;
      f.name = host.name + "_engine" + std::to_string(index);
      for (size_t i = 0; i < l->buffers.size(); ++i)
        if (!isConstant(l->buffers[i]))
          made.buffers.push_back(l->buffers[i]), f.params.push_back(l->kernel->params[i]);
      f.body = block({});
      made.kernel = std::make_shared<const Function>(std::move(f));
      made.tasks = imm(1);
      LaunchInfo &info = host.launches[index];
      info.kernel = made.kernel->name, info.templateName = "engine", info.config.clear();
      info.serial = info.copies = false;
    }
    if (std::ranges::find(kernels, made.kernel) == kernels.end()) kernels.push_back(made.kernel);
    return makeStmt(std::move(made));
  });
  host.host.body = body;
  host.kernels = std::move(kernels);
  dropUnusedConstants(host);
  return host;
}

} // namespace planish::codegen
