"""Compiles ONNX models for devices at the edge and runs them.

    art = planish.compile("m.onnx", target="cpu", out="build/m")
    net = planish.load(art, threads=2)
    outputs = net(images=x)          # or net({"images": x}); a dict of numpy arrays
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Optional, Union

from planish._planish import Model, TensorInfo
from planish._source import ModelSource, Sizes, library_of, model_file, sizes
from planish.accuracy import Accuracy, compile_within
from planish.calibration import Profile, calibrate, profile_file
from planish.comparison import (
    CompiledComparison,
    CompiledLayer,
    Comparison,
    Deviation,
    LayerError,
    OutputError,
    Repairs,
    Sensitivity,
    compare,
    compare_compiled,
)
from planish.errors import CompileError, Error, LoadError, RunError, UnsupportedError
from planish.tuning import TunedKernel, Tuning, TuningProgress, tune

__all__ = [
    "Accuracy", "Artifact", "Comparison", "CompileError", "CompiledComparison", "CompiledLayer", "Deviation", "Error",
    "LayerError", "LoadError", "Model", "OutputError", "Profile", "RunError", "Sensitivity", "TensorInfo", "TunedKernel",
    "Tuning", "TuningProgress", "UnsupportedError", "calibrate", "compare", "compare_compiled", "compile", "compile_within",
    "load", "tune",
]


@dataclass(frozen=True)
class Artifact:
    """A compiled model on disk; load() and open() take it for its directory."""

    directory: str
    name: str
    target: str
    notes: Sequence[str]
    """Decisions of the compiler the user should know, one line each."""
    phases: Sequence[tuple[str, float]]
    """(name, seconds) of each stage, in order."""
    weights_bytes: int
    arena_bytes: int
    library_bytes: int

    def __fspath__(self) -> str:
        return self.directory

    def load(self, threads: int = 0) -> Model:
        """planish.load of this directory."""
        return load(self, threads=threads)


def compile(
    model: ModelSource,
    *,
    target: str = "cpu",
    out: Union[str, os.PathLike[str], None] = None,
    shapes: Optional[Sizes] = None,
    max_shapes: Optional[Sizes] = None,
    name: Optional[str] = None,
    library: str = "so",
    tuning: Union[str, os.PathLike[str], None] = None,
    strict: bool = False,
    int8: Union[Profile, str, os.PathLike[str], None] = None,
    calibrator: Optional[str] = None,
    keep_float: Iterable[str] = (),
    repairs: Optional[Repairs] = None,
) -> Artifact:
    """Compiles an ONNX model into a directory with a library, its C header, a manifest and a report.

    model: path of an .onnx file, its bytes, or an onnx.ModelProto.
    target: "cpu" for this machine, or any target of `compile-model --list-targets`.
    out: the directory, made if needed; a new temporary one by default.
    shapes: sizes of inputs by name; max_shapes: their upper bounds, free dimensions stay variable.
    name: of the library and its symbols; the file's stem by default.
    library: "so", "a" or "both".
    tuning: a database that tune() wrote, to take the kernels' knobs from.
    strict: no Winograd transform and no sum split over vector lanes; slower.
    int8: what calibrate() returned, or its file: the model computes with 8-bit codes.
    calibrator: how ranges follow from it ("minmax", "percentile", "entropy", "mse"); default: as calibrate() was told.
    keep_float: ONNX nodes that int8 leaves with real numbers.
    repairs: what compare() found to mend the layers of a quantized model.

    Raises CompileError, or UnsupportedError with all that is missing; FileNotFoundError without the file.
    """
    from planish import _compiler

    with model_file(model, name or "model") as path, profile_file(int8) as profile:
        directory = os.fspath(out) if out is not None else tempfile.mkdtemp(prefix=f"planish-{path.stem}-")
        try:
            done = _compiler.compile(
                model=str(path), output=directory, target=target, name=name or "", shapes=sizes(shapes),
                max_shapes=sizes(max_shapes), library=library, tuning=os.fspath(tuning or ""), strict=strict,
                profile=profile, calibrator=calibrator or "", keep_float=set(keep_float),
                repairs=repairs if repairs is not None else _compiler.Repairs())
        except BaseException:
            if out is None:
                os.rmdir(directory)  # a failed compilation writes nothing
            raise
    return Artifact(done.directory, done.name, done.target, done.notes, done.phases, done.weights_bytes,
                    done.arena_bytes, done.library_bytes)


def load(directory: Union[str, os.PathLike[str]], threads: int = 0) -> Model:
    """Loads what compile-model or planish.compile made.

    threads: 1 runs in the calling thread alone, 0 uses all cores the process may use.

    Raises LoadError where `directory` holds no model, or one this CPU cannot run; ValueError for impossible threads.
    """
    return Model(str(library_of(directory)), threads)
