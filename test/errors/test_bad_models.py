"""Every bad model is refused: the right exit code, one line that names the culprit, no output directory."""

import os
import resource
import subprocess
from pathlib import Path

import pytest
import table
from models import BAD, good

TOOL = Path(os.environ.get("PLANISH_BIN", "")) / "compile-model"
needs_tool = pytest.mark.skipif(not TOOL.exists(), reason="compile-model is not built")
MEMORY = 2 << 30


def limited():
    """A refusal needs no memory: what a file claims is not allocated."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def compile_model(path, out, flags=()):
    sanitized = "detect" in os.environ.get("ASAN_OPTIONS", "") and b"__asan_init" in TOOL.read_bytes()
    return subprocess.run([TOOL, path, "-o", out, *flags], capture_output=True, text=True, timeout=60,
                          preexec_fn=None if sanitized else limited)


@needs_tool
def test_the_good_model_compiles(tmp_path):
    (tmp_path / "good.onnx").write_bytes(good().SerializeToString())
    done = compile_model(tmp_path / "good.onnx", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").is_dir()


@needs_tool
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_is_refused(bad, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / f"{bad.name}.onnx"
    bad.write(path)
    done = compile_model(path, tmp_path / "out", bad.flags)
    assert done.returncode == bad.code, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    lines = [line for line in done.stderr.splitlines() if line.startswith("compile-model: ")]
    assert len(lines) == 1, done.stderr
    assert str(path) in lines[0] or bad.code == 2, lines[0]
    for part in bad.says:
        assert part in lines[0], f"{part!r} is not in: {lines[0]}"
    assert table.row(bad, done.returncode, table.line_of(done.stderr, path)) in table.PAGE.read_text().splitlines()
    assert not (tmp_path / "out").exists()
    assert done.stdout == ""
