"""planish.compare: where a quantized model loses accuracy, why, and what would mend it; and compiled models beside theirs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Union

from planish._source import ModelSource, Sizes, library_of, model_file, sizes
from planish.calibration import Path, Profile, Samples, profile_file, sample_files

if TYPE_CHECKING:
    from planish._compiler import Repairs
else:
    Repairs = Any  # the compiler is loaded where it is used


@dataclass(frozen=True)
class Deviation:
    """How far a value is from its reference over all samples."""

    sqnr: float
    """Signal to quantization noise in dB, within +-120."""
    cosine: float
    """Of the angle between the two as vectors."""
    noise: float
    """Noise relative to signal, the mean of the channels', each at most 1: 0 is exact, 1 is lost."""


@dataclass(frozen=True)
class LayerError:
    """A value that goes through 8-bit codes. Zero points and codes are in u8 terms, 0 to 255."""

    name: str
    nodes: Sequence[str]
    """The ONNX nodes that make the value."""
    own: Deviation
    """The error of the layer alone, given the reference's values: points at the culprit."""
    accumulated: Deviation
    """With that of all layers before it."""
    scale: float
    zero_point: int
    codes: tuple[float, float]
    """The real numbers that the codes reach."""
    values: tuple[float, float]
    """The range of the reference's values."""
    clipped: float
    """The share of the reference's values beyond the codes."""
    codes_used: int
    matched: bool
    """The reference model has this value; else it is computed without rounding from those before."""
    cause: str
    """A name of docs/quantization.md's table; "none" where nothing but 8 bits is to blame."""
    detail: str
    """The figures that speak for the cause."""
    cure: str
    noise: float
    """Of the layer alone, what is expected of rounded weights included; 0 to 1."""
    remaining: float
    """What the cure should leave of it."""
    repairable: bool
    """`Comparison.repairs` holds the cure."""


@dataclass(frozen=True)
class OutputError:
    name: str
    error: Deviation
    largest: float
    """The largest difference."""


@dataclass(frozen=True)
class Sensitivity:
    """What it costs a convolution or matrix product to compute with codes."""

    node: str
    noise: float
    """Relative, of its operands' codes and its weights."""
    cost: float
    """Its share of the multiplications."""


@dataclass(frozen=True)
class Comparison:
    """What compare() found. str() is a table, worst layer first."""

    samples: int
    layers: Sequence[LayerError]
    """The noisiest by itself first."""
    outputs: Sequence[OutputError]
    contractions: Sequence[Sensitivity]
    """What the layers' codes cost, the most noise for its cost first."""
    repairs: Repairs
    """The cures, for compile() and for another compare(): opaque, len() counts them."""

    def __str__(self) -> str:
        return table(self)


@dataclass(frozen=True)
class CompiledLayer:
    """What a kernel of a compiled model leaves in memory."""

    name: str
    """Of the value in the ONNX model."""
    nodes: Sequence[str]
    """The ONNX nodes that the kernel computes."""
    fitted: bool
    """Codes, or multiples by channel: next to the straight line through the model's numbers that fits best."""
    error: Deviation
    """With all layers before it."""


@dataclass(frozen=True)
class CompiledComparison:
    """What compare() found of a compiled model. str() is a table, in the order of computation."""

    samples: int
    layers: Sequence[CompiledLayer]
    outputs: Sequence[OutputError]

    def __str__(self) -> str:
        lines = [f"{'error':>8}  layer"]
        for layer in self.layers:
            note = "  (codes or multiples)" if layer.fitted else ""
            lines.append(f"{layer.error.sqnr:6.1f}dB  {layer.name}: {' + '.join(layer.nodes)}{note}")
        return "\n".join(lines + _output_lines(self.outputs))


def compare_compiled(
    model: ModelSource,
    compiled: Path,
    samples: Samples = (),
    *,
    frame: Optional[Path] = None,
    shapes: Optional[Sizes] = None,
) -> CompiledComparison:
    """Compares what compile-model made, as it runs on this machine, with the real numbers of its model, kernel by kernel.

    model: the model that was compiled.
    compiled: the directory, or an Artifact; with whatever it was compiled with: int8, a tuning database, another target
        that this CPU can run.
    samples, frame, shapes: as for compare().

    Raises CompileError where the two do not belong together or a sample does not fit, LoadError where there is no library.
    """
    from planish import _compiler

    with model_file(model, "model") as path, sample_files(samples) as source:
        found = _compiler.compare_compiled(model=str(path), library=str(library_of(compiled)), samples=source,
                                           frame=os.fspath(frame or ""), shapes=sizes(shapes))
    return CompiledComparison(
        found["samples"], [CompiledLayer(**{**layer, "error": Deviation(**layer["error"])}) for layer in found["layers"]],
        [_output(o) for o in found["outputs"]])


