"""Quantized twins of float models, good ones and ones that are broken in one known place."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

CONTRACTIONS = ("Conv", "Gemm")


def with_all_outputs(model):
    """The model with every value of a node as a further output."""
    made = onnx.ModelProto()
    made.CopyFrom(onnx.shape_inference.infer_shapes(model))
    known = {o.name for o in made.graph.output}
    for value in made.graph.value_info:
        if value.name not in known and value.type.tensor_type.elem_type == TensorProto.FLOAT:
            made.graph.output.append(value)
    return made


def runner(model):
    """The model as ONNX Runtime computes it: a function from inputs to {output: array}."""
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(names, feed)))


def ranges_of(run, feeds):
    """{value: (least, most)} over feeds; `run` is a function from one feed to {value: array}."""
    ranges = {}
    for feed in feeds:
        for name, value in {**feed, **run(feed)}.items():
            low, high = ranges.get(name, (0.0, 0.0))
            ranges[name] = (min(low, float(value.min())), max(high, float(value.max())))
    return ranges


def quantized(model, ranges, shared=(), scales=None, per_tensor=(), weight_factor=None, bias_limit=()):
    """The model with QuantizeLinear and DequantizeLinear around every value of `ranges` that a node reads or makes.

    Activations are u8 per tensor over their range, weights i8 per channel, biases i32. What can be broken:
    shared: a sequence of values that all get the scale of the widest; scales: {value: factor on its scale};
    per_tensor: contractions, by result, whose weights share one scale; weight_factor: {result: factor that the weights'
    scales are wrong by}; bias_limit: results whose bias is saturated to 2**31 - 1.
    """
    scales, weight_factor = scales or {}, weight_factor or {}
    made = onnx.ModelProto()
    made.CopyFrom(model)
    constants = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    readers = {name for node in made.graph.node for name in node.input}
    outputs = {o.name for o in made.graph.output}
    nodes, parameters, coded = [], {}, {}

    def constant(name, value):
        if name not in constants:
            made.graph.initializer.append(numpy_helper.from_array(value, name))
            constants[name] = value
        return name

    def pair(value, result):
        low, high = ranges[value]
        if value in shared:
            low, high = min(ranges[v][0] for v in shared), max(ranges[v][1] for v in shared)
        scale = np.float32(max(high - low, 1e-6) / 255)
        zero = np.uint8(np.clip(round(-low / scale), 0, 255))
        scale = np.float32(scale * scales.get(value, 1))
        operands = [constant(f"{value}_scale", np.array(scale)), constant(f"{value}_zero_point", np.array(zero))]
        nodes.append(helper.make_node("QuantizeLinear", [value, *operands], [f"{value}_quantized"], name=f"{value}_QuantizeLinear"))
        nodes.append(helper.make_node("DequantizeLinear", [f"{value}_quantized", *operands], [result], name=f"{value}_DequantizeLinear"))
        parameters[value] = float(scale)
        coded[value] = result

    def weights(node):
        name, result = node.input[1], node.output[0]
        w = constants[name]
        axis = 1 if node.op_type == "Gemm" and not any(a.name == "transB" and a.i for a in node.attribute) else 0
        others = tuple(d for d in range(w.ndim) if d != axis)
        largest = np.abs(w).max() if result in per_tensor else np.abs(w).max(axis=others)
        scale = np.maximum(largest, 1e-12) / 127
        shape = [1] * w.ndim
        shape[axis] = -1
        codes = np.clip(np.round(w / np.reshape(scale, shape if scale.ndim else [])), -127, 127).astype(np.int8)
        stated = (scale * weight_factor.get(result, 1)).astype(np.float32)
        operands = [constant(f"{name}_quantized", codes), constant(f"{name}_scale", stated),
                    constant(f"{name}_zero_point", np.zeros(scale.shape, np.int8))]
        nodes.append(helper.make_node("DequantizeLinear", operands, [f"{name}_DequantizeLinear_Output"], name=f"{name}_DequantizeLinear",
                                      **({"axis": axis} if scale.ndim else {})))
        node.input[1] = f"{name}_DequantizeLinear_Output"
        return scale

    def bias(node, factor):
        name, result = node.input[2], node.output[0]
        scale = np.broadcast_to(factor, constants[name].shape).astype(np.float32)
        codes = np.round(constants[name] / scale.astype(np.float64))
        if result in bias_limit:
            codes[np.abs(codes).argmax()] = 2**31 - 1
        codes = np.clip(codes, -2**31, 2**31 - 1).astype(np.int32)
        operands = [constant(f"{name}_quantized", codes), constant(f"{name}_scale", scale),
                    constant(f"{name}_zero_point", np.zeros(scale.shape, np.int32))]
        nodes.append(helper.make_node("DequantizeLinear", operands, [f"{name}_DequantizeLinear_Output"], name=f"{name}_DequantizeLinear",
                                      axis=0))
        node.input[2] = f"{name}_DequantizeLinear_Output"

    for value in made.graph.input:
        if value.name in ranges and value.name in readers:
            pair(value.name, f"{value.name}_DequantizeLinear_Output")
    for node in made.graph.node:
        original = list(node.input)
        for i, name in enumerate(original):
            if name in coded:
                node.input[i] = coded[name]
        if node.op_type in CONTRACTIONS and original[1] in constants:
            scale = weights(node)
            if len(original) > 2 and original[0] in parameters:
                bias(node, np.asarray(scale, np.float64) * parameters[original[0]])
        nodes.append(node)
        for value in node.output:
            if value not in ranges:
                continue
            if value in outputs:  # the output keeps its name behind the codes
                node.output[list(node.output).index(value)] = f"{value}_QuantizeLinear_Input"
                ranges[f"{value}_QuantizeLinear_Input"] = ranges[value]
                if value in shared:
                    shared = (*shared, f"{value}_QuantizeLinear_Input")
                if value in scales:
                    scales = {**scales, f"{value}_QuantizeLinear_Input": scales[value]}
                pair(f"{value}_QuantizeLinear_Input", value)
                coded[value] = value
            elif value in readers:
                pair(value, f"{value}_DequantizeLinear_Output")
    kept = [n for n in nodes]
    del made.graph.node[:]
    made.graph.node.extend(kept)
    used = {name for node in made.graph.node for name in node.input}
    initializers = [t for t in made.graph.initializer if t.name in used]
    del made.graph.initializer[:]
    made.graph.initializer.extend(initializers)
    del made.graph.value_info[:]
    return made
