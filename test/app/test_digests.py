"""Quantized models give the same bytes in the reference form and on every target, with any number of threads."""

import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import devices
import nets
import numpy
import onnx
import pytest
from conftest import CC, ROOT, real_model, run_serial_c

BIN = Path(os.environ["PLANISH_BIN"])
ARM_CC = "aarch64-linux-gnu-gcc"
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


def test_a_device_proves_its_bits(compile_model, run_model, net, tmp_path):
    folder, _ = net
    compile_model(folder / "net.onnx", "-o", folder / "device", "--golden", "--target=cpu:x86-64-v2")
    run_model(folder / "device", "--verify")
    manifest = folder / "device/manifest.json"
    text = manifest.read_text()
    line = json.loads(text)["golden"][0]
    wrong = line[:-1] + ("0" if line[-1] != "0" else "1")
    manifest.write_text(text.replace(line, wrong))
    assert wrong in run_model(folder / "device", "--verify", expect=5).stderr
    run_model(folder / "device", "--verify", f"--input=x={folder / 'x.npy'}", expect=2)


@pytest.mark.parametrize("target", ["cpu:x86-64-v2", "cpu:cortex-a53", "cpu:cortex-a76", "cpu:armv7"])
def test_a_device_tests_itself_at_start(compile_model, net, target):
    """planish_self_test knows the definition's bytes, on every target, and finds weights of which bits have turned."""
    folder, _ = net
    compile_model(folder / "net.onnx", "-o", folder / "self", "--golden", "--lib=a", f"--target={target}")
    compiler, start = CC if "x86" in target else devices.CPUS[target][0][0], []
    if "x86" not in target:
        start = devices.emulated(target)
        devices.runner(devices.CPUS[target][0])  # skips where it cannot run
    subprocess.run([compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "runtime/include", "-I", folder / "self",
                    ROOT / "test/support/self_test.c", folder / "self/libnet.a", "-ldl", "-lpthread", "-o", folder / "self_test"], check=True)
    for threads in "12":
        done = subprocess.run([*start, folder / "self_test", threads], capture_output=True, text=True, check=True)
        passed, broken, placed = done.stdout.splitlines()
        assert passed == placed == "passed" and "has other bits here" in broken, done.stdout


def test_golden_digests_are_of_quantized_models(compile_model, run_model, tmp_path):
    onnx.save(nets.model([("Relu", ["x"], "y", {})], {"x": [1, 4]}, ["y"], {}), tmp_path / "net.onnx")
    assert "quantized" in compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out", "--golden", expect=2).stderr
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out")
    assert "--golden" in run_model(tmp_path / "out", "--verify", expect=4).stderr


def on_arm64(source, folder, feeds, shapes):
    """Digests of what --emit c printed, as a program for aarch64 that an emulator runs. It reads the inputs from
    files and prints the bytes of the outputs; all shapes are constant."""
    if not (shutil.which(ARM_CC) and shutil.which("qemu-aarch64")):
        pytest.skip(f"{ARM_CC} or qemu-aarch64 is not installed")
    sizes = {name: int(numpy.prod(shape)) for name, shape in shapes.items()}
    dims = [",".join(map(str, (*x.shape, *[1] * (8 - x.ndim)))) for x in feeds.values()]
    main = f"""
#include <stdio.h>
static float in[{sum(x.size for x in feeds.values())}], out[{sum(sizes.values())}];
int main(void) {{
  static int64_t given[][8] = {{{",".join("{" + d + "}" for d in dims)}}}, found[{len(sizes)}][8];
  const void *inputs[] = {{{",".join(f"in + {at}" for at in starts(x.size for x in feeds.values()))}}};
  void *outputs[] = {{{",".join(f"out + {at}" for at in starts(sizes.values()))}}};
  __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)1 << 24)); /* subnormal numbers count as zero */
  if (fread(in, 4, sizeof in / 4, stdin) != sizeof in / 4) return 1;
  if (net_run(inputs, outputs, &given[0][0], &found[0][0]) != 0) return 2;
  return fwrite(out, 4, sizeof out / 4, stdout) != sizeof out / 4;
}}
"""
    (folder / "arm.c").write_text(source + main)
    subprocess.run([ARM_CC, "-O1", "-std=c11", "-ffp-contract=off", "-static", folder / "arm.c", "-lm", "-o", folder / "arm"], check=True)
    data = b"".join(numpy.ascontiguousarray(x).tobytes() for x in feeds.values())
    done = subprocess.run(["qemu-aarch64", folder / "arm"], input=data, capture_output=True, check=True)
    bytes_ = memoryview(done.stdout)
    return {name: hashlib.sha256(bytes_[4 * at:4 * at + 4 * sizes[name]]).hexdigest()[:16]
            for name, at in zip(sizes, starts(sizes.values()))}


def starts(sizes):
    """Where each of things one behind the other begins."""
    return list(itertools.accumulate(sizes, initial=0))[:-1]


def test_arm64(compile_model, net, reference):
    folder, shapes = net
    source = compile_model(folder / "net.onnx", "--emit", "c", "--name", "net").stdout
    assert on_arm64(source, folder, {"x": numpy.load(folder / "x.npy")}, shapes) == reference


# What the golden inputs of trained quantized networks give, whatever computes it.
REAL = json.loads((Path(__file__).parent / "digests.json").read_text())


def saved(feeds, folder):
    """Flags of run-model that give the inputs, each a file in the folder."""
    for i, value in enumerate(feeds.values()):
        numpy.save(folder / f"{i}.npy", value)
    return [f"--input={name}={folder / f'{i}.npy'}" for i, name in enumerate(feeds)]


def sized(feeds):
    return [f"--shape={name}={'x'.join(map(str, value.shape))}" for name, value in feeds.items()]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", REAL)
def test_real_models(compile_model, tmp_path, name, target):
    model, feeds, _, _ = real_model(name)
    compile_model(model, "-o", tmp_path / "out", f"--target={target}", *sized(feeds))
    inputs = saved(feeds, tmp_path)
    for threads in (1, 2):
        done = subprocess.run([BIN / "run-model", tmp_path / "out", "--digest", *inputs, f"--threads={threads}"],
                              capture_output=True, text=True)
        if done.returncode == 3:
            pytest.skip(done.stderr)
        assert {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines()} == REAL[name], done.stderr


@pytest.mark.parametrize("name", ["pcb_cnn_int8qdq", "mobilenet_v2_qdq_maui"])
def test_real_models_on_arm64(compile_model, tmp_path, name):
    model, feeds, _, expected = real_model(name)
    source = compile_model(model, "--emit", "c", "--name", "net", *sized(feeds)).stdout
    assert on_arm64(source, tmp_path, feeds, {k: v["shape"] for k, v in expected.items()}) == REAL[name]


@pytest.mark.parametrize("name, left", [("net", set()), ("forms", {"exp", "sub", "mul", "reduce_sum", "reciprocal"})])
def test_what_is_left_with_real_numbers(compile_model, tmp_path, name, left):
    """Between the first rounding point and the last every kernel computes integers, but for a softmax."""
    onnx.save(NETS[name][0](), tmp_path / "net.onnx")
    text = compile_model(tmp_path / "net.onnx", "--emit", "graph").stdout
    made = set(re.findall(r": f32\S* = (\w+)\(", text))
    assert made <= {"dequantize", "fused", "copy", "pad"} | left and text.count(" quantize(") == 1, text
