"""Three generated libraries in one program: one runtime, one pool of threads, instances that share weights and run at once."""

import subprocess

import devices
import nets
import numpy
import onnx
import pytest
from conftest import CC, ROOT, assert_close, onnx_runtime, tool

NETS = {"first": nets.stem, "second": nets.two_ended, "third": nets.quantized_net}


def seeded(model):
    """What planish_api.fill gives for the inputs, which are all f32."""
    feeds = {}
    for i, value in enumerate(model.graph.input):
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        bits = numpy.random.RandomState(i + 1).randint(0, 1 << 32, numpy.prod(shape), numpy.uint32)
        feeds[value.name] = ((bits >> 8).astype(numpy.float32) * numpy.float32(2 ** -24)).reshape(shape)
    return feeds


def built(folder, target, *flags):
    """The command that runs the program of the three nets compiled for the target."""
    compiler, start = CC, []
    if target in devices.CPUS:
        devices.runner(devices.CPUS[target][0])  # skips where it cannot run
        compiler, start = devices.CPUS[target][0][0], devices.emulated(target)
    if not compiler:
        pytest.skip("there is no C compiler")
    parts = []
    for name, net in NETS.items():
        onnx.save(net(), folder / f"{name}.onnx")
        tool("compile-model")(folder / f"{name}.onnx", "-o", folder / name, "--lib=a", f"--target={target}")
        parts += ["-I", folder / name, folder / name / f"lib{name}.a"]
    subprocess.run([compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", *flags, "-I", ROOT / "runtime/include",
                    ROOT / "test/support/three_models.c", *parts, "-ldl", "-lpthread", "-o", folder / "three"], check=True)
    return [*start, folder / "three"]


def expected(folder):
    values = []
    for name in NETS:
        path = folder / f"{name}.onnx"
        values += [value.ravel() for value in onnx_runtime(path)(seeded(onnx.load(path))).values()]
    return numpy.concatenate(values)


@pytest.mark.parametrize("target", ["cpu", "cpu:cortex-a53", "cpu:armv7"])
def test_three_models_run_at_once(tmp_path, target):
    command = built(tmp_path, target)
    for threads in "13":
        done = subprocess.run([*command, threads], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, (done.returncode, done.stderr)
        got = numpy.array(done.stdout.split(), numpy.float32)
        want = expected(tmp_path)
        count = sum(value.size for value in onnx_runtime(tmp_path / "third.onnx")(seeded(nets.quantized_net())).values())
        assert_close({"real": got[:-count]}, {"real": want[:-count]}, target)
        assert_close({"codes": got[-count:]}, {"codes": want[-count:]}, target, tolerance=0.02)
