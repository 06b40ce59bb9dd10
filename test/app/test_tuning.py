"""compile-model --tuning: knobs from a database, what the files say about it, and what is refused."""

import hashlib
import json

import nets
import numpy
import onnx
import pytest
from conftest import assert_close

TARGET = "cpu:x86-64-v3"


@pytest.fixture
def net(tmp_path):
    onnx.save(nets.two_ended(), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


@pytest.fixture
def compiled(compile_model, net, tmp_path):
    """Compiles into a folder; the report, and what was said."""

    def run(folder, *flags, **options):
        done = compile_model(net, "-o", tmp_path / folder, "--target", TARGET, *flags, **options)
        return json.loads((tmp_path / folder / "report.json").read_text()) if not done.returncode else None, done.stderr

    return run


def convolution(report):
    return next(launch for launch in report["launches"] if launch["template"] == "contraction.cpu")


def knobs_of(launch):
    return {name: int(value) for name, value in (knob.split("=") for knob in launch["config"].split())}


def record(launch, knobs, target=TARGET, template=None):
    return {"key": launch["key"], "target": target, "template": template or launch["template"], "knobs": knobs,
            "default_ns": 10, "best_ns": 9, "interval": [0.89, 0.91], "about": "conv", "machine": "m", "compiler": "0"}


def resolved(report):
    return report["target"]


def test_knobs_come_from_the_database(compiled, run_model, net, tmp_path):
    plain, _ = compiled("plain")
    launch = convolution(plain)
    pixels = next(n for n in (2, 3, 4) if n != knobs_of(launch)["pixels"])
    lines = [record(launch, {"pixels": 1}, resolved(plain)), record(launch, {"pixels": pixels}, resolved(plain)),
             record(launch, {"pixels": 5}, "cpu:another")]
    db = tmp_path / "db.jsonl"
    db.write_text("".join(json.dumps(line) + "\n" for line in lines))
    tuned, said = compiled("tuned", "--tuning", db)

    assert f"1 of {tuned['distinctKernels']} kernels are tuned by 'db.jsonl'" in said
    assert any("tuned by 'db.jsonl'" in note for note in tuned["notes"])
    assert knobs_of(convolution(tuned)) == {**knobs_of(launch), "pixels": pixels}
    assert [l["key"] for l in tuned["launches"] if l["tuned"]] == [launch["key"]]
    assert not any(l["tuned"] for l in plain["launches"])
    manifests = [json.loads((tmp_path / folder / "manifest.json").read_text()) for folder in ("plain", "tuned")]
    assert "tuning" not in manifests[0]
    assert manifests[1]["tuning"] == {"file": "db.jsonl", "sha256": hashlib.sha256(db.read_bytes()).hexdigest()}

    for folder in ("plain", "tuned"):
        run_model(tmp_path / folder, "--output", tmp_path / f"{folder}.npz")
    assert_close(numpy.load(tmp_path / "tuned.npz"), numpy.load(tmp_path / "plain.npz"), tolerance=1e-5)


def test_a_record_without_knobs_keeps_the_templates_choice(compiled, tmp_path):
    plain, _ = compiled("plain")
    (tmp_path / "db.jsonl").write_text(json.dumps(record(convolution(plain), {}, resolved(plain))))
    tuned, _ = compiled("tuned", "--tuning", tmp_path / "db.jsonl")
    assert convolution(tuned)["config"] == convolution(plain)["config"] and convolution(tuned)["tuned"]


def test_a_database_of_other_targets_is_said(compiled, tmp_path):
    plain, _ = compiled("plain")
    (tmp_path / "db.jsonl").write_text(json.dumps(record(convolution(plain), {"pixels": 1}, "cpu:another")))
    tuned, said = compiled("tuned", "--tuning", tmp_path / "db.jsonl")
    assert "0 of" in said and "all for other targets" in said
    assert convolution(tuned)["config"] == convolution(plain)["config"]


def refused(compiled, tmp_path, text):
    (tmp_path / "db.jsonl").write_text(text)
    _, said = compiled("refused", "--tuning", tmp_path / "db.jsonl", expect=4)
    assert said.startswith("compile-model: ") and not (tmp_path / "refused").exists()
    return said


@pytest.mark.parametrize("line, says", [("{", ""), ("[]", "expected a JSON object"), ('{"key": 3}', '"key"')])
def test_bad_lines(compiled, tmp_path, line, says):
    said = refused(compiled, tmp_path, "\n" + line + "\n")
    assert f"{tmp_path}/db.jsonl:2: " in said and says in said


@pytest.mark.parametrize("knobs, template, says", [
    ({"pixel": 8}, None, "has no knob 'pixel'"),
    ({"pixels": 10**6}, None, "knob 'pixels' of contraction.cpu cannot be 1000000; its values are"),
    ({"unroll": 1}, "pointwise.cpu", "'contraction.cpu' makes this kernel"),
])
def test_knobs_that_are_not_the_templates(compiled, tmp_path, knobs, template, says):
    plain, _ = compiled("plain")
    line = json.dumps(record(convolution(plain), knobs, resolved(plain), template))
    said = refused(compiled, tmp_path, line)
    assert "db.jsonl:1: " in said and says in said


def test_no_database(compiled, tmp_path):
    _, said = compiled("refused", "--tuning", tmp_path / "none.jsonl", expect=4)
    assert "cannot read the tuning database" in said and "none.jsonl" in said
    compiled("refused", "--tuning", tmp_path, expect=4)
