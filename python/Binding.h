// What the modules' parts share.
#pragma once

#include "planish/support/Result.h"

#include <pybind11/pybind11.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace planish::python {

using Shapes = std::map<std::string, std::vector<int64_t>>;

/// Raises the exception of planish.errors that stands for this kind of problem.
[[noreturn]] inline void raise(const Diagnostic &problem) {
  namespace py = pybind11;
  const char *type = problem.kind == ErrorKind::Unsupported ? "UnsupportedError" : "CompileError";
  const py::object error = py::module_::import("planish.errors").attr(type)(problem.text);
  error.attr("exit_code") = exitCode(problem.kind);
  PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(error.ptr())), error.ptr());
  throw py::error_already_set();
}

} // namespace planish::python
