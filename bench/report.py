"""Writes docs/benchmarks.md from results of models.py and int8.py: ./dev bench report [RESULT.json] [-o PAGE.md]"""
import argparse
import json
import pathlib
import sys

from harness import summary
from harness.engines import ENGINES, INT8_ENGINES, INT8_RIVALS

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULT = ROOT / "bench" / "results" / "models.json"
INT8_RESULT = RESULT.with_name("int8.json")
SOURCES = {"trained": "a published network with its weights", "exported": "an export with random weights",
           "built": "built with random weights", "file": "a file"}


def table(head, rows):
    """A Markdown table; the first column is left, the others are right."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join([":--"] + ["--:"] * (len(head) - 1)) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def engines_of(result):
    return [name for name in ENGINES if name in result["versions"]]


def milliseconds(value):
    return "-" if value is None else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def latency_of(run, name):
    """The cell of an engine: its median, marked where it computes something else."""
    figures = run["engines"].get(name, {})
    wrong = "median_ms" in figures and not figures.get("agrees", False)
    return milliseconds(figures.get("median_ms")) + (" (!)" if wrong else "")


def latency(result, threads):
    engines = engines_of(result)
    others = [name for name in engines if name != "planish"]
    yield f"## Latency with {threads} thread{'s' * (threads > 1)}"
    yield ""
    values = summary.ratios(result, threads)
    if values:
        mean, worst = summary.geometric_mean(values.values()), min(values, key=values.get)
        yield (f"Geometric mean of the ratio over {len(values)} networks: **{mean:.2f}**; the least is "
               f"{values[worst]:.2f} ({worst}); {sum(value >= 1 for value in values.values())} are 1 or more.")
        yield ""
    head = ["network", "Planish ms", "runs/s", *(f"{ENGINES[name].title} ms" for name in others), "ratio", "GFLOP/s",
            "% of peak", "cores' trip ns", "others"]
    rows = []
    for model, run in summary.runs_with(result, threads):
        median = run["engines"].get("planish", {}).get("median_ms")
        rows.append([model["name"], latency_of(run, "planish"), summary.cell(1e3 / median if median else None, ".0f"),
                     *(latency_of(run, name) for name in others), summary.cell(summary.ratio(run), ".2f"),
                     summary.cell(summary.gflops(model, run), ".0f"), summary.cell(summary.of_peak(model, run), ".0f"),
                     summary.cell(run["round_trip_ns"], ".0f"), f"{run['foreign']:.2f}"])
    yield from table(head, rows)


def scaling(result):
    """What a second thread is worth, where both were measured."""
    engines = engines_of(result)
    rows, kept = [], {name: [] for name in engines}
    for model in result["models"]:
        runs = {run["threads"]: run["engines"] for run in model["runs"]}
        if not {1, 2} <= set(runs):
            continue
        gains = {name: runs[1][name]["median_ms"] / runs[2][name]["median_ms"] for name in engines
                 if "median_ms" in runs[1].get(name, {}) and "median_ms" in runs[2].get(name, {})}
        for name, gain in gains.items():
            kept[name].append(gain)
        rows.append([model["name"], *(summary.cell(gains.get(name), ".2f") for name in engines)])
    if not rows:
        return
    yield "## What a second thread is worth"
    yield ""
    rows.append(["geometric mean", *(summary.cell(summary.geometric_mean(kept[name]), ".2f") for name in engines)])
    yield from table(["network", *(ENGINES[name].title for name in engines)], rows)


def memory(result):
    """Peak of each process with one thread, and what an engine takes to be ready."""
    engines = engines_of(result)
    threads = summary.thread_counts(result)[0]
    runs = summary.runs_with(result, threads)
    pairs = [pair for _, run in runs if (pair := summary.least_memory(run))]
    yield "## Memory and start"
    yield ""
    yield (f"Peak resident memory in MB of the whole process, Python and inputs included, with {threads} thread; below "
           f"every other f32 engine's on {sum(ours < theirs for ours, theirs in pairs)} of {len(pairs)} networks. "
           "`load` is the time to be ready for the first run, in ms: Planish has compiled before, the others "
           "optimize while they load; ncnn's conversion is not in it.")
    yield ""
    rows = []
    for model, run in runs:
        figures = [run["engines"].get(name, {}) for name in engines]
        rows.append([model["name"], *(summary.cell(figure.get("peak_mb"), ".0f") for figure in figures),
                     *(summary.cell(figure["load_s"] * 1e3 if "load_s" in figure else None, ".0f") for figure in figures)])
    yield from table(["network", *(f"{ENGINES[name].title} MB" for name in engines),
                      *(f"{ENGINES[name].title} load" for name in engines)], rows)


def compiling(result):
    yield "## Compiling"
    yield ""
    yield ("`code` is the library without its weights, the runtime included. The error is the largest of any output, "
           "relative to that output's largest value: against ONNX Runtime without optimizations, and against the "
           "expected outputs that a network came with.")
    yield ""
    rows = []
    for model in result["models"]:
        made, ours = model["compile"], (model["runs"] or [{"engines": {}}])[0]["engines"].get("planish", {})
        if "error" in made:
            rows.append([model["name"], SOURCES[model["source"]], "does not compile", *["-"] * 6])
            continue
        error = summary.cell(ours.get("max_error"), ".0e") + (" sorted" if ours.get("sorted") else "")
        rows.append([model["name"], SOURCES[model["source"]], f"{made['gflop']:.2f}", f"{made['seconds']:.1f}",
                     f"{made['code_bytes'] / 1e3:.0f}", f"{made['weights_bytes'] / 1e6:.1f}",
                     f"{made['arena_bytes'] / 1e6:.1f}", error, summary.cell(model.get("golden_error"), ".0e")])
    yield from table(["network", "what it is", "GFLOP", "seconds", "code kB", "weights MB", "arena MB", "error",
                      "error, expected"], rows)


def slowest_layers(result):
    """Three of each network, with one thread."""
    rows = []
    for model in result["models"]:
        for layer in model.get("layers", []):
            first = layer["nodes"].split(", ")[0]
            rows.append([model["name"], f"`{first}`", layer["schedule"].split(" ")[0], f"{layer['us'] / 1e3:.3f}",
                         f"{100 * layer['share']:.0f}", f"{layer['gflops']:.0f}", summary.cell(layer["of_peak"], ".0f")])
    if not rows:
        return
    yield "## The slowest layers"
    yield ""
    yield "Three of each network with one thread, named by the first ONNX node they compute."
    yield ""
    yield from table(["network", "layer", "template", "ms", "% of the time", "GFLOP/s", "% of peak"], rows)


def failures(result):
    """What an engine said instead of a figure, each once."""
    lines = {}
    for model in result["models"]:
        if "error" in model["compile"]:
            lines[f"- {model['name']}, Planish: {model['compile']['error']}"] = None
        for run in model["runs"]:
            for name, figures in run["engines"].items():
                if "error" in figures:
                    lines[f"- {model['name']}, {ENGINES[name].title}: {figures['error']}"] = None
                elif not figures.get("agrees", True) and name != "openvino_default":
                    wrong = summary.cell(figures.get("max_error"), ".0e")
                    lines[f"- {model['name']}, {ENGINES[name].title}: computes something else (error {wrong})"] = None
    if lines:
        yield "## What did not run"
        yield ""
        yield from lines
        yield ""


def int8_gains(run):
    """How many times as fast as others the quantized network is: peers kept to VNNI, all peers, our strict and fast f32."""
    return [summary.ratio_to(run, names) for names in
            (INT8_RIVALS, [*INT8_RIVALS, "openvino"], ["planish_strict"], ["planish_f32"])]


def quantized(result):
    """The same QDQ files on all engines, of int8.py."""
    settings = result["settings"]
    yield "## Quantized networks"
    yield ""
    yield (f"Written by `./dev bench int8 --json bench/results/int8.json` on {result['date']}, Planish "
           f"{result['versions']['planish']}, target `{settings['target']}`, {settings['rounds']} rounds of "
           f"{settings['seconds']} s. Every engine is given the same file with QuantizeLinear and DequantizeLinear, made by "
           "ONNX Runtime's quantizer. OpenVINO uses AMX on a CPU that has it, which Planish does not: it has a column as it "
           "comes and one where it is kept to AVX-512 with VNNI. `peers` is the fastest of ONNX Runtime and the latter over "
           "Planish, `with AMX` the fastest of all; `strict f32` and `f32` are our own float forms of the network over "
           "the quantized one, direct and with Winograd. The error is Planish's against ONNX Runtime without optimizations, "
           "relative to an output's largest value: floats between the codes may round another way, and then a code is "
           "another one.")
    yield ""
    for threads in summary.thread_counts(result):
        pairs = summary.runs_with(result, threads)
        gains = [int8_gains(run) for _, run in pairs]
        yield f"### {threads} thread{'s' * (threads > 1)}"
        yield ""
        rows = [[model["name"], *(milliseconds(run["engines"].get(name, {}).get("median_ms")) for name in INT8_ENGINES),
                 *(summary.cell(gain, ".2f") for gain in row),
                 summary.cell(run["engines"].get("planish", {}).get("max_error"), ".0e"), f"{run['foreign']:.2f}"]
                for (model, run), row in zip(pairs, gains)]
        means = [summary.geometric_mean(value for row in gains if (value := row[i])) for i in range(4)]
        rows.append(["geometric mean", *[""] * len(INT8_ENGINES), *(summary.cell(mean, ".2f") for mean in means), "", ""])
        yield from table(["network", *(f"{engine.title} ms" for engine in INT8_ENGINES.values()), "peers", "with AMX",
                          "strict f32", "f32", "error", "others"], rows)


def page(result, int8=None):
    """The text of docs/benchmarks.md; `int8` may be None."""
    machine, settings = result["machine"], result["settings"]
    versions = ", ".join(f"{ENGINES[name].title} {version}" for name, version in result["versions"].items())
    lines = [
        "# Benchmarks", "",
        "Written by `./dev bench report` from `bench/results/models.json`, which `./dev bench models --json "
        "bench/results/models.json` measures.", "",
        f"- Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}",
        f"- Engines: {versions}",
        f"- Date: {result['date']}; target `{settings['target']}`",
        f"- Batch 1. Engines take turns of {settings['seconds']} s, {settings['rounds']} rounds, each in a process of its "
        "own on the same first cores. A time is the median over the rounds of each turn's median, taken around the "
        "Python call that leaves fresh output arrays; the ratio is the median over the rounds of the fastest f32 engine's "
        "time over Planish's in that round, so above 1 Planish is faster.",
        "- OpenVINO's default may compute in bf16 on CPUs that have it: it has a column and no part in the ratio. (!) marks "
        "an engine whose outputs differ by more than 1 % of their largest value.",
        "- GFLOP/s count the multiplications and additions of the direct form, so an algorithm that saves work can pass "
        "100 % of the peak, which is measured just before and after each row. The cores' trip is the round trip of a "
        "message between the two cores: on a virtual machine it changes with where the host puts them, and two-thread "
        "times with it. `others` is how many cores other processes used during the row.", ""]
    for threads in summary.thread_counts(result):
        lines += latency(result, threads)
    for part in (scaling, memory, compiling, slowest_layers, failures):
        lines += part(result)
    lines += quantized(int8) if int8 else []
    return "\n".join(lines).rstrip() + "\n"


def read(path):
    """A result of models.py and, if it is there, that of int8.py."""
    int8 = json.loads(INT8_RESULT.read_text()) if INT8_RESULT.exists() else None
    return json.loads(path.read_text()), int8


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", nargs="?", type=pathlib.Path, default=RESULT)
    parser.add_argument("-o", "--output", type=pathlib.Path, default=ROOT / "docs" / "benchmarks.md")
    options = parser.parse_args()
    options.output.write_text(page(*read(options.result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
