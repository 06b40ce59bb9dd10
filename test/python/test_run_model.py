"""run-model on a model written by hand: results, files, and one clear line with the right exit code for mistakes."""

import hashlib
import io
import json
import struct
import zipfile
import zlib

import numpy
import pytest
from conftest import build_handmade


def digest(array):
    return hashlib.sha256(numpy.ascontiguousarray(array).tobytes()).hexdigest()[:16]


@pytest.fixture
def inputs(tmp_path, images):
    """An .npz with all three inputs, and the result they have."""
    values = {"images": images, "gain": numpy.float32(2), "offset": numpy.int64(3)}
    numpy.savez(tmp_path / "in.npz", **values)
    return tmp_path / "in.npz", images * numpy.float32(2) + numpy.float32(3)


def error_of(done):
    lines = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    return lines[0]


def test_outputs_have_names_types_and_values(run_model, handmade, inputs, tmp_path):
    file, want = inputs
    run_model(handmade, "--input", file, "--output", tmp_path / "out.npz")
    with numpy.load(tmp_path / "out.npz") as out:
        assert sorted(out.files) == ["scaled", "size"]
        assert out["scaled"].dtype == numpy.float32 and numpy.array_equal(out["scaled"], want)
        assert out["size"].dtype == numpy.int64 and out["size"].shape == () and out["size"] == want.size


