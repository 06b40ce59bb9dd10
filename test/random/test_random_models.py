"""Random models: compiled and run, against ONNX Runtime and onnx's reference evaluator."""

import re
from pathlib import Path

import pytest

pytest.importorskip("planish._compiler", reason="the compiler module is not built")

import random_models  # noqa: E402

QUICK, MANY, BATCH = 160, 4000, 16
ROOT = Path(__file__).resolve().parents[2]


def check_batch(first):
    graphs = [random_models.grown(seed, f"s{seed}_") for seed in range(first, first + BATCH)]
    tally = random_models.Tally()
    wrong = {}
    for graph, verdict in random_models.checked_together(graphs):
        tally.add(graph, verdict)
        if verdict.status in ("differs", "failed"):
            wrong[graph.prefix] = verdict
    assert not wrong, f"python test/random/random_models.py --seed {first} --count {BATCH}"
    assert tally.status["refused"] <= BATCH // 4, tally.refusals


@pytest.mark.parametrize("first", range(0, QUICK, BATCH))
def test_random_models(first):
    check_batch(first)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(QUICK, MANY, BATCH))
def test_many_random_models(first):
    check_batch(first)


def test_most_operators_occur():
    """What the generator can make, it makes: no branch of it is dead."""
    written = "".join(path.read_text() for path in Path(__file__).parent.glob("random_*.py"))
    served = set(re.findall(r"^\| (\w+) \| ai.onnx \|", (ROOT / "docs" / "operators.md").read_text(), re.MULTILINE))
    named = {op for op in served if f'"{op}"' in written}
    assert len(named) > 130
    made = {n.op_type for seed in range(1200) for n in random_models.Generator(seed).grow(12).nodes}
    assert not named - made
