"""From the detector's output to boxes, and from boxes to average precision.

The detector's output is YOLOX's: 1 x N x (5 + classes), one row per cell of the grids of all strides, row by row:
x, y (cells, from the cell's corner), log width, log height (log cells), probability of an object, probability of each
class. Preprocessing and decoding follow frame.json, so every engine is judged by the same code.
"""

import json
from pathlib import Path

import numpy as np

FRAME = Path(__file__).with_name("frame.json")
IOU_LEVELS = np.arange(0.5, 0.96, 0.05)


def read_frame(path=FRAME):
    return json.loads(Path(path).read_text())


def preprocess(image, frame):
    """H x W x 3 uint8 RGB of the network's own size to 1 x 3 x H x W float32."""
    network = frame["input"]
    if image.shape != (network["height"], network["width"], 3):
        raise ValueError(f"the picture is {image.shape}, the network takes {network['height']} x {network['width']}")
    mean, scale = np.float32(network["mean"]), np.float32(network["scale"])
    return np.ascontiguousarray(((image - mean) * scale).transpose(2, 0, 1)[None])


def decode(output, frame, threshold=None):
    """One output (1 x N x (5 + classes)) to (boxes n x 4 left, top, right, bottom in pixels; scores n; labels n)."""
    network, strides, limits = frame["input"], frame["decoder"]["strides"], frame["thresholds"]
    threshold = limits["score"] if threshold is None else threshold
    cells = []
    for stride in strides:
        y, x = np.mgrid[:network["height"] // stride, :network["width"] // stride]
        cells.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, stride)], 1))
    cells = np.concatenate(cells).astype(np.float32)
    rows = output.reshape(-1, output.shape[-1])
    if len(rows) != len(cells):
        raise ValueError(f"the output has {len(rows)} rows, the strides {strides} make {len(cells)}")
    best, label = rows[:, 5:].max(axis=1), rows[:, 5:].argmax(axis=1)  # a row speaks for one class
    row = np.flatnonzero(rows[:, 4] * best >= threshold)
    scores, label = rows[row, 4] * best[row], label[row]
    stride = cells[row, 2:]
    centre, size = (rows[row, :2] + cells[row, :2]) * stride, np.exp(rows[row, 2:4]) * stride
    boxes = np.concatenate([centre - size / 2, centre + size / 2], 1)
    kept = suppress(boxes, scores, label, limits["iou"])
    boxes = boxes[kept].clip(0, [network["width"], network["height"]] * 2)
    return boxes, scores[kept], label[kept]


def overlaps(a, b):
    """Intersection over union of every box of `a` with every box of `b`."""
    common = intersections(a, b)
    return common / (area(a)[:, None] + area(b)[None] - common + 1e-9)


def intersections(a, b):
    """Area that every box of `a` shares with every box of `b`."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.prod(np.maximum(high - low, 0), axis=2)


def area(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def suppress(boxes, scores, labels, limit):
    """Greedy suppression within each class; indices of the boxes kept, best first."""
    order = np.argsort(-scores, kind="stable")
    iou = overlaps(boxes, boxes)
    alive = np.ones(len(boxes), bool)
    kept = []
    for i in order:
        if alive[i]:
            kept.append(i)
            alive &= (iou[i] <= limit) | (labels != labels[i])
    return np.array(kept, int)


def average_precision(found, truth, classes):
    """COCO's average precision (101 recall points).

    `found`: one (boxes, scores, labels) per picture; `truth`: one list of Annotation per picture, of which those that
    are `crowd` are neither asked for nor held against anyone. Returns the table classes x IOU_LEVELS; a class that
    does not occur has NaN.
    """
    table = np.full((classes, len(IOU_LEVELS)), np.nan)
    for label in range(classes):
        scores, hits, wanted = [], [], 0
        for (boxes, score, labels), annotations in zip(found, truth):
            mine = sorted((a for a in annotations if a.label == label), key=lambda a: a.crowd)
            wanted += sum(not a.crowd for a in mine)
            pick = np.flatnonzero(labels == label)
            pick = pick[np.argsort(-score[pick], kind="stable")][:100]
            hits.append(_match(boxes[pick], mine))
            scores.append(score[pick])
        if wanted:
            scores, hits = np.concatenate(scores), np.concatenate(hits)
            table[label] = _area_under(hits[np.argsort(-scores, kind="stable")], wanted)
    return table


def _match(boxes, annotations):
    """For boxes in falling order of score and each IoU level: 1 hit, 0 false, -1 to be left out."""
    result = np.zeros((len(boxes), len(IOU_LEVELS)), int)
    if not annotations:
        return result
    truth = np.array([a.box for a in annotations], float)
    crowd = np.array([a.crowd for a in annotations])
    iou = overlaps(boxes, truth)
    if crowd.any():  # of a crowd, what counts is how much of the found box lies in it
        iou[:, crowd] = intersections(boxes, truth[crowd]) / (area(boxes)[:, None] + 1e-9)
    for level, limit in enumerate(IOU_LEVELS):
        free = ~crowd
        for i in range(len(boxes)):
            candidates = np.where(free, iou[i], -1)
            best = int(candidates.argmax())
            if candidates[best] >= limit:
                free[best] = False
                result[i, level] = 1
            elif (iou[i, crowd] >= limit).any():
                result[i, level] = -1
    return result


def _area_under(hits, wanted):
    points = np.linspace(0, 1, 101)
    values = []
    for level in range(hits.shape[1]):
        column = hits[:, level][hits[:, level] >= 0]
        true = np.cumsum(column)
        recall, precision = true / wanted, true / np.arange(1, len(column) + 1)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        # Where a recall is never reached, the precision is 0.
        values.append(np.append(precision, 0)[np.searchsorted(recall, points, side="left")].mean())
    return values
