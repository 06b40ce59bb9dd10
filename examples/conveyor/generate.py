"""Draws pictures or a clip of the conveyor belt, with exact ground truth as COCO JSON.

    python generate.py clip --out belt.avi                    6 seconds, and belt.json beside it
    python generate.py clip --out frames/                     the same as PNG files
    python generate.py stills --out pictures/ --seeds 0:100   100 belts, one picture of each

The same arguments give the same pixels. Boxes are [left, top, width, height] of a part's visible pixels; parts of
which less than 65 % are in sight carry iscrowd 1. In a clip, track_id names a part for as long as it can be seen.
"""

import argparse
import json
import sys
from pathlib import Path

import media
import scene
from parts import CLASSES, KINDS

CLIP_SEED = 2026


def seed_range(text):
    """`a:b` as range(a, b), `a` as the one seed."""
    first, _, last = text.partition(":")
    try:
        return range(int(first), int(last) if last else int(first) + 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not FIRST:END") from None


class Coco:
    """A COCO document that grows picture by picture."""

    def __init__(self, description):
        self.document = {
            "info": {"description": description},
            "categories": [{"id": i, "name": name, "supercategory": KINDS[i // 2]} for i, name in enumerate(CLASSES)],
            "images": [],
            "annotations": [],
        }

    def add(self, name, annotations, **extra):
        image = len(self.document["images"])
        self.document["images"].append(
            {"id": image, "file_name": name, "width": scene.WIDTH, "height": scene.HEIGHT, **extra})
        for a in annotations:
            left, top, right, bottom = a.box
            self.document["annotations"].append({
                "id": len(self.document["annotations"]) + 1, "image_id": image, "category_id": a.label,
                "track_id": a.track, "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top), "iscrowd": int(a.crowd), "visible": round(a.visible, 4)})

    def write(self, path):
        Path(path).write_text(json.dumps(self.document, indent=1) + "\n")


def write_stills(args):
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    coco = Coco(f"conveyor stills, seeds {args.seeds.start} to {args.seeds.stop - 1}")
    for seed in args.seeds:
        image, annotations = scene.still(seed)
        name = f"{seed:06d}.png"
        (folder / name).write_bytes(media.png(image))
        coco.add(name, annotations, seed=seed)
    coco.write(folder / "annotations.json")
    print(f"{len(args.seeds)} pictures in {folder}, ground truth in {folder / 'annotations.json'}")


def write_clip(args):
    out = Path(args.out)
    count = round(args.seconds * args.fps)
    belt = scene.Scene(args.seed, frames=count, fps=args.fps, speed=args.speed)
    coco = Coco(f"conveyor clip, seed {args.seed}, {args.fps} frames a second")
    is_video = out.suffix == ".avi"

    def frames():
        for number in range(count):
            image, annotations = belt.frame(number)
            coco.add(f"{number:06d}.png", annotations, frame=number)
            yield image

    if is_video:
        out.parent.mkdir(parents=True, exist_ok=True)
        media.write_avi(out, frames(), scene.WIDTH, scene.HEIGHT, args.fps)
        truth = out.with_suffix(".json")
    else:
        out.mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(frames()):
            (out / f"{number:06d}.png").write_bytes(media.png(image))
        truth = out / "annotations.json"
    coco.write(truth)
    print(f"{count} frames in {out}, ground truth in {truth}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    stills = commands.add_parser("stills", help="pictures of different belts")
    stills.add_argument("--out", required=True, help="folder")
    stills.add_argument("--seeds", type=seed_range, default=range(100), metavar="FIRST:END")
    clip = commands.add_parser("clip", help="one belt running")
    clip.add_argument("--out", required=True, help="FILE.avi, or a folder for PNG files")
    clip.add_argument("--seed", type=int, default=CLIP_SEED)
    clip.add_argument("--seconds", type=float, default=6.0)
    clip.add_argument("--fps", type=int, default=25)
    clip.add_argument("--speed", type=float, default=70.0, help="pixels a second")
    args = parser.parse_args()
    if Path(args.out).suffix not in ("", ".avi"):
        parser.error("--out is FILE.avi or a folder")
    if args.command == "clip" and not (args.seconds * args.fps >= 1 and args.speed >= 0):
        parser.error("a clip has at least one frame and the belt runs forwards")
    {"stills": write_stills, "clip": write_clip}[args.command](args)


if __name__ == "__main__":
    sys.exit(main())
