"""--max-shape: one library serves every size up to the bounds, and refuses others with a clear status."""

import itertools

import nets
import numpy
import onnx
import pytest
from conftest import assert_close, onnx_runtime, real_model, tool

planish = pytest.importorskip("planish")

# net -> (bounds of x, sizes to run at: one, primes, the bounds)
CASES = {
    "backbone": ((4, 3, 40, 37), [(1, 2, 4), (1, 5, 7, 31, 40), (1, 6, 11, 37)]),
    "classifier": ((3, 3, 33, 64), [(1, 3), (1, 2, 17, 33), (1, 3, 61, 64)]),
    "flat": ((7, 4, 5, 5), [(1, 2, 3, 5, 7), (5,), (5,)]),
    "tokens": ((1, 3, 32, 48), [(1,), (2, 3, 7, 31, 32), (2, 5, 13, 48)]),
    "valid": ((1, 3, 19, 19), [(1,), (3, 4, 17, 19), (3, 11, 19)]),
}


def compiled(net, bounds, folder):
    onnx.save(net, folder / "net.onnx")
    tool("compile-model")(folder / "net.onnx", "-o", folder / "out", "--max-shape", f"x={'x'.join(map(str, bounds))}")
    return folder / "out"


@pytest.mark.parametrize("name", CASES)
def test_every_size_within_the_bounds(tmp_path, name):
    bounds, (batches, heights, widths) = CASES[name]
    model = planish.load(compiled(getattr(nets, name)(), bounds, tmp_path), threads=2)
    reference = onnx_runtime(tmp_path / "net.onnx")
    for n, h, w in itertools.product(batches, heights, widths):
        feeds = {"x": nets.random_input((n, bounds[1], h, w))}
        assert_close(model(feeds), reference(feeds), f"{name} {(n, h, w)}")


def test_threads_do_not_change_the_result(tmp_path):
    folder = compiled(nets.backbone(), (2, 3, 200, 200), tmp_path)
    one, two = planish.load(folder, threads=1), planish.load(folder, threads=2)
    for size in [(1, 3, 7, 200), (2, 3, 97, 101), (2, 3, 200, 200)]:
        feeds = {"x": nets.random_input(size)}
        for name, value in one(feeds).items():
            assert numpy.array_equal(value, two(feeds)[name]), f"{name} {size}"


def test_results_do_not_depend_on_earlier_sizes(tmp_path):
    model = planish.load(compiled(nets.backbone(), (2, 3, 40, 40), tmp_path))
    small = {"x": nets.random_input((1, 3, 9, 11))}
    first = model(small)
    model(x=numpy.full((2, 3, 40, 40), numpy.nan, numpy.float32))
    for name, value in model(small).items():
        assert numpy.array_equal(value, first[name]), name


@pytest.mark.parametrize("size, message", [
    ((5, 3, 8, 8), "input 'x': dimension 0 must be between 1 and 4, given is 5"),
    ((1, 3, 41, 8), "input 'x': dimension 2 must be between 1 and 40, given is 41"),
    ((1, 3, 8, 0), "input 'x': dimension 3 must be between 1 and 37, given is 0"),
    ((1, 4, 8, 8), "input 'x': dimension 1 must be 3, given is 4"),
])
def test_other_sizes_are_refused(tmp_path, size, message):
    model = planish.load(compiled(nets.backbone(), (4, 3, 40, 37), tmp_path))
    with pytest.raises(ValueError, match=message):
        model(x=numpy.zeros(size, numpy.float32))
    assert model(x=numpy.zeros((1, 3, 8, 8), numpy.float32))


def test_inputs_too_small_for_the_net_fail_the_run(tmp_path, run_model):
    folder = compiled(nets.valid(), (1, 3, 9, 9), tmp_path)
    model = planish.load(folder)
    with pytest.raises(planish.RunError, match="the inputs are too small: the size h - 2 is negative"):
        model(x=numpy.zeros((1, 3, 1, 9), numpy.float32))
    assert model(x=numpy.zeros((1, 3, 3, 9), numpy.float32))["y"].shape == (1, 8, 1, 7)
    numpy.save(tmp_path / "x.npy", numpy.zeros((1, 3, 9, 1), numpy.float32))
    assert "w - 2 is negative" in run_model(folder, "--input", f"x={tmp_path}/x.npy", expect=1).stderr


