"""The README's examples, run as they stand."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(os.environ["PLANISH_BIN"])
TEXT = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that looks like the project's root, with a place of its own for out/."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("examples", "runtime", "docs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "out").mkdir()
    return folder


def commands():
    for block in re.findall(r"```console\n(.*?)```", TEXT, re.S):
        yield from (line[2:] for line in block.splitlines() if line.startswith("$ "))


@pytest.mark.parametrize("command", list(commands()))
def test_command(command, folder):
    words = command.split()
    if words[0] in ("compile-model", "run-model", "detect-stream") and not (TOOLS / words[0]).exists():
        pytest.skip(f"{words[0]} is not built")
    if words[0] == "cc" and not shutil.which("cc"):
        pytest.skip("no C compiler")
    path = os.pathsep.join([str(TOOLS.resolve()), str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(command, shell=True, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_python(folder):
    code = re.search(r"```python\n(.*?)```", TEXT, re.S).group(1)
    done = subprocess.run([sys.executable, "-c", code + "\nassert outputs"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)", TEXT):
        assert (ROOT / target).exists(), target
