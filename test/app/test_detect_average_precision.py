"""Trained detectors: detect-stream against ONNX Runtime with the same steps in NumPy, picture by picture and in AP.

Networks and pictures are not part of the project: they are looked for in ../shared, or where PLANISH_MODELS and
PLANISH_MEDIA point, and these tests skip where there are none.
"""

import importlib.util
import json
import os
import shutil
from pathlib import Path

import detection_reference as detection
import numpy
import onnx
import pytest
from conftest import MODELS, ROOT, onnx_runtime, tool
from onnx import TensorProto, helper

MEDIA = Path(os.environ.get("PLANISH_MEDIA", ROOT.parent / "shared" / "media"))
PICTURES = MEDIA / "labelled" / "coco_tiny_val80"
FRAMES = ROOT / "examples" / "frames"
NETS = ("yolox_nano", "nanodet_m_416", "fastestdet_352")
LARGEST = 2048
FEW = 6
WEAKEST = 0.01  # of the detections that AP is computed from
TOLERANCE = 0.002

pytestmark = pytest.mark.skipif(not (MODELS.exists() and PICTURES.exists()),
                                reason=f"no networks in {MODELS} or no pictures in {PICTURES}")


def pictures():
    return sorted((PICTURES / "images").glob("*.jpg"))


@pytest.fixture(scope="module")
def read_picture(tmp_path_factory):
    """Decodes a picture with the tools' own codec: (H, W, 3) bytes."""
    folder = tmp_path_factory.mktemp("reader")
    x, y = (helper.make_tensor_value_info(n, TensorProto.UINT8, [1, "H", "W", 3]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "reader", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "r.onnx")
    tool("compile-model")(folder / "r.onnx", "-o", folder / "r", "--max-shape", f"x=1x{LARGEST}x{LARGEST}x3")

    def read(path):
        tool("run-model")(folder / "r", "--input", f"x={path}", "--output", folder / "out.npz")
        with numpy.load(folder / "out.npz") as out:
            return out["y"][0]

    return read


@pytest.fixture(scope="module", params=NETS)
def net(request, tmp_path_factory):
    """(name, compiled directory, its frame.json as a dict with the file's own thresholds)."""
    out = tmp_path_factory.mktemp(request.param) / request.param
    tool("compile-model")(MODELS / f"{request.param}.onnx", "-o", out)
    return request.param, out, json.loads((FRAMES / f"{request.param}.json").read_text())


def with_score(frame, score, folder):
    """The frame.json with another threshold, as a file beside its labels."""
    frame["thresholds"]["score"] = score
    shutil.copy(FRAMES / frame["labels"], folder)
    (folder / "frame.json").write_text(json.dumps(frame))
    return folder / "frame.json"


def reference(name, frame, paths, read_picture):
    runtime = onnx_runtime(MODELS / f"{name}.onnx")

    def run(tensor):
        return runtime({frame["input"]["name"]: tensor})

    return {path.name: detection.detect(frame, read_picture(path), run) for path in paths}


def test_same_boxes_as_onnx_runtime(net, tmp_path, read_picture):
    name, out, frame = net
    frame_file = with_score(frame, frame["thresholds"]["score"], tmp_path)
    for path in pictures()[:FEW]:
        got = detection.read_lines(tool("detect-stream")(path, "--model", out, "--frame", frame_file).stdout)[path.name]
        want = reference(name, frame, [path], read_picture)[path.name]
        # A score within rounding of the threshold may fall on either side.
        for ours, theirs in ((got, want), (want, got)):
            for label, score, box in ours:
                if score < frame["thresholds"]["score"] + 0.01:
                    continue
                assert any(c == label and abs(s - score) < 0.01 and numpy.abs(b - box).max() < 1.5
                           for c, s, b in theirs), f"{path.name}: {label} {score} {box} of {theirs}"


def ground_truth(paths):
    """Truths by picture, classes numbered as the networks number them."""
    document = json.loads((PICTURES / "instances_val2017_boxes.json").read_text())
    index = {category["id"]: i for i, category in enumerate(sorted(document["categories"], key=lambda c: c["id"]))}
    names = {image["id"]: image["file_name"] for image in document["images"]}
    truth = {path.name: [] for path in paths}
    for a in document["annotations"]:
        x, y, w, h = a["bbox"]
        if names[a["image_id"]] in truth:
            truth[names[a["image_id"]]].append((index[a["category_id"]], [x, y, x + w, y + h], a["iscrowd"]))
    return truth


@pytest.mark.slow
def test_average_precision_equals_onnx_runtimes(net, tmp_path, read_picture):
    name, out, frame = net
    paths = pictures()
    lines = tool("detect-stream")(PICTURES / "images", "--model", out, "--frame", with_score(frame, WEAKEST, tmp_path))
    found = detection.read_lines(lines.stdout)
    assert sorted(found) == [path.name for path in paths]
    truth = ground_truth(paths)
    ours = detection.average_precision(truth, found)
    theirs = detection.average_precision(truth, reference(name, frame, paths, read_picture))
    print(f"{name}: AP {ours:.4f}, ONNX Runtime {theirs:.4f}")
    assert theirs > 0.1
    assert abs(ours - theirs) <= TOLERANCE
    if importlib.util.find_spec("pycocotools"):
        assert abs(ours - coco_tools(found)) <= 1e-4


def coco_tools(found):
    """The same from pycocotools, which is authoritative."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    truth = COCO(str(PICTURES / "instances_val2017_boxes.json"))
    categories = sorted(truth.getCatIds())
    ids = {image["file_name"]: image["id"] for image in truth.dataset["images"]}
    rows = [{"image_id": ids[file], "category_id": categories[label], "score": score,
             "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]]}
            for file, boxes in found.items() for label, score, b in boxes]
    run = COCOeval(truth, truth.loadRes(rows), "bbox")
    run.evaluate()
    run.accumulate()
    run.summarize()
    return run.stats[0]
