"""A canvas that places an object at random, and the backgrounds of the embedded pictures of ten classes."""

from colorsys import hsv_to_rgb

import numpy as np
from PIL import Image, ImageDraw

# Drawn four times as large as CIFAR-10's 32x32 and averaged down: edges come out as soft as a camera's.
CANVAS = 4 * 32


class Sketch:
    """A canvas on which an object is drawn in coordinates of its own: -1 to 1 from left to right and top to bottom."""

    def __init__(self, rng):
        self.rng = rng
        self.image = Image.new("RGB", (CANVAS, CANVAS))
        self.pencil = ImageDraw.Draw(self.image)
        self.matrix, self.centre = np.eye(2) * CANVAS / 2, np.full(2, CANVAS / 2)

    def place(self):
        """Draws size, tilt, direction and place: from here on the object's coordinates mean these."""
        size, tilt = self.rng.uniform(0.62, 0.92) * CANVAS / 2, self.rng.normal(0, 0.12)
        mirror = self.rng.choice([-1, 1])
        self.matrix = size * np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]) * [mirror, 1]
        self.centre = CANVAS / 2 + self.rng.uniform(-0.12, 0.12, size=2) * CANVAS

    def polygon(self, colour, *points):
        places = np.array(points) @ self.matrix.T + self.centre
        self.pencil.polygon([tuple(place) for place in places], fill=colour)

    def oval(self, colour, x, y, across, down, turn=0.0):
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        rim = np.stack([across * np.cos(angles), down * np.sin(angles)], axis=1)
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        self.polygon(colour, *(rim @ rotation + [x, y]))

    def box(self, colour, left, top, right, bottom):
        self.polygon(colour, (left, top), (right, top), (right, bottom), (left, bottom))

    def line(self, colour, width, *points):
        places = np.array(points) @ self.matrix.T + self.centre
        thickness = max(1, round(width * np.abs(np.linalg.det(self.matrix)) ** 0.5))
        self.pencil.line([tuple(place) for place in places], fill=colour, width=thickness, joint="curve")

    def colour(self, hue=(0.0, 1.0), strength=(0.4, 0.95), light=(0.35, 0.95)):
        """A colour of a random hue, saturation and value from the three ranges, each 0 to 1."""
        return tuple(
            int(255 * part) for part in hsv_to_rgb(*(self.rng.uniform(*span) for span in (hue, strength, light)))
        )

    def fur(self):
        """A colour of an animal's coat: brown or tan, or grey from black to white."""
        if self.rng.random() < 0.6:
            return self.colour((0.04, 0.11), (0.3, 0.75), (0.3, 0.85))
        return self.colour((0.0, 0.15), (0.0, 0.12), (0.12, 0.95))

    def jitter(self, spread=0.06):
        return self.rng.normal(0, spread)


def shade(colour, factor):
    return tuple(min(255, int(factor * part)) for part in colour)


# The backgrounds.


def ground(sketch, above, below, horizon=(-0.2, 0.6)):
    height = sketch.rng.uniform(*horizon)
    for band, top in enumerate(np.linspace(-1, height, 6)[:-1]):
        sketch.box(shade(above, 0.85 + 0.05 * band), -1, top, 1, height)
    sketch.box(below, -1, height, 1, 1)
    for _ in range(12):
        x, y = sketch.rng.uniform(-1, 1), sketch.rng.uniform(height, 1)
        sketch.oval(shade(below, sketch.rng.uniform(0.8, 1.2)), x, y, 0.25, 0.05)


def heaven(sketch):
    return sketch.colour((0.53, 0.65), (0.05, 0.6), (0.6, 1.0))


def sky(sketch):
    ground(sketch, heaven(sketch), heaven(sketch), horizon=(0.2, 1.0))
    for _ in range(sketch.rng.integers(0, 4)):
        x, y = sketch.rng.uniform(-1, 1, size=2)
        sketch.oval(sketch.colour(strength=(0, 0.05), light=(0.75, 1.0)), x, y, 0.4, 0.13)


def meadow(sketch):
    ground(sketch, heaven(sketch), sketch.colour((0.17, 0.36), (0.3, 0.8), (0.3, 0.8)), horizon=(-0.9, 0.5))


def forest(sketch):
    green = sketch.colour((0.22, 0.4), (0.3, 0.7), (0.15, 0.5))
    ground(sketch, green, sketch.colour((0.08, 0.3), (0.3, 0.6), (0.2, 0.5)))
    for x in sketch.rng.uniform(-1, 1, size=sketch.rng.integers(2, 6)):
        sketch.box(sketch.colour((0.05, 0.1), (0.2, 0.5), (0.15, 0.4)), x, -1, x + 0.1, 0.5)


def street(sketch):
    ground(
        sketch,
        sketch.colour(strength=(0.0, 0.3), light=(0.4, 0.9)),
        sketch.colour(strength=(0, 0.1), light=(0.25, 0.7)),
    )
    for x in sketch.rng.uniform(-1, 1, size=sketch.rng.integers(0, 4)):
        sketch.box(sketch.colour(strength=(0.1, 0.5)), x, sketch.rng.uniform(-1, 0), x + 0.4, 0.1)


def water(sketch):
    ground(sketch, heaven(sketch), sketch.colour((0.48, 0.64), (0.3, 0.9), (0.25, 0.8)), horizon=(-0.3, 0.5))


def room(sketch):
    wall, floor = sketch.colour(strength=(0.05, 0.45), light=(0.4, 0.95)), sketch.colour((0.02, 0.12), (0.2, 0.6))
    ground(sketch, wall, floor)
    if sketch.rng.random() < 0.5:
        x = sketch.rng.uniform(-1, 0.5)
        sketch.box(sketch.colour(), x, -0.9, x + 0.5, -0.3)


SCENES = {"sky": sky, "meadow": meadow, "forest": forest, "street": street, "water": water, "room": room}
