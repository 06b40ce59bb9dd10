"""planish.compare: quantized models that are broken in one known place; it must find the place, name the cause, and the
cure must bring the accuracy back."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import quantizing
from conftest import MODELS, real_model

planish = pytest.importorskip("planish")
pytest.importorskip("planish._compiler")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/conveyor"
sys.path.insert(0, str(EXAMPLE))

import detection  # noqa: E402
import scene  # noqa: E402
from planish import __main__ as command_line  # noqa: E402
from planish.comparison import table  # noqa: E402
from parts import CLASSES  # noqa: E402

CALIBRATED, JUDGED = range(800_000, 800_008), range(810_000, 810_024)


def feeds(seeds):
    frame = detection.read_frame()
    return [{"image": detection.preprocess(scene.still(seed)[0], frame)} for seed in seeds]


def average_precision(model, unit=1, **options):
    """mAP50:95 of a model through Planish; its boxes come in `unit`-ths of a cell."""
    frame, found, truth = detection.read_frame(), [], []
    net = planish.load(planish.compile(model, **options), threads=2)
    for seed in JUDGED:
        image, annotations = scene.still(seed)
        output = net(image=detection.preprocess(image, frame))["detections"]
        output[..., :4] /= unit
        found.append(detection.decode(output, frame, 0.01))
        truth.append(annotations)
    return float(np.nanmean(detection.average_precision(found, truth, len(CLASSES))))


@pytest.fixture(scope="module")
def detector():
    """The shipped detector, its activations' ranges, samples, and the accuracy of a good int8 twin."""
    model = onnx.load(EXAMPLE / "detector.onnx")
    samples = feeds(CALIBRATED)
    ranges = quantizing.ranges_of(quantizing.runner(quantizing.with_all_outputs(model)), samples)
    ranges = coded(model, ranges)
    return model, ranges, samples, average_precision(quantizing.quantized(model, dict(ranges)))


def coded(model, ranges):
    """The ranges of what gets codes: a ReLU's codes do its work, and what is joined at the end stays real."""
    nodes = list(model.graph.node)
    concat = next(i for i, n in enumerate(nodes) if n.op_type == "Concat")
    left = {n.input[0] for n in nodes if n.op_type == "Relu"} | {v for n in nodes[concat:] for v in n.output}
    return {v: r for v, r in ranges.items() if v not in left}


def named(layer):
    return " + ".join(layer.nodes)


def check(detector, broken, node, cause, reference=True, lost=0.05, back=0.02, unit=1):
    """The worst layer is made by `node`, for `cause`; after the cure the accuracy is back."""
    model, _, samples, accuracy = detector
    floats = model if reference else None
    bad = average_precision(broken, unit)
    before = planish.compare(broken, floats, samples)
    print(f"\ngood twin {accuracy:.3f}, broken {bad:.3f}\n{table(before, 3)}")
    assert node in before.layers[0].nodes, named(before.layers[0])
    assert before.layers[0].cause == cause, before.layers[0].detail
    after = planish.compare(broken, floats, samples, repairs=before.repairs)
    mended = average_precision(broken, unit, repairs=after.repairs)
    print(f"mended {mended:.3f}, {len(after.repairs)} repairs\n{table(after, 3)}")
    assert bad < accuracy - lost and mended > accuracy - back, (accuracy, bad, mended)


def test_a_good_twin_has_no_culprit(detector):
    model, ranges, samples, accuracy = detector
    twin = quantizing.quantized(model, dict(ranges))
    found = planish.compare(twin, model, samples)
    print(table(found))
    assert found.samples == len(samples) and all(layer.matched for layer in found.layers)
    assert [(named(layer), layer.cause) for layer in found.layers if layer.cause != "none"] == []
    assert len(found.repairs) == 0
    assert accuracy > average_precision(model) - 0.07  # ranges of eight pictures, nothing more


@pytest.mark.parametrize("reference", [True, False])
def test_a_wrong_scale_in_one_layer(detector, reference):
    model, ranges, *_ = detector
    relu = [n for n in model.graph.node if n.op_type == "Relu"][4]
    broken = quantizing.quantized(model, dict(ranges), scales={relu.output[0]: 1 / 16})
    check(detector, broken, relu.name, "clipped-range", reference)


def test_a_scale_that_is_too_coarse(detector):
    model, ranges, *_ = detector
    relu = [n for n in model.graph.node if n.op_type == "Relu"][4]
    check(detector, quantizing.quantized(model, dict(ranges), scales={relu.output[0]: 60}), relu.name, "coarse-scale")


