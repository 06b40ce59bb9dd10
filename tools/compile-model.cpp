// compile-model MODEL.onnx -o DIR: flags in, driver::compile, messages out.
#include "planish/driver/Compile.h"
#include "planish/support/Check.h"
#include "planish/support/Version.h"
#include "planish/target/Target.h"
#include "planish/transform/Passes.h"

#include <CLI/CLI.hpp>
#include <llvm/Support/JSON.h>
#include <llvm/Support/raw_ostream.h>

#include <charconv>
#include <cstdio>
#include <unistd.h>

using namespace planish;

namespace {

constexpr int kInternal = 70;

/// "name=1x3x640x640" -> its sizes.
Result<std::pair<std::string, std::vector<int64_t>>> sizesOf(const std::string &flag, const std::string &text) {
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
    if (!to.insert(std::move(sizes)).second) return usage(flag + " is given twice for '" + t.substr(0, t.rfind('=')) + "'");
  }
  return {};
}

std::string jsonOf(const driver::Artifact &a) {
  llvm::json::Object phases;
  for (const driver::Phase &p : a.phases) phases[p.name] = p.seconds;
  llvm::json::Array notes;
  for (const std::string &n : a.notes) notes.push_back(llvm::json::fixUTF8(n));
  llvm::json::Object o{{"directory", a.directory},   {"name", a.name},       {"target", a.target},
                       {"weights", a.weightsBytes},  {"arena", a.arenaBytes}, {"library", a.libraryBytes},
                       {"seconds", std::move(phases)}, {"notes", std::move(notes)}};
  std::string s;
  llvm::raw_string_ostream(s) << llvm::json::Value(std::move(o)) << "\n";
  return s;
}

void summary(const driver::Artifact &a) {
  double total = 0;
  for (const driver::Phase &p : a.phases) total += p.seconds;
  std::fprintf(stderr, "%s: %s for %s, weights %.2f MB, arena %.2f MB, library %.2f MB, %.2f s\n", a.directory.c_str(),
               a.name.c_str(), a.target.c_str(), double(a.weightsBytes) / 1e6, double(a.arenaBytes) / 1e6,
               double(a.libraryBytes) / 1e6, total);
}

int report(const Diagnostic &d) {
  std::fprintf(stderr, "compile-model: %s\n", d.text.c_str());
  return exitCode(d.kind);
}

int listTargetsAndPasses(bool targets, bool passes) {
  if (targets)
    for (const std::string &t : listTargets()) std::printf("%s\n", t.c_str());
  if (passes)
    for (const auto &row : transform::passes()) std::printf("%-18s %s\n", std::string(row.name).c_str(), std::string(row.summary).c_str());
  return 0;
}

int run(int argc, char **argv) {
  CLI::App app("Compiles an ONNX model to a self-contained library with a C header.", "compile-model");
  app.set_version_flag("--version", std::string("compile-model ") + kVersion);
  driver::Options o;
  std::vector<std::string> shapes, maxShapes;
  bool json = false, targets = false, passes = false;
  app.add_option("model", o.model, "ONNX file")->type_name("MODEL.onnx");
  app.add_option("-o,--output", o.output, "directory to write")->type_name("DIR");
  app.add_option("--target", o.target, "device to compile for (see --list-targets)")->type_name("T")->capture_default_str();
  app.add_option("--name", o.name, "name of the library and its symbols (default: the file's)")->type_name("NAME");
  app.add_option("--shape", shapes, "sizes of an input")->type_name("IN=1x3x640x640");
  app.add_option("--max-shape", maxShapes, "largest sizes of an input; free dimensions stay free")->type_name("IN=1x3x640x640");
  app.add_option("--lib", o.library, "kind of library")
      ->transform(CLI::CheckedTransformer(std::map<std::string, artifact::LibraryKind>{
          {"so", artifact::LibraryKind::Shared}, {"a", artifact::LibraryKind::Static}, {"both", artifact::LibraryKind::Both}}))
      ->default_str("so");
  app.add_option("--emit", o.emit, "print a form of the model instead of writing a directory")
      ->transform(CLI::CheckedTransformer(std::map<std::string, driver::Emit>{{"graph", driver::Emit::Graph},
                                                                              {"loop", driver::Emit::Loop},
                                                                              {"llvm", driver::Emit::Llvm},
                                                                              {"asm", driver::Emit::Assembly},
                                                                              {"c", driver::Emit::C},
                                                                              {"opencl", driver::Emit::OpenCl}}));
  app.add_option("--print-after", o.printAfter, "print the graph after a pass")->type_name("PASS");
  app.add_option("--stop-after", o.stopAfter, "stop after a graph pass; write nothing")->type_name("PASS");
  app.add_option("--dump-dir", o.dumpDir, "folder for the graph after every pass")->type_name("D")->check(CLI::ExistingDirectory);
  app.add_flag("--json", json, "print the result as JSON on stdout");
  app.add_flag("--list-targets", targets, "list the targets");
  app.add_flag("--list-passes", passes, "list the graph passes in order");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    return app.exit(e) == 0 ? 0 : exitCode(ErrorKind::Usage);
  }
  if (targets || passes) return listTargetsAndPasses(targets, passes);
  if (o.model.empty()) return report(usage("give an ONNX file; --help shows how"));
  if (o.output.empty() && o.emit == driver::Emit::Nothing && o.stopAfter.empty())
    return report(usage("give a directory to write with -o"));
  if (Status s = addSizes(o.shapes, "--shape", shapes); !s) return report(s.error());
  if (Status s = addSizes(o.maxShapes, "--max-shape", maxShapes); !s) return report(s.error());

  Result<driver::Artifact> a = driver::compile(o);
  if (!a) return report(a.error());
  for (const std::string &n : a->notes) std::fprintf(stderr, "compile-model: %s\n", n.c_str());
  std::fwrite(a->text.data(), 1, a->text.size(), stdout);
  if (json) std::fputs(jsonOf(*a).c_str(), stdout);
  else if (!a->directory.empty()) summary(*a);
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  try {
    return run(argc, argv);
  } catch (const InternalError &e) {
    std::fprintf(stderr, "compile-model: internal error: %s; please report it with the model\n", e.what());
  } catch (const std::bad_alloc &) {
    std::fprintf(stderr, "compile-model: out of memory\n");
    return exitCode(ErrorKind::Failed);
  }
  return kInternal;
}
