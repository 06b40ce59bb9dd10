"""Quantized models give the same bytes on every target, with any number of threads: a table of digests."""

import os
import subprocess
from pathlib import Path

import nets
import numpy
import onnx
import pytest
from conftest import real_model, sizes

BIN = Path(os.environ["PLANISH_BIN"])
TARGETS = ["cpu", "cpu:x86-64-v4+avx512vnni", "cpu:x86-64-v4", "cpu:x86-64-v3", "cpu:x86-64-v3-fma", "cpu:x86-64-v2"]

# Made by the reference form (compile-model --emit c); a change here is a change of what users' models compute.
DIGESTS = {
    "quantized_net": {},
}


def digests(folder, *arguments):
    """Lines of run-model --digest; nothing where this CPU cannot run the library."""
    done = subprocess.run([BIN / "run-model", folder, "--digest", *arguments], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines()}


@pytest.fixture
def net(tmp_path):
    onnx.save(nets.quantized_net(), tmp_path / "net.onnx")
    numpy.save(tmp_path / "x.npy", nets.random_input((1, 3, 19, 17)) * numpy.float32(2))
    return tmp_path


@pytest.mark.parametrize("target", TARGETS)
def test_table(compile_model, net, target):
    compile_model(net / "net.onnx", "-o", net / "out", f"--target={target}")
    for threads in (1, 2):
        assert digests(net / "out", "--input", f"x={net / 'x.npy'}", f"--threads={threads}") == DIGESTS["quantized_net"]
