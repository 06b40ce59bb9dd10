"""Quantized models give the same bytes in the reference form and on every target, with any number of threads."""

import hashlib
import os
import re
import subprocess
from pathlib import Path

import nets
import numpy
import onnx
import pytest
from conftest import run_serial_c

BIN = Path(os.environ["PLANISH_BIN"])
TARGETS = ["cpu", "cpu:x86-64-v4+avx512vnni", "cpu:x86-64-v4", "cpu:x86-64-v3", "cpu:x86-64-v3-fma", "cpu:x86-64-v2"]
SHAPES = {"head_d": (1, 35, 10, 8), "scores": (1, 7)}


@pytest.fixture
def net(tmp_path):
    onnx.save(nets.quantized_net(), tmp_path / "net.onnx")
    numpy.save(tmp_path / "x.npy", nets.random_input((1, 3, 19, 17)) * numpy.float32(2))
    return tmp_path


@pytest.fixture
def reference(compile_model, net):
    """Digests of what the unscheduled loops give, as C."""
    source = compile_model(net / "net.onnx", "--emit", "c", "--name", "net").stdout
    outputs = run_serial_c(source, "net", net, {"x": numpy.load(net / "x.npy")}, SHAPES)
    assert all(len(numpy.unique(value)) > 3 for value in outputs.values())
    return {name: hashlib.sha256(value.tobytes()).hexdigest()[:16] for name, value in outputs.items()}


@pytest.mark.parametrize("target", TARGETS)
def test_targets(compile_model, net, reference, target):
    compile_model(net / "net.onnx", "-o", net / "out", f"--target={target}")
    for threads in (1, 2):
        done = subprocess.run([BIN / "run-model", net / "out", "--digest", f"--input=x={net / 'x.npy'}",
                               f"--threads={threads}"], capture_output=True, text=True)
        if done.returncode == 3:
            pytest.skip(done.stderr)
        assert {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines()} == reference, done.stderr


def test_nothing_is_left_with_real_numbers(compile_model, net):
    """Between the first rounding point and the last every kernel computes integers."""
    text = compile_model(net / "net.onnx", "--emit", "graph").stdout
    made = set(re.findall(r": f32\S* = (\w+)\(", text))
    assert made <= {"dequantize", "fused", "copy"} and text.count(" quantize(") == 1, text
