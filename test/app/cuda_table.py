"""What NVRTC and ptxas make of a model's kernels on every architecture: registers, spills, shared memory, occupancy, and
how many of the instructions that a schedule is for are in the code. As a program: a table of a model's kernels.

    PLANISH_BIN=build/release/bin python test/app/cuda_table.py MODEL.onnx [--shape ...]
"""

import ctypes
import os
import re
import subprocess
import sys
from dataclasses import dataclass

ARCHITECTURES = ["sm_75", "sm_80", "sm_87", "sm_90"]
# Of a multiprocessor: threads, bytes of shared memory (CUDA C++ Programming Guide, compute capabilities).
MULTIPROCESSOR = {"sm_75": (1024, 64 << 10), "sm_80": (2048, 164 << 10), "sm_87": (1536, 164 << 10),
                  "sm_90": (2048, 228 << 10)}
REGISTERS = 65536
BLOCKS = {"sm_75": 16, "sm_80": 32, "sm_87": 16, "sm_90": 32}


@dataclass
class Kernel:
    name: str
    threads: int
    registers: int
    spilled: int  # bytes stored
    stack: int
    shared: int  # bytes of a block
    products: int  # mma instructions in the text of the code
    copies: int  # asynchronous copies of 16 bytes
    wide: int  # loads of 128 bits from global or shared memory
    occupancy: float  # of the threads that a multiprocessor holds


def library():
    """NVRTC, or None."""
    try:
        return ctypes.CDLL("libnvrtc.so")
    except OSError:
        return None


def compiled(source, architecture):
    """(PTX, log of ptxas)."""
    nvrtc, program = library(), ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None) == 0
    options = [f"--gpu-architecture={architecture}".encode(), b"--fmad=false", b"--std=c++17", b"--ptxas-options=-v"]
    status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))

    def text(name):
        size = ctypes.c_size_t()
        assert getattr(nvrtc, f"nvrtcGet{name}Size")(program, ctypes.byref(size)) == 0
        buffer = ctypes.create_string_buffer(size.value)
        assert getattr(nvrtc, f"nvrtcGet{name}")(program, buffer) == 0
        return buffer.value.decode()

    log = text("ProgramLog")
    assert status == 0, log
    result = text("PTX"), log
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return result


def kernels_of(source, architecture):
    ptx, log = compiled(source, architecture)
    bodies = {body.split("(")[0].strip(): body for body in ptx.split(".visible .entry ")[1:]}
    threads = {name: int(n) for n, name in re.findall(r"__launch_bounds__\((\d+)\) void (\w+)\(", source)}
    result = []
    for part in log.split("Compiling entry function '")[1:]:
        name = part.split("'")[0]
        number = lambda pattern: int((re.search(pattern, part) or [0, 0])[1])  # noqa: E731
        registers, shared = number(r"Used (\d+) registers"), number(r"(\d+) bytes smem")
        most, bytes_ = MULTIPROCESSOR[architecture]
        per_block = -(-registers // 8) * 8 * threads[name]
        blocks = min(most // threads[name], REGISTERS // per_block, BLOCKS[architecture],
                     bytes_ // (shared + 1024) if shared else most)
        body = bodies[name]
        result.append(Kernel(name, threads[name], registers, number(r"(\d+) bytes spill stores"),
                             number(r"(\d+) bytes stack frame"), shared, body.count("mma.sync"), body.count("cp.async.cg"),
                             len(re.findall(r"ld\.(?:global|shared)(?:\.nc)?\.v4\.[fu]32", body)),
                             blocks * threads[name] / most))
    return result


def main(model, *flags):
    tool = os.environ.get("PLANISH_BIN", "build/release/bin") + "/compile-model"
    print("| kernel | architecture | threads | registers | spilled | shared | mma | cp.async 16 | 128-bit loads | occupancy |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for architecture in ARCHITECTURES:
        source = subprocess.run([tool, model, "--target", f"cuda:{architecture}", "--emit", "cuda", *flags], check=True,
                                capture_output=True, text=True).stdout
        for k in kernels_of(source, architecture):
            print(f"| {k.name} | {architecture} | {k.threads} | {k.registers} | {k.spilled} | {k.shared} | {k.products} | "
                  f"{k.copies} | {k.wide} | {k.occupancy:.0%} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
