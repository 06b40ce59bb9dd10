"""Quantized models give the same bytes in the reference form and on every target, with any number of threads."""

import hashlib
import os
import subprocess
from pathlib import Path

import nets
import numpy
import onnx
import pytest
from conftest import run_serial_c

BIN = Path(os.environ["PLANISH_BIN"])
TARGETS = ["cpu", "cpu:x86-64-v4+avx512vnni", "cpu:x86-64-v4", "cpu:x86-64-v3", "cpu:x86-64-v3-fma", "cpu:x86-64-v2"]

# A change here is a change of what users' models compute.
SHAPES = {"head_d": (1, 35, 10, 8), "scores": (1, 7)}
DIGESTS = {"head_d": "85a768f1e69fbeba", "scores": "7b8750e5a96ce5d2"}


@pytest.fixture
def net(tmp_path):
    onnx.save(nets.quantized_net(), tmp_path / "net.onnx")
    numpy.save(tmp_path / "x.npy", nets.random_input((1, 3, 19, 17)) * numpy.float32(2))
    return tmp_path


def test_reference(compile_model, net):
    source = compile_model(net / "net.onnx", "--emit", "c", "--name", "net").stdout
    outputs = run_serial_c(source, "net", net, {"x": numpy.load(net / "x.npy")}, SHAPES)
    assert {name: hashlib.sha256(value.tobytes()).hexdigest()[:16] for name, value in outputs.items()} == DIGESTS


@pytest.mark.parametrize("target", TARGETS)
def test_targets(compile_model, net, target):
    compile_model(net / "net.onnx", "-o", net / "out", f"--target={target}")
    for threads in (1, 2):
        done = subprocess.run([BIN / "run-model", net / "out", "--digest", f"--input=x={net / 'x.npy'}",
                               f"--threads={threads}"], capture_output=True, text=True)
        if done.returncode == 3:
            pytest.skip(done.stderr)
        assert {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines()} == DIGESTS, done.stderr


def test_nothing_is_left_with_real_numbers(compile_model, net):
    """Between the first and the last rounding point every kernel computes integers."""
    text = compile_model(net / "net.onnx", "--emit", "graph").stdout
    assert text.count("f32[") and text.count(" quantize(") == 1
    assert all(" f32[" not in line or "constant" in line or "dequantize(" in line or "fused(" in line or "(%x" in line
               for line in text.splitlines() if " = " in line), text
