"""Models on an OpenCL device (PoCL): compiled to a library, run through the system's OpenCL loader, compared."""

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy
import onnx
import pytest

import nets
from conftest import MODELS, SANITIZED, assert_close, build_c, onnx_runtime
from device_runs import SMALL, bounds_of, check_trained, feeds_of, run, save

CLASSES = ["opencl:cpu", "opencl:gpu"]
SLOW_PARTS = ["ultraface", "yolox", "nanodet", "fastestdet", "deimv2", "ppocrv2", "sinet", "plate", "yolov8", "mobilenet"]
HERE = Path(__file__).parent


def device_count():
    """OpenCL devices of this machine."""
    try:
        library = ctypes.CDLL("libOpenCL.so.1")
    except OSError:
        return 0
    platforms, found, total = (ctypes.c_void_p * 8)(), ctypes.c_uint32(), 0
    if library.clGetPlatformIDs(8, platforms, ctypes.byref(found)):
        return 0
    for platform in platforms[:found.value]:
        here = ctypes.c_uint32()
        if library.clGetDeviceIDs(ctypes.c_void_p(platform), ctypes.c_uint64(0xFFFFFFFF), 0, None, ctypes.byref(here)) == 0:
            total += here.value
    return total


needs_device = pytest.mark.skipif(device_count() == 0, reason="no OpenCL device: OpenCL libraries are not run")


@pytest.fixture(scope="session")
def counting(tmp_path_factory):
    """An OpenCL library that counts, and the folder of all caches."""
    folder = tmp_path_factory.mktemp("opencl")
    return build_c(HERE / "count_enqueues.c", folder / "libcounting.so", "-D_GNU_SOURCE", "-shared", "-fPIC"), folder


@pytest.fixture
def device_environment(counting, tmp_path):
    library, folder = counting
    return {**os.environ, "PLANISH_OPENCL_LIBRARY": str(library), "PLANISH_CACHE_DIR": str(folder / "cache"),
            "POCL_CACHE_DIR": str(folder / "pocl"), "PLANISH_TEST_COUNTS": str(tmp_path / "counts")}


def counts(environment):
    """(kernels run, programs made from source, from binaries) of the last process."""
    return tuple(map(int, Path(environment["PLANISH_TEST_COUNTS"]).read_text().split()))


@needs_device
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("target", CLASSES)
def test_small_nets_equal_onnx_runtime(compile_model, run_model, tmp_path, device_environment, name, target):
    model = SMALL[name]()
    path, feeds = save(model, tmp_path), feeds_of(model)
    compile_model(path, "--target", target, "-o", tmp_path / "net", *bounds_of(model))
    got, _ = run(run_model, tmp_path / "net", feeds, device_environment)
    assert_close(got, onnx_runtime(path)(feeds), f"{name} on {target}")
    assert counts(device_environment)[0] > 0


@needs_device
@pytest.mark.parametrize("target", CLASSES)
@pytest.mark.parametrize("make", [nets.quantized_net, nets.quantized_forms])
def test_quantized_nets_have_the_same_bytes_as_on_the_cpu(compile_model, run_model, tmp_path, device_environment, make, target):
    path = save(make(), tmp_path)
    compile_model(path, "-o", tmp_path / "cpu")
    compile_model(path, "--target", target, "-o", tmp_path / "device")
    want = run_model(tmp_path / "cpu", "--digest").stdout
    assert run_model(tmp_path / "device", "--digest", env=device_environment).stdout == want
    layers = run_model(tmp_path / "device", "--digest=layers", env=device_environment).stdout
    assert layers.startswith(want)


@needs_device
@pytest.mark.parametrize("target", CLASSES)
def test_every_launch_is_enqueued(compile_model, run_model, tmp_path, device_environment, target):
    path = save(nets.stem(), tmp_path)
    done = compile_model(path, "--target", target, "-o", tmp_path / "net", "--json")
    launches = int(re.search(r'"launches":\{[^}]*"count":(\d+)', done.stdout).group(1))
    run_model(tmp_path / "net", env=device_environment)
    assert counts(device_environment)[0] == launches > 0


@needs_device
def test_programs_are_built_once(compile_model, run_model, tmp_path, device_environment):
    path = save(nets.stem(), tmp_path)
    compile_model(path, "--target", "opencl:cpu", "-o", tmp_path / "net")
    environment = {**device_environment, "PLANISH_CACHE_DIR": str(tmp_path / "cache")}
    run_model(tmp_path / "net", env=environment)
    assert counts(environment)[1:] == (1, 0)
    run_model(tmp_path / "net", env=environment)
    assert counts(environment)[1:] == (0, 1)
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(file.read_bytes()[:40])
    run_model(tmp_path / "net", env=environment)
    assert counts(environment)[1] == 1


