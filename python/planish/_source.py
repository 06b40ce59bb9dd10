"""What compile() and tune() take: models and sizes, as the compiler wants them."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Optional, Protocol, Union

from planish.errors import LoadError

class Serializable(Protocol):
    def SerializeToString(self) -> bytes: ...


ModelSource = Union[str, os.PathLike[str], bytes, Serializable]
Sizes = Mapping[str, Sequence[int]]


@contextlib.contextmanager
def model_file(model: ModelSource, name: str) -> Iterator[pathlib.Path]:
    """The model as a file; `name` is the stem of one that has no file."""
    with tempfile.TemporaryDirectory() as scratch:
        if isinstance(model, (str, os.PathLike)):
            path = pathlib.Path(model)
            if not path.is_file():
                raise FileNotFoundError(f"there is no model '{path}'")
        else:
            path = pathlib.Path(scratch, f"{name}.onnx")
            path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        yield path


def sizes(shapes: Optional[Sizes]) -> dict[str, list[int]]:
    return {name: [int(size) for size in given] for name, given in (shapes or {}).items()}


def library_of(directory: Union[str, os.PathLike[str]]) -> pathlib.Path:
    """The library of a compiled model's directory; LoadError where there is none."""
    folder = pathlib.Path(directory)
    libraries = sorted(folder.glob("lib*.so"))
    if len(libraries) != 1:
        what = "no" if not libraries else "more than one"
        raise LoadError(f"'{folder}' holds {what} compiled model (lib*.so)")
    return libraries[0].absolute()
