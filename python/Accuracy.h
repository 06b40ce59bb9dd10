// What Accuracy.cpp adds to the module _compiler.
#pragma once

#include <pybind11/pybind11.h>

namespace planish::python {

void bindAccuracy(pybind11::module_ &module);

} // namespace planish::python
