"""compile-model: options, messages, exit codes, and what it leaves on disk."""

import json
import os
import re
import subprocess

import nets
import onnx
import pytest
from conftest import BIN

MADE = ["libnet.so", "manifest.json", "net.h", "report.json"]


@pytest.fixture
def net(tmp_path):
    onnx.save(nets.stem(), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_help_is_one_page_and_lists_every_flag(compile_model):
    page = compile_model("--help").stdout
    assert page.count("\n") <= 50 and all(len(line) <= 110 for line in page.splitlines())
    for flag in ("--output", "--target", "--shape", "--max-shape", "--name", "--lib a|both|so", "--emit", "--print-after",
                 "--stop-after", "--dump-dir", "--tuning", "--json", "--list-targets", "--list-passes", "--version"):
        assert flag in page, flag


def test_version_is_one_line(compile_model):
    assert re.fullmatch(r"compile-model \d+\.\d+\.\d+\n", compile_model("--version").stdout)


def test_lists(compile_model):
    targets = [line.split()[0] for line in compile_model("--list-targets").stdout.splitlines()]
    assert {"cpu", "cpu:x86-64-v2", "cpu:x86-64-v3", "cpu:x86-64-v4", "cpu:znver5", "opencl", "cuda:sm_80"} <= set(targets)
    passes = [line.split()[0] for line in compile_model("--list-passes").stdout.splitlines()]
    assert passes[0] == "quantize" and passes[-1] == "fuse"


@pytest.mark.parametrize("flags", [["--target=cpu", "--shape=x=1x3x11x13"], ["--target", "cpu", "--shape", "x=1x3x11x13"]])
def test_both_spellings_of_options(compile_model, net, tmp_path, flags):
    done = compile_model(net, "-o", tmp_path / "out", *flags)
    assert names(tmp_path / "out") == MADE
    assert done.stdout == "" and "net for cpu:" in done.stderr


def test_json(compile_model, net, tmp_path):
    done = compile_model(net, f"--output={tmp_path}/out", "--json")
    result = json.loads(done.stdout)
    assert result["directory"] == f"{tmp_path}/out" and result["name"] == "net" and result["notes"] == []
    assert result["library"] == (tmp_path / "out" / "libnet.so").stat().st_size
    assert {"import", "passes", "lower", "code", "write"} == set(result["seconds"])
    assert "graph @main" in json.loads(compile_model(net, "--emit=graph", "--json").stdout)["text"]


@pytest.mark.parametrize("kind, libraries", [("so", ["libnet.so"]), ("a", ["libnet.a"]), ("both", ["libnet.a", "libnet.so"])])
def test_kinds_of_libraries(compile_model, net, tmp_path, kind, libraries):
    compile_model(net, "-o", tmp_path / "out", "--lib", kind)
    assert names(tmp_path / "out") == [*libraries, *MADE[1:]]
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert sorted(library["file"] for library in manifest["libraries"]) == libraries


def test_names(compile_model, tmp_path):
    onnx.save(nets.stem(), tmp_path / "8-bit net.v2.onnx")
    compile_model(tmp_path / "8-bit net.v2.onnx", "-o", tmp_path / "out")
    assert "libm_8_bit_net_v2.so" in names(tmp_path / "out")
    compile_model(tmp_path / "8-bit net.v2.onnx", "-o", tmp_path / "other", "--name", "mine")
    assert "libmine.so" in names(tmp_path / "other") and "mine.h" in names(tmp_path / "other")
    onnx.save(nets.stem(), tmp_path / "planish.onnx")  # planish_model is a type
    compile_model(tmp_path / "planish.onnx", "-o", tmp_path / "third")
    assert "libm_planish.so" in names(tmp_path / "third")


def test_a_free_batch_is_one_and_said_so(compile_model, tmp_path):
    onnx.save(nets.flat(), tmp_path / "net.onnx")
    done = compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out")
    assert "batch (dimension 0) of input 'x' taken as 1" in done.stderr
    assert json.loads((tmp_path / "out/manifest.json").read_text())["inputs"][0]["shape"] == [1, 4, 5, 5]


def test_free_sizes_end_with_the_line_to_paste(compile_model, tmp_path):
    onnx.save(nets.backbone(), tmp_path / "net.onnx")
    done = compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out", expect=2)
    line = re.search(r"--shape x=\d+x3x\d+x\d+", done.stderr)
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out", *line.group().split())


def test_print_after_and_stop_after(compile_model, net, tmp_path):
    last = compile_model(net, "--emit=graph").stdout
    assert compile_model(net, "--stop-after=fuse").stdout == last
    assert compile_model(net, "--stop-after=fuse", "-o", tmp_path / "out").stdout == last
    assert not (tmp_path / "out").exists()
    first = compile_model(net, "--stop-after=fold-constants").stdout
    assert "fused" in last and "fused" not in first
    assert compile_model(net, "--print-after=fold-constants", "-o", tmp_path / "out").stdout == first
    assert names(tmp_path / "out") == MADE


def test_dump_dir(compile_model, net, tmp_path):
    (tmp_path / "dumps").mkdir()
    compile_model(net, "-o", tmp_path / "out", "--dump-dir", tmp_path / "dumps")
    passes = [line.split()[0] for line in compile_model("--list-passes").stdout.splitlines()]
    texts = [f"{i + 1:02}-{name}.txt" for i, name in enumerate(passes)]
    assert [name for name in names(tmp_path / "dumps") if name.endswith(".txt")] == texts
    assert (tmp_path / "dumps" / texts[-1]).read_text() == compile_model(net, "--emit=graph").stdout
    compile_model(net, "-o", tmp_path / "out", "--dump-dir", tmp_path / "none", expect=2)


def unsupported():
    return nets.model([("Relu", ["x"], "r", {}), ("Frobnicate", ["r"], "f", {}), ("Transmogrify", ["f"], "y", {})],
                      {"x": [1, 3]}, ["y"])


@pytest.mark.parametrize("arguments, code, message", [
    ([], 2, "give an ONNX file"),
    (["NET"], 2, "give a directory to write with -o"),
    (["NET", "-o", "out", "--frobnicate"], 2, "--frobnicate"),
    (["NET", "-o", "out", "--lib", "dll"], 2, "--lib"),
    (["NET", "--emit", "fortran"], 2, "--emit"),
    (["NET", "-o", "out", "--target", "cpu:z80"], 2, "'cpu:z80' names an unknown cpu; known are cpu"),
    (["NET", "-o", "out", "--target", "cpu:x86-64-v3+warp"], 2, "unknown feature '+warp'; known are sse3"),
    (["NET", "-o", "out", "--target", "gpu"], 2, "target 'gpu' is unknown; known are cpu"),
    (["NET", "-o", "out", "--target", ""], 2, "target '' is unknown"),
    (["NET", "-o", "out", "--name", "a-b"], 2, "--name 'a-b' is no C identifier"),
    (["NET", "-o", "out", "--name", "planish"], 2, "--name 'planish'"),
    (["NET", "-o", "out", "--shape", "x"], 2, "--shape 'x': expected NAME=1x3x640x640"),
    (["NET", "-o", "out", "--shape", "x=1x3x"], 2, "expected NAME=1x3x640x640"),
    (["NET", "-o", "out", "--shape", "x=1x3x11x99999999999999999999"], 2, "expected NAME=1x3x640x640"),
    (["NET", "-o", "out", "--shape", "x=1x3x12x13"], 2, "the model fixes dimension 2 to 11"),
    (["NET", "-o", "out", "--shape", "x=1x3x11"], 2, "has 3 dimensions, expected 4"),
    (["NET", "-o", "out", "--shape", "z=1x3x11x13"], 2, "--shape names 'z', but the inputs are 'x'"),
    (["NET", "-o", "out", "--shape", "x=1x3x11x13", "--shape", "x=1x3x11x13"], 2, "--shape is given twice for 'x'"),
    (["NET", "-o", "out", "--stop-after", "none"], 2, "there is no pass 'none'; --list-passes lists them"),
    (["NET", "-o", "out", "--print-after", "none"], 2, "there is no pass 'none'"),
    (["NET", "-o", "NET"], 2, "exists and is not a directory"),
    (["NET", "-o", "NET/out"], 1, "net.onnx"),
    (["NET", "-o", "/proc/none/out"], 1, "/proc/none"),
    (["UNSUPPORTED", "-o", "out"], 3, "Frobnicate"),
    (["UNSUPPORTED", "-o", "out"], 3, "Transmogrify"),
    (["NET", "-o", "out", "--target", "opencl:gpu", "--host", "opencl:cpu"], 2, "opencl:cpu"),
    (["none.onnx", "-o", "out"], 4, "none.onnx"),
    (["TEXT", "-o", "out"], 4, "text.onnx"),
    (["EMPTY", "-o", "out"], 4, "empty.onnx"),
    (["FOLDER", "-o", "out"], 4, "folder.onnx"),
])
def test_mistakes_get_one_message_their_code_and_no_directory(compile_model, net, tmp_path, arguments, code, message):
    onnx.save(unsupported(), tmp_path / "unsupported.onnx")
    (tmp_path / "text.onnx").write_text("This is no model.\n" * 10)
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "scratch").mkdir()
    before = names(tmp_path)
    files = {"NET": net, **{n.upper(): tmp_path / f"{n}.onnx" for n in ("unsupported", "text", "empty", "folder")}}
    words = [str(files[word]) if word in files else word.replace("NET/", f"{net}/") for word in arguments]
    done = compile_model(*words, expect=code, cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path / "scratch")})
    assert message in done.stderr, done.stderr
    assert done.stderr.startswith("compile-model: ") and done.stderr.count("\ncompile-model: ") == 0
    assert done.stdout == ""
    assert names(tmp_path) == before and names(tmp_path / "scratch") == []


