"""Steps of the generator of random models: sorting and picking, sampling, recurrent layers, control flow."""

import numpy
from onnx import TensorProto, helper
from random_core import FLOAT, Rejected


class Layers:
    """Mixed into random_core.Growth."""

    # -- sorting and picking

    def make_largest(self):
        x = self.real(exact=True)
        axis = self.axis(x)
        self.add("TopK", [x, self.ints([self.pick(1, x.shape[axis])])], True, outputs=2, axis=axis, largest=self.pick(0, 1))

    def make_places(self):
        """Where data say how much there is."""
        x = self.any(lambda v: v.exact and v.rank and v.array.size)
        op = self.one_of(["NonZero", "Compress", "Unique"])
        if op == "NonZero":
            self.add(op, [x], True, sized=False)
        elif op == "Compress":
            axis = self.axis(x)
            keep = self.add("Greater", [self.real(rank=1, exact=True), self.constant(FLOAT(0))], True)[0]
            if keep.shape[0] > x.shape[axis]:
                raise Rejected
            self.add(op, [x, keep], True, sized=False, axis=axis)
        else:
            if x.dtype == bool:
                raise Rejected
            self.add(op, [x], True, outputs=self.pick(1, 4), sized=False, sorted=1)

    def make_of_places(self):
        x = self.any(lambda v: v.rank, sized=False)
        op = self.one_of(["Cast", "Transpose", "ReduceMax", "Add", "Shape", "Concat"])
        if op == "Cast":
            self.add(op, [x], x.exact, to=TensorProto.FLOAT)
        elif op == "Add":
            if x.dtype == bool:
                raise Rejected
            self.add(op, [x, self.constant(numpy.asarray(2, x.dtype))], x.exact)
        elif op == "ReduceMax":
            if x.dtype not in (FLOAT, numpy.int64):
                raise Rejected
            self.add(op, [x, self.ints([self.axis(x)])], x.exact)
        elif op == "Concat":
            self.add(op, [x, x], x.exact, axis=self.axis(x))
        else:
            self.add(op, [x], x.exact)

    def make_one_hot(self):
        x = self.any(lambda v: v.dtype in (numpy.int32, numpy.int64) and v.rank < 4)
        depth = self.constant(numpy.int64(self.pick(2, 5)))
        self.add("OneHot", [x, depth, self.constant(FLOAT([0, 1.5]))], True, axis=self.pick(-x.rank - 1, x.rank))

    def make_scatter(self):
        x = self.any(lambda v: v.dtype == FLOAT and v.rank)
        axis = self.pick(0, x.rank - 1)
        if self.chance(50):
            count = self.pick(1, x.shape[axis])
            shape = list(x.shape)
            shape[axis] = count
            order = numpy.argsort(self.random.random([*shape[:axis], x.shape[axis], *shape[axis + 1:]]), axis=axis)
            indices = numpy.take(order, range(count), axis=axis)
            reduction = self.one_of(["none", "add", "mul", "max", "min"])
            self.add("ScatterElements", [x, self.ints(indices), self.constant(self.grid(shape))],
                     x.exact and reduction in ("none", "max", "min"), axis=axis, reduction=reduction)
        else:
            rows = self.random.permutation(x.shape[0])[: self.pick(1, x.shape[0])].reshape(-1, 1)
            self.add("ScatterND", [x, self.ints(rows), self.constant(self.grid([len(rows), *x.shape[1:]]))], x.exact,
                     reduction=self.one_of(["none", "max"]))

    def make_gather_nd(self):
        x = self.any(lambda v: v.rank >= 2)
        depth = self.pick(1, 2)
        places = numpy.stack([self.random.integers(0, s, [self.pick(1, 3)] * 1 + [2])[:1].repeat(2, 0)[:, 0] for s in x.shape[:depth]], -1)
        self.add("GatherND", [x, self.ints(places)], x.exact)

    def make_order(self):
        x = self.any(lambda v: v.rank >= 2)
        op = self.one_of(["ReverseSequence", "Trilu", "EyeLike", "Hardmax"])
        if op == "ReverseSequence":
            self.add(op, [x, self.ints(self.random.integers(1, x.shape[0] + 1, x.shape[1]))], x.exact, time_axis=0, batch_axis=1)
        elif op == "Trilu":
            self.add(op, [x, self.constant(numpy.int64(self.pick(-2, 2)))], x.exact, upper=self.pick(0, 1))
        elif op == "EyeLike":
            self.add(op, [self.any(lambda v: v.rank == 2)], True, k=self.pick(-1, 1))
        else:
            x = self.real(exact=True)
            self.add(op, [x], True, axis=self.axis(x))

    def make_boxes(self):
        count = self.pick(3, 8)
        corners = numpy.sort(self.random.permutation(4 * count).reshape(count, 2, 2), axis=1)
        boxes = self.constant(corners.reshape(1, count, 4).astype(FLOAT))
        scores = self.add("Softmax", [self.real(rank=1)], False)[0]
        limits = [self.constant(numpy.asarray([v], t)) for v, t in
                  ((self.pick(1, 4), numpy.int64), (self.random.integers(1, 8) / 16 + 0.01, FLOAT))]
        order = self.constant(self.random.permutation(count).reshape(1, 1, count).astype(FLOAT))
        # scores of the model would tie or nearly tie: an order is given, the model's first score only moves them all
        first = self.add("Slice", [scores, self.ints([0]), self.ints([1])], False)[0]
        self.add("NonMaxSuppression", [boxes, self.add("Add", [order, first], False)[0], *limits], True, sized=False)

    # -- functions over slices

    def make_norm(self):
        x = self.real()
        op = self.one_of(["LpNormalization", "LRN", "MeanVarianceNormalization", "GroupNormalization", "GlobalLpPool", "LpPool",
                          "ReduceProd", "ReduceLogSum"])
        if op == "LpNormalization":
            self.add(op, [self.add("Exp", [self.add("Tanh", [x], False)[0]], False)[0]], False, axis=self.axis(x), p=self.pick(1, 2))
        elif op in ("ReduceProd", "ReduceLogSum"):
            x = self.add("Add", [self.add("Abs", [x], False)[0], self.constant(FLOAT(0.5))], False)[0]
            self.add(op, [x, self.ints([self.axis(x)])], False, keepdims=self.pick(0, 1))
        elif x.rank != 4:
            raise Rejected
        elif op == "LRN":
            self.add(op, [x], False, size=self.one_of([1, 3, 5]), bias=2.0)
        elif op == "GroupNormalization":
            groups = self.one_of([g for g in range(1, x.shape[1] + 1) if x.shape[1] % g == 0])
            self.add(op, [x, *(self.constant(self.grid([x.shape[1]])) for _ in range(2))], False, num_groups=groups, epsilon=0.1)
        elif op == "LpPool":
            self.add(op, [x], False, kernel_shape=[self.pick(1, 2), self.pick(1, 2)], p=2)
        elif op == "GlobalLpPool":
            self.add(op, [x], False, p=2)
        else:
            self.add(op, [self.add("Add", [x, self.constant(self.grid(x.shape))], False)[0]], False)

    def make_slope(self):
        x = self.real()
        if self.chance(50):
            self.add("PRelu", [x, self.constant(self.grid(x.shape[-1:]))], False)
        else:
            self.add("Shrink", [self.real(exact=True)], True, lambd=0.5, bias=0.25)

    def make_power(self):
        base = self.add("Add", [self.add("Abs", [self.real()], False)[0], self.constant(FLOAT(0.5))], False)[0]
        exponent = self.one_of([0.5, 2, 3, -1, 1.5, self.grid(base.shape[-1:]) / 2])
        self.add("Pow", [base, self.constant(numpy.asarray(exponent, FLOAT))], False)

    # -- sampling

    def make_sample(self):
        x = self.real(rank=4)
        mode, padding = self.one_of(["linear", "cubic"]), self.one_of(["zeros", "border", "reflection"])
        shape = [x.shape[0], self.pick(1, 4), self.pick(1, 4), 2]
        # Where a cubic curve leaves the border, PyTorch and ONNX Runtime have one opinion, onnx's evaluator another.
        reach = 1 if mode == "cubic" else 1.1
        if mode == "cubic" or self.chance(50):
            grid = self.constant((reach * (self.random.random(shape) * 2 - 1)).astype(FLOAT))
        else:
            theta = self.constant(self.grid([x.shape[0], 2, 3]) / 4)
            grid = self.add("AffineGrid", [theta, self.ints([x.shape[0], x.shape[1], *shape[1:3]])], False)[0]
        self.add("GridSample", [x, grid], False, mode=mode, align_corners=self.pick(0, 1), padding_mode=padding)

    def make_region(self):
        x = self.real(rank=4)
        count = self.pick(1, 3)
        corners = numpy.sort(self.random.random([count, 2, 2]) * 6, axis=1).reshape(count, 4).astype(FLOAT)
        batch = self.ints(self.random.integers(0, x.shape[0], count))
        self.add("RoiAlign", [x, self.constant(corners), batch], False, output_height=self.pick(1, 3), output_width=self.pick(1, 3),
                 sampling_ratio=self.pick(1, 2))

    def make_window_of_windows(self):
        x = self.real(rank=4)
        op = self.one_of(["Col2Im", "DeformConv", "CenterCropPad", "Resize"])
        if op == "Col2Im":
            kernel = [self.pick(1, 2), self.pick(1, 2)]
            image = [self.pick(2, 4), self.pick(2, 4)]
            blocks = (image[0] - kernel[0] + 1) * (image[1] - kernel[1] + 1)
            columns = self.constant(self.grid([1, 2 * kernel[0] * kernel[1], blocks]))
            self.add(op, [columns, self.ints(image), self.ints(kernel)], False)
        elif op == "DeformConv":
            if min(x.shape[2:]) < 2:
                raise Rejected
            w = self.constant(self.grid([2, x.shape[1], 2, 2]))
            size = [x.shape[2] - 1, x.shape[3] - 1]
            offset = self.constant((self.random.random([x.shape[0], 8, *size]) - 0.4).astype(FLOAT))
            self.add(op, [x, w, offset], False, kernel_shape=[2, 2])
        elif op == "CenterCropPad":
            self.add(op, [x, self.ints([self.pick(1, 6), self.pick(1, 6)])], x.exact, axes=[2, 3])
        else:
            sizes = self.ints([*x.shape[:2], self.pick(1, 9), self.pick(1, 9)])
            self.add(op, [x, None, None, sizes], False, mode=self.one_of(["linear", "cubic"]),
                     coordinate_transformation_mode=self.one_of(["half_pixel", "align_corners", "pytorch_half_pixel"]))

    # -- recurrent layers

    def make_recurrent(self):
        x = self.real(rank=3)
        op, gates = self.one_of([("RNN", 1), ("GRU", 3), ("LSTM", 4)])
        hidden, both = self.pick(1, 4), self.chance(30)
        directions = 2 if both else 1
        w = self.constant(self.grid([directions, gates * hidden, x.shape[2]]) / 4)
        r = self.constant(self.grid([directions, gates * hidden, hidden]) / 4)
        operands = [x, w, r]
        if self.chance(50):
            operands.append(self.constant(self.grid([directions, 2 * gates * hidden])))
        attributes = {"hidden_size": hidden, "direction": "bidirectional" if both else self.one_of(["forward", "reverse"])}
        if op == "GRU":
            attributes["linear_before_reset"] = self.pick(0, 1)
        self.add(op, operands, False, outputs=3 if op == "LSTM" else 2, **attributes)

    # -- control flow

    def body(self, name, nodes, inputs, outputs):
        info = lambda v: helper.make_tensor_value_info(*v)
        return helper.make_graph(nodes, name, [info(v) for v in inputs], [info(v) for v in outputs])

    def make_branches(self):
        x = self.real()
        source = self.real(exact=True)
        total = self.add("ReduceMax", [source], True, keepdims=0)[0]
        condition = self.add("Less", [total, self.constant(self.grid(()))], True)[0]
        name = f"{self.prefix}b{len(self.nodes)}"
        y = lambda k: (f"{name}_{k}", TensorProto.FLOAT, list(x.shape))
        ops = [self.one_of(["Neg", "Abs", "Relu", "Tanh", "Identity"]) for _ in range(2)]
        branches = [self.body(f"{name}_{k}", [helper.make_node(op, [x.name], [f"{name}_{k}"])], [], [y(k)]) for k, op in enumerate(ops)]
        self.add("If", [condition], False, reads=[x], then_branch=branches[0], else_branch=branches[1])

    def make_loop(self):
        x = self.real()
        name = f"{self.prefix}b{len(self.nodes)}"
        state = [TensorProto.FLOAT, list(x.shape)]
        half = self.constant(FLOAT(0.5))
        nodes = [helper.make_node("Identity", [f"{name}_go"], [f"{name}_on"]),
                 helper.make_node("Mul", [f"{name}_x", half.name], [f"{name}_half"]),
                 helper.make_node(self.one_of(["Add", "Sub", "Max"]), [f"{name}_half", x.name], [f"{name}_y"])]
        inputs = [(f"{name}_i", TensorProto.INT64, []), (f"{name}_go", TensorProto.BOOL, []), (f"{name}_x", *state)]
        outputs = [(f"{name}_on", TensorProto.BOOL, []), (f"{name}_y", *state)]
        kept = self.chance(40)
        if kept:
            nodes.append(helper.make_node("Identity", [f"{name}_half"], [f"{name}_kept"]))
            outputs.append((f"{name}_kept", *state))
        trips = self.constant(numpy.int64(self.pick(1, 4)))
        made = self.add("Loop", [trips, self.constant(numpy.bool_(True)), x], False, outputs=2 if kept else 1, reads=[x, half],
                        body=self.body(name, nodes, inputs, outputs))
        for stacked in made[1:]:  # onnx's evaluator concatenates where the specification stacks
            stacked.array = stacked.array.reshape(-1, *x.shape)

    def make_scan(self):
        x = self.any(lambda v: v.dtype == FLOAT and v.rank >= 2)
        name = f"{self.prefix}b{len(self.nodes)}"
        row = [TensorProto.FLOAT, list(x.shape[1:])]
        nodes = [helper.make_node("Add", [f"{name}_s", f"{name}_x"], [f"{name}_sum"]),
                 helper.make_node("Mul", [f"{name}_sum", f"{name}_x"], [f"{name}_y"])]
        body = self.body(name, nodes, [(f"{name}_s", *row), (f"{name}_x", *row)], [(f"{name}_sum", *row), (f"{name}_y", *row)])
        start = self.constant(self.grid(x.shape[1:]))
        self.add("Scan", [start, x], False, outputs=2, num_scan_inputs=1, body=body)
