"""The conveyor example: what its generator promises, and its detector through Planish and through ONNX Runtime."""

import contextlib
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/conveyor"
sys.path.insert(0, str(EXAMPLE))

import detection  # noqa: E402
import evaluate  # noqa: E402
import generate as coco_files  # noqa: E402
import media  # noqa: E402
import scene  # noqa: E402
from parts import CLASSES, DEFECTS, KINDS, Part  # noqa: E402

UNSEEN = range(700_000, 700_040)
TOLERANCE = 1e-3  # of the output's largest value


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_same_seed_same_frames(seed):
    (image, truth), (again, truth_again) = scene.still(seed), scene.still(seed)
    assert image.dtype == np.uint8 and image.shape == (scene.HEIGHT, scene.WIDTH, 3)
    assert np.array_equal(image, again) and truth == truth_again
    assert not np.array_equal(image, scene.still(seed + 1)[0])


def test_frames_do_not_depend_on_the_order_of_asking():
    forwards, backwards = scene.Scene(5, frames=6), scene.Scene(5, frames=6)
    expected = [forwards.frame(i) for i in range(6)]
    for i in reversed(range(6)):
        image, truth = backwards.frame(i)
        assert np.array_equal(image, expected[i][0]) and truth == expected[i][1]
    with pytest.raises(IndexError):
        forwards.frame(6)


@pytest.mark.parametrize("seed", range(8))
def test_boxes_lie_in_the_picture_and_off_the_rails(seed):
    belt = scene.Scene(seed)
    upper, lower = belt.rails
    _, truth = belt.frame(0)
    assert len({a.track for a in truth}) == len(truth)
    for a in truth:
        left, top, right, bottom = a.box
        assert 0 <= left < right <= scene.WIDTH and upper <= top < bottom <= scene.HEIGHT - lower, a
        assert 0 < a.visible <= 1.001 and a.name in CLASSES


@pytest.mark.parametrize("kind, defect", [(kind, defect) for kind in KINDS for defect in ("",) + DEFECTS[kind]])
def test_a_part_changes_pixels_in_its_box_and_nowhere_else(kind, defect):
    """The same belt with and without one part: without shadow, blur and noise, what differs is the box."""
    belt = scene.Scene(3)
    belt.shadow, belt.focus, belt.shutter, belt.noise = 0, 0, 0, (0, 0)
    belt.parts = []
    empty = belt.frame(0)[0].astype(int)
    belt.parts = [Part(7, kind, defect, 160.3, 120.7, 0.8, 20.0, (0.7, 0.7, 0.7), (0.3, 0.6, 0.5, 0.2))]
    image, (found,) = belt.frame(0)
    rows, columns = np.nonzero(np.abs(image - empty).max(axis=2) > 3)
    left, top, right, bottom = found.box
    assert found.track == 7 and found.name == kind + ("_defect" if defect else "") and found.visible == 1
    # Antialiasing may touch one pixel more on each side; a box is never looser than the pixels.
    assert left - 1 <= columns.min() <= left + 1 and right - 1 <= columns.max() + 1 <= right + 1
    assert top - 1 <= rows.min() <= top + 1 and bottom - 1 <= rows.max() + 1 <= bottom + 1


def test_defective_parts_differ_from_good_ones():
    belt = scene.Scene(3)
    for kind in KINDS:
        pictures = []
        for defect in ("",) + DEFECTS[kind]:
            belt.parts = [Part(1, kind, defect, 160.0, 120.0, 0.8, 20.0, (0.7, 0.7, 0.7), (0.3, 0.6, 0.5, 0.2))]
            pictures.append(belt.frame(0)[0].astype(int))
        for i, picture in enumerate(pictures[1:]):
            assert (np.abs(picture - pictures[0]).max(axis=2) > 40).sum() >= 20, (kind, DEFECTS[kind][i])


def test_tracks_are_stable_and_move_with_the_belt():
    belt = scene.Scene(11, frames=40, fps=25, speed=100.0)
    labels, places, gone = {}, {}, set()
    for number in range(40):
        _, truth = belt.frame(number)
        for a in truth:
            assert labels.setdefault(a.track, a.label) == a.label
            assert a.track not in gone, "a track that ended came back"
            left, top, right, bottom = a.box
            if a.visible > 0.99 and right < scene.WIDTH and left > 0:
                places.setdefault(a.track, []).append((number, left, top, right - left, bottom - top))
        gone |= {t for t in labels if t not in {a.track for a in truth}}
    followed = [p for p in places.values() if len(p) >= 10]
    assert followed
    for path in followed:
        numbers, left, top, width, height = np.array(path).T
        assert np.ptp(width) <= 2 and np.ptp(height) <= 2 and np.ptp(top) <= 4
        assert np.polyfit(numbers, left, 1)[0] == pytest.approx(4.0, abs=0.15)  # 100 pixels a second at 25 frames