@pytest.mark.parametrize("save", [numpy.savez, numpy.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_reads_every_form_numpy_writes(run_model, handmade, images, tmp_path, save, order):
    save(tmp_path / "in.npz", images=numpy.asarray(images, order=order), gain=numpy.float32(1), offset=numpy.int64(0))
    done = run_model(handmade, "--input", tmp_path / "in.npz", "--digest")
    assert done.stdout.splitlines()[0] == f"scaled f32 2x3x4x5 {digest(images)}"


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_reads_every_version_of_npy(run_model, handmade, images, tmp_path, version):
    with open(tmp_path / "x.npy", "wb") as file:
        numpy.lib.format.write_array(file, images, version=version)
    numpy.save(tmp_path / "gain.npy", numpy.float32(1))
    numpy.save(tmp_path / "offset.npy", numpy.int64(0))
    done = run_model(handmade, "--digest", "--input", f"images={tmp_path}/x.npy", "--input", f"gain={tmp_path}/gain.npy",
                     f"--input=offset={tmp_path}/offset.npy")
    assert done.stdout.splitlines()[0] == f"scaled f32 2x3x4x5 {digest(images)}"


def test_digest_prints_outputs_and_layers_dense_in_onnx_order(run_model, handmade, inputs, images):
    file, want = inputs
    size = numpy.int64(want.size)
    outputs = [f"scaled f32 2x3x4x5 {digest(want)}", f"size i64 scalar {digest(size)}"]
    assert run_model(handmade, "--input", file, "--digest").stdout.splitlines() == outputs
    assert run_model(handmade, "--input", file, "--digest", "--benchmark", "--seconds", 0.01).stdout.splitlines() == outputs
    hidden = f"hidden f32 2x3x4x5 {digest(images * numpy.float32(2))}"
    assert run_model(handmade, "--input", file, "--digest=layers").stdout.splitlines() == [*outputs, hidden]


def test_thread_counts_agree(run_model, handmade, inputs):
    texts = {run_model(handmade, "--input", inputs[0], "--digest=layers", "--threads", n).stdout for n in (0, 1, 2, 5)}
    assert len(texts) == 1


def test_missing_inputs_are_filled_the_same_way_each_time(run_model, handmade):
    first, second = (run_model(handmade, "--digest") for _ in range(2))
    assert first.stdout == second.stdout
    notes = first.stderr.splitlines()
    assert notes[0] == "note: input 'images' not given: filled with seeded data, f32 1x3x4x5"
    assert len(notes) == 3


def test_reference_passes_within_its_tolerance_only(run_model, handmade, inputs, tmp_path):
    file, want = inputs
    largest = numpy.abs(want).max()

    def against(delta, *flags, expect=0, **changes):
        off = want.copy()
        off[1, 2, 3, 4] += delta
        numpy.savez(tmp_path / "ref.npz", **{"scaled": off, "size": numpy.int64(want.size), **changes})
        return run_model(handmade, "--input", file, "--reference", tmp_path / "ref.npz", *flags, expect=expect)

    assert "scaled: ok, max error 0" in against(0).stdout
    against(9e-4 * largest)
    text = error_of(against(2e-3 * largest, expect=5))
    assert "output 'scaled': error" in text and "at element 119" in text
    against(2e-3 * largest, "--rtol", 1e-2)
    against(1e-5, "--rtol", 0, expect=5)
    against(1e-5, "--rtol", 0, "--atol", 1e-4)
    assert "output 'scaled': 1 of 120 elements are NaN" in error_of(against(numpy.nan, expect=5))
    against(numpy.inf, expect=5)
    shape = error_of(against(0, scaled=want[:1], expect=5))
    assert shape == "error: output 'scaled': shape is 2x3x4x5, the reference has 1x3x4x5"
    assert "output 'size'" in error_of(against(0, size=numpy.int64(1), expect=5))


def test_reference_without_an_output_is_a_bad_file(run_model, handmade, inputs, tmp_path):
    numpy.savez(tmp_path / "ref.npz", scaled=inputs[1])
    done = run_model(handmade, "--input", inputs[0], "--reference", tmp_path / "ref.npz", expect=4)
    assert error_of(done).endswith("has no output 'size'")


def test_json_holds_everything(run_model, handmade, inputs, tmp_path):
    numpy.savez(tmp_path / "ref.npz", scaled=inputs[1], size=numpy.int64(0))
    done = run_model(handmade, "--input", inputs[0], "--json", "--benchmark", "--seconds", 0.01, "--threads", 2,
                     "--digest=layers", "--reference", tmp_path / "ref.npz", expect=5)
    report = json.loads(done.stdout)
    assert report["model"] == "handmade"
    assert report["outputs"][0] == {"name": "scaled", "dtype": "f32", "dims": [2, 3, 4, 5], "digest": digest(inputs[1])}
    assert report["benchmark"]["threads"] == 2 and report["benchmark"]["runs"] >= 5
    assert 0 < report["benchmark"]["min_ms"] <= report["benchmark"]["median_ms"] <= report["benchmark"]["p90_ms"]
    assert [c["ok"] for c in report["comparison"]] == [True, False]
    assert len(report["layers"]) == 1


def test_profile_has_each_launch(run_model, handmade, inputs, tmp_path):
    run_model(handmade, "--input", inputs[0], "--profile", tmp_path / "p.json", "--seconds", 0.01)
    profile = json.loads((tmp_path / "p.json").read_text())
    assert [launch["nodes"] for launch in profile["launches"]] == [["Mul_0"], ["Add_1"]]
    assert all(launch["count"] == 1 and launch["median_us"] > 0 for launch in profile["launches"])
    assert profile["median_us"] >= sum(launch["min_us"] for launch in profile["launches"])


@pytest.mark.parametrize("name", ["x.trace.json", "trace"])
def test_trace_opens_in_viewers(run_model, handmade, tmp_path, name):
    run_model(handmade, "--profile", tmp_path / name, "--seconds", 0.01)
    events = json.loads((tmp_path / name).read_text())["traceEvents"]
    assert [(e["ph"], e["name"], e["args"]["kernel"]) for e in events] == [("X", "Mul_0", "multiply"), ("X", "Add_1", "add")]
    assert events[0]["ts"] + events[0]["dur"] <= events[1]["ts"]


def write_png(path, pixels):
    """An RGB .png, 8 bits."""
    height, width, _ = pixels.shape

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def picture_run(run_model, handmade, tmp_path, pixels):
    write_png(tmp_path / "p.png", pixels)
    numpy.savez(tmp_path / "rest.npz", gain=numpy.float32(1), offset=numpy.int64(0))
    done = run_model(handmade, "--input", f"images={tmp_path}/p.png", "--input", tmp_path / "rest.npz", "--output", tmp_path / "out.npz")
    return done.stderr, numpy.load(tmp_path / "out.npz")["scaled"]


def test_picture_becomes_channels_first_floats(run_model, handmade, tmp_path):
    pixels = numpy.random.default_rng(1).integers(0, 256, (4, 5, 3), dtype=numpy.uint8)
    note, out = picture_run(run_model, handmade, tmp_path, pixels)
    assert note == ""
    assert numpy.array_equal(out[0], pixels.transpose(2, 0, 1).astype(numpy.float32) / numpy.float32(255))


def test_picture_of_another_size_is_scaled_and_said_so(run_model, handmade, tmp_path):
    pixels = numpy.zeros((8, 10, 3), numpy.uint8)
    pixels[:, :, 0] = numpy.arange(8)[:, None] * 2 + numpy.arange(10) * 4
    note, out = picture_run(run_model, handmade, tmp_path, pixels)
    assert note.endswith("scaled from 10x8 to 5x4\n")
    want = pixels[:, :, 0].astype(float).reshape(4, 2, 5, 2).mean((1, 3)) / 255  # exact for a ramp
    assert numpy.allclose(out[0, 0], want, atol=1e-6)


@pytest.mark.parametrize("arguments, code, message", [
    ([], 2, "directory is required"),
    (["MODEL", "--thread", "1"], 2, "--thread"),
    (["MODEL", "--threads", "-1"], 2, "--threads"),
    (["MODEL", "--input", "images"], 2, "--input 'images': expected name=FILE or FILE.npz"),
    (["MODEL", "--digest=all"], 2, "--digest"),
    (["TMP/none"], 4, "cannot read directory"),
    (["TMP"], 4, "holds no compiled model"),
    (["MODEL", "--input", "images=TMP/none.npy"], 4, "cannot read '"),
    (["MODEL", "--input", "images=TMP/damaged.npy"], 4, "is not a NumPy array"),
    (["MODEL", "--input", "TMP/damaged.npz"], 4, "cannot open '"),
    (["MODEL", "--input", "images=TMP/damaged.png"], 4, "is not a picture"),
    (["MODEL", "--input", "picture=TMP/none.npy"], 1, "has no input 'picture', it has 'images', 'gain', 'offset'"),
    (["MODEL", "--input", "images=TMP/f64.npy"], 1, "input 'images' is f32, given is f64"),
    (["MODEL", "--input", "images=TMP/shape.npy"], 1, "input 'images': dimension 3 must be 5, given is 6"),
    (["MODEL", "--input", "images=TMP/many.npy"], 1, "dimension 0 must be between 1 and 4, given is 5"),
    (["MODEL", "--input", "offset=TMP/thirteen.npy"], 1, "model 'handmade': offset 13 is not allowed"),
    (["MODEL", "--input", "offset=TMP/damaged.png"], 1, "input 'offset' is not a picture"),
    (["MODEL", "--output", "TMP/no/out.npz"], 1, "no/out.npz'"),
    (["MODEL", "--profile", "TMP/no/p.json", "--seconds", "0.01"], 1, "cannot write '"),
])
def test_mistakes_get_one_line_and_their_code(run_model, handmade, tmp_path, arguments, code, message):
    for name in ("damaged.npy", "damaged.npz", "damaged.png"):
        (tmp_path / name).write_bytes(b"nonsense")
    numpy.save(tmp_path / "f64.npy", numpy.zeros((1, 3, 4, 5)))
    numpy.save(tmp_path / "shape.npy", numpy.zeros((1, 3, 4, 6), numpy.float32))
    numpy.save(tmp_path / "many.npy", numpy.zeros((5, 3, 4, 5), numpy.float32))
    numpy.save(tmp_path / "thirteen.npy", numpy.int64(13))
    done = run_model(*(a.replace("MODEL", str(handmade)).replace("TMP", str(tmp_path)) for a in arguments), expect=code)
    assert message in error_of(done)
    assert done.stdout == "" or code == 1


def npy(header, data=b"", version=1):
    header = header.encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize("content", [
    b"\x93NUMPY", b"\x93NUMPY\1\0\xff\xff", b"\x93NUMPY\2\0\1\0", npy("{}"),
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 4), }"),
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }"),
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", bytes(4)),
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2", bytes(8)),
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", bytes(7)),
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", bytes(9)),
    npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", bytes(8)),
    npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", bytes(8)),
    npy("{'descr': '"),
])
def test_hostile_arrays_are_bad_files(run_model, handmade, tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)
    error_of(run_model(handmade, "--input", f"images={tmp_path}/x.npy", expect=4))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("images.npy", content)
    error_of(run_model(handmade, "--input", tmp_path / "x.npz", expect=4))


def test_cut_archives_are_bad_files(run_model, handmade, images, tmp_path):
    whole = io.BytesIO()
    numpy.savez_compressed(whole, images=images)
    data = bytearray(whole.getvalue())
    data[60:90] = bytes(30)
    (tmp_path / "x.npz").write_bytes(data)
    error_of(run_model(handmade, "--input", tmp_path / "x.npz", expect=4))


def test_other_versions_and_cpus_are_refused(run_model, tmp_path):
    other = build_handmade(tmp_path / "other", "-DHANDMADE_ABI=77")
    assert "another version of the runtime" in error_of(run_model(other, expect=4))
    future = build_handmade(tmp_path / "future", "-DHANDMADE_FEATURES=0x4000000000000000")
    assert "this CPU lacks what model 'handmade' was compiled for" in error_of(run_model(future, expect=3))


def test_version_is_one_line(run_model):
    assert run_model("--version").stdout.count("\n") == 1
