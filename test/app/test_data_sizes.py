"""Sizes that only data say, and branches: selections, suppression, conditions, bodies."""

import nets
import numpy
import onnx
import pytest
from conftest import assert_close, onnx_runtime, tool
from onnx import parser

planish = pytest.importorskip("planish")

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'

# The rows of x whose first element is above a half, doubled where there are more than two; one row of ones where
# there is none.
BRANCHES = """
g (float[6, 3] x) => (float[a, 3] y, int64[1] count) {
  half = Constant <value = float {0.5}> ()
  first = Constant <value_ints = [0]> ()
  one = Constant <value_ints = [1]> ()
  two = Constant <value = int64[1] {2}> ()
  none = Constant <value = int64[1] {0}> ()
  column = Slice (x, first, one, one)
  above = Greater (column, half)
  found = NonZero (above)
  rows_of = Gather <axis = 0> (found, first)
  rows = Squeeze (rows_of, first)
  sizes = Shape (rows)
  count = Identity (sizes)
  is_empty = Equal (sizes, none)
  many = Greater (sizes, two)
  y = If (is_empty) <
    then_branch = nothing () => (float[1, 3] r) {
      r = Constant <value = float[1, 3] {1, 1, 1}> ()
    },
    else_branch = some () => (float[b, 3] t) {
      picked = Gather <axis = 0> (x, rows)
      t = If (many) <
        then_branch = doubled () => (float[c, 3] p) { p = Add (picked, picked) },
        else_branch = plain () => (float[d, 3] q) { q = Identity (picked) }>
    }>
}
"""

# The three best of what suppression leaves, and their boxes.
DETECTOR = """
g (float[1, 9, 4] boxes, float[1, 1, 9] scores) => (float[k] best, float[k, 4] places, int64[s, 3] kept) {
  most = Constant <value = int64[1] {7}> ()
  overlap = Constant <value = float[1] {0.5}> ()
  least = Constant <value = float[1] {0.3}> ()
  three = Constant <value = int64[1] {3}> ()
  last = Constant <value_ints = [2]> ()
  minus = Constant <value = int64[1] {-1}> ()
  nine = Constant <value = int64[1] {9}> ()
  square = Constant <value = int64[2] {9, 4}> ()
  kept = NonMaxSuppression (boxes, scores, most, overlap, least)
  box_column = Gather <axis = 1> (kept, last)
  box = Reshape (box_column, minus)
  flat = Reshape (scores, nine)
  good = Gather (flat, box)
  sizes = Shape (good)
  k = Min (sizes, three)
  best, where = TopK (good, k)
  which = Gather (box, where)
  all = Reshape (boxes, square)
  places = Gather (all, which)
}
"""

# Running sums of rows, and every second one: a body that runs as often as x has rows.
BODIES = """
g (float[5, 3] x, float[3] start) => (float[3] last, float[5, 3] sums, float[4] powers) {
  last, sums = Scan <num_scan_inputs = 1, body = add (float[3] s, float[3] row) => (float[3] t, float[3] u) {
    t = Add (s, row)
    u = Identity (t)
  }> (start, x)
  four = Constant <value = int64 {4}> ()
  on = Constant <value = bool {1}> ()
  seed = Constant <value = float {2}> ()
  end, powers = Loop <body = twice (int64 i, bool c, float v) => (bool d, float w, float z) {
    d = Identity (c)
    w = Mul (v, v)
    f = Cast <to = 1> (i)
    z = Add (w, f)
  }> (four, on, seed)
}
"""


def compiled(text, folder, *flags):
    model = parser.parse_model(HEAD + text)
    onnx.save(model, folder / "net.onnx")
    tool("compile-model")(folder / "net.onnx", "-o", folder / "out", *flags)
    return planish.load(folder / "out", threads=2), onnx_runtime(folder / "net.onnx")


def same(model, reference, feeds, what):
    got, want = model(feeds), reference(feeds)
    for name, value in want.items():
        assert got[name].shape == value.shape, f"{what}: {name} {got[name].shape}, not {value.shape}"
    assert_close(got, want, what)


def test_branches_by_what_data_say(tmp_path):
    model, reference = compiled(BRANCHES, tmp_path)
    for count in (0, 1, 2, 3, 6, 0):
        x = nets.random_input((6, 3))
        x[:, 0] = 0.25
        x[:count, 0] = 0.75
        same(model, reference, {"x": x}, f"{count} rows")


def test_text_of_regions_reads_back(tmp_path):
    compiled(BRANCHES, tmp_path)
    (tmp_path / "blobs").mkdir()
    text = tool("compile-model")(tmp_path / "net.onnx", "--emit=graph", "--dump-dir", tmp_path / "blobs").stdout
    assert text.count("region") >= 4 and "= value %" in text
    assert tool("planish-opt")("--blobs", tmp_path / "blobs", input=text).stdout == text


