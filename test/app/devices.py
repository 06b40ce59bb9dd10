"""ARM devices, emulated: a compiled model is run by test/support/device.c, which a plain cross compiler builds."""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy
import pytest
from conftest import ROOT

DTYPES = {1: numpy.float32, 2: numpy.uint8, 3: numpy.int8, 6: numpy.int32, 7: numpy.int64, 9: numpy.bool_}
# Compiler, emulator and the folder of the device's libraries by kind of machine.
ARM64 = ("aarch64-linux-gnu-gcc", "qemu-aarch64", "/usr/aarch64-linux-gnu")
ARM32 = ("arm-linux-gnueabihf-gcc", "qemu-arm", "/usr/arm-linux-gnueabihf")
# What the emulator calls each target's CPU: one that lacks what the target's name does not promise.
CPUS = {"cpu:cortex-a53": (ARM64, "cortex-a53"), "cpu:cortex-a72": (ARM64, "cortex-a72"),
        "cpu:cortex-a55": (ARM64, "cortex-a76"), "cpu:cortex-a76": (ARM64, "cortex-a76"),
        "cpu:neoverse-n1": (ARM64, "neoverse-n1"), "cpu:cortex-a53+i8mm": (ARM64, "max"), "cpu:neoverse-v1": (ARM64, "max"),
        "cpu:armv7": (ARM32, "cortex-a7"), "cpu:cortex-a9": (ARM32, "cortex-a9")}


@functools.cache
def build_folder():
    return tempfile.TemporaryDirectory(prefix="planish-device")


@functools.cache
def runner(kind):
    compiler, emulator, libraries = kind
    for needed in (compiler, emulator):
        if not shutil.which(needed):
            pytest.skip(f"{needed} is not installed")
    program = Path(build_folder().name) / compiler
    subprocess.run([compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-O1", "-I", ROOT / "runtime/include",
                    ROOT / "test/support/device.c", "-ldl", "-lpthread", "-o", program], check=True)
    return program


def emulated(target, cpu=None):
    """The command line in front of a program that makes it run on the target's CPU."""
    (_, emulator, libraries), own = CPUS[target]
    return [emulator, "-cpu", cpu or own, "-L", libraries]


def run(folder, target, feeds, threads=1, cpu=None, expect=0):
    """Outputs by name of the model compiled into the folder, given inputs in the model's order."""
    library = next(Path(folder).glob("lib*.so"))
    with tempfile.TemporaryDirectory() as scratch:
        arguments = []
        for i, value in enumerate(feeds.values()):
            path = Path(scratch) / f"in{i}"
            numpy.ascontiguousarray(value).tofile(path)
            arguments.append(f"{path}:{'x'.join(map(str, value.shape))}")
        done = subprocess.run([*emulated(target, cpu), runner(CPUS[target][0]), library, str(threads), scratch, *arguments],
                              capture_output=True, text=True)
        assert done.returncode == expect, f"exit {done.returncode}\n{done.stderr}"
        outputs = {}
        for i, line in enumerate(done.stdout.splitlines()):
            name, dtype, *dims = line.rsplit(" ", 2)
            shape = [int(d) for d in dims[0].split("x")] if dims[0] else []
            outputs[name] = numpy.fromfile(Path(scratch) / str(i), DTYPES[int(dtype)]).reshape(shape)
        return outputs if not expect else done.stderr


def model_inputs(path, feeds):
    """The golden inputs in the order of the model's."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    constants = {t.name for t in graph.initializer}
    return {v.name: feeds[v.name] for v in graph.input if v.name not in constants}
