"""How long compiling takes and how large the results are: ./dev bench compile [NAME ...] [--target T] [--json FILE]

Networks are not part of the project: they are looked for in ../shared/models (or $PLANISH_MODELS) and compiled for the
sizes of their golden inputs, each in a process of its own. `code` is the library without its weights.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODELS = pathlib.Path(os.environ.get("PLANISH_MODELS", ROOT.parent / "shared" / "models"))
STAGES = ("import", "passes", "lower", "code", "write")


def golden_shapes(name):
    spec = importlib.util.spec_from_file_location("golden", MODELS / "golden.py")
    golden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(golden)
    return {key: "x".join(map(str, value.shape)) for key, value in golden.load(name)[0].items()}


def compile_one(name, target, folder):
    """The --json result of compile-model, with the wall time of the process; or its last error line."""
    flags = [f"--shape={key}={sizes}" for key, sizes in golden_shapes(name).items() if sizes]
    begin = time.perf_counter()
    done = subprocess.run([os.path.join(os.environ["PLANISH_BIN"], "compile-model"), MODELS / f"{name}.onnx", "-o",
                           folder / name, f"--target={target}", "--json", *flags], capture_output=True, text=True)
    wall = time.perf_counter() - begin
    if done.returncode:
        return {"name": name, "exit": done.returncode, "error": (done.stderr.splitlines() or [""])[-1]}
    return {**json.loads(done.stdout), "name": name, "exit": 0, "wall": wall}


def row(result):
    if result["exit"]:
        return f"{result['name']:<22} exit {result['exit']}: {result['error'][:100]}"
    stages = " ".join(f"{result['seconds'][stage]:8.3f}" for stage in STAGES)
    code, weights, arena = ((result["library"] - result["weights"]) / 1e3, result["weights"] / 1e3, result["arena"] / 1e3)
    return f"{result['name']:<22} {result['wall']:8.2f} {stages} {code:9.0f} {weights:10.0f} {arena:10.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="models (default: all that are there)")
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--json", help="write the results here, too")
    options = parser.parse_args()
    if not (MODELS / "golden.py").exists():
        print(f"skipped: no models in {MODELS}")
        return 0
    names = options.names or sorted(path.stem for path in MODELS.glob("*.onnx"))
    print(f"{'model':<22} {'seconds':>8} {' '.join(f'{stage:>8}' for stage in STAGES)} {'code kB':>9} {'weights kB':>10} {'arena kB':>10}")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            results.append(compile_one(name, options.target, pathlib.Path(folder)))
            print(row(results[-1]), flush=True)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
