"""What tuning gains, and how far the templates' own choices are from the best found: ./dev bench tune MODEL.onnx ...

    ./dev bench tune MODEL.onnx ... [--seconds 60] [--rounds 60] [--database DB.jsonl] [--shape in=1x3x224x224] [--json OUT]

Every model is tuned for --seconds, then compiled with and without the database, and both run in turns in one thread:
the ratio's median with its distribution-free 95 % interval. A kernel whose default is more than 3 % slower than the best
found is listed with the knobs that differ.
"""
import argparse
import json
import math
import os
import pathlib
import sys
import tempfile
import time
from dataclasses import asdict

import numpy as np

import planish

BAR = 0.03  # what the templates' choices may lose


def interval(values):
    """Median and 95 % interval of the median, by order statistics."""
    values, n = sorted(values), len(values)
    drop, tail, chance = 0, 0.0, 0.5 ** n
    while tail + chance <= 0.025:
        tail += chance
        chance *= (n - drop) / (drop + 1)
        drop += 1
    low, high = (values[drop - 1], values[n - drop]) if drop else (0.0, math.inf)
    return values[n // 2], low, high


def seconds_of(net, feeds, least=0.02):
    """CPU time of this thread, which does all the work, per call: other processes do not count."""
    calls, begin = 0, time.thread_time()
    while True:
        net(feeds)
        calls += 1
        spent = time.thread_time() - begin
        if spent >= least:
            return spent / calls


def compare(plain, tuned, rounds):
    """Latencies and the ratio tuned / plain of whole models, in turns."""
    rng = np.random.default_rng(1)
    feeds = {port.name: rng.random(port.shape, np.float32) for port in plain.inputs}
    wanted, got = plain(feeds), tuned(feeds)
    error = max(float(np.abs(got[name] - value).max(initial=0) / max(np.abs(value).max(initial=0), 1e-30))
                for name, value in wanted.items())
    for net in (plain, tuned):
        seconds_of(net, feeds, 0.2)
    times = []
    for index in range(rounds):
        order = (plain, tuned) if index % 2 else (tuned, plain)
        pair = {net: seconds_of(net, feeds) for net in order}
        times.append((pair[plain], pair[tuned]))
    median, low, high = interval([b / a for a, b in times])
    return {"plain_ms": 1e3 * float(np.median([a for a, _ in times])), "ratio": median, "low": low, "high": high,
            "tuned_ms": 1e3 * float(np.median([b for _, b in times])), "error": error}


def describe(name, tuning, models):
    print(f"{name}: {tuning.seconds:.0f} s, {tuning}")
    print(f"  whole model, 1 thread: {models['plain_ms']:.3f} -> {models['tuned_ms']:.3f} ms, ratio {models['ratio']:.4f} "
          f"[{models['low']:.4f}, {models['high']:.4f}], outputs differ by {models['error']:.1e} of the largest")
    losses = [(k.default_ns / k.best_ns - 1, k) for k in tuning.results]
    within = sum(k.share for loss, k in losses if loss <= BAR)
    print(f"  defaults within {100 * BAR:.0f} % of the best found: {sum(loss <= BAR for loss, _ in losses)} of {len(losses)} "
          f"kernels, {100 * within:.0f} % of the time; {sum(k.exhausted for _, k in losses)} kernels tried whole")
    for loss, k in sorted(losses, key=lambda pair: -pair[0] * pair[1].share):
        if loss > BAR:
            knobs = " ".join(f"{knob}={k.defaults[knob]}->{value}" for knob, value in sorted(k.best.items())
                             if value != k.defaults[knob])
            print(f"    {100 * loss:5.1f} % lost, {100 * k.share:4.1f} % of the time, {k.default_ns / 1e3:8.1f} us  "
                  f"{k.template}  {k.about}  {knobs}")
    for k in tuning.results:
        if k.complaint:
            print(f"    wrong: {k.about}: {k.complaint}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL.onnx")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=60, help="pairs of whole-model runs")
    parser.add_argument("--database", help="keep the records here (default: a temporary file)")
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--shape", action="append", default=[], metavar="IN=1x3x640x640", help="of every model that has it")
    parser.add_argument("--json", help="write the results here, too")
    options = parser.parse_args()
    shapes = {name: [int(n) for n in sizes.split("x")] for name, sizes in (text.rsplit("=", 1) for text in options.shape)}
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        database = options.database or os.path.join(scratch, "db.jsonl")
        for path in map(pathlib.Path, options.models):
            tuning = planish.tune(path, database=database, seconds=options.seconds, target=options.target, shapes=shapes)
            nets = [planish.compile(path, target=options.target, shapes=shapes, out=os.path.join(scratch, path.stem + kind),
                                    tuning=db).load(threads=1) for kind, db in (("-plain", None), ("-tuned", database))]
            models = compare(*nets, options.rounds)
            describe(path.stem, tuning, models)
            results.append({"model": path.stem, **models, "tuning": asdict(tuning)})
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
