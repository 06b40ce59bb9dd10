"""Latency and memory of whole networks next to other engines, all taking turns in one run.

    ./dev bench models [NAME|FILE.onnx ...] [--engines A,B] [--threads 1,2] [--rounds 15] [--json OUT]

Every engine runs in a process of its own on the first cores, one turn after the other, for many rounds; a figure is
the median of its turns' medians, a ratio the median of the rounds' ratios. Outputs are held against ONNX Runtime
without optimizations; an engine that computes something else is marked with ! and is nobody's rival. `trip` is the
round trip between the first two cores in ns: two-thread figures compare only where it is alike. `others` is how many
cores other processes used meanwhile: it should be near 0. OpenVINO's default may compute in bf16 and is left out of
the ratio. With --json, networks that the file has already are replaced there and the others stay; report.py makes
docs/benchmarks.md from such a file.
"""
import argparse
import json
import pathlib
import shutil
import sys
import tempfile

from harness import layers, machine, measure, models, results, summary
from harness.engines import ENGINES

ROOT = pathlib.Path(__file__).resolve().parents[1]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks (default: all), or .onnx files")
    parser.add_argument("--engines", default=",".join(ENGINES), help="default: %(default)s")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=measure.Pace.rounds)
    parser.add_argument("--seconds", type=float, default=measure.Pace.seconds, help="of an engine's turn")
    parser.add_argument("--target", default="cpu", help="what Planish compiles for")
    parser.add_argument("--json", type=pathlib.Path, help="write the result here, too")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / "bench", help="for files that are made")
    parser.add_argument("--compiled", action="store_true", help="use what an earlier run compiled into --work")
    parser.add_argument("--list", action="store_true", help="print the names of the networks and stop")
    options = parser.parse_args()
    options.engines = options.engines.split(",")
    if unknown := set(options.engines) - set(ENGINES):
        parser.error(f"no engine {', '.join(sorted(unknown))}; there are {', '.join(ENGINES)}")
    try:
        options.threads = [int(count) for count in options.threads.split(",")]
    except ValueError:
        parser.error(f"--threads takes numbers like 1,2, not '{options.threads}'")
    return options


def reference_of(case, folder):
    """The outputs to agree with, which are kept; None, and a word about it, where there are none."""
    kept = case.folder / "reference.npz"
    if not kept.exists():
        outputs = measure.outputs_of("reference", case, folder, kept)
        if not isinstance(outputs, dict):
            print(f"{case.name}: nothing to compare with: {outputs}", flush=True)
            return None
    return measure.read_outputs(kept)


def golden_error(case, folder):
    """The largest error against the expected outputs of a trained network, relative to each output's maximum."""
    known = models.expected(case)
    outputs = measure.outputs_of("planish", case, folder) if known else None
    if not isinstance(outputs, dict):
        return None
    golden, wanted = known
    return max(error / (scale + 1e-12) for error, scale in golden.check(wanted, outputs).values())


def run_case(case, options, engines, folder):
    """The record of one network, its rows printed as they come."""
    kept = case.folder / "compile.json"
    if options.compiled and kept.exists() and case.compiled.exists():
        compiled = json.loads(kept.read_text())
    else:
        shutil.rmtree(case.compiled, ignore_errors=True)
        compiled = models.compile_case(case, options.target)
        kept.write_text(json.dumps(compiled))
    record = {"name": case.name, "source": case.source, "date": machine.today(),
              "inputs": {name: list(value.shape) for name, value in case.feeds.items()}, "compile": compiled, "runs": []}
    able = [name for name in engines if name != "planish" or "error" not in compiled]
    if "error" in compiled:
        print(f"{case.name}: {compiled['error']}", flush=True)
    else:
        record["golden_error"] = golden_error(case, folder)
    reference = reference_of(case, folder)
    pace = measure.Pace(options.rounds, options.seconds)
    for threads in options.threads:
        before = machine.probe(0.5)
        figures, foreign = measure.measure(case, able, threads, pace, reference, folder)
        after = machine.probe(0.5)
        trips = [probe["round_trip_ns"] for probe in (before, after) if probe["round_trip_ns"]]
        peaks = [probe["f32"].get(str(threads), 0) for probe in (before, after)]
        run = {"threads": threads, "round_trip_ns": max(trips, default=None), "peak_gflops": max(peaks),
               "foreign": foreign, "engines": figures}
        record["runs"].append(run)
        if threads == 1 and "error" not in compiled:
            record["layers"] = layers.slowest(case, run["peak_gflops"])
        print(summary.line(record, run, options.engines), flush=True)
        for engine, figure in figures.items():
            if "error" in figure:
                print(f"    {engine}: {figure['error'][:160]}", flush=True)
    return record


def main():
    options = parse()
    if options.list:
        print("\n".join(models.NAMES))
        return 0
    versions, missing = machine.versions(options.engines)
    for engine, why in missing.items():
        print(f"{engine}: skipped, {why}")
    engines = [name for name in options.engines if name in versions]
    result = {"date": machine.today(), "machine": machine.describe(), "versions": versions,
              "settings": {"rounds": options.rounds, "seconds": options.seconds, "target": options.target}, "models": []}
    whole = result
    print(summary.heading(options.engines), flush=True)
    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names or models.NAMES:
            try:
                case = models.find(name, options.work)
            except models.Absent as reason:
                print(f"{name}: skipped, {reason}", flush=True)
                continue
            result["models"].append(run_case(case, options, engines, pathlib.Path(folder)))
            if options.json:  # after each network: a run of an hour may be ended
                whole = results.merge(options.json, result, models.NAMES)
    for text in summary.closing(whole):
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
