"""Real networks with golden outputs: they are no part of the project, and tests that use them skip without them.

They are looked for in ../shared/models, or where PLANISH_MODELS points.
"""
import importlib.util
import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = pathlib.Path(os.environ.get("PLANISH_MODELS", ROOT.parent / "shared" / "models"))
needed = pytest.mark.skipif(not (MODELS / "golden.py").exists(), reason=f"no models in {MODELS}")


def golden():
    """The module beside the models that loads and checks their golden data."""
    spec = importlib.util.spec_from_file_location("golden", MODELS / "golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
