"""Every reader of files, on seeds and random changes of them: no crash, no failed check, nothing that takes long."""

import os
import subprocess
from pathlib import Path

import pytest

PROGRAMS = Path(os.environ.get("PLANISH_BIN", "")).parent / "test" / "bin"
TARGETS = ["onnx", "graph", "loop", "tuning", "frame", "profile", "manifest", "machine", "npy", "npz"]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    import seeds

    folder = tmp_path_factory.mktemp("seeds")
    seeds.write_all(folder)
    return folder


def fuzz(target, seeds, finding, seconds, random_seed):
    program = PROGRAMS / f"fuzz_{target}"
    if not program.exists():
        pytest.skip(f"{program.name} is not built")
    done = subprocess.run([program, seeds / target, str(seconds), str(random_seed), finding], capture_output=True, text=True,
                          timeout=seconds * 3 + 120)
    assert done.returncode == 0, f"{done.stderr}\nthe input: {finding}"
    assert int(done.stdout.split()[0]) > 100


@pytest.mark.parametrize("target", TARGETS)
def test_a_few_seconds(target, seeds, tmp_path):
    fuzz(target, seeds, tmp_path / "finding", 3, 1)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_half_a_minute(target, seeds, tmp_path):
    fuzz(target, seeds, tmp_path / "finding", 30, 2)
