"""--emit: every form is text; the serial C form computes what the library and ONNX Runtime compute."""

import nets
import numpy
import onnx
import pytest
from conftest import assert_close, onnx_runtime, real_model, run_serial_c, sizes, tool

planish = pytest.importorskip("planish")

FORMS = {"graph": "graph @", "loop": "func @", "llvm": "define ", "asm": ".globl", "c": "net_run(", "opencl": "__kernel",
         "cuda": "__global__"}


@pytest.fixture
def net(tmp_path):
    onnx.save(nets.stem(), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


@pytest.mark.parametrize("form", FORMS)
def test_forms(compile_model, net, tmp_path, form):
    done = compile_model(net, f"--emit={form}", "-o", tmp_path / "out")
    assert FORMS[form] in done.stdout
    assert not (tmp_path / "out").exists()
    assert compile_model(net, "--emit", form).stdout == done.stdout


@pytest.mark.parametrize("target, form", [("opencl", "opencl"), ("cuda:sm_80", "cuda")])
@pytest.mark.parametrize("arguments", [["--emit=llvm"], ["--emit=asm"]])
def test_a_device_has_its_own_forms_only(compile_model, net, tmp_path, arguments, target, form):
    assert f"use --emit {form}" in compile_model(net, *arguments, "--target", target, expect=3, cwd=tmp_path).stderr
    assert not (tmp_path / "out").exists()


FREE = ["--max-shape", "x=2x3x20x24"]


@pytest.mark.parametrize("form, arguments", [("graph", []), ("loop", []), ("graph", FREE), ("loop", FREE)])
def test_planish_opt_reads_what_is_emitted(compile_model, tmp_path, form, arguments):
    onnx.save(nets.backbone() if arguments else nets.two_ended(), tmp_path / "net.onnx")
    (tmp_path / "blobs").mkdir()
    text = compile_model(tmp_path / "net.onnx", "--emit", form, "--dump-dir", tmp_path / "blobs", *arguments).stdout
    without_comments = [line for line in text.splitlines() if not line.startswith("//")]
    again = tool("planish-opt")("--blobs", tmp_path / "blobs", input=text).stdout
    assert again.splitlines() == without_comments


def small_case(name, tmp_path):
    path = tmp_path / "net.onnx"
    if name == "stem":
        onnx.save(nets.stem(), path)
        feeds = {"x": nets.random_input((1, 3, 11, 13))}
    else:
        onnx.save(nets.two_ended(), path)
        feeds = {"x": nets.random_input((1, 8, 12, 12)), "side": nets.random_input((1, 4, 12, 12), 1)}
    return path, feeds, onnx_runtime(path)(feeds)


def check_both(path, feeds, want, tmp_path):
    """The library and the serial C form agree with `want` and with each other; returns what they computed."""
    arguments = [f"--shape={key}={sizes(value)}" for key, value in feeds.items()]
    tool("compile-model")(path, "-o", tmp_path / "out", "--name", "net", *arguments)
    source = tool("compile-model")(path, "--emit", "c", "--name", "net", *arguments).stdout
    compiled = planish.load(tmp_path / "out")
    by_library = compiled(feeds)
    ordered = {info.name: feeds[info.name] for info in compiled.inputs}
    by_c = run_serial_c(source, "net", tmp_path, ordered, {info.name: info.shape for info in compiled.outputs})
    if want:
        assert_close(by_library, want, "library")
        assert_close(by_c, want, "C")
    assert_close(by_c, by_library, "C against library")
    return by_library, by_c


@pytest.mark.parametrize("name", ["stem", "two_ended"])
def test_c_and_library_agree(tmp_path, name):
    check_both(*small_case(name, tmp_path), tmp_path)


@pytest.mark.parametrize("name", ["mnist_12", pytest.param("ultraface_rfb_320", marks=pytest.mark.slow)])
def test_c_and_library_agree_with_the_golden(tmp_path, name):
    path, feeds, golden, expected = real_model(name)
    for outputs in check_both(path, feeds, None, tmp_path):
        for tensor, (error, largest) in golden.check(expected, outputs).items():
            assert error <= 1e-3 * largest, tensor


@pytest.mark.parametrize("size", [(1, 3, 7, 7), (2, 3, 20, 24), (1, 3, 13, 5)])
def test_c_follows_sizes(compile_model, tmp_path, size):
    path = tmp_path / "net.onnx"
    onnx.save(nets.backbone(), path)
    feeds = {"x": nets.random_input(size)}
    source = compile_model(path, "--emit", "c", "--max-shape", "x=2x3x20x24").stdout
    want = onnx_runtime(path)(feeds)
    got = run_serial_c(source, "net", tmp_path, feeds, {"cat": (2, 16, 5, 6), "up": (2, 16, 10, 12)})
    assert_close(got, want, f"{size}")


def test_c_reports_sizes_that_are_too_small(compile_model, tmp_path):
    onnx.save(nets.valid(), tmp_path / "net.onnx")
    source = compile_model(tmp_path / "net.onnx", "--emit", "c", "--max-shape", "x=1x3x9x9").stdout
    run_serial_c(source, "net", tmp_path, {"x": numpy.zeros((1, 3, 9, 9), numpy.float32)}, {"y": (1, 8, 7, 7)})
    with pytest.raises(AssertionError):
        run_serial_c(source, "net", tmp_path, {"x": numpy.zeros((1, 3, 1, 9), numpy.float32)}, {"y": (1, 8, 7, 7)})
