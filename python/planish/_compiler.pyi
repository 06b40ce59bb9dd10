from collections.abc import Callable
from typing import Any, Optional

class Result:
    @property
    def directory(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def notes(self) -> list[str]: ...
    @property
    def phases(self) -> list[tuple[str, float]]: ...
    @property
    def weights_bytes(self) -> int: ...
    @property
    def arena_bytes(self) -> int: ...
    @property
    def library_bytes(self) -> int: ...

def compile(
    *,
    model: str,
    output: str,
    target: str,
    name: str,
    shapes: dict[str, list[int]],
    max_shapes: dict[str, list[int]],
    library: str,
    tuning: str,
    strict: bool,
    profile: str,
    calibrator: str,
    keep_float: set[str],
    repairs: Repairs,
) -> Result: ...
def calibrate(
    *,
    model: str,
    samples: str,
    frame: str,
    calibrator: str,
    tables: bool,
    output: str,
    shapes: dict[str, list[int]],
    max_shapes: dict[str, list[int]],
) -> None: ...
def tune(
    *,
    model: str,
    target: str,
    database: str,
    seconds: float,
    shapes: dict[str, list[int]],
    max_shapes: dict[str, list[int]],
    progress: Optional[Callable[[dict[str, Any]], object]],
) -> tuple[list[dict[str, Any]], dict[str, Any]]: ...

class Repairs:
    def __init__(self) -> None: ...
    def __len__(self) -> int: ...

def compare(
    *,
    model: str,
    reference: str,
    profile: str,
    samples: str,
    frame: str,
    shapes: dict[str, list[int]],
    repairs: Repairs,
) -> dict[str, Any]: ...
def compare_compiled(
    *,
    model: str,
    library: str,
    samples: str,
    frame: str,
    shapes: dict[str, list[int]],
) -> dict[str, Any]: ...
def compile_within(
    *,
    model: str,
    output: str,
    target: str,
    name: str,
    shapes: dict[str, list[int]],
    profile: str,
    keep_float: set[str],
    samples: str,
    frame: str,
    max_drop: str,
    evaluate: Callable[[str], float],
) -> dict[str, Any]: ...
