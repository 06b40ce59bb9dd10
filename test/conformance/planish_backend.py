"""Planish as a backend of the ONNX test suite: prepare(model) compiles, run(inputs) loads and runs.

Also a backend module for any runner that knows `prepare`, `run` and `UNSUPPORTED`.
"""

import tempfile

import numpy
import planish
from onnx import TensorProto

UNSUPPORTED = (planish.UnsupportedError,)
# Elements that compute as f32 would come back with another type than the suite asks for.
CONVERTED = {TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}


def _tensors(values):
    return [v.type.tensor_type for v in values]


class Prepared:
    """A model, compiled when the sizes of its inputs are known."""

    def __init__(self, model):
        constants = {t.name for t in model.graph.initializer}
        self.model = model
        self.inputs = [v for v in model.graph.input if v.name not in constants]
        self.outputs = [v.name for v in model.graph.output]
        self.scratch = tempfile.TemporaryDirectory(prefix="planish-suite-")
        self.compiled = {}
        if any(t.elem_type in CONVERTED for t in _tensors([*self.inputs, *model.graph.output])):
            raise planish.UnsupportedError("inputs and outputs of 16 or 64 bit floats are taken as f32")
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
        arrays = [numpy.ascontiguousarray(a).reshape(numpy.shape(a)) for a in inputs]
        network = self.network([list(a.shape) for a in arrays])
        results = network({v.name: a for v, a in zip(self.inputs, arrays)})
        return [results[name] for name in self.outputs]


def prepare(model, device="CPU"):
    return Prepared(model)
