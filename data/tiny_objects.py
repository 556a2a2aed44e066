"""Drawings of CIFAR-10's ten classes, 32x32, from a seed: the sample that SimpleCNN trains on.

    python data/tiny_objects.py --out runs/tiny_objects

The layout is a folder of classes, `train/<class>/<number>.png` and `test/<class>/<number>.png`. Size, place, tilt,
direction, colours, light and noise vary from picture to picture. A background is the usual one of its class in half of
the pictures and any of them in the others, so that it hints at the class without giving it away.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from data.sample_folder import main, make_sample
from data.tiny_pictures.drawings import OBJECTS
from data.tiny_pictures.sketch import SCENES, Sketch

SIDE = 32
VERSION = 1  # of the drawing: raise it when the pictures change, and samples on disk are made again


def make_tiny_objects(root, pictures=(280, 60), seed=0) -> Path:
    """Draws the sample into the folder `root`, unless it is there already, and returns the folder.

    A picture depends on the seed, the split, its class and its number only: a smaller sample is the beginning of a
    larger one.

    Args:
        root: the folder to make.
        pictures: how many of each class to draw to train and to test.
        seed: another seed, other pictures.

    Raises:
        FileExistsError: `root` holds something that is not a sample; it is left as it is.
    """

    def write(folder):
        for part, (split, count) in enumerate(zip(("train", "test"), pictures, strict=True)):
            for label, name in enumerate(OBJECTS):
                (folder / split / name).mkdir(parents=True)
                for number in range(count):
                    picture = draw_object(np.random.default_rng([seed, part, label, number]), name)
                    picture.save(folder / split / name / f"{number:04}.png", compress_level=1)

    parameters = {"sample": "tiny objects", "version": VERSION, "pictures": list(pictures), "seed": seed}
    return make_sample(root, parameters, write)


def draw_object(rng, name):
    """A picture of the class `name`, 32x32, RGB."""
    draw, usual = OBJECTS[name]
    scene = rng.choice(usual) if rng.random() < 0.5 else rng.choice([*SCENES])
    sketch = Sketch(rng)
    SCENES[scene](sketch)
    sketch.place()
    draw(sketch)
    pixels = np.asarray(sketch.image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64)
    light = rng.uniform(0.65, 1.15) * rng.uniform(0.93, 1.07, size=3)
    noise = rng.normal(0, rng.uniform(3, 10), size=pixels.shape)
    return Image.fromarray((pixels * light + noise).clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    main(make_tiny_objects, "Draw the sample of ten classes.")
