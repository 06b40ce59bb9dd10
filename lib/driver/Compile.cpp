// The pipeline, top to bottom.
#include "planish/driver/Compile.h"

#include "planish/artifact/Estimate.h"
#include "planish/codegen/CLike.h"
#include "planish/codegen/Device.h"
#include "planish/codegen/Fpga.h"
#include "planish/codegen/Llvm.h"
#include "planish/graph/Text.h"
#include "planish/lower/Lower.h"
#include "planish/onnx/Import.h"
#include "planish/support/Hash.h"
#include "planish/support/Text.h"
#include "planish/transform/Passes.h"
#include "planish/transform/QuantizeSigned.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

namespace planish::driver {

using graph::Graph;
using loop::Program;

namespace {

/// Measures the phases of one compilation.
class Clock {
public:
  explicit Clock(std::vector<Phase> &phases) : phases(phases) {}
  void lap(std::string name) {
    auto now = std::chrono::steady_clock::now();
    phases.push_back({std::move(name), std::chrono::duration<double>(now - last).count()});
    last = now;
  }

private:
  std::vector<Phase> &phases;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

/// The one name whose symbol <name>_model is another thing already.
constexpr std::string_view kTaken = "planish";

/// A C identifier: the name asked for, or the file's stem with other characters replaced.
Result<std::string> libraryName(const Options &o) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  auto fits = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
  if (!o.name.empty()) {
    if (!letter(o.name[0]) || !std::all_of(o.name.begin(), o.name.end(), fits))
      return usage("--name '" + o.name + "' is no C identifier");
    if (o.name == kTaken)
      return usage("--name '" + o.name + "': planish_model is a type of the runtime's header");
    return o.name;
  }
  std::string r = std::filesystem::path(o.model).stem().string();
  for (char &c : r)
    if (!fits(c)) c = '_';
  return r.empty() || !letter(r[0]) || r == kTaken ? "m_" + r : r;
}

std::string fileName(const std::string &path) { return std::filesystem::path(path).filename().string(); }

Result<std::string> hashOfFile(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return badInput("cannot read '" + path + "'");
  std::string bytes(std::istreambuf_iterator<char>(in), {});
  return sha256(std::as_bytes(std::span(bytes)));
}

/// What a model goes through before the pass `quantize`.
std::vector<transform::PassRow> passesToCodes(const Options &o) {
  std::vector<transform::PassRow> r;
  if (o.int8) {
    r.assign(transform::passesBeforeCodes().begin(), transform::passesBeforeCodes().end());
    transform::PassRow place = transform::placeCodesRow(o.int8->profile, o.int8->codes);
    place.run = [&q = *o.int8, placed = std::move(place.run)](const Graph &g) -> Result<Graph> {
      if (quant::identityOf(g) == q.profile.graph) return placed(g);
      return badInput(
          "the profile '" + q.profileName +
          "' is of another model, other input sizes or another version of the compiler; calibrate "
          "again with the same model and sizes");
    };
    r.push_back(std::move(place));
  }
  if (!o.repairs.empty())
    r.push_back({"repair", "quantizes layers anew",
                 [&](const Graph &g) { return transform::repaired(g, o.repairs); }, false});
  return r;
}

/// The passes in order; with --int8 some run twice, before the values get codes and after, and scales are
/// ours to define.
std::vector<transform::PassRow> passesFor(const Options &o, const Target &target) {
  std::vector<transform::PassRow> r = passesToCodes(o);
  const std::span<const transform::PassRow> rows = transform::passes();
  r.push_back(rows.front()); // folds codes into integer kernels
  // There products of signed codes cost less than those of u8 by s8.
  if (target.architecture == Architecture::Arm64 && !target.dot4) r.back().run = transform::quantizeSigned;
  if (o.int8) {
    auto own = transform::passesForOwnCodes(o.int8->profile);
    r.insert(r.end(), own.begin(), own.end());
  }
  r.insert(r.end(), rows.begin() + 1, rows.end());
  return r;
}

Result<Graph> transformed(Graph g, const Options &o, const Target &target, Artifact &art) {
  const std::vector<transform::PassRow> list = passesFor(o, target);
  for (const std::string &name : {o.printAfter, o.stopAfter})
    if (!name.empty() && std::ranges::find(list, name, &transform::PassRow::name) == list.end())
      return usage("there is no pass '" + name + "'; --list-passes lists them");
  transform::PassOptions options;
  if (!o.printAfter.empty()) options.printAfter = {o.printAfter};
  options.stopAfter = o.stopAfter;
  options.dumpDir = o.dumpDir;
  options.print = [&](std::string_view text) { art.text += text; };
  return transform::runPasses(std::move(g), list, options);
}

/// The tuning database of the options, if they name one.
Result<std::optional<schedule::TuningDatabase>> tuningOf(const Options &o) {
  if (o.tuning.empty()) return std::optional<schedule::TuningDatabase>();
  PLANISH_ASSIGN(auto db, schedule::TuningDatabase::read(o.tuning));
  return std::optional(std::move(db));
}

void count(const Program &p, Artifact &art) {
  auto add = [](Launches &to, const loop::LaunchInfo &l) {
    ++to.count;
    to.bytes += l.bytes;
  };
  for (const loop::LaunchInfo &l : p.launches) {
    add(art.launches, l);
    if (l.copies) add(art.copies, l);
    if (l.serial) add(art.serial, l);
  }
}

/// How much of the program the database decided.
std::string tuningNote(const Program &p, const schedule::TuningDatabase &db, const Options &o,
                       const Target &target) {
  std::set<std::string_view> tuned;
  for (const loop::LaunchInfo &l : p.launches)
    if (l.tuned) tuned.insert(l.kernel);
  std::string r = std::to_string(tuned.size()) + " of " + std::to_string(p.kernels.size()) +
                  " kernels are tuned by '" + fileName(o.tuning) + "'";
  if (size_t n = db.sizeFor(target.name); n == 0 && db.size() > 0)
    r += ", whose records are all for other targets than " + target.name;
  return r;
}

/// Nodes by name, the first of many.
std::string namesOf(const std::vector<std::string> &nodes) {
  constexpr size_t kNamed = 12;
  std::string names;
  for (size_t i = 0; i < std::min(nodes.size(), kNamed); ++i) names += (i ? ", " : "") + nodes[i];
  return names + (nodes.size() > kNamed ? ", ..." : "");
}

/// What of a quantized model has no integer form.
std::string realNodesNote(const std::vector<std::string> &nodes) {
  return std::to_string(nodes.size()) +
         " nodes of the quantized model compute with real numbers: " + namesOf(nodes);
}

/// What the calibration found codes to be too coarse for.
std::string sensitiveNodesNote(const std::vector<std::string> &nodes) {
  return "codes would cost these nodes most of the accuracy, so they read real numbers: " + namesOf(nodes);
}

/// What faster kernels cost in memory.
std::string transformNote(const loop::TransformedWeights &t) {
  auto megabytes = [](int64_t bytes) { return textOf(std::round(double(bytes) / 1e4) / 100) + " MB"; };
  return std::to_string(t.launches) + (t.launches == 1 ? " layer uses" : " layers use") +
         " Winograd's transform; its weights take " + megabytes(t.bytes) + ", were " +
         megabytes(t.originalBytes) + " (--strict: none)";
}

/// The CPU beside a device.
Result<Target> hostOf(const Options &o, const Target &target) {
  PLANISH_ASSIGN(Target host, parseTarget(o.host));
  bool known = host.architecture == Architecture::X86_64 ||
               (host.architecture == Architecture::Arm64 && target.device == DeviceKind::Fpga);
  if (host.device != DeviceKind::Cpu || host.bare || !known)
    return usage("--host '" + o.host + "' is no x86-64 cpu" +
                 (target.device == DeviceKind::Fpga ? " and no 64-bit ARM cpu" : ""));
  host.strict = target.strict;
  return host;
}

/// What an FPGA's engine runs of a graph: layers are found in the loops as they are defined.
Result<codegen::FpgaProgram> engineOf(const Graph &g, const Target &target, const std::string &name) {
  PLANISH_ASSIGN(Program definitions,
                 lower::lower(g, Target(), {name, lower::Mode::Reference, nullptr, true}));
  return codegen::fpgaProgram(definitions, target);
}

/// The form that --emit asks for, of a program for a target.
Result<std::string> emitted(const Program &p, const Target &target, Emit form) {
  switch (form) {
  case Emit::Loop: return loop::print(p);
  case Emit::Llvm:
  case Emit::Assembly: {
    if (target.device != DeviceKind::Cpu)
      return unsupported("target '" + target.name + "' has no LLVM form; use --emit " +
                         (target.device == DeviceKind::Cuda ? "cuda" : "opencl"));
    auto as = form == Emit::Llvm ? codegen::Form::LlvmText : codegen::Form::Assembly;
    PLANISH_ASSIGN(std::string kernels, codegen::emitKernels(p.kernels, target, as));
    PLANISH_ASSIGN(std::string host, codegen::emitHost(p, p.name + "_host", target, as));
    return kernels + host;
  }
  case Emit::C: return codegen::printProgram(p);
  case Emit::OpenCl:
  case Emit::Cuda: {
    const DeviceKind language = form == Emit::Cuda ? DeviceKind::Cuda : DeviceKind::OpenCl;
    PLANISH_ASSIGN(codegen::DeviceProgram device, codegen::deviceProgram(p, target, language));
    return std::move(device.source);
  }
  case Emit::Hls:
  case Emit::Nothing:
  case Emit::Graph: break;
  }
  return std::string();
}

} // namespace

Result<Artifact> compile(const Options &o) {
  Artifact art;
  Clock clock(art.phases);
  PLANISH_ASSIGN(Target target, parseTarget(o.target));
  PLANISH_ASSIGN(art.name, libraryName(o));
  if (o.emit == Emit::Nothing && o.stopAfter.empty()) PLANISH_TRY(artifact::checkOutput(o.output));
  PLANISH_ASSIGN(std::optional<schedule::TuningDatabase> tuning, tuningOf(o));
  art.target = target.name;

  PLANISH_ASSIGN(onnx::Imported model, onnx::importModel(o.model, {o.shapes, o.maxShapes, o.limits}));
  art.notes = model.notes;
  art.exact = o.int8 || transform::isQuantized(model.graph);
  clock.lap("import");

  PLANISH_ASSIGN(Graph graph, transformed(std::move(model.graph), o, target, art));
  if (o.int8 && !o.int8->profile.real.empty()) art.notes.push_back(sensitiveNodesNote(o.int8->profile.real));
  if (auto real = transform::realNodes(graph); !real.empty()) {
    art.notes.push_back(realNodesNote(real));
    target.strict = true;
  }
  clock.lap("passes");
  if (o.emit == Emit::Graph || !o.stopAfter.empty()) {
    art.text += graph::print(graph);
    return art;
  }

  Target host = target;
  if (target.device != DeviceKind::Cpu) { PLANISH_ASSIGN(host, hostOf(o, target)); }
  lower::Mode mode = o.emit == Emit::C || o.reference ? lower::Mode::Reference : lower::Mode::Scheduled;
  PLANISH_ASSIGN(Program program,
                 lower::lower(graph, target.device == DeviceKind::Fpga ? host : target,
                              {art.name, mode, tuning ? &*tuning : nullptr, o.strict || target.strict}));
  std::optional<codegen::FpgaProgram> engine;
  if (target.device == DeviceKind::Fpga) {
    PLANISH_ASSIGN(engine, engineOf(graph, target, art.name));
    program = codegen::withEngine(std::move(program), *engine);
    art.notes.insert(art.notes.end(), engine->notes.begin(), engine->notes.end());
  }
  if (tuning) art.notes.push_back(tuningNote(program, *tuning, o, target));
  count(program, art);
  if (program.transformed.launches) art.notes.push_back(transformNote(program.transformed));
  clock.lap("lower");

  if (o.emit == Emit::Hls) {
    if (!engine) return unsupported("target '" + target.name + "' has no engine; --emit hls is for FPGAs");
    art.text += engine->files.front().text;
    return art;
  }
  if (o.emit != Emit::Nothing) {
    PLANISH_ASSIGN(std::string text, emitted(program, target, o.emit));
    art.text += text;
    return art;
  }
  if (target.device == DeviceKind::Cpu) {
    if (auto estimate = artifact::estimateOf(program, target))
      art.notes.push_back(artifact::textOf(*estimate));
  }
  PLANISH_ASSIGN(std::string modelHash, hashOfFile(o.model));
  artifact::Provenance from{{fileName(o.model), modelHash}, art.notes};
  from.golden = o.golden;
  if (o.int8) {
    std::string text = quant::print(o.int8->profile);
    from.calibration = {fileName(o.int8->profileName), sha256(std::as_bytes(std::span(text)))};
  }
  if (tuning) from.tuning = {fileName(o.tuning), tuning->sha256()};
  PLANISH_ASSIGN(artifact::Files files,
                 artifact::build(program, target, o.library, from, &host, engine ? &*engine : nullptr));
  art.notes.insert(art.notes.end(), files.notes.begin(), files.notes.end());
  clock.lap("code");

  PLANISH_TRY(artifact::write(files, o.output));
  art.directory = o.output;
  art.weightsBytes = files.weightsBytes;
  art.arenaBytes = files.arenaBytes;
  art.libraryBytes = files.libraryBytes;
  clock.lap("write");
  return art;
}

Result<Graph> graphToProfile(const Options &o) {
  PLANISH_ASSIGN(onnx::Imported model, onnx::importModel(o.model, {o.shapes, o.maxShapes}));
  return transform::runPasses(std::move(model.graph), transform::passesBeforeCodes(), {});
}

Result<Graph> graphWithCodes(const Options &o) {
  PLANISH_ASSIGN(onnx::Imported model, onnx::importModel(o.model, {o.shapes, o.maxShapes}));
  return transform::runPasses(std::move(model.graph), passesToCodes(o), {});
}

Result<std::vector<lower::Computation>> computationsOf(const Options &o) {
  PLANISH_ASSIGN(onnx::Imported model, onnx::importModel(o.model, {o.shapes, o.maxShapes, o.limits}));
  Artifact texts;
  PLANISH_ASSIGN(Target target, parseTarget(o.target));
  PLANISH_ASSIGN(Graph graph, transformed(std::move(model.graph), o, target, texts));
  return lower::computationsOf(graph);
}

} // namespace planish::driver