def compare(
    model: ModelSource,
    reference: Optional[ModelSource] = None,
    samples: Samples = (),
    *,
    int8: Union[Profile, Path, None] = None,
    frame: Optional[Path] = None,
    shapes: Optional[Sizes] = None,
    repairs: Optional[Repairs] = None,
) -> Union[Comparison, CompiledComparison]:
    """Compares a quantized model with its float model, layer by layer, on samples: a Comparison. Where `reference` is what
    was compiled from the model (a directory, or an Artifact), compare_compiled() does it, and gives a CompiledComparison.

    model: a model with QuantizeLinear/DequantizeLinear or QLinear operators; or a float one, with `int8`.
    reference: the float model it was made from; values are matched by name. None: the quantized model without rounding
        and clipping, in which damage to weights and biases shows less; with `int8` the model itself.
    samples: as for calibrate(): arrays whose rows are samples, samples one by one, or a path.
    int8: what calibrate() returned: the model becomes int8 as compile(int8=...) makes it; it takes no reference then.
    frame: for pictures, a frame.json that says how they become the input.
    shapes: sizes of inputs by name, as for compile().
    repairs: `Comparison.repairs` of an earlier comparison, made first.

    Raises CompileError where the model has no quantized layers, a sample does not fit, or the reference has other
    inputs; FileNotFoundError without a file.
    """
    from planish import _compiler

    if isinstance(reference, (str, os.PathLike)) and os.path.isdir(reference):
        if int8 is not None or repairs is not None:
            raise TypeError("int8 and repairs are for models that are not compiled yet")
        return compare_compiled(model, reference, samples, frame=frame, shapes=shapes)
    if int8 is not None and reference is not None:
        raise TypeError("a model that becomes int8 is its own reference")
    other = reference if reference is not None else model
    with model_file(model, "model") as path, model_file(other, "reference") as floats, profile_file(int8) as profile, \
            sample_files(samples) as source:
        found = _compiler.compare(
            model=str(path), reference=str(floats) if reference is not None else "", profile=profile, samples=source,
            frame=os.fspath(frame or ""), shapes=sizes(shapes),
            repairs=repairs if repairs is not None else _compiler.Repairs())
    return Comparison(
        found["samples"], [_layer(layer) for layer in found["layers"]],
        [_output(o) for o in found["outputs"]],
        [Sensitivity(**row) for row in found["contractions"]], found["repairs"])


def _output(row: Mapping[str, Any]) -> OutputError:
    return OutputError(row["name"], Deviation(**row["error"]), row["largest"])


def _output_lines(outputs: Sequence[OutputError]) -> list[str]:
    return [f"output {output.name}: {output.error.sqnr:.1f} dB, cosine {output.error.cosine:.5f}, largest "
            f"difference {output.largest:.4g}" for output in outputs]


def _layer(row: Mapping[str, Any]) -> LayerError:
    return LayerError(**{**row, "own": Deviation(**row["own"]), "accumulated": Deviation(**row["accumulated"])})


def table(comparison: Comparison, rows: Optional[int] = None) -> str:
    """The comparison as text: a line per layer, and two more where a cause is named."""
    lines = [f"{'own':>7} {'with all':>9}   codes  clipped  layer"]
    for layer in comparison.layers[:rows]:
        lines.append(f"{layer.own.sqnr:5.1f}dB {layer.accumulated.sqnr:7.1f}dB {layer.codes_used:5d}   {100 * layer.clipped:5.2f} %"
                     f"  {layer.name}: {' + '.join(layer.nodes)}")
        if layer.cause != "none":
            lines.append(f"{'':36}  {layer.cause}: {layer.detail}")
            lines.append(f"{'':36}  cure: {layer.cure}" + ("" if layer.repairable else " (needs the float model)"))
    return "\n".join(lines + _output_lines(comparison.outputs))
