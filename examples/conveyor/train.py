"""Trains the detector of the conveyor example and writes it as ONNX (needs PyTorch; not part of the tests).

    python train.py --out detector.onnx

One stride, no anchors: the cells whose centre is near the middle of a part answer for it. Convolution, batch
normalisation and ReLU throughout; normalisation is folded into the convolutions on export.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import detection
import scene
from parts import CLASSES

STRIDE = 8
GRID = scene.HEIGHT // STRIDE, scene.WIDTH // STRIDE
VALIDATION = range(100_000, 100_060)


def convolve(inputs, outputs, size, stride=1, dilation=1):
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2 * dilation, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Bottleneck(nn.Module):
    def __init__(self, width, inner, dilation):
        super().__init__()
        self.body = nn.Sequential(convolve(width, inner, 1), convolve(inner, width, 3, dilation=dilation))

    def forward(self, x):
        return x + self.body(x)


class Detector(nn.Module):
    """1 x 3 x 240 x 320 to 1 x 1200 x 13 (see detection.py for the columns)."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            convolve(3, 16, 3, 2), convolve(16, 32, 3, 2), convolve(32, 64, 3, 2),
            # Whether a bolt is straight shows only to who sees both of its ends.
            Bottleneck(64, 32, 1), Bottleneck(64, 32, 2), Bottleneck(64, 32, 1), Bottleneck(64, 32, 2))
        self.head = nn.Conv2d(64, 5 + len(CLASSES), 1)
        nn.init.constant_(self.head.bias[4:], -3.0)

    def raw(self, x):
        """Columns before the sigmoid: n x 1200 x 13."""
        return self.head(self.body(x)).flatten(2).transpose(1, 2)

    def forward(self, x):
        place, odds = self.head(self.body(x)).split([4, 1 + len(CLASSES)], 1)
        return torch.cat([place, torch.sigmoid(odds)], 1).reshape(1, -1, GRID[0] * GRID[1]).transpose(1, 2)


def prepare(images):
    """n x H x W x 3 uint8 to what the network takes, as frame.json says."""
    network = detection.read_frame()["input"]
    mean, scale = torch.tensor(network["mean"]), torch.tensor(network["scale"])
    return ((images.float() - mean) * scale).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def targets(annotations):
    """Cells of one frame: label (-1 background, -2 not asked), box (left, top, right, bottom in cells)."""
    y, x = np.mgrid[:GRID[0], :GRID[1]] + 0.5
    label, box = np.full(GRID, -1, np.int64), np.zeros((*GRID, 4), np.float32)
    nearest = np.full(GRID, 1.3)
    for a in annotations:
        left, top, right, bottom = (c / STRIDE for c in a.box)
        if a.crowd:
            label[(label == -1) & (x > left) & (x < right) & (y > top) & (y < bottom)] = -2
    for a in annotations:
        if a.crowd:
            continue
        left, top, right, bottom = (c / STRIDE for c in a.box)
        away = np.hypot(x - (left + right) / 2, y - (top + bottom) / 2)
        mine = away < nearest
        nearest[mine] = away[mine]
        label[mine], box[mine] = a.label, (left, top, right, bottom)
    return label.ravel(), box.reshape(-1, 4)


def load_frames(seeds, cache):
    """(images n x H x W x 3, labels n x 1200, boxes n x 1200 x 4) of the stills of these seeds."""
    path = cache and Path(cache) / f"conveyor-{seeds.start}-{seeds.stop}.npz"
    if path and path.exists():
        data = np.load(path)
        return tuple(torch.from_numpy(data[k]) for k in ("images", "labels", "boxes"))
    stills = [scene.still(seed) for seed in seeds]
    cells = [targets(annotations) for _, annotations in stills]
    data = dict(images=np.stack([image for image, _ in stills]), labels=np.stack([c[0] for c in cells]),
                boxes=np.stack([c[1] for c in cells]))
    if path:
        np.savez(path, **data)
    return tuple(torch.from_numpy(data[k]) for k in ("images", "labels", "boxes"))


