"""What tests of device targets (OpenCL, CUDA) share: small nets, their inputs, and runs of compiled models."""

import numpy
import onnx

import nets
from conftest import real_model, sizes


def run(run_model, folder, feeds, environment, *flags):
    given = []
    for name, value in feeds.items():
        path = folder.parent / f"input{len(given)}.npy"
        numpy.save(path, value)
        given += ["--input", f"{name}={path}"]
    done = run_model(folder, *given, "--output", folder.parent / "out.npz", *flags, env=environment)
    return dict(numpy.load(folder.parent / "out.npz")), done


def save(model, folder):
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


SMALL = {"stem": nets.stem, "two_ended": nets.two_ended, "classifier": nets.classifier, "tokens": nets.tokens,
         "flat": nets.flat, "valid": nets.valid}


FREE = {"n": (2, 3), "h": (14, 20), "w": (11, 16)}  # of a free dimension: what is given, and its bound


def sizes_of(model, which):
    """The sizes of every input, free ones by FREE."""
    return {value.name: [FREE[d.dim_param][which] if d.dim_param else d.dim_value for d in value.type.tensor_type.shape.dim]
            for value in model.graph.input}


def feeds_of(model):
    random = numpy.random.default_rng(5)
    return {name: random.standard_normal(shape).astype(numpy.float32) for name, shape in sizes_of(model, 0).items()}


def bounds_of(model):
    """--max-shape for a model with free dimensions."""
    if sizes_of(model, 0) == sizes_of(model, 1):
        return []
    return [flag for name, shape in sizes_of(model, 1).items() for flag in ("--max-shape", f"{name}=" + "x".join(map(str, shape)))]


def check_trained(name, flags, quantized, tools, folder, environment, compile_environment=None):
    """A trained network on the device: the bytes of the CPU target where it is quantized, else within 1e-3 of the largest
    value of what was stored with it. `tools` are compile_model and run_model."""
    compile_model, run_model = tools
    path, feeds, golden, expected = real_model(name)
    shapes = [flag for key, value in feeds.items() for flag in ("--shape", f"{key}={sizes(value)}")]
    compile_model(path, *flags, "-o", folder / "device", *shapes, env=compile_environment)
    got, done = run(run_model, folder / "device", feeds, environment, "--digest")
    if quantized:
        compile_model(path, "-o", folder / "cpu", *shapes)
        assert run(run_model, folder / "cpu", feeds, None, "--digest")[1].stdout == done.stdout
    else:
        for tensor, (error, largest) in golden.check(expected, got).items():
            assert error <= 1e-3 * largest + 1e-7, f"{tensor}: {error} of {largest}"
