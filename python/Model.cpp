// planish._planish: compiled models on NumPy arrays. Written for a short way from the caller's arrays to the
// kernels: arrays that fit are used where they are, outputs are computed into fresh arrays.
#include "planish/runtime.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace py = pybind11;

namespace planish {
namespace {

/// Raises the exception `type` of planish.errors.
[[noreturn]] void raise(const char *type, const std::string &text) {
  const py::object error = py::module_::import("planish.errors").attr(type);
  PyErr_SetString(error.ptr(), text.c_str());
  throw py::error_already_set();
}

/// NumPy's type for a planish_dtype; bfloat16 comes as its 16 bits.
py::dtype numpyType(int32_t dtype) {
  switch (dtype) {
  case PLANISH_U8: return py::dtype::of<uint8_t>();
  case PLANISH_I8: return py::dtype::of<int8_t>();
  case PLANISH_U16:
  case PLANISH_BF16: return py::dtype::of<uint16_t>();
  case PLANISH_I16: return py::dtype::of<int16_t>();
  case PLANISH_I32: return py::dtype::of<int32_t>();
  case PLANISH_I64: return py::dtype::of<int64_t>();
  case PLANISH_BOOL: return py::dtype::of<bool>();
  case PLANISH_F16: return py::dtype("float16");
  case PLANISH_F64: return py::dtype::of<double>();
  case PLANISH_U32: return py::dtype::of<uint32_t>();
  case PLANISH_U64: return py::dtype::of<uint64_t>();
  default: return py::dtype::of<float>();
  }
}

std::string textOf(const py::handle &object) { return py::str(object).cast<std::string>(); }

/// An input or output: dimensions are ints, or (lower, upper) where they vary.
struct TensorInfo {
  std::string name;
  py::dtype dtype;
  py::tuple shape;
  bool constant = true;

  explicit TensorInfo(const planish_tensor_info &info)
      : name(info.name), dtype(numpyType(info.dtype)), shape(static_cast<size_t>(info.rank)) {
    for (int32_t d = 0; d < info.rank; ++d) {
      const planish_dim &dim = info.dims[d];
      const bool fixed = dim.lower == dim.upper;
      constant &= fixed;
      shape[static_cast<size_t>(d)] =
          fixed ? py::object(py::int_(dim.upper)) : py::object(py::make_tuple(dim.lower, dim.upper));
    }
  }

  std::string repr() const {
    return "TensorInfo(name='" + name + "', dtype=" + textOf(dtype) + ", shape=" + textOf(shape) + ")";
  }
};

class Model {
public:
  Model(const std::string &library, int threads) {
    const planish_model *opened = nullptr;
    if (planish_open(library.c_str(), &opened) != PLANISH_OK)
      raise("LoadError", library + ": " + planish_error());
    model.reset(opened);
    planish_options options{};
    options.threads = threads;
    planish_instance *created = nullptr;
    const planish_status status = planish_create(opened, &options, &created);
    if (status == PLANISH_INVALID_ARGUMENT) throw py::value_error(planish_error());
    if (status != PLANISH_OK) raise("LoadError", planish_error());
    instance.reset(created);
    for (uint32_t i = 0; i < model->n_inputs; ++i) {
      inputs.emplace_back(model->inputs[i]);
      indices[py::str(model->inputs[i].name)] = i;
    }
    for (uint32_t i = 0; i < model->n_outputs; ++i) {
      outputs.emplace_back(model->outputs[i]);
      outputNames.push_back(py::str(model->outputs[i].name));
    }
  }

  py::dict call(const py::args &args, const py::kwargs &kwargs) {
    std::vector<py::object> arrays(inputs.size());
    if (args.size() > 1) throw py::type_error("inputs are given by name: net(x=...) or net({'x': ...})");
    if (args.size() == 1) {
      if (!py::isinstance<py::dict>(args[0]))
        throw py::type_error("inputs are given by name: net(x=...) or net({'x': ...})");
      take(py::reinterpret_borrow<py::dict>(args[0]), arrays);
    }
    take(kwargs, arrays);
    for (size_t i = 0; i < inputs.size(); ++i)
      if (!arrays[i]) throw py::type_error("input '" + inputs[i].name + "' is missing");
    return run(arrays);
  }

  std::unique_ptr<const planish_model, void (*)(const planish_model *)> model{
      nullptr, [](const planish_model *m) { planish_close(m); }};
  std::unique_ptr<planish_instance, void (*)(planish_instance *)> instance{nullptr, planish_destroy};
  std::vector<TensorInfo> inputs, outputs;

private:
  void take(const py::dict &given, std::vector<py::object> &arrays) {
    for (const auto &[name, value] : given) {
      const PyObject *known = PyDict_GetItemWithError(indices.ptr(), name.ptr());
      if (!known) {
        if (PyErr_Occurred()) throw py::error_already_set();
        unknown(textOf(name));
      }
      const size_t i = py::handle(const_cast<PyObject *>(known)).cast<size_t>();
      arrays[i] = asArray(value, inputs[i]);
    }
  }

  [[noreturn]] void unknown(const std::string &name) const {
    std::string names;
    for (const TensorInfo &input : inputs) names += (names.empty() ? "'" : ", '") + input.name + "'";
    throw py::type_error("there is no input '" + name + "', the model has " + names);
  }

  /// The value as a contiguous array of the input's type; itself where it is one already.
  static py::array asArray(const py::handle &value, const TensorInfo &info);
  py::dict run(const std::vector<py::object> &objects);

