"""compile_within and --max-drop: the layer that 8 bits hurt is kept in fp32, and no other; and the metrics."""

import os
import sys
from pathlib import Path

import nets
import numpy as np
import onnx
import pytest

planish = pytest.importorskip("planish")
pytest.importorskip("planish._compiler")
accuracy = pytest.importorskip("planish.accuracy")

WIDE = np.float32(1000)


def sensitive():
    """Three convolutions; the first input channel is 1000 times as wide as the others, and no more important."""
    first = nets.weights(31, 8, 4, 3, 3)
    first[:, 0] /= WIDE
    return nets.model([("Conv", ["x", "w1"], "c1", {"pads": [1] * 4}), ("Relu", ["c1"], "r1", {}),
                       ("Conv", ["r1", "w2"], "c2", {"pads": [1] * 4}), ("Relu", ["c2"], "r2", {}),
                       ("Conv", ["r2", "w3"], "c3", {}), ("Relu", ["c3"], "y", {})],
                      {"x": [1, 4, 12, 12]}, ["y"],
                      {"w1": first, "w2": nets.weights(32, 8, 8, 3, 3), "w3": nets.weights(33, 6, 8, 1, 1)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("accuracy")
    onnx.save(sensitive(), path / "net.onnx")
    x = np.random.default_rng(7).standard_normal((6, 4, 12, 12)).astype(np.float32)
    x[:, 0] *= WIDE
    np.savez(path / "x.npz", x=x)
    net = planish.load(planish.compile(path / "net.onnx", out=path / "float"))
    np.save(path / "y.npy", np.concatenate([net(x=row[None])["y"] for row in x]))
    return path


def closeness(folder):
    x, y = np.load(folder / "x.npz")["x"], np.load(folder / "y.npy")

    def evaluate(net):
        found = np.concatenate([net(x=row[None])["y"] for row in x])
        return 1 - float(np.sqrt(((found - y)**2).mean() / (y**2).mean()))

    return evaluate


def test_keeps_the_layer_that_suffers(folder):
    profile = planish.calibrate(folder / "net.onnx", folder / "x.npz")
    seen = []

    def evaluate(net):
        seen.append(closeness(folder)(net))
        return seen[-1]

    found = planish.compile_within(folder / "net.onnx", profile, folder / "x.npz", evaluate, max_drop=0.05, out=folder / "within")
    assert found.fp32 > 0.999 and found.int8 < 0.8 and found.reached > 0.95
    assert [layer.node for layer in found.kept] == ["node_c1"] and 0 < found.cost < 0.9
    assert found.evaluations == len(seen) and "node_c1" in str(found)
    assert closeness(folder)(planish.load(found)) == found.reached


def test_nothing_is_kept_where_nothing_is_lost(folder):
    profile = planish.calibrate(folder / "net.onnx", folder / "x.npz")
    found = planish.compile_within(folder / "net.onnx", profile, folder / "x.npz", lambda net: 1.0, max_drop="1%")
    assert found.kept == [] and found.cost == 0 and found.evaluations == 2


def test_errors(folder):
    profile = planish.calibrate(folder / "net.onnx", folder / "x.npz")

    def wrong(net):
        raise KeyError("no labels")

    with pytest.raises(KeyError, match="no labels"):
        planish.compile_within(folder / "net.onnx", profile, folder / "x.npz", wrong, max_drop=0.1)
    for drop in ("-1", "much", "5 %", "nan"):
        with pytest.raises(planish.CompileError, match="largest drop"):
            planish.compile_within(folder / "net.onnx", profile, folder / "x.npz", lambda net: 1.0, max_drop=drop)
    with pytest.raises(planish.CompileError, match="no finite number"):
        planish.compile_within(folder / "net.onnx", profile, folder / "x.npz", lambda net: float("nan"), max_drop=0.1)


def test_command_line(compile_model, folder):
    (folder / "metric.py").write_text(
        "import sys, numpy, planish\n"
        f"x, y = numpy.load({str(folder / 'x.npz')!r})['x'], numpy.load({str(folder / 'y.npy')!r})\n"
        "net = planish.load(sys.argv[1])\n"
        "found = numpy.concatenate([net(x=row[None])['y'] for row in x])\n"
        "print('closeness', 1 - numpy.sqrt(((found - y)**2).mean() / (y**2).mean()))\n")
    flags = [folder / "net.onnx", "-o", folder / "cli", "--int8", "--calibration", folder / "x.npz"]
    done = compile_model(*flags, "--max-drop", "5%", "--eval", f"{sys.executable} {folder / 'metric.py'}")
    assert "with 1 layers in fp32" in done.stderr and "node_c1" in done.stderr
    assert (folder / "cli/manifest.json").exists()
    for extra, said in ((["--max-drop", "5%"], "belong together"), (["--max-drop", "x", "--eval", "true"], "largest drop")):
        assert said in compile_model(*flags, *extra, expect=2).stderr
    for command, said in (("false", "failed"), ("echo nothing", "no number")):
        assert said in compile_model(*flags, "--max-drop", "1", "--eval", command, expect=1).stderr


class Net:
    """Stands for a model: outputs by sample."""

    def __call__(self, inputs):
        return {"y": inputs["x"]}


def test_metrics():
    rows = [{"x": np.array([[0.1, 0.7, 0.2]])}, {"x": np.array([[0.9, 0.1, 0.0]])}]
    assert accuracy.top1(rows, [1, 2])(Net()) == 0.5
    maps = [{"x": np.array([[[[1, 1], [0, 0]], [[0, 0], [1, 1]]]])}]  # class 0 above, class 1 below
    assert accuracy.mean_iou(maps, [np.array([[0, 0], [1, 1]])])(Net()) == 1
    assert accuracy.mean_iou(maps, [np.array([[0, 1], [1, -1]])])(Net()) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert [accuracy.edit_distance(*pair) for pair in (("", "abc"), ("kitten", "sitting"), ("a", "a"))] == [3, 3, 0]
    texts = [{"x": "AB12"}, {"x": "XY"}]
    assert accuracy.text_similarity(texts, ["AB13", "XY"], lambda out: out["y"])(Net()) == pytest.approx(0.875)


def test_average_precision():
    box, far = (0, 0, 10, 10), (50, 50, 60, 60)
    samples, truth = [{"x": 0}, {"x": 1}], [[(0, box)], [(0, far), (1, box)]]

    def judged(answers, **options):
        return accuracy.average_precision(samples, truth, lambda out: answers[out["y"]], **options)(Net())

    assert judged([[(0, 0.9, box)], [(0, 0.8, far), (1, 0.7, box)]]) == pytest.approx(1)
    assert judged([[], []]) == 0
    # Half of class 0 is found, class 1 not at all: recall 0 to 0.5 at precision 1.
    assert judged([[(0, 0.9, box)], []]) == pytest.approx(51 / 101 / 2)
    # A box of the right place but another class, and a second one for the same object, are wrong.
    assert judged([[(1, 0.9, box)], [(0, 0.8, far), (0, 0.7, far)]], levels=[0.5]) == pytest.approx(51 / 101 / 2)
    assert judged([[(0, 0.9, (0, 0, 10, 6))], []], levels=[0.5, 0.7]) == pytest.approx(51 / 101 / 4)
