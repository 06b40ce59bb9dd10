"""Nothing is allocated after planish_create, whatever the number of threads, and whatever sizes change."""

import os
import platform
import subprocess

import nets
import onnx
import pytest
from conftest import CC, ROOT, build_c, real_model, sizes, tool

pytestmark = pytest.mark.skipif(
    not CC or platform.libc_ver()[0] != "glibc", reason="counting needs a C compiler and glibc")


@pytest.fixture(scope="module")
def count(tmp_path_factory):
    """A function from a library and a number of threads to the allocations of (planish_create, runs)."""
    folder = tmp_path_factory.mktemp("count")
    counter = folder / "counter.so"
    subprocess.run([CC, "-O1", "-shared", "-fPIC", ROOT / "test/support/allocations.c", "-o", counter], check=True)
    program = build_c(ROOT / "test/support/count_allocations.c", folder / "count", "-ldl")

    def run(library, threads):
        done = subprocess.run([program, library, str(threads)], capture_output=True, text=True,
                              env={**os.environ, "LD_PRELOAD": str(counter)})
        assert done.returncode == 0, done.stderr
        return tuple(map(int, done.stdout.split()))

    return run


def check(count, library):
    for threads in (1, 2):
        in_create, in_runs = count(library, threads)
        assert in_create > 0, "the counter counts nothing"
        assert in_runs == 0, f"{in_runs} allocations in five runs with {threads} threads"


@pytest.mark.parametrize("net, flags", [(lambda: nets.two_ended((1, 8, 96, 96)), []),
                                        (nets.backbone, ["--max-shape", "x=2x3x160x160"])], ids=["fixed", "free"])
def test_small_nets(count, tmp_path, net, flags):
    onnx.save(net(), tmp_path / "net.onnx")
    tool("compile-model")(tmp_path / "net.onnx", "-o", tmp_path / "out", *flags)
    check(count, tmp_path / "out" / "libnet.so")


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("golden", [[], ["--golden"]], ids=["plain", "self-test"])
def test_every_refusal_is_an_error_and_leaves_nothing(tmp_path, threads, golden):
    """A system that grants n requests for memory and threads and no more: each call says so, nothing crashes or leaks."""
    onnx.save(nets.quantized_net(), tmp_path / "net.onnx")
    tool("compile-model")(tmp_path / "net.onnx", "-o", tmp_path / "out", *golden)
    subprocess.run([CC, "-O1", "-shared", "-fPIC", ROOT / "test/support/refusals.c", "-ldl", "-o", tmp_path / "refusals.so"], check=True)
    program = build_c(ROOT / "test/support/run_refused.c", tmp_path / "run_refused", "-ldl", "-lpthread")
    done = subprocess.run([program, tmp_path / "out/libnet.so", str(threads)], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "LD_PRELOAD": str(tmp_path / "refusals.so")})
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
    *failures, (_, last, _) = lines
    assert last == "0" and len(failures) == (1 + threads - 1) * (2 if golden else 1) + len(golden)
    for _, status, text in failures:
        assert status == "4" and ("no memory for" in text or "the system refuses 3 threads" in text), text


@pytest.mark.parametrize("name", ["mnist_12", pytest.param("ultraface_rfb_320", marks=pytest.mark.slow)])
def test_trained_nets(count, tmp_path, name):
    path, feeds, _, _ = real_model(name)
    tool("compile-model")(path, "-o", tmp_path / "out", *(f"--shape={k}={sizes(v)}" for k, v in feeds.items()))
    check(count, tmp_path / "out" / f"lib{name}.so")
