"""cmake --install, and a project elsewhere that finds Planish and links a compiled model."""

import os
import shutil
import subprocess

import nets
import onnx
import pytest
from conftest import BIN, ROOT

pytestmark = pytest.mark.skipif(not shutil.which("cmake"), reason="there is no cmake")

PROJECT = """
cmake_minimum_required(VERSION 3.20)
project(consumer C CXX)
find_package(planish REQUIRED)
add_executable(linked main.c)
target_include_directories(linked PRIVATE ${MODEL})
target_link_libraries(linked PRIVATE planish::runtime ${MODEL}/libnet.a)
add_executable(opened main.cpp)
target_link_libraries(opened PRIVATE planish::runtime)
"""
LINKED = """
#include "net.h"
#include <stdio.h>
static float x[net_INPUT0_ELEMENTS];
int main(void) {
  planish_instance *net;
  planish_tensor out;
  if (planish_create(&net_model, NULL, &net) || planish_set_input(net, 0, x, NULL, 0) || planish_run(net) ||
      planish_get_output(net, 0, &out))
    return puts(planish_error()), 1;
  printf("%d %d\\n", (int)out.dims[1], net_OUTPUTS);
  planish_destroy(net);
  return 0;
}
"""
OPENED = """
#include <planish/runtime.h>
#include <cstdio>
int main(int, char **argv) {
  const planish_model *model;
  planish_info info;
  if (planish_open(argv[1], &model) || planish_model_info(model, &info)) return std::puts(planish_error()), 1;
  return std::puts(info.name) < 0;
}
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """Where this build was installed."""
    folder = tmp_path_factory.mktemp("install") / "prefix"
    done = subprocess.run(["cmake", "--install", BIN.parent, "--prefix", folder], capture_output=True, text=True)
    if "cannot find" in done.stderr:
        pytest.skip("this build is not complete")
    assert done.returncode == 0, done.stderr
    return folder


ADDED = """
cmake_minimum_required(VERSION 3.20)
project(consumer C)
find_package(planish REQUIRED)
planish_add_model(net net.onnx OPTIONS --strict)
add_executable(linked main.c)
target_link_libraries(linked PRIVATE net)
"""


@pytest.mark.parametrize("toolchain, emulator", [
    ([], []),
    (["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64", "-DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc"],
     ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"])])
def test_a_project_adds_a_model(prefix, tmp_path, toolchain, emulator):
    if not all(shutil.which(program) for program in [*(flag.split("=")[1] for flag in toolchain[2:]), *emulator[:1]]):
        pytest.skip("the cross compiler or the emulator is missing")
    onnx.save(nets.stem(), tmp_path / "net.onnx")
    (tmp_path / "CMakeLists.txt").write_text(ADDED)
    (tmp_path / "main.c").write_text(LINKED)
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-Dplanish_DIR={prefix}/lib/cmake/planish", *toolchain], **quiet)
    subprocess.run(["cmake", "--build", tmp_path / "b"], **quiet)
    linked = subprocess.run([*emulator, tmp_path / "b/linked"], capture_output=True, text=True)
    assert (linked.returncode, linked.stdout) == (0, "8 1\n"), linked.stderr


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("cpack") or not shutil.which("dpkg-deb"), reason="there is no cpack or dpkg-deb")
def test_debian_packages(tmp_path):
    subprocess.run(["cpack", "--config", BIN.parent / "CPackConfig.cmake", "-B", tmp_path], check=True, stdout=subprocess.DEVNULL)
    listed = {}
    for package in tmp_path.glob("*.deb"):
        name = subprocess.run(["dpkg-deb", "-f", package, "Package"], check=True, capture_output=True, text=True).stdout.strip()
        listed[name] = subprocess.run(["dpkg-deb", "-c", package], check=True, capture_output=True, text=True).stdout
    assert set(listed) == {"planish", "planish-dev"}
    assert "/usr/bin/compile-model" in listed["planish"] and "planish/runtime.h" in listed["planish-dev"]
    assert "PlanishAddModel.cmake" in listed["planish-dev"] and "/usr/bin" not in listed["planish-dev"]


def test_what_is_installed(prefix):
    tools = sorted(path.name for path in (prefix / "bin").iterdir())
    assert {"compile-model", "planish-opt", "run-model"} <= set(tools)
    headers = sorted(str(path.relative_to(prefix / "include")) for path in (prefix / "include").rglob("*.h"))
    assert headers == ["planish/abi.h", "planish/fpga.h", "planish/runtime.h"]
    for path in prefix.rglob("*.cmake"):
        assert str(ROOT) not in path.read_text(), f"{path.name} names the source tree"


def test_a_project_links_and_opens_a_compiled_model(prefix, tmp_path):
    onnx.save(nets.stem(), tmp_path / "net.onnx")
    environment = {**os.environ, "PATH": "/usr/bin:/bin"}
    model = tmp_path / "model"
    subprocess.run([prefix / "bin/compile-model", tmp_path / "net.onnx", "-o", model, "--lib=both"], check=True, env=environment)
    (tmp_path / "CMakeLists.txt").write_text(PROJECT)
    (tmp_path / "main.c").write_text(LINKED)
    (tmp_path / "main.cpp").write_text(OPENED)
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "env": environment}
    subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={prefix}", f"-DMODEL={model}"], **quiet)
    subprocess.run(["cmake", "--build", tmp_path / "b"], **quiet)
    linked = subprocess.run([tmp_path / "b/linked"], capture_output=True, text=True)
    assert (linked.returncode, linked.stdout) == (0, "8 1\n")
    opened = subprocess.run([tmp_path / "b/opened", model / "libnet.so"], capture_output=True, text=True)
    assert (opened.returncode, opened.stdout) == (0, "net\n")
