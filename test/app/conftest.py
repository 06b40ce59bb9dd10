"""What tests of the whole program need: the tools of the build, models and compiled models."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import numpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ["PLANISH_BIN"])
# The sanitizer's runtime must be the first library of a process: emulators and checkers have their own.
SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")
MODELS = Path(os.environ.get("PLANISH_MODELS", ROOT.parent / "shared" / "models"))
CC = shutil.which("cc") or shutil.which("clang-19")


def tool(name):
    """A function that runs one of the tools and returns the finished process, which must end with `expect`."""
    path = BIN / name
    if not path.exists():
        pytest.skip(f"{name} is not built")

    def run(*arguments, expect=0, **options):
        done = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, errors="replace", **options)
        assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done

    return run


@pytest.fixture
def compile_model():
    return tool("compile-model")


@pytest.fixture
def run_model():
    return tool("run-model")


def build_c(source, output, *flags):
    """Builds a C program or library against the runtime's header, without warnings."""
    if not CC:
        pytest.skip("there is no C compiler")
    subprocess.run([CC, "-std=c11", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "runtime/include", source, *flags,
                    "-o", output], check=True)
    return output


def real_model(name):
    """(path, golden feeds, golden module, expected outputs) of a trained network, which are not part of the project."""
    if not (MODELS / "golden.py").exists():
        pytest.skip(f"no models in {MODELS}; PLANISH_MODELS names their folder")
    spec = importlib.util.spec_from_file_location("golden", MODELS / "golden.py")
    golden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(golden)
    feeds, expected = golden.load(name)
    return MODELS / f"{name}.onnx", feeds, golden, expected


def sizes(array):
    return "x".join(map(str, array.shape))


def onnx_runtime(path):
    """The model as ONNX Runtime computes it: a function from feeds to a dict of outputs."""
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(names, feeds)))


def assert_close(got, want, what="", tolerance=1e-3):
    """Shapes are equal, every value is within `tolerance` of the output's largest; NaN fails."""
    assert set(want) <= set(got), what
    for name, value in want.items():
        assert got[name].shape == value.shape, f"{what} {name}"
        error = numpy.abs(got[name].astype(numpy.float64) - value).max(initial=0)
        assert error <= tolerance * numpy.abs(value).max(initial=0) + 1e-7, f"{what} {name}: {error}"


FLUSHED = """
#include <immintrin.h>
/* In the mode that models run in: subnormal numbers count as zero. */
int flushed_run(void *const *in, void *const *out, const int64_t *given, int64_t *found) {
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040u);
  const int status = (int)%s_run(in, out, given, found);
  _mm_setcsr(before);
  return status;
}
"""


def run_serial_c(source, name, folder, feeds, output_shapes):
    """Outputs of what --emit c printed: built without contraction, run serially; `output_shapes` are upper bounds."""
    (folder / "serial.c").write_text(source + FLUSHED % name)
    build_c(folder / "serial.c", folder / "serial.so", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-lm")
    run = ctypes.CDLL(str(folder / "serial.so")).flushed_run
    inputs = [numpy.ascontiguousarray(x) for x in feeds.values()]
    outputs = [numpy.zeros(shape, numpy.float32) for shape in output_shapes.values()]

    def pointers(arrays):
        return (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))

    def dims(arrays):
        table = numpy.ones((len(arrays), 8), numpy.int64)
        for row, array in zip(table, arrays):
            row[:array.ndim] = array.shape
        return table

    given, found = dims(inputs), dims(outputs)
    assert run(pointers(inputs), pointers(outputs), given.ctypes.data_as(ctypes.c_void_p),
               found.ctypes.data_as(ctypes.c_void_p)) == 0
    result = {}
    for name_, array, row in zip(output_shapes, outputs, found):
        shape = tuple(row[:array.ndim])
        result[name_] = array.ravel()[:int(numpy.prod(shape))].reshape(shape)
    return result
