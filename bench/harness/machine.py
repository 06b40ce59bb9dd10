"""What figures are held against: the machine, its measured peaks, the cores' round trip, and who took part."""
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import tempfile

from harness import engines

ROOT = pathlib.Path(__file__).resolve().parents[2]


def read_cpu():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    return next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")),
                platform.processor() or platform.machine())


def describe():
    """The machine as a reader wants to know it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": read_cpu(), "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory, 1),
            "system": f"{platform.system()} {platform.release()}"}


def planish_version():
    """The commit, with a + where the tree differs from it."""
    done = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def versions(names):
    """({engine: version}, {engine: why it cannot run})."""
    there, missing = {}, {}
    for name in names:
        package = (engines.INT8_ENGINES | engines.ENGINES)[name].package
        try:
            there[name] = importlib.metadata.version(package) if package else planish_version()
        except importlib.metadata.PackageNotFoundError:
            missing[name] = f"package '{package}' is not installed"
    return there, missing


def probe(seconds):
    """What planish-peak finds in about `seconds`: {"f32": {threads: GFLOP/s}, "round_trip_ns": median}.

    The round trip of a message between the first two cores changes by a factor of five where a host moves virtual
    cores about, and with it what a second thread is worth, so it is kept beside every figure.
    """
    tool = pathlib.Path(os.environ.get("PLANISH_BIN", ROOT / "build" / "release" / "bin")) / "planish-peak"
    if not tool.exists():
        return {"f32": {}, "round_trip_ns": None}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([str(tool), "--json", "--seconds", str(seconds), "-o", os.path.join(folder, "machine.json")],
                              capture_output=True, text=True, check=True)
    machine = json.loads(done.stdout)
    peaks = {}
    for peak in machine["compute"]:
        if peak["type"] == "f32":
            threads = str(peak["threads"])
            peaks[threads] = max(peaks.get(threads, 0), peak["giga_per_s"])
    trips = machine.get("round_trips") or [{"ns": None}]
    return {"f32": peaks, "round_trip_ns": trips[0]["ns"]}


def today():
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()
