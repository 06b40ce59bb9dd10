"""Models that must be refused: each function writes one file and says what the message must name."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import numpy
from onnx import AttributeProto, TensorProto, helper, numpy_helper

USAGE, UNSUPPORTED, BAD_INPUT = 2, 3, 4
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
IMAGE = [1, 3, 8, 8]


@dataclass
class Bad:
    """One refusal: who writes the file, the exit code, what one line of stderr must say, extra flags."""

    name: str
    write: Callable[[Path], None]
    code: int
    says: list
    flags: list = field(default_factory=list)


def value(name, shape, dtype=FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def constant(name, array):
    return numpy_helper.from_array(numpy.asarray(array), name)


def model(nodes, inputs=None, outputs=None, constants=(), opset=13, **extra):
    """A model of float tensors x -> y, unless said otherwise; nothing is checked."""
    graph = helper.make_graph(nodes, "g", inputs or [value("x", IMAGE)], outputs or [value("y", None)], list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **extra)


def node(op, inputs=("x",), outputs=("y",), name="culprit", **attributes):
    return helper.make_node(op, list(inputs), list(outputs), name=name, **attributes)


def file_of(make):
    """A writer for the model that `make` returns."""

    def write(path):
        made = make()
        path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())

    return write


def single(op, constants=(), opset=13, inputs=("x",), **attributes):
    return file_of(lambda: model([node(op, inputs, **attributes)], constants=constants, opset=opset))


def conv(weights=(4, 3, 3, 3), **attributes):
    return single("Conv", [constant("w", numpy.zeros(weights, numpy.float32))], inputs=("x", "w"), **attributes)


# ---- files ----------------------------------------------------------------------------------------


def good():
    return model([node("Relu")])


def truncated():
    return good().SerializeToString()[:-9]


def length_prefixed(number, data):
    """A field of a message on the wire."""
    size, prefix = len(data), bytes([number << 3 | 2])
    while size > 127:
        prefix, size = prefix + bytes([size & 127 | 128]), size >> 7
    return prefix + bytes([size]) + data


def deeply_nested():
    """Graphs in attributes of nodes of graphs, deeper than Python's own library writes them."""
    graph = good().graph.SerializeToString()
    for _ in range(20000):
        graph = length_prefixed(1, length_prefixed(5, length_prefixed(6, graph)))
    return length_prefixed(7, graph)


def claims_gigabytes():
    """A length prefix far beyond the end of the file."""
    return b"\x08\x08\x3a\xff\xff\xff\xff\x07" + b"\x00" * 24


# ---- tensors --------------------------------------------------------------------------------------


def tensor(dims, dtype=FLOAT, **fields):
    t = TensorProto(name="w", data_type=dtype)
    t.dims.extend(dims)
    for key, data in fields.items():
        setattr(t, key, data)
    return t


def with_tensor(t):
    return file_of(lambda: model([node("Add", ["x", "w"])], constants=[t]))


def external(entries, prepare=lambda folder: None):
    def write(path):
        prepare(path.parent)
        t = tensor([2, 2], data_location=TensorProto.EXTERNAL)
        for key, text in entries.items():
            t.external_data.add(key=key, value=text)
        path.write_bytes(model([node("Add", ["x", "w"])], constants=[t]).SerializeToString())

    return write


def linked(folder):
    (folder.parent / "secret.bin").write_bytes(b"\0" * 64)
    os.symlink(folder.parent / "secret.bin", folder / "link.bin")


def linked_folder(folder):
    os.symlink("/", folder / "root")


def short_data(folder):
    (folder / "w.bin").write_bytes(b"\0" * 8)


def a_pipe(folder):
    os.mkfifo(folder / "pipe.bin")


# ---- graphs ---------------------------------------------------------------------------------------


def cycle():
    return model([node("Add", ["x", "b"], ["a"], name="first"), node("Relu", ["a"], ["b"], name="second"),
                  node("Relu", ["a"], ["y"], name="third")])


def two_makers():
    return model([node("Relu", name="first"), node("Neg", name="second")])


def twice(attribute="axis"):
    made = model([node("Softmax")])
    for _ in range(2):
        made.graph.node[0].attribute.append(helper.make_attribute(attribute, 1))
    return made


