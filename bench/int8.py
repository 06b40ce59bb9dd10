"""Latency of quantized networks next to other engines, the same QDQ file for all, and next to our own f32.

    ./dev bench int8 [NAME|FILE.onnx ...] [--own] [--threads 1,2] [--rounds 9] [--json OUT]

A float network is quantized by ONNX Runtime's quantizer; a file that is quantized already is taken as it is, and has no
f32 columns. With --own each engine runs what its own quantizer makes of the float network: ONNX Runtime that file,
OpenVINO what NNCF makes, Planish --int8, all with the same samples. OpenVINO runs twice: as it comes, where it uses AMX on CPUs that have it, and kept to AVX-512 with VNNI
as Planish is; the ratio counts the latter. `strict` is our f32 without Winograd. Outputs are held against ONNX Runtime without optimizations: an
engine that rounds elsewhere may differ by a few steps, so the error is printed and decides nothing.
"""
import argparse
import dataclasses
import json
import pathlib
import shutil
import sys
import tempfile

from harness import engines, machine, measure, models, quantized, results, summary
from harness.engines import INT8_ENGINES, INT8_RIVALS

ROOT = pathlib.Path(__file__).resolve().parents[1]
SAMPLES = "samples.npz"
NAMES = "mobilenet_v2 squeezenet1_1 resnet18 resnet50 yolov5s yolov8n yolox_nano nanodet_m_416".split()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=NAMES, help=f"default: {' '.join(NAMES)}")
    parser.add_argument("--own", action="store_true", help="each engine's own quantization")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.2, help="of an engine's turn")
    parser.add_argument("--target", default="cpu", help="what Planish compiles for")
    parser.add_argument("--json", type=pathlib.Path, help="write the result here, too")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / "bench", help="for files that are made")
    parser.add_argument("--compiled", action="store_true", help="use what an earlier run compiled into --work")
    options = parser.parse_args()
    options.threads = [int(count) for count in options.threads.split(",")]
    return options


def is_quantized(path):
    import onnx

    return any(node.op_type in ("QuantizeLinear", "QLinearConv") for node in onnx.load(path).graph.node)


def cases_of(name, work, own):
    """(the quantized network, the float one or None)"""
    case = models.find(name, work)
    if is_quantized(case.path):
        return case, None
    folder = work / f"{case.name}.{'own' if own else 'int8'}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.name}.onnx"
    if not path.exists():
        quantized.make(case.path, path, case.feeds)
    if own and not (folder / engines.OPENVINO_OWN).exists():
        quantized.make_nncf(case.path, folder / engines.OPENVINO_OWN, case.feeds)
        quantized.save_samples(folder / SAMPLES, case.feeds)
    shutil.copyfile(case.feeds_file, folder / "feeds.npz")
    return dataclasses.replace(case, path=path, folder=folder), case


def compiled(case, real, options):
    """What compile-model says of each form of the network, by engine."""
    kept = case.folder / "compile.json"
    if options.compiled and kept.exists():
        return json.loads(kept.read_text())
    if options.own:
        made = dataclasses.replace(real, compiled_as=case.compiled)
        flags = ["--int8", "--calibration", str(case.folder / SAMPLES)]
        result = {"planish": models.compile_case(made, options.target, flags)}
    else:
        result = {"planish": models.compile_case(case, options.target)}
    for engine, flags in (("planish_f32", []), ("planish_strict", ["--strict"])) if real else ():
        made = dataclasses.replace(real, compiled_as=case.compiled.with_name(engine))
        result[engine] = models.compile_case(made, options.target, flags)
    kept.write_text(json.dumps(result))
    return result


def run_case(name, options, folder):
    case, real = cases_of(name, options.work, options.own)
    made = compiled(case, real, options)
    record = {"name": case.name, "compile": made, "runs": []}
    reference = folder / "reference.npz"
    expected = measure.outputs_of("reference", case, folder, reference)
    expected = measure.read_outputs(reference) if isinstance(expected, dict) else None
    able = [engine for engine in INT8_ENGINES if "error" not in made.get(engine, {}) and
            (engine in made or not engine.startswith("planish"))]
    pace = measure.Pace(options.rounds, options.seconds)
    for threads in options.threads:
        figures, foreign = measure.measure(case, able, threads, pace, expected, folder)
        run = {"threads": threads, "foreign": foreign, "engines": figures}
        record["runs"].append(run)
        print(line(record, run), flush=True)
    return record


def line(record, run):
    times = [f"{summary.cell(run['engines'].get(name, {}).get('median_ms'), '.3f'):>10}" for name in INT8_ENGINES]
    ratios = [f"{summary.cell(summary.ratio_to(run, names), '.2f'):>6}"
              for names in (INT8_RIVALS, ["openvino"], ["planish_strict"], ["planish_f32"])]
    error = run["engines"].get("planish", {}).get("max_error")
    return (f"{record['name']:<18} {run['threads']:>2} {' '.join(times)} {' '.join(ratios)} "
            f"{summary.cell(error, '.0e'):>7} {run['foreign']:6.2f}")


def main():
    options = parse()
    versions, missing = machine.versions([name for name in INT8_ENGINES if not name.startswith("planish_")])
    for engine, why in missing.items():
        print(f"{engine}: skipped, {why}")
    result = {"date": machine.today(), "machine": machine.describe(), "versions": versions,
              "settings": {"rounds": options.rounds, "seconds": options.seconds, "target": options.target,
                           "own": options.own}, "models": []}
    heads = [f"{name.replace('planish', 'p').replace('openvino', 'ov')[:10]:>10}" for name in INT8_ENGINES]
    print(f"{'model':<18} {'th':>2} {' '.join(heads)}  ratio   /amx /strict   /f32   error others", flush=True)
    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names:
            try:
                result["models"].append(run_case(name, options, pathlib.Path(folder)))
            except models.Absent as reason:
                print(f"{name}: skipped, {reason}", flush=True)
                continue
            if options.json:
                results.merge(options.json, result, NAMES)
    for threads in options.threads:
        runs = [run for model in result["models"] for run in model["runs"] if run["threads"] == threads]
        for title, names in (("the best peer", INT8_RIVALS), ("our strict f32", ["planish_strict"])):
            values = [value for run in runs if (value := summary.ratio_to(run, names))]
            print(f"{threads} threads: {title} / int8, geometric mean {summary.cell(summary.geometric_mean(values), '.3f')}"
                  f" over {len(values)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
