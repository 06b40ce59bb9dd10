"""Operators against the onnx package's node tests, compiled and run; what is refused is listed with its reason."""

from pathlib import Path

import numpy
import pytest

planish = pytest.importorskip("planish", reason="the Python package is not built")
pytest.importorskip("planish._compiler", reason="the compiler module is not built")

import planish_backend  # noqa: E402
import suite  # noqa: E402

QUICK_CASES = 1


def read_expected():
    """{case name: (status, reason)} for what does not pass; lines are `status name reason...`."""
    lines = Path(__file__).with_name("expected.txt").read_text().splitlines()
    rows = [line.split(None, 2) for line in lines if line and not line.startswith("#")]
    return {name: (status, reason) for status, name, reason in rows}


EXPECTED = read_expected()


def status_of(case):
    """"pass", "refused" or "differs", and why."""
    model, inputs, expected = suite.frozen(case)
    try:
        got = planish_backend.prepare(model).run(inputs)
    except planish.UnsupportedError as e:
        return "refused", str(e)
    for g, e in zip(got, expected, strict=True):
        if g.dtype != e.dtype or g.shape != e.shape:
            return "differs", f"{g.dtype}{g.shape} instead of {e.dtype}{e.shape}"
        if not numpy.allclose(g, e, rtol=case.rtol, atol=case.atol, equal_nan=True):
            return "differs", f"largest error {numpy.nanmax(numpy.abs(g.astype(float) - e.astype(float)))}"
    return "pass", ""


def check(cases):
    wrong = []
    for case in cases:
        wanted, reason = EXPECTED.get(case.name, EXPECTED.get(suite.operator_of(case) + "/*", ("pass", "")))
        if wanted == "skip":
            continue
        status, why = status_of(case)
        if status != wanted:
            wrong.append(f"{case.name}: {status} ({why}), expected {wanted} {reason}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("operator", sorted(suite.cases()))
def test_first_case(operator):
    check(suite.cases()[operator][:QUICK_CASES])


@pytest.mark.slow
@pytest.mark.parametrize("operator", sorted(suite.cases()))
def test_every_case(operator):
    check(suite.cases()[operator])


def test_the_list_names_real_cases():
    names = {case.name for cases in suite.cases().values() for case in cases}
    patterns = {operator + "/*" for operator in suite.cases()}
    assert not set(EXPECTED) - names - patterns
