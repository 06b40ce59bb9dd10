"""planish.compile_within: int8 that keeps a metric of yours; and metrics.

A metric is a function of a loaded model that returns a number, larger is better. The functions below are such, made from
samples and what is right for them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

from planish._planish import Model
from planish._source import ModelSource, Sizes, model_file, sizes
from planish.calibration import Path, Profile, Samples, profile_file, sample_files
from planish.comparison import Sensitivity

Evaluate = Callable[[Model], float]


@dataclass(frozen=True)
class Accuracy:
    """What compile_within() did."""

    directory: str
    """The compiled model; load() and open() take this object for it."""
    fp32: float
    int8: float
    """The metric with all layers in int8."""
    reached: float
    kept: Sequence[Sensitivity]
    """The layers that stay in fp32."""
    cost: float
    """Their share of the multiplications."""
    evaluations: int

    def __fspath__(self) -> str:
        return self.directory

    def __str__(self) -> str:
        names = ", ".join(layer.node for layer in self.kept)
        return (f"fp32 {self.fp32:.4g}, int8 {self.int8:.4g}, reached {self.reached:.4g} with {len(self.kept)} layers in fp32 "
                f"({100 * self.cost:.1f} % of the multiplications){': ' + names if names else ''}")


def compile_within(
    model: ModelSource,
    int8: Union[Profile, Path],
    samples: Samples,
    evaluate: Evaluate,
    *,
    max_drop: Union[float, str],
    out: Optional[Path] = None,
    target: str = "cpu",
    name: Optional[str] = None,
    shapes: Optional[Sizes] = None,
    keep_float: Iterable[str] = (),
    frame: Optional[Path] = None,
    threads: int = 0,
) -> Accuracy:
    """Compiles to int8 with as few and as cheap layers in fp32 as a metric needs.

    int8: what calibrate() returned. samples, frame: as for calibrate(); they say which layers suffer most.
    evaluate: a function of the loaded model (planish.Model, with `threads`) that returns a number; larger is better. It is
        called for the fp32 model and for each candidate, 10 to 30 times for a network of 50 layers.
    max_drop: how much of the fp32 model's number may be lost: 0.01, or "1%" of it.
    Other arguments as for compile().

    Raises what compile() and evaluate() raise.
    """
    from planish import _compiler, load

    with model_file(model, name or "model") as path, profile_file(int8) as profile, sample_files(samples) as source:
        directory = os.fspath(out) if out is not None else tempfile.mkdtemp(prefix=f"planish-{path.stem}-")
        found = _compiler.compile_within(
            model=str(path), output=directory, target=target, name=name or "", shapes=sizes(shapes), profile=profile,
            keep_float=set(keep_float), samples=source, frame=os.fspath(frame or ""), max_drop=str(max_drop),
            evaluate=lambda candidate: float(evaluate(load(candidate, threads=threads))))
    return Accuracy(directory, found["real"], found["int8"], found["reached"],
                    [Sensitivity(**layer) for layer in found["kept"]], found["cost"], found["evaluations"])


def top1(samples: Iterable[Mapping[str, Any]], labels: Iterable[int], output: Optional[str] = None) -> Evaluate:
    """The share of samples whose largest output (the first one, or the one named) is the label's."""
    wanted = list(zip(samples, labels))

    def evaluate(net: Model) -> float:
        hits = [int(_output(net, sample, output).argmax()) == int(label) for sample, label in wanted]
        return sum(hits) / len(hits)

    return evaluate


def mean_iou(samples: Iterable[Mapping[str, Any]], labels: Iterable[Any], output: Optional[str] = None) -> Evaluate:
    """Mean over classes of intersection over union of all pixels. Outputs are 1 x classes x H x W, labels H x W; negative
    labels do not count, nor do classes that nowhere occur."""
    import numpy

    wanted = list(zip(samples, labels))

    def evaluate(net: Model) -> float:
        common: dict[int, int] = {}
        either: dict[int, int] = {}
        for sample, label in wanted:
            found = _output(net, sample, output)[0].argmax(axis=0)
            truth = numpy.asarray(label)
            counted = truth >= 0
            for c in numpy.union1d(found[counted], truth[counted]).tolist():
                is_found, is_true = (found == c) & counted, (truth == c) & counted
                common[c] = common.get(c, 0) + int((is_found & is_true).sum())
                either[c] = either.get(c, 0) + int((is_found | is_true).sum())
        return sum(common[c] / either[c] for c in either) / len(either)

    return evaluate


def text_similarity(samples: Iterable[Mapping[str, Any]], texts: Iterable[str],
                    decode: Callable[[dict[str, Any]], str]) -> Evaluate:
    """1 - edit distance / length of the longer text, the mean over samples; `decode` makes text of a net's outputs."""
    wanted = list(zip(samples, texts))

    def evaluate(net: Model) -> float:
        scores = []
        for sample, text in wanted:
            found = decode(net(dict(sample)))
            scores.append(1 - edit_distance(found, text) / max(len(found), len(text), 1))
        return sum(scores) / len(scores)

    return evaluate


def edit_distance(a: str, b: str) -> int:
    """Insertions, deletions and substitutions that make one text of the other (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def average_precision(samples: Iterable[Mapping[str, Any]], truth: Iterable[Sequence[tuple[int, Sequence[float]]]],
                      decode: Callable[[dict[str, Any]], Iterable[tuple[int, float, Sequence[float]]]],
                      levels: Sequence[float] = tuple(0.5 + 0.05 * i for i in range(10))) -> Evaluate:
    """mAP of a detector: the mean over classes and levels of intersection over union of the area under precision over
    recall, interpolated at 101 points as COCO does. Boxes are left, top, right, bottom.

    truth: for each sample its objects, (class, box). decode: from a net's outputs to (class, score, box).
    """
    wanted = [(sample, list(objects)) for sample, objects in zip(samples, truth)]

    def evaluate(net: Model) -> float:
        found = [(list(decode(net(dict(sample)))), objects) for sample, objects in wanted]
        classes = sorted({c for _, objects in wanted for c, _ in objects})
        areas = [_area(found, c, level) for c in classes for level in levels]
        return sum(areas) / max(len(areas), 1)

    return evaluate


def _output(net: Model, sample: Mapping[str, Any], name: Optional[str]) -> Any:
    outputs = net(dict(sample))
    return outputs[name] if name else next(iter(outputs.values()))


def _area(found: Sequence[tuple[Any, Any]], wanted_class: int, level: float) -> float:
    """Interpolated average precision of one class at one level."""
    hits, objects_in_all = [], 0
    for detections, objects in found:
        boxes = [box for c, box in objects if c == wanted_class]
        objects_in_all += len(boxes)
        left = list(boxes)
        for c, score, box in sorted(detections, key=lambda d: -d[1]):
            if c != wanted_class:
                continue
            best = max(left, key=lambda other: _overlap(box, other), default=None)
            hit = best is not None and _overlap(box, best) >= level
            if hit:
                left = [other for other in left if other is not best]
            hits.append((score, hit))
    hits.sort(key=lambda entry: -entry[0])
    curve, right = [], 0
    for n, (_, hit) in enumerate(hits, 1):
        right += hit
        curve.append((right / max(objects_in_all, 1), right / n))
    return sum(max((precision for recall, precision in curve if recall >= at / 100), default=0.0) for at in range(101)) / 101


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)
