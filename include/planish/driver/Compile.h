// The whole compiler as one function.
#pragma once

#include "planish/artifact/Artifact.h"
#include "planish/lower/Lower.h"
#include "planish/onnx/Import.h"
#include "planish/support/Result.h"
#include "planish/transform/Layers.h"
#include "planish/transform/PlaceCodes.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace planish::driver {

/// A textual form to look at instead of building a library.
enum class Emit : uint8_t { Nothing, Graph, Loop, Llvm, Assembly, C, OpenCl, Cuda, Hls };

/// How a model of real numbers becomes one of 8-bit codes.
struct Quantization {
  quant::Profile profile; // of the graph that graphToProfile() gives
  std::string profileName; // of the file or the samples it comes from, for messages and the manifest
  transform::CodeOptions codes;
};

struct Options {
  std::string model;                                      // path of the ONNX file
  std::string output;                                     // directory to write; may be empty with `emit`
  std::string target = "cpu";
  std::string host = "cpu"; // of a device: runs the host function and what no device is good at
  std::string name; // of the library and its symbols; default: the file's stem
  std::map<std::string, std::vector<int64_t>> shapes; // sizes of inputs
  std::map<std::string, std::vector<int64_t>> maxShapes; // bounds of inputs; free dimensions stay symbols
  onnx::Limits limits; // on what the file may ask for
  artifact::LibraryKind library = artifact::LibraryKind::Shared;
  std::string tuning; // path of a tuning database (schedule/Tuning.h) to take knobs from; may be empty
  bool strict = false; // no Winograd transform, no sums split over lanes; slower
  std::optional<Quantization> int8; // absent: numbers stay as the model has them
  transform::Repairs
      repairs; // of a quantized model's layers, made before the passes (tune/Compare.h finds them)
  bool reference = false; // the loops as they are defined, unscheduled: what every target must equal; slow
  std::vector<artifact::GoldenOutput>
      golden; // the outputs for seeded inputs, for the library and the manifest
  Emit emit = Emit::Nothing;
  std::string printAfter; // graph pass whose result goes to `text`
  std::string stopAfter; // last graph pass to run
  std::string dumpDir; // an existing folder for the graph after every pass
};

/// Where the time of one compilation went, in order.
struct Phase {
  std::string name;
  double seconds = 0;
};

/// Some of a program's launches.
struct Launches {
  int64_t count = 0;
  double bytes = 0; // read and written
};

struct Artifact {
  std::string directory; // empty when only text was asked for
  std::string name, target;
  std::string text; // what emit or printAfter asked for
  std::vector<std::string> notes; // decisions the user should know, one line each
  std::vector<Phase> phases;
  int64_t weightsBytes = 0, arenaBytes = 0, libraryBytes = 0;
  bool exact = false; // a quantized model, whose bits are the same on every target
  Launches launches, copies, serial; // all; those that only move bytes; those without a schedule
};

/// ONNX file -> directory with library, header, manifest and report.
Result<Artifact> compile(const Options &options);

/// The model as it stands when its values are profiled and become codes; of the options, model and sizes
/// count.
Result<graph::Graph> graphToProfile(const Options &options);

/// The model as it stands before the pass `quantize`: with the codes of `int8` and the repairs, if there are
/// any.
Result<graph::Graph> graphWithCodes(const Options &options);

/// The first half alone: what compile() would schedule for the same options, each distinct computation once.
Result<std::vector<lower::Computation>> computationsOf(const Options &options);

} // namespace planish::driver
