// run-model: runs a compiled model, times it, and compares or fingerprints what it gives.
#include "run/Main.h"
#include "run/Profile.h"
#include "run/Reports.h"

#include "planish/support/Version.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace planish::run {
namespace {

enum class Digest { None, Outputs, Layers };

struct Options {
  std::string directory;
  std::vector<std::string> inputs;
  std::string output, reference, profile, machine, digest;
  Tolerance tolerance;
  int threads = 0;
  bool benchmark = false, json = false, verify = false;
  double seconds = 3;

  Digest digests() const {
    return digest.empty() ? Digest::None : digest == "layers" ? Digest::Layers : Digest::Outputs;
  }
};

bool hasSuffix(const std::string &text, std::initializer_list<const char *> suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(), [&](const char *s) { return text.ends_with(s); });
}

/// "name=file" or "file.npz".
Status readInput(Session &session, const std::string &argument) {
  const size_t equals = argument.find('=');
  const std::string path = equals == std::string::npos ? argument : argument.substr(equals + 1);
  if (equals == std::string::npos) {
    if (!hasSuffix(path, {".npz"}))
      return usage("--input '" + argument + "': expected name=FILE or FILE.npz");
    PLANISH_ASSIGN(NamedArrays arrays, readNpz(path));
    for (auto &[name, array] : arrays) {
      const auto index = session.inputNamed(name);
      if (!index) return index.error().in("'" + path + "'");
      PLANISH_TRY(session.setInput(*index, std::move(array)));
    }
    return {};
  }
  PLANISH_ASSIGN(const uint32_t index, session.inputNamed(argument.substr(0, equals)));
  if (hasSuffix(path, {".png", ".jpg", ".jpeg"})) {
    std::string note;
    PLANISH_ASSIGN(Array array, readPicture(path, session.model.inputs[index], note));
    if (!note.empty()) std::cerr << "note: " << note << "\n";
    return session.setInput(index, std::move(array));
  }
  PLANISH_ASSIGN(const std::vector<std::byte> file, readFile(path));
  PLANISH_ASSIGN(Array array, parseNpy(file, "'" + path + "'"));
  return session.setInput(index, std::move(array));
}

Status writeText(const std::string &path, const std::string &text) {
  std::ofstream file(path, std::ios::binary);
  file << text << "\n";
  if (!file.flush()) return failed("cannot write '" + path + "'");
  return {};
}

/// The machine file that is given, else this machine's where there is one.
Result<std::optional<Machine>> machineOf(const std::string &given, const std::string &path) {
  if (given.empty() && !std::filesystem::exists(path)) {
    std::cerr
        << "note: there is no machine file: planish-peak writes one, and profiles then tell how much of the "
           "machine's peak each launch reaches\n";
    return std::optional<Machine>();
  }
  PLANISH_ASSIGN(Machine machine, readMachine(path));
  if (machine.cpu != thisCpu())
    std::cerr << "note: '" << path << "' is of another machine: " << machine.cpu << "\n";
  return std::optional(std::move(machine));
}

Status profileRuns(Session &session, const Options &options, std::ostream &text) {
  const std::string path = options.machine.empty() ? defaultMachineFile() : options.machine;
  PLANISH_ASSIGN(const std::optional<Machine> machine, machineOf(options.machine, path));
  PLANISH_ASSIGN(Profile found, profile(session, options.seconds));
  if (machine) PLANISH_TRY(compareWithPeak(found, *machine, path));
  text << tableOf(found);
  const bool trace = hasSuffix(options.profile, {"trace", "trace.json"});
  return writeText(options.profile, trace ? traceOf(found).dump() : jsonOf(found).dump(1));
}

/// Compares all outputs and reports each; a Mismatch names the first that fails.
Status compareOutputs(const NamedArrays &outputs, const Options &options, std::ostream &text,
                      nlohmann::json &report) {
  PLANISH_ASSIGN(const NamedArrays references, readNpz(options.reference));
  Status result;
  for (const auto &[name, got] : outputs) {
    const auto want = std::find_if(references.begin(), references.end(),
                                   [&, &wanted = name](const auto &entry) { return entry.first == wanted; });
    if (want == references.end()) return badInput("'" + options.reference + "' has no output '" + name + "'");
    const Comparison c = compare(name, got, want->second, options.tolerance);
    report["comparison"].push_back({{"name", name},
                                    {"ok", c.problem.empty()},
                                    {"max_error", c.maxError},
                                    {"max_reference", c.maxReference},
                                    {"problem", c.problem}});
    text << name << ": " << (c.problem.empty() ? "ok" : "differs") << ", max error " << c.maxError
         << ", max reference " << c.maxReference << "\n";
    if (!c.problem.empty() && result)
      result = Diagnostic{ErrorKind::Mismatch, "output '" + name + "': " + c.problem};
  }
  return result;
}

