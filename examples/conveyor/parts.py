"""The parts on the belt: outline, relief and colour of nuts, bolts, washers and bearings, good and defective.

A part is drawn from two functions of the plane: a signed distance to its outline (pixels, negative inside),
which gives antialiased coverage, and a height (pixels above the belt), whose slope gives the shading. Both are
closed formulas of the coordinates, so a part has no resolution and can stand at any angle and sub-pixel place.
Distance formulas are the textbook ones (half planes, circles, and their unions and intersections as min and max).
"""

from dataclasses import dataclass

import numpy as np

KINDS = ("nut", "bolt", "washer", "bearing")
CLASSES = tuple(name for kind in KINDS for name in (kind, kind + "_defect"))

# Linear reflectance of the finishes (red, green, blue).
FINISHES = {
    "steel": (0.62, 0.63, 0.65),
    "zinc": (0.68, 0.70, 0.74),
    "brass": (0.74, 0.60, 0.30),
    "copper": (0.70, 0.45, 0.32),
    "black oxide": (0.27, 0.27, 0.29),
}
FINISHES_OF = {
    "nut": ("steel", "zinc", "brass", "black oxide"),
    "bolt": ("steel", "zinc", "brass", "black oxide"),
    "washer": ("steel", "zinc", "copper"),
    "bearing": ("steel", "zinc"),
}
# Half of the longest side, in pixels, from and to.
RADII = {"nut": (13, 20), "bolt": (22, 33), "washer": (13, 20), "bearing": (18, 26)}


@dataclass(frozen=True)
class Part:
    """One part: what it is and where it lies on the belt (pixels, radians)."""

    track: int
    kind: str
    defect: str  # "" when the part is good
    x: float
    y: float
    angle: float
    radius: float
    finish: tuple
    shape: tuple  # four numbers in [0, 1): proportions, and size and place of the defect

    @property
    def label(self):
        """Index into CLASSES."""
        return 2 * KINDS.index(self.kind) + bool(self.defect)


@dataclass
class Relief:
    """A part over a patch of pixels: distance to the outline, height above the belt, factor on the reflectance."""

    distance: np.ndarray
    height: np.ndarray
    tint: np.ndarray


def smooth_step(low, high, x):
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def between(low, high, t):
    return low + (high - low) * t


def hexagon(u, v, apothem):
    """Distance to a regular hexagon with corners on the u axis (exact but for the corners' outside)."""
    u, v = np.abs(u), np.abs(v)
    return np.maximum(v, 0.8660254 * u + 0.5 * v) - apothem


def circle(u, v, x, y, radius):
    return np.hypot(u - x, v - y) - radius


def box(u, v, left, right, half_width):
    return np.maximum(np.maximum(left - u, u - right), np.abs(v) - half_width)


def slot(u, v, direction, width, jag):
    """Distance to a jagged slot that runs from the origin outwards, `width` wide."""
    along = u * np.cos(direction) + v * np.sin(direction)
    across = v * np.cos(direction) - u * np.sin(direction) + jag * np.sin(along * 1.3)
    return np.maximum(np.abs(across) - width / 2, -along)


def nut(part, u, v):
    radius, (a, b, c, _) = part.radius, part.shape
    apothem, hole = 0.866 * radius, between(0.42, 0.5, a) * radius
    rho = np.hypot(u, v)
    outline = hexagon(u, v, apothem)
    distance = np.maximum(outline, hole - rho)
    if part.defect == "cracked":
        distance = np.maximum(distance, -slot(u, v, 2 * np.pi * b, between(0.24, 0.36, c) * radius, 0.7))
    elif part.defect == "chipped":
        corner = np.pi / 3 * int(6 * b)
        distance = np.maximum(distance, -circle(u, v, radius * np.cos(corner), radius * np.sin(corner),
                                                between(0.48, 0.62, c) * radius))
    chamfer = np.maximum(0, rho - 0.97 * apothem)  # a lathe rounds the hexagon's corners
    height = 0.5 * radius - 0.5 * chamfer - 0.22 * radius * smooth_step(-0.12 * radius, 0, distance)
    thread = smooth_step(hole + 0.16 * radius, hole + 0.06 * radius, rho)
    return Relief(distance, height, 1 - 0.5 * thread)


def washer(part, u, v):
    radius, (a, b, c, _) = part.radius, part.shape
    hole = between(0.5, 0.6, a) * radius
    rho, direction = np.hypot(u, v), 2 * np.pi * b
    distance = np.maximum(rho - radius, hole - rho)
    if part.defect == "snapped":
        distance = np.maximum(distance, -slot(u, v, direction, between(0.4, 0.75, c) * radius, 0.5))
    elif part.defect == "dented":
        bite = between(0.40, 0.52, c) * radius
        distance = np.maximum(distance, -circle(u, v, radius * np.cos(direction), radius * np.sin(direction), bite))
    height = 0.14 * radius * smooth_step(0, -0.1 * radius, distance)
    return Relief(distance, height, 1 + 0.04 * np.sin(rho * 2.1))  # turning marks


