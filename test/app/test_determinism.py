"""Same input, same bytes: of every file, wherever, whenever and with however many threads it is compiled."""

import os
import shutil
import time

import nets
import onnx
import pytest
from conftest import real_model, sizes, tool

planish = pytest.importorskip("planish")


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def compile_both_ways(model, arguments, tmp_path):
    """Once as it is, once from a copy with another date, in another folder, at one core."""
    compile_model = tool("compile-model")
    compile_model(model, "-o", tmp_path / "first", "--lib", "both", *arguments)
    other = tmp_path / "other"
    other.mkdir()
    copy = shutil.copy(model, other)
    os.utime(copy, (0, 0))
    time.sleep(1.1)  # a time stamp of seconds would differ
    one = min(os.sched_getaffinity(0))
    compile_model(os.path.basename(copy), "-o", "deep/second", "--lib", "both", *arguments, cwd=other,
                  preexec_fn=lambda: os.sched_setaffinity(0, {one}), env={**os.environ, "TZ": "Asia/Tokyo"})
    return files(tmp_path / "first"), files(other / "deep" / "second")


def assert_same(first, second):
    assert sorted(first) == sorted(second)
    for name, data in first.items():
        assert data == second[name], name


@pytest.mark.parametrize("net", [nets.stem, nets.two_ended])
def test_small_nets(net, tmp_path):
    onnx.save(net(), tmp_path / "net.onnx")
    first, second = compile_both_ways(tmp_path / "net.onnx", [], tmp_path)
    assert sorted(first) == ["libnet.a", "libnet.so", "manifest.json", "net.h", "report.json"]
    assert_same(first, second)
    planish.compile(tmp_path / "net.onnx", out=tmp_path / "third", library="both")
    assert_same(first, files(tmp_path / "third"))


@pytest.mark.parametrize("name", ["mnist_12", pytest.param("ultraface_rfb_320", marks=pytest.mark.slow)])
def test_trained_nets(name, tmp_path):
    path, feeds, _, _ = real_model(name)
    arguments = [f"--shape={key}={sizes(value)}" for key, value in feeds.items()]
    assert_same(*compile_both_ways(path, arguments, tmp_path))


def test_other_weights_give_another_build(tmp_path):
    compile_model = tool("compile-model")
    net = nets.stem()
    onnx.save(net, tmp_path / "net.onnx")
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "a")
    raw = net.graph.initializer[0].raw_data
    net.graph.initializer[0].raw_data = raw[:-1] + bytes([raw[-1] ^ 1])
    onnx.save(net, tmp_path / "net.onnx")
    compile_model(tmp_path / "net.onnx", "-o", tmp_path / "b")
    a, b = files(tmp_path / "a"), files(tmp_path / "b")
    assert a["libnet.so"] != b["libnet.so"] and a["manifest.json"] != b["manifest.json"]
