"""docs/operators.md says what the table of operators and the record of the ONNX suite say."""

import os
import subprocess
from pathlib import Path

import counts
import pytest

DOCS = Path(__file__).parents[2] / "docs" / "operators.md"


def test_the_reference_is_up_to_date():
    if "PLANISH_BIN" not in os.environ:
        pytest.skip("PLANISH_BIN is not set")
    tool = Path(os.environ["PLANISH_BIN"]) / "planish-opt"
    table = subprocess.run([tool, "--list-ops"], capture_output=True, text=True, check=True).stdout
    assert DOCS.read_text() == counts.annotated(table), (
        "docs/operators.md is stale: planish-opt --list-ops | python3 test/conformance/counts.py > docs/operators.md")


def test_what_is_recorded_is_imported_or_refused():
    known, _ = counts.recorded()
    imported = DOCS.read_text()
    for operator, (passed, tried) in known.items():
        assert 0 <= passed <= tried
        assert not passed or f"\n| {operator} | ai.onnx |" in imported or tried == passed, operator
