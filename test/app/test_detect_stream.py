"""detect-stream with networks made here: boxes of every decoder family, files in and out, mistakes."""

import json
import re

import detection_reference as detection
import numpy
import onnx
import pytest
from conftest import ROOT, tool
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEIGHT = 32, 16  # of the networks' input; pictures are twice as large, letterboxes start at the top left
SCORE = 0.5


@pytest.fixture
def detect_stream():
    return tool("detect-stream")


@pytest.fixture(scope="session")
def picture(tmp_path_factory):
    """A picture of noise, 64x32."""
    pixels = numpy.random.default_rng(3).integers(0, 256, (2 * HEIGHT, 2 * WIDTH, 3), dtype=numpy.uint8)
    return detection.write_png(tmp_path_factory.mktemp("picture") / "noise.png", pixels)


def frame_of(decoder, **more):
    return {"input": {"width": WIDTH, "height": HEIGHT, "colour": "rgb", "resize": "letterbox"},
            "decoder": decoder, "thresholds": {"score": SCORE}, **more}


def constant_net(outputs):
    """A network that gives the same outputs for every picture."""
    x = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])
    nodes = [helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
             helper.make_node("Mul", ["mean", "zero"], ["nothing"])]
    constants = [numpy_helper.from_array(numpy.float32(0), "zero")]
    infos = []
    for name, value in outputs.items():
        value = numpy.asarray(value, numpy.float32)
        constants.append(numpy_helper.from_array(value, f"{name}_value"))
        nodes.append(helper.make_node("Add", [f"{name}_value", "nothing"], [name]))
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape))
    graph = helper.make_graph(nodes, "constant", [x], infos, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def compiled(outputs, folder):
    onnx.save(constant_net(outputs), folder / "net.onnx")
    tool("compile-model")(folder / "net.onnx", "-o", folder / "net")
    return folder / "net"


def write_frame(frame, folder):
    (folder / "frame.json").write_text(json.dumps(frame))
    return folder / "frame.json"


def logit(p):
    return float(numpy.log(p / (1 - p)))


def yolox_outputs():
    """Two boxes at stride 8 (4x2 cells) and one at stride 16 (2x1): the last hides the first."""
    table = numpy.zeros((1, 10, 7), numpy.float32)
    table[0, 5] = [0.5, 0, numpy.log(2), 0, 0.9, 0.1, 0.8]   # cell (1, 1): centre (12, 8), size 16x8
    table[0, 3] = [0, 0.5, 0, 0, 0.8, 0.9, 0.2]              # cell (3, 0): centre (24, 4), size 8x8
    table[0, 8] = [0.75, 0.5, 0, -numpy.log(2), 1, 0, 0.75]  # centre (12, 8), size 16x8
    return {"output": table}


def raw_yolov8_outputs():
    maps = numpy.zeros((1, 8 + 2, 2, 4), numpy.float32)
    maps[0, 8:] = -9
    maps[0, :8, 1, 2] = [0, logit(0.25), 0, logit(0.5), 0, logit(0.75), 0, logit(0.5)]
    maps[0, 9, 1, 2] = logit(0.8)
    return {"maps": maps}


def nanodet_outputs():
    scores, sides = numpy.zeros((1, 8, 2), numpy.float32), numpy.zeros((1, 8, 8), numpy.float32)
    scores[0, 6, 1] = 0.7  # cell (2, 1), flat distributions: half a stride on each side
    return {"scores": scores, "sides": sides}


def fastestdet_outputs():
    maps = numpy.zeros((1, 7, 1, 2), numpy.float32)
    maps[0, :, 0, 1] = [0.9, 0, numpy.arctanh(0.5), 0, 0, 0.2, 0.7]
    return {"maps": maps}


def yolov5_raw_outputs():
    maps = numpy.full((1, 2, 2, 4, 7), -20, numpy.float32)
    maps[0, 1, 1, 2] = [0, 0, 0, logit(0.75), logit(0.9), -20, logit(0.8)]
    return {"maps": maps}


ROW = [8, 4, 4, 2, 0.9, 0.1, 0.8]

# name -> (outputs, decoder, [(class, score, box in picture pixels: twice the input's)])
FAMILIES = {
    "yolox": (yolox_outputs(), {"family": "yolox", "strides": [8, 16]},
              [(1, 0.75, (8, 8, 40, 24)), (0, 0.72, (40, 0, 56, 16))]),
    "yolov5": ({"o": [[ROW, [0] * 7]]}, {"family": "yolov5"}, [(1, 0.72, (12, 6, 20, 10))]),
    "yolov5 raw": (yolov5_raw_outputs(),
                   {"family": "yolov5", "form": "raw", "strides": [8], "anchors": [[[1, 1], [6, 4]]]},
                   [(1, 0.72, (34, 15, 46, 32))]),
    "yolov8": ({"o": numpy.array([[ROW[:4] + [0.3, 0.7], ROW[:4] + [0.1, 0.2]]]).transpose(0, 2, 1)},
               {"family": "yolov8"}, [(1, 0.7, (12, 6, 20, 10))]),
    "yolov8 raw": (raw_yolov8_outputs(), {"family": "yolov8", "form": "raw", "strides": [8], "bins": 2},
                   [(1, 0.8, (36, 16, 52, 32))]),
    "nanodet": (nanodet_outputs(), {"family": "nanodet", "scores": ["scores"], "distances": ["sides"], "strides": [8],
                                    "bins": 2, "centre_shift": -0.5},
                [(1, 0.7, (31, 15, 47, 31))]),
    "fastestdet": (fastestdet_outputs(), {"family": "fastestdet"},
                   [(1, 0.9 ** 0.6 * 0.7 ** 0.4, (16, 8, 48, 24))]),
    "ssd": ({"scores": [[[0.2, 0.8], [0.9, 0.1]]], "boxes": [[[0.25, 0.5, 0.75, 1], [0, 0, 1, 1]]]},
            {"family": "ssd", "boxes": "boxes", "scores": "scores"}, [(0, 0.8, (16, 16, 48, 32))]),
    "ssd priors": ({"s": [[[0, logit(0.8)], [9, 0], [9, 0]]], "b": [[[1, 0, 0, 5 * numpy.log(2)]] + [[0] * 4] * 2]},
                   {"family": "ssd", "boxes": "b", "scores": "s", "activation": "softmax",
                    "priors": [{"stride": 16, "sizes": [[10, 4]]}, {"stride": 32, "sizes": [[16, 16]]}]},
                   [(0, 0.8, (8, 8, 28, 24))]),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_boxes_of_every_family(detect_stream, picture, tmp_path, name):
    outputs, decoder, want = FAMILIES[name]
    done = detect_stream(picture, "--model", compiled(outputs, tmp_path), "--frame",
                         write_frame(frame_of(decoder), tmp_path))
    got = detection.read_lines(done.stdout)["noise.png"]
    assert [(label, round(score, 4)) for label, score, _ in got] == [(c, round(s, 4)) for c, s, _ in want]
    for (_, _, box), (_, _, expected) in zip(got, want):
        assert numpy.abs(box - expected).max() < 0.02, (box, expected)


def test_the_network_sees_the_preprocessed_picture(detect_stream, tmp_path):
    """The score is the mean of the normalised input: a white picture, half of it padding."""
    x = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])
    y = helper.make_tensor_value_info("o", TensorProto.FLOAT, [1, 1, 5])
    nodes = [helper.make_node("ReduceMean", ["images"], ["mean"], axes=[0, 1, 2, 3], keepdims=0),
             helper.make_node("Reshape", ["mean", "shape"], ["score"]),
             helper.make_node("Concat", ["box", "score"], ["o"], axis=2)]
    constants = [numpy_helper.from_array(numpy.array([1, 1, 1]), "shape"),
                 numpy_helper.from_array(numpy.array([[[8, 8, 8, 8]]], numpy.float32), "box")]
    graph = helper.make_graph(nodes, "mean", [x], [y], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
              tmp_path / "net.onnx")
    tool("compile-model")(tmp_path / "net.onnx", "-o", tmp_path / "net")
    white = detection.write_png(tmp_path / "white.png", numpy.full((8, 8, 3), 255, numpy.uint8))
    frame = frame_of({"family": "yolov8", "order": "rows"})
    frame["input"] |= {"pad": 55, "mean": [5, 15, 25], "scale": 0.005}
    done = detect_stream(white, "--model", tmp_path / "net", "--frame", write_frame(frame, tmp_path))
    (_, score, _), = detection.read_lines(done.stdout)["white.png"]
    assert abs(score - ((255 + 55) / 2 - 15) * 0.005) < 1e-5


