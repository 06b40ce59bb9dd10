"""The networks, each with inputs and a folder for what is made of it.

Names, in the order tables have: trained networks of ../shared/models (or $PLANISH_SHARED), which come with real inputs
and expected outputs; networks with random weights, filled into the structures of ../shared/bench where those are, else
made by networks.py. The rest is skipped with a reason.
"""
import dataclasses
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import numpy

from harness import networks

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("PLANISH_SHARED", ROOT.parent / "shared"))
TRAINED = """mnist_12 ultraface_rfb_320 yolox_nano nanodet_m_416 fastestdet_352 deimv2_atto mtcnn_pnet mtcnn_rnet
mtcnn_onet ppocrv2_det ppocrv2_cls ppocrv2_en_rec osnet_x0_25 pcb_cnn_fp32 sinet_portrait super_resolution_x3
plate_rec""".split()
RANDOM = """mobilenet_v1 mobilenet_v2 mobilenet_v3_large shufflenet_v2_x1_0 squeezenet1_1 efficientnet_b0 resnet18
resnet50 vgg16 yolov3-tiny yolov3 yolov4 yolov5n yolov5s yolov8n yolo11n fcn_resnet50 unet_small vit_tiny crnn
ssdlite320_mnv3 ssd300_vgg16 fasterrcnn_mnv3_320 fasterrcnn_resnet50""".split()
NAMES = TRAINED + RANDOM


class Absent(Exception):
    """A network that cannot be had here, and why."""


@dataclasses.dataclass
class Case:
    name: str
    path: pathlib.Path
    source: str
    """trained, exported (a structure with random weights) or built (by networks.py), or file."""
    feeds: dict
    folder: pathlib.Path
    """Kept between runs."""
    compiled_as: pathlib.Path | None = None
    """Where compile-model writes; in `folder` where it is not said."""

    @property
    def feeds_file(self):
        return self.folder / "feeds.npz"

    @property
    def compiled(self):
        return self.compiled_as or self.folder / "planish"

    @property
    def scratch(self):
        return self.folder


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_feeds(model):
    """Seeded inputs of an onnx.ModelProto; free dimensions are 1."""
    import onnx

    known = {tensor.name for tensor in model.graph.initializer}
    generator, feeds = numpy.random.default_rng(1), {}
    for value in model.graph.input:
        if value.name in known:
            continue
        kind = value.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        shape = [dimension.dim_value or 1 for dimension in kind.shape.dim]
        feeds[value.name] = (generator.random(shape) if dtype.kind == "f" else generator.integers(0, 100, shape)).astype(dtype)
    return feeds


def fill_structure(structure, path):
    import onnx

    filler = module_of(structure.parents[1] / "fill.py")
    onnx.save(filler.fill(onnx.load(structure)), path)


def expected(case):
    """(golden module, expected outputs) of a trained network, or None."""
    if case.source != "trained":
        return None
    golden = module_of(SHARED / "models" / "golden.py")
    return golden, golden.load(case.name)[1]


def find(name, work):
    """The Case of a name or of a path ending in .onnx; its files are put into `work`."""
    import onnx

    path = pathlib.Path(name)
    folder = work / (path.stem if path.suffix == ".onnx" else name)
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{folder.name}.onnx"
    structure = SHARED / "bench" / "structures" / f"{name}.onnx"
    if path.suffix == ".onnx":
        if not path.is_file():
            raise Absent(f"there is no file '{path}'")
        if (folder / "feeds.npz").exists() and path.stat().st_mtime > (folder / "feeds.npz").stat().st_mtime:
            shutil.rmtree(folder)  # made of an earlier file
            folder.mkdir()
        case = Case(path.stem, path, "file", random_feeds(onnx.load(path)), folder)
    elif name in TRAINED:
        path = SHARED / "models" / f"{name}.onnx"
        if not path.exists():
            raise Absent(f"a trained network, looked for in {path.parent}")
        feeds = module_of(SHARED / "models" / "golden.py").load(name)[0]
        case = Case(name, path, "trained", feeds, folder)
    elif structure.exists():
        if not made.exists():
            fill_structure(structure, made)
        case = Case(name, made, "exported", random_feeds(onnx.load(made)), folder)
    elif name in networks.BUILDERS:
        if not made.exists():
            onnx.save(networks.build(name), made)
        case = Case(name, made, "built", random_feeds(onnx.load(made)), folder)
    elif name in RANDOM:
        raise Absent(f"an export, looked for in {structure.parent}")
    else:
        raise Absent("no such network; ./dev bench models --list has their names")
    numpy.savez(case.feeds_file, **case.feeds)
    return case


def compile_case(case, target, flags=()):
    """Compiles with compile-model and more flags; its figures, or {"error": text}."""
    tool = pathlib.Path(os.environ.get("PLANISH_BIN", ROOT / "build" / "release" / "bin")) / "compile-model"
    name = re.sub(r"\W", "_", case.name)
    flags = [*flags, *(f"--shape={key}={'x'.join(map(str, value.shape))}" for key, value in case.feeds.items() if value.shape)]
    begin = time.perf_counter()
    done = subprocess.run([str(tool), str(case.path), "-o", str(case.compiled), f"--name={name}", f"--target={target}", "--json",
                           *flags], capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:300]}
    result = json.loads(done.stdout)
    report = json.loads((case.compiled / "report.json").read_text())
    return {"seconds": seconds, "code_bytes": result["library"] - result["weights"], "weights_bytes": result["weights"],
            "arena_bytes": result["arena"], "gflop": report["flops"] / 1e9, "target": result.get("target", target)}
