"""What grows random ONNX models, valid by construction: every node is run by onnx's reference evaluator as soon as it
is there. The steps that it grows by are mixed in."""

import warnings

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

OPSET, IR = 21, 10
FLOAT, INTEGERS = numpy.float32, (numpy.int32, numpy.int64)
MOST_ELEMENTS, LARGEST = 4096, 1e4
FLOATS = (numpy.float16, numpy.float32, numpy.float64)


class Rejected(Exception):
    """This node is not possible here."""


class Value:
    """A value of the graph with what it is for the inputs at hand.

    exact: it has no rounding errors; only such values may be compared, rounded or sorted, where an error in the last
    digit would change everything. rough: it comes from numbers of half precision that were rounded. sized: its sizes
    follow from the sizes of the inputs alone.
    """

    def __init__(self, name, array, exact, rough=False, sized=True):
        self.name, self.array, self.exact, self.rough, self.sized = name, array, exact, rough, sized

    shape = property(lambda self: self.array.shape)
    rank = property(lambda self: self.array.ndim)
    dtype = property(lambda self: self.array.dtype)
    onnx_type = property(lambda self: helper.np_dtype_to_tensor_dtype(self.array.dtype))

    def info(self):
        return helper.make_tensor_value_info(self.name, self.onnx_type, self.shape if self.sized else [None] * self.rank)


class Growth:
    """Grows one model; names begin with `prefix`."""

    def __init__(self, seed, prefix=""):
        self.random = numpy.random.default_rng(seed)
        self.prefix = prefix
        self.nodes, self.constants, self.values, self.inputs = [], [], [], []
        for _ in range(self.pick(1, 2)):
            shape = [self.pick(1, 3), self.pick(1, 6), self.pick(1, 9), self.pick(1, 9)][: self.pick(2, 4)]
            self.inputs.append(Value(f"{prefix}x{len(self.inputs)}", self.grid(shape), True))
        self.values += self.inputs

    # -- choices

    def pick(self, least, most):
        return int(self.random.integers(least, most + 1))

    def one_of(self, items):
        return items[self.pick(0, len(items) - 1)]

    def chance(self, percent):
        return self.pick(1, 100) <= percent

    def grid(self, shape):
        """Multiples of 1/4: sums and products of a few have no rounding error."""
        return (self.random.integers(-12, 13, shape) / 4).astype(FLOAT)

    def any(self, condition=lambda v: True, sized=True):
        """A value, rather a late one; one whose sizes data give only where that is asked for."""
        fitting = [v for v in self.values if v.sized == sized and condition(v)]
        if not fitting:
            raise Rejected
        return self.one_of(fitting[-4:] if self.chance(70) else fitting)

    def real(self, rank=None, exact=False):
        return self.any(lambda v: v.dtype == FLOAT and (rank is None or v.rank == rank)
                        and (v.exact or not exact) and v.array.size)

    def axis(self, v):
        if not v.rank:
            raise Rejected
        return self.pick(-v.rank, v.rank - 1)

    # -- building

    def constant(self, array):
        name = f"{self.prefix}c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(numpy.asarray(array), name))
        return Value(name, numpy.asarray(array), True)

    def ints(self, values):
        return self.constant(numpy.asarray(values, numpy.int64))

    def add(self, op, operands, exact, outputs=1, domain="", sized=True, reads=(), **attributes):
        """A node and its results. `exact` and `sized`: of them all, or of each. `reads`: what its graphs read."""
        names = [f"{self.prefix}v{len(self.nodes)}_{k}" for k in range(outputs)]
        node = helper.make_node(op, [v.name if v else "" for v in operands], names, name=f"{self.prefix}n{len(self.nodes)}",
                                domain=domain, **attributes)
        given = {v.name: v for v in [*operands, *reads] if v}
        unknown = [onnx.ValueInfoProto(name=n) for n in names]
        graph = helper.make_graph([node], "g", [v.info() for v in given.values()], unknown)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        try:
            with numpy.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results = [numpy.asarray(r) for r in
                           ReferenceEvaluator(model).run(None, {n: v.array for n, v in given.items()})]
        except Exception as e:  # whatever the evaluator says of a node that cannot be
            raise Rejected from e
        for r in results:
            if r.size > MOST_ELEMENTS or r.size == 0 or r.ndim > 6 or (
                    r.dtype.kind == "f" and not (numpy.isfinite(r).all() and numpy.abs(r).max(initial=0) < LARGEST)):
                raise Rejected
        self.nodes.append(node)
        each = lambda what: what if isinstance(what, (list, tuple)) else [what] * outputs
        sized = [s and all(v.sized for v in given.values()) for s in each(sized)]
        rough = any(v.rough for v in given.values())
        made = []
        for name, result, is_exact, is_sized in zip(names, results, each(exact), sized):
            is_rough = not is_exact and (rough or result.dtype == numpy.float16)
            made.append(Value(name, result, is_exact, is_rough, is_sized))
        self.values += made
        return made

    def grow(self, nodes):
        steps = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("make_")]
        for _ in range(40 * nodes):
            if len(self.nodes) >= nodes:
                break
            lengths = [(items, len(items)) for items in (self.constants, self.nodes, self.values)]
            try:
                self.one_of(steps)()
            except Rejected:
                for items, length in lengths:
                    del items[length:]
        self.choose_outputs()
        return self

    def choose_outputs(self):
        read = {name for n in self.nodes for name in n.input} | {
            name for n in self.nodes for a in n.attribute for inner in a.g.node for name in inner.input}
        made = [v for v in self.values if v not in self.inputs]
        self.outputs = [v for v in made if v.name not in read or self.chance(10)]
        self.inputs = [v for v in self.inputs if v.name in read]
        self.constants = [c for c in self.constants if c.name in read]

    def feeds(self):
        return {v.name: v.array for v in self.inputs}


def model_of(grown):
    """One model of what several grew."""
    joined = lambda part: [x for g in grown for x in getattr(g, part)]
    graph = helper.make_graph(joined("nodes"), "random", [v.info() for v in joined("inputs")],
                              [v.info() for v in joined("outputs")], joined("constants"))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR)


def type_of(array):
    return helper.np_dtype_to_tensor_dtype(numpy.asarray(array).dtype)


__all__ = ["FLOAT", "FLOATS", "INTEGERS", "Growth", "Rejected", "TensorProto", "Value", "model_of", "type_of"]
