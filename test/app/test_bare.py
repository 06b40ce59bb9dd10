"""The example without an operating system: the shipped detector under an emulated board finds what is in a picture."""

import re
import shutil
import subprocess
import sys

import numpy
import onnx
import pytest
from conftest import ROOT, onnx_runtime

EXAMPLE = ROOT / "examples/bare"
CC, QEMU, NM = "aarch64-linux-gnu-gcc", "qemu-system-aarch64", "aarch64-linux-gnu-nm"
pytestmark = pytest.mark.skipif(not all(map(shutil.which, (CC, QEMU, NM))), reason="no cross compiler or qemu-system-aarch64")
sys.path.insert(0, str(ROOT / "examples/conveyor"))


@pytest.fixture(scope="module")
def picture():
    import scene

    return numpy.ascontiguousarray(scene.still(700_001)[0])


def build(folder):
    subprocess.run([CC, "-ffreestanding", "-nostdlib", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "runtime/include",
                    "-I", folder / "out", f'-DPICTURE="{folder}/picture.rgb"', "-T", EXAMPLE / "device.ld", EXAMPLE / "start.S",
                    EXAMPLE / "main.c", folder / "out/libdetector.a", "-o", folder / "detector.elf"], check=True)


def test_prints_what_it_detects(compile_model, tmp_path, picture):
    model = ROOT / "examples/conveyor/detector.onnx"
    picture.tofile(tmp_path / "picture.rgb")
    compile_model(model, "--target", "bare:cortex-a53", "-o", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.so"))
    build(tmp_path)
    done = subprocess.run([QEMU, "-M", "virt", "-cpu", "cortex-a53", "-m", "256M", "-nic", "none", "-display", "none", "-serial", "stdio",
                           "-monitor", "none", "-kernel", tmp_path / "detector.elf"], capture_output=True, text=True, timeout=240)
    found = [(name, int(x), int(y)) for name, x, y, _ in re.findall(r"(\w+) at (\d+),(\d+) (\d+)%", done.stdout)]
    assert done.stdout.endswith("done\n"), done.stdout + done.stderr
    import detection

    frame = detection.read_frame()
    outputs = onnx_runtime(model)({"image": detection.preprocess(picture, frame)})
    boxes, _, labels = detection.decode(outputs["detections"], frame)
    assert len(boxes)
    for box, label in zip(boxes, labels):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        assert any(name == frame["labels"][label] and abs(u - x) < 12 and abs(v - y) < 12 for name, u, v in found), (label, x, y, found)


def test_asks_for_two_functions(compile_model, tmp_path):
    import nets

    onnx.save(nets.two_ended(), tmp_path / "net.onnx")
    compile_model(tmp_path / "net.onnx", "--target", "bare:cortex-a53", "-o", tmp_path / "out")
    subprocess.run(["aarch64-linux-gnu-ld", "-r", "--whole-archive", tmp_path / "out/libnet.a", "-o", tmp_path / "net.o"], check=True)
    asked = subprocess.run([NM, "-u", tmp_path / "net.o"], check=True, capture_output=True, text=True).stdout.split()
    assert set(asked) - {"U"} <= {"memcpy", "memset"}
