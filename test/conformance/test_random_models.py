"""Random models: compiled and run, against ONNX Runtime."""

import pytest

pytest.importorskip("planish._compiler", reason="the compiler module is not built")

import random_models  # noqa: E402

QUICK, MANY, CHUNK = 40, 2000, 100


@pytest.mark.parametrize("seed", range(QUICK))
def test_random_model(seed):
    assert random_models.check(seed) == ("pass", ""), f"python test/conformance/random_models.py --seed {seed} --count 1"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(QUICK, MANY, CHUNK))
def test_many_random_models(first):
    wrong = {seed: why for seed in range(first, first + CHUNK) if (why := random_models.check(seed)) != ("pass", "")}
    assert not wrong


def test_most_operators_occur():
    """What the generator can make, it makes: no branch of it is dead."""
    made = {n.op_type for seed in range(300) for n in random_models.Generator(seed).grow(12).nodes}
    missing = {"Conv", "ConvTranspose", "MatMul", "Gemm", "Einsum", "Resize", "BatchNormalization", "LayerNormalization",
               "Softmax", "ReduceLogSumExp", "ArgMax", "CumSum", "DepthToSpace", "Pad", "Slice", "Concat", "Split", "Where",
               "GatherElements", "Mod", "MaxPool", "Squeeze", "Tile", "Expand"} - made
    assert not missing
