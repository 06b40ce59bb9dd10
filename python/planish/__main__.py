"""python -m planish tune: planish.tune as a command."""

import argparse
import json
import sys
from dataclasses import asdict

import planish

EXIT_BAD_FILE, EXIT_INTERRUPTED = 4, 130


def _sizes(texts):
    """["in=1x3x8x8"] -> {"in": [1, 3, 8, 8]}"""
    result = {}
    for text in texts:
        name, _, numbers = text.rpartition("=")
        try:
            result[name] = [int(number) for number in numbers.split("x")]
        except ValueError:
            name = ""
        if not name:
            raise argparse.ArgumentTypeError(f"'{text}': expected NAME=1x3x640x640")
    return result


def _parser():
    parser = argparse.ArgumentParser(prog="python -m planish")
    commands = parser.add_subparsers(dest="command", required=True)
    tune = commands.add_parser("tune", help="find faster knobs for a model's kernels",
                               description="Appends what is faster than the templates' own choice to a database that "
                                           "compile-model --tuning reads.")
    tune.add_argument("model", metavar="MODEL.onnx")
    tune.add_argument("--database", required=True, metavar="DB.jsonl")
    tune.add_argument("--target", default="cpu", metavar="T")
    tune.add_argument("--seconds", type=float, default=120, metavar="S")
    tune.add_argument("--shape", action="append", default=[], metavar="IN=1x3x640x640")
    tune.add_argument("--max-shape", action="append", default=[], metavar="IN=1x3x640x640")
    tune.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    return parser


def _print_table(result):
    for kernel in sorted(result.results, key=lambda kernel: -kernel.share):
        changed = " ".join(f"{name}={value}" for name, value in sorted(kernel.best.items())
                           if kernel.defaults[name] != value)
        times = f"{kernel.default_ns / 1e3:9.1f} -> {kernel.best_ns / 1e3:9.1f} us" if changed else (
            f"{kernel.default_ns / 1e3:9.1f} us" + " " * 13)
        print(f"{100 * kernel.share:5.1f} %  {times}  {kernel.about}" + (f"  {changed}" if changed else ""))


def main(arguments=None):
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        shapes, max_shapes = _sizes(options.shape), _sizes(options.max_shape)
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    try:
        result = planish.tune(options.model, database=options.database, target=options.target, seconds=options.seconds,
                              shapes=shapes, max_shapes=max_shapes)
    except KeyboardInterrupt:
        print(f"interrupted; {options.database} keeps what was found", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (planish.CompileError, FileNotFoundError) as error:
        print(f"python -m planish tune: {error}", file=sys.stderr)
        return getattr(error, "exit_code", EXIT_BAD_FILE)
    if options.json:
        print(json.dumps(asdict(result), indent=1))
    else:
        _print_table(result)
        print(f"{options.database}: {result}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
