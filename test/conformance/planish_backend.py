"""Planish as a backend of the ONNX test suite: prepare(model) compiles, run(inputs) loads and runs.

Also a backend module for any runner that knows `prepare`, `run` and `UNSUPPORTED`.
"""

import tempfile

import ml_dtypes
import numpy
import planish
from onnx import TensorProto

UNSUPPORTED = (planish.UnsupportedError,)

def _tensors(values):
    return [v.type.tensor_type for v in values]


def _bits(array):
    """NumPy has no bfloat16: such arrays are passed as their bits."""
    return array.view(numpy.uint16) if array.dtype == ml_dtypes.bfloat16 else array


def _typed(array, element):
    return array.view(ml_dtypes.bfloat16) if element == TensorProto.BFLOAT16 else array


class Prepared:
    """A model, compiled when the sizes of its inputs are known."""

    def __init__(self, model):
        constants = {t.name for t in model.graph.initializer}
        self.model = model
        self.inputs = [v for v in model.graph.input if v.name not in constants]
        self.outputs = {v.name: v.type.tensor_type.elem_type for v in model.graph.output}
        self.scratch = tempfile.TemporaryDirectory(prefix="planish-suite-")
        self.compiled = {}
        sizes = [[d.dim_value for d in t.shape.dim] for t in _tensors(self.inputs)]
        if all(t.HasField("shape") for t in _tensors(self.inputs)) and all(all(s) for s in sizes):
            self.network(sizes)

    def network(self, sizes):
        key = str(sizes)
        if key not in self.compiled:
            shapes = {v.name: s for v, s in zip(self.inputs, sizes)}
            out = f"{self.scratch.name}/{len(self.compiled)}"
            self.compiled[key] = planish.compile(self.model, out=out, shapes=shapes, name="model").load(threads=1)
        return self.compiled[key]

    def run(self, inputs):
        arrays = [_bits(numpy.ascontiguousarray(a).reshape(numpy.shape(a))) for a in inputs]
        network = self.network([list(a.shape) for a in arrays])
        results = network({v.name: a for v, a in zip(self.inputs, arrays)})
        return [_typed(results[name], element) for name, element in self.outputs.items()]


def prepare(model, device="CPU"):
    return Prepared(model)
