"""run-model on what compile-model made: references, digests, profiles, benchmarks, threads."""

import hashlib
import json

import nets
import numpy
import onnx
import pytest
from conftest import onnx_runtime, real_model, sizes

FEEDS = {"x": nets.random_input((1, 8, 12, 12)), "side": nets.random_input((1, 4, 12, 12), 1)}


@pytest.fixture
def made(compile_model, tmp_path):
    """(directory, .npz of inputs, outputs of ONNX Runtime)"""
    onnx.save(nets.two_ended(), tmp_path / "net.onnx")
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out")
    numpy.savez(tmp_path / "in.npz", **FEEDS)
    return tmp_path / "out", tmp_path / "in.npz", onnx_runtime(tmp_path / "net.onnx")(FEEDS)


def test_reference(run_model, made, tmp_path):
    folder, inputs, want = made
    numpy.savez(tmp_path / "want.npz", **want)
    done = run_model(folder, "--input", inputs, "--reference", tmp_path / "want.npz")
    assert "map: ok" in done.stdout and "scores: ok" in done.stdout
    numpy.savez(tmp_path / "want.npz", **{**want, "scores": want["scores"] * 1.01})
    done = run_model(folder, "--input", inputs, "--reference", tmp_path / "want.npz", expect=5)
    assert "map: ok" in done.stdout and "output 'scores'" in done.stderr


@pytest.mark.parametrize("name", ["mnist_12", pytest.param("ultraface_rfb_320", marks=pytest.mark.slow)])
def test_golden_as_reference(compile_model, run_model, tmp_path, name):
    path, feeds, _, expected = real_model(name)
    compile_model(path, "-o", tmp_path / "out", *(f"--shape={k}={sizes(v)}" for k, v in feeds.items()))
    numpy.savez(tmp_path / "in.npz", **feeds)
    assert all(want["stride"] == 1 for want in expected.values())
    numpy.savez(tmp_path / "want.npz", **{k: want["values"].reshape(want["shape"]) for k, want in expected.items()})
    run_model(tmp_path / "out", "--input", tmp_path / "in.npz", "--reference", tmp_path / "want.npz", "--rtol", 1e-3)


def digest(array):
    return hashlib.sha256(numpy.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def test_digest_is_of_the_outputs_in_onnx_order(run_model, made, tmp_path):
    folder, inputs, _ = made
    texts = {run_model(folder, "--input", inputs, "--digest", "--threads", n).stdout for n in (1, 2)}
    run_model(folder, "--input", inputs, "--output", tmp_path / "out.npz")
    with numpy.load(tmp_path / "out.npz") as out:
        assert texts == {f"map f32 1x12x12x12 {digest(out['map'])}\nscores f32 1x5 {digest(out['scores'])}\n"}


def exact_net():
    """Values inside are small integers, so that every order of operations gives the same bytes."""
    weights = numpy.random.default_rng(5).integers(-3, 4, (8, 3, 3, 3)).astype(numpy.float32)
    more = numpy.random.default_rng(6).integers(-2, 3, (4, 8, 1, 1)).astype(numpy.float32)
    return nets.model([("Conv", ["x", "w"], "first", {"pads": [1, 1, 1, 1]}), ("Relu", ["first"], "r", {}),
                       ("MaxPool", ["r"], "pooled", {"kernel_shape": [2, 2], "strides": [2, 2]}),
                       ("Conv", ["pooled", "m"], "second", {}),
                       ("Transpose", ["second"], "turned", {"perm": [0, 2, 3, 1]}),
                       ("Concat", ["second", "pooled"], "y", {"axis": 1})],
                      {"x": [1, 3, 10, 14]}, ["y", "turned"], {"w": weights, "m": more})


def test_layers_have_the_bytes_of_the_onnx_values(compile_model, run_model, tmp_path):
    net = exact_net()
    onnx.save(net, tmp_path / "net.onnx")
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out")
    x = numpy.random.default_rng(7).integers(-4, 5, (1, 3, 10, 14)).astype(numpy.float32)
    numpy.save(tmp_path / "x.npy", x)
    lines = run_model(tmp_path / "out", "--input", f"x={tmp_path}/x.npy", "--digest=layers", "--threads", 2).stdout.splitlines()
    inside = [name for node in net.graph.node for name in node.output if name not in ("y", "turned")]
    for name in inside:
        net.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    onnx.save(net, tmp_path / "all.onnx")
    values = onnx_runtime(tmp_path / "all.onnx")({"x": x})
    known = {f"{name} f32 {sizes(value)} {digest(value)}" for name, value in values.items()}
    names = [line.split()[0] for line in lines]
    assert names[:2] == ["y", "turned"] and {"pooled", "second"} <= set(names)
    for line in lines:
        assert line in known or line.split()[0] not in values, line


def test_profile_names_the_nodes_of_every_launch(run_model, made, tmp_path):
    folder, inputs, _ = made
    layers = json.loads((folder / "manifest.json").read_text())["layers"]
    run_model(folder, "--input", inputs, "--profile", tmp_path / "p.json", "--threads", 2, "--seconds", 0.05)
    profile = json.loads((tmp_path / "p.json").read_text())
    assert [(launch["kernel"], launch["nodes"]) for launch in profile["launches"]] == [
        (layer["kernel"], layer["nodes"]) for layer in layers]
    assert all(launch["count"] == 1 and launch["template"] for launch in profile["launches"])
    run_model(folder, "--input", inputs, "--profile", tmp_path / "p.trace.json", "--seconds", 0.05)
    events = json.loads((tmp_path / "p.trace.json").read_text())["traceEvents"]
    assert [event["name"].split(", ") for event in events] == [layer["nodes"] for layer in layers]
    assert all(a["ts"] + a["dur"] <= b["ts"] + 1e-6 for a, b in zip(events, events[1:]))


def test_benchmark(run_model, made):
    folder, inputs, _ = made
    for threads in (1, 2):
        done = run_model(folder, "--input", inputs, "--benchmark", "--seconds", 0.05, "--threads", threads, "--json")
        result = json.loads(done.stdout)["benchmark"]
        assert result["threads"] == threads and 0 < result["min_ms"] <= result["median_ms"] <= result["p90_ms"]


def test_free_sizes_come_from_the_files(compile_model, run_model, tmp_path):
    onnx.save(nets.backbone(), tmp_path / "net.onnx")
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out", "--max-shape", "x=2x3x40x40")
    for size in ((1, 3, 9, 17), (2, 3, 40, 40)):
        numpy.save(tmp_path / "x.npy", nets.random_input(size))
        numpy.savez(tmp_path / "want.npz", **onnx_runtime(tmp_path / "net.onnx")({"x": nets.random_input(size)}))
        run_model(tmp_path / "out", "--input", f"x={tmp_path}/x.npy", "--reference", tmp_path / "want.npz", "--digest=layers")
    numpy.save(tmp_path / "x.npy", nets.random_input((1, 3, 41, 40)))
    assert "dimension 2 must be between 1 and 40" in run_model(tmp_path / "out", "--input", f"x={tmp_path}/x.npy", expect=1).stderr


def test_an_archive_alone_is_no_model_to_run(compile_model, run_model, tmp_path):
    onnx.save(nets.stem(), tmp_path / "net.onnx")
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out", "--lib", "a")
    assert "holds no compiled model" in run_model(tmp_path / "out", expect=4).stderr
