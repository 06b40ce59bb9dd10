"""What a result says: ratios against the best rival, geometric means, and the rows that tables show."""
import math
import statistics

from harness.engines import ENGINES

RIVALS = [name for name, engine in ENGINES.items() if engine.rival]


def best_rival(run):
    """The fastest engine that computes the same in f32, or None."""
    able = [name for name in RIVALS if "median_ms" in run["engines"].get(name, {})
            and run["engines"][name].get("agrees", False)]
    return min(able, key=lambda name: run["engines"][name]["median_ms"], default=None)


def ratio(run, engine=None):
    """How many times as fast Planish is as an engine, by default its best rival: the median over the rounds."""
    engine = engine or best_rival(run)
    ours, theirs = run["engines"].get("planish", {}), run["engines"].get(engine, {})
    if "median_ms" not in ours or "median_ms" not in theirs:
        return None
    return statistics.median(other / own for own, other in zip(ours["rounds"], theirs["rounds"]))


def ratio_to(run, engines):
    """How many times as fast Planish is as the fastest of some engines."""
    found = [value for engine in engines if (value := ratio(run, engine))]
    return min(found, default=None)


def geometric_mean(values):
    values = list(values)
    return math.exp(statistics.fmean(map(math.log, values))) if values else None


def gflops(model, run, engine="planish"):
    """Work of the direct form of the network per second, so that saved work counts as speed."""
    median = run["engines"].get(engine, {}).get("median_ms")
    return model["compile"]["gflop"] / median * 1e3 if median and "gflop" in model["compile"] else None


def of_peak(model, run, engine="planish"):
    """gflops in percent of the f32 peak measured just before and after the run."""
    rate, peak = gflops(model, run, engine), run["peak_gflops"]
    return 100 * rate / peak if rate and peak else None


def runs_with(result, threads):
    """(model, run) of every model measured with that many threads."""
    return [(model, run) for model in result["models"] for run in model["runs"] if run["threads"] == threads]


def thread_counts(result):
    return sorted({run["threads"] for model in result["models"] for run in model["runs"]})


def ratios(result, threads):
    """{model: ratio} where there is one."""
    found = {model["name"]: ratio(run) for model, run in runs_with(result, threads)}
    return {name: value for name, value in found.items() if value}


def least_memory(run):
    """(ours, the least of the rivals) in MB of resident memory at the peak, or None."""
    ours = run["engines"].get("planish", {}).get("peak_mb")
    theirs = [run["engines"][name]["peak_mb"] for name in RIVALS if "peak_mb" in run["engines"].get(name, {})]
    return (ours, min(theirs)) if ours and theirs else None


def cell(value, form):
    return format(value, form) if value is not None else "-"


def line(model, run, engines):
    """A row of the table in the terminal."""
    best, times = best_rival(run), []
    for name in engines:
        figures = run["engines"].get(name, {})
        mark = "" if figures.get("agrees", True) else "!"
        times.append(f"{cell(figures.get('median_ms'), '.3f') + mark:>10}")
    error = run["engines"].get("planish", {}).get("max_error")
    return (f"{model['name']:<22} {run['threads']:>2} {' '.join(times)} {cell(ratio(run), '.2f'):>6} {best or '-':<12}"
            f"{cell(gflops(model, run), '.0f'):>7} {cell(of_peak(model, run), '.0f'):>5} {cell(error, '.0e'):>7}"
            f" {cell(run['round_trip_ns'], '.0f'):>6} {run['foreign']:6.2f}")


def heading(engines):
    return (f"{'model':<22} {'th':>2} {' '.join(f'{name[:10]:>10}' for name in engines)} {'ratio':>6} {'best other':<12}"
            f"{'GFLOP/s':>7} {'%peak':>5} {'error':>7} {'trip':>6} {'others':>6}")


def closing(result):
    """Lines below the table: means, the worst, memory, compile time."""
    for threads in thread_counts(result):
        values = ratios(result, threads)
        if values:
            worst = min(values, key=values.get)
            yield (f"{threads} thread{'s' * (threads > 1)}: best other / planish, geometric mean "
                   f"{geometric_mean(values.values()):.3f} over {len(values)}, worst {values[worst]:.3f} ({worst})")
        pairs = [pair for _, run in runs_with(result, threads) if (pair := least_memory(run))]
        if pairs:
            yield f"  peak memory below every other's: {sum(a < b for a, b in pairs)} of {len(pairs)}"
