"""Real quantized networks against ONNX Runtime: every layer on its own within one step, the answer the same."""
import numpy as np
import pytest

import planish
from real_models import MODELS, golden, needed

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

NAMES = ["pcb_cnn_int8qdq", "mobilenet_v2_qdq_maui", "nanodet_m_416_int8"]

pytestmark = needed


def runtime(model):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(model, feeds):
    session = runtime(model.SerializeToString())
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


def codes_of(model):
    """Names of the values that are codes because a node makes them so."""
    constants = {t.name for t in model.graph.initializer}
    return [n.output[0] for n in model.graph.node
            if (n.op_type == "QuantizeLinear" or n.op_type.startswith("QLinear")) and n.input[0] not in constants]


def with_outputs(model, names):
    made = onnx.ModelProto()
    made.CopyFrom(model)
    known = {o.name for o in model.graph.output}
    for name in names:
        if name not in known:
            made.graph.output.append(onnx.ValueInfoProto(name=name))
    return made


def cut(model, values):
    """Every layer on its own: whoever reads a value of `values` reads an input `<name>_given` instead."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for node in made.graph.node:
        for i, name in enumerate(node.input):
            if name in values:
                node.input[i] = name + "_given"
    del made.graph.output[:]
    for name, value in values.items():
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        made.graph.input.append(onnx.helper.make_tensor_value_info(name + "_given", kind, value.shape))
        made.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, value.shape))
    return made


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_is_within_a_step(name, tmp_path):
    model = onnx.load(MODELS / f"{name}.onnx")
    feeds, _ = golden().load(name)
    codes = codes_of(model)
    assert len(codes) > 5
    found = run(with_outputs(model, codes), feeds)
    values = {c: found[c] for c in codes}
    onnx.save(cut(model, values), tmp_path / "cut.onnx")
    given = {**feeds, **{c + "_given": v for c, v in values.items()}}
    planish.compile(str(tmp_path / "cut.onnx"), out=str(tmp_path / "out"), shapes={k: list(v.shape) for k, v in feeds.items()})
    net = planish.load(str(tmp_path / "out"))
    outputs = net({k: v for k, v in given.items() if k in {i.name for i in net.inputs}})
    for code, value in values.items():
        steps = np.abs(outputs[code].astype(int) - value.astype(int))
        assert steps.max(initial=0) <= 1, code
        assert (steps > 0).mean() <= 0.001, code


# The detector's maps have no one answer: it multiplies one code's step, a tie of one sum, into half of all codes.
@pytest.mark.parametrize("name", NAMES[:2])
def test_answer(name, tmp_path):
    feeds, expected = golden().load(name)
    planish.compile(str(MODELS / f"{name}.onnx"), out=str(tmp_path / "out"), shapes={k: list(v.shape) for k, v in feeds.items()})
    outputs = planish.load(str(tmp_path / "out"), threads=2)(feeds)
    reference = run(onnx.load(MODELS / f"{name}.onnx"), feeds)
    for tensor, want in reference.items():
        assert outputs[tensor].shape == want.shape
        assert outputs[tensor].argmax() == want.argmax(), tensor
        assert np.abs(outputs[tensor] - want).max() <= 0.02 * np.abs(want).max(), tensor


@pytest.mark.parametrize("name", NAMES)
def test_other_targets_give_the_same_bytes(name, tmp_path):
    feeds, _ = golden().load(name)

    def answer(target, threads):
        out = str(tmp_path / f"{target.replace(':', '_')}_{threads}")
        planish.compile(str(MODELS / f"{name}.onnx"), out=out, target=target, shapes={k: list(v.shape) for k, v in feeds.items()})
        return {k: v.tobytes() for k, v in planish.load(out, threads=threads)(feeds).items()}

    assert answer("cpu", 2) == answer("cpu:x86-64-v2", 1)
