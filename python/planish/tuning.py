"""planish.tune: faster knobs for a model's kernels, found by measuring on this machine."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional, Union

from planish._source import ModelSource, Sizes, model_file, sizes


@dataclass(frozen=True)
class TuningProgress:
    """How far a tuning is; `candidates` counts by outcome (see docs/tuning.md)."""

    seconds: float
    kernels: int
    improved: int
    """Kernels for which something faster than the default was found."""
    candidates: Mapping[str, int]
    gain: float
    """Share of the model's time saved in one thread, by the kernels' times alone: 0.02 is 2 %."""

    @property
    def tried(self) -> int:
        return sum(self.candidates.values())

    @property
    def rejected(self) -> int:
        return self.tried - self.candidates["faster"]

    def __str__(self) -> str:
        c = self.candidates
        return (f"{self.improved} of {self.kernels} kernels faster, {100 * self.gain:.1f} % of the time saved; "
                f"{self.tried} candidates, {self.rejected} rejected: {c['slower']} not faster, {c['unconfirmed']} not "
                f"confirmed, {c['wrong']} wrong, {c['duplicates']} equal to others")


@dataclass(frozen=True)
class TunedKernel:
    """What was found for one kernel. Times are medians of one call in one thread, in nanoseconds."""

    key: str
    """What the database and report.json call the computation."""
    about: str
    nodes: Sequence[str]
    """The ONNX nodes of its first launch."""
    template: str
    defaults: Mapping[str, int]
    best: Mapping[str, int]
    """Knobs; equal to `defaults` where nothing is faster."""
    launches: int
    share: float
    """Of the model's time, untuned."""
    default_ns: float
    best_ns: float
    low: float
    high: float
    """95 % interval of best time / default time; 1 where nothing is faster."""
    candidates: Mapping[str, int]
    complaint: str
    """What was wrong with the first wrong candidate."""
    exhausted: bool
    """Every choice was tried."""


@dataclass(frozen=True)
class Tuning(TuningProgress):
    """The result of tune()."""

    database: str
    results: Sequence[TunedKernel]


def tune(
    model: ModelSource,
    *,
    database: Union[str, os.PathLike[str]],
    target: str = "cpu",
    seconds: float = 120,
    shapes: Optional[Sizes] = None,
    max_shapes: Optional[Sizes] = None,
    progress: Union[Callable[[TuningProgress], object], bool, None] = None,
) -> Tuning:
    """Searches faster knobs for the kernels of a model and appends them to a database, as they are found.

    Use it with `compile(model, tuning=database)` or `compile-model --tuning`. Measure on a quiet machine that is like
    the device. Kernels are timed in one thread, candidate and default in turns; a candidate is taken only where the
    95 % interval says that it is faster, twice.

    model, shapes, max_shapes: as for compile(); free dimensions are measured at their bounds.
    database: a file of JSON lines, made if needed.
    target: one whose code this machine runs.
    seconds: for everything; kernels get parts of it by their share of the model's time.
    progress: called after every candidate; True prints a line on stderr, None does if that is a terminal. Exceptions
        (KeyboardInterrupt, too) end the tuning; the database keeps what was found.

    Raises CompileError for a bad model, option or database; FileNotFoundError without the model.
    """
    from planish import _compiler

    show = _Line() if progress is True or (progress is None and sys.stderr.isatty()) else None
    called = show or progress or None
    with model_file(model, "model") as path:
        try:
            kernels, total = _compiler.tune(
                model=str(path), target=target, database=os.fspath(database), seconds=float(seconds),
                shapes=sizes(shapes), max_shapes=sizes(max_shapes),
                progress=called and (lambda now: called(TuningProgress(**now))))
        finally:
            if show:
                show.end()
    return Tuning(**total, database=os.fspath(database), results=[TunedKernel(**kernel) for kernel in kernels])


class _Line:
    """One line on stderr, written again and again."""

    def __init__(self) -> None:
        self.last = 0.0

    def __call__(self, now: TuningProgress) -> None:
        if time.monotonic() - self.last > 0.2:
            self.last = time.monotonic()
            sys.stderr.write(f"\r{now.seconds:5.0f} s: {now}\x1b[K")
            sys.stderr.flush()

    def end(self) -> None:
        if self.last:
            sys.stderr.write("\n")
