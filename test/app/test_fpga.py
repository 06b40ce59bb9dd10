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


def emulation(folder, depth=None, flags=()):
    """The driver of a board that is this machine: stages one after the other, or as threads with streams of a depth. The
    kernels of OpenCL always are threads."""
    source = next(p for p in folder.iterdir() if p.name.endswith(("_engine.cpp", "_engine.cl")))
    driver = folder.parent / f"{folder.name}_emulation_{depth}.so"
    channels = source.suffix == ".cl"
    style = ["-DEMULATED_CHANNELS"] if channels else ["-DEMULATED_THREADS"] if depth else []
    streams = [f"-DFIFO_DEPTH={depth or 64}", "-pthread"] if style else []
    subprocess.run([CXX, "-std=c++17", "-O2", "-fsigned-char", "-Wall", "-Wno-unknown-pragmas", "-Wno-attributes",
                    "-Wno-unused", "-shared", "-fPIC", f'-DENGINE="{source}"', "-I", SUPPORT, "-I", ROOT / "runtime/include",
                    *style, *streams, *flags, SUPPORT / "emulation.cpp", "-o", driver], check=True)
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
@pytest.mark.parametrize("target", TARGETS)
def test_a_small_net_has_the_bytes_of_the_cpu(compile_model, run_model, tmp_path, target):
    path = save(small_net(), tmp_path)
    compile_model(path, "-o", tmp_path / "cpu")
    compile_model(path, "--target", target, "-o", tmp_path / "board")
    want = run_model(tmp_path / "cpu", "--digest=layers").stdout
    for depth in (None, 1, 2, 64) if target in ("fpga-amd:kv260", "fpga-intel:arria10") else (None,):
        environment = emulation(tmp_path / "board", depth)
        got = run_model(tmp_path / "board", "--digest=layers", env=environment).stdout
        assert got == want, f"streams of depth {depth}"
    ran = [int(line.split()[1]) for line in (tmp_path / "calls.txt").read_text().splitlines()]
    layers = report(tmp_path / "board")["layers"]
    assert len(layers) >= 7
    assert sum(ran) % sum(layer["rows"] for layer in layers) == 0 and len(ran) >= len(layers)


@needs_compiler
def test_stages_that_wait_for_each_other_are_found(compile_model, run_model, tmp_path):
    compile_model(save(small_net(), tmp_path), "--target", "fpga-intel:arria10", "-o", tmp_path / "board")
    source = tmp_path / "board/net_engine.cl"
    text = source.read_text()
    assert text.count("WRITE(taps, tap);") == 1
    source.write_text(text.replace("WRITE(taps, tap);", "if (i > 0) WRITE(taps, tap);"))
    environment = emulation(tmp_path / "board", 2, ["-DWATCHDOG_SECONDS=2"])
    done = run_model(tmp_path / "board", "--digest", expect=3, env=environment)
    assert re.search(r"deadlock: (read|write) \w+", done.stderr)


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


