"""How near the inner loops on ARM come to what the core can issue, by llvm-mca's models: the same in every run."""

import re
import shutil
import subprocess

import onnx
import pytest
from test_instructions import convolutions

MCA = shutil.which("llvm-mca-19") or shutil.which("llvm-mca", path="/usr/lib/llvm-19/bin")
pytestmark = pytest.mark.skipif(not MCA, reason="llvm-mca 19 is not installed")

LABEL, BRANCH = re.compile(r"(\.L\w+):"), re.compile(r"\s+b\S*\s+(?:\S+, )*(\.L\w+)$")


def innermost_loops(assembly):
    """The instructions of every basic block that branches to its own beginning."""
    loops, block = [], []
    for line in assembly.splitlines():
        if label := LABEL.match(line):
            name, block = label[1], []
        elif re.match(r"\s+[a-z]", line):
            block.append(line)
            branch = BRANCH.match(line.rstrip())
            if branch and block and branch[1] == name:
                loops.append(block)
            if branch:
                name, block = None, []
        elif not line.startswith(("\t.", " ")):
            name, block = None, []
    return loops


def cycles(loop, cpu):
    """Of one turn."""
    turns = 100
    done = subprocess.run([MCA, "-mtriple=aarch64", f"-mcpu={cpu}", f"-iterations={turns}"], input="\n".join(loop), capture_output=True,
                          text=True, check=True)
    return int(re.search(r"Total Cycles:\s+(\d+)", done.stdout)[1]) / turns


# `each`: multiplications a cycle. LLVM lets a Cortex-A55 begin two of f32; the core itself has room for one of 16 bytes,
# and issues two instructions a cycle, of which most are multiplications: `least` of f32 is a part of those.
@pytest.mark.parametrize("cpu, quantized, multiply, each, least", [
    ("neoverse-n1", False, "fmla", 2, 0.95), ("neoverse-n1", True, "sdot", 2, 0.95),
    ("cortex-a55", False, "fmla", None, 0.75), ("cortex-a55", True, "sdot", 1, 0.70)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_inner_loops_wait_for_little(compile_model, tmp_path, kernel, cpu, quantized, multiply, each, least):
    onnx.save(convolutions(kernel, quantized), tmp_path / "net.onnx")
    assembly = compile_model(tmp_path / "net.onnx", "--emit=asm", "--strict", f"--target=cpu:{cpu}").stdout

    def multiplications(loop):
        return sum(line.split()[0] == multiply for line in loop)

    loop = max((loop for loop in innermost_loops(assembly) if multiplications(loop) >= 16),
               key=lambda loop: multiplications(loop) / len(loop))  # others requantize, too
    count, taken = multiplications(loop), cycles(loop, cpu)
    ideal = count / each if each else len(loop) / 2
    print(f"{cpu} {kernel}x{kernel} {multiply}: {count} of {len(loop)} instructions in {taken:.1f} cycles, {ideal / taken:.1%} of the limit")
    assert ideal >= least * taken