def unpack_png(data):
    """A plain reader of what media.png writes: 8-bit RGB, filter 1 on every row."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    position, body = 8, b""
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        chunk = data[position + 8:position + 8 + length]
        assert struct.unpack_from(">I", data, position + 8 + length)[0] == zlib.crc32(kind + chunk)
        if kind == b"IHDR":
            width, height = struct.unpack_from(">II", chunk)
        body += chunk if kind == b"IDAT" else b""
        position += length + 12
    rows = np.frombuffer(zlib.decompress(body), np.uint8).reshape(height, 1 + 3 * width)
    assert (rows[:, 0] == 1).all()
    return np.cumsum(rows[:, 1:].reshape(height, width, 3), axis=1, dtype=np.uint8)


def generate(*arguments, expect=0):
    command = [sys.executable, EXAMPLE / "generate.py", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == expect, done.stderr
    return done


def test_stills_and_their_coco_file(tmp_path):
    generate("stills", "--out", tmp_path / "a", "--seeds", "40:43")
    document = json.loads((tmp_path / "a/annotations.json").read_text())
    assert [c["name"] for c in document["categories"]] == list(CLASSES)
    assert [i["file_name"] for i in document["images"]] == ["000040.png", "000041.png", "000042.png"]
    assert len({a["id"] for a in document["annotations"]}) == len(document["annotations"])
    for image in document["images"]:
        expected, truth = scene.still(image["seed"])
        assert np.array_equal(unpack_png((tmp_path / "a" / image["file_name"]).read_bytes()), expected)
        boxes = [a["bbox"] for a in document["annotations"] if a["image_id"] == image["id"]]
        assert boxes == [[a.box[0], a.box[1], a.box[2] - a.box[0], a.box[3] - a.box[1]] for a in truth]
    generate("stills", "--out", tmp_path / "b", "--seeds", "40:43")
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_clip_as_video_and_as_folder(tmp_path):
    common = ("--seed", 9, "--seconds", 0.2, "--fps", 20)
    generate("clip", "--out", tmp_path / "belt.avi", *common)
    generate("clip", "--out", tmp_path / "belt", *common)
    video, truth = (tmp_path / "belt.avi").read_bytes(), json.loads((tmp_path / "belt.json").read_text())
    assert truth == json.loads((tmp_path / "belt/annotations.json").read_text())
    assert [i["frame"] for i in truth["images"]] == [0, 1, 2, 3]
    assert video[:4] == b"RIFF" and struct.unpack_from("<I", video, 4)[0] == len(video) - 8
    # The index leads to the same pictures as the folder holds.
    movie, index = video.index(b"movi"), video.rindex(b"idx1")
    for number, image in enumerate(truth["images"]):
        kind, _, offset, size = struct.unpack_from("<4sIII", video, index + 8 + 16 * number)
        picture = video[movie + offset + 8:movie + offset + 8 + size]
        assert kind == b"00dc" and picture == (tmp_path / "belt" / image["file_name"]).read_bytes()


def test_video_is_read_by_opencv(tmp_path):
    cv2 = pytest.importorskip("cv2")
    belt = scene.Scene(4, frames=3)
    media.write_avi(tmp_path / "belt.avi", (belt.frame(i)[0] for i in range(3)), scene.WIDTH, scene.HEIGHT, 25)
    clip = cv2.VideoCapture(str(tmp_path / "belt.avi"))
    for number in range(3):
        read, frame = clip.read()
        assert read and np.array_equal(frame[:, :, ::-1], belt.frame(number)[0])
    assert not clip.read()[0]


@pytest.mark.parametrize("arguments", [
    ("clip", "--out", "belt.mp4"), ("clip", "--out", "belt.avi", "--seconds", 0),
    ("stills", "--out", "x", "--seeds", "a:b"), ("stills",)])
def test_wrong_usage(arguments):
    assert "error" in generate(*arguments, expect=2).stderr


def test_average_precision_by_hand():
    def annotation(box, label, visible=1.0):
        return scene.Annotation(1, label, box, visible)

    truth = [[annotation((0, 0, 10, 10), 0), annotation((50, 50, 60, 60), 0)], [annotation((0, 0, 10, 10), 1, 0.3)]]
    perfect = (np.array([[0, 0, 10, 10], [50, 50, 60, 60.]]), np.array([0.9, 0.8]), np.array([0, 0]))
    in_crowd = (np.array([[0, 0, 10, 10.]]), np.array([0.99]), np.array([1]))
    table = detection.average_precision([perfect, in_crowd], truth, 2)
    assert (table[0] == 1).all() and np.isnan(table[1]).all()
    # The better score is wrong: precision 1/2 up to recall 1/2, which is points 0 to 50 of 101, and nothing after.
    half = (np.array([[200, 200, 210, 210], [0, 0, 10, 10.]]), np.array([0.9, 0.8]), np.array([0, 0]))
    table = detection.average_precision([half, in_crowd], truth, 2)
    assert table[0] == pytest.approx(np.full(10, 0.5 * 51 / 101))
    # Found 8 pixels of 10 wide: IoU 0.8 counts up to that level; twice found is once false.
    twice = (np.array([[0, 0, 8, 10], [0, 0, 8, 10.]]), np.array([0.9, 0.8]), np.array([0, 0]))
    table = detection.average_precision([twice], [truth[0][:1]], 1)
    assert table[0, :6] == pytest.approx(np.ones(6)) and (table[0, 7:] == 0).all()


def test_average_precision_is_that_of_pycocotools(capsys):
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    rng = np.random.default_rng(1)
    document, results, found, truths = coco_files.Coco("test"), [], [], []
    for number in range(30):
        truth = scene.still(number)[1]
        truths.append(truth)
        document.add(str(number), truth)
        guesses = [a for a in truth if rng.random() < 0.85] + list(truth[:2])
        boxes = np.array([a.box for a in guesses], float) + rng.normal(0, 2, (len(guesses), 4))
        labels = np.array([a.label if rng.random() < 0.8 else rng.integers(8) for a in guesses])
        scores = rng.random(len(guesses))
        found.append((boxes, scores, labels))
        for box, score, label in zip(boxes, scores, labels):
            size = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            results.append({"image_id": number, "category_id": int(label), "bbox": size, "score": float(score)})
    with capsys.disabled(), open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet):
        expected = coco.COCO()
        expected.dataset = document.document
        expected.createIndex()
        judge = evaluation.COCOeval(expected, expected.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    table = detection.average_precision(found, truths, len(CLASSES))
    assert np.nanmean(table) == pytest.approx(judge.stats[0], abs=1e-9), "seed 1"
    assert np.nanmean(table[:, 0]) == pytest.approx(judge.stats[1], abs=1e-9), "seed 1"


def test_decoding_by_hand():
    frame = detection.read_frame()
    output = np.zeros((1, 1200, 5 + len(CLASSES)), np.float32)
    # Row 2, column 3 of the grid: centre at (3.5, 2.25) cells, 4 x 2 cells; its neighbour says the same, less surely.
    output[0, 2 * 40 + 3, :5] = 0.5, 0.25, np.log(4), np.log(2), 0.9
    output[0, 2 * 40 + 4, :5] = -0.5, 0.25, np.log(4), np.log(2), 0.8
    output[0, 2 * 40 + 3, 5 + 6] = output[0, 2 * 40 + 4, 5 + 6] = 1
    boxes, scores, labels = detection.decode(output, frame)
    assert boxes == pytest.approx(np.array([[12, 10, 44, 26]]), abs=1e-3)
    assert scores == pytest.approx([0.9]) and [CLASSES[i] for i in labels] == ["bearing"]


def test_frame_names_the_classes_in_order():
    frame = detection.read_frame()
    assert tuple(frame["labels"]) == CLASSES
    assert (frame["input"]["width"], frame["input"]["height"]) == (scene.WIDTH, scene.HEIGHT)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """The detector, compiled."""
    import planish
    out = tmp_path_factory.mktemp("conveyor") / "detector"
    planish.compile(str(EXAMPLE / "detector.onnx"), out=str(out))
    return out


def test_detector_is_small():
    assert (EXAMPLE / "detector.onnx").stat().st_size < 2_000_000


def test_compiled_detector_finds_the_parts(detector):
    """On belts never trained on: outputs equal ONNX Runtime's, mAP50 at least 0.9, mAP equal within 0.002."""
    engines = {"onnxruntime": evaluate.onnxruntime_engine(EXAMPLE / "detector.onnx"),
               "planish": evaluate.planish_engine(detector)}
    tables, worst = evaluate.measure(engines, (scene.still(seed) for seed in UNSEEN))
    assert worst <= TOLERANCE, f"outputs differ by {worst} of the largest value"
    figures = {name: evaluate.summary(table) for name, table in tables.items()}
    assert figures["planish"]["mAP50"] >= 0.9, figures
    for key in ("mAP50", "mAP50:95"):
        assert abs(figures["planish"][key] - figures["onnxruntime"][key]) <= 0.002, figures


