"""planish.compile: from an ONNX model to numbers, and what it raises."""

import json
import os
import re

import numpy
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

planish = pytest.importorskip("planish")
pytest.importorskip("planish._compiler")


def model_of(nodes, shape, constants=()):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


@pytest.fixture
def scaled():
    """y = max(2 x, 0) on [2, 3]."""
    return model_of([helper.make_node("Mul", ["x", "two"], ["d"]), helper.make_node("Relu", ["d"], ["y"])], [2, 3],
                    [("two", numpy.full((1, 3), 2, numpy.float32))])


@pytest.mark.parametrize("form", ["path", "bytes", "proto"])
def test_compiles_and_runs(scaled, tmp_path, form):
    given = {"path": tmp_path / "m.onnx", "bytes": scaled.SerializeToString(), "proto": scaled}[form]
    onnx.save(scaled, tmp_path / "m.onnx")
    artifact = planish.compile(given, out=tmp_path / "out")
    assert artifact.directory == str(tmp_path / "out") and artifact.library_bytes > 0 and artifact.phases
    x = numpy.array([[1, -2, 3], [-4, 5, -6]], numpy.float32)
    for net in (artifact.load(threads=1), planish.load(artifact), planish.load(tmp_path / "out")):
        assert numpy.array_equal(net(x=x)["y"], numpy.maximum(2 * x, 0))


def test_name_and_temporary_directory(scaled):
    artifact = planish.compile(scaled, name="twice")
    assert artifact.name == "twice" and artifact.load().name == "twice"


@pytest.mark.skipif(not os.path.exists("/sys/kernel/mm/transparent_hugepage"), reason="a system without huge pages")
def test_large_instances_ask_for_huge_pages():
    """Two planes of 4 MB: the kernel marks memory it was advised about in smaps."""
    net = planish.compile(model_of([helper.make_node("Sin", ["x"], ["s"]), helper.make_node("MaxPool", ["s"], ["m"],
                                                                                            kernel_shape=[1, 1]),
                                    helper.make_node("Cos", ["m"], ["y"])], [1, 1, 1024, 1024])).load(threads=1)
    assert net.memory_bytes > 4 << 20
    with open("/proc/self/smaps") as file:
        mappings = re.findall(r"^Size: +(\d+) kB$.*?^VmFlags:([^\n]*)$", file.read(), re.M | re.S)
    advised = sum(int(size) << 10 for size, flags in mappings if "hg" in flags.split())
    assert advised >= net.memory_bytes // (2 << 20) * (2 << 20)


def test_large_weights_are_transposed_at_compile_time(tmp_path):
    """Too many elements for the interpreter, which folds other constants."""
    weights = numpy.random.default_rng(0).standard_normal((2100, 2100), numpy.float32)
    artifact = planish.compile(model_of([helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)], [1, 2100], [("w", weights)]),
                               out=tmp_path / "out")
    launches = json.loads((tmp_path / "out" / "report.json").read_text())["launches"]
    assert len(launches) == 1, launches
    x = numpy.random.default_rng(1).standard_normal((1, 2100), numpy.float32)
    assert numpy.allclose(artifact.load(threads=1)(x=x)["y"], x @ weights.T, rtol=0, atol=1e-3)


def test_shapes_fix_free_dimensions(tmp_path):
    free = model_of([helper.make_node("Relu", ["x"], ["y"])], [1, "width"])
    with pytest.raises(planish.CompileError, match="x"):
        planish.compile(free, out=tmp_path / "free")
    net = planish.compile(free, out=tmp_path / "fixed", shapes={"x": (1, 7)}).load()
    assert net.outputs[0].shape == (1, 7)


def test_bounded_dimensions_stay_variable(tmp_path):
    free = model_of([helper.make_node("Relu", ["x"], ["y"])], [1, "width"])
    net = planish.compile(free, out=tmp_path / "bounded", max_shapes={"x": [1, 7]}).load()
    for width in (1, 4, 7):
        assert net(x=numpy.ones((1, width), numpy.float32))["y"].shape == (1, width)
    with pytest.raises(ValueError, match="input 'x': dimension 1"):
        net(x=numpy.ones((1, 8), numpy.float32))


def test_unsupported_operators_are_named(tmp_path):
    odd = model_of([helper.make_node("Frobnicate", ["x"], ["y"], name="odd", domain="test")], [1])
    with pytest.raises(planish.UnsupportedError, match="Frobnicate"):
        planish.compile(odd, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_failures_leave_no_temporary_directory(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(planish.CompileError):
        planish.compile(b"nonsense")
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_named(scaled, tmp_path):
    with pytest.raises(FileNotFoundError, match="none.onnx"):
        planish.compile(tmp_path / "none.onnx")
    with pytest.raises(planish.CompileError):
        planish.compile(b"nonsense")
    with pytest.raises(planish.CompileError, match="cpu:nonsense"):
        planish.compile(scaled, target="cpu:nonsense")
    with pytest.raises(ValueError, match="library is 'dll'"):
        planish.compile(scaled, library="dll")
