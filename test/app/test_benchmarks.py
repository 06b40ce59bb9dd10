"""The benchmarks' own code: the page is the result's, the figures are what the words say. No engine runs."""

import json
import sys

import nets
import numpy
import onnx
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "bench"))
import report  # noqa: E402
from harness import measure, models, networks, results, summary  # noqa: E402


def run_of(**engines):
    """A record; engines are (turns in ms, largest error)."""
    return {"threads": 1, "round_trip_ns": 100, "peak_gflops": 200, "foreign": 0.0,
            "engines": {name: {"rounds": turns, "median_ms": sorted(turns)[len(turns) // 2], "peak_mb": 50,
                               "load_s": 0.1, "max_error": error, "agrees": error <= measure.TOLERANCE}
                        for name, (turns, error) in engines.items()}}


@pytest.mark.skipif(not report.RESULT.exists(), reason="no result is committed")
def test_the_page_is_made_of_the_result():
    assert report.page(*report.read(report.RESULT)) == (ROOT / "docs" / "benchmarks.md").read_text()


def test_the_ratio_is_against_the_fastest_that_agrees():
    run = run_of(planish=([2, 2, 4], 0), onnxruntime=([5, 3, 8], 0), ncnn=([1, 1, 1], 0.5), openvino=([9, 9, 9], 0),
                 openvino_default=([1, 1, 1], 0))
    assert summary.best_rival(run) == "onnxruntime"
    assert summary.ratio(run) == 2  # of 2.5, 1.5 and 2
    assert summary.ratio(run, "openvino") == 4.5
    assert summary.best_rival(run_of(planish=([1], 0))) is None


def test_speed_is_work_over_time():
    model = {"compile": {"gflop": 0.2}}
    run = run_of(planish=([2], 0), ncnn=([4], 0))
    assert summary.gflops(model, run) == pytest.approx(100) and summary.of_peak(model, run) == pytest.approx(50)
    assert summary.gflops(model, run, "ncnn") == pytest.approx(50)
    assert summary.gflops(model, run, "openvino") is None


def test_disagreement():
    want = {"a": numpy.array([1.0, -4.0]), "b": numpy.array([3.0, 1.0, 2.0])}
    assert measure.disagreement(want, want) == (0, False)
    assert measure.disagreement(want, {"b": want["b"], "a": want["a"] + 0.02}) == (pytest.approx(0.005), False)
    assert measure.disagreement(want, {"0": want["a"].reshape(2, 1), "1": want["b"]}) == (0, False)
    assert measure.disagreement(want, {"a": want["a"], "b": numpy.sort(want["b"])}) == (0, True)
    assert measure.disagreement(want, {"a": want["a"], "b": want["b"] * 2})[0] > 0.4
    for wrong in ({"a": want["a"]}, {"a": want["a"], "b": want["b"][:2]}, {"a": want["a"] * numpy.nan, "b": want["b"]}):
        assert measure.disagreement(want, wrong)[0] == float("inf")


def test_a_file_keeps_what_was_not_measured_again(tmp_path):
    file = tmp_path / "result.json"
    file.write_text(json.dumps({"models": [{"name": "resnet18", "runs": [1]}, {"name": "mnist_12", "runs": [1]}]}))
    result = {"models": [{"name": "resnet18", "runs": [2]}, {"name": "mine", "runs": [2]}]}
    for _ in range(2):  # as after each network of a run
        whole = results.merge(file, result, models.NAMES)
        assert json.loads(file.read_text()) == whole and len(result["models"]) == 2
        assert [(m["name"], m["runs"]) for m in whole["models"]] == [("mnist_12", [1]), ("resnet18", [2]), ("mine", [2])]


@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_1"])
def test_networks_are_made_without_anything_else(tmp_path, monkeypatch, name):
    monkeypatch.setattr(models, "SHARED", tmp_path / "nothing")
    case = models.find(name, tmp_path)
    assert case.source == "built" and [value.shape for value in case.feeds.values()] == [(1, 3, 224, 224)]
    onnx.checker.check_model(case.path, full_check=True)
    assert networks.build(name).SerializeToString() == case.path.read_bytes()


def test_what_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "SHARED", tmp_path / "nothing")
    for name, reason in (("mnist_12", "trained"), ("yolov5n", "export"), ("resnet1999", "no such"), ("no.onnx", "no file")):
        with pytest.raises(models.Absent, match=reason):
            models.find(name, tmp_path / "work")


def test_a_record_with_nothing_but_failures_makes_a_page():
    result = {"date": "2026-01-01", "versions": {"planish": "1", "ncnn": "2"}, "settings": {"rounds": 1, "seconds": 1, "target": "cpu"},
              "machine": {"cpu": "c", "cores": 1, "memory_gib": 1, "system": "s"},
              "models": [{"name": "n", "source": "file", "compile": {"error": "operators without support"},
                          "runs": [{"threads": 1, "round_trip_ns": None, "peak_gflops": 0, "foreign": 0.0, "engines": {"ncnn": {"error": "refused"}}}]}]}
    page = report.page(result)
    assert "operators without support" in page and "n, ncnn f32: refused" in page


def test_quantized_networks_are_held_against_peers_and_floats():
    run = run_of(planish=([2], 0), onnxruntime=([5], 0), openvino_vnni=([4], 0.1), openvino=([1], 0.1), planish_f32=([6], 0))
    assert report.int8_gains(run) == [2, 0.5, None, 3]
    result = {"date": "2026-01-01", "versions": {"planish": "1"}, "settings": {"rounds": 1, "seconds": 1, "target": "cpu"},
              "models": [{"name": "n", "compile": {}, "runs": [run]}]}
    page = "\n".join(report.quantized(result))
    assert "| n | 2.00 | 5.00 | 4.00 | 1.00 | 6.00 | - | 2.00 | 0.50 | - | 3.00 | 0e+00 | 0.00 |" in page


def test_a_compiled_case(tmp_path, compile_model):
    """compile_case says what compile-model wrote; nets.stem has 2 * 8*27 * 42 operations in its convolution."""
    path = tmp_path / "net.onnx"
    onnx.save(nets.stem(), path)
    case = models.find(str(path), tmp_path / "work")
    made = models.compile_case(case, "cpu")
    assert made["seconds"] > 0 and made["code_bytes"] > 0 and made["gflop"] >= 2 * 8 * 27 * 42 / 1e9
    assert "error" in models.compile_case(case, "no-such-device")
