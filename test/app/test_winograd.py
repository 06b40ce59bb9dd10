"""Winograd's transform in whole models: what is said of it, its results, its budget, and --strict."""

import json

import nets
import numpy
import onnx
import pytest
from conftest import onnx_runtime

planish = pytest.importorskip("planish")

TARGET = "cpu:x86-64-v3"
CHANNELS, SIZE = 32, 31


def chain(layers, channels=CHANNELS, size=SIZE):
    """Convolutions by 3 x 3 taps with ReLU, of equal shapes and own weights."""
    nodes, constants = [], {}
    for i in range(layers):
        constants[f"w{i}"] = nets.weights(10 + i, channels, channels, 3, 3)
        nodes += [("Conv", [f"x{i}", f"w{i}"], f"c{i}", {"pads": [1, 1, 1, 1]}), ("Relu", [f"c{i}"], f"x{i + 1}", {})]
    return nets.model(nodes, {"x0": [1, channels, size, size]}, [f"x{layers}"], constants)


def compiled(compile_model, folder, net, *flags):
    """The report, and what was said."""
    onnx.save(net, folder.with_suffix(".onnx"))
    done = compile_model(folder.with_suffix(".onnx"), "-o", folder, "--target", TARGET, *flags)
    return json.loads((folder / "report.json").read_text()), done.stderr


def feeds(size=SIZE):
    return {"x0": numpy.random.default_rng(1).standard_normal((1, CHANNELS, size, size)).astype(numpy.float32)}


def transformed(report):
    return [launch for launch in report["launches"] if launch["template"] == "winograd.cpu"]


def test_results_and_strict(compile_model, tmp_path):
    net = chain(3)  # the first and the last may be read and written by planes, which is direct
    default, said = compiled(compile_model, tmp_path / "default", net)
    strict, quiet = compiled(compile_model, tmp_path / "strict", net, "--strict")
    assert transformed(default) and "Winograd's transform" in said
    assert not transformed(strict) and "Winograd" not in quiet
    assert strict["transformedWeights"] == {"layers": 0, "bytes": 0, "originalBytes": 0}
    want = onnx_runtime(tmp_path / "default.onnx")(feeds())["x3"]
    results = []
    for folder in ("default", "strict"):
        for threads in (1, 2, 3):
            results.append(planish.load(tmp_path / folder, threads=threads)(feeds())["x3"])
            assert abs(results[-1] - want).max() <= 1e-5 * abs(want).max()
    assert all((results[0] == r).all() for r in results[:3]) and all((results[3] == r).all() for r in results[3:])
    assert (results[0] != results[3]).any()


def test_weights_stay_within_the_budget(compile_model, tmp_path):
    tiles = set()
    for layers in (2, 3, 4, 6):
        report, _ = compiled(compile_model, tmp_path / f"n{layers}", chain(layers))
        used, one = report["transformedWeights"], CHANNELS * CHANNELS * 9 * 4
        assert 0 < used["layers"] == len(transformed(report)) <= layers
        assert used["originalBytes"] == used["layers"] * one
        assert used["originalBytes"] < used["bytes"] <= 2 * layers * one
        knobs = " ".join(launch["config"] for launch in transformed(report)).split()
        tiles |= {knob for knob in knobs if knob.startswith("tile=")}
    assert tiles == {"tile=2", "tile=4"}


def test_python_takes_strict():
    for strict in (False, True):
        done = planish.compile(chain(2), target=TARGET, strict=strict)
        with open(f"{done.directory}/report.json") as report:
            assert bool(transformed(json.load(report))) != strict
