"""Seeds for the fuzz targets: `seeds.py FOLDER` writes FOLDER/<target>/*, good and bad inputs alike.

Models come from the generator of random models and from the list of bad ones, texts from what the tools print of them
and from the documentation, so that nothing is kept twice.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "test" / "conformance"), str(ROOT / "test" / "errors")]

import models  # noqa: E402
import random_models  # noqa: E402

MODELS, TEXTS, MOST_BYTES, DEEP = 60, 20, 1 << 16, 10000
RECORD = """{"key":"0123456789abcdef","target":"cpu","template":"contraction.cpu","knobs":{"pixels":4,"vectors":2},
"default_ns":100.5,"best_ns":90.25,"interval":[1.05,1.2],"about":"conv 3x3","machine":"m","compiler":"0.1.0"}
""".replace(",\n", ",")


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
        write(folder, f"random{seed}", random_models.Generator(seed).grow(4 + seed % 8).model()[0].SerializeToString())
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


def write_all(folder):
    write_models(folder / "onnx")
    for form in ("graph", "loop"):
        write_texts(folder / form, form, folder / "onnx")
    for k, block in enumerate(blocks("json")):
        write(folder / "frame", f"docs{k}", block.encode())
    write(folder / "tuning", "record", RECORD.encode())
    for target in ("frame", "tuning"):
        write(folder / target, "deep_lists", b"[" * DEEP)
        write(folder / target, "deep_objects", b'{"a":' * DEEP)
    write(folder / "loop", "deep", b"func @f(%x: f32[4]) { %x[0] = " + b"(" * DEEP)
    write(folder / "loop", "deep_loops", b"func @f(%x: f32[4]) { " + b"for i in 0..4 { " * 4000)
    write(folder / "graph", "deep", b"graph @f(%x: f32[(" + b"(" * DEEP)
    write(folder / "graph", "deep_regions", b"graph @f(%x: f32[4]) { " + b"%y: f32[4] = fused(%x) region(%x: f32[4]) { " * 1500)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
