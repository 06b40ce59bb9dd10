"""The pages of docs/: examples run as they stand, quoted code is the code, links lead somewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nets
import numpy
import onnx
import pytest
import quantizing
from conftest import SANITIZED

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ["PLANISH_BIN"])
PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
TOOLS = ("compile-model", "run-model", "planish-opt", "planish-peak")

missing_tools = pytest.mark.skipif(not all((BIN / tool).exists() for tool in TOOLS), reason="a tool is not built")


def text_of(page):
    return (ROOT / "docs" / page).read_text()


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.S | re.M)


@pytest.fixture
def folder(tmp_path):
    """The files that pages speak of, and what examples may read of the project."""
    for name in ("examples", "runtime", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)

    def net(shape):
        return nets.model([("Conv", ["image", "w", "b"], "features", {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
                           ("Sigmoid", ["features"], "gate", {}), ("Mul", ["features", "gate"], "activated", {}),
                           ("GlobalAveragePool", ["activated"], "pool", {}), ("Identity", ["pool"], "scores", {})],
                          {"image": shape}, ["scores"],
                          {"w": nets.weights(1, 8, 3, 3, 3), "b": numpy.zeros(8, numpy.float32)})

    onnx.save(net(["N", 3, 16, 16]), tmp_path / "net.onnx")
    onnx.save(net([1, 3, "H", "W"]), tmp_path / "free.onnx")
    onnx.save(nets.quantized_conv([1, 3, 16, 16]), tmp_path / "net_qdq.onnx")
    floats = nets.two_convolutions()
    samples = numpy.random.default_rng(2).random((4, 3, 16, 16), numpy.float32)
    ranges = quantizing.ranges_of(quantizing.runner(quantizing.with_all_outputs(floats)), [{"x": x[None]} for x in samples])
    coded = {name: ranges[name] for name in ("x", "r1", "y")}
    onnx.save(floats, tmp_path / "net_float.onnx")
    onnx.save(quantizing.quantized(floats, coded, scales={"r1": 1 / 32}), tmp_path / "net_broken.onnx")
    numpy.savez(tmp_path / "samples.npz", x=samples)
    run = quantizing.runner(floats)
    numpy.save(tmp_path / "labels.npy", [run({"x": x[None]})["y"].argmax() for x in samples])
    for name, text in re.findall(r"^\$ cat (\w+\.py)\n(.*?)(?=^\$ |^```)", text_of("quantization.md"), re.S | re.M):
        (tmp_path / name).write_text(text)
    (tmp_path / "conv.txt").write_text(blocks("quantization.md", "graph")[0])
    images = numpy.random.default_rng(1).random((2, 1, 3, 16, 16), numpy.float32)
    numpy.save(tmp_path / "image.npy", images[0])
    numpy.save(tmp_path / "other.npy", images[1])
    numpy.savez(tmp_path / "inputs.npz", image=images[0])
    (tmp_path / "db.jsonl").touch()
    return tmp_path


def examples(block):
    """(command, expected lines, exit status) of a console block."""
    for chunk in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, *expected = chunk.splitlines()
        status = 0
        if expected and (found := re.fullmatch(r"\[exit (\d+)\]", expected[-1])):
            status = int(found[1])
            expected.pop()
        yield command, expected, status


def matches(expected, got):
    """Whether the lines are those expected; `...` stands for any text in a line, alone for any lines."""
    pattern = ""
    for line in expected:
        pattern += r"(?:.*\n)*?" if line == "..." else r".*".join(map(re.escape, line.split("..."))) + r"\n"
    return re.fullmatch(pattern, got) is not None


# What the examples of a page need beyond the build.
NEEDS = {"deploying.md": ("aarch64-linux-gnu-gcc", "arm-linux-gnueabihf-gcc", "qemu-aarch64", "qemu-arm", "qemu-system-aarch64")}


@missing_tools
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")])
def test_examples_run(page, folder):
    for program in NEEDS.get(page, ()):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
        if SANITIZED and program.startswith("qemu"):
            pytest.skip("the sanitizer's libraries are not those of the emulated machine")
    path = os.pathsep.join([str(BIN.resolve()), str(Path(sys.executable).parent), os.environ["PATH"]])
    for block in blocks(page, "console"):
        for command, expected, status in examples(block):
            done = subprocess.run(command, shell=True, cwd=folder, env={**os.environ, "PATH": path}, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
            said = f"{page}: $ {command}\n{done.stdout[-3000:]}"
            assert done.returncode == status, f"exit {done.returncode}, expected {status}\n{said}"
            assert matches(expected, done.stdout), f"expected\n" + "\n".join(expected) + f"\n{said}"


@missing_tools
@pytest.mark.parametrize("tool", TOOLS)
def test_every_flag_has_an_example(tool):
    usage = subprocess.run([BIN / tool, "--help"], capture_output=True, text=True, check=True).stdout
    flags = set(re.findall(r"^ +(?:-\w,)?(--[a-z-]+)", usage, re.M))
    shown = {flag for block in blocks("cli.md", "console") for command, _, _ in examples(block)
             if command.startswith(tool) for flag in re.findall(r"--[a-z-]+", command)}
    assert len(flags) > 4 and flags <= shown, flags - shown


@missing_tools
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", ["graph", "loop"])
def test_texts_read_back(page, language):
    for block in blocks(page, language):
        done = subprocess.run([BIN / "planish-opt", "-"], input=block, capture_output=True, text=True)
        assert done.returncode == 0, f"{page}: {done.stderr}\n{block}"
        assert done.stdout == block, f"{page}: prints otherwise\n{done.stdout}"


@pytest.mark.parametrize("page", PAGES)
def test_quoted_code_is_the_code(page):
    """A block after `<!-- from FILE -->` stands in that file, line by line; `...` leaves lines out."""
    for name, block in re.findall(r"<!-- from (\S+) -->\n *```\w+\n(.*?)^ *```", text_of(page), re.S | re.M):
        source = [line.strip() for line in (ROOT / name).read_text().splitlines()]
        for part in re.split(r"^\s*\.\.\.\n", block, flags=re.M):
            lines = [line.strip() for line in part.splitlines() if line.strip()]
            starts = range(len(source) - len(lines) + 1)
            assert any(source[at:at + len(lines)] == lines for at in starts), f"{page}: not in {name}:\n{part}"


@pytest.mark.parametrize("page", PAGES)
def test_links_and_files_exist(page):
    prose = re.sub(r"^ *```.*?^ *```", "", text_of(page), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)#:]+)", prose):
        assert (ROOT / "docs" / target).exists(), target
    for target in re.findall(r"`((?:lib|docs|test|runtime|tools|examples|include|cmake)/[\w./-]+)`", text_of(page)):
        assert (ROOT / target).exists(), target
