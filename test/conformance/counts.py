"""How many node tests of the onnx package pass, per operator.

    planish-opt --list-ops | python3 test/conformance/counts.py > docs/operators.md
    python3 test/conformance/counts.py --record RESULTS.json      after a run of the whole suite

The first adds the column to the reference of operators, the second writes it down from the suite's results.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

RECORD = Path(__file__).with_name("passes.txt")
HEAD = "| ONNX operator | domain | since version |\n|---|---|---|\n"


def record(results):
    """The text of passes.txt: operator, cases that pass, cases."""
    passed, tried = Counter(), Counter()
    for case in results["results"]:
        tried[case["op"]] += 1
        passed[case["op"]] += case["status"] == "pass"
    return f"# onnx {results['onnx']}\n" + "".join(f"{name} {passed[name]} {tried[name]}\n" for name in sorted(tried))


def recorded():
    """{operator: (passed, tried)} and the version of onnx."""
    head, *rows = RECORD.read_text().splitlines()
    return {name: (int(passed), int(tried)) for name, passed, tried in map(str.split, rows)}, head.split()[-1]


def annotated(text):
    """The reference with a column of counts behind the ONNX operators."""
    counts, version = recorded()
    before, table = text.split(HEAD)

    def row(match):
        operator, domain = match[2], match[3]
        passed, tried = counts.get(operator, (0, 0)) if domain == "ai.onnx" else (0, 0)
        return f"{match[1]} {f'{passed} of {tried}' if tried else ''} |"

    table = re.sub(r"^(\| (\w+) \| ([\w.]+) \|.*\|)$", row, table, flags=re.MULTILINE)
    note = (f"The last column counts the cases of the suite of onnx {version} that test the operator, shape operands as "
            "constants,\nand those of them that pass; `test/conformance/not-passing.md` lists the others.\n\n")
    return before + note + HEAD.replace(" |\n|---|", " | cases that pass |\n|---|---|", 1) + table


if __name__ == "__main__":
    if sys.argv[1:2] == ["--record"]:
        RECORD.write_text(record(json.loads(Path(sys.argv[2]).read_text())))
    else:
        sys.stdout.write(annotated(sys.stdin.read()))