def test_all_unsupported_operators_are_listed_at_once(compile_model, tmp_path):
    onnx.save(unsupported(), tmp_path / "net.onnx")
    error = compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out", expect=3).stderr
    for word in ("Frobnicate", "node_f", "Transmogrify", "node_y"):
        assert word in error


def test_folders_are_made_and_unmade(compile_model, net, tmp_path):
    compile_model(net, "-o", "a/b/c/", cwd=tmp_path)
    assert names(tmp_path / "a/b") == ["c"] and names(tmp_path / "a/b/c") == MADE
    assert (tmp_path / "a/b/c").stat().st_mode & 0o777 == 0o755
    compile_model(net, "-o", ".", cwd=tmp_path / "a")
    assert names(tmp_path / "a") == sorted([*MADE, "b"])


def test_no_space_leaves_nothing(net, tmp_path):
    """Files larger than the limit cannot be written: in the linker's folder, then in the output's."""
    for blocks in (1, 20):
        done = subprocess.run(["sh", "-c", f'trap "" XFSZ; ulimit -f {blocks}; exec "$0" "$@"', BIN / "compile-model", net, "-o",
                               tmp_path / "x/out"], capture_output=True, text=True, cwd=tmp_path,
                              env={**os.environ, "TMPDIR": str(tmp_path)})
        assert done.returncode == 1 and done.stderr.startswith("compile-model: "), (done.returncode, done.stderr)
        assert names(tmp_path) == ["net.onnx"]