@pytest.fixture(scope="session")
def yolox(tmp_path_factory):
    """(compiled directory, frame.json) of the network with two boxes."""
    folder = tmp_path_factory.mktemp("yolox")
    frame = frame_of(FAMILIES["yolox"][1], labels=["nut", "bolt"])
    return compiled(yolox_outputs(), folder), write_frame(frame, folder)


@pytest.fixture
def detect(detect_stream, yolox):
    def run(source, *arguments, expect=0):
        return detect_stream(source, "--model", yolox[0], "--frame", yolox[1], *arguments, expect=expect)

    return run


def folder_of_pictures(folder, count, sizes=((64, 32),)):
    folder.mkdir()
    for i in range(count):
        width, height = sizes[i % len(sizes)]
        pixels = numpy.full((height, width, 3), 20 * i % 256, numpy.uint8)
        pixels[:, (4 * i) % width:] = 200
        detection.write_png(folder / f"{i:03}.png", pixels)
    return folder


def test_lines_and_summary(detect, picture):
    done = detect(picture, "--json", "--threads", 1)
    line, summary = map(json.loads, done.stdout.splitlines())
    assert {k: line[k] for k in ("frame", "file", "width", "height")} == {
        "frame": 0, "file": "noise.png", "width": 64, "height": 32}
    assert line["detections"][0] == {"box": [8.0, 8.0, 40.0, 24.0], "class": 1, "label": "bolt", "score": 0.75}
    summary = summary["summary"]
    assert (summary["frames"], summary["boxes"], summary["threads"], summary["complete"]) == (1, 2, 1, True)
    assert list(summary["latency_ms"]) == ["read", "preprocess", "network", "decode", "total"]
    assert all(0 < t["median"] <= t["p90"] for t in summary["latency_ms"].values())
    assert "frames per second" in done.stderr and "preprocess" in done.stderr


