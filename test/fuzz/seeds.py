"""Seeds for the fuzz targets: `seeds.py FOLDER` writes FOLDER/<target>/*, good and bad inputs alike.

Models come from the generator of random models and from the list of bad ones, texts from what the tools print of them
and from the documentation, so that nothing is kept twice.
"""

import io
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "test" / "random"), str(ROOT / "test" / "errors")]

import numpy  # noqa: E402

import models  # noqa: E402
import random_models  # noqa: E402

MODELS, TEXTS, MOST_BYTES, DEEP = 60, 20, 1 << 16, 10000
RECORD = """{"key":"0123456789abcdef","target":"cpu","template":"contraction.cpu","knobs":{"pixels":4,"vectors":2},
"default_ns":100.5,"best_ns":90.25,"interval":[1.05,1.2],"about":"conv 3x3","machine":"m","compiler":"0.1.0"}
""".replace(",\n", ",")


PROFILE = {
    "planish_profile": 1, "graph": "0123456789abcdef", "samples": 2, "calibrator": "mse", "equalization": {"x": [0, 3]},
    "values": {"x": {"least": -1.5, "most": 2.0, "bins": {"exponent": -3, "first": -12, "counts": [1, 0, 5, 2]},
                     "channels": {"least": [-1.5, 0], "most": [1, 2], "mean": [0.25, 1]}}}}
MACHINE = {
    "version": 1, "cpu": "a cpu", "cores": 2,
    "compute": [{"isa": "avx512", "type": "f32", "threads": 1, "giga_per_s": 200.5}],
    "levels": [{"name": "L1", "bytes": 49152, "shared_by": 1,
                "bandwidth": [{"threads": 1, "read_gbytes_per_s": 500, "triad_gbytes_per_s": 300}]},
               {"name": "memory", "bytes": 0, "shared_by": 2,
                "bandwidth": [{"threads": 1, "read_gbytes_per_s": 13, "triad_gbytes_per_s": 11}]}]}


def blocks(kind):
    """Code blocks of a kind in the documentation."""
    text = "".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


def write(folder, name, data):
    folder.mkdir(parents=True, exist_ok=True)
    if len(data) <= MOST_BYTES:
        (folder / name).write_bytes(data)


def write_models(folder):
    for seed in range(MODELS):
        write(folder, f"random{seed}", random_models.model_of([random_models.Generator(seed).grow(4 + seed % 8)]).SerializeToString())
    scratch = folder / "scratch"
    for bad in models.BAD:
        place = scratch / bad.name
        place.mkdir(parents=True)
        bad.write(place / "model")
        if (place / "model").is_file():
            write(folder, f"bad_{bad.name}", (place / "model").read_bytes())
    subprocess.run(["rm", "-r", scratch], check=True)


def write_texts(folder, form, onnx):
    tool = Path(os.environ["PLANISH_BIN"]) / "compile-model"
    for k, path in enumerate(sorted(onnx.glob("random*"))[:TEXTS]):
        done = subprocess.run([tool, path, "--emit", form], capture_output=True, check=False)
        write(folder, f"random{k}", done.stdout)
    for k, block in enumerate(blocks(form)):
        write(folder, f"docs{k}", block.encode())


def write_arrays(folder):
    shapes, types = [(), (3,), (2, 3, 0), (2, 3)], ["f4", "u1", "i1", "i8", "f2", "f8", "u4", "?"]
    for k, (shape, dtype) in enumerate(itertools.product(shapes, types)):
        for order in "CF":
            array, file = numpy.ones(shape, dtype, order=order), io.BytesIO()
            numpy.save(file, array)
            write(folder / "npy", f"{k}{order}", file.getvalue())
            archive = io.BytesIO()
            (numpy.savez if order == "C" else numpy.savez_compressed)(archive, x=array, y=numpy.ones(2))
            write(folder / "npz", f"{k}{order}", archive.getvalue())


def write_manifests(folder, onnx):
    tool = Path(os.environ["PLANISH_BIN"]) / "compile-model"
    with tempfile.TemporaryDirectory() as scratch:
        for k, path in enumerate(sorted(onnx.glob("random*"))[:3]):
            if subprocess.run([tool, path, "-o", scratch], capture_output=True, check=False).returncode == 0:
                write(folder, f"random{k}", (Path(scratch) / "manifest.json").read_bytes())


def write_all(folder):
    write_models(folder / "onnx")
    write_arrays(folder)
    write_manifests(folder / "manifest", folder / "onnx")
    write(folder / "profile", "one", json.dumps(PROFILE).encode())
    write(folder / "machine", "one", json.dumps(MACHINE).encode())
    for form in ("graph", "loop"):
        write_texts(folder / form, form, folder / "onnx")
    for k, block in enumerate(blocks("json")):
        write(folder / "frame", f"docs{k}", block.encode())
    write(folder / "tuning", "record", RECORD.encode())
    for target in ("frame", "tuning", "profile", "machine", "manifest"):
        write(folder / target, "deep_lists", b"[" * DEEP)
        write(folder / target, "deep_objects", b'{"a":' * DEEP)
    write(folder / "loop", "deep", b"func @f(%x: f32[4]) { %x[0] = " + b"(" * DEEP)
    write(folder / "loop", "deep_loops", b"func @f(%x: f32[4]) { " + b"for i in 0..4 { " * 4000)
    write(folder / "graph", "deep", b"graph @f(%x: f32[(" + b"(" * DEEP)
    write(folder / "graph", "deep_regions", b"graph @f(%x: f32[4]) { " + b"%y: f32[4] = fused(%x) region(%x: f32[4]) { " * 1500)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
