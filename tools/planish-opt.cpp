// planish-opt [FILE]: IR text in, named passes, IR text out; graphs and loop functions alike.
#include "planish/graph/Evaluate.h"
#include "planish/graph/Text.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Text.h"
#include "planish/loop/Verify.h"
#include "planish/ops/Ops.h"
#include "planish/support/Check.h"
#include "planish/support/Hash.h"
#include "planish/support/ScratchFolder.h"
#include "planish/support/Text.h"
#include "planish/support/Version.h"
#include "planish/transform/Passes.h"
#include "planish/transform/PlaceCodes.h"
#include "planish/transform/Reduce.h"
#include "run/Reports.h"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <unistd.h>

using namespace planish;

namespace {

constexpr int kInternal = 70;

struct Options {
  std::string file = "-", blobs, reduce, profile;
  std::vector<std::string> passes, printAfter, inputs;
  bool time = false;
};

int report(const Diagnostic &d) {
  std::fprintf(stderr, "planish-opt: %s\n", d.text.c_str());
  return exitCode(d.kind);
}

void write(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

Result<std::string> textOfFile(const std::string &path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream file(path, std::ios::binary);
  if (!file) return badInput("cannot read " + path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// The constants that a graph's text names by hash: files of a folder, checked against their names.
Result<graph::Blobs> readBlobs(const std::string &folder) {
  graph::Blobs blobs;
  if (folder.empty()) return blobs;
  std::error_code error;
  for (const auto &entry : std::filesystem::directory_iterator(folder, error)) {
    std::string name = entry.path().filename().string();
    PLANISH_ASSIGN(std::string data, textOfFile(entry.path().string()));
    auto bytes = std::as_bytes(std::span(data));
    if (hexOf(hash64(bytes)) == name)
      blobs[name] = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
  }
  if (error) return badInput("cannot read folder " + folder + ": " + error.message());
  return blobs;
}

template <class Row>
Result<std::vector<Row>> chosen(std::span<const Row> all, const std::vector<std::string> &names) {
  std::vector<Row> rows;
  for (const std::string &name : names) {
    if (name == "all") {
      rows.insert(rows.end(), all.begin(), all.end());
      continue;
    }
    auto found = std::ranges::find(all, name, &Row::name);
    if (found == all.end())
      return usage("no pass '" + name + "' for this kind of text; it is one of " +
                   joined(all, [](const Row &r) { return std::string(r.name); }));
    rows.push_back(*found);
  }
  return rows;
}

/// Writes a graph's text into the folder, and the constants it names beside it: the text's path, empty where
/// that fails.
std::string written(const graph::Graph &g, const ScratchFolder &folder) {
  graph::Blobs blobs;
  const std::string text = graph::print(g, &blobs), path = folder.file("graph.txt");
  for (const auto &[name, bytes] : blobs)
    if (const std::string blob = folder.file(name); !std::filesystem::exists(blob))
      std::ofstream(blob, std::ios::binary)
          .write(reinterpret_cast<const char *>(bytes->data()), std::streamsize(bytes->size()));
  std::ofstream file(path, std::ios::binary);
  return file << text << std::flush ? path : "";
}

/// The smallest graph of which the command says, by status 0, that it shows what is looked for.
Result<graph::Graph> reduced(graph::Graph g, const std::string &command) {
  PLANISH_ASSIGN(const ScratchFolder folder, ScratchFolder::make());
  auto isInteresting = [&](const graph::Graph &candidate) {
    const std::string path = written(candidate, folder);
    return !path.empty() && std::system((command + " '" + path + "' >&2").c_str()) == 0;
  };
  if (!isInteresting(g))
    return usage("--reduce: '" + command + "' ends with another status than 0 for the graph as it is");
  return transform::reduce(std::move(g), isInteresting);
}

/// What --pass may name for graphs: the pipeline's passes and, given a profile, those that need it.
Result<std::vector<transform::PassRow>> graphPasses(const Options &o) {
  std::vector<transform::PassRow> all(transform::passes().begin(), transform::passes().end());
  if (o.profile.empty()) return chosen(std::span<const transform::PassRow>(all), o.passes);
  PLANISH_ASSIGN(quant::Profile profile, quant::readProfile(o.profile));
  std::ranges::copy(transform::passesForOwnCodes(profile), std::back_inserter(all));
  all.push_back(transform::placeCodesRow(std::move(profile), {}));
  return chosen(std::span<const transform::PassRow>(all), o.passes);
}

// ---- evaluation -----------------------------------------------------------------------------------

struct TypeRow {
  DType dtype;
  int32_t array;
};
constexpr TypeRow kTypes[] = {{DType::f32, PLANISH_F32}, {DType::u8, PLANISH_U8},
                              {DType::i8, PLANISH_I8},   {DType::i32, PLANISH_I32},
                              {DType::i64, PLANISH_I64}, {DType::b1, PLANISH_BOOL}};

/// The tensors that NAME=FILE.npy give the graph's inputs.
Result<std::vector<graph::Tensor>> readInputs(const graph::Graph &g, const std::vector<std::string> &files) {
  std::map<std::string, graph::Tensor> given;
  for (const std::string &argument : files) {
    const size_t equals = argument.find('=');
    if (equals == std::string::npos) return usage("--input '" + argument + "': expected NAME=FILE.npy");
    const std::string path = argument.substr(equals + 1);
    PLANISH_ASSIGN(const std::vector<std::byte> bytes, run::readFile(path));
    PLANISH_ASSIGN(run::Array array, run::parseNpy(bytes, path));
    auto row = std::ranges::find(kTypes, array.dtype, &TypeRow::array);
    if (row == std::end(kTypes))
      return badInput("'" + path + "' holds " + run::dtypeName(array.dtype) + ", which no graph takes");
    given[argument.substr(0, equals)] = {row->dtype, array.shape,
                                         std::make_shared<std::vector<std::byte>>(std::move(array.bytes))};
  }
  std::vector<graph::Tensor> tensors;
  for (graph::ValueId v : g.inputs()) {
    auto found = given.find(g[v].name);
    if (found == given.end())
      return usage("input '" + g[v].name + "' is not given: --input '" + g[v].name + "=FILE.npy'");
    tensors.push_back(found->second);
    given.erase(found);
  }
  if (!given.empty()) return usage("the graph has no input '" + given.begin()->first + "'");
  return tensors;
}

/// Evaluates the graph's definition node by node; prints what run-model --digest prints of a compiled model.
Status printDigests(const graph::Graph &g, const std::vector<std::string> &files) {
  PLANISH_ASSIGN(const std::vector<graph::Tensor> inputs, readInputs(g, files));
  PLANISH_ASSIGN(const std::vector<graph::Tensor> outputs, graph::evaluateStrict(g, inputs));
  for (size_t i = 0; i < outputs.size(); ++i) {
    auto row = std::ranges::find(kTypes, outputs[i].dtype, &TypeRow::dtype);
    PLANISH_CHECK(row != std::end(kTypes), "an output of a type that no graph computes");
    const run::Array array{row->array, outputs[i].shape, *outputs[i].data};
    write(run::digestLine(g[g.outputs()[i]].name, array) + "\n");
  }
  return {};
}

Status runGraph(const std::string &text, const Options &o) {
  PLANISH_ASSIGN(auto rows, graphPasses(o));
  PLANISH_ASSIGN(graph::Blobs blobs, readBlobs(o.blobs));
  PLANISH_ASSIGN(graph::Graph g, graph::parse(text, ops::allOps(), blobs));
  PLANISH_TRY(transform::checkGraph(g));
  if (!o.reduce.empty()) { PLANISH_ASSIGN(g, reduced(std::move(g), o.reduce)); }
  transform::PassOptions options;
  options.printAfter = o.printAfter;
  options.timing = o.time;
  options.check = true;
  options.print = write;
  options.say = [](std::string_view line) { std::fprintf(stderr, "%.*s\n", int(line.size()), line.data()); };
  PLANISH_ASSIGN(g, transform::runPasses(std::move(g), rows, options));
  if (!o.inputs.empty()) return printDigests(g, o.inputs);
  write(graph::print(g));
  return {};
}

Status verifyAll(const std::vector<loop::FunctionRef> &functions) {
  for (const loop::FunctionRef &f : functions)
    if (Status s = loop::verify(*f); !s) return s.error().in("function '" + f->name + "'");
  return {};
}

Status runLoop(const std::string &text, const Options &o) {
  PLANISH_ASSIGN(auto rows, chosen(loop::passes(), o.passes));
  if (!o.reduce.empty() || !o.inputs.empty())
    return usage("--reduce and --input are for graphs, this text has loop functions");
  PLANISH_ASSIGN(std::vector<loop::FunctionRef> functions, loop::parse(text));
  PLANISH_TRY(verifyAll(functions));
  for (const loop::PassRow &pass : rows) {
    auto start = std::chrono::steady_clock::now();
    for (loop::FunctionRef &f : functions) f = std::make_shared<const loop::Function>(pass.run(*f));
    std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
    if (Status s = verifyAll(functions); !s) return s.error().in("after pass " + std::string(pass.name));
    if (o.time) std::fprintf(stderr, "%-16s %9.3f ms\n", std::string(pass.name).c_str(), ms.count());
    if (std::ranges::find(o.printAfter, pass.name) != o.printAfter.end()) write(loop::print(functions));
  }
  write(loop::print(functions));
  return {};
}

Status runFile(const Options &o) {
  PLANISH_ASSIGN(std::string text, textOfFile(o.file));
  return Lexer(text).at("graph") ? runGraph(text, o) : runLoop(text, o);
}

void listPasses() {
  for (const transform::PassRow &row : transform::passes())
    std::printf("graph  %-16s %s\n", std::string(row.name).c_str(), std::string(row.summary).c_str());
  for (const loop::PassRow &row : loop::passes())
    std::printf("loop   %-16s %s\n", std::string(row.name).c_str(), std::string(row.summary).c_str());
}

int runTool(int argc, char **argv) {
  CLI::App app("Reads a graph or loop functions as text, runs passes, prints the result.", "planish-opt");
  app.set_version_flag("--version", std::string("planish-opt ") + kVersion);
  Options o;
  bool list = false, listOps = false;
  app.add_option("file", o.file, "text to read; - is the standard input")->type_name("FILE");
  app.add_option("--pass", o.passes, "passes to run in this order; all: every one")
      ->type_name("NAME,...")
      ->delimiter(',');
  app.add_option("--print-after", o.printAfter, "print the text after a pass, too")
      ->type_name("NAME,...")
      ->delimiter(',');
  app.add_option("--blobs", o.blobs, "folder of the constants that the text names by hash")->type_name("DIR");
  app.add_option("--reduce", o.reduce,
                 "shrink the graph as long as CMD PATH, with its text at PATH and large constants beside it, "
                 "ends with status 0")
      ->type_name("CMD");
  app.add_option("--profile", o.profile, "calibration profile for the pass place-codes")
      ->type_name("FILE.json");
  app.add_option("--input", o.inputs,
                 "an input of the graph, repeatable: evaluate the definition, print digests of the outputs "
                 "instead of the text")
      ->type_name("NAME=FILE.npy");
  app.add_flag("--time", o.time, "one line per pass on stderr");
  app.add_flag("--list-passes", list, "list the passes in order");
  app.add_flag("--list-ops", listOps,
               "print the reference of operators (docs/operators.md without its counts), and the ONNX ones "
               "they serve");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) { return app.exit(e) == 0 ? 0 : exitCode(ErrorKind::Usage); }
  if (list) {
    listPasses();
    return 0;
  }
  if (listOps) {
    write(ops::documentation());
    return 0;
  }
  Status s = runFile(o);
  return s ? 0 : report(s.error());
}

} // namespace

int main(int argc, char **argv) {
  try {
    return runTool(argc, argv);
  } catch (const std::exception &e) {
    std::fprintf(stderr, "planish-opt: internal error: %s\n", e.what());
    return kInternal;
  }
}
