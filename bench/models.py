"""Latency of compiled models next to other engines: one interleaved run per model and thread count.

    bench/models.py [NAME ...] [--engines ort,planish] [--threads 1,2] [--rounds 9] [--json OUT]

Networks and the harness that takes turns between engines are not part of the project: they are looked
for in ../shared (or $PLANISH_SHARED). Every model is compiled for the sizes of its golden input.
"""
import argparse
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHARED = pathlib.Path(os.environ.get("PLANISH_SHARED", ROOT.parent / "shared"))
NAMES = """mnist_12 ultraface_rfb_320 yolox_nano nanodet_m_416 fastestdet_352 mtcnn_pnet mtcnn_rnet mtcnn_onet
ppocrv2_det ppocrv2_cls osnet_x0_25 pcb_cnn_fp32 sinet_portrait super_resolution_x3 plate_rec""".split()


def golden_feeds(name):
    spec = importlib.util.spec_from_file_location("golden", SHARED / "models" / "golden.py")
    golden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(golden)
    return golden.load(name)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="models (default: all fp32 networks)")
    parser.add_argument("--engines", default="ort,planish")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", default="9")
    parser.add_argument("--package", default=str(ROOT / "build" / "release" / "python"))
    parser.add_argument("--json")
    options = parser.parse_args()
    harness = SHARED / "bench" / "peers.py"
    if not harness.exists():
        print(f"skipped: no {harness}")
        return 0
    sys.path.insert(0, options.package)
    import planish

    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name in options.names or NAMES:
            feeds = golden_feeds(name)
            model = SHARED / "models" / f"{name}.onnx"
            np.savez(os.path.join(folder, name + ".npz"), **feeds)
            planish.compile(str(model), out=os.path.join(folder, name), shapes={k: list(v.shape) for k, v in feeds.items()})
            files.append(str(model))
        command = [sys.executable, str(harness), *files, "--engines", options.engines, "--threads", options.threads,
                   "--rounds", options.rounds, "--feeds", folder, "--planish", folder]
        if options.json:
            command += ["--json", options.json]
        return subprocess.call(command, env={**os.environ, "PLANISH_PYTHONPATH": options.package})


if __name__ == "__main__":
    sys.exit(main())
