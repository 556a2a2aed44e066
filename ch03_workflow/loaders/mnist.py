"""MNIST's four files, checked before anybody reads them, since torchvision's complaints name neither file nor fault.

Where they are still packed (`*.gz`, as they are published), they are unpacked into `data/cache`, not beside the user's.
"""

import gzip
import hashlib
import shutil
import zlib
from pathlib import Path

import numpy as np
import torch

from common.cli import UserError
from data import place, sample
from data.digits import make_digits
from data.sample_folder import make_sample

PARTS, KINDS = ("train", "t10k"), ("images-idx3-ubyte", "labels-idx1-ubyte")
SIDE = 28
IMAGES, LABELS = 0x803, 0x801  # a file's first four bytes: 8 for unsigned bytes, then how many axes


def mnist_folder(data):
    """The folder with MNIST's files, whole and unpacked, as `torchvision.datasets.MNIST(folder)` reads it.

    Args:
        data: "sample", or the folder in which `MNIST/raw` lies; its files may be packed as they are published.

    Raises:
        UserError: no such folder; a file that is missing, cut short or of another format; images and labels that do
            not match. The message names the file, what was found and what was expected.
    """
    root = sample(make_digits) if data == "sample" else _unpack(Path(data).resolve())
    for part in PARTS:
        _check_part(root / "MNIST" / "raw", part)
    return root


def read_mnist(data, train):
    """A split of MNIST as two tensors, without torchvision: the arguments and errors are those of `mnist_folder`.

    Returns:
        images, uint8, (images, 28, 28), and labels, int64, (images,).
    """
    raw, part = mnist_folder(data) / "MNIST" / "raw", PARTS[0 if train else 1]
    images = np.fromfile(raw / f"{part}-{KINDS[0]}", dtype=np.uint8, offset=16).reshape(-1, SIDE, SIDE)
    labels = np.fromfile(raw / f"{part}-{KINDS[1]}", dtype=np.uint8, offset=8)
    return torch.from_numpy(images), torch.from_numpy(labels).long()


def download(folder):
    """Fetches the four files into `folder/MNIST/raw` with torchvision, which compares their checksums.

    Raises:
        UserError: the servers cannot be read, what they sent is damaged, or files are there already and damaged.
    """
    from torchvision.datasets import MNIST  # with it come all of torchvision's models: seconds that no reader pays

    raw = Path(folder) / "MNIST" / "raw"
    for part in PARTS:
        # The library takes what is there for whole.
        if all((raw / f"{part}-{kind}").exists() for kind in KINDS):
            _check_part(raw, part)
    try:
        MNIST(folder, download=True)
    except (RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{folder}: MNIST not downloaded ({reason})") from None
    print(f"MNIST lies in {folder}; use it with --data {folder}")


def _unpack(root):
    """The folder with the unpacked files: `root` itself, or one in the cache."""
    raw = root / "MNIST" / "raw"
    if not raw.is_dir():
        raise UserError(f"--data {root}: no folder MNIST/raw in it; expected MNIST's four files there")
    plain = [raw / f"{part}-{kind}" for part in PARTS for kind in KINDS]
    sources = [path if path.exists() else path.with_name(path.name + ".gz") for path in plain]
    for path, source in zip(plain, sources):
        if not source.is_file():
            raise UserError(f"{path}: no such file, packed (.gz) or not; expected MNIST's four files")
    if sources == plain:
        return root

    def write(folder):
        (folder / "MNIST" / "raw").mkdir(parents=True)
        for path, source in zip(plain, sources):
            opened = gzip.open if source.suffix == ".gz" else open
            try:
                with opened(source, "rb") as packed, open(folder / "MNIST" / "raw" / path.name, "wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise UserError(f"{source}: not a whole gzip file ({error}); expected one as it is published") from None

    # Size and time tell a file that was put right from the one that is in the cache.
    stamps = {str(source): [source.stat().st_size, source.stat().st_mtime_ns] for source in sources}
    name = hashlib.sha256(str(root).encode()).hexdigest()[:12]
    return make_sample(place("cache") / f"mnist-{name}", {"sample": "MNIST, unpacked", "from": stamps}, write)


def _check_part(raw, part):
    pictures, path = (raw / f"{part}-{kind}" for kind in KINDS)
    images, labels = _check_file(pictures, IMAGES, (SIDE, SIDE)), _check_file(path, LABELS, ())
    if images != labels:
        raise UserError(f"{path}: {labels:,} labels, expected {images:,}, one for each image of {pictures.name}")
    values = np.fromfile(path, dtype=np.uint8, offset=8)
    if (wrong := np.flatnonzero(values > 9)).size:
        raise UserError(f"{path}: label {values[wrong[0]]} of image {wrong[0]}; expected 0 to 9")


def _check_file(path, magic, shape):
    """How many items an idx file holds, each of the given shape."""
    size = path.stat().st_size
    axes = 1 + len(shape)
    with open(path, "rb") as file:
        header = np.frombuffer(file.read(4 * (1 + axes)).ljust(4 * (1 + axes), b"\0"), dtype=">u4").tolist()
    if header[0] != magic:
        raise UserError(f"{path}: starts with {header[0]:#010x}, expected {magic:#010x}: no idx file of its name")
    count, found = header[1], tuple(header[2:])
    if found != shape:
        raise UserError(f"{path}: images of {found[0]} x {found[1]}, expected {shape[0]} x {shape[1]}")
    expected = 4 * (1 + axes) + count * int(np.prod(shape))
    if size != expected:
        fault = "cut short" if size < expected else "too long"
        raise UserError(f"{path}: {size:,} bytes, expected {expected:,} for the {count:,} items it names: {fault}")
    return count
