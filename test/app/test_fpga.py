"""Models for FPGAs: the engine's source is built for this machine and run as a board's driver; what a whole model then
computes has the bytes that a CPU computes."""

import json
import os
import re
import shutil
import subprocess

import nets
import numpy
import onnx
import pytest
from conftest import ROOT, real_model, sizes

SUPPORT = ROOT / "test/support/fpga"
CXX = shutil.which("c++") or shutil.which("clang++-19")
BOARDS = {"amd": ["zcu104", "kv260", "u50"], "intel": ["arria10", "stratix10", "de10-nano"]}
TARGETS = [f"fpga-{vendor}:{board}" for vendor, names in BOARDS.items() for board in names]

needs_compiler = pytest.mark.skipif(not CXX, reason="no C++ compiler to build the engine's emulation")


def save(model, folder):
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


def emulation(folder, depth=None):
    """The driver of a board that is this machine: stages one after the other, or as threads with streams of a depth."""
    source = next(p for p in folder.iterdir() if p.name.endswith(("_engine.cpp", "_engine.cl")))
    driver = folder.parent / f"{folder.name}_emulation_{depth}.so"
    threads = ["-DEMULATED_THREADS", f"-DFIFO_DEPTH={depth}", "-pthread"] if depth else []
    subprocess.run([CXX, "-std=c++17", "-O2", "-Wall", "-Wno-unknown-pragmas", "-Wno-unused-function", "-shared", "-fPIC",
                    f'-DENGINE="{source}"', "-I", SUPPORT, "-I", ROOT / "runtime/include", *threads, SUPPORT / "emulation.cpp",
                    "-o", driver], check=True)
    return {**os.environ, "PLANISH_FPGA_DRIVER": str(driver), "PLANISH_EMULATION_LOG": str(folder.parent / "calls.txt")}


def report(folder):
    return json.loads(next(folder.glob("*_engine_report.json")).read_text())


def small_net(seed=5):
    """Padded, strided, dilated, depthwise and grouped convolutions of odd sizes, pooling, a residual sum."""
    q = nets.Quantizer(seed)
    x = q.pair("x", 1 / 127, 120)
    stem = q.pair(q.node("Relu", [q.conv(x, "stem", 3, 20, 3, strides=[2, 1])], "stem_r"), 0.01)
    grouped = q.pair(q.conv(stem, "grouped", 20, 40, 3, group=4), 0.012, 140)
    deep = q.pair(q.conv(grouped, "deep", 40, 40, 3, group=40), 0.01, 128)
    wide = q.pair(q.conv(deep, "wide", 40, 70, 1), 0.011, 100)
    narrow = q.pair(q.node("Relu", [q.conv(wide, "narrow", 70, 40, 3)], "narrow_r"), 0.008)
    total = q.pair(q.node("Add", [narrow, deep], "total"), 0.012, 110)
    pooled = q.pair(q.node("MaxPool", [total], "pooled", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), 0.012, 110)
    last = q.pair(q.conv(pooled, "last", 40, 11, 5, dilations=[2, 1]), 0.02, 128)
    mean = q.pair(q.node("GlobalAveragePool", [last], "mean"), 0.02, 128)
    q.node("Identity", [mean], "y")
    return nets.model(q.nodes, {"x": [1, 3, 21, 17]}, ["y"], q.constants)


@needs_compiler
@pytest.mark.parametrize("target", [t for t in TARGETS if "amd" in t])
def test_a_small_net_has_the_bytes_of_the_cpu(compile_model, run_model, tmp_path, target):
    path = save(small_net(), tmp_path)
    compile_model(path, "-o", tmp_path / "cpu")
    compile_model(path, "--target", target, "-o", tmp_path / "board")
    want = run_model(tmp_path / "cpu", "--digest=layers").stdout
    for depth in (None, 1, 2, 64) if target == "fpga-amd:kv260" else (None,):
        environment = emulation(tmp_path / "board", depth)
        got = run_model(tmp_path / "board", "--digest=layers", env=environment).stdout
        assert got == want, f"streams of depth {depth}"
    ran = [int(line.split()[1]) for line in (tmp_path / "calls.txt").read_text().splitlines()]
    layers = report(tmp_path / "board")["layers"]
    assert len(layers) >= 7
    assert sum(ran) % sum(layer["rows"] for layer in layers) == 0 and len(ran) >= len(layers)


@needs_compiler
@pytest.mark.parametrize("make", [nets.quantized_net, nets.quantized_forms])
def test_quantized_nets_have_the_bytes_of_the_cpu(compile_model, run_model, tmp_path, make):
    path = save(make(), tmp_path)
    compile_model(path, "-o", tmp_path / "cpu")
    compile_model(path, "--target", "fpga-amd:zcu104", "-o", tmp_path / "board")
    want = run_model(tmp_path / "cpu", "--digest=layers").stdout
    assert run_model(tmp_path / "board", "--digest=layers", env=emulation(tmp_path / "board")).stdout == want