  py::dict indices; ///< input name -> index
  std::vector<py::str> outputNames;
  std::mutex running;
};

py::array Model::asArray(const py::handle &value, const TensorInfo &info) {
  constexpr int kPlain = int{py::array::c_style} | int{py::detail::npy_api::NPY_ARRAY_ALIGNED_};
  py::array array;
  if (py::isinstance<py::array>(value)) {
    array = py::reinterpret_borrow<py::array>(value);
  } else {
    const py::module_ numpy = py::module_::import("numpy");
    const bool scalar =
        PyFloat_CheckExact(value.ptr()) || PyLong_CheckExact(value.ptr()) || PyBool_Check(value.ptr());
    array = scalar                             ? numpy.attr("asarray")(value, info.dtype)
            : py::hasattr(value, "__dlpack__") ? numpy.attr("from_dlpack")(value)
                                               : numpy.attr("asarray")(value);
  }
  const py::dtype type = array.dtype();
  if (!type.is(info.dtype) && !type.equal(info.dtype))
    throw py::type_error("input '" + info.name + "' is " + textOf(info.dtype) + ", given is " + textOf(type));
  if ((array.flags() & kPlain) != kPlain) {
    // ascontiguousarray would make a scalar one-dimensional.
    array = py::module_::import("numpy").attr("require")(array, py::none(), py::make_tuple("C", "A"));
  }
  return array;
}

py::dict Model::run(const std::vector<py::object> &objects) {
  std::vector<py::array> arrays;
  arrays.reserve(objects.size());
  for (const py::object &object : objects) arrays.push_back(py::reinterpret_borrow<py::array>(object));
  std::vector<py::array> results;
  std::vector<planish_tensor> tensors(outputs.size());
  results.reserve(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const planish_tensor_info &info = model->outputs[i];
    std::vector<py::ssize_t> dims;
    for (int32_t d = 0; d < info.rank; ++d) dims.push_back(info.dims[d].upper);
    results.emplace_back(outputs[i].dtype, std::move(dims));
  }
  planish_status status = PLANISH_OK;
  std::string error;
  {
    // Raw pointers only from here: the arrays stay alive in `arrays` and `results`.
    std::vector<const void *> data;
    std::vector<void *> room;
    for (const py::array &array : arrays) data.push_back(array.data());
    for (py::array &array : results) room.push_back(array.mutable_data());
    std::vector<std::vector<int64_t>> dims;
    for (const py::array &array : arrays) dims.emplace_back(array.shape(), array.shape() + array.ndim());
    const py::gil_scoped_release release;
    const std::lock_guard<std::mutex> lock(running);
    planish_instance *net = instance.get();
    for (uint32_t i = 0; !status && i < data.size(); ++i)
      status = planish_set_input(net, i, data[i], dims[i].data(), static_cast<uint32_t>(dims[i].size()));
    for (uint32_t i = 0; !status && i < room.size(); ++i)
      status = planish_set_output(net, i, room[i], model->outputs[i].max_bytes);
    if (!status) status = planish_run(net);
    for (uint32_t i = 0; !status && i < room.size(); ++i) status = planish_get_output(net, i, &tensors[i]);
    if (status) error = planish_error();
  }
  if (status == PLANISH_SHAPE_MISMATCH) throw py::value_error(error);
  if (status) raise("RunError", error);
  py::dict named;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const planish_tensor &t = tensors[i];
    named[outputNames[i]] =
        outputs[i].constant ? results[i]
                            : py::array(outputs[i].dtype, std::vector<py::ssize_t>(t.dims, t.dims + t.rank),
                                        results[i].data(), results[i]);
  }
  return named;
}

} // namespace

PYBIND11_MODULE(_planish, module) {
  module.doc() = "Compiled models on NumPy arrays; use planish.load.";
  py::class_<TensorInfo>(module, "TensorInfo", "What an input or output of a model is.")
      .def_readonly("name", &TensorInfo::name, "Its name in the ONNX graph.")
      .def_readonly("dtype", &TensorInfo::dtype, "Its numpy.dtype.")
      .def_readonly("shape", &TensorInfo::shape, "A tuple of sizes; (lower, upper) where a size varies.")
      .def("__repr__", &TensorInfo::repr);
  py::class_<Model>(
      module, "Model",
      "A loaded model: net(images=x) or net({'images': x}) gives a dict of numpy arrays.\n\n"
      "Inputs are numpy arrays, or anything with __dlpack__, of the model's type and shape; those that\n"
      "are contiguous are not copied. Outputs are new arrays. The GIL is released while the model\n"
      "runs; calls of one Model from several threads wait for each other.\n\n"
      "Raises TypeError for a wrong name or element type, ValueError for a wrong shape and\n"
      "planish.RunError where the model itself refuses its data.")
      .def(py::init<const std::string &, int>(), py::arg("library"), py::arg("threads") = 0)
      .def("__call__", &Model::call)
      .def_property_readonly("name", [](const Model &m) { return m.model->name; })
      .def_property_readonly(
          "target", [](const Model &m) { return m.model->target; }, "The target it was compiled for.")
      .def_property_readonly(
          "build_id", [](const Model &m) { return m.model->build_id; },
          "A hash of everything the build depends on.")
      .def_property_readonly(
          "threads", [](const Model &m) { return planish_threads(m.instance.get()); },
          "Threads of a run, the caller's included.")
      .def_property_readonly(
          "memory_bytes",
          [](const Model &m) {
            return planish_memory_bytes(m.model.get(), int32_t(planish_threads(m.instance.get())));
          },
          "Memory of this instance besides the weights.")
      .def_property_readonly("weights_bytes", [](const Model &m) { return m.model->weights_bytes; })
      .def_readonly("inputs", &Model::inputs, "A list of TensorInfo.")
      .def_readonly("outputs", &Model::outputs, "A list of TensorInfo.")
      .def("__repr__", [](const Model &m) {
        return "<planish.Model '" + std::string(m.model->name) + "' for " + m.model->target + ">";
      });
}

} // namespace planish
