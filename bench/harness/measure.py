"""One model with a number of threads: every engine in a process of its own, taking turns."""
import contextlib
import dataclasses
import json
import os
import pathlib
import select
import shutil
import statistics
import subprocess
import sys
import time

import numpy

WORKER = pathlib.Path(__file__).with_name("worker.py")
LOAD_SECONDS = 600
TOLERANCE = 1e-2
"""Largest error, relative to an output's largest value, of an engine that is said to compute the same."""


@dataclasses.dataclass
class Pace:
    rounds: int = 15
    seconds: float = 0.25
    """Of one engine's turn."""
    least: int = 2
    """Runs of one turn, however long they take."""
    pause: float = 0.02
    """Between turns, so that the threads of the one before have gone to sleep."""


def read_outputs(file):
    """{name: array} of what a worker wrote."""
    with numpy.load(file) as stored:
        return {key.split("_", 1)[1]: stored[key] for key in stored}


class Worker:
    """An engine's process."""

    def __init__(self, engine, case, threads, pace, folder):
        self.outputs_file = folder / f"{case.name}-{engine}-{threads}.npz"
        order = folder / f"{case.name}-{engine}-{threads}.json"
        cores = sorted(os.sched_getaffinity(0))[:threads]
        order.write_text(json.dumps({
            "engine": engine, "model": str(case.path), "feeds": str(case.feeds_file), "threads": threads,
            "cores": cores, "compiled": str(case.compiled), "scratch": str(case.scratch),
            "outputs": str(self.outputs_file), "least": pace.least}))
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), str(order)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": str(threads)})

    def answer(self, seconds):
        """The next line as JSON, or {"error": text} when it does not come."""
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if ready else b""
        if line:
            return json.loads(line)
        self.stop()
        return {"error": f"the process ended with {self.process.returncode}" if ready else f"nothing in {seconds} s"}

    def burst(self, seconds):
        self.process.stdin.write(f"{seconds}\n".encode())
        self.process.stdin.flush()
        return self.answer(LOAD_SECONDS)

    def outputs(self):
        return read_outputs(self.outputs_file)

    def stop(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def outputs_of(engine, case, folder, kept=None):
    """What an engine computes in one run, or its complaint; `kept` is a file to leave the outputs in."""
    worker = Worker(engine, case, 1, Pace(), folder)
    answer = worker.answer(LOAD_SECONDS)
    worker.stop()
    if "ready" not in answer:
        return answer["error"]
    if kept:
        shutil.copyfile(worker.outputs_file, kept)
    return worker.outputs()


def largest_error(wanted, got):
    """Of numbers as they lie in memory, relative to the largest wanted one; infinite where sizes differ."""
    wanted, got = numpy.ravel(wanted).astype(numpy.float64), numpy.ravel(got).astype(numpy.float64)
    if wanted.size != got.size:
        return float("inf")
    if wanted.size == 0:
        return 0.0
    error = numpy.abs(wanted - got).max() / (numpy.abs(wanted).max() + 1e-12)
    return float(error) if numpy.isfinite(error) else float("inf")


def disagreement(wanted, got):
    """The largest error over all outputs, and whether values had to be sorted for it.

    Outputs are matched by name, or in order where an engine has other names. Where the values differ as they lie,
    they are compared sorted: detections that score almost alike come in any order.
    """
    if len(wanted) != len(got):
        return float("inf"), False
    if set(wanted) != set(got):
        got = dict(zip(wanted, got.values()))
    straight = max(largest_error(wanted[name], got[name]) for name in wanted)
    if straight <= TOLERANCE:
        return straight, False
    return max(largest_error(numpy.sort(wanted[name], axis=None), numpy.sort(got[name], axis=None))
               for name in wanted), True


def cpu_seconds(stat, fields):
    """The sum of some fields of a line of /proc, which counts in ticks."""
    values = pathlib.Path(stat).read_text().splitlines()[0].rpartition(")")[2].split()
    return sum(int(values[field]) for field in fields) / os.sysconf("SC_CLK_TCK")


def foreign_seconds(workers):
    """CPU time that was not ours, since the machine began: of two readings the difference counts."""
    busy = cpu_seconds("/proc/stat", (1, 2, 3, 6, 7, 8))  # all but idle and waiting
    own = sum(cpu_seconds(f"/proc/{worker.process.pid}/stat", (11, 12)) for worker in workers)
    return busy - own


def measure(case, engines, threads, pace, reference, folder):
    """({engine: figures}, foreign); an engine that fails has only "error".

    `foreign` is how many cores other processes used meanwhile: above some 0.1 it is no measurement. Figures: median_ms over the rounds, rounds (the median of each turn), load_s, first_ms, peak_mb of the whole
    process, and max_error against `reference`.
    """
    figures, live = {}, {}
    for engine in engines:
        worker = Worker(engine, case, threads, pace, folder)
        answer = worker.answer(LOAD_SECONDS)
        if "error" in answer:
            figures[engine] = {"error": answer["error"]}
            continue
        live[engine] = worker
        figures[engine] = {**answer["ready"], "rounds": []}
        if isinstance(reference, dict):
            error, is_sorted = disagreement(reference, worker.outputs())
            figures[engine].update(max_error=error if error != float("inf") else None, agrees=error <= TOLERANCE)
            if is_sorted:
                figures[engine]["sorted"] = True
    order = list(live)
    begin, foreign = time.perf_counter(), foreign_seconds(live.values())
    for turn in range(pace.rounds):
        for engine in order[turn % max(1, len(order)):] + order[:turn % max(1, len(order))]:
            if engine not in live:
                continue
            time.sleep(pace.pause)
            answer = live[engine].burst(pace.seconds)
            if isinstance(answer, dict):
                figures[engine] = {"error": answer["error"]}
                del live[engine]
            else:
                figures[engine]["rounds"].append(statistics.median(answer))
    foreign = (foreign_seconds(live.values()) - foreign) / (time.perf_counter() - begin)
    for worker in live.values():
        worker.stop()
    for engine in live:
        figures[engine]["median_ms"] = statistics.median(figures[engine]["rounds"])
    return figures, max(0.0, foreign)
