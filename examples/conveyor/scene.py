"""A conveyor belt under a camera: belt, light, parts, lens and sensor; exact boxes, classes and track ids.

A scene is a function of its seed alone. The belt runs to the right past a camera that looks straight down; parts lie
fixed on it, a few on top of each other, and go under the two side rails a little. Every frame is drawn as light
(linear), then blurred by lens and motion, exposed, given noise, and stored as 8-bit sRGB-like RGB.
"""

from dataclasses import dataclass

import numpy as np

from parts import CLASSES, random_part, relief

WIDTH, HEIGHT = 320, 240
RAIL = 12  # pixels at the top and at the bottom, at most
MARGIN = 40  # no part reaches further than this from its centre
VISIBLE = 0.65  # a part with less of its area in sight is marked iscrowd: neither asked for nor held against anyone

BELTS = (  # linear reflectance of the belt's rubber
    (0.045, 0.050, 0.055), (0.030, 0.070, 0.050), (0.030, 0.055, 0.110), (0.110, 0.115, 0.110),
    (0.160, 0.150, 0.130), (0.020, 0.022, 0.024), (0.120, 0.060, 0.040),
)


@dataclass(frozen=True)
class Annotation:
    """What can be seen of one part: the box of its visible pixels (left, top, right, bottom; right and bottom are
    one past the last pixel), its class, its track, and how much of its area is in sight."""

    track: int
    label: int
    box: tuple
    visible: float

    @property
    def crowd(self):
        return self.visible < VISIBLE

    @property
    def name(self):
        return CLASSES[self.label]