def test_without_opencl_there_is_one_line(compile_model, run_model, tmp_path):
    path = save(nets.stem(), tmp_path)
    compile_model(path, "--target", "opencl:gpu", "-o", tmp_path / "net")
    for variable, value in [("PLANISH_OPENCL_LIBRARY", "libNoOpenCL.so.1"), ("OCL_ICD_VENDORS", str(tmp_path / "none"))]:
        if variable == "OCL_ICD_VENDORS" and device_count() == 0:
            continue
        done = run_model(tmp_path / "net", expect=3, env={**os.environ, variable: value})
        assert done.stderr.splitlines()[-1].startswith("error: model 'net' needs an OpenCL device")
        assert done.stdout == ""


@needs_device
def test_devices_are_chosen_by_name(compile_model, run_model, tmp_path, device_environment):
    path = save(nets.stem(), tmp_path)
    compile_model(path, "--target", "opencl:cpu", "-o", tmp_path / "net")
    done = run_model(tmp_path / "net", expect=3, env={**device_environment, "PLANISH_OPENCL_DEVICE": "abacus"})
    assert "PLANISH_OPENCL_DEVICE is 'abacus', but the OpenCL devices are '" in done.stderr
    name = done.stderr.split("devices are '")[1].split(":")[0]
    run_model(tmp_path / "net", env={**device_environment, "PLANISH_OPENCL_DEVICE": name.upper()})


def test_the_source_is_the_same_twice_and_names_the_nodes(compile_model, tmp_path):
    path = save(nets.stem(), tmp_path)
    for target in CLASSES:
        text = compile_model(path, "--target", target, "--emit", "opencl").stdout
        assert text == compile_model(path, "--target", target, "--emit", "opencl").stdout
        compile_model(path, "--target", target, "-o", tmp_path / "net")
        assert (tmp_path / "net" / "net.cl").read_text() == text
        for node in onnx.load(path).graph.node:
            assert node.name == "" or node.name in text
        assert f"net for {target}, OpenCL C 1.2" in text


def test_a_cpu_library_asks_nothing_of_opencl(compile_model, tmp_path):
    if not shutil.which("nm"):
        pytest.skip("there is no nm")
    path = save(nets.stem(), tmp_path)
    compile_model(path, "-o", tmp_path / "cpu")
    compile_model(path, "--target", "opencl:gpu", "-o", tmp_path / "device")

    def needs(folder):
        lines = subprocess.run(["nm", "-D", "-u", folder / "libnet.so"], capture_output=True, text=True, check=True).stdout
        return {line.split()[-1].split("@")[0] for line in lines.splitlines()}

    assert {"dlopen", "getenv"} & needs(tmp_path / "cpu") == set()
    extra = needs(tmp_path / "device") - needs(tmp_path / "cpu")
    assert extra <= {"dlopen", "dlsym", "getenv", "mkdir", "open", "close", "read", "write", "rename", "unlink",
                     "strstr", "strlen", "memcpy", "memset", "memcmp", "memmove"}


@needs_device
@pytest.mark.skipif(SANITIZED, reason="run-model is instrumented, which oclgrind cannot run")
@pytest.mark.skipif(not shutil.which("oclgrind"), reason="no oclgrind: kernels are not checked for races and bounds")
@pytest.mark.parametrize("target", CLASSES)
@pytest.mark.parametrize("name", ["stem", "two_ended"])
def test_no_races_and_no_access_out_of_bounds(compile_model, tmp_path, name, target):
    path = save(SMALL[name](), tmp_path)
    compile_model(path, "--target", target, "-o", tmp_path / "net")
    library = Path(shutil.which("oclgrind")).parents[1] / "lib/oclgrind/liboclgrind-rt.so"
    done = subprocess.run(["oclgrind", "--data-races", os.environ["PLANISH_BIN"] + "/run-model", tmp_path / "net"],
                          capture_output=True, text=True, env={**os.environ, "PLANISH_CACHE_DIR": str(tmp_path / "cache"),
                                                               "PLANISH_OPENCL_LIBRARY": str(library)})
    assert done.returncode == 0, done.stderr
    assert not re.search(r"(?i)invalid|race|error", done.stderr), done.stderr


REAL = ["mnist_12", "pcb_cnn_fp32", "mtcnn_onet", "ultraface_rfb_320", "yolox_nano", "nanodet_m_416", "fastestdet_352",
        "deimv2_atto", "ppocrv2_en_rec", "sinet_portrait", "plate_rec", "nms_yolov8"]
QUANTIZED = ["pcb_cnn_int8qdq", "nanodet_m_416_int8", "mobilenet_v2_qdq_maui"]


@needs_device
@pytest.mark.slow
@pytest.mark.parametrize("target", CLASSES)
@pytest.mark.parametrize("name", REAL + QUANTIZED)
def test_trained_networks(compile_model, run_model, tmp_path, device_environment, name, target):
    check_trained(name, ["--target", target], name in QUANTIZED, (compile_model, run_model), tmp_path, device_environment)
    assert counts(device_environment)[0] > 0
