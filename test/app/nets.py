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


def random_input(shape, seed=0):
    return numpy.random.default_rng(seed).random(shape, dtype=numpy.float32) - numpy.float32(0.5)
