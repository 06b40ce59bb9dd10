"""Random ONNX models, valid by construction: every node is run by onnx's reference evaluator as soon as it is there.

As a program: compiles and runs `--count` models from `--seed` on, compares with ONNX Runtime, and keeps every model
whose results differ, or that fails, in `--keep` as <seed>.onnx with its inputs beside it.
"""

import argparse
import multiprocessing
import sys
import tempfile
import warnings
from pathlib import Path

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

OPSET, IR = 20, 10
FLOAT, INTEGERS = numpy.float32, (numpy.int32, numpy.int64)
MOST_ELEMENTS, LARGEST = 4096, 1e4


class Rejected(Exception):
    """This node is not possible here."""


class Value:
    """A value of the graph with what it is for the inputs at hand."""

    def __init__(self, name, array, exact):
        self.name, self.array, self.exact = name, array, exact

    shape = property(lambda self: self.array.shape)
    rank = property(lambda self: self.array.ndim)


class Generator:
    """Grows one model. `exact` values have no rounding errors: only they may be compared, rounded or sorted, where an
    error in the last digit would change everything."""

    def __init__(self, seed):
        self.random = numpy.random.default_rng(seed)
        self.nodes, self.constants, self.values, self.inputs = [], [], [], []
        for _ in range(self.pick(1, 2)):
            shape = [self.pick(1, 3), self.pick(1, 6), self.pick(1, 9), self.pick(1, 9)][: self.pick(2, 4)]
            self.inputs.append(Value(f"x{len(self.inputs)}", self.grid(shape), True))
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

    def any(self, condition=lambda v: True):
        """A value, rather a late one."""
        fitting = [v for v in self.values if condition(v)]
        if not fitting:
            raise Rejected
        return self.one_of(fitting[-4:] if self.chance(70) else fitting)

    def real(self, rank=None, exact=False):
        return self.any(lambda v: v.array.dtype == FLOAT and (rank is None or v.rank == rank)
                        and (v.exact or not exact) and v.array.size)

    def axis(self, v):
        if not v.rank:
            raise Rejected
        return self.pick(-v.rank, v.rank - 1)

    # -- building

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(numpy.asarray(array), name))
        return Value(name, numpy.asarray(array), True)

    def ints(self, values):
        return self.constant(numpy.asarray(values, numpy.int64))

    def add(self, op, operands, exact, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{k}" for k in range(outputs)]
        node = helper.make_node(op, [v.name if v else "" for v in operands], names, name=f"n{len(self.nodes)}", **attributes)
        given = {v.name: v.array for v in operands if v}
        graph = helper.make_graph([node], "g", [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
                                                for n, a in given.items()],
                                  [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in names])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        try:
            with numpy.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results = [numpy.asarray(r) for r in ReferenceEvaluator(model).run(None, given)]
        except Exception as e:  # whatever the evaluator says of a node that cannot be
            raise Rejected from e
        for r in results:
            if r.size > MOST_ELEMENTS or r.size == 0 or r.ndim > 6 or (
                    r.dtype.kind == "f" and not (numpy.isfinite(r).all() and numpy.abs(r).max(initial=0) < LARGEST)):
                raise Rejected
        self.nodes.append(node)
        self.values += [Value(n, r, exact) for n, r in zip(names, results)]
        return self.values[-outputs:]

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
        return self

    def model(self):
        read = {name for n in self.nodes for name in n.input}
        made = [v for v in self.values if v not in self.inputs]
        outputs = [v for v in made if v.name not in read or self.chance(10)]
        info = lambda v: helper.make_tensor_value_info(v.name, helper.np_dtype_to_tensor_dtype(v.array.dtype), v.shape)
        used = [v for v in self.inputs if v.name in read]
        constants = [c for c in self.constants if c.name in read]
        graph = helper.make_graph(self.nodes, "random", [info(v) for v in used], [info(v) for v in outputs], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        return model, {v.name: v.array for v in used}

    # -- elementwise

    def make_function(self):
        op, attributes = self.one_of([
            ("Relu", {}), ("Neg", {}), ("Abs", {}), ("Tanh", {}), ("Sigmoid", {}), ("Erf", {}), ("Sin", {}), ("Cos", {}),
            ("Exp", {}), ("Softplus", {}), ("Softsign", {}), ("Mish", {}), ("HardSwish", {}), ("Identity", {}),
            ("Gelu", {"approximate": self.one_of(["none", "tanh"])}), ("LeakyRelu", {"alpha": 0.25}), ("Elu", {"alpha": 0.5}),
            ("Selu", {}), ("Celu", {"alpha": 2.0}), ("HardSigmoid", {"alpha": 0.25, "beta": 0.5})])
        x = self.real()
        self.add(op, [x], x.exact and op in ("Relu", "Neg", "Abs", "Identity"), **attributes)

    def make_step_function(self):
        op, attributes = self.one_of([("Floor", {}), ("Ceil", {}), ("Round", {}), ("Sign", {}), ("ThresholdedRelu", {"alpha": 0.5})])
        self.add(op, [self.real(exact=True)], True, **attributes)

    def make_root(self):
        positive = self.add("Add", [self.add("Abs", [self.real()], False)[0], self.constant(FLOAT(0.5))], False)[0]
        self.add(self.one_of(["Sqrt", "Log", "Reciprocal"]), [positive], False)

    def make_clip(self):
        x = self.real()
        low, high = (self.constant(FLOAT(v)) for v in sorted(self.grid(2)))
        self.add("Clip", [x, self.one_of([low, None]), high], x.exact)

    def operand_for(self, x):
        """Another operand: a value that broadcasts, or a constant of some of x's sizes."""
        if self.chance(40):
            return self.any(lambda v: v.array.dtype == x.array.dtype)
        shape = [1 if self.chance(40) else s for s in x.shape][self.pick(0, x.rank) if self.chance(40) else 0:]
        data = self.grid(shape) if x.array.dtype == FLOAT else self.random.integers(1, 9, shape)
        return self.constant(numpy.asarray(data, x.array.dtype))

    def make_binary(self):
        x = self.any(lambda v: v.array.dtype == FLOAT or v.array.dtype in INTEGERS)
        y, op = self.operand_for(x), self.one_of(["Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean"])
        if x.array.dtype in INTEGERS and op in ("Sum", "Mean", "Mul"):
            op = "Add"
        self.add(op, [x, y] if self.chance(50) else [y, x], x.exact and y.exact and op in ("Max", "Min") or x.array.dtype != FLOAT)

    def make_quotient(self):
        y = self.add("Add", [self.add("Abs", [self.real()], False)[0], self.constant(FLOAT(1))], False)[0]
        self.add("Div", [self.real(), y], False)

    def make_integer_quotient(self):
        x = self.any(lambda v: v.array.dtype in INTEGERS)
        self.add(self.one_of(["Div", "Mod"]), [x, self.constant(numpy.asarray(self.pick(1, 5), x.array.dtype))], True)

    def make_cast(self):
        x = self.any(lambda v: v.exact)
        to = self.one_of([TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL])
        self.add("Cast", [x], True, to=to)

    def make_choice(self):
        x = self.real(exact=True)
        condition = self.add(self.one_of(["Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal"]),
                             [x, self.constant(self.grid([]))], True)[0]
        if self.chance(30):
            condition = self.add("Not", [condition], True)[0]
        y = self.real()
        self.add("Where", [condition, y, self.operand_for(y)], False)

    # -- movement

    def make_transpose(self):
        x = self.any(lambda v: v.rank)
        self.add("Transpose", [x], x.exact, perm=[int(d) for d in self.random.permutation(x.rank)])

    def make_reshape(self):
        x = self.any()
        sizes, rest = [], x.array.size
        while rest > 1 and len(sizes) < 4:
            sizes.append(self.one_of([d for d in range(1, rest + 1) if rest % d == 0]))
            rest //= sizes[-1]
        sizes.append(rest)
        if self.chance(40):
            sizes[self.pick(0, len(sizes) - 1)] = -1
        self.add("Reshape", [x, self.ints(sizes)], x.exact)

    def make_slice(self):
        x = self.any(lambda v: v.rank)
        axes = sorted(int(a) for a in self.random.permutation(x.rank)[: self.pick(1, x.rank)])
        begin, end, step = [], [], []
        for a in axes:
            n, s = x.shape[a], self.one_of([1, 1, 2, -1, -2])
            low, high = sorted((self.pick(0, n - 1), self.pick(0, n - 1)))
            begin.append(low if s > 0 else high)
            end.append(high + 1 if s > 0 else low - 1 if low else -n - 1)
            step.append(s)
        self.add("Slice", [x, self.ints(begin), self.ints(end), self.ints(axes), self.ints(step)], x.exact)

    def make_concat(self):
        x = self.any(lambda v: v.rank)
        axis = self.axis(x)
        fits = lambda v: v.array.dtype == x.array.dtype and v.rank == x.rank and all(
            a == b for d, (a, b) in enumerate(zip(v.shape, x.shape)) if d != axis % x.rank)
        parts = [self.any(fits) for _ in range(self.pick(1, 3))]
        self.add("Concat", [x, *parts], x.exact and all(p.exact for p in parts), axis=axis)

    def make_split(self):
        x = self.any(lambda v: v.rank and max(v.shape) > 1)
        axis = self.one_of([d for d, s in enumerate(x.shape) if s > 1])
        first = self.pick(1, x.shape[axis] - 1)
        self.add("Split", [x, self.ints([first, x.shape[axis] - first])], x.exact, outputs=2, axis=axis)

    def make_pad(self):
        x = self.any(lambda v: v.rank and v.array.dtype == FLOAT)
        mode = self.one_of(["constant", "edge", "reflect"])
        most = [2 if mode != "reflect" else min(2, s - 1) for s in x.shape]
        pads = [self.pick(0, m) for m in most + most]
        self.add("Pad", [x, self.ints(pads)], x.exact, mode=mode)

    def make_repeat(self):
        x = self.any(lambda v: v.rank)
        if self.chance(50):
            self.add("Tile", [x, self.ints([self.pick(1, 2) for _ in x.shape])], x.exact)
        else:
            target = [self.pick(1, 3), *(self.pick(2, 4) if s == 1 else s for s in x.shape)]
            self.add("Expand", [x, self.ints(target)], x.exact)

    def make_axes(self):
        x = self.any()
        if self.chance(50) and 1 in x.shape:
            self.add("Squeeze", [x, self.ints([self.one_of([d for d, s in enumerate(x.shape) if s == 1])])], x.exact)
        else:
            self.add("Unsqueeze", [x, self.ints([self.pick(-x.rank - 1, x.rank)])], x.exact)

    def make_gather(self):
        x = self.any(lambda v: v.rank)
        axis = self.axis(x)
        shape = [self.pick(1, 3) for _ in range(self.pick(0, 2))]
        indices = self.random.integers(-x.shape[axis], x.shape[axis], shape)
        self.add("Gather", [x, self.ints(indices)], x.exact, axis=axis)

    def make_gather_elements(self):
        x = self.any(lambda v: v.rank)
        axis = self.axis(x)
        shape = list(x.shape)
        shape[axis] = self.pick(1, 4)
        self.add("GatherElements", [x, self.ints(self.random.integers(0, x.shape[axis], shape))], x.exact, axis=axis)

    def make_depth_to_space(self):
        x = self.any(lambda v: v.rank == 4 and v.array.dtype == FLOAT)
        if self.chance(50):
            self.add("DepthToSpace", [x], x.exact, blocksize=2, mode=self.one_of(["DCR", "CRD"]))
        else:
            self.add("SpaceToDepth", [x], x.exact, blocksize=self.pick(1, 3))

    # -- sums

    def make_reduction(self):
        op = self.one_of(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare",
                          "ReduceLogSumExp"])
        x = self.real()
        axes = [int(a) for a in self.random.permutation(x.rank)[: self.pick(1, max(x.rank, 1))]]
        operands = [x, self.ints(axes)] if axes else [x]
        self.add(op, operands, x.exact and op in ("ReduceMax", "ReduceMin"), keepdims=self.pick(0, 1))

    def make_extreme(self):
        x = self.real(exact=True)
        if self.chance(50):
            axis = self.axis(x)
            self.add(self.one_of(["ArgMax", "ArgMin"]), [x], True, axis=axis, keepdims=self.pick(0, 1),
                     select_last_index=self.pick(0, 1))
        else:
            self.add("CumSum", [x, self.constant(numpy.int64(self.axis(x)))], False, exclusive=self.pick(0, 1), reverse=self.pick(0, 1))

    def make_normalization(self):
        x = self.real()
        op = self.one_of(["Softmax", "LogSoftmax", "LayerNormalization", "InstanceNormalization", "BatchNormalization"])
        if op in ("Softmax", "LogSoftmax"):
            self.add(op, [x], False, axis=self.axis(x))
        elif op == "LayerNormalization":
            axis = self.axis(x)
            size = x.shape[axis % x.rank:]
            self.add(op, [x, self.constant(self.grid(size)), self.constant(self.grid(size))], False, axis=axis, epsilon=0.1)
        elif x.rank < 3:
            raise Rejected
        elif op == "InstanceNormalization":
            self.add(op, [x, *(self.constant(self.grid([x.shape[1]])) for _ in range(2))], False, epsilon=0.1)
        else:
            parameters = [self.grid([x.shape[1]]) for _ in range(3)] + [numpy.abs(self.grid([x.shape[1]])) + FLOAT(0.5)]
            self.add(op, [x, *map(self.constant, parameters)], False)

    def make_matmul(self):
        x = self.real()
        if x.rank == 0:
            raise Rejected
        if self.chance(30) and x.rank == 2:
            w = self.constant(self.grid([self.pick(1, 5), x.shape[1]]))
            self.add("Gemm", [x, w, self.constant(self.grid([w.shape[0]]))], False, transB=1, alpha=0.5, beta=2.0)
        elif self.chance(30) and x.rank == 3:
            self.add("Einsum", [x, self.constant(self.grid([x.shape[1], self.pick(1, 4)]))], False,
                     equation=self.one_of(["bij,ik->bkj", "bij,ik->bk", "bij,ik", "...ij,ik->...jk"]))
        else:
            w = [x.shape[-1], self.pick(1, 6)]
            if self.chance(20):
                w = [self.pick(1, 2), *w]
            self.add("MatMul", [x, self.constant(self.grid(w))], False)

    def make_convolution(self):
        x = self.any(lambda v: v.array.dtype == FLOAT and v.rank in (3, 4))
        spatial, channels = x.rank - 2, x.shape[1]
        group = self.one_of([g for g in range(1, channels + 1) if channels % g == 0])
        kernel = [self.pick(1, 3) for _ in range(spatial)]
        attributes = {"strides": [self.pick(1, 2) for _ in kernel], "pads": [self.pick(0, 1) for _ in kernel * 2],
                      "dilations": [self.pick(1, 2) for _ in kernel], "group": group}
        if self.chance(70):
            w = self.grid([group * self.pick(1, 3), channels // group, *kernel])
            self.add("Conv", [x, self.constant(w), self.constant(self.grid([len(w)]))], False, **attributes)
        elif spatial == 2:
            w = self.grid([channels, self.pick(1, 3), *kernel])
            attributes["group"] = 1
            self.add("ConvTranspose", [x, self.constant(w)], False, **attributes)

    def make_pooling(self):
        x = self.any(lambda v: v.array.dtype == FLOAT and v.rank in (3, 4))
        if self.chance(20):
            self.add(self.one_of(["GlobalAveragePool", "GlobalMaxPool"]), [x], False)
            return
        kernel = [self.pick(1, 3) for _ in range(x.rank - 2)]
        attributes = {"kernel_shape": kernel, "strides": [self.pick(1, 2) for _ in kernel],
                      "pads": [self.pick(0, k - 1) for k in kernel * 2]}
        if self.chance(50):
            self.add("MaxPool", [x], x.exact, **attributes)
        else:
            self.add("AveragePool", [x], False, count_include_pad=self.pick(0, 1), **attributes)

    def make_resize(self):
        x = self.real(rank=4)
        scales = self.constant(FLOAT([1, 1, self.one_of([1, 2, 3]), self.one_of([1, 2, 3])]))
        mode = self.one_of(["nearest", "linear"])
        self.add("Resize", [x, None, scales], x.exact and mode == "nearest", mode=mode,
                 coordinate_transformation_mode=self.one_of(["half_pixel", "asymmetric", "align_corners"]))


def expected(model, inputs):
    """What ONNX Runtime gives, without its rewrites."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def compiled(model, inputs):
    import planish

    with tempfile.TemporaryDirectory(prefix="planish-random-") as folder:
        results = planish.compile(model, out=folder, name="model").load(threads=1)(inputs)
        return [numpy.array(results[v.name]) for v in model.graph.output]


def difference(model, inputs):
    """What is wrong with the compiled model, if anything: shapes, types, floats beyond 1e-3 of the largest."""
    for v, want, got in zip(model.graph.output, expected(model, inputs), compiled(model, inputs), strict=True):
        if got.shape != want.shape or got.dtype != want.dtype:
            return f"{v.name}: {got.dtype}{got.shape} instead of {want.dtype}{want.shape}"
        if want.dtype.kind != "f":
            if not numpy.array_equal(got, want):
                return f"{v.name}: {int((got != want).sum())} of {want.size} differ"
            continue
        error = numpy.abs(got - want).max(initial=0)
        if not error <= 1e-3 * max(numpy.abs(want).max(initial=0), 1e-2):
            return f"{v.name}: an error of {error} where the largest is {numpy.abs(want).max()}"
    return ""


def refused_by_both(model, inputs):
    """onnx's reference evaluator runs a few models that are against the specification: those no engine takes."""
    import planish

    try:
        expected(model, inputs)
        return False
    except Exception:  # ONNX Runtime's classes have no base of their own
        pass
    try:
        compiled(model, inputs)
        return False
    except planish.CompileError:
        return True


def check(seed):
    """("pass", ""), or ("differs" or "failed", why), for the model of a seed."""
    model, inputs = Generator(seed).grow(3 + seed % 12).model()
    try:
        if refused_by_both(model, inputs):
            return "pass", ""
        wrong = difference(model, inputs)
        return ("differs", wrong) if wrong else ("pass", "")
    except Exception as e:
        return "failed", f"{type(e).__name__}: {e}"


def keep(seed, folder):
    model, inputs = Generator(seed).grow(3 + seed % 12).model()
    onnx.save(model, folder / f"{seed}.onnx")
    numpy.savez(folder / f"{seed}.npz", **inputs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    counts = {"pass": 0, "differs": 0, "failed": 0}
    seeds = range(options.seed, options.seed + options.count)
    with multiprocessing.Pool(options.jobs) as pool:
        for seed, (status, why) in zip(seeds, pool.imap(check, seeds, chunksize=4)):
            counts[status] += 1
            if status == "pass":
                continue
            print(f"seed {seed}: {status}: {why}", flush=True)
            if options.keep:
                keep(seed, options.keep)
    print(", ".join(f"{n} {status}" for status, n in counts.items()))
    return 1 if counts["differs"] + counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