def halves():
    """x beside what halving and doubling it gives: the sizes agree where they are even."""
    return nets.model([("MaxPool", ["x"], "p", {"kernel_shape": [2, 2], "strides": [2, 2]}),
                       ("Resize", ["p", "", "scales"], "u", {"mode": "nearest"}), ("Concat", ["x", "u"], "y", {"axis": 1}),
                       ("Add", ["x", "u"], "sum", {})],
                      {"x": [1, 2, "h", "w"]}, ["y", "sum"], {"scales": numpy.array([1, 1, 2, 2], numpy.float32)})


def with_constant():
    """x plus a row of six: x has six columns, or one."""
    return nets.model([("Add", ["x", "row"], "y", {})], {"x": ["h", "w"]}, ["y"], {"row": nets.weights(1, 1, 6)})


def with_each_other():
    return nets.model([("Mul", ["x", "z"], "y", {})], {"x": [2, "a"], "z": [2, "b"]}, ["y"])


# net -> (bounds per input, sizes that fit, sizes that do not)
AGREEMENT = {
    halves: ({"x": (1, 2, 12, 12)}, [((1, 2, 2, 12),), ((1, 2, 12, 6),)], [((1, 2, 7, 12),), ((1, 2, 12, 11),), ((1, 2, 3, 2),)]),
    with_constant: ({"x": (4, 9)}, [((4, 6),), ((3, 1),), ((1, 6),)], [((4, 5),), ((4, 9),), ((1, 2),)]),
    with_each_other: ({"x": (2, 9), "z": (2, 8)}, [((2, 5), (2, 5)), ((2, 1), (2, 8)), ((2, 9), (2, 1)), ((2, 1), (2, 1))],
                      [((2, 5), (2, 4)), ((2, 9), (2, 8)), ((2, 2), (2, 3))]),
}


@pytest.mark.parametrize("net", AGREEMENT, ids=lambda net: net.__name__)
def test_sizes_that_must_agree(tmp_path, net):
    """What only a run can tell is checked by the run, before anything is computed."""
    bounds, fitting, others = AGREEMENT[net]
    onnx.save(net(), tmp_path / "net.onnx")
    flags = [f"--max-shape={name}={'x'.join(map(str, shape))}" for name, shape in bounds.items()]
    tool("compile-model")(tmp_path / "net.onnx", "-o", tmp_path / "out", *flags)
    model, reference = planish.load(tmp_path / "out"), onnx_runtime(tmp_path / "net.onnx")
    for sizes in fitting:
        feeds = {name: nets.random_input(size) for name, size in zip(bounds, sizes)}
        assert_close(model(feeds), reference(feeds), f"{sizes}")
    for sizes in others:
        with pytest.raises(planish.RunError, match="sizes that must agree do not"):
            model({name: nets.random_input(size) for name, size in zip(bounds, sizes)})
    text = tool("compile-model")(tmp_path / "net.onnx", "--emit=graph", *flags).stdout
    (tmp_path / "blobs").mkdir()
    tool("compile-model")(tmp_path / "net.onnx", "--emit=graph", *flags, "--dump-dir", tmp_path / "blobs")
    assert tool("planish-opt")("--blobs", tmp_path / "blobs", input=text).stdout == text


REAL = {
    "mtcnn_pnet": ("2x120x160x3", [(1, 12, 12, 3), (1, 97, 160, 3), (2, 120, 101, 3), (2, 120, 160, 3)]),
    "pcb_cnn_fp32": ("4", [(1,), (3,), (4,)]),
    "ppocrv2_det": ("1x3x320x320", [(1, 3, 32, 32), (1, 3, 320, 96), (1, 3, 224, 320), (1, 3, 320, 320)]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_trained_nets(tmp_path, name):
    path, feeds, _, _ = real_model(name)
    (key, golden), = feeds.items()
    bounds, sizes = REAL[name]
    if "x" not in bounds:  # the batch alone is free
        rest = golden.shape[1:]
        bounds, sizes = "x".join(map(str, (bounds, *rest))), [(*size, *rest) for size in sizes]
    tool("compile-model")(path, "-o", tmp_path / "out", "--max-shape", f"{key}={bounds}")
    model, reference = planish.load(tmp_path / "out", threads=2), onnx_runtime(path)
    low, high = golden.min(), golden.max()
    for size in sizes:
        x = numpy.random.default_rng(1).random(size, dtype=numpy.float32) * (high - low) + low
        assert_close(model({key: x}), reference({key: x}), f"{name} {size}")