def test_folder_in_order_with_limit(detect, tmp_path):
    folder = folder_of_pictures(tmp_path / "in", 4)
    (folder / "notes.txt").write_text("not a picture")
    lines = [json.loads(line) for line in detect(folder).stdout.splitlines()]
    assert [(line["frame"], line["file"]) for line in lines] == [(i, f"{i:03}.png") for i in range(4)]
    assert len(detect(folder, "--limit", 2).stdout.splitlines()) == 2


def test_output_folder(detect, tmp_path):
    folder = folder_of_pictures(tmp_path / "in", 3, sizes=((64, 32), (32, 32)))
    done = detect(folder, "--output", tmp_path / "out")
    assert done.stdout == ""
    lines = (tmp_path / "out/detections.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "000.png", "001.png", "002.png", "detections.jsonl"]
    assert "note: no animation: " in done.stderr
    for i in range(3):
        before, after = ((where / f"{i:03}.png").read_bytes() for where in (folder, tmp_path / "out"))
        assert after != before and after.startswith(b"\x89PNG")


def test_zoom(detect, picture, tmp_path):
    detect(picture, "--output", tmp_path / "out", "--zoom", 3)
    header = (tmp_path / "out/noise.png").read_bytes()[16:24]
    assert header == (3 * 64).to_bytes(4, "big") + (3 * 32).to_bytes(4, "big")
    line = json.loads((tmp_path / "out/detections.jsonl").read_text())
    assert (line["width"], line["detections"][0]["box"]) == (64, [8.0, 8.0, 40.0, 24.0])


def test_output_never_overwrites_the_source(detect, tmp_path):
    folder = folder_of_pictures(tmp_path / "in", 1)
    before = (folder / "000.png").read_bytes()
    for source in (folder, folder / "000.png"):
        assert "would be overwritten" in detect(source, "--output", folder, expect=2).stderr
    assert (folder / "000.png").read_bytes() == before


@pytest.fixture
def video(detect, tmp_path):
    """A video of 20 frames that detect-stream made."""
    done = detect(folder_of_pictures(tmp_path / "frames", 20), "--output", tmp_path / "made", "--rate", 25)
    if "this build has no videos" in done.stderr:
        pytest.skip("built without FFmpeg")
    return tmp_path / "made/annotated.mp4"


def test_video(detect, video, tmp_path):
    done = detect(video, "--output", tmp_path / "out", "--every", 8)
    lines = [json.loads(line) for line in (tmp_path / "out/detections.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(20))
    assert numpy.allclose([line["time"] for line in lines], numpy.arange(20) / 25, atol=1e-3)
    assert {(line["width"], line["height"], line["file"]) for line in lines} == {(64, 32, "annotated.mp4")}
    assert all(len(line["detections"]) == 2 for line in lines)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "annotated.mp4", "detections.jsonl", "frame-000000.jpg", "frame-000008.jpg", "frame-000016.jpg"]
    assert "20 frames" in done.stderr
    assert not (tmp_path / "none").exists()
    detect(video, "--output", tmp_path / "none", "--no-animation", "--limit", 3)
    assert [p.name for p in (tmp_path / "none").iterdir()] == ["detections.jsonl"]


def test_cut_off_video(detect, video, tmp_path):
    whole = video.read_bytes()
    data = whole.index(b"mdat")  # the index comes first
    for size in (data + (len(whole) - data) // 3, data + (len(whole) - data) * 2 // 3, len(whole) - 1):
        cut = tmp_path / "cut.mp4"
        cut.write_bytes(whole[:size])
        done = detect(cut, "--json", expect=4)
        *lines, summary = map(json.loads, done.stdout.splitlines())
        stop = re.search(r"error: '.*cut.mp4' stops after frame (\d+) of 20: the file is cut off or damaged", done.stderr)
        assert stop, done.stderr
        assert int(stop[1]) == len(lines) == summary["summary"]["frames"] < 20
        assert not summary["summary"]["complete"]
    cut.write_bytes(whole[:100])
    assert "has no video in it" in detect(cut, expect=4).stderr
    cut.write_bytes(b"RIFF" + bytes(100))
    assert "is neither a picture (.png, .jpg) nor a video" in detect(cut, expect=4).stderr


def test_unreadable_pictures_are_told_and_left_out(detect, tmp_path):
    folder = folder_of_pictures(tmp_path / "in", 3)
    whole = (folder / "001.png").read_bytes()
    (folder / "001.png").write_bytes(whole[:60])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "cut.jpg").write_bytes(b"\xFF\xD8\xFF\xE0\0\x10JFIF")
    done = detect(folder, expect=4)
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == ["000.png", "002.png"]
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    for name, line in zip(("001.png", "cut.jpg", "empty.jpg"), errors):
        assert f"{name}' is not a picture that can be read" in line


def test_sources_that_are_not_there(detect, tmp_path):
    assert "there is no '" in detect(tmp_path / "no.png", expect=4).stderr
    (tmp_path / "empty").mkdir()
    assert "has no pictures (.png, .jpg, .jpeg)" in detect(tmp_path / "empty", expect=4).stderr


# change of the frame.json (a merge) -> what the message must hold
MISFITS = {
    "input size": ({"input": {"width": 64}}, "$.input: gives 1x3x16x64, but input 'images' of the model takes 1x3x16x32"),
    "layout": ({"input": {"layout": "nhwc"}}, "$.input: gives 1x16x32x3, but input 'images'"),
    "channels": ({"input": {"colour": "grey"}}, "$.input: gives 1x1x16x32, but"),
    "input name": ({"input": {"name": "image"}}, "has no input 'image', it has 'images'"),
    "output name": ({"decoder": {"outputs": "boxes"}}, "the model has no output 'boxes', it has 'output' (1x10x7)"),
    "strides": ({"decoder": {"strides": [8]}}, "output 'output' of the model is 1x10x7; the decoder yolox"),
    "labels": ({"labels": ["nut"]}, "$.labels: 1 labels, but the model has 2 classes"),
    "unknown field": ({"input": {"color": "rgb"}}, "$.input: unknown field \"color\"; did you mean \"colour\"?"),
    "type": ({"thresholds": {"score": "high"}}, "$.thresholds.score: expected a number from 0 to 1, found \"high\""),
}


@pytest.mark.parametrize("name", MISFITS)
def test_frames_that_do_not_fit(detect_stream, yolox, picture, tmp_path, name):
    change, message = MISFITS[name]
    frame = json.loads(yolox[1].read_text())
    for key, value in change.items():
        frame[key] = frame[key] | value if isinstance(value, dict) else value
    path = write_frame(frame, tmp_path)
    done = detect_stream(picture, "--model", yolox[0], "--frame", path, expect=4)
    error, = done.stderr.splitlines()
    assert error.startswith(f"error: '{path}': ") and message in error, error
    assert done.stdout == ""


def test_other_files_that_do_not_fit(detect_stream, yolox, picture, tmp_path):
    (tmp_path / "frame.json").write_text('{"input": ')
    for model, frame, message in ((yolox[0], tmp_path / "frame.json", "parse error at line 1"),
                                  (yolox[0], tmp_path / "none.json", "cannot read '"),
                                  (tmp_path, yolox[1], "holds no compiled model"),
                                  (tmp_path / "none", yolox[1], "cannot read directory '")):
        assert message in detect_stream(picture, "--model", model, "--frame", frame, expect=4).stderr
    assert "--frame is required" in detect_stream(picture, "--model", yolox[0], expect=2).stderr
    assert "detect-stream --help" in detect_stream("--no-such-flag", expect=2).stderr


def test_a_network_with_two_inputs_is_refused(detect_stream, yolox, picture, tmp_path):
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH]) for n in "abc"]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "two", infos[:2], infos[2:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
              tmp_path / "net.onnx")
    tool("compile-model")(tmp_path / "net.onnx", "-o", tmp_path / "net")
    done = detect_stream(picture, "--model", tmp_path / "net", "--frame", yolox[1], expect=4)
    assert "has 2 inputs; a network that takes one picture is expected" in done.stderr