Status benchmarkRuns(Session &session, const Options &options, std::ostream &text, nlohmann::json &report) {
  PLANISH_ASSIGN(const Latencies l, benchmark(session, options.seconds));
  report["benchmark"] = {
      {"threads", session.threads()}, {"runs", l.runs},  {"median_ms", l.median},
      {"min_ms", l.minimum},          {"p90_ms", l.p90}, {"runs_per_second", l.runsPerSecond}};
  char line[160];
  std::snprintf(line, sizeof(line),
                "median %.3f ms, min %.3f ms, p90 %.3f ms, %.1f runs/s, %d runs, threads %u\n", l.median,
                l.minimum, l.p90, l.runsPerSecond, l.runs, session.threads());
  text << line;
  return {};
}

Result<NamedArrays> outputsOf(const Session &session) {
  NamedArrays outputs;
  for (uint32_t i = 0; i < session.model.n_outputs; ++i) {
    PLANISH_ASSIGN(Array array, session.output(i));
    outputs.emplace_back(session.model.outputs[i].name, std::move(array));
  }
  return outputs;
}

void describeOutputs(const NamedArrays &outputs, bool asText, std::ostream &text, nlohmann::json &report) {
  for (const auto &[name, array] : outputs) {
    report["outputs"].push_back({{"name", name},
                                 {"dtype", dtypeName(array.dtype)},
                                 {"dims", array.shape},
                                 {"digest", digestOf(array)}});
    if (!asText) continue;
    const std::vector<double> values = asDoubles(array);
    text << name << " " << dtypeName(array.dtype) << " " << shapeText(array.shape);
    if (!values.empty()) {
      const auto [low, high] = std::minmax_element(values.begin(), values.end());
      text << "  min " << *low << ", max " << *high;
    }
    text << "\n";
  }
}

/// Compares the digests of a run on seeded inputs with those that the manifest carries.
Status verifyRun(const Session &session, const std::string &directory) {
  const std::string path = directory + "/manifest.json";
  PLANISH_ASSIGN(const std::vector<std::byte> file, readFile(path));
  const char *text = reinterpret_cast<const char *>(file.data());
  const nlohmann::json manifest = nlohmann::json::parse(text, text + file.size(), nullptr, false);
  if (!manifest.is_object() || !manifest.contains("golden") || !manifest["golden"].is_array())
    return badInput("'" + path + "' carries no golden digests: compile-model --golden writes them");
  PLANISH_ASSIGN(const std::vector<std::string> lines, outputDigests(session));
  for (size_t i = 0; i < std::max(lines.size(), manifest["golden"].size()); ++i) {
    const std::string got = i < lines.size() ? lines[i] : "nothing";
    const std::string want = i < manifest["golden"].size() && manifest["golden"][i].is_string()
                                 ? manifest["golden"][i].get<std::string>()
                                 : "nothing";
    if (got != want)
      return Diagnostic{ErrorKind::Mismatch, "got '" + got + "', the manifest has '" + want + "'"};
  }
  std::cerr << "note: all " << lines.size() << " outputs have the bits that the manifest carries\n";
  return {};
}

