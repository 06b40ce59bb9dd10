"""Models for CUDA: kernels compiled for a CPU (test/support/cuda_on_cpu) and run through the runtime's own calls of
the driver, compared with the CPU target and ONNX Runtime; with NVRTC, code for every architecture."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
import onnx
import pytest

import cuda_table
import nets
from conftest import ROOT, assert_close, onnx_runtime
from device_runs import SMALL, bounds_of, check_trained, feeds_of, run, save

ARCHITECTURES = ["cuda:sm_75", "cuda:sm_80", "cuda:sm_87", "cuda:sm_90"]
EMULATOR = ROOT / "test/support/cuda_on_cpu"
CXX = shutil.which("g++") or shutil.which("clang++-19")


needs_nvrtc = pytest.mark.skipif(not cuda_table.library(), reason="no NVRTC: no machine code is made for CUDA devices")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    """The folder with the emulated driver and what it compiles."""
    if not CXX:
        pytest.skip("there is no C++ compiler: CUDA kernels are not run")
    folder = tmp_path_factory.mktemp("cuda")
    subprocess.run([CXX, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", EMULATOR / "driver.cpp",
                    EMULATOR / "fibers.cpp", "-ldl", "-o", folder / "libcuda_on_cpu.so"], check=True)
    (folder / "headers.txt").write_text(str(EMULATOR))
    return folder


@pytest.fixture
def environment(emulator, tmp_path):
    library = str(emulator / "libcuda_on_cpu.so")
    return {**os.environ, "PLANISH_CUDA_LIBRARY": library, "PLANISH_NVRTC_LIBRARY": library, "PLANISH_TEST_CXX": CXX,
            "PLANISH_TEST_FOLDER": str(emulator), "PLANISH_TEST_COUNTS": str(tmp_path / "counts")}


def counts(environment):
    """(kernels run, graphs made, modules loaded) by the last process."""
    return tuple(map(int, Path(environment["PLANISH_TEST_COUNTS"]).read_text().split()))


@pytest.mark.parametrize("name", SMALL)
def test_small_nets_equal_onnx_runtime(compile_model, run_model, tmp_path, environment, name):
    model = SMALL[name]()
    path, feeds = save(model, tmp_path), feeds_of(model)
    compile_model(path, "--target", "cuda:sm_80", "-o", tmp_path / "net", *bounds_of(model), env=environment)
    got, _ = run(run_model, tmp_path / "net", feeds, environment)
    assert_close(got, onnx_runtime(path)(feeds), name)
    assert counts(environment)[0] > 0


@pytest.mark.parametrize("target", ["cuda:sm_75", "cuda:sm_80"])
@pytest.mark.parametrize("make", [nets.quantized_net, nets.quantized_forms])
def test_quantized_nets_have_the_same_bytes_as_on_the_cpu(compile_model, run_model, tmp_path, environment, make, target):
    path = save(make(), tmp_path)
    compile_model(path, "-o", tmp_path / "cpu")
    compile_model(path, "--target", target, "-o", tmp_path / "device", env=environment)
    want = run_model(tmp_path / "cpu", "--digest").stdout
    assert run_model(tmp_path / "device", "--digest", env=environment).stdout == want
    assert run_model(tmp_path / "device", "--digest=layers", env=environment).stdout.startswith(want)


def three_frames():
    """Three frames of odd sizes, as video models take them; their concat begins at channels 0, 3 and 6 of 9."""
    random = numpy.random.default_rng(3)
    frame = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, 15, 13]) for name in "abc"]
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 17, 15, 13])
    weights = onnx.numpy_helper.from_array(random.standard_normal((17, 9, 3, 3)).astype(numpy.float32), "w")
    nodes = [onnx.helper.make_node("Concat", ["a", "b", "c"], ["x"], "frames", axis=1),
             onnx.helper.make_node("Conv", ["x", "w"], ["y"], "conv", pads=[1, 1, 1, 1])]
    graph = onnx.helper.make_graph(nodes, "three", frame, [out], [weights])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("target", ["cuda:sm_75", "cuda:sm_80"])
def test_three_frames_of_odd_sizes(compile_model, run_model, tmp_path, environment, target):
    model = three_frames()
    path, feeds = save(model, tmp_path), feeds_of(model)
    compile_model(path, "--target", target, "-o", tmp_path / "net", env=environment)
    got, _ = run(run_model, tmp_path / "net", feeds, environment)
    assert_close(got, onnx_runtime(path)(feeds), "three frames")


def test_a_run_is_one_graph_that_is_made_once(compile_model, run_model, tmp_path, environment):
    path = save(nets.stem(), tmp_path)
    done = compile_model(path, "--target", "cuda:sm_80", "-o", tmp_path / "net", "--json", env=environment)
    launches = int(re.search(r'"launches":\{[^}]*"count":(\d+)', done.stdout).group(1))
    run_model(tmp_path / "net", env=environment)
    assert counts(environment) == (launches, 1, 1)
    run_model(tmp_path / "net", "--benchmark", "--seconds", "0.2", env=environment)
    kernels, graphs, _ = counts(environment)
    assert kernels > launches and kernels % launches == 0
    assert graphs == 1


def test_other_sizes_make_other_graphs(compile_model, tmp_path, environment):
    pytest.importorskip("planish")
    model = nets.backbone()
    path = save(model, tmp_path)
    compile_model(path, "--target", "cuda:sm_80", "-o", tmp_path / "net", *bounds_of(model), env=environment)
    script = ("import numpy, planish, sys\n"
              f"net = planish.load({str(tmp_path / 'net')!r})\n"
              "for size in [(2, 3, 14, 11), (1, 3, 9, 16), (2, 3, 14, 11), (2, 3, 14, 11)]:\n"
              "    x = numpy.random.default_rng(sum(size)).standard_normal(size).astype(numpy.float32)\n"
              f"    numpy.savez({str(tmp_path)!r} + '/' + 'x'.join(map(str, size)), x=x, **net(x=x))\n")
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
    reference = onnx_runtime(path)
    for size in ["2x3x14x11", "1x3x9x16"]:
        saved = dict(numpy.load(tmp_path / f"{size}.npz"))
        assert_close(saved, reference({"x": saved["x"]}), size)
    assert counts(environment)[1] == 3


def needed(source):
    """Lines that wait, barriers and those for copies; not of a loop with one step, after which nothing is overwritten."""
    steps, lines = "", []
    for number, line in enumerate(source.splitlines(), 1):
        steps = line if re.search(r"for \(int64_t step", line) else "" if line.startswith("extern") else steps
        if re.search(r"^ +pl_(barrier|copy_wait)\(\);$", line) and "_end = 1;" not in steps:
            lines.append(number)
    return lines


def test_every_barrier_and_every_wait_is_needed(compile_model, run_model, tmp_path, environment):
    """Left out, each changes what some kernel computes."""
    path = save(nets.quantized_net(), tmp_path)
    compile_model(path, "--target", "cuda:sm_80", "-o", tmp_path / "net", env=environment)
    want = run_model(tmp_path / "net", "--digest=layers", env=environment).stdout
    lines = needed((tmp_path / "net" / "net.cu").read_text())
    assert len(lines) >= 6
    for line in lines:
        skipping = {**environment, "PLANISH_TEST_SKIP_LINE": str(line)}
        assert run_model(tmp_path / "net", "--digest=layers", env=skipping).stdout != want, f"line {line} changes nothing"


def test_the_source_is_the_same_twice_and_names_the_nodes(compile_model, tmp_path, environment):
    path = save(nets.stem(), tmp_path)
    text = compile_model(path, "--target", "cuda:sm_87", "--emit", "cuda").stdout
    assert text == compile_model(path, "--target", "cuda:sm_87", "--emit", "cuda").stdout
    compile_model(path, "--target", "cuda:sm_87", "-o", tmp_path / "net", env=environment)
    assert (tmp_path / "net" / "net.cu").read_text() == text
    for node in onnx.load(path).graph.node:
        assert node.name == "" or node.name in text
    assert "net for cuda:sm_87, CUDA C++" in text
    kernels = text[text.index("extern"):]
    assert "asm" not in kernels


def test_without_nvrtc_the_library_has_source(compile_model, run_model, tmp_path, environment):
    path = save(nets.stem(), tmp_path)
    if not cuda_table.library():
        done = compile_model(path, "--target", "cuda:sm_80", "-o", tmp_path / "net",
                             env={**environment, "PLANISH_NVRTC_LIBRARY": ""})
        assert "there is no NVRTC" in done.stdout + done.stderr
        run_model(tmp_path / "net", env=environment)
    compile_model(path, "--target", "cuda:sm_80", "-o", tmp_path / "net", expect=1,
                  env={**environment, "PLANISH_NVRTC_LIBRARY": "libNone.so"})


@pytest.mark.parametrize("change, word", [
    ({"PLANISH_CUDA_LIBRARY": "libNoCuda.so.1"}, "needs a CUDA device, but 'libNoCuda.so.1' is not on this system"),
    ({"PLANISH_CUDA_LIBRARY": "libc.so.6"}, "'libc.so.6' is no CUDA driver, or one that is too old: it has no cuInit"),
    ({"PLANISH_TEST_INIT": "34"}, "the driver does not start: CUDA_ERROR_STUB_LIBRARY"),
    ({"PLANISH_TEST_CAPABILITY": "75"}, "of sm_80 or later, but the devices are 'CUDA on a CPU' (sm_75)"),
    ({"PLANISH_CUDA_DEVICE": "abacus"}, "with PLANISH_CUDA_DEVICE 'abacus' in its name, but the devices are 'CUDA on a CPU'"),
])
def test_what_is_missing_is_said_in_one_line(compile_model, run_model, tmp_path, environment, change, word):
    path = save(nets.stem(), tmp_path)
    compile_model(path, "--target", "cuda:sm_80", "-o", tmp_path / "net", env=environment)
    done = run_model(tmp_path / "net", expect=3, env={**environment, **change})
    assert done.stderr.splitlines()[-1].startswith("error: ") and word in done.stderr
    assert done.stdout == ""


@needs_nvrtc
@pytest.mark.parametrize("target", ARCHITECTURES)
def test_nvrtc_makes_machine_code(compile_model, run_model, tmp_path, environment, target):
    path = save(nets.quantized_net(), tmp_path)
    compile_model(path, "--target", target, "-o", tmp_path / "net")
    library = (tmp_path / "net" / "libnet.so").read_bytes()
    assert f".target sm_{target[-2:]}".encode() in library
    assert library.count(b"\x7fELF") >= 2  # itself, and the code of the device
    # Code for devices is not for an emulator: that is said, nothing else runs.
    done = run_model(tmp_path / "net", expect=3, env=environment)
    assert "refuses the kernels of model 'net': CUDA_ERROR_NO_BINARY_FOR_GPU" in done.stderr


@needs_nvrtc
@pytest.mark.parametrize("target", ARCHITECTURES)
def test_no_register_is_spilled_and_schedules_get_their_instructions(compile_model, tmp_path, target):
    architecture = target.split(":")[1]
    for make in (nets.stem, nets.quantized_net):
        text = compile_model(save(make(), tmp_path), "--target", target, "--emit", "cuda").stdout
        kernels = cuda_table.kernels_of(text, architecture)
        assert kernels
        for k in kernels:
            assert k.spilled == k.stack == 0, k
            assert k.occupancy >= 0.25, k
            body = text[text.index(f" {k.name}("):].split("extern")[0]
            assert (k.products > 0) == ("pl_mma(" in body), k
            if architecture == "sm_75" or "pl_copy<" not in body:
                assert k.copies == 0, k
            elif "pl_copy<16>(" in body:
                assert k.copies > 0, k
        if make is nets.quantized_net:
            assert any(k.products for k in kernels)
        if make is nets.stem:
            assert any(k.wide for k in kernels)


REAL = ["mnist_12", "pcb_cnn_fp32", "mtcnn_onet", "ultraface_rfb_320", "nanodet_m_416", "fastestdet_352", "sinet_portrait",
        "plate_rec"]
QUANTIZED = ["pcb_cnn_int8qdq", "nanodet_m_416_int8", "mobilenet_v2_qdq_maui"]


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL + QUANTIZED)
def test_trained_networks(compile_model, run_model, tmp_path, environment, name):
    check_trained(name, ["--target", "cuda:sm_80"], name in QUANTIZED, (compile_model, run_model), tmp_path, environment,
                  environment)
    assert counts(environment)[0] > 0
