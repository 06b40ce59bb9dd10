"""python -m planish tune|calibrate|compare: what these functions of planish do, as commands."""

import argparse
import json
import sys
from dataclasses import asdict

import planish

EXIT_USAGE, EXIT_BAD_FILE, EXIT_INTERRUPTED = 2, 4, 130


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
    _add_sizes(tune)
    tune.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    tune.set_defaults(run=_tune)
    calibrate = commands.add_parser("calibrate", help="note which numbers a model's values take on samples",
                                    description="Writes the profile that compile-model --int8 --calibration reads.")
    calibrate.add_argument("model", metavar="MODEL.onnx")
    calibrate.add_argument("--samples", required=True, metavar="DIR|FILE.npz",
                           help="arrays by input, or pictures (with --frame)")
    calibrate.add_argument("-o", "--output", required=True, metavar="PROFILE.json")
    calibrate.add_argument("--frame", metavar="FRAME.json", help="how pictures become the input")
    calibrate.add_argument("--calibrator", default="mse", metavar="minmax|percentile|entropy|mse",
                           help="how ranges will follow (default: mse)")
    calibrate.add_argument("--tables", action="store_true",
                           help="activation functions become tables of codes: faster, all in integers, less accurate")
    _add_sizes(calibrate)
    calibrate.set_defaults(run=_calibrate)
    compare = commands.add_parser("compare", help="find where a quantized model loses accuracy, and why",
                                  description="Runs a quantized model and its float model side by side and prints a line per "
                                              "layer, the noisiest by itself first.")
    compare.add_argument("model", metavar="MODEL.onnx")
    compare.add_argument("samples", metavar="DIR|FILE.npz", help="arrays by input, or pictures (with --frame)")
    compare.add_argument("--reference", metavar="FLOAT.onnx", help="the float model (default: the model without rounding)")
    compare.add_argument("--int8", metavar="PROFILE.json", help="for a float MODEL: what calibrate wrote")
    compare.add_argument("--frame", metavar="FRAME.json", help="how pictures become the input")
    compare.add_argument("--shape", action="append", default=[], metavar="IN=1x3x640x640")
    compare.add_argument("--compiled", metavar="DIR", help="compare what compile-model made of MODEL, as it runs here")
    compare.add_argument("--repair", metavar="DIR", help="mend the layers, compile the model, compare it again")
    compare.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    compare.set_defaults(run=_compare, max_shape=[])
    return parser


def _add_sizes(parser):
    parser.add_argument("--shape", action="append", default=[], metavar="IN=1x3x640x640")
    parser.add_argument("--max-shape", action="append", default=[], metavar="IN=1x3x640x640")


def _print_table(result):
    for kernel in sorted(result.results, key=lambda kernel: -kernel.share):
        changed = " ".join(f"{name}={value}" for name, value in sorted(kernel.best.items())
                           if kernel.defaults[name] != value)
        times = f"{kernel.default_ns / 1e3:9.1f} -> {kernel.best_ns / 1e3:9.1f} us" if changed else (
            f"{kernel.default_ns / 1e3:9.1f} us" + " " * 13)
        print(f"{100 * kernel.share:5.1f} %  {times}  {kernel.about}" + (f"  {changed}" if changed else ""))


def _tune(options, shapes, max_shapes):
    try:
        result = planish.tune(options.model, database=options.database, target=options.target, seconds=options.seconds,
                              shapes=shapes, max_shapes=max_shapes)
    except KeyboardInterrupt:
        print(f"interrupted; {options.database} keeps what was found", file=sys.stderr)
        return EXIT_INTERRUPTED
    if options.json:
        print(json.dumps(asdict(result), indent=1))
    else:
        _print_table(result)
        print(f"{options.database}: {result}")
    return 0


def _calibrate(options, shapes, max_shapes):
    profile = planish.calibrate(options.model, options.samples, frame=options.frame, calibrator=options.calibrator, tables=options.tables,
                                shapes=shapes, max_shapes=max_shapes)
    profile.save(options.output)
    print(f"{options.output}: values: {len(profile.ranges)}, samples: {profile.samples}")
    return 0


def _compare_compiled(options, shapes):
    for flag in ("reference", "int8", "repair"):
        if getattr(options, flag):
            raise _usage(f"--{flag} is for models that are not compiled yet: give it without --compiled")
    result = planish.compare_compiled(options.model, options.compiled, options.samples, frame=options.frame, shapes=shapes)
    print(json.dumps(asdict(result), indent=1) if options.json else result)
    return 0


def _usage(text):
    error = planish.CompileError(text)
    error.exit_code = EXIT_USAGE
    return error


def _compare(options, shapes, _):
    if options.compiled:
        return _compare_compiled(options, shapes)

    def compared(repairs):
        return planish.compare(options.model, options.reference, options.samples, int8=options.int8, frame=options.frame,
                               shapes=shapes, repairs=repairs)

    result = compared(None)
    repairs = result.repairs
    if options.repair:
        planish.compile(options.model, int8=options.int8, out=options.repair, shapes=shapes, repairs=repairs)
        result = compared(repairs)
    if options.json:
        fields = {field: [asdict(entry) for entry in getattr(result, field)] for field in ("layers", "outputs", "contractions")}
        print(json.dumps({"samples": result.samples, "mended": len(repairs) if options.repair else 0, **fields}, indent=1))
        return 0
    print(result)
    if options.repair:
        print(f"{options.repair}: {len(repairs)} layer{'' if len(repairs) == 1 else 's'} mended")
    return 0


def main(arguments=None):
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        shapes, max_shapes = _sizes(options.shape), _sizes(options.max_shape)
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    try:
        return options.run(options, shapes, max_shapes)
    except (planish.CompileError, planish.LoadError, FileNotFoundError) as error:
        print(f"python -m planish {options.command}: {error}", file=sys.stderr)
        return getattr(error, "exit_code", EXIT_BAD_FILE)


if __name__ == "__main__":
    sys.exit(main())
