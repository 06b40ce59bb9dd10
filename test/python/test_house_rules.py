"""Each house rule must be able to fail."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lint"))
import house_rules

TABLE = """
## Rooms
| room | may include | what |
|---|---|---|
| support | - | values |
| loop | support | loops |
| graph | loop | graphs |
| codegen | loop | code |
"""


@pytest.fixture
def table():
    return house_rules.read_room_table(TABLE)


def test_rooms_include_what_their_rooms_include(table):
    assert house_rules.closures(table)["graph"] == {"graph", "loop", "support"}


def test_rooms_in_a_circle_are_refused():
    with pytest.raises(SystemExit, match="include each other: a -> b -> a"):
        house_rules.closures({"a": {"b"}, "b": {"a"}})


def test_row_naming_an_unknown_room_is_refused():
    with pytest.raises(SystemExit, match="nowhere"):
        house_rules.read_room_table(TABLE + "| ops | nowhere | rows |\n")


@pytest.mark.parametrize("name, include, message", [
    ("lib/codegen/a.cpp", '#include "planish/graph/Graph.h"', "room 'codegen' may not include room 'graph'"),
    ("include/planish/loop/a.h", "#include <llvm/IR/Module.h>", "a public header includes LLVM"),
    ("lib/graph/a.cpp", '#include "planish/support/Result.h"', None),
    ("lib/codegen/a.cpp", "#include <llvm/IR/Module.h>", None),
])
def test_includes(table, name, include, message):
    found = house_rules.check_includes(
        name, ["", include], house_rules.room_of(name, table), house_rules.closures(table), table.keys())
    assert list(found) == ([(2, message)] if message else [])


def test_operator_names_are_read_from_their_rows():
    text = '{.name = "conv", x} PLANISH_UNARY("relu", "max(x, 0)") {"LeakyRelu", 1, import} {"none", 2}'
    assert house_rules.operator_names(text) == {"conv", "relu", "LeakyRelu"}


@pytest.mark.parametrize("line, broken", [
    ('if (node.name() == "conv") {', True),
    ('return "conv" == name;', True),
    ('const OpDef *op = findOp(ops, "conv");', True),
    ('names.insert("ConvTranspose");', True),
    ('json["conv"] = 1;', False),
    ('// node.name() == "conv"', False),
    ('if (name == "convex")', False),
])
def test_operator_names_belong_to_their_rows(line, broken):
    found = list(house_rules.check_operator_names([line], {"conv", "ConvTranspose"}))
    assert bool(found) == broken


@pytest.mark.parametrize("name, lines, message", [
    ("a.cpp", ["// TO" + "DO later"], "unfinished"),
    ("a.cpp", ['open("/' + 'tmp/x")'], "path of one machine"),
    ("a.cpp", [""] * 701, "701 lines"),
    ("lib/x/a.h", ["#pragma once"], "opens with what the thing means"),
    ("lib/x/a.h", ["// A thing."], "#pragma once"),
])
def test_text(name, lines, message):
    assert [found for _, found in house_rules.check_text(name, lines) if message in found]


def test_tables_may_be_long():
    assert not list(house_rules.check_text("lib/target/TargetTable.cpp", [""] * 900))