def examples():
    """Every frame.json the project shows: those of docs/frame.md and of the examples."""
    shown = re.findall(r"```json\n(\{.*?\n\})\n```", (ROOT / "docs/frame.md").read_text(), re.S)
    assert shown
    yield from ((f"docs/frame.md {i}", json.loads(text), ROOT / "docs") for i, text in enumerate(shown))
    for path in sorted((ROOT / "examples").rglob("*.json")):
        document = json.loads(path.read_text())
        if isinstance(document, dict) and {"input", "decoder"} <= set(document):
            yield str(path.relative_to(ROOT)), document, path.parent


@pytest.mark.parametrize("name, frame, folder", [pytest.param(*e, id=e[0]) for e in examples()])
def test_examples_are_valid(detect_stream, yolox, picture, tmp_path, name, frame, folder):
    """They are read without complaint; only then is the network found not to be theirs."""
    if isinstance(frame.get("labels"), str):
        (tmp_path / frame["labels"]).write_text((folder / frame["labels"]).read_text())
    frame["input"]["name"] = "of another network"
    done = detect_stream(picture, "--model", yolox[0], "--frame", write_frame(frame, tmp_path), expect=4)
    assert "has no input 'of another network'" in done.stderr, done.stderr


def test_documentation_names_every_family():
    shown = [frame["decoder"]["family"] for name, frame, _ in examples() if name.startswith("docs")]
    assert set(shown) == {"yolox", "yolov5", "yolov8", "nanodet", "fastestdet", "ssd"}
