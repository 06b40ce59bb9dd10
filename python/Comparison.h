// What Comparison.cpp adds to the module _compiler.
#pragma once

#include "planish/transform/Layers.h"

#include <pybind11/pybind11.h>

// A list of lists to C++, one object to Python.
PYBIND11_MAKE_OPAQUE(planish::transform::Repairs)

namespace planish::python {

void bindComparison(pybind11::module_ &module);

} // namespace planish::python