Status runModel(const Options &options) {
  // Digests and JSON own stdout; whatever else there is to say then goes to stderr.
  const Digest digest = options.digests();
  std::ostream &text = digest != Digest::None || options.json ? std::cerr : std::cout;
  nlohmann::json report;

  if (options.verify && !options.inputs.empty())
    return usage("--verify runs on the seeded inputs of the golden digests: give no --input");
  PLANISH_ASSIGN(const Library library, Library::open(options.directory));
  Session session(library.model());
  PLANISH_TRY(session.create(options.threads, !options.profile.empty() || digest == Digest::Layers));
  for (const std::string &input : options.inputs) PLANISH_TRY(readInput(session, input));
  PLANISH_ASSIGN(const std::vector<std::string> filled, session.fillInputs());
  for (const std::string &line : filled) std::cerr << "note: " << line << "\n";

  std::vector<std::string> layers;
  if (digest == Digest::Layers) {
    PLANISH_ASSIGN(layers, layerDigests(session));
  } else {
    PLANISH_TRY(session.run());
  }
  if (options.verify) PLANISH_TRY(verifyRun(session, options.directory));
  PLANISH_ASSIGN(const NamedArrays outputs, outputsOf(session));
  report["model"] = session.model.name;
  report["target"] = session.model.target;
  describeOutputs(outputs, digest == Digest::None && !options.benchmark, text, report);
  if (digest != Digest::None && !options.json) {
    for (const auto &[name, array] : outputs) std::cout << digestLine(name, array) << "\n";
    for (const std::string &line : layers) std::cout << line << "\n";
  }
  if (!layers.empty()) report["layers"] = layers;
  if (!options.output.empty()) PLANISH_TRY(writeNpz(options.output, outputs));
  if (options.benchmark) PLANISH_TRY(benchmarkRuns(session, options, text, report));
  if (!options.profile.empty()) PLANISH_TRY(profileRuns(session, options, text));
  Status result;
  if (!options.reference.empty()) result = compareOutputs(outputs, options, text, report);
  if (options.json) std::cout << report.dump(1) << "\n";
  return result;
}

void declare(CLI::App &app, Options &options) {
  app.add_option("directory", options.directory, "Directory made by compile-model")
      ->required()
      ->type_name("DIR");
  app.add_option("--input", options.inputs,
                 "An input: name=FILE.npy, name=FILE.png or .jpg, or FILE.npz whose keys are input names;\n"
                 "repeatable; inputs not given are filled with seeded data")
      ->type_name("ARG")
      ->allow_extra_args(false);
  app.add_option("--output", options.output, "Write the outputs, keys are their names")->type_name("OUT.npz");
  app.add_option("--reference", options.reference, "Compare the outputs with these; exit 5 if they differ")
      ->type_name("REF.npz");
  app.add_option("--rtol", options.tolerance.relative,
                 "Allowed error as a part of the reference's largest value")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--atol", options.tolerance.absolute, "Allowed error besides that")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--threads", options.threads, "Threads, the caller's included; 0 takes all cores")
      ->capture_default_str()
      ->check(CLI::Range(0, PLANISH_MAX_THREADS));
  app.add_flag("--benchmark", options.benchmark, "Print median, min and p90 latency and runs per second");
  app.add_option("--seconds", options.seconds, "How long to benchmark, and how long to profile")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  CLI::Option *profile =
      app.add_option(
             "--profile", options.profile,
             "Print the time of each launch, and write it as JSON, or as a Chrome trace to a name that\n"
             "ends in 'trace' or 'trace.json'")
          ->type_name("FILE");
  app.add_option("--machine", options.machine,
                 "The machine's peak, as planish-peak wrote it (default: planish/machine.json in\n"
                 "$XDG_CACHE_HOME or ~/.cache, where there is one)")
      ->needs(profile)
      ->type_name("FILE");
  app.add_flag(
         "--digest{outputs}", options.digest,
         "Print 'name dtype dims hash' per output and nothing else on stdout; --digest=layers adds the\n"
         "values inside; the hash is the first 16 digits of the bytes' SHA-256")
      ->check(CLI::IsMember({"outputs", "layers"}));
  app.add_flag("--verify", options.verify,
               "Run on seeded inputs and compare the outputs' digests with the manifest's golden ones\n"
               "(compile-model --golden); exit 5 if they differ");
  app.add_flag("--json", options.json, "Print one JSON object on stdout, text on stderr");
  app.set_version_flag("--version", std::string("run-model ") + kVersion);
}

} // namespace
} // namespace planish::run

int main(int argc, char **argv) {
  using namespace planish;
  CLI::App app{"Runs a model compiled by compile-model.\n"
               "Exit codes: 0 ok, 1 failed or wrong input, 2 usage, 3 this CPU cannot run it, 4 bad file,\n"
               "5 outputs differ from the reference, 70 internal error.",
               "run-model"};
  run::Options options;
  run::declare(app, options);
  return run::toolMain(app, argc, argv, [&] { return run::exitOf(run::runModel(options)); });
}
