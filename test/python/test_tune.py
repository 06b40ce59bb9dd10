"""planish.tune: a short real tuning, its database, its errors and interruptions."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time

import numpy
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

planish = pytest.importorskip("planish")
pytest.importorskip("planish._compiler")


@pytest.fixture
def model(tmp_path):
    """A convolution and a mean."""
    rng = numpy.random.default_rng(3)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["r"]),
         helper.make_node("GlobalAveragePool", ["r"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16, 20, 20])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(rng.standard_normal((48, 16, 3, 3), numpy.float32), "w")])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_finds_records_and_compiles(model, tmp_path):
    seen = []
    result = planish.tune(model, database=tmp_path / "db.jsonl", seconds=3, progress=seen.append)
    assert result.seconds < 60 and result.kernels == len(result.results) == 3
    assert result.tried >= 1 and result.tried == sum(sum(k.candidates.values()) for k in result.results)
    assert result.rejected <= result.tried and result.candidates["wrong"] == 0
    assert [p.tried for p in seen] == sorted(p.tried for p in seen) and seen[-1].tried == result.tried
    assert math.isclose(sum(kernel.share for kernel in result.results), 1)
    convolution = next(k for k in result.results if k.template == "winograd.cpu")
    assert "Conv" not in convolution.key and len(convolution.key) == 16 and "f32[1,16,20,20]" in convolution.about
    records = [json.loads(line) for line in (tmp_path / "db.jsonl").read_text().splitlines()]
    newest = {record["key"]: record for record in records}
    for kernel in result.results:
        assert kernel.default_ns > 0 and set(kernel.best) == set(kernel.defaults)
        if kernel.best == kernel.defaults:
            assert kernel.low == kernel.high == 1
            assert newest.get(kernel.key, {"knobs": {}})["knobs"] == {}
        else:
            assert kernel.low <= kernel.high < 1 and kernel.best_ns < kernel.default_ns
            wanted = {name: value for name, value in kernel.best.items() if name != "parallel"}
            assert newest[kernel.key]["knobs"] == wanted and newest[kernel.key]["about"] == kernel.about

    plain = planish.compile(model, out=tmp_path / "plain")
    tuned = planish.compile(model, out=tmp_path / "tuned", tuning=tmp_path / "db.jsonl")
    assert f"{len(newest)} of 3 kernels are tuned by 'db.jsonl'" in tuned.notes
    x = numpy.random.default_rng(1).random((1, 16, 20, 20), numpy.float32)
    assert numpy.allclose(tuned.load()(x=x)["y"], plain.load()(x=x)["y"], rtol=1e-5)

    again = planish.tune(model, database=tmp_path / "db.jsonl", seconds=0.5)
    assert again.kernels == 3
    lines = (tmp_path / "db.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines][:len(records)] == records


def test_errors(model, tmp_path):
    with pytest.raises(FileNotFoundError):
        planish.tune(tmp_path / "none.onnx", database=tmp_path / "db.jsonl", seconds=1)
    with pytest.raises(planish.CompileError, match="more than 0"):
        planish.tune(model, database=tmp_path / "db.jsonl", seconds=0)
    with pytest.raises(planish.CompileError, match="more than 0"):
        planish.tune(model, database=tmp_path / "db.jsonl", seconds=float("nan"))
    with pytest.raises(planish.CompileError, match="nowhere"):
        planish.tune(model, database=tmp_path / "nowhere" / "db.jsonl", seconds=1)
    with pytest.raises(planish.UnsupportedError, match="opencl"):
        planish.tune(model, database=tmp_path / "db.jsonl", target="opencl", seconds=1)
    (tmp_path / "bad.jsonl").write_text("{}\nrubbish\n")
    with pytest.raises(planish.CompileError, match="bad.jsonl:1: "):
        planish.tune(model, database=tmp_path / "bad.jsonl", seconds=1)


def test_an_exception_ends_it_and_keeps_the_database(model, tmp_path):
    def enough(progress):
        if progress.tried >= 3:
            raise ZeroDivisionError("enough")

    with pytest.raises(ZeroDivisionError, match="enough"):
        planish.tune(model, database=tmp_path / "db.jsonl", seconds=60, progress=enough)
    for line in (tmp_path / "db.jsonl").read_text().splitlines():
        json.loads(line)


def test_ctrl_c(model, tmp_path):
    command = [sys.executable, "-m", "planish", "tune", str(model), "--database", str(tmp_path / "db.jsonl")]
    running = subprocess.Popen([*command, "--seconds=100"], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "db.jsonl").exists() and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130 and "keeps what was found" in said


def test_other_threads_run_meanwhile(model, tmp_path):
    ticks, done = [], threading.Event()

    def tick():
        while not done.wait(0.01):
            ticks.append(1)

    thread = threading.Thread(target=tick)
    thread.start()
    planish.tune(model, database=tmp_path / "db.jsonl", seconds=0.5)
    done.set()
    thread.join()
    assert len(ticks) > 5


def test_command_line(model, tmp_path):
    def run(*arguments):
        return subprocess.run([sys.executable, "-m", "planish", "tune", *map(str, arguments)], capture_output=True,
                              text=True, env=os.environ)

    done = run(model, "--database", tmp_path / "db.jsonl", "--seconds", "0.5", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["results"]) == 3
    done = run(model, "--database", tmp_path / "db.jsonl", "--seconds", "0.5")
    assert done.returncode == 0 and "of 3 kernels faster" in done.stdout and "candidates" in done.stdout
    assert run(tmp_path / "none.onnx", "--database", tmp_path / "db.jsonl").returncode == 4
    assert run(model, "--database", tmp_path / "db.jsonl", "--seconds", "-1").returncode == 2
    assert run(model, "--database", tmp_path / "db.jsonl", "--target", "opencl").returncode == 3
    assert run(model, "--database", tmp_path / "db.jsonl", "--shape", "x").returncode == 2
    assert run(model).returncode == 2
