"""Handwritten digits, 28x28, from a seed, in MNIST's own files: the sample of the torchvision tour and of ignite.

    python data/digits.py --out runs/digits

Every digit is a pen's way along a glyph of `data/digit_strokes/glyphs.py`. A writer has a way of writing each digit, a
slant, a width, a pen; each of the writer's digits is bent a little otherwise. As in MNIST, who writes to train does not
write to test, and a digit is scaled to 20x20 pixels and set with its centre of mass into the middle of 28x28
(LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998, section III.A).
"""

from pathlib import Path

import numpy as np

from data.digit_strokes.glyphs import GLYPHS, spline
from data.sample_folder import main, make_sample

SIDE, BOX = 28, 20
DIGITS_A_WRITER = 25
THINNEST = 0.8  # pixels: the edges of a thinner pen, a pixel wide each, would overlap
VERSION = 1  # of the drawing: raise it when the digits change, and samples on disk are made again


def make_digits(root, digits=(6000, 1000), seed=0) -> Path:
    """Draws the sample into the folder `root`, unless it is there already, and returns the folder.

    Args:
        root: the folder to make; the files lie in `MNIST/raw`, as `torchvision.datasets.MNIST(root)` wants them.
        digits: how many to draw to train and to test.
        seed: another seed, other writers.

    Raises:
        FileExistsError: `root` holds something that is not a sample; it is left as it is.
    """

    def write(folder):
        raw = folder / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for part, (name, count) in enumerate(zip(("train", "t10k"), digits, strict=True)):
            images, labels = draw_digits(np.random.default_rng([seed, part]), count)
            write_idx(raw / f"{name}-images-idx3-ubyte", images)
            write_idx(raw / f"{name}-labels-idx1-ubyte", labels)

    parameters = {"sample": "digits", "version": VERSION, "digits": list(digits), "seed": seed}
    return make_sample(root, parameters, write)


def write_idx(path, array):
    """Writes bytes of any shape in MNIST's format: two zeros, 8 for bytes, the number of axes, their sizes, the bytes.

    Numbers are big-endian. The format is described at the foot of yann.lecun.com/exdb/mnist.
    """
    sizes = np.array(array.shape, dtype=">u4")
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes.tobytes() + array.astype(np.uint8).tobytes())


def draw_digits(rng, count):
    """Digits by as many writers as it takes.

    Returns:
        images, uint8, (count, 28, 28), 255 is ink; labels, uint8, (count,).
    """
    labels = rng.permutation(np.arange(count) % 10)
    writer = np.arange(count) // DIGITS_A_WRITER
    writers = writer[-1] + 1
    ways_of = rng.random((writers, 10))
    style = {
        "slant": rng.normal(0.2, 0.23, writers),
        "width": rng.lognormal(-0.3, 0.2, writers),
        "tilt": rng.normal(0, 0.09, writers),
        "pen": rng.uniform(0.85, 1.8, writers),  # half its width, in pixels
        "bends": rng.uniform(-0.07, 0.07, (writers, 2, 2, 3)),
    }
    own = {name: values[writer] for name, values in style.items()}
    own["slant"] += rng.normal(0, 0.1, count)
    own["width"] *= rng.lognormal(0, 0.1, count)
    own["tilt"] += rng.normal(0, 0.06, count)
    own["pen"] = np.clip(own["pen"] * rng.lognormal(0, 0.12, count), THINNEST, None)
    own["bends"] += rng.uniform(-0.07, 0.07, own["bends"].shape)
    # A writer now and then writes a digit in another way.
    way = np.where(rng.random(count) < 0.1, rng.random(count), ways_of[writer, labels])

    images = np.zeros((count, SIDE, SIDE), dtype=np.uint8)
    for digit, ways in GLYPHS.items():
        for number, strokes in enumerate(ways):
            chosen = np.flatnonzero((labels == digit) & (np.floor(way * len(ways)) == number))
            dabs, lengths = trace(strokes, {name: values[chosen] for name, values in own.items()}, rng)
            images[chosen] = ink(dabs, lengths, own["pen"][chosen])
    return images, labels.astype(np.uint8)


def trace(strokes, own, rng):
    """The pen's way along a glyph, once for each digit.

    Returns:
        where the dabs of the pen fall, in pixels, (digits, dabs, 2); the length of the way that each stands for,
        (digits, dabs).
    """
    jitter = [rng.normal(0, 0.016, (len(own["slant"]), len(stroke), 2)) for stroke in strokes]
    paths = [
        spline(len(stroke)) @ (bend(np.array(stroke) - 0.5, own["bends"]) + jolt)
        for stroke, jolt in zip(strokes, jitter)
    ]
    ends = np.cumsum([path.shape[1] for path in paths])[:-1]
    places = np.concatenate(paths, axis=1)  # (digits, dabs, 2)
    x, y = places[..., 0] * own["width"][:, None], places[..., 1]
    x = x - own["slant"][:, None] * y
    tilt = own["tilt"][:, None]
    places = np.stack([x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)], axis=2)
    # The longer side of the ink fills the box, half the pen's width at either end included.
    extent = np.ptp(places, axis=1).max(axis=1)
    places *= ((BOX - 2 * own["pen"]) / extent)[:, None, None]
    # Stroke by stroke: on its way from one to the next the pen is in the air.
    steps = [np.gradient(path, axis=1) for path in np.split(places, ends, axis=1)]
    lengths = np.linalg.norm(np.concatenate(steps, axis=1), axis=2)
    mass = (places * lengths[..., None]).sum(axis=1) / lengths.sum(axis=1)[:, None]
    return places - mass[:, None] + SIDE / 2, lengths


def bend(points, bends):
    """Moves points, (points, 2), by a smooth field that is another for each digit: (digits, points, 2)."""
    waves = np.stack([np.sin(2.5 * points + 0.6), np.cos(4 * points), np.sin(2 * points[:, ::-1])])  # (3, points, 2)
    return points + np.einsum("nijk,kpj->npi", bends, waves)


def ink(dabs, lengths, pen):
    """Puts the dabs on paper: (digits, 28, 28), uint8.

    A dab is a round Gaussian, which is the product of one along x and one along y: all dabs together are a product of
    matrices. Along a straight stroke they add up to exp(-d^2 / 2 s^2) at the distance d; the paper is black where this
    is above its value at the pen's half width, and an edge is one pixel wide.
    """
    spread = 0.8 * pen[:, None, None]
    pixels = np.arange(SIDE)
    x, y = (np.exp(-((dabs[:, :, None, axis] - pixels) ** 2) / (2 * spread**2)) for axis in (0, 1))
    weights = lengths[:, None] / (spread * np.sqrt(2 * np.pi))
    wet = (y.transpose(0, 2, 1) * weights) @ x  # (digits, rows, columns)
    edge = np.exp(-(pen**2) / (2 * spread.ravel() ** 2))[:, None, None]
    slope = edge * pen[:, None, None] / spread**2
    return (255 * (0.5 + (wet - edge) / slope).clip(0, 1)).round().astype(np.uint8)


if __name__ == "__main__":
    main(make_digits, "Draw the sample of handwritten digits.")
