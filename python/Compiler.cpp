// planish._compiler: the driver and the tuner.
#include "Accuracy.h"
#include "Binding.h"
#include "Comparison.h"
#include "planish/driver/Compile.h"
#include "planish/tune/Calibrate.h"
#include "planish/tune/Tune.h"
#include "samples/Samples.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <set>

namespace py = pybind11;

namespace planish {
namespace {

using python::raise;
using python::Shapes;

quant::Calibrator calibratorNamed(const std::string &name) {
  auto row = quant::calibratorNamed(name);
  if (!row) raise(row.error());
  return *row;
}

driver::Artifact compile(const std::string &model, const std::string &output, const std::string &target,
                         const std::string &name, const Shapes &shapes, const Shapes &maxShapes,
                         const std::string &library, const std::string &tuning, bool strict,
                         const std::string &profile, const std::string &calibrator,
                         const std::set<std::string> &keepFloat, const transform::Repairs &repairs) {
  driver::Options options;
  options.model = model;
  options.output = output;
  options.target = target;
  options.name = name;
  options.shapes = shapes;
  options.maxShapes = maxShapes;
  options.tuning = tuning;
  options.strict = strict;
  options.repairs = repairs;
  if (library == "a") {
    options.library = artifact::LibraryKind::Static;
  } else if (library == "both") {
    options.library = artifact::LibraryKind::Both;
  } else if (library != "so") {
    throw py::value_error("library is '" + library + "', expected 'so', 'a' or 'both'");
  }
  if (!profile.empty()) {
    auto read = quant::readProfile(profile);
    if (!read) raise(read.error());
    options.int8 = driver::Quantization{*std::move(read), profile, {{}, keepFloat}};
    if (!calibrator.empty()) options.int8->codes.calibrator = calibratorNamed(calibrator);
  }
  const auto result = [&] {
    const py::gil_scoped_release release;
    return driver::compile(options);
  }();
  if (!result) raise(result.error());
  return *result;
}

/// Writes the profile of a model on samples to a file.
void calibrateModel(const std::string &model, const std::string &samples, const std::string &frame,
                    const std::string &calibrator, bool tables, const std::string &output,
                    const Shapes &shapes, const Shapes &maxShapes) {
  driver::Options options;
  options.model = model;
  options.shapes = shapes;
  options.maxShapes = maxShapes;
  const tune::Calibration how{calibratorNamed(calibrator), tables};
  const Status done = [&]() -> Status {
    const py::gil_scoped_release release;
    PLANISH_ASSIGN(graph::Graph g, driver::graphToProfile(options));
    PLANISH_ASSIGN(auto opened, samples::openSamples(samples, frame, g));
    PLANISH_ASSIGN(quant::Profile profile, tune::calibrate(g, *opened, how));
    return quant::writeProfile(profile, output);
  }();
  if (!done) raise(done.error());
}

py::dict dictOf(const tune::Candidates &c) {
  return py::dict(py::arg("faster") = c.faster, py::arg("slower") = c.slower,
                  py::arg("unconfirmed") = c.unconfirmed, py::arg("wrong") = c.wrong,
                  py::arg("duplicates") = c.duplicates);
}

py::dict dictOf(const tune::Progress &p) {
  return py::dict(py::arg("seconds") = p.seconds, py::arg("kernels") = p.kernels,
                  py::arg("improved") = p.improved, py::arg("candidates") = dictOf(p.candidates),
                  py::arg("gain") = p.gain);
}

py::dict dictOf(const tune::KernelResult &k) {
  return py::dict(py::arg("key") = k.key, py::arg("about") = k.about, py::arg("nodes") = k.nodes,
                  py::arg("template") = k.templateName, py::arg("defaults") = py::cast(k.defaults),
                  py::arg("best") = py::cast(k.best), py::arg("launches") = k.launches,
                  py::arg("share") = k.share, py::arg("default_ns") = k.defaultNs,
                  py::arg("best_ns") = k.bestNs, py::arg("low") = k.low, py::arg("high") = k.high,
                  py::arg("candidates") = dictOf(k.candidates), py::arg("complaint") = k.complaint,
                  py::arg("exhausted") = k.exhausted);
}

/// (kernels, total) as dictionaries; `progress` gets such a total after every candidate. Signals reach Python
/// there, too, and an exception ends the tuning.
py::tuple tuneModel(const std::string &model, const std::string &target, const std::string &database,
                    double seconds, const Shapes &shapes, const Shapes &maxShapes,
                    const py::object &progress) {
  tune::Options options;
  options.compile.model = model;
  options.compile.target = target;
  options.compile.shapes = shapes;
  options.compile.maxShapes = maxShapes;
  options.database = database;
  options.seconds = seconds;
  std::optional<py::error_already_set> raised;
  options.progress = [&](const tune::Progress &p) {
    const py::gil_scoped_acquire acquire;
    try {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (!progress.is_none()) progress(dictOf(p));
      return true;
    } catch (py::error_already_set &e) {
      raised.emplace(std::move(e));
      return false;
    }
  };
  const auto result = [&] {
    const py::gil_scoped_release release;
    return tune::tune(options);
  }();
  if (raised) throw std::move(*raised);
  if (!result) raise(result.error());
  py::list kernels;
  for (const tune::KernelResult &k : result->kernels) kernels.append(dictOf(k));
  return py::make_tuple(kernels, dictOf(result->total));
}

} // namespace

PYBIND11_MODULE(_compiler, module) {
  module.doc() = "The compiler; use planish.compile.";
  py::class_<driver::Artifact>(module, "Result")
      .def_readonly("directory", &driver::Artifact::directory)
      .def_readonly("name", &driver::Artifact::name)
      .def_readonly("target", &driver::Artifact::target)
      .def_readonly("notes", &driver::Artifact::notes)
      .def_property_readonly("phases",
                             [](const driver::Artifact &a) {
                               std::vector<std::pair<std::string, double>> phases;
                               for (const driver::Phase &p : a.phases) phases.emplace_back(p.name, p.seconds);
                               return phases;
                             })
      .def_readonly("weights_bytes", &driver::Artifact::weightsBytes)
      .def_readonly("arena_bytes", &driver::Artifact::arenaBytes)
      .def_readonly("library_bytes", &driver::Artifact::libraryBytes);
  python::bindComparison(module);
  python::bindAccuracy(module);
  module.def("compile", &compile, py::kw_only(), py::arg("model"), py::arg("output"), py::arg("target"),
             py::arg("name"), py::arg("shapes"), py::arg("max_shapes"), py::arg("library"), py::arg("tuning"),
             py::arg("strict"), py::arg("profile"), py::arg("calibrator"), py::arg("keep_float"),
             py::arg("repairs"));
  module.def("calibrate", &calibrateModel, py::kw_only(), py::arg("model"), py::arg("samples"),
             py::arg("frame"), py::arg("calibrator"), py::arg("tables"), py::arg("output"), py::arg("shapes"),
             py::arg("max_shapes"));
  module.def("tune", &tuneModel, py::kw_only(), py::arg("model"), py::arg("target"), py::arg("database"),
             py::arg("seconds"), py::arg("shapes"), py::arg("max_shapes"), py::arg("progress"));
}

} // namespace planish
