"""The examples are built as their texts say, as C11 and C++, without warnings, and run."""

import shutil
import subprocess

import pytest
from conftest import ROOT

STRICT = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]


@pytest.mark.parametrize("compiler", [["cc", "-std=c11"], ["clang-19", "-std=c11"], ["c++", "-std=c++17", "-x", "c++"]],
                         ids=["c", "clang", "c++"])
def test_c_example(handmade, tmp_path, compiler):
    if not shutil.which(compiler[0]):
        pytest.skip(f"{compiler[0]} is missing")
    subprocess.run([*compiler, *STRICT, "-I", ROOT / "runtime/include", ROOT / "examples/c/run.c", "-ldl", "-o",
                    tmp_path / "run"], check=True)
    done = subprocess.run([tmp_path / "run", handmade / "libhandmade.so"], check=True, capture_output=True, text=True)
    assert done.stdout == "scaled: 1x3x4x5 0 0 0 0\nsize:\n"
    wrong = subprocess.run([tmp_path / "run", tmp_path / "none.so"], capture_output=True, text=True)
    assert wrong.returncode == 1 and "none.so" in wrong.stderr
