"""The node tests of the onnx package that concern vision inference, with shape operands as constants."""

import functools
import re
import warnings
from collections import defaultdict

import numpy
import onnx
from onnx import TensorProto, numpy_helper

CORE_TYPES = {TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL}
# Operands that fix the sizes of the output (or which code computes it): deployed models have them as constants.
SHAPE_OPERANDS = {
    "Reshape": [1], "Expand": [1], "Slice": [1, 2, 3, 4], "Pad": [1, 2, 3], "Resize": [1, 2, 3], "Upsample": [1],
    "Tile": [1], "ConstantOfShape": [0], "Range": [0, 1, 2], "OneHot": [1], "Squeeze": [1], "Unsqueeze": [1],
    "Split": [1], "Trilu": [1], "MaxUnpool": [2], "Col2Im": [1, 2], "CumSum": [1], "CumProd": [1], "Clip": [1, 2], "TopK": [1], "CenterCropPad": [1],
    "AffineGrid": [1], "ReduceSum": [1], "ReduceMax": [1], "ReduceMin": [1], "ReduceMean": [1], "ReduceProd": [1],
    "ReduceL1": [1], "ReduceL2": [1], "ReduceLogSum": [1], "ReduceLogSumExp": [1], "ReduceSumSquare": [1],
}


def operator_of(case):
    """The operator a case tests: of its only node, or by its name where it is expanded to several."""
    nodes = case.model.graph.node
    return nodes[0].op_type if len(nodes) == 1 else re.sub(r"_expanded.*", "", case.name)


def is_core(case):
    graph = case.model.graph
    values = [*graph.input, *graph.output]
    return all(v.type.HasField("tensor_type") and v.type.tensor_type.elem_type in CORE_TYPES for v in values) and all(
        n.domain == "" for n in graph.node)


def frozen(case):
    """The model with shape operands as initializers, and the first data set without them."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs, outputs = case.data_sets[0]
    names = [v.name for v in model.graph.input]
    fixed = {n.input[k] for n in model.graph.node for k in SHAPE_OPERANDS.get(n.op_type, []) if k < len(n.input)}
    kept = []
    for name, array in zip(names, inputs):
        if name in fixed:
            model.graph.initializer.append(numpy_helper.from_array(numpy.asarray(array), name))
        else:
            kept.append(numpy.asarray(array))
    values = [v for v in model.graph.input if v.name not in fixed]
    del model.graph.input[:]
    model.graph.input.extend(values)
    return model, kept, [numpy.asarray(o) for o in outputs]


@functools.cache
def cases():
    """{operator: its cases}, for operators of one node."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [c for c in load_model_tests(kind="node") if c.model is not None and is_core(c)]
    by_operator = defaultdict(list)
    for case in found:
        if len(case.model.graph.node) == 1:
            by_operator[operator_of(case)].append(case)
    return dict(by_operator)
