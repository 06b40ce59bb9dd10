"""Random ONNX models: what is compiled against ONNX Runtime, and where that has no such operator, or another opinion,
against onnx's reference evaluator.

As a program: makes, compiles and runs `--count` models from `--seed` on, `--batch` of them as one, and keeps every
model whose results differ, or that fails, in `--keep` as <seed>.onnx with its inputs beside it. Prints at the end how
often each operator occurred.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy
import onnx
from random_core import Growth, model_of
from random_layers import Layers
from random_steps import Steps
from random_types import Types


class Generator(Steps, Types, Layers, Growth):
    """All steps."""


def grown(seed, prefix=""):
    return Generator(seed, prefix).grow(3 + seed % 12)


def by_runtime(model, inputs):
    """What ONNX Runtime gives, without its rewrites; nothing where it does not take the model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, inputs)
    except Exception:  # its classes have no base of their own
        return None


def compiled(model, inputs):
    import planish

    with tempfile.TemporaryDirectory(prefix="planish-random-") as folder:
        results = planish.compile(model, out=folder, name="model").load(threads=1)(inputs)
        return [numpy.array(results[v.name]) for v in model.graph.output]


def deviation(value, want, got):
    """What is wrong with a result, if anything: shape, type, floats beyond 1e-3 of the largest."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{value.name}: {got.dtype}{got.shape} instead of {want.dtype}{want.shape}"
    if want.dtype.kind != "f":
        different = int((got != want).sum())
        return f"{value.name}: {different} of {want.size} differ" if different else ""
    error = numpy.abs(got.astype(float) - want.astype(float)).max(initial=0)
    largest = numpy.abs(want.astype(float)).max(initial=0)
    allowed = 1e-2 if value.rough or want.dtype == numpy.float16 else 1e-3
    return "" if error <= allowed * max(largest, 1e-2) else f"{value.name}: an error of {error} where the largest is {largest}"


@dataclass
class Verdict:
    status: str  # "pass", "differs", "failed" or "refused"
    why: str = ""
    by_reference: bool = False  # ONNX Runtime does not take the model
    disputed: bool = False  # ONNX Runtime gives something else, the reference evaluator the same


@dataclass
class Tally:
    status: Counter = field(default_factory=Counter)
    operators: Counter = field(default_factory=Counter)
    by_reference: int = 0
    disputed: int = 0
    refusals: Counter = field(default_factory=Counter)

    def add(self, graph, verdict):
        self.status[verdict.status] += 1
        self.by_reference += verdict.by_reference
        self.disputed += verdict.disputed
        if verdict.status == "pass":
            self.operators.update(n.op_type for n in graph.nodes)
        if verdict.status == "refused":
            self.refusals[verdict.why.split(": ")[-1][:80]] += 1


def compared(graph, wanted, got):
    """Where ONNX Runtime and the reference evaluator dispute a result, either will do."""
    disputed = False
    for value, want, result in zip(graph.outputs, wanted, got, strict=True):
        if wrong := deviation(value, want, result):
            if deviation(value, value.array, result):
                return Verdict("differs", wrong)
            disputed = True
    return Verdict("pass", disputed=disputed)


def judged(graph, wanted, results):
    """Of one graph; `results` is a function that compiles and runs, and may complain."""
    import planish

    alone = wanted is None
    try:
        verdict = compared(graph, [v.array for v in graph.outputs] if alone else wanted, results())
    except planish.UnsupportedError as e:
        verdict = Verdict("refused", str(e))
    except planish.CompileError as e:
        # onnx's evaluator runs a few models that are against the specification: those no engine takes
        verdict = Verdict("refused" if alone else "failed", f"{type(e).__name__}: {e}")
    except Exception as e:
        verdict = Verdict("failed", f"{type(e).__name__}: {e}")
    verdict.by_reference = alone
    return verdict


def checked(graph, wanted):
    """One model alone."""
    return judged(graph, wanted, lambda: compiled(model_of([graph]), graph.feeds()))


def checked_together(graphs):
    """The verdicts of several models, compiled as one; alone, where that fails or one of them differs."""
    import planish

    graphs = [g for g in graphs if g.outputs]
    wanted = [by_runtime(model_of([g]), g.feeds()) for g in graphs]
    try:
        together = compiled(model_of(graphs), {name: array for g in graphs for name, array in g.feeds().items()})
    except (planish.Error, planish.CompileError):
        together = None
    at = 0
    for g, want in zip(graphs, wanted):
        verdict = None
        if together is not None:
            got = together[at:at + len(g.outputs)]
            verdict = judged(g, want, lambda got=got: got)
        at += len(g.outputs)
        yield g, verdict if verdict and verdict.status == "pass" else checked(g, want)


def check(seed):
    """("pass", ""), or ("differs", "failed" or "refused", why), for the model of a seed."""
    graph = grown(seed)
    if not graph.outputs:
        return "pass", ""
    verdict = checked(graph, by_runtime(model_of([graph]), graph.feeds()))
    return verdict.status, verdict.why


def keep(graph, seed, folder):
    onnx.save(model_of([graph]), folder / f"{seed}.onnx")
    numpy.savez(folder / f"{seed}.npz", **graph.feeds())


def summary(tally, seconds):
    total = sum(tally.status.values())
    share = lambda n: f"{n} ({100 * n / max(total, 1):.2f} %)"
    lines = [f"{total} models, {seconds / max(total, 1):.3f} s each: " +
             ", ".join(f"{tally.status[s]} {s}" for s in ("pass", "differs", "failed")) +
             f", {share(tally.status['refused'])} refused; {share(tally.by_reference)} checked by the reference evaluator alone, "
             f"{share(tally.disputed)} as it says and not as ONNX Runtime does"]
    lines += [f"refused {n}: {why}" for why, n in tally.refusals.most_common(20)]
    lines += ["operators: " + ", ".join(f"{op} {n}" for op, n in sorted(tally.operators.items()))]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    tally, begun = Tally(), time.process_time()
    end = options.seed + options.count
    for first in range(options.seed, end, options.batch):
        graphs = [grown(seed, f"s{seed}_") for seed in range(first, min(first + options.batch, end))]
        for graph, verdict in checked_together(graphs):
            tally.add(graph, verdict)
            if verdict.status in ("differs", "failed"):
                seed = int(graph.prefix[1:-1])
                print(f"seed {seed}: {verdict.status}: {verdict.why}", flush=True)
                if options.keep:
                    keep(graph, seed, options.keep)
    print(summary(tally, time.process_time() - begun))
    return 1 if tally.status["differs"] + tally.status["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