@pytest.mark.parametrize("folder", ["", "none", "net.onnx"])
def test_temporary_folder_that_is_none(compile_model, net, tmp_path, folder):
    done = compile_model(net, "-o", tmp_path / "out", env={**os.environ, "TMPDIR": str(tmp_path / folder)}, expect=1 if folder else 0)
    assert not folder or ("TMPDIR" in done.stderr and not (tmp_path / "out").exists())


def test_an_existing_folder_keeps_what_is_not_ours(compile_model, net, tmp_path):
    out = tmp_path / "out"
    out.mkdir(mode=0o700)
    for name in ("notes.txt", "libother.so", "net.h"):
        (out / name).write_text("mine")
    compile_model(net, "-o", out)
    assert names(out) == sorted([*MADE, "notes.txt", "libother.so"])
    assert (out / "notes.txt").read_text() == "mine" and (out / "net.h").read_text() != "mine"
    assert out.stat().st_mode & 0o777 == 0o700


def test_compiling_again_replaces_what_was_compiled_before(compile_model, net, tmp_path):
    out = tmp_path / "out"
    compile_model(net, "-o", out, "--lib", "both", "--name", "old")
    compile_model(net, "-o", out)
    assert names(out) == MADE
    compile_model(net, "-o", out, "--lib", "a")
    assert names(out) == ["libnet.a", *MADE[1:]]
    (out / "manifest.json").write_text(json.dumps({"libraries": [{"file": "../net.onnx"}, {"file": ".."}, 7], "header": "/x"}))
    compile_model(net, "-o", out)
    assert net.exists() and names(out) == sorted([*MADE, "libnet.a"])


def test_a_failure_keeps_what_was_compiled_before(compile_model, net, tmp_path):
    out = tmp_path / "out"
    compile_model(net, "-o", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    onnx.save(unsupported(), net)
    compile_model(net, "-o", out, expect=3)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_output_may_be_a_full_or_closed_pipe(net):
    with open("/dev/full", "w") as full:
        done = subprocess.run([BIN / "compile-model", net, "--emit=loop"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "stdout" in done.stderr
