"""What detect-stream does, said again in NumPy, and COCO's average precision; written from docs/frame.md alone."""

import json
import struct
import zlib

import numpy

IOU_THRESHOLDS = numpy.arange(0.5, 0.96, 0.05)
RECALLS = numpy.linspace(0, 1, 101)
MAX_DETECTIONS = 100


def write_png(path, picture):
    """An (H, W, 3) array of bytes as a PNG file."""
    height, width, _ = picture.shape
    rows = b"".join(b"\0" + picture[y].tobytes() for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) +
                     chunk(b"IEND", b""))
    return path


def place(spec, width, height):
    """(x, y, width, height) of a picture in the input."""
    to_width, to_height = spec["width"], spec["height"]
    if spec["resize"] == "stretch":
        return 0, 0, to_width, to_height
    ratio = min(to_width / width, to_height / height)
    w, h = (max(1, int(numpy.floor(side * ratio + 0.5))) for side in (width, height))
    if spec.get("align", "top-left") == "centre":
        return (to_width - w) // 2, (to_height - h) // 2, w, h
    return 0, 0, w, h


def blend_matrix(source, size):
    """(size, source) weights of bilinear resizing along one axis."""
    at = numpy.clip((numpy.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    first = at.astype(int)
    matrix = numpy.zeros((size, source))
    rows = numpy.arange(size)
    matrix[rows, first] += 1 - (at - first)
    matrix[rows, numpy.minimum(first + 1, source - 1)] += at - first
    return matrix


def preprocess(spec, picture):
    """The input tensor (1, 3, H, W) of an (H, W, 3) RGB picture."""
    x, y, width, height = place(spec, picture.shape[1], picture.shape[0])
    image = numpy.full((spec["height"], spec["width"], 3), float(spec.get("pad", 114)))
    rows, columns = blend_matrix(picture.shape[0], height), blend_matrix(picture.shape[1], width)
    image[y:y + height, x:x + width] = numpy.einsum("ij,jkc,lk->ilc", rows, picture, columns, optimize=True)
    if spec["colour"] == "bgr":
        image = image[..., ::-1]
    image = (image - numpy.array(spec.get("mean", 0))) * numpy.array(spec.get("scale", 1))
    return numpy.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=numpy.float32)


def cells(spec, stride):
    """Column and row of each cell of a stride, row by row."""
    rows, columns = numpy.mgrid[:-(-spec["height"] // stride), :-(-spec["width"] // stride)]
    return numpy.stack([columns.ravel(), rows.ravel()], 1).astype(float)


def sigmoid(x):
    return 1 / (1 + numpy.exp(-x))


def softmax(x):
    e = numpy.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def decode_yolox(spec, head, outputs):
    table = outputs[head["outputs"]][0].astype(float)
    grid = numpy.concatenate([cells(spec, s) for s in head["strides"]])
    stride = numpy.concatenate([numpy.full(len(cells(spec, s)), s) for s in head["strides"]])[:, None]
    centre, size = (table[:, :2] + grid) * stride, numpy.exp(table[:, 2:4]) * stride
    return numpy.hstack([centre - size / 2, centre + size / 2]), table[:, 4:5] * table[:, 5:]


def decode_nanodet(spec, head, outputs):
    boxes, scores = [], []
    for stride, score, distance in zip(head["strides"], head["scores"], head["distances"]):
        centre = (cells(spec, stride) + 0.5) * stride + head["centre_shift"]
        bins = softmax(outputs[distance][0].astype(float).reshape(-1, 4, head["bins"]))
        side = bins @ numpy.arange(head["bins"]) * stride
        boxes.append(numpy.hstack([centre - side[:, :2], centre + side[:, 2:]]))
        scores.append(outputs[score][0].astype(float))
    return numpy.concatenate(boxes), numpy.concatenate(scores)


def decode_fastestdet(spec, head, outputs):
    table = outputs[head["output"]][0].astype(float)
    _, height, width = table.shape
    rows, columns = numpy.mgrid[:height, :width]
    centre = numpy.stack([(columns + numpy.tanh(table[1])) / width, (rows + numpy.tanh(table[2])) / height], -1)
    scale = numpy.array([spec["width"], spec["height"]])
    centre, size = (centre * scale).reshape(-1, 2), (sigmoid(table[3:5]).transpose(1, 2, 0) * scale).reshape(-1, 2)
    scores = table[0:1] ** 0.6 * table[5:].max(0, keepdims=True) ** 0.4 * (table[5:] == table[5:].max(0))
    return numpy.hstack([centre - size / 2, centre + size / 2]), scores.reshape(len(scores), -1).T


DECODERS = {"yolox": decode_yolox, "nanodet": decode_nanodet, "fastestdet": decode_fastestdet}


def iou(box, others):
    """Of one box with many, all by corners."""
    low, high = numpy.maximum(box[:2], others[:, :2]), numpy.minimum(box[2:], others[:, 2:])
    inner = numpy.prod(numpy.clip(high - low, 0, None), -1)
    return inner / (numpy.prod(box[2:] - box[:2]) + numpy.prod(others[:, 2:] - others[:, :2], -1) - inner)


def suppress(boxes, classes, scores, threshold, most):
    """Indices that class-aware greedy suppression keeps, best first."""
    kept, order = [], numpy.argsort(-scores, kind="stable")
    while len(order) and len(kept) < most:
        best, order = order[0], order[1:]
        kept.append(best)
        hidden = (iou(boxes[best], boxes[order]) > threshold) & (classes[order] == classes[best])
        order = order[~hidden]
    return kept


def detect(frame, picture, run):
    """[(class, score, [x0, y0, x1, y1])] in picture pixels; `run` maps the input tensor to named outputs."""
    spec, head, thresholds = frame["input"], frame["decoder"], frame["thresholds"]
    boxes, scores = DECODERS[head["family"]](spec, head, run(preprocess(spec, picture)))
    classes, best = scores.argmax(1), scores.max(1)
    wanted = best >= thresholds["score"]
    boxes, classes, best = boxes[wanted], classes[wanted], best[wanted]
    kept = suppress(boxes, classes, best, thresholds["iou"], thresholds.get("max_detections", 300))
    height, width, _ = picture.shape
    x, y, placed_width, placed_height = place(spec, width, height)
    scale = numpy.array([width / placed_width, height / placed_height] * 2)
    found = []
    for i in kept:
        box = numpy.clip((boxes[i] - [x, y, x, y]) * scale, 0, [width, height, width, height])
        if box[2] > box[0] and box[3] > box[1]:
            found.append((int(classes[i]), float(best[i]), box))
    return found


def read_lines(text):
    """{file: [(class, score, box)]} of detect-stream's JSON lines."""
    lines = [json.loads(line) for line in text.splitlines()]
    return {line["file"]: [(d["class"], d["score"], numpy.array(d["box"])) for d in line["detections"]]
            for line in lines if "frame" in line}


def matched(found, truths, crowd):
    """Per threshold and detection, best first: 1 matched, 0 not, -1 to be left out (a crowd)."""
    result = numpy.zeros((len(IOU_THRESHOLDS), len(found)))
    if not truths:
        return result
    truths, crowd = numpy.array(truths), numpy.array(crowd, bool)
    overlaps = numpy.zeros((len(found), len(truths)))
    for i, box in enumerate(found):
        overlaps[i] = iou(box, truths)
        low, high = numpy.maximum(box[:2], truths[:, :2]), numpy.minimum(box[2:], truths[:, 2:])
        inner = numpy.prod(numpy.clip(high - low, 0, None), -1)
        overlaps[i][crowd] = (inner / numpy.prod(box[2:] - box[:2]))[crowd]  # of the detection alone
    for t, threshold in enumerate(IOU_THRESHOLDS):
        taken = numpy.zeros(len(truths), bool)
        for i in range(len(found)):
            free = numpy.where(taken | crowd, -1, overlaps[i])
            best = free.argmax()
            if free[best] >= threshold:
                taken[best], result[t, i] = True, 1
            elif (overlaps[i][crowd] >= threshold).any():
                result[t, i] = -1
    return result


def average_precision(truth, found):
    """COCO's AP (IoU 0.5 to 0.95, all sizes, 100 detections): `truth` {picture: [(class, box, crowd)]},
    `found` {picture: [(class, score, box)]}."""
    values = []
    for label in sorted({c for boxes in truth.values() for c, _, _ in boxes}):
        scores, matches, count = [], [], 0
        for picture, boxes in truth.items():
            own = [(b, crowd) for c, b, crowd in boxes if c == label]
            count += sum(not crowd for _, crowd in own)
            best = sorted((d for d in found.get(picture, []) if d[0] == label), key=lambda d: -d[1])[:MAX_DETECTIONS]
            scores += [score for _, score, _ in best]
            matches.append(matched([box for _, _, box in best], [b for b, _ in own], [c for _, c in own]))
        if not count:
            continue
        order = numpy.argsort(-numpy.array(scores), kind="stable")
        match = numpy.concatenate(matches, 1)[:, order]
        for row in match:
            row = row[row >= 0]
            hits = numpy.cumsum(row)
            precision = hits / numpy.arange(1, len(row) + 1)
            precision = numpy.maximum.accumulate(precision[::-1])[::-1]
            at = numpy.searchsorted(hits / count, RECALLS, side="left")
            values.append(numpy.append(precision, 0)[numpy.minimum(at, len(row))].mean())
    return float(numpy.mean(values))
