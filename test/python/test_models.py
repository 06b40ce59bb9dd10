"""Real trained networks: compiled outputs against their goldens and against ONNX Runtime."""
import json
import pathlib

import numpy as np
import pytest

import planish
from real_models import MODELS, golden, needed

TOLERANCE = 1e-3  # of each output's largest value
MOST_CODE = 2_000_000  # bytes
LOGISTIC_ERROR = 1e-7  # absolute: ONNX Runtime computes sigmoid as 0.5 + a rational function

NAMES = """mnist_12 ultraface_rfb_320 yolox_nano nanodet_m_416 fastestdet_352 mtcnn_pnet mtcnn_rnet mtcnn_onet
ppocrv2_det ppocrv2_cls osnet_x0_25 pcb_cnn_fp32 sinet_portrait super_resolution_x3 plate_rec""".split()

pytestmark = needed


@pytest.fixture(scope="module", params=NAMES)
def compiled(request, tmp_path_factory):
    """(name, compiled directory, golden feeds, golden outputs), compiled for the golden's sizes."""
    name = request.param
    feeds, expected = golden().load(name)
    out = tmp_path_factory.mktemp(name) / name
    planish.compile(str(MODELS / f"{name}.onnx"), out=str(out), shapes={k: list(v.shape) for k, v in feeds.items()})
    return name, str(out), feeds, expected


@pytest.mark.parametrize("threads", [1, 2])
def test_golden(compiled, threads):
    name, directory, feeds, expected = compiled
    outputs = planish.load(directory, threads=threads)(feeds)
    for tensor, (error, largest) in golden().check(expected, outputs).items():
        assert error <= TOLERANCE * largest, f"{name} {tensor}: {error} of {largest}"  # NaN fails too


def test_random_inputs_against_onnxruntime(compiled):
    ort = pytest.importorskip("onnxruntime")
    name, directory, feeds, _ = compiled
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(MODELS / f"{name}.onnx"), options, providers=["CPUExecutionProvider"])
    net = planish.load(directory, threads=2)
    names = [o.name for o in session.get_outputs()]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = {k: (rng.random(v.shape) * (v.max() - v.min()) + v.min()).astype(v.dtype) for k, v in feeds.items()}
        got = net(x)
        for tensor, want in zip(names, session.run(names, x)):
            assert got[tensor].shape == want.shape, f"{name} {tensor}, seed {seed}"
            error, largest = np.abs(got[tensor].astype(np.float64) - want).max(initial=0), np.abs(want).max(initial=0)
            assert error <= TOLERANCE * largest + LOGISTIC_ERROR, f"{name} {tensor}, seed {seed}: {error} of {largest}"


def test_threads_do_not_change_the_result(compiled):
    _, directory, feeds, _ = compiled
    one, two = planish.load(directory, threads=1)(feeds), planish.load(directory, threads=2)(feeds)
    for tensor, value in one.items():
        assert np.array_equal(value, two[tensor], equal_nan=True), tensor


def test_code_and_runtime_are_small(compiled):
    name, directory, _, _ = compiled
    manifest = json.loads((pathlib.Path(directory) / "manifest.json").read_text())
    code = manifest["libraries"][0]["bytes"] - manifest["memory"]["weights"]
    print(f"{name}: {code} bytes of code and runtime")
    assert code < MOST_CODE
