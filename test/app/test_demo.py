"""The demo's script on a short clip: what it prints and what it leaves."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(os.environ.get("PLANISH_BIN", ROOT / "build" / "release" / "bin"))

pytestmark = pytest.mark.skipif(not (TOOLS / "detect-stream").exists(), reason=f"no detect-stream in {TOOLS}")


def demo(out, *arguments):
    command = [sys.executable, str(ROOT / "examples/conveyor/demo.py"), "--tools", str(TOOLS), "--out", str(out)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300)


def test_draws_boxes_and_says_how_good_they_are(tmp_path):
    done = demo(tmp_path, "--seconds", "1")
    assert done.returncode == 0, done.stderr
    assert "25 frames" in done.stdout
    map50 = float(re.search(r"mAP50 ([0-9.]+)", done.stdout).group(1))
    assert map50 > 0.6, done.stdout  # one second shows few parts; the data card has the real figure
    results = tmp_path / "results"
    assert len((results / "detections.jsonl").read_text().splitlines()) == 25
    assert (results / "frame-000000.jpg").stat().st_size > 5000


def test_stops_with_the_tools_message(tmp_path):
    (tmp_path / "detector").write_text("in the way")
    done = demo(tmp_path, "--seconds", "1")
    assert done.returncode != 0
    assert "detector" in done.stderr and "Traceback" not in done.stderr
