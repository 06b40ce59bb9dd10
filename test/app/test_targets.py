"""Each x86 level compiles anywhere, runs where its instructions are, and is refused with a status elsewhere."""

import json

import nets
import onnx
import pytest
from conftest import assert_close, onnx_runtime, real_model, sizes

planish = pytest.importorskip("planish")

TARGETS = ["cpu", "cpu:x86-64-v2", "cpu:x86-64-v3", "cpu:x86-64-v4", "cpu:x86-64-v4+avx512vnni", "cpu:x86-64-v3-fma",
           "cpu:x86-64-v2+avx", "cpu:znver5", "cpu:skylake-avx512", "cpu:haswell", "cpu-avx512f", "cpu-avx2"]


def features():
    with open("/proc/cpuinfo") as file:
        return next((set(line.split(":")[1].split()) for line in file if line.startswith("flags")), set())


def load_or_none(folder):
    """The model, or nothing where this CPU is said to lack what it needs; anything else fails."""
    try:
        return planish.load(folder)
    except planish.LoadError as error:
        assert "this CPU lacks what model" in str(error), error
        return None


def required(target):
    """Flags of /proc/cpuinfo without which the target cannot run, where that is plain."""
    levels = {"v2": {"sse4_2"}, "v3": {"avx2", "bmi2"}, "v4": {"avx512f", "avx512vl"}, "znver5": {"avx512_vp2intersect"},
              "skylake-avx512": {"avx512f"}, "haswell": {"avx2"}}
    return set().union(*(flags for word, flags in levels.items() if word in target))


@pytest.mark.parametrize("target", TARGETS)
def test_targets_agree(compile_model, tmp_path, target):
    onnx.save(nets.two_ended(), tmp_path / "net.onnx")
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out", f"--target={target}")
    model = load_or_none(tmp_path / "out")
    if not model:
        assert not required(target) <= features() or "+" in target
        pytest.skip(f"this machine cannot run {target}")
    feeds = {"x": nets.random_input((1, 8, 12, 12)), "side": nets.random_input((1, 4, 12, 12), 1)}
    assert_close(model(feeds), onnx_runtime(tmp_path / "net.onnx")(feeds), target)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["cpu:x86-64-v2", "cpu:x86-64-v3", "cpu:x86-64-v4"])
@pytest.mark.parametrize("name", ["mnist_12", "ultraface_rfb_320"])
def test_trained_nets(compile_model, tmp_path, name, target):
    path, feeds, golden, expected = real_model(name)
    compile_model(path, "-o", tmp_path / "out", f"--target={target}", *(f"--shape={k}={sizes(v)}" for k, v in feeds.items()))
    model = load_or_none(tmp_path / "out")
    if not model:
        pytest.skip(f"this machine cannot run {target}")
    for tensor, (error, largest) in golden.check(expected, model(feeds)).items():
        assert error <= 1e-3 * largest, tensor


def lacking():
    """A target that this CPU cannot run, if there is one among those with rare instructions."""
    rare = {"avx512_vp2intersect": "cpu:x86-64-v4+avx512vp2intersect", "avx512_fp16": "cpu:x86-64-v4+avx512fp16",
            "avx512f": "cpu:x86-64-v4", "avx512_bitalg": "cpu:x86-64-v4+avx512bitalg"}
    return next((target for flag, target in rare.items() if flag not in features()), None)


def test_a_cpu_that_lacks_instructions_refuses(compile_model, run_model, tmp_path):
    target = lacking()
    if not target:
        pytest.skip("this CPU has all that could be missing")
    onnx.save(nets.stem(), tmp_path / "net.onnx")
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out", f"--target={target}")
    assert load_or_none(tmp_path / "out") is None
    done = run_model(tmp_path / "out", expect=3)
    assert "this CPU lacks what model 'net' was compiled for" in done.stderr and target.split("+")[-1].split(":")[-1] in done.stderr


def test_the_manifest_names_what_it_was_compiled_for(compile_model, tmp_path):
    onnx.save(nets.stem(), tmp_path / "net.onnx")
    for target in ("cpu:x86-64-v2", "cpu:x86-64-v3-fma"):
        compile_model(tmp_path / "net.onnx", "-o", tmp_path / "out", f"--target={target}")
        assert json.loads((tmp_path / "out/manifest.json").read_text())["target"] == target


def test_code_for_a_level_uses_no_more_than_that(compile_model, tmp_path):
    onnx.save(nets.two_ended(), tmp_path / "net.onnx")
    texts = {level: compile_model(tmp_path / "net.onnx", "--emit=asm", f"--target=cpu:x86-64-{level}").stdout
             for level in ("v2", "v3", "v4")}
    assert "ymm" not in texts["v2"] and "vfmadd" not in texts["v2"] and "xmm" in texts["v2"]
    assert "ymm" in texts["v3"] and "vfmadd" in texts["v3"] and "zmm" not in texts["v3"]
    assert "zmm" in texts["v4"] and "vpdpbusd" not in texts["v4"]
