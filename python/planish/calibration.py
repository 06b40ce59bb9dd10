"""planish.calibrate: which numbers a model's values take on real samples, where int8 starts from."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

from planish._source import ModelSource, Sizes, model_file, sizes

Path = Union[str, os.PathLike[str]]


@dataclass(frozen=True)
class Profile:
    """What was seen of a model's values; compile(int8=...) takes it. It fits the model and the input sizes it was
    made with, and no other."""

    text: str
    """The JSON text, as docs/quantization.md describes it."""

    @classmethod
    def load(cls, path: Path) -> Profile:
        return cls(pathlib.Path(path).read_text())

    def save(self, path: Path) -> None:
        pathlib.Path(path).write_text(self.text)

    @property
    def samples(self) -> int:
        return int(json.loads(self.text)["samples"])

    @property
    def calibrator(self) -> str:
        return str(json.loads(self.text)["calibrator"])

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Least and most number of every value that may become codes, by its name."""
        values = json.loads(self.text)["values"]
        return {name: (value["least"], value["most"]) for name, value in values.items()}


Samples = Union[Path, Mapping[str, Any], Iterable[Mapping[str, Any]]]


def calibrate(
    model: ModelSource,
    samples: Samples,
    *,
    frame: Optional[Path] = None,
    calibrator: str = "mse",
    tables: bool = False,
    shapes: Optional[Sizes] = None,
    max_shapes: Optional[Sizes] = None,
) -> Profile:
    """Runs a model on samples and returns what its values were.

    samples: arrays whose rows are samples, by input: {"image": x} with x of shape (N, 3, H, W); or an iterable of
        samples, each a dict of arrays of the inputs' shapes; or a path: an .npz file or a folder of .npz files of
        such arrays, or a folder of pictures.
    frame: for pictures, a frame.json (docs/frame.md) that says how they become the input.
    calibrator: "minmax", "percentile", "entropy" or "mse": how ranges will follow, where compile() asks for no other.
    tables: activation functions will read codes of the sums before them: tables, all in integers, less accurate.
    shapes, max_shapes: as for compile(), which must get the same.

    Raises CompileError for a bad model, sample or option; FileNotFoundError without the model.
    """
    from planish import _compiler

    with model_file(model, "model") as path, sample_files(samples) as source, tempfile.TemporaryDirectory() as scratch:
        output = pathlib.Path(scratch, "profile.json")
        _compiler.calibrate(model=str(path), samples=source, frame=os.fspath(frame or ""), calibrator=calibrator,
                            tables=tables, output=str(output), shapes=sizes(shapes), max_shapes=sizes(max_shapes))
        return Profile.load(output)


@contextlib.contextmanager
def sample_files(samples: Samples) -> Iterator[str]:
    """Samples as a path; those in memory become files for as long as it takes."""
    if isinstance(samples, (str, os.PathLike)):
        yield os.fspath(samples)
        return
    import numpy

    with tempfile.TemporaryDirectory() as scratch:
        if isinstance(samples, Mapping):
            path = os.path.join(scratch, "samples.npz")
            numpy.savez(path, **samples)
            yield path
            return
        for i, sample in enumerate(samples):
            numpy.savez(os.path.join(scratch, f"sample{i:06}.npz"), **sample)
        yield scratch


@contextlib.contextmanager
def profile_file(profile: Union[Profile, Path, None]) -> Iterator[str]:
    """A profile as a path; empty for none."""
    if not isinstance(profile, Profile):
        yield os.fspath(profile or "")
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "profile.json")
        profile.save(path)
        yield path
