// compile-model MODEL.onnx -o DIR: flags in, driver::compile, messages out.
#include "run/Reports.h"

#include "planish/driver/Compile.h"
#include "planish/support/ScratchFolder.h"
#include "planish/support/Text.h"
#include "planish/support/Version.h"
#include "planish/target/Target.h"
#include "planish/transform/Passes.h"
#include "planish/tune/Accuracy.h"
#include "planish/tune/Calibrate.h"
#include "samples/Samples.h"

#include <CLI/CLI.hpp>
#include <llvm/Support/JSON.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

using namespace planish;

namespace {

constexpr int kInternal = 70;

/// "name=1x3x640x640" -> its sizes.
Result<std::pair<std::string, std::vector<int64_t>>> sizesOf(const std::string &flag,
                                                             const std::string &text) {
  auto wrong = [&] { return usage(flag + " '" + text + "': expected NAME=1x3x640x640"); };
  size_t eq = text.rfind('=');
  if (eq == std::string::npos || eq == 0 || eq + 1 == text.size()) return wrong();
  std::vector<int64_t> dims;
  std::string_view rest = std::string_view(text).substr(eq + 1);
  while (true) {
    int64_t size = 0;
    auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
    if (error != std::errc() || size <= 0) return wrong();
    dims.push_back(size);
    rest.remove_prefix(size_t(end - rest.data()));
    if (rest.empty()) break;
    if (rest[0] != 'x') return wrong();
    rest.remove_prefix(1);
  }
  return std::pair(text.substr(0, eq), dims);
}

Status addSizes(std::map<std::string, std::vector<int64_t>> &to, const std::string &flag,
                const std::vector<std::string> &texts) {
  for (const std::string &t : texts) {
    PLANISH_ASSIGN(auto sizes, sizesOf(flag, t));
    if (!to.insert(std::move(sizes)).second)
      return usage(flag + " is given twice for '" + t.substr(0, t.rfind('=')) + "'");
  }
  return {};
}

llvm::json::Value jsonOf(const driver::Launches &l) {
  return llvm::json::Object{{"count", l.count}, {"bytes", l.bytes}};
}

std::string jsonOf(const driver::Artifact &a) {
  llvm::json::Object phases;
  for (const driver::Phase &p : a.phases) phases[p.name] = p.seconds;
  llvm::json::Array notes;
  for (const std::string &n : a.notes) notes.push_back(llvm::json::fixUTF8(n));
  llvm::json::Object o{{"directory", a.directory},
                       {"name", a.name},
                       {"target", a.target},
                       {"weights", a.weightsBytes},
                       {"arena", a.arenaBytes},
                       {"library", a.libraryBytes},
                       {"seconds", std::move(phases)},
                       {"notes", std::move(notes)},
                       {"launches", jsonOf(a.launches)},
                       {"copies", jsonOf(a.copies)},
                       {"serial", jsonOf(a.serial)}};
  if (!a.text.empty()) o["text"] = llvm::json::fixUTF8(a.text);
  std::string s;
  llvm::raw_string_ostream(s) << llvm::json::Value(std::move(o)) << "\n";
  return s;
}

void summary(const driver::Artifact &a) {
  double total = 0;
  for (const driver::Phase &p : a.phases) total += p.seconds;
  std::fprintf(
      stderr,
      "%s: %s for %s, weights %.2f MB, arena %.2f MB, library %.2f MB, launches %lld, copies %lld (%.2f MB), "
      "serial %lld, %.2f s\n",
      a.directory.c_str(), a.name.c_str(), a.target.c_str(), double(a.weightsBytes) / 1e6,
      double(a.arenaBytes) / 1e6, double(a.libraryBytes) / 1e6, static_cast<long long>(a.launches.count),
      static_cast<long long>(a.copies.count), a.copies.bytes / 1e6, static_cast<long long>(a.serial.count),
      total);
}

int report(const Diagnostic &d) {
  std::fprintf(stderr, "compile-model: %s\n", d.text.c_str());
  return exitCode(d.kind);
}

int listTargetsAndPasses(bool targets, bool passes) {
  if (targets)
    for (const std::string &t : listTargets()) std::printf("%s\n", t.c_str());
  if (passes)
    for (const auto &row : transform::passes())
      std::printf("%-18s %s\n", std::string(row.name).c_str(), std::string(row.summary).c_str());
  return 0;
}

/// An option whose values are words that stand for enumerators.
template <class Enum>
void addChoice(CLI::App &app, const std::string &flag, Enum &value, const std::map<std::string, Enum> &words,
               const std::string &about) {
  std::string list = joined(words, [](const auto &word) { return word.first; }, "|");
  app.add_option_function<std::string>(
         flag, [&value, words](const std::string &word) { value = words.at(word); }, about)
      ->check(CLI::IsMember(words))
      ->option_text(list);
}

/// What the model's definition gives for seeded inputs: its unscheduled loops are compiled for this machine
/// and run.
Result<std::vector<artifact::GoldenOutput>> goldenOutputs(driver::Options o) {
  PLANISH_ASSIGN(const ScratchFolder scratch, ScratchFolder::make());
  o.target = "cpu", o.output = scratch.file("out"), o.library = artifact::LibraryKind::Shared;
  o.reference = true;
  PLANISH_ASSIGN(const driver::Artifact made, driver::compile(o));
  if (!made.exact)
    return usage("--golden '" + o.model + "': only quantized models have the same bits on every target");
  PLANISH_ASSIGN(const run::Library library, run::Library::open(made.directory));
  run::Session session(library.model());
  PLANISH_TRY(session.create(1, false));
  PLANISH_TRY(session.fillInputs());
  PLANISH_TRY(session.run());
  PLANISH_ASSIGN(const std::vector<std::string> lines, run::outputDigests(session));
  std::vector<artifact::GoldenOutput> golden;
  for (const std::string &line : lines)
    golden.push_back({line, std::stoull(line.substr(line.rfind(' ') + 1), nullptr, 16)});
  return golden;
}

struct Flags {
  std::vector<std::string> shapes, maxShapes, limits, keepFloat;
  std::string calibration, calibrator, frame, maxDrop, eval;
  bool int8 = false, tables = false, golden = false, json = false, targets = false, passes = false;
};

/// "nodes=2000000"
Status setLimits(onnx::Limits &limits, const std::vector<std::string> &texts) {
  for (const std::string &text : texts) {
    const size_t equals = std::min(text.find('='), text.size());
    auto row = std::ranges::find(onnx::limitRows(), text.substr(0, equals), &onnx::LimitRow::name);
    const char *first = text.data() + std::min(equals + 1, text.size()), *last = text.data() + text.size();
    int64_t value = 0;
    auto [end, error] = std::from_chars(first, last, value);
    if (row == onnx::limitRows().end() || error != std::errc() || end != last || value < 1)
      return usage("--limit '" + text + "' is not WHAT=N, N from 1 on, with WHAT one of " +
                   joined(onnx::limitRows(), [](const auto &r) { return std::string(r.name); }));
    limits.*row->value = value;
  }
  return {};
}

void declare(CLI::App &app, driver::Options &o, Flags &flags) {
  app.set_version_flag("--version", std::string("compile-model ") + kVersion);
  app.add_option("model", o.model, "ONNX file")->option_text("MODEL.onnx");
  app.add_option("-o,--output", o.output, "directory to write")->option_text("DIR");
  app.add_option("--target", o.target,
                 "device to compile for, of --list-targets (default: cpu, this machine)")
      ->option_text("T");
  app.add_option("--host", o.host, "cpu beside a device target (default: cpu, this machine)")
      ->option_text("T");
  app.add_option("--name", o.name, "name of the library and its symbols (default: the file's)")
      ->option_text("NAME");
  app.add_option("--shape", flags.shapes, "sizes of an input; repeatable")
      ->option_text("IN=1x3x640x640")
      ->allow_extra_args(false);
  app.add_option("--max-shape", flags.maxShapes, "largest sizes of an input; free dimensions stay free")
      ->option_text("IN=1x3x640x640")
      ->allow_extra_args(false);
  addChoice<artifact::LibraryKind>(app, "--lib", o.library,
                                   {{"so", artifact::LibraryKind::Shared},
                                    {"a", artifact::LibraryKind::Static},
                                    {"both", artifact::LibraryKind::Both}},
                                   "kind of library (default: so)");
  app.add_option("--tuning", o.tuning, "tuning database to take the kernels' knobs from")
      ->option_text("DB.jsonl");
  app.add_flag("--int8", flags.int8, "compute with 8-bit codes; needs --calibration");
  app.add_option("--calibration", flags.calibration,
                 "samples: pictures (with --frame) or arrays; or a profile made of some")
      ->option_text("DIR|FILE.npz|PROFILE.json");
  app.add_flag("--tables", flags.tables,
               "with samples: activation functions become tables of codes: faster, less accurate");
  app.add_option("--calibrator", flags.calibrator, "how ranges follow from samples (default: mse)")
      ->option_text(joined(quant::calibrators(), [](const auto &row) { return std::string(row.name); }, "|"));
  app.add_option("--keep-float", flags.keepFloat,
                 "ONNX node that --int8 leaves with real numbers; repeatable")
      ->option_text("NODE")
      ->allow_extra_args(false);
  app.add_option("--max-drop", flags.maxDrop,
                 "keep layers in fp32 until --eval loses no more than this, or this share of it")
      ->option_text("D|D%");
  app.add_option("--eval", flags.eval,
                 "command that prints a metric, larger is better; it is given the directory")
      ->option_text("CMD");
  app.add_option("--frame", flags.frame, "how the pictures of --calibration become the input")
      ->option_text("FRAME.json");
  app.add_flag("--strict", o.strict, "no Winograd transform, no sums split over lanes");
  app.add_flag("--golden", flags.golden,
               "for quantized models: digests of the definition's outputs go into the manifest,\n"
               "run-model --verify compares them");
  addChoice<driver::Emit>(app, "--emit", o.emit,
                          {{"graph", driver::Emit::Graph},
                           {"loop", driver::Emit::Loop},
                           {"llvm", driver::Emit::Llvm},
                           {"asm", driver::Emit::Assembly},
                           {"c", driver::Emit::C},
                           {"opencl", driver::Emit::OpenCl},
                           {"cuda", driver::Emit::Cuda},
                           {"hls", driver::Emit::Hls}},
                          "print a form of the model on stdout, write nothing");
  app.add_option("--print-after", o.printAfter, "print the graph after a pass on stdout, too")
      ->option_text("PASS");
  app.add_option("--stop-after", o.stopAfter, "print the graph after a pass and stop, write nothing")
      ->option_text("PASS");
  app.add_option("--dump-dir", o.dumpDir, "folder for the graph after every pass")
      ->option_text("DIR")
      ->check(CLI::ExistingDirectory);
  app.add_option("--limit", flags.limits,
                 "allow a file more (or less) of " +
                     joined(onnx::limitRows(), [](const auto &r) { return std::string(r.name); }))
      ->option_text("WHAT=N")
      ->allow_extra_args(false);
  app.add_flag("--json", flags.json, "print the result as JSON on stdout");
  app.add_flag("--list-targets", flags.targets, "list the targets");
  app.add_flag("--list-passes", flags.passes, "list the graph passes in order");
}

/// The profile of --calibration: read, or made by running the model.
Result<quant::Profile> profileOf(const driver::Options &o, const Flags &flags, const tune::Calibration &how) {
  if (flags.calibration.ends_with(".json")) {
    PLANISH_ASSIGN(quant::Profile profile, quant::readProfile(flags.calibration));
    if (how.tables && !profile.tables)
      return usage("--tables: the profile '" + flags.calibration +
                   "' was made without; calibrate again with it");
    return profile;
  }
  PLANISH_ASSIGN(graph::Graph g, driver::graphToProfile(o));
  PLANISH_ASSIGN(auto samples, samples::openSamples(flags.calibration, flags.frame, g));
  return tune::calibrate(g, *samples, how);
}

/// Fills options.int8 from the flags, if they ask for it.
Status quantization(driver::Options &o, const Flags &flags) {
  if (!flags.int8) {
    for (auto [flag, given] : {std::pair{"--calibration", !flags.calibration.empty()},
                               {"--calibrator", !flags.calibrator.empty()},
                               {"--keep-float", !flags.keepFloat.empty()},
                               {"--tables", flags.tables},
                               {"--max-drop", !flags.maxDrop.empty()},
                               {"--eval", !flags.eval.empty()},
                               {"--frame", !flags.frame.empty()}})
      if (given) return usage(std::string(flag) + " belongs to --int8");
    return {};
  }
  if (flags.calibration.empty())
    return usage("--int8 needs --calibration: samples, or a profile made of some");
  if (flags.maxDrop.empty() != flags.eval.empty()) return usage("--max-drop and --eval belong together");
  if (!flags.maxDrop.empty() && flags.calibration.ends_with(".json"))
    return usage(
        "--max-drop needs samples for --calibration, not a profile: they say which layers suffer most");
  driver::Quantization q;
  if (!flags.calibrator.empty()) {
    auto calibrator = quant::calibratorNamed(flags.calibrator);
    if (!calibrator) return calibrator.error().in("--calibrator");
    q.codes.calibrator = *calibrator;
  }
  q.codes.keepFloat = {flags.keepFloat.begin(), flags.keepFloat.end()};
  q.profileName = flags.calibration;
  PLANISH_ASSIGN(q.profile,
                 profileOf(o, flags, {q.codes.calibrator.value_or(quant::Calibrator::Mse), flags.tables}));
  o.int8 = std::move(q);
  return {};
}

/// Compiles with the layers in fp32 that --max-drop needs; a note says which.
Result<driver::Artifact> compileWithin(const driver::Options &o, const Flags &flags) {
  tune::AccuracyOptions options{o, {}, {}, {}};
  PLANISH_ASSIGN(options.bound, tune::boundOf(flags.maxDrop));
  options.evaluate = [&](const std::string &directory) {
    return tune::metricOfCommand(flags.eval, directory);
  };
  options.progress = [](const tune::Trial &t) {
    std::fprintf(stderr, "compile-model: %zu layers in fp32: %g%s\n", t.kept, t.metric,
                 t.within ? "" : ", too low");
  };
  PLANISH_ASSIGN(graph::Graph g, driver::graphToProfile(o));
  PLANISH_ASSIGN(auto samples, samples::openSamples(flags.calibration, flags.frame, g));
  PLANISH_ASSIGN(tune::Accuracy r, tune::compileWithin(options, *samples));
  r.artifact.notes.push_back(tune::summaryOf(r));
  return std::move(r.artifact);
}

int compileModel(int argc, char **argv) {
  CLI::App app(
      "Compiles an ONNX model to a self-contained library with a C header.\n"
      "Exit codes: 0 ok, 1 failed, 2 usage, 3 unsupported operator, opset or target feature, 4 bad model\n"
      "file, 70 internal error.",
      "compile-model");
  driver::Options o;
  Flags flags;
  declare(app, o, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    if (e.get_exit_code() == 0) return app.exit(e);
    return report(usage(std::string(e.what()) + "; --help lists the flags"));
  }
  if (flags.targets || flags.passes) return listTargetsAndPasses(flags.targets, flags.passes);
  if (o.model.empty()) return report(usage("give an ONNX file; --help shows how"));
  if (o.output.empty() && o.emit == driver::Emit::Nothing && o.stopAfter.empty())
    return report(usage("give a directory to write with -o"));
  if (Status s = addSizes(o.shapes, "--shape", flags.shapes); !s) return report(s.error());
  if (Status s = addSizes(o.maxShapes, "--max-shape", flags.maxShapes); !s) return report(s.error());
  if (Status s = quantization(o, flags); !s) return report(s.error());

  if (Status s = setLimits(o.limits, flags.limits); !s) return report(s.error());
  if (flags.golden) {
    if (!flags.maxDrop.empty())
      return report(usage("--golden and --max-drop: name the layers that it keeps with --keep-float"));
    auto golden = goldenOutputs(o);
    if (!golden) return report(golden.error());
    o.golden = *std::move(golden);
  }
  Result<driver::Artifact> a = flags.maxDrop.empty() ? driver::compile(o) : compileWithin(o, flags);
  if (!a) return report(a.error());
  for (const std::string &n : a->notes) std::fprintf(stderr, "compile-model: %s\n", n.c_str());
  const std::string text = flags.json ? jsonOf(*a) : a->text;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return report(failed("cannot write to stdout"));
  if (!flags.json && !a->directory.empty()) summary(*a);
  return 0;
}

} // namespace

/// What someone else needs to see the same: the command, shell-quoted.
static std::string commandOf(int argc, char **argv) {
  std::string r;
  for (int i = 0; i < argc; ++i) {
    std::string word = argv[i];
    for (size_t at = 0; (at = word.find('\'', at)) != std::string::npos; at += 4)
      word.replace(at, 1, "'\\''");
    r += (i ? " '" : "'") + word + "'";
  }
  return r;
}

int main(int argc, char **argv) {
  try {
    return compileModel(argc, argv);
  } catch (const std::bad_alloc &) {
    return report(failed("out of memory"));
  } catch (const std::exception &e) {
    std::fprintf(stderr,
                 "compile-model: internal error: %s; please report it with the model and the command\n%s\n",
                 e.what(), commandOf(argc, argv).c_str());
  }
  return kInternal;
}
