"""Average precision of the conveyor detector, through ONNX Runtime and through what Planish compiled.

    python evaluate.py --compiled out/detector        compiled by Planish, and ONNX Runtime, and the difference
    python evaluate.py --seeds 300000:300050          other pictures (default: 200000:200200, never trained on)
    python evaluate.py --detections out/detections.jsonl --truth out/belt.json     what detect-stream found in a clip

Both engines get the same arrays and the same decoding. Without --compiled the network is compiled first, into a
folder that is deleted afterwards. Exits 5 when the two differ by more than --tolerance.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

import detection
import scene
from generate import seed_range
from parts import CLASSES

HERE = Path(__file__).parent
HELD_OUT = range(200_000, 200_200)


def onnxruntime_engine(path):
    """A function from one input array to the network's one output; ONNX Runtime without its graph rewrites."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def planish_engine(directory, threads=1):
    """The same of a directory that Planish compiled."""
    import planish
    net = planish.load(str(directory), threads=threads)
    name = detection.read_frame()["input"]["name"]
    return lambda x: next(iter(net({name: x}).values()))


def measure(engines, stills, threshold=0.01):
    """For each engine of {name: function}: its table of average precision (classes x IoU levels).

    Also the largest difference between any engine's output and the first one's, relative to the largest value."""
    frame = detection.read_frame()
    found, truth = {name: [] for name in engines}, []
    worst = 0.0
    for image, annotations in stills:
        truth.append(annotations)
        x = detection.preprocess(image, frame)
        outputs = {name: np.array(engine(x)) for name, engine in engines.items()}
        first = next(iter(outputs.values()))
        for name, output in outputs.items():
            worst = max(worst, float(np.abs(output - first).max() / np.abs(first).max()))
            found[name].append(detection.decode(output, frame, threshold))
    return {name: detection.average_precision(f, truth, len(CLASSES)) for name, f in found.items()}, worst


def judge_detections(lines, truth):
    """Table of average precision of detect-stream's JSON lines against a COCO document of generate.py.

    The n-th line is the n-th picture; boxes below the score threshold of frame.json are not in the file, so recall,
    and with it the precision, is a little less than that of `measure`."""
    pictures = [[] for _ in truth["images"]]
    for a in truth["annotations"]:
        left, top, width, height = a["bbox"]
        box = (left, top, left + width, top + height)
        pictures[a["image_id"]].append(scene.Annotation(a["track_id"], a["category_id"], box, a["visible"]))
    found = []
    for line in lines:
        boxes = json.loads(line)["detections"]
        found.append((np.array([b["box"] for b in boxes], float).reshape(-1, 4), np.array([b["score"] for b in boxes]),
                      np.array([b["class"] for b in boxes], int)))
    if len(found) > len(pictures):
        raise ValueError(f"{len(found)} pictures were searched, the truth knows {len(pictures)}")
    return detection.average_precision(found, pictures[:len(found)], len(CLASSES))


def summary(table):
    return {"mAP50": float(np.nanmean(table[:, 0])), "mAP50:95": float(np.nanmean(table)),
            "AP50": {name: float(table[i, 0]) for i, name in enumerate(CLASSES)}}


def compiled_directory(args, scratch):
    if args.compiled:
        return args.compiled
    import planish
    planish.compile(str(args.onnx), out=str(Path(scratch) / "detector"))
    return Path(scratch) / "detector"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiled", help="directory that compile-model wrote")
    parser.add_argument("--onnx", default=HERE / "detector.onnx")
    parser.add_argument("--seeds", type=seed_range, default=HELD_OUT, metavar="FIRST:END")
    parser.add_argument("--tolerance", type=float, default=0.002, help="allowed difference of mAP")
    parser.add_argument("--only", choices=("onnxruntime", "planish"), help="one engine alone")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--detections", help="detections.jsonl that detect-stream wrote of a clip; needs --truth")
    parser.add_argument("--truth", help="the clip's ground truth, as generate.py wrote it")
    args = parser.parse_args()
    if bool(args.detections) != bool(args.truth):
        parser.error("--detections and --truth go together")
    if args.detections:
        lines = Path(args.detections).read_text().splitlines()
        tables, worst = {"detect-stream": judge_detections(lines, json.loads(Path(args.truth).read_text()))}, 0.0
    else:
        tables, worst = run_engines(args)
    result = {name: summary(table) for name, table in tables.items()}
    status = report(result, worst, args.tolerance)
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    return status


def run_engines(args):
    """What `measure` returns, of the engines asked for on the seeds asked for."""
    with tempfile.TemporaryDirectory() as scratch:
        engines = {}
        if args.only != "planish":
            engines["onnxruntime"] = onnxruntime_engine(args.onnx)
        if args.only != "onnxruntime":
            engines["planish"] = planish_engine(compiled_directory(args, scratch))
        return measure(engines, (scene.still(seed) for seed in args.seeds))


def report(result, worst, tolerance):
    """Prints the figures and, of two engines, adds their difference to `result`; the exit status."""
    print(f"{'AP50 of':16}" + "".join(f"{name:>14}" for name in result))
    for label in CLASSES:
        print(f"{label:16}" + "".join(f"{figures['AP50'][label]:14.4f}" for figures in result.values()))
    for key in ("mAP50", "mAP50:95"):
        print(f"{key:16}" + "".join(f"{figures[key]:14.4f}" for figures in result.values()))
    if len(result) < 2:
        return 0
    gaps = {key: abs(result["planish"][key] - result["onnxruntime"][key]) for key in ("mAP50", "mAP50:95")}
    result["difference"] = {**gaps, "largest_relative_output": worst}
    print(f"difference: mAP50 {gaps['mAP50']:.6f}, mAP50:95 {gaps['mAP50:95']:.6f}; "
          f"outputs {worst:.2e} of the largest value")
    return 5 if max(gaps.values()) > tolerance else 0


if __name__ == "__main__":
    sys.exit(main())
