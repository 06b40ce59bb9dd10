"""Code for ARM on emulated CPUs: the same bytes as on x86 where a model is quantized, close to ONNX Runtime elsewhere."""

import hashlib
import json
from pathlib import Path

import devices
import nets
import numpy
import onnx
import pytest
from conftest import MODELS, ROOT, assert_close, onnx_runtime, real_model, sizes

SLOW_PARTS = ["cortex-a53", "cortex-a76", "neoverse-v1", "armv7"]
SLOW_TARGETS = [f"cpu:{name}" for name in SLOW_PARTS]
DETECTOR = ROOT / "examples/conveyor/detector.onnx"
REAL = json.loads((Path(__file__).parent / "digests.json").read_text())
FLOAT_NETS = [nets.stem, nets.two_ended]
QUANTIZED_NETS = {"net": (nets.quantized_net, (1, 3, 19, 17)), "forms": (nets.quantized_forms, (1, 3, 12, 10))}


def digests(outputs):
    return {name: hashlib.sha256(numpy.ascontiguousarray(value).tobytes()).hexdigest()[:16] for name, value in outputs.items()}


def random_feeds(path):
    return {value.name: nets.random_input([d.dim_value for d in value.type.tensor_type.shape.dim], i)
            for i, value in enumerate(onnx.load(path).graph.input)}


@pytest.mark.parametrize("target", devices.CPUS)
@pytest.mark.parametrize("make", FLOAT_NETS)
def test_float(compile_model, tmp_path, make, target):
    path = tmp_path / "net.onnx"
    onnx.save(make(), path)
    feeds = random_feeds(path)
    compile_model(path, "-o", tmp_path / "net", f"--target={target}")
    one = devices.run(tmp_path / "net", target, feeds)
    assert_close(one, onnx_runtime(path)(feeds), target)
    assert digests(devices.run(tmp_path / "net", target, feeds, threads=3)) == digests(one)


@pytest.mark.parametrize("target", devices.CPUS)
@pytest.mark.parametrize("name", QUANTIZED_NETS)
def test_quantized(compile_model, run_model, tmp_path, name, target):
    make, shape = QUANTIZED_NETS[name]
    onnx.save(make(), tmp_path / "net.onnx")
    feeds = {"x": nets.random_input(shape) * numpy.float32(2)}
    numpy.save(tmp_path / "x.npy", feeds["x"])
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "x86", "--target=cpu:x86-64-v2")
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "arm", f"--target={target}")
    lines = run_model(tmp_path / "x86", "--digest", f"--input=x={tmp_path / 'x.npy'}").stdout.splitlines()
    want = {line.split()[0]: line.split()[-1] for line in lines}
    for threads in (1, 2):
        assert digests(devices.run(tmp_path / "arm", target, feeds, threads)) == want


@pytest.mark.parametrize("target, cpu, lacking", [("cpu:cortex-a76", "cortex-a53", "dotprod"), ("cpu:armv7", "cortex-a9", "vfp4"),
                                                  ("cpu:cortex-a53+i8mm", "neoverse-n1", "i8mm")])
def test_a_cpu_that_lacks_instructions_refuses(compile_model, tmp_path, target, cpu, lacking):
    onnx.save(nets.stem(), tmp_path / "net.onnx")
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "net", f"--target={target}")
    assert lacking in devices.run(tmp_path / "net", target, random_feeds(tmp_path / "net.onnx"), cpu=cpu, expect=3)


def detector_feeds():
    shapes = {v.name: [d.dim_value or 1 for d in v.type.tensor_type.shape.dim] for v in onnx.load(DETECTOR).graph.input}
    return {name: nets.random_input(shape, 5) for name, shape in shapes.items()}


def check_real_model(compile_model, folder, name, target, path, feeds, golden, expected):
    compile_model(path, "-o", folder / "net", f"--target={target}", *(f"--shape={k}={sizes(v)}" for k, v in feeds.items()))
    got = devices.run(folder / "net", target, devices.model_inputs(path, feeds))
    if name in REAL:
        assert digests(got) == REAL[name]
        return
    for tensor, (error, largest) in golden.check(expected, got).items():
        assert error <= 1e-3 * largest, tensor


@pytest.mark.parametrize("name, target", [("mnist_12", "cpu:cortex-a53"), ("pcb_cnn_int8qdq", "cpu:cortex-a76"),
                                          ("pcb_cnn_int8qdq", "cpu:armv7")])
def test_trained_nets(compile_model, tmp_path, name, target):
    check_real_model(compile_model, tmp_path, name, target, *real_model(name))


@pytest.mark.slow
@pytest.mark.parametrize("target", SLOW_TARGETS)
@pytest.mark.parametrize("name", sorted(path.stem for path in MODELS.glob("*.onnx")))
def test_every_trained_net(compile_model, tmp_path, name, target):
    check_real_model(compile_model, tmp_path, name, target, *real_model(name))


@pytest.mark.slow
@pytest.mark.parametrize("target", SLOW_TARGETS)
def test_the_shipped_detector(compile_model, tmp_path, target):
    path, feeds = DETECTOR, detector_feeds()
    compile_model(path, "-o", tmp_path / "net", f"--target={target}", *(f"--shape={k}={sizes(v)}" for k, v in feeds.items()))
    assert_close(devices.run(tmp_path / "net", target, feeds), onnx_runtime(path)(feeds), target)


@pytest.mark.slow
@pytest.mark.parametrize("target", SLOW_TARGETS)
@pytest.mark.parametrize("name", ["detector", "fastestdet_352", "mtcnn_onet", "osnet_x0_25", "ppocrv2_cls", "ultraface_rfb_320"])
def test_our_own_codes(compile_model, run_model, tmp_path, name, target):
    """A float model that compile-model quantizes gives the same bytes on ARM as on x86."""
    path, feeds = (DETECTOR, detector_feeds()) if name == "detector" else real_model(name)[:2]
    numpy.savez(tmp_path / "in.npz", **feeds)
    flags = ["--int8", f"--calibration={tmp_path / 'in.npz'}", *(f"--shape={k}={sizes(v)}" for k, v in feeds.items())]
    compile_model(path, "-o", tmp_path / "x86", "--target=cpu:x86-64-v2", *flags)
    compile_model(path, "-o", tmp_path / "arm", f"--target={target}", *flags)
    lines = run_model(tmp_path / "x86", "--digest", f"--input={tmp_path / 'in.npz'}").stdout.splitlines()
    want = {line.split()[0]: line.split()[-1] for line in lines}
    assert digests(devices.run(tmp_path / "arm", target, devices.model_inputs(path, feeds))) == want
