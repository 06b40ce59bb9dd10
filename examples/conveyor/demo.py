"""The whole way, from network to boxes on a moving belt: what `./dev demo` runs.

    python demo.py --tools build/release/bin --out build/demo

Draws the clip (once), compiles the detector, runs it on the clip, compares the boxes with the clip's exact ground
truth, and says how long each part took. Needs `planish`'s tools and numpy.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import detection
import evaluate

HERE = Path(__file__).parent


def draw_clip(folder, seconds):
    """The clip and its ground truth, made unless they are there."""
    clip = folder / f"belt-{seconds:g}s.avi"
    if not clip.with_suffix(".json").exists():
        subprocess.run([sys.executable, HERE / "generate.py", "clip", "--out", clip, "--seconds", str(seconds)],
                       check=True, stdout=subprocess.DEVNULL)
    return clip


def run_tool(command):
    """The last line that a tool prints, as JSON; stops the demo with the tool's own message if it fails."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{done.stderr.strip()}\ndemo: {Path(command[0]).name} failed")
    return json.loads(done.stdout.strip().splitlines()[-1])


def accuracy(clip, detections):
    """mAP50 and mAP50:95 of detect-stream's lines against the clip's COCO file."""
    truth = json.loads(clip.with_suffix(".json").read_text())
    figures = evaluate.summary(evaluate.judge_detections(detections.read_text().splitlines(), truth))
    return figures["mAP50"], figures["mAP50:95"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=Path, required=True, help="folder of compile-model and detect-stream")
    parser.add_argument("--out", type=Path, required=True, help="folder for the clip, the library and the results")
    parser.add_argument("--seconds", type=float, default=6, help="length of the clip")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    took = {}

    def timed(name, work):
        start = time.perf_counter()
        result = work()
        took[name] = time.perf_counter() - start
        return result

    clip = timed("draw the clip", lambda: draw_clip(args.out, args.seconds))
    compiled = timed("compile the detector", lambda: run_tool(
        [args.tools / "compile-model", HERE / "detector.onnx", "-o", args.out / "detector", "--json"]))
    results = args.out / "results"
    summary = timed("run it on the clip", lambda: run_tool(
        [args.tools / "detect-stream", clip, "--model", args.out / "detector", "--frame", HERE / "frame.json",
         "--output", results, "--every", 30, "--zoom", 3, "--json"]))["summary"]
    ap50, ap = timed("compare with the truth", lambda: accuracy(clip, results / "detections.jsonl"))

    latency = summary["latency_ms"]
    print(f"detector   {compiled['target']}: weights {compiled['weights'] / 1e3:.0f} kB, "
          f"arena {compiled['arena'] / 1e3:.0f} kB, library {compiled['library'] / 1e3:.0f} kB")
    print(f"clip       {summary['frames']} frames, {summary['boxes']} boxes")
    print(f"network    {latency['network']['median']:.2f} ms a frame (90 %: {latency['network']['p90']:.2f}), "
          f"{summary['threads']} threads")
    print(f"all        {summary['fps']:.0f} frames a second from reading to boxes")
    threshold = detection.read_frame()["thresholds"]["score"]
    print(f"accuracy   mAP50 {ap50:.3f}, mAP50:95 {ap:.3f} on this clip, of boxes with a score of {threshold} or more")
    print("time       " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items()))
    print(f"look at    {results}: " + ", ".join(sorted({p.suffix[1:] for p in results.iterdir()})))


if __name__ == "__main__":
    main()