def _noise(rng, height, width, cell):
    """Smooth noise about 0 with details of about `cell` pixels; it wraps around in x."""
    rows, columns = -(-height // cell) + 2, max(2, width // cell)
    grid = rng.standard_normal((rows, columns)).astype(np.float32)
    y, x = np.arange(height) / cell, np.arange(width) * (columns / width)
    row, column = y.astype(int), x.astype(int)
    fy, fx = (y - row).astype(np.float32)[:, None], (x - column).astype(np.float32)[None, :]
    fy, fx = fy * fy * (3 - 2 * fy), fx * fx * (3 - 2 * fx)
    next_column = (column + 1) % columns
    top = grid[row][:, column] * (1 - fx) + grid[row][:, next_column] * fx
    bottom = grid[row + 1][:, column] * (1 - fx) + grid[row + 1][:, next_column] * fx
    return top * (1 - fy) + bottom * fy


def _blur(image, kernel, axis):
    """Correlation of the image with an odd kernel along one axis, edges repeated."""
    reach = len(kernel) // 2
    if reach == 0:
        return image
    padding = [(reach, reach) if i == axis else (0, 0) for i in range(image.ndim)]
    padded = np.pad(image, padding, mode="edge")
    out = np.zeros_like(image)
    for tap, weight in enumerate(kernel):
        window = [slice(None)] * image.ndim
        window[axis] = slice(tap, tap + image.shape[axis])
        out += np.float32(weight) * padded[tuple(window)]
    return out


def _gaussian(sigma):
    if sigma < 0.2:
        return np.ones(1)
    x = np.arange(-int(3 * sigma + 0.5), int(3 * sigma + 0.5) + 1)
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    return weights / weights.sum()


def _motion(length):
    """A box of `length` pixels, ends weighted by the part of a pixel they cover."""
    if length < 1.05:
        return np.ones(1)
    reach = int(np.ceil((length - 1) / 2))
    weights = np.ones(2 * reach + 1)
    weights[0] = weights[-1] = (length - (2 * reach - 1)) / 2
    return weights / weights.sum()


class Scene:
    """A belt with its parts and its light.

    `frames` is how many frames can be asked for, `fps` their rate. Two scenes with equal arguments give equal frames,
    whatever frames are asked for and in whatever order.
    """

    def __init__(self, seed, frames=1, fps=25, speed=None):
        rng = np.random.default_rng([seed, 1])
        self.seed, self.frames, self.fps = seed, frames, fps
        self.speed = float(rng.uniform(40, 110)) if speed is None else float(speed)  # pixels a second
        self._set_light(rng)
        self._set_camera(rng)
        self._make_belt(np.random.default_rng([seed, 2]))
        self._place_parts(np.random.default_rng([seed, 3]))

    def _set_light(self, rng):
        direction, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0.45, 1.1)
        light = np.array([np.cos(direction) * slope, np.sin(direction) * slope, 1])
        self.light = (light / np.linalg.norm(light)).astype(np.float32)
        half = self.light + np.array([0, 0, 1], np.float32)
        self.half = half / np.linalg.norm(half)
        warm = rng.uniform(-0.1, 0.1)
        self.colour = np.array([1 + warm, 1, 1 - warm], np.float32)
        self.ambient, self.key = rng.uniform(0.25, 0.5), rng.uniform(0.5, 0.9)
        self.shine, self.gloss = rng.uniform(0.2, 0.8), rng.uniform(12, 45)
        self.shadow = rng.uniform(0.35, 0.75)
        self.flicker = rng.uniform(0, 0.06), rng.uniform(0.4, 1.2), rng.uniform(0, 2 * np.pi)
        # Someone walks past a lamp: a soft dark band that crosses the picture.
        self.band = (rng.uniform(0, 0.4) if rng.random() < 0.4 else 0, rng.uniform(0, WIDTH), rng.uniform(-90, 90),
                     rng.uniform(25, 70))
        x, y = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None], np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None]
        tilt = rng.uniform(-0.18, 0.18, 2).astype(np.float32)
        self.field = 1 + tilt[0] * x + tilt[1] * y - rng.uniform(0, 0.14) * (x * x + y * y)

    def _set_camera(self, rng):
        self.exposure = rng.uniform(0.75, 1.35)
        self.noise = rng.uniform(0.003, 0.016), rng.uniform(0.005, 0.022)  # read noise, shot noise
        self.focus = rng.uniform(0.3, 0.85)
        self.shutter = rng.uniform(0.002, 0.03)  # seconds
        self.shake = rng.uniform(0, 0.35)

    def _make_belt(self, rng):
        """The belt's reflectance as one repeating strip, and the rails' as one column."""
        length = 512
        base = np.array(BELTS[rng.integers(len(BELTS))], np.float32) * rng.uniform(0.8, 1.25)
        weave = rng.uniform(0, 0.12)
        periods = 2 * np.pi * np.array([round(length / rng.uniform(3, 8)) / length, 1 / rng.uniform(3, 8)])
        x, y = np.arange(length, dtype=np.float32)[None], np.arange(HEIGHT, dtype=np.float32)[:, None]
        strip = 1 + weave * np.sin(periods[0] * x) * np.sin(periods[1] * y)
        strip = strip + rng.uniform(0.02, 0.12) * _noise(rng, HEIGHT, length, 2)
        strip = strip + rng.uniform(0.02, 0.14) * _noise(rng, HEIGHT, length, 24)
        for _ in range(rng.integers(0, 14)):  # scuffs along the run, and stains
            where, wide = rng.uniform(0, HEIGHT), rng.uniform(0.5, 1.6)
            begin, run = rng.integers(length), rng.integers(20, 200)
            scuff = np.exp(-((y - where) / wide) ** 2) * (((x - begin) % length) < run)
            strip = strip * (1 + rng.uniform(-0.25, 0.5) * scuff)
        if rng.random() < 0.25:  # the belt's seam
            seam = rng.integers(length)
            strip = strip * (1 - 0.45 * (np.abs((x - seam + 0.3 * y) % length) < 2.5))
        self._strip = np.maximum(strip, 0.15)[:, :, None].astype(np.float32) * base

        self.rails = tuple(rng.integers(5, RAIL + 1, 2).tolist())
        profile = 0.3 + 0.15 * np.sin(np.arange(HEIGHT) * 0.9 + rng.uniform(0, 6)) + rng.uniform(-0.1, 0.2)
        self._rail = np.clip(profile, 0.1, 0.8).astype(np.float32)[:, None, None] * np.ones(3, np.float32)

    def _place_parts(self, rng):
        """Parts along the whole stretch of belt that the frames will show; x is where they are in frame 0."""
        travel = self.speed * (self.frames - 1) / self.fps
        left, right = -travel - MARGIN, WIDTH + MARGIN
        low, high = self.rails[0] + 8, HEIGHT - self.rails[1] - 8
        wanted = rng.uniform(5, 13) * (right - left) / (WIDTH + 2 * MARGIN)
        crowding = 0.62 if rng.random() < 0.15 else 0.95  # now and then parts lie on each other
        self.parts = []
        for _ in range(int(wanted * 8)):
            if len(self.parts) >= wanted:
                break
            part = random_part(rng, 0, rng.uniform(left, right), rng.uniform(low, high))
            gaps = [np.hypot(part.x - o.x, part.y - o.y) / (part.radius + o.radius) for o in self.parts]
            if min(gaps, default=9) > crowding:
                self.parts.append(part)
        # The first to come into the picture is track 1.
        self.parts.sort(key=lambda part: -part.x)
        self.parts = [type(p)(**{**vars(p), "track": i + 1}) for i, p in enumerate(self.parts)]

    def frame(self, number=0):
        """Frame `number`: (HEIGHT x WIDTH x 3 uint8 RGB, list of Annotation, in the order of the tracks)."""
        if not 0 <= number < self.frames:
            raise IndexError(f"frame {number} of {self.frames}")
        rng = np.random.default_rng([self.seed, 4, number])
        time = number / self.fps
        offset = self.speed * time + rng.normal(0, 1) * self.shake
        lift = rng.normal(0, 1) * self.shake
        image = self._belt_at(offset)
        owner = np.zeros((HEIGHT, WIDTH), np.int32)
        drawn = []
        for part in self.parts:
            x, y = part.x + offset, part.y + lift
            if -MARGIN < x < WIDTH + MARGIN:
                drawn.append((part, self._draw(image, owner, part, x, y)))
        self._draw_rails(image, owner)
        return self._expose(image, time, rng), self._annotate(owner, drawn)

    def _belt_at(self, offset):
        length = self._strip.shape[1]
        whole = int(np.floor(offset))
        part = np.float32(offset - whole)
        columns = (np.arange(WIDTH + 1) - whole - 1) % length
        strip = self._strip[:, columns]
        diffuse = self.ambient + self.key * self.light[2]
        return (strip[:, 1:] * (1 - part) + strip[:, :-1] * part) * (diffuse * self.colour)

    def _draw(self, image, owner, part, x, y):
        """Draws a part centred at (x, y); returns the area its outline covers, in and out of the picture."""
        reach = int(part.radius * 1.1) + 3
        left, top = int(np.floor(x)) - reach, int(np.floor(y)) - reach
        size = 2 * reach + 1
        xs = (np.arange(left, left + size) + 0.5 - x).astype(np.float32)[None, :]
        ys = (np.arange(top, top + size) + 0.5 - y).astype(np.float32)[:, None]
        form = relief(part, xs, ys)
        cover = np.clip(0.5 - form.distance, 0, 1)
        self._cast_shadow(image, part, cover, left, top)

        dy, dx = np.gradient(np.clip(form.height, 0, None))
        slope = np.sqrt(1 + dx * dx + dy * dy)
        facing = np.maximum(0, (self.light[2] - dx * self.light[0] - dy * self.light[1]) / slope)
        mirror = np.maximum(0, (self.half[2] - dx * self.half[0] - dy * self.half[1]) / slope)
        side = (0.6 * dx + 0.8 * dy) / slope  # a window somewhere to the side
        grain = 1 + 0.05 * np.sin(xs * 1.7 + ys * 0.6 + part.shape[0] * 40)
        light = (self.ambient * (1 + 0.35 * side) + self.key * facing) * form.tint * grain
        shine = self.shine * mirror ** self.gloss * np.minimum(form.tint, 1)
        colour = light[:, :, None] * np.array(part.finish, np.float32) + shine[:, :, None]
        rows, columns, inside = _window(left, top, size)
        if inside:
            alpha = cover[rows[1], columns[1], None].astype(np.float32)
            place = image[rows[0], columns[0]]
            place += alpha * (colour[rows[1], columns[1]].astype(np.float32) * self.colour - place)
            owner[rows[0], columns[0]][cover[rows[1], columns[1]] >= 0.5] = part.track
        return int((cover >= 0.5).sum())

    def _cast_shadow(self, image, part, cover, left, top):
        tall = part.radius * {"nut": 0.45, "bolt": 0.28, "washer": 0.1, "bearing": 0.4}[part.kind]
        reach = int(np.ceil(tall)) + 3
        shade = np.pad(cover.astype(np.float32), reach)
        steps = max(2, int(tall / 2))
        total = np.zeros_like(shade)
        for step in range(1, steps + 1):  # the solid is a stack of its outlines
            move = -self.light[:2] / self.light[2] * tall * step / steps
            total = np.maximum(total, np.roll(shade, np.rint(move[::-1]).astype(int), (0, 1)))
        total = _blur(_blur(total, _gaussian(1.1), 0), _gaussian(1.1), 1)
        rows, columns, inside = _window(left - reach, top - reach, len(total))
        if inside:
            image[rows[0], columns[0]] *= 1 - self.shadow * total[rows[1], columns[1], None]

    def _draw_rails(self, image, owner):
        upper, lower = self.rails
        image[upper:upper + 3] *= np.array([0.45, 0.65, 0.85], np.float32)[:, None, None]
        image[HEIGHT - lower - 2:HEIGHT - lower] *= np.array([0.85, 0.6], np.float32)[:, None, None]
        for rows in (slice(0, upper), slice(HEIGHT - lower, HEIGHT)):
            image[rows] = self._rail[rows] * (self.ambient + self.key * 0.8) * self.colour
            owner[rows] = 0

    def _expose(self, image, time, rng):
        depth, rate, phase = self.flicker
        light = self.exposure * (1 + depth * np.sin(2 * np.pi * rate * time + phase))
        dark, start, pace, wide = self.band
        x = np.arange(WIDTH, dtype=np.float32)
        band = 1 - dark * np.exp(-0.5 * ((x - (start + pace * time) % (WIDTH + 200) + 100) / wide) ** 2)
        image = image * (self.field * band * np.float32(light))[:, :, None].astype(np.float32)
        lens = _gaussian(self.focus)
        image = _blur(_blur(image, lens, 0), np.convolve(lens, _motion(self.speed * self.shutter)), 1)
        read, shot = self.noise
        spread = np.sqrt(np.float32(read * read) + np.float32(shot * shot) * np.maximum(image, 0))
        image = image + spread * rng.standard_normal(image.shape, dtype=np.float32)
        # sRGB's curve, near enough, and a soft shoulder so that highlights do not end in a flat edge.
        image = np.sqrt(np.clip(image, 0, None))
        image = np.where(image > 0.8, 0.8 + 0.2 * np.tanh((image - 0.8) / 0.2), image)
        return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)

    def _annotate(self, owner, drawn):
        found = []
        for part, area in drawn:
            rows, columns = np.nonzero(owner == part.track)
            if len(rows) < 12:
                continue
            box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
            found.append(Annotation(part.track, part.label, box, len(rows) / area))
        return found


def _window(left, top, size):
    """The overlap of a square patch with the picture: (rows in picture, in patch), (columns ...), any at all."""
    x0, x1 = max(left, 0), min(left + size, WIDTH)
    y0, y1 = max(top, 0), min(top + size, HEIGHT)
    rows = slice(y0, y1), slice(y0 - top, y1 - top)
    columns = slice(x0, x1), slice(x0 - left, x1 - left)
    return rows, columns, x0 < x1 and y0 < y1


def still(seed):
    """One frame of a belt of its own: (image, annotations)."""
    return Scene(seed).frame(0)
