"""planish.calibrate and int8: samples in every form, what comes out, and what is refused."""

import json
import subprocess
import sys

import numpy
import onnx
import planish
import pytest
from onnx import TensorProto, helper, numpy_helper

SHAPE = (1, 3, 12, 12)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Convolution, SiLU, depthwise convolution, ReLU, residual sum, pooling and a matrix product."""
    random = numpy.random.default_rng(5)

    def constant(name, *shape):
        return numpy_helper.from_array(random.normal(0, 0.4, shape).astype("f"), name)

    nodes = [("Conv", ["image", "w0", "b0"], "c0", {"pads": [1, 1, 1, 1]}), ("Sigmoid", ["c0"], "s", {}),
             ("Mul", ["c0", "s"], "a0", {}), ("Conv", ["a0", "w1"], "c1", {"pads": [1, 1, 1, 1], "group": 8}),
             ("Relu", ["c1"], "a1", {}), ("Add", ["a0", "a1"], "sum", {}), ("Conv", ["sum", "w2", "b2"], "c2", {}),
             ("Relu", ["c2"], "a2", {}), ("GlobalAveragePool", ["a2"], "mean", {}), ("Flatten", ["mean"], "flat", {}),
             ("Gemm", ["flat", "w3", "b3"], "scores", {})]
    graph = helper.make_graph(
        [helper.make_node(op, inputs, [output], name=f"node_{output}", **attributes)
         for op, inputs, output, attributes in nodes], "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 5])],
        [constant("w0", 8, 3, 3, 3), constant("b0", 8), constant("w1", 8, 1, 3, 3), constant("w2", 6, 8, 1, 1),
         constant("b2", 6), constant("w3", 6, 5), constant("b3", 5)])
    path = tmp_path_factory.mktemp("calibrate") / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def images():
    return numpy.random.default_rng(6).random((16, *SHAPE[1:]), numpy.float32)


def outputs(artifact, images):
    net = artifact.load(threads=1)
    return numpy.stack([net(image=image[None])["scores"][0].copy() for image in images])


def error(got, want):
    return numpy.sqrt(((got - want) ** 2).mean() / (want ** 2).mean())


@pytest.fixture(scope="module")
def profile(model, images):
    return planish.calibrate(model, {"image": images[:8]})


@pytest.mark.parametrize("calibrator", ["minmax", "percentile", "entropy", "mse"])
def test_close_to_real_numbers(model, images, profile, calibrator):
    want = outputs(planish.compile(model), images[8:])
    artifact = planish.compile(model, int8=profile, calibrator=calibrator)
    got = outputs(artifact, images[8:])
    assert 0 < error(got, want) < (0.2 if calibrator == "entropy" else 0.05)


def test_samples_in_every_form(model, images, profile, tmp_path):
    numpy.savez(tmp_path / "all.npz", image=images[:8])
    folder = tmp_path / "samples"
    folder.mkdir()
    for i, image in enumerate(images[:8]):
        numpy.savez(folder / f"{i}.npz", image=image[None])
    for samples in (tmp_path / "all.npz", folder, ({"image": image[None]} for image in images[:8])):
        assert planish.calibrate(model, samples) == profile
    assert profile.samples == 8 and profile.calibrator == "mse"
    least, most = profile.ranges["image"]
    assert least == images[:8].min() and most == images[:8].max()


def test_profile_files(model, images, profile, tmp_path):
    profile.save(tmp_path / "profile.json")
    assert planish.Profile.load(tmp_path / "profile.json") == profile
    artifact = planish.compile(model, int8=tmp_path / "profile.json", out=tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["calibration"]["file"] == "profile.json" and len(manifest["calibration"]["sha256"]) == 64
    numpy.testing.assert_array_equal(outputs(artifact, images), outputs(planish.compile(model, int8=profile), images))


def test_kept_nodes_are_real(model, images, profile):
    want = outputs(planish.compile(model), images)
    everything = [f"node_{name}" for name in ("c0", "c1", "c2", "scores")]
    kept = outputs(planish.compile(model, int8=profile, keep_float=everything), images)
    assert error(kept, want) < 1e-5
    with pytest.raises(planish.CompileError, match="--keep-float 'nobody': the model has no such node"):
        planish.compile(model, int8=profile, keep_float=["nobody"])


@pytest.mark.parametrize("samples, message", [
    ({"picture": numpy.zeros(SHAPE, "f")}, "has no array 'image'"),
    ({"image": numpy.zeros(SHAPE)}, "array 'image' is f64, but the model's input 'image' is f32"),
    ({"image": numpy.zeros((2, 3, 5, 12), "f")}, "expected samples along its first dimension"),
    ({"image": numpy.zeros((0, 3, 12, 12), "f")}, "there are no samples"),
    ([{"image": numpy.zeros((2, 3, 12, 12), "f")}], "array 'image' is 2x3x12x12, but the model's"),
    ({"image": numpy.full(SHAPE, numpy.nan, "f")}, "is not finite"),
    ("no/such/folder", "cannot read 'no/such/folder'"),
])
def test_bad_samples(model, samples, message):
    with pytest.raises(planish.CompileError, match=message):
        planish.calibrate(model, samples)


def test_bad_options(model, profile, images, tmp_path):
    with pytest.raises(planish.CompileError, match="there is no calibrator 'kl'"):
        planish.calibrate(model, {"image": images}, calibrator="kl")
    other = onnx.load(model)
    other.graph.initializer[1].raw_data = numpy.ones(8, "f").tobytes()
    with pytest.raises(planish.CompileError, match="is of another model") as caught:
        planish.compile(other, int8=profile)
    assert caught.value.exit_code == 4


def test_command(model, images, tmp_path):
    numpy.savez(tmp_path / "samples.npz", image=images)
    done = subprocess.run([sys.executable, "-m", "planish", "calibrate", model, "--samples", tmp_path / "samples.npz",
                           "-o", tmp_path / "p.json", "--calibrator", "entropy"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert planish.Profile.load(tmp_path / "p.json").calibrator == "entropy"
    bad = subprocess.run([sys.executable, "-m", "planish", "calibrate", model, "--samples", tmp_path, "-o", "x"],
                         capture_output=True, text=True)
    assert bad.returncode == 4
    assert "samples.npz': array 'image' is 16x3x12x12, but the model's input 'image' is f32" in bad.stderr


def test_tables_are_noted_in_the_profile(model, images):
    with_tables = planish.calibrate(model, {"image": images}, tables=True)
    assert '"tables":true' in with_tables.text
    assert '"tables"' not in planish.calibrate(model, {"image": images}).text
    want = outputs(planish.compile(model), images[8:])
    assert 0 < error(outputs(planish.compile(model, int8=with_tables), images[8:]), want) < 0.1
