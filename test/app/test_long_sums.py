"""Sums of many products are formed in parts: right for any depth, and nearer to the truth than term by term."""

import nets
import numpy
import onnx
import pytest

planish = pytest.importorskip("planish")

TARGETS = ["cpu", "cpu:x86-64-v3", "cpu:x86-64-v2"]


def results(folder, op, shape, weights, attributes, target, strict=False):
    net = nets.model([(op, ["x", "w"], "y", attributes)], {"x": list(shape)}, ["y"], {"w": weights})
    onnx.save(net, folder / "net.onnx")
    planish.compile(folder / "net.onnx", out=folder / f"out{strict}", target=target, strict=strict)
    x = numpy.random.default_rng(1).standard_normal(shape).astype(numpy.float32)
    return x, planish.load(folder / f"out{strict}")({"x": x})["y"]


def error(got, want):
    return numpy.sqrt(numpy.square(got - want).mean() / numpy.square(want).mean())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("rows, depth, columns", [(1, 1031, 40), (13, 1030, 33), (7, 2310, 17), (5, 4099, 3)])
def test_products_of_matrices(tmp_path, target, rows, depth, columns):
    weights = nets.weights(1, depth, columns)
    x, got = results(tmp_path, "MatMul", (rows, depth), weights, {}, target)
    want = x.astype(float) @ weights.astype(float)
    _, strict = results(tmp_path, "MatMul", (rows, depth), weights, {}, target, strict=True)
    assert error(got, want) < 2e-6
    assert error(got, want) < (0.8 if columns > 3 else 1.01) * error(strict, want)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("channels, taps, stride, dilation, columns, height", [
    (257, 3, 1, 2, 20, 9), (101, 3, 2, 1, 17, 11), (1031, 1, 1, 1, 24, 7), (64, 7, 1, 3, 9, 12), (90, 3, 2, 2, 33, 15)])
def test_convolutions(tmp_path, target, channels, taps, stride, dilation, columns, height):
    weights = nets.weights(1, columns, channels, taps, taps)
    pad = taps // 2 * dilation
    attributes = {"pads": [pad] * 4, "strides": [stride] * 2, "dilations": [dilation] * 2}
    x, got = results(tmp_path, "Conv", (1, channels, height, height + 1), weights, attributes, target)
    image = numpy.pad(x[0].astype(float), [(0, 0), (pad, pad), (pad, pad)])
    high, wide = got.shape[2:]
    want = sum(
        numpy.einsum("chw,oc->ohw", image[:, i * dilation:, j * dilation:][:, :stride * high:stride, :stride * wide:stride],
                     weights[:, :, i, j].astype(float)) for i in range(taps) for j in range(taps))
    assert error(got[0], want) < 2e-6
