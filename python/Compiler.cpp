// planish._compiler: the driver.
#include "planish/driver/Compile.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;

namespace planish {
namespace {

using Shapes = std::map<std::string, std::vector<int64_t>>;

/// Raises the exception of planish.errors that stands for this kind of problem.
[[noreturn]] void raise(const Diagnostic &problem) {
  const char *type = problem.kind == ErrorKind::Unsupported ? "UnsupportedError" : "CompileError";
  const py::object error = py::module_::import("planish.errors").attr(type);
  PyErr_SetString(error.ptr(), problem.text.c_str());
  throw py::error_already_set();
}

driver::Artifact compile(const std::string &model, const std::string &output, const std::string &target,
                         const std::string &name, const Shapes &shapes, const Shapes &maxShapes,
                         const std::string &library) {
  driver::Options options;
  options.model = model;
  options.output = output;
  options.target = target;
  options.name = name;
  options.shapes = shapes;
  options.maxShapes = maxShapes;
  if (library == "a") {
    options.library = artifact::LibraryKind::Static;
  } else if (library == "both") {
    options.library = artifact::LibraryKind::Both;
  } else if (library != "so") {
    throw py::value_error("library is '" + library + "', expected 'so', 'a' or 'both'");
  }
  const auto result = [&] {
    const py::gil_scoped_release release;
    return driver::compile(options);
  }();
  if (!result) raise(result.error());
  return *result;
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
  module.def("compile", &compile, py::kw_only(), py::arg("model"), py::arg("output"), py::arg("target"),
             py::arg("name"), py::arg("shapes"), py::arg("max_shapes"), py::arg("library"));
}

} // namespace planish