def unsupported_operators():
    return model([node("Nonsense", ["x"], ["a"], name="n1"), node("Relu", ["a"], ["b"], name="n2"),
                  node("Nonsense", ["b"], ["c"], name="n3"), node("Fancy", ["c"], ["y"], name="n4")])


def other_domain():
    made = model([node("Fancy", domain="com.example")])
    made.opset_import.append(helper.make_opsetid("com.example", 3))
    return made


def functions(bodies, name=None, inputs=("x",)):
    """F0, F1, ... of the domain `mine`: chains of the operators (or functions) that `bodies` name. x -> F0 -> y."""
    made = []
    for k, ops in enumerate(bodies):
        values = ["a", *(f"t{n}" for n in range(len(ops) - 1)), "b"]
        nodes = [helper.make_node(op, [values[n]], [values[n + 1]], domain="mine" if op[0] == "F" else "") for n, op in enumerate(ops)]
        made.append(helper.make_function("mine", name or f"F{k}", ["a"], ["b"], nodes,
                                         [helper.make_opsetid("", 13), helper.make_opsetid("mine", 1)]))
    result = model([node(name or "F0", inputs, domain="mine")], functions=made)
    result.opset_import.append(helper.make_opsetid("mine", 1))
    return result


def loop_constants():
    return [constant("count", numpy.int64(200)), constant("go", numpy.bool_(True))]


def loops(depth):
    """Loops in loops, each of 200 iterations."""
    inner = [node("Identity", ["s"], ["t"], name="inner")] if depth == 1 else [loops(depth - 1)]
    body = helper.make_graph([node("Identity", ["c"], ["d"], name="stay"), *inner], f"body{depth}",
                             [value("k", [], INT64), value("c", [], TensorProto.BOOL), value("s", IMAGE)],
                             [value("d", [], TensorProto.BOOL), value("t", IMAGE)])
    return helper.make_node("Loop", ["count", "go", "x" if depth == 4 else "s"], ["y" if depth == 4 else "t"], name="culprit", body=body)


def attribute_of_a_function():
    made = model([node("Softmax")])
    made.graph.node[0].attribute.append(AttributeProto(name="axis", type=AttributeProto.INT, ref_attr_name="a"))
    return made


def free(shape, make=lambda: node("Relu")):
    return file_of(lambda: model([make()], [value("x", shape)]))


def shape_operand(op, data, **attributes):
    return single(op, [constant("s", numpy.asarray(data, numpy.int64))], inputs=("x", "s"), **attributes)


def of_two_inputs(op, **attributes):
    return file_of(lambda: model([node(op, ["x", "s"], **attributes)],
                                 [value("x", IMAGE), value("s", [4], INT64)]))