def bearing(part, u, v):
    radius, (a, b, c, d) = part.radius, part.shape
    bore, inner, outer = 0.34 * radius, 0.50 * radius, 0.80 * radius
    rho, phi = np.hypot(u, v), np.arctan2(v, u)
    distance = np.maximum(rho - radius, bore - rho)
    if part.defect == "cracked":
        distance = np.maximum(distance, -slot(u, v, 2 * np.pi * b, between(0.18, 0.28, c) * radius, 0.8))
    race = smooth_step(inner - 0.5, inner + 0.5, rho) * smooth_step(outer + 0.5, outer - 0.5, rho)
    edge = np.minimum(np.minimum(radius - rho, rho - bore), np.maximum(inner - rho, rho - outer))
    height = 0.42 * radius - 0.12 * radius * smooth_step(0.08 * radius, 0, edge) - 0.2 * radius * race
    tint = 1 - 0.78 * race

    count = 7 + int(3 * a)
    missing = 3 + int(2 * c) if part.defect == "balls missing" else 0
    middle, ball = (inner + outer) / 2, 0.47 * (outer - inner)
    step = 2 * np.pi / count
    place = (phi / step + d) % count
    near = np.floor(place)
    off = middle * step * (place - near - 0.5)
    reach = np.hypot(off, rho - middle)
    present = near >= missing
    bump = np.sqrt(np.maximum(0, ball * ball - reach * reach))
    height = height + np.where(present, bump, 0)
    tint = tint + np.where(present, smooth_step(ball + 0.4, ball - 0.6, reach) * (1.1 - tint), 0)
    return Relief(distance, height, tint)


def kink(u, v, place, angle):
    """Coordinates of a strip along u that turns by `angle` at u = `place`, mitred there."""
    along = u - place
    beyond = along * np.cos(angle / 2) + v * np.sin(angle / 2) > 0
    turned = along * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - along * np.sin(angle)
    return np.where(beyond, place + turned[0], u), np.where(beyond, turned[1], v)


def bolt(part, u, v):
    radius, (a, b, c, d) = part.radius, part.shape
    half, head = between(0.17, 0.21, a) * radius, between(0.36, 0.42, b) * radius
    neck = -0.62 * radius
    if part.defect == "bent":
        u, v = kink(u, v, neck + between(0.5, 0.8, c) * radius, between(0.6, 0.95, b) * (1 if d < 0.5 else -1))
    pitch = max(3.4, 0.15 * radius)
    start = neck + between(0.15, 0.5, d) * radius
    if part.defect == "stripped":
        start = radius
    threaded = smooth_step(start, start + 2, u)
    wave = threaded * np.sin(2 * np.pi * u / pitch + 0.6 * v)
    reach = half + 0.5 * wave - (0.18 * half if part.defect == "stripped" else 0)
    tip = np.maximum(0, u - 0.9 * radius) * 0.8
    shank = box(u, v, neck, radius, reach - tip)
    hexed = box(u, v, -radius, neck, head)
    distance = np.minimum(shank, hexed)
    cylinder = np.sqrt(np.maximum(0, half * half - v * v))
    facets = head - np.maximum(0, np.abs(v) - 0.5 * head) * 0.9 - 0.25 * head * smooth_step(-1.8, 0, hexed)
    on_head = smooth_step(0.5, -0.5, hexed)
    height = on_head * facets * 1.3 + (1 - on_head) * (cylinder * 1.4 + 0.5 * wave)
    tint = 1 - 0.28 * (1 - on_head) * threaded * (0.5 - 0.5 * np.sin(2 * np.pi * u / pitch + 0.6 * v))
    return Relief(distance, height, tint)


_RELIEFS = {"nut": nut, "bolt": bolt, "washer": washer, "bearing": bearing}
DEFECTS = {
    "nut": ("cracked", "chipped"),
    "bolt": ("bent", "stripped"),
    "washer": ("snapped", "dented"),
    "bearing": ("balls missing", "cracked"),
}


def relief(part, x, y):
    """The part's Relief over the pixel centres `x` (1 row), `y` (1 column), both relative to the part's centre."""
    cosine, sine = np.cos(part.angle), np.sin(part.angle)
    return _RELIEFS[part.kind](part, cosine * x + sine * y, cosine * y - sine * x)


def random_part(rng, track, x, y):
    """A part of any kind, good or defective with equal chance."""
    kind = KINDS[rng.integers(len(KINDS))]
    defect = DEFECTS[kind][rng.integers(len(DEFECTS[kind]))] if rng.random() < 0.5 else ""
    finish = np.array(FINISHES[FINISHES_OF[kind][rng.integers(len(FINISHES_OF[kind]))]])
    finish = np.clip(finish * rng.uniform(0.85, 1.12) + rng.uniform(-0.02, 0.02, 3), 0.05, 0.95)
    return Part(track, kind, defect, float(x), float(y), float(rng.uniform(0, 2 * np.pi)),
                float(rng.uniform(*RADII[kind])), tuple(finish.tolist()), tuple(rng.random(4).tolist()))