def test_threads_do_not_change_the_outputs(detector):
    frame = detection.read_frame()
    x = detection.preprocess(scene.still(UNSEEN.start)[0], frame)
    one, two = (np.array(evaluate.planish_engine(detector, threads)(x)) for threads in (1, 2))
    assert np.array_equal(one, two)


def test_detect_stream_finds_the_same_boxes(detector, tmp_path):
    """The tool's reader, preprocessing and decoding against this example's."""
    tool = Path(os.environ["PLANISH_BIN"]) / "detect-stream"
    if not tool.exists():
        pytest.skip("detect-stream is not built")
    generate("stills", "--out", tmp_path / "belts", "--seeds", "40:46")
    command = [tool, tmp_path / "belts", "--model", detector, "--frame", EXAMPLE / "frame.json"]
    done = subprocess.run([*command, "--no-animation"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    frame, engine = detection.read_frame(), evaluate.planish_engine(detector)
    assert len(lines) == 6
    for line, seed in zip(lines, range(40, 46)):
        boxes, scores, labels = detection.decode(engine(detection.preprocess(scene.still(seed)[0], frame)), frame)
        found = json.loads(line)["detections"]
        assert [d["class"] for d in found] == labels.tolist(), seed
        assert [d["label"] for d in found] == [CLASSES[i] for i in labels]
        assert np.array([d["score"] for d in found]) == pytest.approx(scores, abs=1e-4)
        assert np.array([d["box"] for d in found]).reshape(-1, 4) == pytest.approx(boxes, abs=0.02)
    (tmp_path / "found.jsonl").write_text("\n".join(lines) + "\n")
    truth = json.loads((tmp_path / "belts/annotations.json").read_text())
    table = evaluate.judge_detections(lines, truth)
    assert np.nanmean(table[:, 0]) >= 0.8  # six pictures, and only boxes above the threshold
    command = [sys.executable, EXAMPLE / "evaluate.py", "--detections", tmp_path / "found.jsonl"]
    judged = subprocess.run([*command, "--truth", tmp_path / "belts/annotations.json"], capture_output=True, text=True)
    assert judged.returncode == 0 and f"{np.nanmean(table[:, 0]):.4f}" in judged.stdout, judged.stderr


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder that looks like a built clone: its examples, build/release (this build) and build/venv."""
    root = tmp_path_factory.mktemp("clone")
    (root / "build").mkdir()
    (root / "examples").symlink_to(EXAMPLE.parent)
    (root / "build/release").symlink_to(Path(os.environ["PLANISH_BIN"]).parent)
    (root / "build/venv").symlink_to(sys.prefix)
    return root


def readme_block(language, containing):
    (block,) = [b for b in re.findall(rf"```{language}\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.S)
                if containing in b]
    return block


def test_commands_of_the_readme(clone):
    commands = re.sub(" +#.*", "", readme_block("sh", "compile-model")).rstrip() + " --seeds 200000:200040"
    done = subprocess.run(["sh", "-e", "-c", commands], cwd=clone, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (clone / "out/belt.json").exists() and "mAP50:95" in done.stdout


def test_detect_stream_commands_of_the_readme(clone, detector):
    if not (Path(os.environ["PLANISH_BIN"]) / "detect-stream").exists():
        pytest.skip("detect-stream is not built")
    (clone / "out").mkdir(exist_ok=True)
    generate("clip", "--out", clone / "out/belt.avi", "--seconds", 0.4)
    if not (clone / "out/detector").exists():
        (clone / "out/detector").symlink_to(detector)
    commands = readme_block("sh", "detect-stream")
    done = subprocess.run(["sh", "-e", "-c", commands], cwd=clone, capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip(done.stderr)  # built without video
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((clone / "out/found/detections.jsonl").read_text().splitlines()) == 10 and "mAP50" in done.stdout


def test_python_of_the_readme(clone):
    show = "\nprint(len(boxes), sorted(detection.read_frame()['labels'][i] for i in labels))"
    program = readme_block("python", "planish.compile") + show
    done = subprocess.run([sys.executable, "-c", program], cwd=clone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    asked = [a for a in scene.still(42)[1] if not a.crowd]
    assert abs(int(done.stdout.split()[0]) - len(asked)) <= 3, done.stdout