def flip(images, labels, boxes, generator):
    """Mirrors the whole batch left to right and upside down, each with even odds."""
    labels, boxes = labels.view(-1, *GRID), boxes.view(-1, *GRID, 4)
    for axis, size, low in ((2, GRID[1], 0), (1, GRID[0], 1)):
        if torch.rand((), generator=generator) < 0.5:
            images, labels, boxes = images.flip(axis), labels.flip(axis), boxes.flip(axis).clone()
            boxes[..., [low, low + 2]] = size - boxes[..., [low + 2, low]]
    return images, labels.flatten(1), boxes.flatten(1, 2)


def loss_of(raw, labels, boxes):
    y, x = torch.meshgrid(torch.arange(GRID[0]), torch.arange(GRID[1]), indexing="ij")
    corner = torch.stack([x.flatten(), y.flatten()], 1).float().expand(len(raw), -1, -1)
    mine = labels >= 0
    count = mine.sum().clamp(min=1)
    guess, truth = raw[mine], boxes[mine]
    centre, size = guess[:, :2] + corner[mine], guess[:, 2:4].clamp(max=4).exp()
    low, high = centre - size / 2, centre + size / 2
    common = (torch.minimum(high, truth[:, 2:]) - torch.maximum(low, truth[:, :2])).clamp(min=0).prod(1)
    hull = (torch.maximum(high, truth[:, 2:]) - torch.minimum(low, truth[:, :2])).prod(1)
    union = size.prod(1) + (truth[:, 2:] - truth[:, :2]).prod(1) - common
    iou = common / union
    giou = iou - (hull - union) / hull
    wanted = torch.zeros_like(raw[..., 4])
    wanted[mine] = iou.detach()
    present = functional.binary_cross_entropy_with_logits(raw[..., 4], wanted, reduction="none")
    present = (present * (labels != -2)).sum() / count
    kind = functional.binary_cross_entropy_with_logits(
        guess[:, 5:], functional.one_hot(labels[mine], len(CLASSES)).float(), reduction="sum") / count
    return present + kind + 3 * (1 - giou).mean()


def validate(model):
    """mAP50 and mAP50:95 on frames never trained on."""
    frame = detection.read_frame()
    found, truth = [], []
    model.eval()
    with torch.no_grad():
        for seed in VALIDATION:
            image, annotations = scene.still(seed)
            output = model(torch.from_numpy(detection.preprocess(image, frame)))
            found.append(detection.decode(output.numpy(), frame, threshold=0.01))
            truth.append(annotations)
    model.train()
    table = detection.average_precision(found, truth, len(CLASSES))
    return np.nanmean(table[:, 0]), np.nanmean(table)


def export(model, path):
    import onnx
    model.eval()
    torch.onnx.export(model, (torch.zeros(1, 3, scene.HEIGHT, scene.WIDTH),), path, input_names=["image"],
                      output_names=["detections"], opset_version=17, dynamo=False)
    net = onnx.load(path)
    net.producer_name, net.producer_version = "planish-conveyor", "1"
    net.doc_string = "Conveyor detector of the Planish examples; see DATA_CARD.md"
    net.graph.name = "conveyor"
    onnx.checker.check_model(net, full_check=True)
    onnx.save(net, path)


def train(args):
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    begin = time.time()
    images, labels, boxes = load_frames(range(args.frames), args.cache)
    print(f"{len(images)} frames, {time.time() - begin:.0f} s", flush=True)
    model = Detector().to(memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99), use_buffers=True)
    steps = args.epochs * (len(images) // args.batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.rate, total_steps=steps, pct_start=0.1)
    for epoch in range(args.epochs):
        total, order = 0.0, torch.randperm(len(images), generator=generator)
        for i in range(len(images) // args.batch):
            pick = order[i * args.batch:(i + 1) * args.batch]
            batch = flip(images[pick], labels[pick], boxes[pick], generator)
            loss = loss_of(model.raw(prepare(batch[0])), *batch[1:])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10)
            optimizer.step()
            schedule.step()
            average.update_parameters(model)
            total += loss.item()
        ap50, ap = validate(average.module)
        print(f"epoch {epoch + 1}: loss {total / (i + 1):.3f}, mAP50 {ap50:.3f}, mAP50:95 {ap:.3f}, "
              f"{time.time() - begin:.0f} s", flush=True)
        torch.save(average.module.state_dict(), Path(args.out).with_suffix(".pt"))
        export(average.module, args.out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="detector.onnx")
    parser.add_argument("--frames", type=int, default=2400, help="seeds 0 to this are trained on")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", help="folder where drawn frames are kept between runs")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
