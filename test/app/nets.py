"""Small ONNX models made here: each a function that returns the model."""

import numpy
from onnx import TensorProto, helper, numpy_helper


def model(nodes, inputs, outputs, constants=None, opset=17):
    """`nodes` are (operator, operands, result, attributes); names of nodes are those of their results."""
    made = [helper.make_node(op, operands, [result], name=f"node_{result}", **attributes)
            for op, operands, result, attributes in nodes]
    graph = helper.make_graph(
        made, "g", [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])


def weights(seed, *shape):
    scale = (2 / max(1, numpy.prod(shape[1:]))) ** 0.5
    return (numpy.random.default_rng(seed).standard_normal(shape) * scale).astype(numpy.float32)


def stem(shape=(1, 3, 11, 13)):
    """Convolution, sigmoid, pooling."""
    return model([("Conv", ["x", "w", "b"], "c", {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
                  ("Sigmoid", ["c"], "s", {}),
                  ("MaxPool", ["s"], "y", {"kernel_shape": [2, 2], "strides": [1, 1]})],
                 {"x": list(shape)}, ["y"], {"w": weights(1, 8, 3, 3, 3), "b": weights(2, 8)})


def two_ended(shape=(1, 8, 12, 12)):
    """Two inputs, a residual sum, concatenation, a head of its own; two outputs."""
    return model([("Conv", ["x", "w"], "c", {"pads": [1, 1, 1, 1]}), ("Add", ["c", "x"], "sum", {}),
                  ("Relu", ["sum"], "r", {}), ("Concat", ["r", "side"], "map", {"axis": 1}),
                  ("GlobalAveragePool", ["map"], "g", {}), ("Flatten", ["g"], "f", {}),
                  ("Gemm", ["f", "m", "b"], "scores", {})],
                 {"x": list(shape), "side": [shape[0], 4, *shape[2:]]}, ["map", "scores"],
                 {"w": weights(3, 8, 8, 3, 3), "m": weights(4, 12, 5), "b": weights(5, 5)})


def backbone():
    """Free batch, height and width: strided convolution, pooling, residual, concatenation, upsampling."""
    return model([("Conv", ["x", "w", "b"], "c", {"pads": [1, 1, 1, 1], "strides": [2, 2]}), ("Relu", ["c"], "r", {}),
                  ("MaxPool", ["r"], "p", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
                  ("Conv", ["p", "w2"], "d", {"pads": [1, 1, 1, 1], "group": 8}),
                  ("Conv", ["d", "w3"], "e", {}), ("Add", ["e", "p"], "res", {}),
                  ("Concat", ["res", "p"], "cat", {"axis": 1}),
                  ("Resize", ["cat", "", "scales"], "up", {"mode": "nearest"})],
                 {"x": ["n", 3, "h", "w"]}, ["cat", "up"],
                 {"w": weights(6, 8, 3, 3, 3), "b": weights(7, 8), "w2": weights(8, 8, 1, 3, 3),
                  "w3": weights(9, 8, 8, 1, 1), "scales": numpy.array([1, 1, 2, 2], numpy.float32)})


def classifier():
    """Free batch, height and width; a head whose size is fixed by global average pooling."""
    return model([("Conv", ["x", "w"], "c", {"pads": [1, 1, 1, 1], "strides": [2, 2]}), ("Relu", ["c"], "r", {}),
                  ("GlobalAveragePool", ["r"], "g", {}), ("Reshape", ["g", "rows"], "f", {}),
                  ("MatMul", ["f", "m"], "l", {}), ("Softmax", ["l"], "y", {"axis": -1})],
                 {"x": ["n", 3, "h", "w"]}, ["y"],
                 {"w": weights(10, 16, 3, 3, 3), "rows": numpy.array([0, -1]), "m": weights(11, 16, 7)})


def flat():
    """Free batch: rows of (N, -1) into a matrix product."""
    return model([("Conv", ["x", "w"], "c", {}), ("Relu", ["c"], "r", {}), ("Reshape", ["r", "rows"], "f", {}),
                  ("MatMul", ["f", "m"], "y", {})],
                 {"x": ["n", 4, 5, 5]}, ["y"],
                 {"w": weights(12, 8, 4, 3, 3), "rows": numpy.array([0, -1]), "m": weights(13, 72, 6)})


def tokens():
    """Free height and width, made into a sequence: N,C,H,W to N,H*W,C."""
    return model([("Conv", ["x", "w"], "c", {"strides": [2, 2], "pads": [0, 0, 1, 1], "kernel_shape": [2, 2]}),
                  ("Reshape", ["c", "rows"], "f", {}), ("Transpose", ["f"], "t", {"perm": [0, 2, 1]}),
                  ("MatMul", ["t", "m"], "y", {})],
                 {"x": [1, 3, "h", "w"]}, ["y"],
                 {"w": weights(14, 8, 3, 2, 2), "rows": numpy.array([0, 0, -1]), "m": weights(15, 8, 5)})


def valid():
    """Free height and width that must be at least 3: a convolution without padding."""
    return model([("Conv", ["x", "w"], "c", {}), ("Relu", ["c"], "y", {})], {"x": [1, 3, "h", "w"]}, ["y"],
                 {"w": weights(16, 8, 3, 3, 3)})


def two_convolutions():
    """A float model of two layers."""
    return model([("Conv", ["x", "w1"], "c1", {"pads": [1, 1, 1, 1]}), ("Relu", ["c1"], "r1", {}),
                  ("Conv", ["r1", "w2"], "c2", {}), ("Relu", ["c2"], "y", {})], {"x": [1, 3, 16, 16]}, ["y"],
                 {"w1": weights(41, 8, 3, 3, 3), "w2": weights(42, 5, 8, 1, 1)})


def random_input(shape, seed=0):
    return numpy.random.default_rng(seed).random(shape, dtype=numpy.float32) - numpy.float32(0.5)


class Quantizer:
    """Builds a model with Q/DQ pairs: activations u8 or i8 per tensor, weights i8 per channel."""

    def __init__(self, seed):
        self.random = numpy.random.default_rng(seed)
        self.nodes, self.constants = [], {}

    def node(self, op, operands, result, **attributes):
        self.nodes.append((op, operands, result, attributes))
        return result

    def constant(self, name, value):
        self.constants[name] = value
        return name

    def pair(self, x, scale, zero=0, dtype=numpy.uint8):
        """x through 8 bits."""
        parameters = [self.constant(x + "_s", numpy.array(scale, numpy.float32)),
                      self.constant(x + "_z", numpy.array(zero, dtype))]
        self.node("QuantizeLinear", [x, *parameters], x + "_q")
        return self.node("DequantizeLinear", [x + "_q", *parameters], x + "_d")

    def weights(self, name, *shape):
        codes = self.random.integers(-127, 128, shape).astype(numpy.int8)
        scale = (self.random.uniform(0.5, 2, shape[0]) * 0.012 / numpy.prod(shape[1:]) ** 0.5).astype(numpy.float32)
        operands = [self.constant(name + "_q", codes), self.constant(name + "_s", scale),
                    self.constant(name + "_z", numpy.zeros(shape[0], numpy.int8))]
        return self.node("DequantizeLinear", operands, name, axis=0)

    def bias(self, name, size):
        operands = [self.constant(name + "_q", self.random.integers(-3000, 3000, size).astype(numpy.int32)),
                    self.constant(name + "_s", numpy.full(size, 0.0002, numpy.float32)),
                    self.constant(name + "_z", numpy.zeros(size, numpy.int32))]
        return self.node("DequantizeLinear", operands, name, axis=0)

    def conv(self, x, name, inputs, outputs, kernel, group=1, **attributes):
        w = self.weights(name + "_w", outputs, inputs // group, kernel, kernel)
        pads = [kernel // 2] * 4
        return self.node("Conv", [x, w, self.bias(name + "_b", outputs)], name, pads=pads, group=group, **attributes)


def quantized_conv(shape):
    """One quantized convolution; codes of the result as real numbers."""
    q = Quantizer(20)
    x = q.pair("x", 1 / 255)
    q.node("Identity", [q.pair(q.conv(x, "c", shape[1], 8, 3), 0.01, 120)], "y")
    return model(q.nodes, {"x": list(shape)}, ["y"], q.constants)


def quantized_net(seed=21, shape=(1, 3, 19, 17)):
    """Every integer kernel: dense, strided, depthwise and grouped convolutions with odd channels, SiLU and
    leaky ReLU by table, a residual sum, a product, pooling, concatenation, upsampling, a mean, a matrix product."""
    q = Quantizer(seed)
    x = q.pair("x", 1 / 127, 3, numpy.int8)
    stem = q.pair(q.conv(x, "stem", 3, 13, 3, strides=[2, 2]), 0.01, 117)
    gate = q.pair(q.node("Sigmoid", [stem], "gate"), 1 / 256)
    silu = q.pair(q.node("Mul", [stem, gate], "silu"), 0.007, 31)
    depthwise = q.pair(q.node("Relu", [q.conv(silu, "dw", 13, 13, 3, group=13)], "dw_relu"), 0.004)
    dense = q.pair(q.conv(depthwise, "dense", 13, 13, 1), 0.006, -5, numpy.int8)
    residual = q.pair(q.node("Add", [dense, silu], "sum"), 0.01, 90)
    pooled = q.pair(q.node("MaxPool", [residual], "pooled", kernel_shape=[2, 2], strides=[2, 2]), 0.01, 90)
    leaky = q.pair(q.node("LeakyRelu", [pooled], "leaky", alpha=0.1), 0.008, 20)
    up = q.node("Resize", [leaky, "", q.constant("up_s", numpy.array([1, 1, 2, 2], numpy.float32))], "up", mode="nearest")
    cropped = q.node("Slice", [residual, q.constant("zero", numpy.array([0, 0])),
                               q.constant("end", numpy.array([10, 8])), q.constant("axes", numpy.array([2, 3]))], "crop")
    product = q.pair(q.node("Mul", [up, cropped], "product"), 0.02, 128)
    both = q.pair(q.node("Concat", [up, product], "both", axis=1), 0.02, 120)
    head = q.pair(q.conv(both, "head", 26, 35, 3, dilations=[1, 1]), 0.02, 128)
    mean = q.pair(q.node("GlobalAveragePool", [head], "mean"), 0.01, 128)
    flat = q.pair(q.node("Flatten", [mean], "flat"), 0.01, 128)
    scores = q.node("Gemm", [flat, q.weights("fc", 7, 35), q.bias("fc_b", 7)], "logits", transB=1)
    q.node("Identity", [q.pair(scores, 0.004, 100)], "scores")
    return model(q.nodes, {"x": list(shape)}, ["head_d", "scores"], q.constants)


def quantized_forms(seed=22, shape=(1, 3, 12, 10)):
    """Integer forms beyond convolutions: means that leave padding out, linear upsampling, a transposed convolution,
    slopes by channel, padding as a node, a product of two activations. A softmax stays with real numbers."""
    q = Quantizer(seed)
    x = q.pair("x", 1 / 127, 120)
    padded = q.node("Pad", [x, q.constant("pads", numpy.array([0, 0, 1, 1, 0, 0, 1, 1]))], "padded")
    w = q.weights("stem_w", 8, 3, 3, 3)
    stem = q.pair(q.node("Conv", [q.pair(padded, 1 / 127, 120), w, q.bias("stem_b", 8)], "stem", strides=[2, 2]), 0.01, 117)
    slope = q.constant("slope", numpy.linspace(-0.4, 0.9, 8, dtype=numpy.float32).reshape(8, 1, 1))
    prelu = q.pair(q.node("PRelu", [stem, slope], "prelu"), 0.009, 100)
    mean = q.pair(q.node("AveragePool", [prelu], "mean", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1), 0.007, 90)
    up = q.pair(q.node("Resize", [mean, "", q.constant("factors", numpy.array([1, 1, 2, 2], numpy.float32))], "up", mode="linear"), 0.007, 88)
    turned = q.node("Reshape", [q.weights("turned_w", 1, 64, 2, 2), q.constant("turned_to", numpy.array([8, 8, 2, 2]))], "turned")
    wide = q.pair(q.node("ConvTranspose", [mean, turned, q.bias("turned_b", 8)], "wide", kernel_shape=[2, 2], strides=[2, 2]), 0.01, 130)
    total = q.pair(q.node("Add", [up, wide], "total"), 0.012, 110)
    rows = q.node("Reshape", [total, q.constant("rows_to", numpy.array([1, 8, -1]))], "flat")
    columns = q.node("Transpose", [rows], "columns", perm=[0, 2, 1])
    product = q.pair(q.node("MatMul", [rows, columns], "product"), 0.05, 128)
    q.node("Softmax", [product], "attention", axis=-1)
    q.node("Identity", [total], "maps")
    return model(q.nodes, {"x": list(shape)}, ["attention", "maps"], q.constants)
