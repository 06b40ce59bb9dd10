"""What the embedded runtime asks of the device's libc: nothing that is not listed here, for every machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

LIBC = {
    "aligned_alloc", "clock_gettime", "free", "getauxval", "getpid", "pthread_create", "pthread_join",
    "pthread_sigmask", "sched_getaffinity", "syscall",
}
# What a compiler may write instead of a loop.
IMPLIED = {"memcpy", "memset"}

NM = shutil.which("llvm-nm-19") or shutil.which("llvm-nm", path="/usr/lib/llvm-19/bin")
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
    assert {name for name in names if not name.endswith("_v1")} == set()
