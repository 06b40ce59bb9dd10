// planish._compiler.compile_within: int8 within a bound on a metric.
#include "Accuracy.h"

#include "Binding.h"
#include "planish/tune/Accuracy.h"
#include "samples/Samples.h"

#include <pybind11/stl.h>

#include <optional>
#include <set>

namespace py = pybind11;

namespace planish::python {
namespace {

/// The caller's function as an Evaluate; what it raises is kept in `raised`.
tune::Evaluate evaluateWith(const py::function &function, std::optional<py::error_already_set> &raised) {
  return [&](const std::string &directory) -> Result<double> {
    const py::gil_scoped_acquire acquire;
    try {
      return py::float_(function(directory)).cast<double>();
    } catch (py::error_already_set &e) {
      raised.emplace(std::move(e));
      return failed("the metric raised an exception");
    }
  };
}

py::dict compileWithin(const std::string &model, const std::string &output, const std::string &target,
                       const std::string &name, const Shapes &shapes, const std::string &profile,
                       const std::set<std::string> &keepFloat, const std::string &samples,
                       const std::string &frame, const std::string &maxDrop, const py::function &evaluate) {
  std::optional<py::error_already_set> raised;
  tune::AccuracyOptions options;
  options.compile.model = model;
  options.compile.output = output;
  options.compile.target = target;
  options.compile.name = name;
  options.compile.shapes = shapes;
  options.evaluate = evaluateWith(evaluate, raised);
  const auto result = [&]() -> Result<tune::Accuracy> {
    const py::gil_scoped_release release;
    PLANISH_ASSIGN(options.bound, tune::boundOf(maxDrop));
    PLANISH_ASSIGN(quant::Profile read, quant::readProfile(profile));
    options.compile.int8 = driver::Quantization{std::move(read), profile, {{}, keepFloat}};
    PLANISH_ASSIGN(graph::Graph g, driver::graphToProfile(options.compile));
    PLANISH_ASSIGN(auto opened, samples::openSamples(samples, frame, g));
    return tune::compileWithin(options, *opened);
  }();
  if (raised) throw std::move(*raised);
  if (!result) raise(result.error());
  py::list kept;
  for (const tune::Choice &c : result->layers)
    if (c.kept)
      kept.append(py::dict(py::arg("node") = c.layer.node, py::arg("noise") = c.layer.noise,
                           py::arg("cost") = c.layer.cost));
  return py::dict(py::arg("real") = result->real, py::arg("int8") = result->int8,
                  py::arg("reached") = result->reached, py::arg("cost") = result->cost,
                  py::arg("evaluations") = result->evaluations, py::arg("kept") = kept,
                  py::arg("artifact") = result->artifact);
}

} // namespace

void bindAccuracy(py::module_ &module) {
  module.def("compile_within", &compileWithin, py::kw_only(), py::arg("model"), py::arg("output"),
             py::arg("target"), py::arg("name"), py::arg("shapes"), py::arg("profile"), py::arg("keep_float"),
             py::arg("samples"), py::arg("frame"), py::arg("max_drop"), py::arg("evaluate"));
}

} // namespace planish::python
