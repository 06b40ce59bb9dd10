// planish._compiler.compare: layers of a quantized model next to their reference.
#include "Comparison.h"

#include "Binding.h"
#include "planish/driver/Compile.h"
#include "planish/tune/CompareCompiled.h"
#include "samples/Samples.h"

#include <pybind11/stl.h>

namespace py = pybind11;

namespace planish::python {
namespace {

py::dict dictOf(const tune::ValueError &e) {
  return py::dict(py::arg("sqnr") = e.sqnr, py::arg("cosine") = e.cosine, py::arg("noise") = e.noise);
}

py::tuple pairOf(const quant::Range &r) { return py::make_tuple(r.least, r.most); }

py::dict dictOf(const tune::LayerError &l) {
  const quant::CauseRow &row = quant::rowOf(l.diagnosis.cause);
  return py::dict(py::arg("name") = l.name, py::arg("nodes") = l.nodes, py::arg("own") = dictOf(l.own),
                  py::arg("accumulated") = dictOf(l.accumulated), py::arg("scale") = l.coding.scale,
                  py::arg("zero_point") = l.coding.zero, py::arg("codes") = pairOf(l.codes),
                  py::arg("values") = pairOf(l.values), py::arg("clipped") = l.clipped,
                  py::arg("codes_used") = l.codesUsed, py::arg("matched") = l.matched,
                  py::arg("cause") = std::string(row.name), py::arg("detail") = l.diagnosis.detail,
                  py::arg("cure") = std::string(quant::remedyOf(l.diagnosis.cure)),
                  py::arg("noise") = l.diagnosis.noise, py::arg("remaining") = l.diagnosis.remaining,
                  py::arg("repairable") = l.repair.has_value());
}

py::dict dictOf(const tune::OutputError &o) {
  return py::dict(py::arg("name") = o.name, py::arg("error") = dictOf(o.error),
                  py::arg("largest") = o.largest);
}

struct Request {
  driver::Options model;
  std::string reference, samples, frame;
};

Result<tune::Comparison> compared(const Request &request) {
  PLANISH_ASSIGN(graph::Graph g, driver::graphWithCodes(request.model));
  PLANISH_ASSIGN(auto samples, samples::openSamples(request.samples, request.frame, g));
  if (request.model.int8) return tune::compareWithCodes(request.model, *samples);
  if (request.reference.empty()) return tune::compare(g, nullptr, *samples);
  driver::Options reference;
  reference.model = request.reference;
  reference.shapes = request.model.shapes;
  PLANISH_ASSIGN(graph::Graph floats, driver::graphWithCodes(reference));
  return tune::compare(g, &floats, *samples);
}

py::dict compare(const std::string &model, const std::string &reference, const std::string &profile,
                 const std::string &samples, const std::string &frame, const Shapes &shapes,
                 const transform::Repairs &repairs) {
  Request request{{}, reference, samples, frame};
  request.model.model = model;
  request.model.shapes = shapes;
  request.model.repairs = repairs;
  const auto result = [&]() -> Result<tune::Comparison> {
    const py::gil_scoped_release release;
    if (!profile.empty()) {
      PLANISH_ASSIGN(quant::Profile read, quant::readProfile(profile));
      request.model.int8 = driver::Quantization{std::move(read), profile, {}};
    }
    return compared(request);
  }();
  if (!result) raise(result.error());
  py::list layers, outputs, contractions;
  for (const tune::LayerError &l : result->layers) layers.append(dictOf(l));
  for (const tune::OutputError &o : result->outputs) outputs.append(dictOf(o));
  for (const tune::Sensitivity &c : result->contractions)
    contractions.append(
        py::dict(py::arg("node") = c.node, py::arg("noise") = c.noise, py::arg("cost") = c.cost));
  transform::Repairs all = repairs;
  if (auto found = tune::repairsOf(*result); !found.empty()) all.push_back(std::move(found));
  return py::dict(py::arg("samples") = result->samples, py::arg("layers") = layers,
                  py::arg("outputs") = outputs, py::arg("contractions") = contractions,
                  py::arg("repairs") = all);
}

py::dict compareCompiled(const std::string &model, const std::string &library, const std::string &samples,
                         const std::string &frame, const Shapes &shapes) {
  driver::Options real;
  real.model = model;
  real.shapes = shapes;
  const auto result = [&]() -> Result<tune::CompiledComparison> {
    const py::gil_scoped_release release;
    PLANISH_ASSIGN(graph::Graph g, driver::graphToProfile(real));
    PLANISH_ASSIGN(auto source, samples::openSamples(samples, frame, g));
    return tune::compareCompiled(g, library, *source);
  }();
  if (!result) raise(result.error());
  py::list layers, outputs;
  for (const tune::CompiledLayer &l : result->layers)
    layers.append(py::dict(py::arg("name") = l.name, py::arg("nodes") = l.nodes, py::arg("fitted") = l.fitted,
                           py::arg("error") = dictOf(l.error)));
  for (const tune::OutputError &o : result->outputs) outputs.append(dictOf(o));
  return py::dict(py::arg("samples") = result->samples, py::arg("layers") = layers,
                  py::arg("outputs") = outputs);
}

} // namespace

void bindComparison(py::module_ &module) {
  py::class_<transform::Repairs>(module, "Repairs")
      .def(py::init<>())
      .def("__len__", [](const transform::Repairs &rounds) {
        size_t n = 0;
        for (const auto &round : rounds) n += round.size();
        return n;
      });
  module.def("compare", &compare, py::kw_only(), py::arg("model"), py::arg("reference"), py::arg("profile"),
             py::arg("samples"), py::arg("frame"), py::arg("shapes"), py::arg("repairs"));
  module.def("compare_compiled", &compareCompiled, py::kw_only(), py::arg("model"), py::arg("library"),
             py::arg("samples"), py::arg("frame"), py::arg("shapes"));
}

} // namespace planish::python