def calibrated(folder, path):
    """Samples for a model of one input of constant sizes."""
    graph = onnx.load(path).graph
    shape = [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    samples = numpy.random.default_rng(3).random([2, *shape[1:]], numpy.float32)
    numpy.savez(folder / "samples.npz", **{graph.input[0].name: samples})
    return folder / "samples.npz"


@needs_compiler
def test_the_shipped_detector_has_the_bytes_of_the_cpu(compile_model, run_model, tmp_path):
    path = ROOT / "examples/conveyor/detector.onnx"
    quantized = ["--int8", "--calibration", calibrated(tmp_path, path)]
    compile_model(path, *quantized, "-o", tmp_path / "cpu")
    compile_model(path, *quantized, "--target", "fpga-amd:kv260", "-o", tmp_path / "board")
    want = run_model(tmp_path / "cpu", "--digest").stdout
    assert run_model(tmp_path / "board", "--digest", env=emulation(tmp_path / "board")).stdout == want
    # All but the first cast to codes and the head, whose results are real numbers.
    assert report(tmp_path / "board")["macs"] > 0.9 * 1e6


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", ["pcb_cnn_int8qdq", "mobilenet_v2_qdq_maui", "nanodet_m_416_int8"])
def test_trained_networks(compile_model, run_model, tmp_path, name):
    path, feeds, _, _ = real_model(name)
    shapes = [flag for key, value in feeds.items() for flag in ("--shape", f"{key}={sizes(value)}")]
    compile_model(path, "-o", tmp_path / "cpu", *shapes)
    compile_model(path, "--target", "fpga-amd:zcu104", "-o", tmp_path / "board", *shapes)
    want = run_model(tmp_path / "cpu", "--digest").stdout
    assert run_model(tmp_path / "board", "--digest", env=emulation(tmp_path / "board")).stdout == want


def test_what_is_written(compile_model, tmp_path):
    path = save(small_net(), tmp_path)
    done = compile_model(path, "--target", "fpga-amd:kv260", "-o", tmp_path / "board")
    assert "ideally" in done.stderr and "derated" in done.stderr
    names = {p.name for p in (tmp_path / "board").iterdir()}
    assert {"libnet.so", "net.h", "manifest.json", "net_engine.cpp", "net_engine.tcl", "net_engine_report.txt",
            "net_engine_report.json", "net_engine_table.txt"} <= names
    source = (tmp_path / "board/net_engine.cpp").read_text()
    assert compile_model(path, "--target", "fpga-amd:kv260", "--emit", "hls").stdout == source
    text = (tmp_path / "board/net_engine_report.txt").read_text()
    for node in ("node_stem", "node_grouped", "node_total"):
        assert node in text and node in source
    assert "stay on the host" in text
    compile_model(path, "--target", "fpga-amd:kv260", "-o", tmp_path / "again")
    for name in names:
        assert (tmp_path / "board" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


@pytest.mark.parametrize("target", TARGETS)
def test_the_engine_fits_its_board(compile_model, tmp_path, target):
    compile_model(save(small_net(), tmp_path), "--target", target, "-o", tmp_path / "board")
    r = report(tmp_path / "board")
    assert r["board"] == target
    for what in ("dsp", "memories", "large_memories"):
        assert r[what]["used"] <= 0.8 * r[what]["of"]
    assert 0 < r["ideal_ms"] < r["derated_ms"]
    for layer in r["layers"]:
        stages = [layer[s] for s in ("compute", "memory", "load", "requantize", "store")]
        assert layer["cycles"] >= max(stages) and layer["bound"]


def test_without_a_driver_there_is_one_line(compile_model, run_model, tmp_path):
    compile_model(save(small_net(), tmp_path), "--target", "fpga-amd:kv260", "-o", tmp_path / "board")
    done = run_model(tmp_path / "board", expect=3, env={**os.environ, "PLANISH_FPGA_DRIVER": "libnone.so"})
    assert re.fullmatch(r"error: model 'net' needs the driver of a board for 'fpga-amd:kv260', but 'libnone.so' cannot be "
                        r"loaded; PLANISH_FPGA_DRIVER names one", done.stderr.splitlines()[-1])
    assert done.stdout == ""


def test_a_model_of_real_numbers_is_refused(compile_model, tmp_path):
    done = compile_model(save(nets.stem(), tmp_path), "--target", "fpga-amd:kv260", "-o", tmp_path / "board", expect=3)
    assert "quantize the model (--int8)" in done.stderr
    done = compile_model(save(nets.stem(), tmp_path), "--target", "fpga-amd:zcu999", "-o", tmp_path / "board", expect=2)
    assert "fpga-amd:zcu104" in done.stderr