BAD = [
    # files
    Bad("missing", lambda path: None, BAD_INPUT, ["no such file"]),
    Bad("folder", lambda path: path.mkdir(), BAD_INPUT, ["is not a file"]),
    Bad("empty", lambda path: path.write_bytes(b""), BAD_INPUT, ["is empty"]),
    Bad("text", lambda path: path.write_text("this is no model\n" * 9), BAD_INPUT, ["is not an ONNX model"]),
    Bad("noise", lambda path: path.write_bytes(numpy.random.default_rng(1).bytes(4096)), BAD_INPUT, ["is not an ONNX model"]),
    Bad("truncated", file_of(truncated), BAD_INPUT, ["cut off"]),
    Bad("nested", file_of(deeply_nested), BAD_INPUT, ["nested too deeply"]),
    Bad("claims_gigabytes", file_of(claims_gigabytes), BAD_INPUT, ["cut off"]),
    Bad("no_outputs", file_of(lambda: helper.make_model(helper.make_graph([], "g", [], []))), BAD_INPUT, ["no graph with outputs"]),
    # versions, operators
    Bad("opset_99", file_of(lambda: model([node("Relu")], opset=99)), UNSUPPORTED, ["opset 99"]),
    Bad("opset_0", file_of(lambda: model([node("Relu")], opset=0)), UNSUPPORTED, ["opset 0"]),
    Bad("operators", file_of(unsupported_operators), UNSUPPORTED,
        ["'Nonsense of opset 13' (2 nodes: 'n1', 'n3')", "'Fancy of opset 13' (1 node: 'n4')"]),
    Bad("domain", file_of(other_domain), UNSUPPORTED, ["com.example::Fancy", "'culprit'"]),
    Bad("function", file_of(lambda: functions([["Nonsense"]])), UNSUPPORTED, ["'Nonsense of opset 13'"]),
    Bad("function_of_itself", file_of(lambda: functions([["F1"], ["F0"]])), BAD_INPUT, ["mine::F", "calls itself"]),
    Bad("functions_too_deep", file_of(lambda: functions([[f"F{k + 1}"] for k in range(40)] + [["Relu"]])), BAD_INPUT,
        ["mine::F", "more than 32 deep"]),
    Bad("function_twice", file_of(lambda: functions([["Relu"], ["Relu"]], "F")), BAD_INPUT, ["two functions", "mine::F"]),
    Bad("function_operands", file_of(lambda: functions([["Relu"]], inputs=("x", "x"))), BAD_INPUT, ["'culprit'", "takes 1 operands, not 2"]),
    Bad("functions_explode", file_of(lambda: functions([[f"F{k + 1}"] * 8 for k in range(12)] + [["Relu"]])), BAD_INPUT,
        ["more than 1048576 nodes", "--limit nodes=N"]),
    Bad("loops_explode", file_of(lambda: model([loops(4)], constants=loop_constants())), BAD_INPUT, ["more than 1048576 nodes"]),
    Bad("node_limit", file_of(lambda: model([node("Neg", ["x"], ["a"]), node("Relu", ["a"])])), BAD_INPUT, ["more than 1 nodes"],
        ["--limit", "nodes=1"]),
    Bad("tensor_limit", with_tensor(tensor([4], raw_data=b"\0" * 16)), BAD_INPUT, ["'w'", "16 bytes", "--limit tensor-bytes=N"],
        ["--limit", "tensor-bytes=15"]),
    Bad("constants_limit", with_tensor(tensor([4], raw_data=b"\0" * 16)), BAD_INPUT, ["'w'", "--limit constant-bytes=N"],
        ["--limit", "constant-bytes=15"]),
    Bad("limit_unknown", file_of(good), USAGE, ["'bytes=3'", "nodes, tensor-bytes, constant-bytes"], ["--limit", "bytes=3"]),
    Bad("limit_zero", file_of(good), USAGE, ["'nodes=0'"], ["--limit", "nodes=0"]),
    Bad("control_flow", file_of(lambda: model([node("If", ["x"], then_branch=good().graph, else_branch=good().graph)])),
        BAD_INPUT, ["'culprit'", "the condition is f32"]),
    Bad("too_old", file_of(lambda: model([node("Gelu")])), UNSUPPORTED, ["'Gelu of opset 13'"]),
    Bad("string_tensor", with_tensor(tensor([1], TensorProto.STRING)), UNSUPPORTED, ["'w'", "string"]),
    Bad("complex_tensor", with_tensor(tensor([1], TensorProto.COMPLEX64)), UNSUPPORTED, ["'w'", "complex64"]),
    Bad("unknown_type", with_tensor(tensor([1], 77)), UNSUPPORTED, ["'w'", "number 77"]),
    Bad("rank_9", with_tensor(tensor([1] * 9, raw_data=b"\0" * 4)), UNSUPPORTED, ["'w'", "rank 9"]),
    Bad("run_time_shape", of_two_inputs("Reshape"), UNSUPPORTED, ["'culprit'", "'s'", "must be computable"]),
    # tensors
    Bad("too_few_bytes", with_tensor(tensor([1000, 1000], raw_data=b"\0" * 16)), BAD_INPUT, ["'w'", "16 bytes", "4000000"]),
    Bad("too_few_elements", with_tensor(tensor([2, 2])), BAD_INPUT, ["'w'", "0 elements", "need 4"]),
    Bad("negative_dim", with_tensor(tensor([-1], raw_data=b"\0" * 4)), BAD_INPUT, ["'w'", "dimension -1"]),
    Bad("overflow_to_zero", with_tensor(tensor([1 << 32, 1 << 32])), BAD_INPUT, ["'w'", "2^40 elements"]),
    Bad("overflow", with_tensor(tensor([1 << 31, 1 << 31, 16])), BAD_INPUT, ["'w'", "2^40 elements"]),
    Bad("external_parent", external({"location": "../secret.bin"}), BAD_INPUT, ["'w'", "inside the model's folder", "../secret.bin"]),
    Bad("external_nested_parent", external({"location": "sub/../../secret.bin"}), BAD_INPUT, ["'w'"]),
    Bad("external_absolute", external({"location": "/etc/passwd"}), BAD_INPUT, ["'w'", "inside the model's folder"]),
    Bad("external_link", external({"location": "link.bin"}, linked), BAD_INPUT, ["'w'", "links are not followed"]),
    Bad("external_folder_link", external({"location": "root/etc/passwd"}, linked_folder), BAD_INPUT, ["'w'", "links are not followed"]),
    Bad("external_pipe", external({"location": "pipe.bin"}, a_pipe), BAD_INPUT, ["'w'", "not a regular file"]),
    Bad("external_missing", external({"location": "none.bin"}), BAD_INPUT, ["'w'", "none.bin"]),
    Bad("external_no_location", external({}), BAD_INPUT, ["'w'"]),
    Bad("external_short", external({"location": "w.bin"}, short_data), BAD_INPUT, ["'w'", "8 bytes", "needed are 16"]),
    Bad("external_offset", external({"location": "w.bin", "offset": str(2 ** 63 - 1)}, short_data), BAD_INPUT, ["'w'"]),
    Bad("external_negative", external({"location": "w.bin", "offset": "-8"}, short_data), BAD_INPUT, ["'w'", "offset '-8'"]),
    Bad("external_length", external({"location": "w.bin", "length": "4"}, short_data), BAD_INPUT, ["'w'", "4 bytes"]),
    Bad("external_key", external({"location": "w.bin", "allocate": "99"}, short_data), BAD_INPUT, ["'w'", "'allocate'"]),
    # graphs
    Bad("cycle", file_of(cycle), BAD_INPUT, ["'first'", "cycle"]),
    Bad("two_makers", file_of(two_makers), BAD_INPUT, ["'second'", "'y'", "already exists"]),
    Bad("dangling_input", single("Relu", inputs=("nobody",)), BAD_INPUT, ["'culprit'", "'nobody'", "nothing makes"]),
    Bad("dangling_output", file_of(lambda: model([node("Relu")], outputs=[value("nobody", None)])), BAD_INPUT, ["'nobody'"]),
    Bad("two_inputs", file_of(lambda: model([node("Relu")], [value("x", IMAGE)] * 2)), BAD_INPUT, ["two inputs", "'x'"]),
    Bad("two_initializers", file_of(lambda: model([node("Relu")], constants=[constant("w", numpy.zeros(1))] * 2)), BAD_INPUT,
        ["two initializers", "'w'"]),
    Bad("two_outputs", file_of(lambda: model([node("Relu")], outputs=[value("y", None)] * 2)), BAD_INPUT, ["two outputs", "'y'"]),
    Bad("makes_its_input", file_of(lambda: model([node("Relu", ["x"], ["x"])], outputs=[value("x", None)])), BAD_INPUT,
        ["'x'", "already exists"]),
    Bad("missing_operand", single("Conv"), BAD_INPUT, ["'culprit'", "misses operand 1"]),
    # attributes
    Bad("attribute_type", single("Softmax", axis=1.5), BAD_INPUT, ["'culprit'", "'axis' is a float, expected an integer"]),
    Bad("attribute_twice", file_of(twice), BAD_INPUT, ["'culprit'", "'axis' is given twice"]),
    Bad("attribute_reference", file_of(attribute_of_a_function), BAD_INPUT, ["'culprit'", "'axis'"]),
    Bad("axis_outside", single("Softmax", axis=-5), BAD_INPUT, ["'culprit'", "axis -5 is outside [-4, 4)"]),
    Bad("axis_twice", single("ReduceMean", axes=[1, -3]), BAD_INPUT, ["'culprit'", "twice"]),
    Bad("stride_0", conv(strides=[0, 1]), BAD_INPUT, ["'culprit'", "'strides' has the entry 0"]),
    Bad("stride_count", conv(strides=[1]), BAD_INPUT, ["'culprit'", "'strides' has 1 entries, expected 2"]),
    Bad("pads_negative", conv(pads=[0, 0, -1, 0]), BAD_INPUT, ["'culprit'", "'pads' has the entry -1"]),
    Bad("pads_huge", conv(pads=[2 ** 62] * 4), BAD_INPUT, ["'culprit'", "'pads'"]),
    Bad("dilation_0", conv(dilations=[1, 0]), BAD_INPUT, ["'culprit'", "'dilations'"]),
    Bad("group_0", conv(group=0), BAD_INPUT, ["'culprit'", "0 groups"]),
    Bad("group_2", conv(group=2), BAD_INPUT, ["'culprit'", "2 groups do not divide 3"]),
    Bad("group_negative", conv(group=-(2 ** 63)), BAD_INPUT, ["'culprit'", "groups"]),
    Bad("kernel_too_large", conv((4, 3, 9, 9)), BAD_INPUT, ["'culprit'", "does not fit into 8"]),
    Bad("kernel_shape", conv(kernel_shape=[5, 5]), BAD_INPUT, ["'culprit'", "'kernel_shape'"]),
    Bad("channels", conv((4, 2, 3, 3)), BAD_INPUT, ["'culprit'", "2 channels per group"]),
    Bad("weights_rank", conv((4, 3, 3)), BAD_INPUT, ["'culprit'"]),
    Bad("auto_pad", conv(auto_pad="SOME"), BAD_INPUT, ["'culprit'", "'SOME'"]),
    Bad("pool_window_0", single("MaxPool", kernel_shape=[0, 2]), BAD_INPUT, ["'culprit'", "size 0"]),
    Bad("pool_no_window", single("MaxPool"), BAD_INPUT, ["'culprit'", "'kernel_shape'"]),
    Bad("perm", single("Transpose", perm=[0, 1, 1, 2]), BAD_INPUT, ["'culprit'", "'perm'"]),
    Bad("concat_axis", single("Concat", inputs=("x", "x"), axis=9), BAD_INPUT, ["'culprit'", "axis 9"]),
    Bad("concat_without_axis", single("Concat", inputs=("x", "x")), BAD_INPUT, ["'culprit'", "'axis'"]),
    Bad("add_shapes", single("Add", [constant("w", numpy.zeros((5, 8), numpy.float32))], inputs=("x", "w")), BAD_INPUT,
        ["'culprit'", "8 and 5"]),
    Bad("add_types", single("Add", [constant("w", numpy.zeros(8, numpy.int64))], inputs=("x", "w")), BAD_INPUT,
        ["'culprit'", "f32 and i64"]),
    Bad("matmul", single("MatMul", [constant("w", numpy.zeros((5, 8), numpy.float32))], inputs=("x", "w")), BAD_INPUT,
        ["'culprit'", "cannot multiply"]),
    Bad("reshape", shape_operand("Reshape", [5, -1]), BAD_INPUT, ["'culprit'"]),
    Bad("cumsum_two_axes", shape_operand("CumSum", [0, 1]), UNSUPPORTED, ["'culprit'", "operand 1 must be a constant scalar"]),
    Bad("reshape_two_inferred", shape_operand("Reshape", [-1, -1]), BAD_INPUT, ["'culprit'", "-1 twice"]),
    Bad("reshape_huge", shape_operand("Reshape", [2 ** 40, 2 ** 40]), BAD_INPUT, ["'culprit'", "2^40"]),
    Bad("reshape_by_floats", single("Reshape", [constant("s", numpy.float32([2, 2]))], inputs=("x", "s")), BAD_INPUT,
        ["'culprit'", "'s'", "integers"]),
    Bad("reshape_copies_nothing", shape_operand("Reshape", [1, 3, 8, 8, 0]), BAD_INPUT, ["'culprit'", "position 4"]),
    Bad("expand_huge", shape_operand("Expand", [2 ** 30, 2 ** 30, 1, 8, 8]), BAD_INPUT, ["'culprit'"]),
    Bad("fill_huge", file_of(lambda: model([node("ConstantOfShape", ["s"])], constants=[constant("s", numpy.int64([2 ** 41]))])),
        BAD_INPUT, ["'culprit'", "2^40"]),
    Bad("fill_negative", file_of(lambda: model([node("ConstantOfShape", ["s"])], constants=[constant("s", numpy.int64([-2]))])),
        BAD_INPUT, ["'culprit'", "negative"]),
    Bad("tile_huge", shape_operand("Tile", [2 ** 62, 1, 1, 1]), BAD_INPUT, ["'culprit'"]),
    Bad("split_sizes", file_of(lambda: model([node("Split", ["x", "s"], ["y", "z"], axis=1)],
                                             constants=[constant("s", numpy.int64([1, 1]))])), BAD_INPUT, ["'culprit'", "add up to 2"]),
    Bad("slice_step_0", single("Slice", [constant(n, numpy.int64([v])) for n, v in zip("abcd", (0, 2, 1, 0))],
                               inputs=("x", "a", "b", "c", "d")), BAD_INPUT, ["'culprit'", "step 0"]),
    Bad("gather_index", shape_operand("Gather", [7], axis=1), BAD_INPUT, ["'culprit'", "index 7"]),
    Bad("squeeze", shape_operand("Squeeze", [1]), BAD_INPUT, ["'culprit'", "axis 1"]),
    Bad("unsqueeze_rank_9", shape_operand("Unsqueeze", [0, 1, 2, 3, 4]), UNSUPPORTED, ["'culprit'", "rank 9"]),
    Bad("pad_cuts_all", shape_operand("Pad", [0, 0, -9, 0, 0, 0, 0, 0]), BAD_INPUT, ["'culprit'", "axis 2"]),
    Bad("scale_negative", single("Resize", [constant("k", numpy.float32([1, 1, -2, 1]))], 11, ("x", "", "k")), BAD_INPUT,
        ["'culprit'", "scale"]),
    Bad("scale_nan", single("Resize", [constant("k", numpy.float32([1, 1, numpy.nan, 1]))], 11, ("x", "", "k")), BAD_INPUT,
        ["'culprit'", "scale"]),
    Bad("block_0", single("DepthToSpace", blocksize=0), BAD_INPUT, ["'culprit'", "'blocksize' is 0"]),
    Bad("block_3", single("DepthToSpace", blocksize=3), BAD_INPUT, ["'culprit'", "3^2"]),
    Bad("constant_without_value", file_of(lambda: model([node("Constant", [])])), BAD_INPUT, ["'culprit'", "one attribute"]),
    # shapes
    Bad("free_size", free(["N", 3, "H", 640]), USAGE, ["'x' is [N,3,H,640]", "--shape x=1x3x640x640"]),
    Bad("no_rank", free(None), USAGE, ["'x'", "--shape x="]),
    Bad("shape_rank", free(IMAGE), USAGE, ["x=8x8", "expected 4"], ["--shape", "x=8x8"]),
    Bad("shape_fixed", free(IMAGE), USAGE, ["x=1x4x8x8", "dimension 1 to 3"], ["--shape", "x=1x4x8x8"]),
    Bad("shape_unknown", free(IMAGE), USAGE, ["'z'", "'x'"], ["--shape", "z=1x3x8x8"]),
    Bad("shape_contradicts", file_of(lambda: model([node("Add", ["x", "z"])], [value("x", ["N", 3]), value("z", ["N", 3])])), USAGE,
        ["'N'", "2 and 5"], ["--shape", "x=2x3", "--shape", "z=5x3"]),
    Bad("max_shape_fixed", free(IMAGE), USAGE, ["--max-shape x=1x4x8x8"], ["--max-shape", "x=1x4x8x8"]),
    Bad("input_huge", free([2 ** 31, 2 ** 31]), USAGE, ["'x'", "2^40"]),
    Bad("input_string", file_of(lambda: model([node("Relu")], [value("x", [1], TensorProto.STRING)])), UNSUPPORTED, ["'x'", "string"]),
]