def in_pixels(model, unit):
    """The detector with boxes `unit` times as large, as detectors have them that decode in the graph."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    concat = next(i for i, n in enumerate(made.graph.node) if n.op_type == "Concat")
    boxes = made.graph.node[concat].input[0]
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(unit), "unit"))
    made.graph.node.insert(concat, onnx.helper.make_node("Mul", [boxes, "unit"], ["pixels"], name="/Pixels"))
    made.graph.node[concat + 1].input[0] = "pixels"
    return made


@pytest.mark.parametrize("already", [False, True])
def test_boxes_and_scores_with_one_scale(detector, already):
    """In the last concatenation; or, as quantizers leave them that want one scale for all that is joined, before it."""
    model, _, samples, accuracy = detector
    unit = 64
    pixels = in_pixels(model, unit)
    everything = quantizing.ranges_of(quantizing.runner(quantizing.with_all_outputs(pixels)), samples)
    concat = next(n for n in pixels.graph.node if n.op_type == "Concat")
    ranges = coded(pixels, everything) | {v: everything[v] for n in pixels.graph.node[-4:] for v in n.output if v in everything}
    shared = (*concat.input, concat.output[0]) if already else ()
    broken = quantizing.quantized(pixels, ranges, shared=shared)
    node = "/Sigmoid" if already else concat.name
    check((pixels, ranges, samples, accuracy), broken, node, "shared-scale", unit=unit)


def test_one_wide_channel_and_weights_per_tensor(detector):
    """A channel that never fires, with weights 300 times those of the others."""
    model, _, samples, _ = detector
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    conv = [n for n in wide.graph.node if n.op_type == "Conv"][3]
    constants = {t.name: t for t in wide.graph.initializer}
    for name, change in ((conv.input[1], lambda v: v * 300), (conv.input[2], lambda v: v * 0 - 1e5)):
        value = onnx.numpy_helper.to_array(constants[name]).copy()
        value[0] = change(value[0])
        constants[name].CopyFrom(onnx.numpy_helper.from_array(value, name))
    ranges = coded(wide, quantizing.ranges_of(quantizing.runner(quantizing.with_all_outputs(wide)), samples))
    broken = quantizing.quantized(wide, ranges, per_tensor=[conv.output[0]])
    accuracy = average_precision(quantizing.quantized(wide, dict(ranges)))
    check((wide, ranges, samples, accuracy), broken, conv.name, "wide-channel")


def test_a_bias_that_overflows(detector):
    model, ranges, *_ = detector
    conv = [n for n in model.graph.node if n.op_type == "Conv"][5]
    broken = quantizing.quantized(model, dict(ranges), bias_limit=[conv.output[0]])
    check(detector, broken, conv.name, "bias")


def test_weights_with_a_wrong_scale(detector):
    model, ranges, *_ = detector
    conv = [n for n in model.graph.node if n.op_type == "Conv"][6]
    broken = quantizing.quantized(model, dict(ranges), weight_factor={conv.output[0]: 3})
    check(detector, broken, conv.name, "wrong-scale")


@pytest.mark.parametrize("with_floats", [True, False])
def test_pcb_cnn(with_floats):
    path, feeds, *_ = real_model("pcb_cnn_int8qdq")
    found = planish.compare(path, MODELS / "pcb_cnn_fp32.onnx" if with_floats else None, [feeds])
    print(found)
    assert {layer.name for layer in found.layers} == {"input", "relu", "relu_1", "relu_2", "relu_3", "logits"}
    assert all(layer.matched for layer in found.layers) or not with_floats
    assert all(layer.own.sqnr > 35 for layer in found.layers)
    # One picture uses few of the codes of seven logits.
    assert {layer.name for layer in found.layers if layer.cause != "none"} <= {"logits"}
    assert found.outputs[0].error.cosine > 0.999


def test_our_own_codes(detector):
    """A float model with a profile of calibrate() next to itself."""
    model, _, samples, _ = detector
    profile = planish.calibrate(model, samples)
    found = planish.compare(model, None, samples, int8=profile)
    print(found)
    assert len(found.layers) > 8 and all(layer.own.sqnr > 20 for layer in found.layers)
    names = {n.name for n in model.graph.node}
    assert all(set(layer.nodes) <= names for layer in found.layers)
    assert found.outputs[0].name == "detections" and found.outputs[0].error.sqnr > 15
    assert sum(row.cost for row in found.contractions) == pytest.approx(1) and len(found.contractions) > 8
    with pytest.raises(TypeError, match="its own reference"):
        planish.compare(model, model, samples, int8=profile)


@pytest.fixture(scope="module")
def compiled(detector, tmp_path_factory):
    """The shipped detector as a file, and what it becomes in int8."""
    model, _, samples, _ = detector
    folder = tmp_path_factory.mktemp("compiled")
    onnx.save(model, folder / "float.onnx")
    planish.compile(model, int8=planish.calibrate(model, samples), out=folder / "int8")
    return folder


def test_a_compiled_model(detector, compiled):
    """Int8 codes are compared by the line that fits; all kernels' nodes are the model's."""
    model, _, samples, _ = detector
    found = planish.compare(compiled / "float.onnx", compiled / "int8", samples)
    print(found)
    assert isinstance(found, planish.CompiledComparison) and found.samples == len(samples)
    assert len(found.layers) > 8 and sum(layer.fitted for layer in found.layers) > 4
    assert all(layer.error.sqnr > 15 and layer.error.noise < 0.2 for layer in found.layers)
    assert any(layer.error.sqnr < 60 for layer in found.layers if layer.fitted)
    names = {n.name for n in model.graph.node}
    assert all(set(layer.nodes) <= names for layer in found.layers)
    assert found.outputs[0].name == "detections" and found.outputs[0].error.sqnr > 15
    assert found.outputs[0].largest > 0


def test_a_compiled_model_of_real_numbers_has_no_noise(detector, tmp_path):
    model, _, samples, _ = detector
    art = planish.compile(model, out=tmp_path / "real", strict=True)
    found = planish.compare_compiled(model, art, samples[:2])
    assert len(found.layers) > 8
    assert all(layer.error.sqnr > 90 for layer in found.layers) and found.outputs[0].error.sqnr > 90


def test_a_compiled_model_with_other_weights(detector, compiled):
    """The first kernel that differs is the one whose weights do."""
    model, _, samples, _ = detector
    other = onnx.ModelProto()
    other.CopyFrom(model)
    conv = [n for n in other.graph.node if n.op_type == "Conv"][4]
    weights = next(t for t in other.graph.initializer if t.name == conv.input[1])
    weights.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(weights), conv.input[1]))
    found = planish.compare(other, compiled / "int8", samples[:2])
    first = next(layer for layer in found.layers if layer.error.sqnr < 10)
    assert conv.name in first.nodes, str(found)


def test_what_does_not_belong_together(detector, compiled, tmp_path):
    model, _, samples, _ = detector
    with pytest.raises(planish.LoadError, match="holds no compiled model"):
        planish.compare(model, tmp_path, samples)
    with pytest.raises(TypeError, match="not compiled yet"):
        planish.compare(model, compiled / "int8", samples, int8=tmp_path / "profile.json")
    renamed = onnx.ModelProto()
    renamed.CopyFrom(model)
    for values in (renamed.graph.input, *(n.input for n in renamed.graph.node)):
        for i, value in enumerate(values):
            if getattr(value, "name", value) == "image":
                if isinstance(value, str):
                    values[i] = "picture"
                else:
                    value.name = "picture"
    with pytest.raises(planish.CompileError, match="it was compiled from another one"):
        planish.compare(renamed, compiled / "int8", [{"picture": s["image"]} for s in samples])


def test_command_line_of_a_compiled_model(detector, compiled, tmp_path, capsys):
    _, _, samples, _ = detector
    np.savez(tmp_path / "x.npz", image=samples[0]["image"])
    flags = ["compare", str(compiled / "float.onnx"), str(tmp_path / "x.npz"), "--compiled", str(compiled / "int8")]
    assert command_line.main(flags) == 0
    text = capsys.readouterr().out
    assert "output detections" in text and "codes or multiples" in text
    assert command_line.main([*flags, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 1
    assert command_line.main([*flags, "--repair", str(tmp_path / "mended")]) == 2
    assert "--repair is for models that are not compiled yet" in capsys.readouterr().err


def test_command_line(detector, tmp_path, capsys):
    model, ranges, samples, _ = detector
    onnx.save(quantizing.quantized(model, dict(ranges)), tmp_path / "twin.onnx")
    onnx.save(model, tmp_path / "float.onnx")
    np.savez(tmp_path / "x.npz", image=np.concatenate([s["image"] for s in samples[:2]]))
    flags = ["compare", str(tmp_path / "twin.onnx"), str(tmp_path / "x.npz"), "--reference", str(tmp_path / "float.onnx")]
    assert command_line.main([*flags, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples"] == 2 and found["layers"][0]["own"]["sqnr"] > 20 and found["contractions"]
    assert command_line.main([*flags[:2], str(tmp_path / "none.npz")]) == 4
    assert "none.npz" in capsys.readouterr().err


def test_errors(detector, tmp_path):
    model, ranges, samples, _ = detector
    twin = quantizing.quantized(model, dict(ranges))
    with pytest.raises(planish.CompileError, match="no quantized layers"):
        planish.compare(model, None, samples)
    with pytest.raises(planish.CompileError, match="holds neither"):
        planish.compare(twin, model, [])
    with pytest.raises(planish.CompileError, match="image"):
        planish.compare(twin, model, [{"picture": samples[0]["image"]}])
    with pytest.raises(FileNotFoundError):
        planish.compare(tmp_path / "none.onnx", None, samples)
