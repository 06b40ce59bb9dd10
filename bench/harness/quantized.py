"""Networks of 8-bit codes with QuantizeLinear and DequantizeLinear (QDQ), made by ONNX Runtime's quantizer.

Activations u8 per tensor, weights s8 per channel, ranges from a few inputs: made to compare speed, not accuracy.
"""
import logging

import numpy

SAMPLES = 4
HEAD = ("Concat", "Mul", "Add", "Sub", "Div", "Sigmoid", "Softmax", "Reshape", "Transpose", "Slice", "Split")
"""What a detector's decoding consists of: boxes and scores of very different ranges, left in floats."""


def samples(feeds):
    """The inputs and random ones of the same range."""
    generator = numpy.random.default_rng(1)
    yield feeds
    for _ in range(SAMPLES - 1):
        yield {name: (generator.random(value.shape) * (value.max() - value.min()) + value.min()).astype(value.dtype)
               for name, value in feeds.items()}


def decoding(model):
    """The names of the nodes behind the last convolution and the few before it that only a detector's decoding has."""
    nodes = list(model.graph.node)
    last = max((i for i, node in enumerate(nodes) if node.op_type == "Conv"), default=len(nodes))
    return [node.name for i, node in enumerate(nodes) if i > last and node.op_type in HEAD]


OPSET = 13
"""The first in which scales may be per channel."""


def modern(path):
    """The model of a file, of a sufficient version; constants are no inputs, which would keep engines from folding."""
    import onnx
    import onnx.version_converter

    model = onnx.load(path)
    known = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in known]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    old = any(entry.domain in ("", "ai.onnx") and entry.version < OPSET for entry in model.opset_import)
    model.ir_version = max(model.ir_version, 8)
    return onnx.version_converter.convert_version(model, OPSET) if old else model


def make_nncf(source, target, feeds):
    """Writes what NNCF makes of the file `source` for OpenVINO, an .xml file."""
    import nncf
    import openvino

    model = openvino.Core().read_model(str(source))
    model.reshape({name: list(value.shape) for name, value in feeds.items()})
    made = nncf.quantize(model, nncf.Dataset(list(samples(feeds))), subset_size=SAMPLES)
    openvino.save_model(made, str(target), compress_to_fp16=False)


def save_samples(target, feeds):
    """Writes the samples for compile-model --calibration: rows of each input."""
    rows = list(samples(feeds))
    numpy.savez(target, **{name: numpy.concatenate([row[name] for row in rows]) for name in feeds})


def make(source, target, feeds):
    """Writes the quantized form of the file `source`."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rest = samples(feeds)

        def get_next(self):
            return next(self.rest, None)

    logging.getLogger().setLevel(logging.ERROR)
    prepared = target.with_suffix(".prepared.onnx")
    onnx.save(modern(source), prepared)
    quant_pre_process(str(prepared), str(prepared), skip_symbolic_shape=True)
    quantize_static(str(prepared), str(target), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                    calibrate_method=CalibrationMethod.MinMax, nodes_to_exclude=decoding(onnx.load(prepared)))
    prepared.unlink()