def test_counts_of_suppression_and_the_best_of_them(tmp_path):
    model, reference = compiled(DETECTOR, tmp_path)
    generator = numpy.random.default_rng(1)
    for spread, level in ((1.0, 1.0), (0.05, 1.0), (1.0, 0.25), (1.0, 0.5)):
        corners = generator.random((1, 9, 2), dtype=numpy.float32) * spread
        boxes = numpy.concatenate([corners, corners + 0.3], -1)
        scores = generator.random((1, 1, 9), dtype=numpy.float32) * level
        same(model, reference, {"boxes": boxes, "scores": scores}, f"{spread} {level}")


SUPPRESSION = """
g (float[2, 700, 4] boxes, float[2, 2, 700] scores) => (int64[s, 3] kept) {{
  most = Constant <value = int64[1] {{{most}}}> ()
  overlap = Constant <value = float[1] {{{overlap}}}> ()
  least = Constant <value = float[1] {{0.1}}> ()
  kept = NonMaxSuppression <center_point_box = {form}> (boxes, scores, most, overlap, least)
}}
"""


@pytest.mark.parametrize("form, most, overlap", [(0, 700, 0.45), (0, 30, 0.7), (1, 700, 0.0), (0, 700, 0.3)])
def test_suppression_among_many_boxes(tmp_path, form, most, overlap):
    """Crowded, spread apart as classes are, of very different widths, without end, and without numbers."""
    model, reference = compiled(SUPPRESSION.format(form=form, most=most, overlap=overlap), tmp_path)
    generator = numpy.random.default_rng(7)
    places = generator.random((2, 700, 2), dtype=numpy.float32) * 300
    sizes = 1 + 40 * generator.random((2, 700, 2), dtype=numpy.float32)
    scores = generator.random((2, 2, 700), dtype=numpy.float32)

    def check(places, sizes, what):
        boxes = numpy.concatenate([places, sizes if form else places + sizes], -1)
        same(model, reference, {"boxes": boxes, "scores": scores}, what)

    check(places, sizes, "crowded")
    check(places + 1000 * generator.integers(0, 20, (2, 700, 1)).astype(numpy.float32), sizes, "classes apart")
    check(places, sizes ** 2, "of many widths")
    places[:, ::50] = -numpy.inf
    sizes[:, ::70] = numpy.inf
    places[:, ::30] = numpy.nan
    check(places, sizes, "without end")


def test_bodies_of_known_length(tmp_path):
    model, reference = compiled(BODIES, tmp_path)
    same(model, reference, {"x": nets.random_input((5, 3)), "start": nets.random_input((3,))}, "bodies")


@pytest.mark.parametrize("text, message", [
    ("g (float[2] x, bool c) => (float[n] y) { y = If (c) < then_branch = a () => (float[2] p) { p = Identity (x) }, "
     "else_branch = b () => (float[1, 2] q) { z = Constant <value_ints = [0]> () q = Unsqueeze (x, z) }> }",
     "its branches give f32\\[2\\] and f32\\[1,2\\]"),
    ("g (float[2] x, int64 n) => (float[2] y) { c = Constant <value = bool {1}> () y = Loop <body = b (int64 i, bool d, "
     "float[2] v) => (bool e, float[2] w) { e = Identity (d) w = Add (v, v) }> (n, c, x) }",
     "it must run a number of times that constants and shapes say"),
])
def test_what_is_refused(tmp_path, text, message):
    onnx.save(parser.parse_model(HEAD + text), tmp_path / "net.onnx")
    with pytest.raises(planish.UnsupportedError, match=message):
        planish.compile(tmp_path / "net.onnx", out=tmp_path / "out")


# One axis, or two, that only the data say.
AXES = """
g (float[2, 3, 4] x, int64[1] one, int64[2] two) => (float[a, b] sum, float[c, d, e] sums, float[f, g, h, i, j] wide) {
  sum = ReduceSum <keepdims = 0> (x, one)
  sums = ReduceSum (x, two)
  wide = Unsqueeze (x, two)
}
"""


def test_axes_that_data_say(tmp_path):
    model, reference = compiled(AXES, tmp_path)
    x = numpy.random.default_rng(3).random((2, 3, 4), numpy.float32)
    for one, two in (0, (0, 2)), (-1, (-3, 1)), (1, (2, 0)), (2, (1, 2)):
        same(model, reference, {"x": x, "one": numpy.int64([one]), "two": numpy.int64(two)}, f"{one} {two}")
    for wrong in (0, 0), (0, 7), (-9, 1):
        with pytest.raises(planish.RunError):
            model({"x": x, "one": numpy.int64([0]), "two": numpy.int64(wrong)})
