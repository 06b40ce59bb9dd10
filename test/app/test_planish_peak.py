"""planish-peak writes a machine file, and run-model holds profiles against it."""

import json
import math

import nets
import onnx
import pytest
from conftest import tool


@pytest.fixture
def planish_peak():
    return tool("planish-peak")


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A machine file, measured once, and the table printed with it."""
    path = tmp_path_factory.mktemp("peak") / "some/folder/machine.json"
    table = tool("planish-peak")("--seconds", 0.2, "--output", path).stdout
    return path, table


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    onnx.save(nets.backbone(), folder / "net.onnx")
    tool("compile-model")(folder / "net.onnx", "--shape", "x=1x3x32x32", "-o", folder / "out")
    return folder / "out"


def test_machine_file_and_table_have_every_figure(machine):
    path, table = machine
    found = json.loads(path.read_text())
    cores = found["cores"]
    counts = {1, cores}
    assert found["version"] == 1 and found["cpu"] and table.startswith(found["cpu"])
    peaks = {(p["isa"], p["type"], p["threads"]): p["giga_per_s"] for p in found["compute"]}
    assert {("sse4.2", "f32", n) for n in counts} <= peaks.keys()
    assert [level["name"] for level in found["levels"]][-1] == "memory"
    assert [level["bytes"] for level in found["levels"][:-1]] == sorted(level["bytes"] for level in found["levels"][:-1])
    rates = [*peaks.values()]
    for level in found["levels"]:
        assert counts <= {b["threads"] for b in level["bandwidth"]}
        rates += [b[key] for b in level["bandwidth"] for key in ("read_gbytes_per_s", "triad_gbytes_per_s")]
        assert f"{level['name']} " in table
    assert all(math.isfinite(rate) and rate > 0 for rate in rates)
    assert len(found.get("round_trips", [])) >= (cores > 1)
    assert all(0 < trip["least_ns"] <= trip["ns"] <= trip["most_ns"] for trip in found.get("round_trips", []))


def test_the_file_is_in_the_cache_folder_by_default(planish_peak, run_model, model, tmp_path):
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    done = planish_peak("--seconds", 0.01, "--json", env=environment)
    written = tmp_path / "cache/planish/machine.json"
    assert json.loads(done.stdout) == json.loads(written.read_text())
    assert str(written) in done.stderr
    run_model(model, "--profile", tmp_path / "p.json", "--seconds", 0.01, env=environment)
    assert json.loads((tmp_path / "p.json").read_text())["machine"] == str(written)


@pytest.mark.parametrize("arguments, code, message", [
    (["--seconds", "0"], 2, "--seconds"),
    (["--seconds", "long"], 2, "--seconds"),
    (["machine.json"], 2, "machine.json"),
    (["--seconds", "0.01", "--output", "FILE/machine.json"], 1, "cannot write '"),
])
def test_mistakes_get_one_line_and_their_code(planish_peak, tmp_path, arguments, code, message):
    (tmp_path / "file").write_text("")
    done = planish_peak(*(a.replace("FILE", str(tmp_path / "file")) for a in arguments), expect=code)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert len(errors) == 1 and errors[0].startswith("error: ") and message in errors[0]


def test_without_a_home_the_file_must_be_named(planish_peak):
    assert "--output" in planish_peak("--seconds", 0.01, expect=2, env={}).stderr


@pytest.mark.parametrize("threads", [1, 2])
def test_profiles_are_held_against_the_machine(run_model, model, machine, tmp_path, threads):
    done = run_model(model, "--threads", threads, "--seconds", 0.1, "--profile", tmp_path / "p.json", "--machine", machine[0])
    profile = json.loads((tmp_path / "p.json").read_text())
    bounds = {p["isa"] for p in json.loads(machine[0].read_text())["compute"]} | {"L1", "L2", "L3", "L4", "memory"}
    assert profile["threads"] == threads and profile["runs"] >= 5
    for launch in profile["launches"]:
        assert launch["bound"] in bounds and launch["nodes"] and launch["template"]
        assert all(isinstance(value, int) for value in launch["knobs"].values())
        for key in ("median_us", "min_us", "percent_of_time", "gflops_per_s", "gbytes_per_s", "peak_us", "percent_of_peak"):
            assert math.isfinite(launch[key]) and launch[key] >= 0, key
        assert launch["peak_us"] > 0
        assert f"  {launch['kernel']}  " in done.stdout
    assert math.isclose(sum(launch["peak_us"] for launch in profile["launches"]), profile["peak_us"], rel_tol=1e-6)
    assert 0 < profile["percent_of_peak"] and profile["bounds"].keys() <= bounds
    medians = [float(line.split()[0]) for line in done.stdout.splitlines() if line.lstrip()[:1].isdigit() and "%" in line
               and "us" not in line]
    assert len(medians) == len(profile["launches"]) and medians == sorted(medians, reverse=True)


def test_the_trace_says_what_bounds_each_launch(run_model, model, machine, tmp_path):
    run_model(model, "--seconds", 0.01, "--profile", tmp_path / "x.trace.json", "--machine", machine[0])
    events = json.loads((tmp_path / "x.trace.json").read_text())["traceEvents"]
    layers = json.loads((model / "manifest.json").read_text())["layers"]
    assert [event["args"]["kernel"] for event in events] == [layer["kernel"] for layer in layers]
    assert all(event["ph"] == "X" and event["dur"] >= 0 and event["args"]["bound"] for event in events)


def test_a_table_beside_json_or_digests_is_on_stderr(run_model, model, tmp_path):
    for flag in ("--json", "--digest"):
        done = run_model(model, "--seconds", 0.01, "--profile", tmp_path / "p.json", flag, env={"HOME": str(tmp_path)})
        assert "GFLOP/s" in done.stderr and "GFLOP/s" not in done.stdout
        assert "planish-peak" in done.stderr and "machine" not in json.loads((tmp_path / "p.json").read_text())


def test_wrong_machine_files_are_bad_files(run_model, model, machine, tmp_path):
    def error_with(path, expect=4):
        done = run_model(model, "--seconds", 0.01, "--profile", tmp_path / "p.json", "--machine", path, expect=expect)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        return errors[0]

    def changed(change):
        document = json.loads(machine[0].read_text())
        change(document)
        (tmp_path / "changed.json").write_text(json.dumps(document))
        return tmp_path / "changed.json"

    assert "cannot read '" in error_with(tmp_path / "none.json")
    (tmp_path / "damaged.json").write_text('{"version": 1')
    assert "damaged.json'" in error_with(tmp_path / "damaged.json")
    assert "$.levels[0].bytes" in error_with(changed(lambda d: d["levels"][0].update(bytes=-1)))
    assert "$.cpu" in error_with(changed(lambda d: d.update(cpu=7)))
    assert "no f32 peak for '" in error_with(changed(lambda d: d.update(compute=[{**d["compute"][0], "isa": "mmx"}])))
    other = changed(lambda d: d.update(cpu="Another"))
    done = run_model(model, "--seconds", 0.01, "--profile", tmp_path / "p.json", "--machine", other)
    assert "is of another machine: Another" in done.stderr
    assert "--machine" in run_model(model, "--machine", other, expect=2).stderr
