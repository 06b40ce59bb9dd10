"""Detectors quantized on samples: average precision beside that of their real numbers, on other pictures.

COCO's pictures and the networks are looked for as in test_detect_average_precision.py; the conveyor's are made here.
"""

import json
import shutil
import sys

import detection_reference as detection
import numpy
import pytest
from conftest import MODELS, ROOT, tool
from test_detect_average_precision import FRAMES, PICTURES, WEAKEST, ground_truth, pictures, with_score

RELATIVE, ABSOLUTE = 0.02, 0.006

pytestmark = pytest.mark.slow


def halves(folder):
    """Every other picture for calibration, the rest to measure, as two folders."""
    for i, path in enumerate(pictures()):
        part = folder / ("calibration", "measured")[i % 2]
        part.mkdir(exist_ok=True)
        shutil.copy(path, part)
    return folder / "calibration", folder / "measured"


@pytest.mark.skipif(not (MODELS.exists() and PICTURES.exists()), reason="no networks or no pictures")
@pytest.mark.parametrize("name", ["yolox_nano", "nanodet_m_416"])
def test_detectors_keep_their_precision(name, tmp_path):
    calibration, measured = halves(tmp_path)
    model, frame = MODELS / f"{name}.onnx", FRAMES / f"{name}.json"
    tool("compile-model")(model, "-o", tmp_path / "real")
    tool("compile-model")(model, "-o", tmp_path / "int8", "--int8", "--calibration", calibration, "--frame", frame)
    frame_file = with_score(json.loads(frame.read_text()), WEAKEST, tmp_path)
    paths = sorted(measured.glob("*.jpg"))
    truth = ground_truth(paths)

    def precision(model_folder):
        lines = tool("detect-stream")(measured, "--model", model_folder, "--frame", frame_file).stdout
        return detection.average_precision(truth, detection.read_lines(lines))

    real, int8 = precision(tmp_path / "real"), precision(tmp_path / "int8")
    print(f"{name}: AP {real:.4f}, int8 {int8:.4f}")
    assert real - int8 <= min(RELATIVE * real, ABSOLUTE)


def test_the_shipped_detector_keeps_its_precision(tmp_path):
    sys.path.insert(0, str(ROOT / "examples" / "conveyor"))
    detect, evaluate, scene = (pytest.importorskip(name) for name in ("detection", "evaluate", "scene"))
    planish = pytest.importorskip("planish")
    model = ROOT / "examples" / "conveyor" / "detector.onnx"
    frame = detect.read_frame()
    samples = [detect.preprocess(scene.still(seed)[0], frame) for seed in range(310_000, 310_040)]
    profile = planish.calibrate(str(model), {frame["input"]["name"]: numpy.concatenate(samples)})
    planish.compile(str(model), out=str(tmp_path / "real"))
    planish.compile(str(model), out=str(tmp_path / "int8"), int8=profile)
    engines = {name: evaluate.planish_engine(tmp_path / name) for name in ("real", "int8")}
    tables, _ = evaluate.measure(engines, (scene.still(seed) for seed in evaluate.HELD_OUT))
    real, int8 = (evaluate.summary(tables[name])["mAP50:95"] for name in ("real", "int8"))
    print(f"conveyor: mAP50:95 {real:.4f}, int8 {int8:.4f}")
    assert real - int8 <= 0.005 * real
