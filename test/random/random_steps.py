"""Steps of the generator of random models: functions of elements, movement, sums and windows of floats."""

import numpy
from onnx import TensorProto
from random_core import FLOAT, INTEGERS, Rejected


class Steps:
    """Mixed into random_core.Growth; each make_* adds one thing, or raises Rejected where it cannot be."""

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
            return self.any(lambda v: v.dtype == x.dtype)
        shape = [1 if self.chance(40) else s for s in x.shape][self.pick(0, x.rank) if self.chance(40) else 0:]
        data = self.grid(shape) if x.dtype == FLOAT else self.random.integers(1, 9, shape)
        return self.constant(numpy.asarray(data, x.dtype))

    def make_binary(self):
        x = self.any(lambda v: v.dtype == FLOAT or v.dtype in INTEGERS)
        y, op = self.operand_for(x), self.one_of(["Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean"])
        if x.dtype in INTEGERS and op in ("Sum", "Mean", "Mul"):
            op = "Add"
        self.add(op, [x, y] if self.chance(50) else [y, x], x.exact and y.exact and op in ("Max", "Min") or x.dtype != FLOAT)

    def make_quotient(self):
        y = self.add("Add", [self.add("Abs", [self.real()], False)[0], self.constant(FLOAT(1))], False)[0]
        self.add("Div", [self.real(), y], False)

    def make_integer_quotient(self):
        x = self.any(lambda v: v.dtype in INTEGERS)
        self.add(self.one_of(["Div", "Mod"]), [x, self.constant(numpy.asarray(self.pick(1, 5), x.dtype))], True)

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
        fits = lambda v: v.dtype == x.dtype and v.rank == x.rank and all(
            a == b for d, (a, b) in enumerate(zip(v.shape, x.shape)) if d != axis % x.rank)
        parts = [self.any(fits) for _ in range(self.pick(1, 3))]
        self.add("Concat", [x, *parts], x.exact and all(p.exact for p in parts), axis=axis)

    def make_split(self):
        x = self.any(lambda v: v.rank and max(v.shape) > 1)
        axis = self.one_of([d for d, s in enumerate(x.shape) if s > 1])
        first = self.pick(1, x.shape[axis] - 1)
        self.add("Split", [x, self.ints([first, x.shape[axis] - first])], x.exact, outputs=2, axis=axis)

    def make_pad(self):
        x = self.any(lambda v: v.rank and v.dtype == FLOAT)
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
        x = self.any(lambda v: v.rank == 4 and v.dtype == FLOAT)
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
        x = self.any(lambda v: v.dtype == FLOAT and v.rank in (3, 4))
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
        x = self.any(lambda v: v.dtype == FLOAT and v.rank in (3, 4))
        if self.chance(20):
            made = self.add(self.one_of(["GlobalAveragePool", "GlobalMaxPool"]), [x], False)[0]
            if made.rank != x.rank:  # an error of onnx's evaluator
                raise Rejected
            return
        kernel = [self.pick(1, 3) for _ in range(x.rank - 2)]
        attributes = {"kernel_shape": kernel, "strides": [self.pick(1, 2) for _ in kernel],
                      "pads": [self.pick(0, k - 1) for k in kernel * 2]}
        if self.chance(50):
            made = self.add("MaxPool", [x], x.exact, **attributes)[0]
            pads = attributes["pads"]
            sizes = [(n + a + b - k) // s + 1 for n, a, b, k, s in
                     zip(x.shape[2:], pads, pads[len(kernel):], kernel, attributes["strides"])]
            if list(made.shape[2:]) != sizes:  # an error of onnx's evaluator
                raise Rejected
        else:
            self.add("AveragePool", [x], False, count_include_pad=self.pick(0, 1), **attributes)

    def make_resize(self):
        x = self.real(rank=4)
        scales = self.constant(FLOAT([1, 1, self.one_of([1, 2, 3]), self.one_of([1, 2, 3])]))
        mode = self.one_of(["nearest", "linear"])
        self.add("Resize", [x, None, scales], x.exact and mode == "nearest", mode=mode,
                 coordinate_transformation_mode=self.one_of(["half_pixel", "asymmetric", "align_corners"]))
