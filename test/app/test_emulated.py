"""Code for AVX2 on a CPU that has nothing newer, emulated by qemu."""

import os
import shutil
import subprocess
from pathlib import Path

import nets
import numpy
import onnx
import pytest
from conftest import SANITIZED, onnx_runtime, real_model, sizes

QEMU = shutil.which("qemu-x86_64")
pytestmark = [pytest.mark.skipif(not QEMU, reason="there is no qemu-x86_64"),
              pytest.mark.skipif(SANITIZED, reason="run-model is instrumented, which the emulator cannot run")]
CPU = "Haswell"
SLOW_PARTS = ["ultraface", "nanodet", "yolox"]


def run_emulated(folder, *arguments, expect=0):
    run_model = Path(os.environ["PLANISH_BIN"]) / "run-model"
    if not run_model.exists():
        pytest.skip("run-model is not built")
    done = subprocess.run([QEMU, "-cpu", CPU, run_model, folder, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == expect, done.stdout[-2000:] + done.stderr[-2000:]
    return done


def wide():
    """Full register tiles and tails of a 3x3, a depthwise and a 1x1 convolution, and a gate."""
    return nets.model([("Conv", ["x", "w1", "b1"], "c", {"pads": [1, 1, 1, 1]}), ("Sigmoid", ["c"], "g", {}),
                       ("Mul", ["c", "g"], "s", {}), ("Conv", ["s", "w2"], "d", {"pads": [1, 1, 1, 1], "group": 50}),
                       ("Relu", ["d"], "r", {}), ("Conv", ["r", "w3"], "y", {})],
                      {"x": [1, 20, 17, 23]}, ["y"],
                      {"w1": nets.weights(1, 50, 20, 3, 3), "b1": nets.weights(2, 50), "w2": nets.weights(3, 50, 1, 3, 3),
                       "w3": nets.weights(4, 37, 50, 1, 1)})


@pytest.mark.parametrize("net", [wide, nets.stem, nets.two_ended])
@pytest.mark.parametrize("target", ["cpu:x86-64-v3", "cpu:x86-64-v2"])
def test_computes_without_avx512(compile_model, tmp_path, net, target):
    path = tmp_path / "net.onnx"
    onnx.save(net(), path)
    feeds = {value.name: nets.random_input([d.dim_value for d in value.type.tensor_type.shape.dim], i)
             for i, value in enumerate(onnx.load(path).graph.input)}
    numpy.savez(tmp_path / "in.npz", **feeds)
    numpy.savez(tmp_path / "out.npz", **onnx_runtime(path)(feeds))
    compile_model(path, "-o", tmp_path / "net", f"--target={target}")
    run_emulated(tmp_path / "net", "--input", tmp_path / "in.npz", "--reference", tmp_path / "out.npz", "--rtol", "1e-4")


def test_avx512_is_refused_there(compile_model, tmp_path):
    """The emulated CPU really is older: without this the other tests would show nothing."""
    onnx.save(nets.stem(), tmp_path / "net.onnx")
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "net", "--target=cpu:x86-64-v4")
    assert "avx512" in run_emulated(tmp_path / "net", expect=3).stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ultraface_rfb_320", "nanodet_m_416", "yolox_nano"])
def test_trained_nets(compile_model, tmp_path, name):
    path, feeds, golden, expected = real_model(name)
    numpy.savez(tmp_path / "in.npz", **feeds)
    compile_model(path, "-o", tmp_path / "net", "--target=cpu:x86-64-v3", *(f"--shape={k}={sizes(v)}" for k, v in feeds.items()))
    run_emulated(tmp_path / "net", "--input", tmp_path / "in.npz", "--output", tmp_path / "got.npz")
    with numpy.load(tmp_path / "got.npz") as got:
        for tensor, (error, largest) in golden.check(expected, got).items():
            assert error <= 1e-3 * largest, tensor