def silu_net():
    """Three convolutions with SiLU, one of them depthwise."""
    random = numpy.random.default_rng(9)
    shapes = {"a": (16, 3, 3, 3), "b": (16, 1, 3, 3), "c": (8, 16, 1, 1)}
    weights = {name: random.normal(0, 0.3, shape).astype(numpy.float32) for name, shape in shapes.items()}
    nodes, x = [], "x"
    for name, (_, inputs, size, _) in shapes.items():
        nodes += [("Conv", [x, name], f"{name}_y", {"pads": [size // 2] * 4, "group": 16 if inputs == 1 else 1}),
                  ("Sigmoid", [f"{name}_y"], f"{name}_s", {}), ("Mul", [f"{name}_y", f"{name}_s"], f"{name}_z", {})]
        x = f"{name}_z"
    nodes.append(("Conv", [x, "d"], "y", {}))
    weights["d"] = random.normal(0, 0.3, (4, 8, 1, 1)).astype(numpy.float32)
    return nets.model(nodes, {"x": [1, 3, 24, 20]}, ["y"], weights)


@needs_compiler
def test_activation_functions_as_tables_run_on_the_engine(compile_model, run_model, tmp_path):
    path = save(silu_net(), tmp_path)
    quantized = ["--int8", "--calibration", calibrated(tmp_path, path)]
    board = ["--target", "fpga-amd:kv260"]
    compile_model(path, *quantized, "--tables", "-o", tmp_path / "cpu")
    compile_model(path, *quantized, "--tables", *board, "-o", tmp_path / "board")
    want = run_model(tmp_path / "cpu", "--digest").stdout
    assert run_model(tmp_path / "board", "--digest", env=emulation(tmp_path / "board")).stdout == want
    assert len(report(tmp_path / "board")["layers"]) >= 3
    # Of functions in real numbers the engine knows nothing.
    done = compile_model(path, *quantized, *board, "-o", tmp_path / "pieces", expect=3)
    assert "quantize the model (--int8 --tables)" in done.stderr


@needs_compiler
@pytest.mark.slow
def test_a_trained_network_with_tables(compile_model, run_model, tmp_path):
    path, feeds, _, _ = real_model("yolox_nano")
    numpy.savez(tmp_path / "samples.npz", **feeds)
    quantized = ["--int8", "--calibration", tmp_path / "samples.npz", "--tables"]
    compile_model(path, *quantized, "-o", tmp_path / "cpu")
    compile_model(path, *quantized, "--target", "fpga-amd:zcu104", "-o", tmp_path / "board")
    want = run_model(tmp_path / "cpu", "--digest").stdout
    assert run_model(tmp_path / "board", "--digest", env=emulation(tmp_path / "board")).stdout == want
    assert len(report(tmp_path / "board")["layers"]) > 80


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
    assert "quantize the model (--int8 --tables)" in done.stderr
    done = compile_model(save(nets.stem(), tmp_path), "--target", "fpga-amd:zcu999", "-o", tmp_path / "board", expect=2)
    assert "fpga-amd:zcu104" in done.stderr


def small_channels(inputs, outputs, kernel, size, attributes):
    """A convolution between two others, so that its maps are not the caller's."""
    q = nets.Quantizer(9)
    x = q.pair("x", 1 / 127, 120)
    first = q.pair(q.conv(x, "first", 3, inputs, 1), 0.01, 128)
    middle = q.pair(q.conv(first, "c", inputs, outputs, kernel, **attributes), 0.02, 128)
    q.node("Identity", [q.pair(q.conv(middle, "last", outputs, 8, 1), 0.02, 128)], "y")
    return nets.model(q.nodes, {"x": [1, 3, *size]}, ["y"], q.constants)


def rows_of(folder):
    """The rows of the layer table: dicts of the columns that are not 0."""
    lines = next(folder.glob("*_engine_table.txt")).read_text().splitlines()
    return [dict(column.split("=") for column in line.split()[1:]) for line in lines if re.match(r"  \d+:", line)]


CASES = {"dense": (24, 40, 3, (14, 13), {}), "strided": (16, 32, 3, (15, 20), {"strides": [2, 2]}),
         "pointwise": (40, 24, 1, (9, 11), {})}


@pytest.mark.skipif(not shutil.which("verilator") or not CXX, reason="no verilator: the array is not simulated")
@pytest.mark.parametrize("name", CASES)
def test_the_array_takes_the_cycles_that_the_model_says(compile_model, tmp_path, name):
    inputs, outputs, kernel, size, attributes = CASES[name]
    net = small_channels(inputs, outputs, kernel, size, attributes)
    compile_model(save(net, tmp_path), "--target", "fpga-intel:de10-nano", "-o", tmp_path / "board")
    r = report(tmp_path / "board")
    layer = next(l for l in r["layers"] if any("node_c" == n for n in l["nodes"]))
    at = r["layers"].index(layer)
    rows = rows_of(tmp_path / "board")[sum(l["rows"] for l in r["layers"][:at]):][:layer["rows"]]
    folding = r["folding"]
    subprocess.run(["verilator", "--cc", "--exe", "--build", "-Wno-fatal", "-Wno-lint", "--Mdir", tmp_path / "array",
                    "--top-module", "planish_array", "-CFLAGS", f"-DPE={folding['pe']} -DSIMD={folding['simd']} -O1",
                    tmp_path / "board/net_engine_array.v", SUPPORT / "array.cpp"], check=True, stdout=subprocess.DEVNULL)
    cycles = 0
    for row in rows:
        arguments = [f"{key}={value}" for key, value in row.items()]
        done = subprocess.run([tmp_path / "array/Vplanish_array", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        cycles += int(done.stdout)
    assert abs(cycles - layer["array"]) <= 0.05 * cycles, f"measured {cycles}, modelled {layer['array']}"


@pytest.mark.skipif(not shutil.which("yosys"), reason="no yosys: DSP blocks are not counted")
@pytest.mark.slow
def test_the_array_takes_the_blocks_that_the_model_says(compile_model, tmp_path):
    compile_model(save(small_net(), tmp_path), "--target", "fpga-intel:de10-nano", "-o", tmp_path / "board")
    folding = report(tmp_path / "board")["folding"]
    done = subprocess.run(["yosys", "-p", f"read_verilog {tmp_path}/board/net_engine_array.v; synth_intel_alm -family cyclonev "
                           "-top planish_array; stat"], capture_output=True, text=True, check=True)
    counts = re.findall(r"MISTRAL_MUL(\d+X\d+)\s+(\d+)", done.stdout)
    assert counts and counts[-1] == ("9X9", str(folding["pe"] * folding["simd"]))
