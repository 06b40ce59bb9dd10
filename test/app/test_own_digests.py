"""Networks that we quantize ourselves give the same bytes, whatever computes them: the evaluator, the C form, and
every x86-64 level with one thread and two; on an emulated aarch64, too.

The table of digests goes to stdout (pytest -s). Networks that are not part of the project are skipped where they
are absent: trained ones in PLANISH_MODELS, and a ResNet and a YOLOv8 of random weights that PLANISH_MODELS/../bench
makes.
"""

import hashlib
import re
import subprocess
import sys

import numpy
import onnx
import pytest
from conftest import BIN, MODELS, ROOT, real_model, run_serial_c, tool
from test_digests import TARGETS, on_arm64, saved

pytestmark = pytest.mark.slow
SLOW_PARTS = ["yolox", "nanodet", "resnet", "yolov8"]

TRAINED = ["yolox_nano", "nanodet_m_416", "ultraface_rfb_320", "fastestdet_352"]
STRUCTURES = ["resnet18", "yolov8n"]
BENCH = MODELS.parent / "bench"


def trained(name, _):
    model, feeds, _, _ = real_model(name)
    return model, feeds


def filled(name, folder):
    if not (BENCH / "fill.py").exists():
        pytest.skip(f"no {BENCH / 'fill.py'}")
    subprocess.run([sys.executable, BENCH / "fill.py", folder, name], check=True, capture_output=True)
    return folder / f"{name}.onnx", dict(numpy.load(folder / f"{name}.npz"))


def shipped(_, __):
    sys.path.insert(0, str(ROOT / "examples" / "conveyor"))
    detection, scene = (pytest.importorskip(name) for name in ("detection", "scene"))
    frame = detection.read_frame()
    return (ROOT / "examples" / "conveyor" / "detector.onnx",
            {frame["input"]["name"]: detection.preprocess(scene.still(310_000)[0], frame)})


NETS = {**{name: trained for name in TRAINED}, "conveyor": shipped, **{name: filled for name in STRUCTURES}}


class Net:
    """A network, one input, and what quantizes it on that input."""

    def __init__(self, name, folder):
        self.folder = folder
        self.model, self.feeds = NETS[name](name, folder)
        self.feeds = {k: numpy.ascontiguousarray(v, numpy.float32) for k, v in self.feeds.items()}
        self.inputs = saved(self.feeds, folder)
        numpy.savez(folder / "samples.npz", **self.feeds)
        planish = pytest.importorskip("planish")
        planish.calibrate(str(self.model), str(folder / "samples.npz")).save(str(folder / "profile.json"))
        self.flags = ["--int8", "--calibration", folder / "profile.json"]
        self.shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
                       for v in onnx.load(self.model).graph.output}

    def c_form(self):
        return tool("compile-model")(self.model, *self.flags, "--emit", "c", "--name", "net").stdout

    def evaluated(self):
        dump = self.folder / "dump"
        dump.mkdir()
        tool("compile-model")(self.model, *self.flags, "--dump-dir", dump, "--stop-after", "fuse")
        graph, = dump.glob("*-fuse.txt")
        return digests(tool("planish-opt")(graph, "--blobs", dump, *self.inputs).stdout)

    def in_c(self):
        outputs = run_serial_c(self.c_form(), "net", self.folder, self.feeds, self.shapes)
        return {name: hashlib.sha256(value.tobytes()).hexdigest()[:16] for name, value in outputs.items()}

    def on(self, target, threads):
        """Digests, or nothing where this CPU cannot run the target."""
        compiled = self.folder / re.sub(r"\W", "_", target)
        if not compiled.exists():
            tool("compile-model")(self.model, *self.flags, f"--target={target}", "-o", compiled)
        done = subprocess.run([BIN / "run-model", compiled, "--digest", f"--threads={threads}", *self.inputs],
                              capture_output=True, text=True)
        assert done.returncode in (0, 3), done.stderr
        return digests(done.stdout) if done.returncode == 0 else None


def digests(lines):
    return {line.split()[0]: line.split()[-1] for line in lines.splitlines()}


@pytest.mark.parametrize("name", NETS)
def test_own_quantizations(name, tmp_path):
    net = Net(name, tmp_path)
    found = {"evaluator": net.evaluated(), "C": net.in_c()}
    for target in TARGETS:
        for threads in (1, 2):
            if result := net.on(target, threads):
                found[f"{target}, {threads} threads"] = result
    for how, result in found.items():
        print(f"{name:20} {how:36} {' '.join(result.values())}")
    assert len(found) > 4
    assert {how: result for how, result in found.items() if result != found["evaluator"]} == {}


@pytest.mark.parametrize("name", ["conveyor", "ultraface_rfb_320"])
def test_own_quantizations_on_arm64(name, tmp_path):
    net = Net(name, tmp_path)
    found = on_arm64(net.c_form(), tmp_path, net.feeds, net.shapes)
    print(f"{name:20} {'aarch64, C':36} {' '.join(found.values())}")
    assert found == net.on("cpu", 1)
