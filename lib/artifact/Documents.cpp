#include "Documents.h"

#include "planish/artifact/Estimate.h"
#include "planish/artifact/RuntimeBitcode.h"
#include "planish/loop/Rewrite.h"
#include "planish/loop/Text.h"
#include "planish/support/Hash.h"
#include "planish/support/Text.h"
#include "planish/support/Version.h"

#include <llvm/Support/JSON.h>

#include <map>

namespace planish::artifact {

using loop::Port;
using loop::Program;
namespace json = llvm::json;

namespace {

std::string pretty(json::Value v) {
  std::string s;
  llvm::raw_string_ostream out(s);
  out << llvm::formatv("{0:2}", v) << "\n";
  return s;
}

json::Value dimension(const Dim &d) {
  if (d.isConstant()) return d.constant();
  return json::Object{{"symbol", d.symbol()->name}, {"min", d.lower()}, {"max", d.upper()}};
}
json::Object portOf(const Port &p) {
  json::Array dims;
  for (const Dim &d : p.type.shape) dims.push_back(dimension(d));
  return json::Object{{"name", json::fixUTF8(p.name)},
                      {"dtype", std::string(nameOf(p.type.dtype))},
                      {"shape", std::move(dims)}};
}
json::Array portsOf(const std::vector<Port> &ports) {
  json::Array r;
  for (const Port &p : ports) r.push_back(portOf(p));
  return r;
}
json::Array stringsOf(const std::vector<std::string> &texts) {
  json::Array r;
  for (const std::string &t : texts) r.push_back(json::fixUTF8(t));
  return r;
}

/// Text for inside a C comment: neither its end nor anything but printable ASCII.
std::string commentText(const std::string &text) {
  std::string r;
  for (char c : text) {
    bool plain = c >= ' ' && c <= '~' && !(c == '/' && r.ends_with('*')) && !(c == '*' && r.ends_with('/'));
    r += plain ? c : '?';
  }
  return r;
}

json::Object hashed(const Provenance::File &file) {
  return json::Object{{"file", json::fixUTF8(file.name)}, {"sha256", file.sha256}};
}

std::string runtimeHash(const Target &target) { return sha256(std::as_bytes(runtimeOf(target))); }

} // namespace

std::span<const unsigned char> runtimeOf(const Target &target) {
  auto either = [&](std::span<const unsigned char> hosted, std::span<const unsigned char> bare) {
    return target.bare ? bare : hosted;
  };
  switch (target.architecture) {
  case Architecture::X86_64:
    return either({kRuntimeBitcodeX86_64, kRuntimeBitcodeX86_64Size},
                  {kRuntimeBitcodeX86_64Bare, kRuntimeBitcodeX86_64BareSize});
  case Architecture::Arm64:
    return either({kRuntimeBitcodeAarch64, kRuntimeBitcodeAarch64Size},
                  {kRuntimeBitcodeAarch64Bare, kRuntimeBitcodeAarch64BareSize});
  case Architecture::Arm32:
    return either({kRuntimeBitcodeArmv7, kRuntimeBitcodeArmv7Size},
                  {kRuntimeBitcodeArmv7Bare, kRuntimeBitcodeArmv7BareSize});
  }
  return {};
}

std::string buildIdOf(const Program &program, const Target &target, const Provenance &provenance) {
  std::string all = std::string(kVersion) + " " + kLlvmVersion + " " + runtimeHash(target) + "\n" +
                    provenance.model.sha256 + "\n" + target.name + " " + target.cpu;
  for (const std::string &f : target.features) all += " " + f;
  all += "\n" + loop::print(program);
  for (const loop::ConstantData &c : program.constants) all += hexOf(hash64(*c.bytes));
  for (const GoldenOutput &output : provenance.golden) all += output.line + "\n";
  return sha256(std::as_bytes(std::span(all))).substr(0, 32);
}

std::string headerOf(const Program &p) {
  std::string guard = "PLANISH_MODEL_" + p.name + "_H";
  auto shapeText = [](const Port &port) {
    return textOf(port.type) + joined(
                                   port.type.shape,
                                   [](const Dim &d) {
                                     return d.isConstant() ? std::string()
                                                           : ", " + d.symbol()->name + " in " +
                                                                 std::to_string(d.lower()) + ".." +
                                                                 std::to_string(d.upper());
                                   },
                                   "");
  };
  std::string r = "/* The compiled model '" + p.name + "'.\n *\n";
  auto list = [&](const char *what, const std::vector<Port> &ports) {
    for (size_t i = 0; i < ports.size(); ++i)
      r += std::string(" * ") + what + " " + std::to_string(i) + ": " + commentText(ports[i].name) + ": " +
           shapeText(ports[i]) + "\n";
  };
  list("Input", p.inputs);
  list("Output", p.outputs);
  r += " *\n * All tensors are dense in the order written; planish/runtime.h has the functions:\n *\n"
       " *   const planish_model *model = &" +
       p.name + "_model;   (linked with lib" + p.name +
       ".a)\n"
       " *   planish_open(\"lib" +
       p.name +
       ".so\", &model);      (the shared library)\n"
       " *   planish_create, planish_set_input, planish_run, planish_get_output, planish_destroy\n *\n"
       " * planish_memory_bytes(model, threads) is what an instance takes in all, its arena of " +
       std::to_string(p.arenaBytes) + " bytes\n * and " + std::to_string(p.scratchBytes) +
       " bytes of each thread included; nothing is allocated after planish_create. */\n";
  r += "#ifndef " + guard + "\n#define " + guard + "\n\n#include <planish/runtime.h>\n\n";
  auto constants = [&](const char *what, const std::vector<Port> &ports) {
    for (size_t i = 0; i < ports.size(); ++i) {
      int64_t elements = 1;
      bool constant = true;
      for (const Dim &d : ports[i].type.shape) elements *= d.upper(), constant &= d.isConstant();
      std::string name = "#define " + p.name + "_" + what + std::to_string(i);
      std::string most = constant ? "\n" : " /* at most */\n";
      r += name + "_ELEMENTS " + std::to_string(elements) + most;
      r += name + "_BYTES " + std::to_string(elements * byteSize(ports[i].type.dtype)) + most;
    }
  };
  r += "#define " + p.name + "_INPUTS " + std::to_string(p.inputs.size()) + "\n";
  r += "#define " + p.name + "_OUTPUTS " + std::to_string(p.outputs.size()) + "\n";
  constants("INPUT", p.inputs);
  constants("OUTPUT", p.outputs);
  r += "#define " + p.name + "_ARENA_BYTES " + std::to_string(p.arenaBytes) + "\n";
  r += "#define " + p.name + "_SCRATCH_BYTES " + std::to_string(p.scratchBytes) + " /* of each thread */\n\n";
  r += "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
  r += "extern const planish_model " + p.name + "_model; /* defined by lib" + p.name + ".a */\n\n";
  r += "#ifdef __cplusplus\n}\n#endif\n#endif\n";
  return r;
}

std::string manifestOf(const Program &p, const Target &target, const Provenance &provenance,
                       const std::string &buildId, const Files &files) {
  json::Array libraries;
  for (const Files::File &f : files.files)
    if (f.name.starts_with("lib"))
      libraries.push_back(json::Object{{"file", f.name},
                                       {"bytes", int64_t(f.bytes.size())},
                                       {"sha256", sha256(std::as_bytes(std::span(f.bytes)))}});
  json::Array layers;
  for (const loop::LaunchInfo &l : p.launches)
    layers.push_back(json::Object{{"kernel", l.kernel}, {"nodes", stringsOf(l.nodes)}});
  json::Object manifest{
      {"name", p.name},
      {"build", buildId},
      {"compiler",
       json::Object{{"version", kVersion}, {"llvm", kLlvmVersion}, {"runtime", runtimeHash(target)}}},
      {"target", target.name},
      {"header", p.name + ".h"},
      {"model", hashed(provenance.model)},
      {"inputs", portsOf(p.inputs)},
      {"outputs", portsOf(p.outputs)},
      {"memory", json::Object{{"arena", p.arenaBytes},
                              {"scratchPerThread", p.scratchBytes},
                              {"weights", files.weightsBytes}}},
      {"libraries", std::move(libraries)},
      {"layers", std::move(layers)},
  };
  if (provenance.tuning) manifest["tuning"] = hashed(*provenance.tuning);
  if (provenance.calibration) manifest["calibration"] = hashed(*provenance.calibration);
  json::Array golden;
  for (const GoldenOutput &output : provenance.golden) golden.push_back(json::fixUTF8(output.line));
  if (!golden.empty()) manifest["golden"] = std::move(golden);
  return pretty(std::move(manifest));
}

std::vector<std::string> filesOfManifest(const std::string &text) {
  std::vector<std::string> r;
  auto add = [&](std::optional<llvm::StringRef> name) {
    if (name && !name->empty() && name->find('/') == llvm::StringRef::npos && *name != "." && *name != "..")
      r.push_back(name->str());
  };
  llvm::Expected<json::Value> manifest = json::parse(text);
  const json::Object *fields = manifest ? manifest->getAsObject() : nullptr;
  if (!manifest) llvm::consumeError(manifest.takeError());
  const json::Array *libraries = fields ? fields->getArray("libraries") : nullptr;
  if (!libraries) return r;
  for (const json::Value &library : *libraries)
    if (const json::Object *o = library.getAsObject()) add(o->getString("file"));
  add(fields->getString("header"));
  return r;
}

/// What a reader of the report looks for first: launches that only move bytes, and kernels without a
/// schedule.
json::Array noted(const Program &p, bool loop::LaunchInfo::*which) {
  json::Array r;
  for (size_t i = 0; i < p.launches.size(); ++i)
    if (const loop::LaunchInfo &l = p.launches[i]; l.*which)
      r.push_back(json::Object{{"launch", int64_t(i)},
                               {"kernel", l.kernel},
                               {"nodes", stringsOf(l.nodes)},
                               {"flops", l.flops},
                               {"bytes", l.bytes}});
  return r;
}

std::string reportOf(const Program &p, const Target &target, const Provenance &provenance,
                     const Files &files) {
  json::Array launches;
  std::map<std::string_view, int64_t> templates;
  double flops = 0;
  std::optional<Estimate> estimate = estimateOf(p, target);
  for (const loop::LaunchInfo &l : p.launches) {
    ++templates[l.templateName];
    flops += l.flops;
    json::Object launch{{"kernel", l.kernel}, {"template", std::string(l.templateName)},
                        {"config", l.config}, {"key", l.key},
                        {"tuned", l.tuned},   {"nodes", stringsOf(l.nodes)},
                        {"flops", l.flops},   {"bytes", l.bytes}};
    if (estimate) {
      const Estimate::Launch &e = estimate->launches[launches.size()];
      launch["estimate"] =
          json::Object{{"microseconds", e.microseconds}, {"bound", e.memory ? "memory" : "arithmetic"}};
    }
    launches.push_back(std::move(launch));
  }
  json::Object perTemplate;
  for (auto &[name, count] : templates) perTemplate[std::string(name)] = count;
  json::Array constants;
  for (const loop::ConstantData &c : p.constants)
    constants.push_back(json::Object{{"name", json::fixUTF8(c.name)}, {"bytes", int64_t(c.bytes->size())}});
  json::Object report{
      {"name", p.name},
      {"target", target.name},
      {"notes", stringsOf(provenance.notes)},
      {"flops", flops},
      {"distinctKernels", int64_t(p.kernels.size())},
      {"launchesByTemplate", std::move(perTemplate)},
      {"memory", json::Object{{"arena", p.arenaBytes},
                              {"scratchPerThread", p.scratchBytes},
                              {"weights", files.weightsBytes},
                              {"library", files.libraryBytes}}},
      {"copies", noted(p, &loop::LaunchInfo::copies)},
      {"serial", noted(p, &loop::LaunchInfo::serial)},
      {"transformedWeights", json::Object{{"layers", p.transformed.launches},
                                          {"bytes", p.transformed.bytes},
                                          {"originalBytes", p.transformed.originalBytes}}},
      {"launches", std::move(launches)},
      {"constants", std::move(constants)},
  };
  if (estimate)
    report["estimate"] =
        json::Object{{"microseconds", estimate->microseconds},
                     {"assumes", json::Object{{"cores", 1},
                                              {"gigahertz", estimate->assumed.gigahertz},
                                              {"multiplyAddsPerCycle", estimate->assumed.multiplies},
                                              {"gigabytesPerSecond", estimate->assumed.gigabytes},
                                              {"ofPeak", estimate->ofPeak}}}};
  return pretty(std::move(report));
}

} // namespace planish::artifact
