"""What several test files need: the build's tools, and a compiled model that needs no compiler of ours."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
CC = shutil.which("clang-19") or shutil.which("cc")


def build_handmade(directory, *flags):
    """Builds test/support/handmade.c and the runtime into `directory`, as compile-model would leave it."""
    directory.mkdir(parents=True)
    sources = sorted((ROOT / "runtime/src").glob("*.c")) + [ROOT / "test/support/handmade.c"]
    subprocess.run(
        [CC, "-std=c11", "-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-DPLANISH_RUNTIME_BUILD", *flags,
         "-I", ROOT / "runtime/include", *sources, "-o", directory / "libhandmade.so"],
        check=True)
    return directory


@pytest.fixture(scope="session")
def handmade(tmp_path_factory):
    """Directory of the handmade model."""
    return build_handmade(tmp_path_factory.mktemp("models") / "handmade")


@pytest.fixture
def images():
    return numpy.random.default_rng(7).random((2, 3, 4, 5), dtype=numpy.float32)


@pytest.fixture
def run_model():
    """Runs the tool; the finished process."""
    tool = Path(os.environ["PLANISH_BIN"]) / "run-model"
    if not tool.exists():
        pytest.skip("run-model is not built")

    def run(*arguments, expect=0):
        done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run
