"""Street scenes in the look and the layout of CamVid, drawn from a seed: the sample that LinkNet trains on.

    python data/streets.py --out runs/streets

The layout is that of the SegNet split of CamVid (Brostow, Fauqueur, Cipolla, 2009): `train/`, `val/` and `test/` hold
RGB frames, `trainannot/`, `valannot/` and `testannot/` the label maps, PNG files of one channel with a class index a
pixel: 0 sky, 1 building, 2 pole, 3 road, 4 pavement, 5 tree, 6 sign symbol, 7 fence, 8 car, 9 pedestrian, 10 bicyclist,
11 unlabelled.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from data.sample_folder import main, make_sample
from data.street_scenes.scene import draw_street

SPLITS = ("train", "val", "test")
VERSION = 1  # of the drawing: raise it when the pictures change, and samples on disk are made again
SMALLEST = 64  # pixels a side; in smaller frames poles and people are specks


def make_streets(root, frames=(200, 40, 40), size=(120, 160), seed=0) -> Path:
    """Draw the sample into the folder `root`, unless it is there already, and return the folder.

    A scene depends on the seed, the split, its number in the split and the size only: a smaller sample is the beginning
    of a larger one. The sample is written beside `root` and renamed, so that it is there whole or not at all; of
    processes that make it at once, the first to finish wins and the others use its work.

    Args:
        root: the folder to make.
        frames: how many scenes to draw for training, validation and test.
        size: (height, width) of a frame in pixels, 64 and up.
        seed: another seed, other streets.

    Raises:
        ValueError: a size under 64 pixels or a negative count.
        FileExistsError: `root` holds something that is not a sample of streets; it is left as it is.
    """
    if min(size) < SMALLEST or min(frames) < 0:
        raise ValueError(f"frames {tuple(frames)} must not be negative, size {tuple(size)} must be {SMALLEST} or more")
    parameters = {"sample": "streets", "version": VERSION, "frames": list(frames), "size": list(size), "seed": seed}

    def write(folder):
        for number, (split, count) in enumerate(zip(SPLITS, frames, strict=True)):
            (folder / split).mkdir()
            (folder / f"{split}annot").mkdir()
            for index in range(count):
                frame, label = draw_street(np.random.default_rng([seed, number, index]), size)
                # The lightest compression: three times as fast as the usual, for files a fifth larger.
                Image.fromarray(frame).save(folder / split / f"{index:04}.png", compress_level=1)
                Image.fromarray(label).save(folder / f"{split}annot" / f"{index:04}.png", compress_level=1)

    return make_sample(root, parameters, write)


if __name__ == "__main__":
    main(make_streets, "Draw the sample of street scenes.")
