"""Where a network's time goes: its slowest launches, by run-model --profile."""
import json
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def slowest(case, peak, count=3, seconds=0.3):
    """The `count` slowest launches with one thread, each with its share of the sum of all.

    of_peak is in percent of `peak` GFLOP/s, None where that is not known.
    """
    tool = pathlib.Path(os.environ.get("PLANISH_BIN", ROOT / "build" / "release" / "bin")) / "run-model"
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "profile.json")
        done = subprocess.run([str(tool), str(case.compiled), "--threads", "1", "--input", str(case.feeds_file), "--profile",
                               str(file), "--seconds", str(seconds)], capture_output=True, text=True)
        if done.returncode:
            return []
        launches = json.loads(file.read_text())["launches"]
    total = sum(launch["median_us"] for launch in launches)
    launches.sort(key=lambda launch: -launch["median_us"])
    return [{"nodes": ", ".join(launch["nodes"]), "schedule": launch["template"], "us": launch["median_us"],
             "share": launch["median_us"] / total, "gflops": launch["flops"] / launch["median_us"] / 1e3,
             "of_peak": launch["flops"] / launch["median_us"] / 10 / peak if peak else None}
            for launch in launches[:count]]
