"""What the embedded runtime asks of the device's libc: nothing that is not listed here, for every machine."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

LIBC = {
    "aligned_alloc", "clock_gettime", "free", "getauxval", "getpid", "madvise", "pthread_create",
    "pthread_join", "pthread_sigmask", "sched_getaffinity", "syscall",
}
# What a compiler may write instead of a loop.
IMPLIED = {"memcpy", "memset", "__aeabi_memcpy", "__aeabi_memclr", "__aeabi_memclr4", "__aeabi_memclr8"}

LLVM = os.pathsep.join(["/usr/lib/llvm-19/bin", os.environ["PATH"]])
NM = shutil.which("llvm-nm", path=LLVM)
CLANG = shutil.which("clang", path=LLVM)
FOLDER = Path(os.environ["PLANISH_BIN"]).parent / "runtime"


def symbols(machine, *flags):
    module = FOLDER / f"runtime-{machine}.bc"
    if not NM or not module.exists():
        pytest.skip("llvm-nm 19 or the runtime's bitcode is missing")
    text = subprocess.run([NM, "--format=just-symbols", *flags, module], check=True, capture_output=True, text=True)
    return set(text.stdout.split())


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "armv7"])
def test_asks_for_nothing_but_the_listed_functions(machine):
    asked = symbols(machine, "--undefined-only")
    assert LIBC <= asked
    assert asked - LIBC - IMPLIED == set()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "armv7"])
def test_every_shared_name_carries_the_version(machine):
    names = symbols(machine, "--defined-only", "--extern-only")
    assert {"planish_launch_v1", "planish_api_v1"} <= names
    helpers = {name for name in names if name.startswith("__aeabi_")}  # what code for 32 bits calls, by the names of its ABI
    assert machine.startswith("armv7") or not helpers
    assert {name for name in names - helpers if not name.endswith("_v1")} == set()


@pytest.mark.parametrize("machine", ["x86_64-bare", "aarch64-bare", "armv7-bare"])
def test_without_an_operating_system_nothing_is_asked_for(machine):
    assert symbols(machine, "--undefined-only") - IMPLIED == set()
    assert {"planish_launch_v1", "planish_api_v1"} <= symbols(machine, "--defined-only", "--extern-only")


# Bytes of code and data of the runtime in a model, kernels and weights apart.
LARGEST = {"aarch64": ("aarch64-unknown-linux-gnu", 100_000), "armv7": ("armv7-unknown-linux-gnueabihf", 100_000),
           "aarch64-bare": ("aarch64-unknown-none-elf", 40_000), "armv7-bare": ("armv7-unknown-none-eabihf", 40_000)}


@pytest.mark.parametrize("machine", LARGEST)
def test_is_small(machine, tmp_path):
    triple, largest = LARGEST[machine]
    size, module = shutil.which("llvm-size", path=LLVM), FOLDER / f"runtime-{machine}.bc"
    if not CLANG or not size or not module.exists():
        pytest.skip("clang 19, llvm-size or the runtime's bitcode is missing")
    subprocess.run([CLANG, f"--target={triple}", "-O2", "-fPIC", "-c", module, "-o", tmp_path / "runtime.o"], check=True)
    line = subprocess.run([size, tmp_path / "runtime.o"], check=True, capture_output=True, text=True).stdout.splitlines()[1]
    text, data, bss = map(int, line.split()[:3])
    print(f"{machine}: text {text}, data {data}, bss {bss}")
    assert text + data + bss < largest
    documented = re.search(rf"^\| {machine} \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", (ROOT / "docs/deploying.md").read_text(), re.M)
    assert [float(cell) for cell in documented.groups()] == pytest.approx([text / 1e3, data / 1e3, bss / 1e3], abs=0.5)


MACHINES = {
    "x86_64": ("x86_64-unknown-linux-gnu", [], "cc", [] if platform.machine() == "x86_64" else ["qemu-x86_64"]),
    "aarch64": ("aarch64-unknown-linux-gnu", ["-mno-outline-atomics"], "aarch64-linux-gnu-gcc",
                ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_makes_a_library_without_headers_or_libraries_of_the_target(machine, tmp_path):
    """As compile-model does: model and runtime are linked with nothing else, and a C program runs the result."""
    triple, flags, cc, emulator = MACHINES[machine]
    tools = [shutil.which(cc), *(shutil.which(tool) for tool in emulator[:1])]
    if not CLANG or None in tools or not shutil.which("ld.lld", path=LLVM):
        pytest.skip("clang 19, lld 19, the cross compiler or the emulator is missing")
    module = FOLDER / f"runtime-{machine}.bc"
    objects = [tmp_path / "model.o", tmp_path / "runtime.o"]
    common = [CLANG, f"--target={triple}", *flags, "-O2", "-fPIC", "-c"]
    subprocess.run([*common, "-std=c11", "-ffreestanding", "-nostdlibinc", "-fvisibility=hidden", "-I",
                    ROOT / "runtime/include", ROOT / "test/support/handmade.c", "-o", objects[0]], check=True)
    subprocess.run([*common, module, "-o", objects[1]], check=True)
    library = tmp_path / "libhandmade.so"
    subprocess.run([shutil.which("ld.lld", path=LLVM), "-shared", *objects, "-o", library], check=True)
    assert library.stat().st_size < 50_000
    exported = subprocess.run([NM, "--dynamic", "--defined-only", "--format=just-symbols", library], check=True,
                              capture_output=True, text=True)
    assert exported.stdout.split() == ["planish_query"]
    subprocess.run([cc, "-std=c11", "-I", ROOT / "runtime/include", ROOT / "examples/c/run.c", "-ldl", "-o",
                    tmp_path / "run"], check=True)
    done = subprocess.run([*emulator, tmp_path / "run", library], check=True, capture_output=True, text=True)
    assert done.stdout == "scaled: 1x3x4x5 0 0 0 0\nsize:\n"


TWO_MODELS = """
#include "planish/runtime.h"
#include <stdio.h>
extern const planish_model first_model, second_model;
int main(void) {
  planish_instance *net;
  if (first_model.api != second_model.api) return 2; /* one copy of the runtime, so one pool of threads */
  if (planish_create(&first_model, NULL, &net)) return 3;
  planish_destroy(net);
  if (planish_run(NULL) != PLANISH_INVALID_ARGUMENT) return 4;
  return puts(planish_error()) < 0;
}
"""


def test_several_static_models_link_into_one_program(tmp_path):
    """Each brings a copy of the runtime; the program keeps one."""
    if not CLANG:
        pytest.skip("clang 19 is missing")
    runtime = FOLDER / "runtime-x86_64.bc"
    archives = []
    for name in ("first", "second"):
        subprocess.run([CLANG, "-O2", "-fPIC", "-c", runtime, "-Wno-override-module", "-o", tmp_path / "runtime.o"],
                       check=True)
        subprocess.run([CLANG, "-std=c11", "-O2", "-fPIC", "-c", f"-DHANDMADE_STATIC={name}_model", "-I",
                        ROOT / "runtime/include", ROOT / "test/support/handmade.c", "-o", tmp_path / "model.o"],
                       check=True)
        archives.append(tmp_path / f"lib{name}.a")
        subprocess.run([shutil.which("llvm-ar", path=LLVM), "rcs", archives[-1], tmp_path / "model.o",
                        tmp_path / "runtime.o"], check=True)
    (tmp_path / "main.c").write_text(TWO_MODELS)
    subprocess.run(["cc", "-std=c11", "-I", ROOT / "runtime/include", tmp_path / "main.c", *archives, "-pthread", "-o",
                    tmp_path / "main"], check=True)
    done = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True)
    assert done.stdout == "planish_run: instance must not be null\n"
