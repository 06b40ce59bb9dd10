"""What compile-model writes: library, header, manifest and report, linked into C and C++ programs."""

import hashlib
import json
import shutil
import subprocess
import sys

import nets
import numpy
import onnx
import pytest
from conftest import CC, ROOT, assert_close, build_c, onnx_runtime, real_model, sizes

# Of the C library and of threads, nothing else: what test_runtime_bitcode.py lists, and libm never.
LIBC = {"aligned_alloc", "clock_gettime", "free", "getauxval", "getpid", "madvise", "memcpy", "memset",
        "pthread_create", "pthread_join", "pthread_sigmask", "sched_getaffinity", "sched_yield", "syscall", "abort"}


def compiled(compile_model, net, folder, *flags):
    onnx.save(net, folder.with_suffix(".onnx"))
    compile_model(folder.with_suffix(".onnx"), "-o", folder, *flags)
    return folder


@pytest.mark.parametrize("compiler", [["cc", "-std=c11", "-x", "c"], ["c++", "-std=c++17", "-x", "c++"]], ids=["c", "c++"])
@pytest.mark.parametrize("name", ["plain", "a */ b /* c", 'quote " \\ back', "new\nline", "f\u00fcnf", "0", "%s"])
def test_headers_compile_whatever_values_are_called(compile_model, tmp_path, compiler, name):
    if not shutil.which(compiler[0]):
        pytest.skip(f"{compiler[0]} is missing")
    net = nets.model([("Relu", [name], f"{name} out", {})], {name: ["n", 3]}, [f"{name} out"])
    folder = compiled(compile_model, net, tmp_path / "net", f"--max-shape={name}=2x3")
    (tmp_path / "use").write_text('#include "net.h"\nconst planish_model *used(void) { return &net_model; }\n')
    subprocess.run([*compiler, "-Wall", "-Wextra", "-pedantic", "-Werror", "-I", ROOT / "runtime/include", "-I", folder, "-c",
                    tmp_path / "use", "-o", tmp_path / "use.o"], check=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["inputs"][0]["name"] == name and manifest["outputs"][0]["name"] == f"{name} out"


def test_values_keep_their_names_at_run_time(compile_model, tmp_path):
    planish = pytest.importorskip("planish")
    name = 'a */ "b" \\ c\u00fc\n'
    net = nets.model([("Relu", [name], "y", {})], {name: [1, 3]}, ["y"])
    model = planish.load(compiled(compile_model, net, tmp_path / "net"))
    assert [info.name for info in model.inputs] == [name]
    assert model({name: numpy.array([[-1, 0, 2]], numpy.float32)})["y"].tolist() == [[0, 0, 2]]


def test_report_lists_copies_and_what_stays_serial(compile_model, tmp_path):
    net = nets.model([("Transpose", ["x"], "turned", {"perm": [0, 3, 1, 2]}), ("Relu", ["x"], "r", {}),
                      ("ReduceMax", ["pair"], "largest", {"keepdims": 1}),
                      ("Resize", ["x", "", "scales"], "up", {"mode": "nearest"})],
                     {"x": [1, 3, 8, 9], "pair": [1, 2]}, ["turned", "r", "largest", "up"],
                     {"scales": numpy.array([1, 1, 2, 2], numpy.float32)})
    onnx.save(net, tmp_path / "net.onnx")
    done = compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out")
    report = json.loads((tmp_path / "out/report.json").read_text())
    launches = report["launches"]
    assert [(row["nodes"], row["bytes"]) for row in report["copies"]] == [(["node_turned"], 2 * 4 * 3 * 8 * 9)]
    assert [row["launch"] for row in report["serial"]] == [i for i, l in enumerate(launches) if l["template"] == "serial.any"]
    for row in report["copies"] + report["serial"]:
        assert row["kernel"] == launches[row["launch"]]["kernel"]
    assert f"launches 4, copies 1 (0.00 MB), serial {len(report['serial'])}" in done.stderr
    printed = json.loads(compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out", "--json").stdout)
    assert printed["launches"]["count"] == 4 and printed["serial"]["count"] == len(report["serial"])
    assert printed["copies"] == {"count": 1, "bytes": 2 * 4 * 3 * 8 * 9}


def test_manifest(compile_model, tmp_path):
    folder = compiled(compile_model, nets.backbone(), tmp_path / "net", "--lib", "both", "--max-shape", "x=2x3x16x16",
                      "--target", "cpu:x86-64-v3")
    manifest = json.loads((folder / "manifest.json").read_text())
    report = json.loads((folder / "report.json").read_text())

    def sha256(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()

    assert manifest["name"] == "net" and manifest["target"] == "cpu:x86-64-v3"
    assert manifest["model"] == {"file": "net.onnx", "sha256": sha256(tmp_path / "net.onnx")}
    assert set(manifest["compiler"]) == {"version", "llvm", "runtime"} and len(manifest["build"]) == 32
    assert manifest["inputs"] == [{"name": "x", "dtype": "f32", "shape": [
        {"symbol": "n", "min": 1, "max": 2}, 3, {"symbol": "h", "min": 1, "max": 16}, {"symbol": "w", "min": 1, "max": 16}]}]
    assert [output["name"] for output in manifest["outputs"]] == ["cat", "up"]
    assert {library["file"]: library["sha256"] for library in manifest["libraries"]} == {
        name: sha256(folder / name) for name in ("libnet.a", "libnet.so")}
    assert manifest["memory"]["weights"] > 4 * (8 * 27 + 72 + 64) and manifest["memory"]["arena"] > 0
    computed = {node for layer in manifest["layers"] for node in layer["nodes"]}
    assert computed == {f"node_{name}" for name in ("c", "r", "p", "d", "e", "res", "cat", "up")}
    assert len(report["launches"]) == len(manifest["layers"]) and all(launch["template"] for launch in report["launches"])
    assert report["flops"] == sum(launch["flops"] for launch in report["launches"]) > 0


def test_the_library_needs_the_c_library_alone(compile_model, tmp_path):
    readelf = shutil.which("readelf") or shutil.which("llvm-readelf-19")
    if not readelf:
        pytest.skip("there is no readelf")
    folder = compiled(compile_model, nets.stem(), tmp_path / "net")
    text = subprocess.run([readelf, "-dW", "--dyn-syms", folder / "libnet.so"], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in text.splitlines() if len(line.split()) >= 8 and line.split()[0].endswith(":")]
    asked = {row[7].split("@")[0] for row in rows if row[6] == "UND" and row[7]}
    given = {row[7] for row in rows if row[6].isdigit() and row[4] == "GLOBAL"}
    assert asked <= LIBC and given == {"planish_query"}
    assert "NEEDED" not in text and "RPATH" not in text and "TEXTREL" not in text


def test_the_archive_shares_names_with_no_other_model(compile_model, tmp_path):
    nm = shutil.which("nm") or shutil.which("llvm-nm-19")
    if not nm:
        pytest.skip("there is no nm")
    folder = compiled(compile_model, nets.stem(), tmp_path / "net", "--lib", "a")
    text = subprocess.run([nm, "-g", "--defined-only", folder / "libnet.a"], check=True, capture_output=True, text=True).stdout
    names = {line.split()[2] for line in text.splitlines() if len(line.split()) == 3}
    assert "net_model" in names
    assert {name for name in names if not name.startswith("net_") and not name.endswith("_v1")} == set()


@pytest.mark.parametrize("name", ["mnist_12", pytest.param("yolox_nano", marks=pytest.mark.slow),
                                  pytest.param("ultraface_rfb_320", marks=pytest.mark.slow)])
def test_code_and_runtime_are_small(compile_model, tmp_path, name):
    path, feeds, _, _ = real_model(name)
    done = compile_model(path, "-o", tmp_path / "out", "--json", *(f"--shape={k}={sizes(v)}" for k, v in feeds.items()))
    result = json.loads(done.stdout)
    seconds = sum(result["seconds"].values())
    print(f"{name}: {result['library'] - result['weights']} bytes of code and runtime, compiled in {seconds:.2f} s")
    assert result["library"] - result["weights"] < 2_000_000


def example(language, folder):
    """The command that runs a compiled model by the example in a language; the model follows."""
    if language == "python":
        pytest.importorskip("planish")
        return [sys.executable, ROOT / "examples/python/run.py"]
    compiler = {"c": [CC, "-std=c11", ROOT / "examples/c/run.c"], "cpp": ["c++", "-std=c++17", ROOT / "examples/cpp/run.cpp"]}[language]
    if not shutil.which(compiler[0]):
        pytest.skip(f"{compiler[0]} is missing")
    subprocess.run([*compiler, "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-I", ROOT / "runtime/include", "-ldl", "-o",
                    folder / "run"], check=True)
    return [folder / "run"]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("language", ["c", "cpp", "python"])
def test_examples(compile_model, tmp_path, language, threads):
    """The programs of examples run a compiled model."""
    folder = compiled(compile_model, nets.two_ended(), tmp_path / "net")
    command = [*example(language, tmp_path), folder if language == "python" else folder / "libnet.so"]
    pinned = ["taskset", "-c", ",".join(map(str, range(threads)))] * bool(shutil.which("taskset"))
    done = subprocess.run([*pinned, *command], check=True, capture_output=True, text=True)
    wrong = subprocess.run([*command[:-1], tmp_path / "none.so"], capture_output=True, text=True)
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: ") and "none.so" in wrong.stderr
    zeros = {"x": numpy.zeros((1, 8, 12, 12), numpy.float32), "side": numpy.zeros((1, 4, 12, 12), numpy.float32)}
    scores = onnx_runtime(tmp_path / "net.onnx")(zeros)["scores"].ravel()
    lines = done.stdout.splitlines()
    assert lines[0] == "map: 1x12x12x12 0 0 0 0" and lines[1].startswith("scores: 1x5 ")
    assert numpy.allclose([float(word) for word in lines[1].split()[2:]], scores[:4], rtol=1e-4, atol=1e-6)


pytestmark = pytest.mark.skipif(not CC, reason="there is no C compiler")
