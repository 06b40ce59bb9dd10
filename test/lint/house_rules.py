"""House rules that a compiler cannot check; the room table in docs/architecture.md is their source.

Prints one line per broken rule, `file:line: message`, and exits 1 if there is any.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_SUFFIXES = {".cpp", ".h", ".c", ".cu", ".cuh", ".cl", ".py", ".in"}
TEXT_SUFFIXES = SOURCE_SUFFIXES | {".cmake", ".txt", ".md", ".json", ".test", ".sh", ".toml", ".pyi", ""}
SKIPPED_FOLDERS = {".git", ".cache", "__pycache__", ".pytest_cache"}
MAX_LINES = 700
# Rooms that never see the graph use the same short words ("add", "max") for their own things.
SEES_OPERATORS = {"graph", "onnx", "quant", "transform", "lower", "artifact", "driver", "tune", "tools", "python"}


def files():
    """All text files of the tree, build folders excepted."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if SKIPPED_FOLDERS & set(parts) or parts[0] in {"build", "out", "LICENSE"} or not path.is_file():
            continue
        if path.suffix in TEXT_SUFFIXES:
            yield path, "/".join(parts)


def read_room_table(text):
    """The table of docs/architecture.md as {room: set of rooms it names}."""
    table = {}
    section = text.split("## Rooms", 1)[1].split("\n## ", 1)[0]
    for row in re.findall(r"^\| *(\w+) *\| *([\w, -]+?) *\|", section, re.M):
        if row[0] != "room":
            table[row[0]] = set() if row[1] == "-" else set(re.split(r", *", row[1]))
    unknown = {(room, dep) for room, deps in table.items() for dep in deps if dep not in table}
    if not table or unknown:
        raise SystemExit(f"docs/architecture.md: cannot read the room table, unknown rooms: {sorted(unknown)}")
    return table


def closures(table):
    """{room: itself and all rooms it may include}; fails on a cycle."""
    done = {}

    def visit(room, path):
        if room in path:
            raise SystemExit(f"docs/architecture.md: rooms include each other: {' -> '.join(path + (room,))}")
        if room not in done:
            done[room] = {room}.union(*(visit(dep, path + (room,)) for dep in table[room]))
        return done[room]

    for room in table:
        visit(room, ())
    return done


def room_of(name, table):
    """The room that owns a file of the tree, or None."""
    for pattern in (r"lib/(\w+)/", r"include/planish/(\w+)/", r"(runtime|tools|python)/"):
        match = re.match(pattern, name)
        if match and match[1] in table:
            return match[1]
    return None


def check_includes(name, lines, room, allowed, rooms):
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s*["<](planish/(\w+)[/.]|llvm/|llvm-c/|lld/)', line)
        if not match:
            continue
        other = match[2]
        if other is None:
            if name.startswith("include/"):
                yield number, "a public header includes LLVM"
        elif other in rooms and other not in allowed[room]:
            yield number, f"room '{room}' may not include room '{other}'"


def check_cmake_deps(table, allowed):
    """DEPS of each room's CMakeLists.txt must say what the table says."""
    for path in sorted((ROOT / "lib").glob("*/CMakeLists.txt")):
        room = path.parent.name
        match = re.search(r"planish_room\(\s*(\w+)([^)]*)\)", path.read_text())
        name = f"lib/{room}/CMakeLists.txt"
        if not match or match[1] != room or room not in table:
            yield name, 1, "does not define the room of its folder, or the room has no row in docs/architecture.md"
            continue
        deps = re.search(r"DEPS\s+([\w\s]+?)(?=\s+LIBRARIES|\s*$)", match[2])
        linked = set(deps[1].split()) if deps else set()
        built = {room}.union(*(allowed.get(dep, set()) for dep in linked))
        if built | {"runtime"} != allowed[room] | {"runtime"}:
            yield name, 1, f"DEPS {sorted(linked)} is not the row of docs/architecture.md {sorted(table[room])}"


def operator_names(text):
    """Names of operators in a source of lib/ops: those of rows in our text form, those of import rules in ONNX."""
    row = r'\.name\s*=\s*"(\w+)"|PLANISH_(?:UNARY|BINARY)\("(\w+)"|\{"([A-Z]\w+)",\s*\d+,'
    return {name for found in re.findall(row, text) for name in found if name}


def check_operator_names(lines, names):
    """Spelling out an operator. Short words ("min", "shape") mean other things too, so those count only where they
    are compared with something or looked up as an operator; "Conv" and "conv_transpose" count anywhere."""
    for number, line in enumerate(lines, 1):
        code = line.split("//", 1)[0]
        for match in re.finditer(r'"(\w+)"', code):
            asked = re.search(r"([=!]=\s*|findOp\([^\"]*)$", code[:match.start()]) or re.match(
                r"\s*[=!]=", code[match.end():])
            if match[1] in names and (asked or not re.fullmatch("[a-z]+", match[1])):
                yield number, f'names the operator "{match[1]}": ask its row instead'


def check_text(name, lines):
    forbidden = (
        (r"\b(TO" + r"DO|FIX" + r"ME|HA" + r"CK)\b", "unfinished business belongs in an issue"),
        (r"not (yet )?" + r"implemented|for" + r" now\b", "say what holds, or refuse it with a diagnostic"),
        (r"(^|[\s\"'(=])/(tmp|work|root|home)/\w", "path of one machine"),
    )
    for number, line in enumerate(lines, 1):
        for pattern, message in forbidden:
            if re.search(pattern, line):
                yield number, message
    is_code = Path(name).suffix in SOURCE_SUFFIXES - {".in"}
    if is_code and len(lines) > MAX_LINES and not Path(name).stem.endswith("Table"):
        yield MAX_LINES, f"{len(lines)} lines; split it by idea (tables are named *Table)"
    if name.endswith(".h"):
        if not any(line.startswith(("//", "/*")) for line in lines[:3]):
            yield 1, "a header opens with what the thing means"
        if name.startswith(("include/", "lib/")) and "#pragma once" not in lines:
            yield 1, "a header has #pragma once"


def main():
    table = read_room_table((ROOT / "docs/architecture.md").read_text())
    allowed = closures(table)
    names = set().union(*(operator_names(path.read_text()) for path in (ROOT / "lib/ops").rglob("*.cpp")))
    broken = list(check_cmake_deps(table, allowed))
    count = 0
    for path, name in files():
        lines = path.read_text(encoding="utf-8").splitlines()
        count += 1
        broken += [(name, *found) for found in check_text(name, lines)]
        room = room_of(name, table)
        if room and path.suffix in SOURCE_SUFFIXES:
            broken += [(name, *found) for found in check_includes(name, lines, room, allowed, table.keys())]
            if room in SEES_OPERATORS:
                broken += [(name, *found) for found in check_operator_names(lines, names)]
    for name, line, message in broken:
        print(f"{name}:{line}: {message}")
    print(f"{count} files, {len(names)} operators, {len(broken)} broken rules")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
