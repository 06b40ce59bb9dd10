"""How many instructions kernels take on ARM, counted by the emulator: the same in every run, so a lost tile shows at once."""

import json
import subprocess

import devices
import nets
import numpy
import onnx
import pytest
from conftest import CC, ROOT

SIZE, CHANNELS = 28, 64
COUNT = ROOT / "test/support/count_instructions.c"


def convolutions(kernel, quantized):
    """A convolution of `kernel` x `kernel` between two of 1x1, so that it reads and writes what kernels write and read."""
    pad = kernel // 2
    nodes = [("Conv", ["x", "w0"], "a", {}), ("Conv", ["a", "w", "b"], "c", {"pads": [pad] * 4}), ("Conv", ["c", "w1"], "y", {})]
    constants = {"w0": nets.weights(0, CHANNELS, 16, 1, 1), "w": nets.weights(1, CHANNELS, CHANNELS, kernel, kernel),
                 "b": nets.weights(2, CHANNELS), "w1": nets.weights(3, CHANNELS, CHANNELS, 1, 1)}
    model = nets.model(nodes, {"x": [1, 16, SIZE, SIZE]}, ["y"], constants)
    if not quantized:
        return model
    import quantizing

    return quantizing.quantized(model, {"x": (-3, 3), "a": (-4, 4), "c": (-4, 4), "y": (-4, 4)})


def counted(folder, target):
    """Instructions by function of one run of the model compiled as a static library."""
    compiler, emulator, _ = devices.CPUS[target][0]
    devices.runner(devices.CPUS[target][0])  # skips where it cannot run
    subprocess.run([CC, "-shared", "-fPIC", "-O1", COUNT, "-o", folder / "count.so"], check=True)
    subprocess.run([compiler, "-static", "-w", "-std=c11", "-D_GNU_SOURCE", "-DDEVICE_MODEL=net_model", "-I", ROOT / "runtime/include",
                    ROOT / "test/support/device.c", folder / "net/libnet.a", "-lpthread", "-o", folder / "device"], check=True)
    numpy.zeros((1, 16, SIZE, SIZE), numpy.float32).tofile(folder / "x")
    done = subprocess.run([emulator, "-cpu", devices.CPUS[target][1], "-plugin", f"{folder / 'count.so'},name=net_k", "-d", "plugin",
                           folder / "device", "-", "1", folder, f"{folder / 'x'}:1x16x{SIZE}x{SIZE}"], capture_output=True, text=True)
    if "plugin" in done.stderr and done.returncode:
        pytest.skip("this emulator loads no plugins")
    assert done.returncode == 0, done.stderr
    return {name: int(count) for name, count in (line.rsplit(" ", 1) for line in done.stderr.splitlines())}


@pytest.mark.parametrize("kernel, target, quantized, each, most", [
    (1, "cpu:cortex-a53", False, 4, 1.06), (1, "cpu:neoverse-n1", False, 4, 1.06), (1, "cpu:cortex-a76", True, 16, 1.71),
    (1, "cpu:neoverse-v1", True, 16, 1.63), (3, "cpu:cortex-a53", False, 4, 1.07), (3, "cpu:neoverse-n1", False, 4, 1.07),
    (3, "cpu:cortex-a76", True, 16, 1.14), (3, "cpu:neoverse-v1", True, 16, 1.13)])
def test_a_convolution_takes_few_more_than_its_multiplications(compile_model, tmp_path, kernel, target, quantized, each, most):
    """`each`: multiply-adds of one instruction. Beside them an ideal tile loads its weights, two vectors at a time, and its
    pixels, one vector for four steps; `most` times that is what the whole kernel takes, requantization included."""
    onnx.save(convolutions(kernel, quantized), tmp_path / "net.onnx")
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "net", "--lib=a", "--strict", f"--target={target}")
    launches = json.loads((tmp_path / "net/report.json").read_text())["launches"]
    launch = max(launches, key=lambda l: l["flops"])
    knobs = dict(item.split("=") for item in launch["config"].split())
    vectors, pixels = int(knobs["vectors"]), int(knobs["pixels"])
    inside = (SIZE * kernel - 2 * (kernel // 2)) ** 2 if kernel > 1 else SIZE * SIZE  # taps at the border are skipped
    runs = sum(l["kernel"] == launch["kernel"] for l in launches)
    products = runs * inside * CHANNELS * CHANNELS
    ideal = products / each * (vectors * pixels + vectors / 2 + pixels / 4) / (vectors * pixels)
    taken = counted(tmp_path, target)[launch["kernel"] + ".body"]
    print(f"{target} {kernel}x{kernel} {vectors}x{pixels}: {taken / products:.4f} instructions per product, ideal {ideal / products:.4f}")
    assert taken <= most * ideal
