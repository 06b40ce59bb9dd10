"""The process of one engine: worker.py JOB.json. It does nothing but load and run, so its memory is the engine's.

Speaks JSON lines. First {"ready": {load_s, first_ms, peak_mb}} or {"error": text}, the outputs being in the file the
job names; then for every line `seconds` on stdin one line with the latencies in milliseconds, until stdin ends.
"""
import json
import os
import pathlib
import sys
import time

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import engines  # noqa: E402


def peak_mb():
    """Largest resident memory so far."""
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("VmHWM")).split()[1]) / 1024


def burst(run, seconds, least):
    """Latencies in ms of runs over `seconds`, `least` runs at least, after one that warms the caches."""
    run()
    latencies, end = [], time.perf_counter() + seconds
    while len(latencies) < least or time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        latencies.append((time.perf_counter() - begin) * 1e3)
    return latencies


def main():
    # Engines print: what they say goes to stderr, stdout is the parent's.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    order = json.loads(pathlib.Path(sys.argv[1]).read_text())
    os.sched_setaffinity(0, order["cores"])
    with numpy.load(order["feeds"]) as stored:
        feeds = dict(stored)
    job = engines.Job(pathlib.Path(order["model"]), feeds, order["threads"], pathlib.Path(order["compiled"]),
                      pathlib.Path(order["scratch"]))
    engine = engines.REFERENCE if order["engine"] == "reference" else (engines.INT8_ENGINES | engines.ENGINES)[order["engine"]]
    try:
        engine.prepare(job)
        begin = time.perf_counter()
        run = engine.load(job)
        loaded = time.perf_counter()
        outputs = run()
        first = time.perf_counter()
        for _ in range(2):
            run()
        ready = {"load_s": loaded - begin, "first_ms": (first - loaded) * 1e3, "peak_mb": peak_mb()}
        numpy.savez(order["outputs"], **{f"{i:03d}_{name}": value for i, (name, value) in enumerate(outputs.items())})
        del outputs
    except Exception as error:  # of any engine: it is reported, the others go on
        print(json.dumps({"error": f"{type(error).__name__}: {error}"[:300]}), file=answers)
        return 1
    print(json.dumps({"ready": ready}), file=answers)
    for line in sys.stdin:
        print(json.dumps(burst(run, float(line), order["least"])), file=answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
