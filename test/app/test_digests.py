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
NETS = {"net": (nets.quantized_net, (1, 3, 19, 17), {"head_d": (1, 35, 10, 8), "scores": (1, 7)}),
        "forms": (nets.quantized_forms, (1, 3, 12, 10), {"attention": (1, 8, 8), "maps": (1, 8, 8, 6)})}


@pytest.fixture(params=NETS)
def net(request, tmp_path):
    """A folder with net.onnx and x.npy, and the shapes of its outputs."""
    make, shape, outputs = NETS[request.param]
    onnx.save(make(), tmp_path / "net.onnx")
    numpy.save(tmp_path / "x.npy", nets.random_input(shape) * numpy.float32(2))
    return tmp_path, outputs


@pytest.fixture
def reference(compile_model, net):
    """Digests of what the unscheduled loops give, as C."""
    folder, shapes = net
    source = compile_model(folder / "net.onnx", "--emit", "c", "--name", "net").stdout
    outputs = run_serial_c(source, "net", folder, {"x": numpy.load(folder / "x.npy")}, shapes)
    assert all(len(numpy.unique(value)) > 3 for value in outputs.values())
    return {name: hashlib.sha256(value.tobytes()).hexdigest()[:16] for name, value in outputs.items()}


@pytest.mark.parametrize("target", TARGETS)
def test_targets(compile_model, net, reference, target):
    folder, _ = net
    compile_model(folder / "net.onnx", "-o", folder / "out", f"--target={target}")
    for threads in (1, 2):
        done = subprocess.run([BIN / "run-model", folder / "out", "--digest", f"--input=x={folder / 'x.npy'}",
                               f"--threads={threads}"], capture_output=True, text=True)
        if done.returncode == 3:
            pytest.skip(done.stderr)
        assert {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines()} == reference, done.stderr


@pytest.mark.parametrize("name, left", [("net", set()), ("forms", {"exp", "sub", "mul", "reduce_sum", "reciprocal"})])
def test_what_is_left_with_real_numbers(compile_model, tmp_path, name, left):
    """Between the first rounding point and the last every kernel computes integers, but for a softmax."""
    onnx.save(NETS[name][0](), tmp_path / "net.onnx")
    text = compile_model(tmp_path / "net.onnx", "--emit", "graph").stdout
    made = set(re.findall(r": f32\S* = (\w+)\(", text))
    assert made <= {"dequantize", "fused", "copy"} | left and text.count(" quantize(") == 1, text
