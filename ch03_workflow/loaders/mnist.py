"""MNIST's four files, checked before anybody reads them, since torchvision's complaints name neither file nor fault.

Where they are still packed (`*.gz`, as they are published), they are unpacked into `data/cache`, not beside the user's.
"""

import functools
import hashlib
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import torch

from common import downloads
from common.errors import UserError
from common.files import beside, require_file
from data import place, sample
from data.digits import make_digits
from data.sample_folder import make_sample

PARTS, KINDS = ("train", "t10k"), ("images-idx3-ubyte", "labels-idx1-ubyte")
SIDE = 28
LARGEST = 1 << 27  # bytes of a file, unpacked; MNIST's largest has 47 million
IMAGES, LABELS = 0x803, 0x801  # a file's first four bytes: 8 for unsigned bytes, then how many axes


def mnist_folder(data):
    """The folder with MNIST's files, whole and unpacked, as `torchvision.datasets.MNIST(folder)` reads it.

    Args:
        data: "sample", or the folder in which `MNIST/raw` lies; its files may be packed as they are published.

    Raises:
        UserError: no such folder; a file that is missing, cut short or of another format; images and labels that do
            not match. The message names the file, what was found and what was expected.
    """
    if data == "sample":
        root = sample(make_digits)
        sources = _sources(root)
    else:
        root, sources = _unpack(Path(data).resolve())
    _check(root, sources)
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
    """Fetches the four files from torchvision's addresses into `folder/MNIST/raw`, each with its checksum, and unpacks.

    Raises:
        UserError: the servers cannot be read, what they sent is damaged, or files are there already and damaged.
    """
    from torchvision.datasets import MNIST  # with it come all of torchvision's models: seconds that no reader pays

    raw = Path(folder) / "MNIST" / "raw"
    for name, checksum in MNIST.resources:
        path = raw / name.removesuffix(".gz")
        if path.exists():
            continue
        for mirror in MNIST.mirrors:
            try:
                with beside(path) as making:
                    unpacked = making / path.name
                    unpack = functools.partial(downloads.gunzip, path=unpacked, largest=LARGEST)
                    checks = dict(largest=LARGEST, checksum=f"md5:{checksum}", check=unpack)
                    downloads.download(mirror + name, making / name, **checks)
                    os.replace(unpacked, path)
                break
            except UserError as error:
                if mirror == MNIST.mirrors[-1]:
                    raise
                print(error, file=sys.stderr)
            except OSError as error:
                raise UserError(f"--download {folder}: {error.strerror or error}") from None
    _check(Path(folder), _sources(Path(folder)))
    print(f"MNIST lies in {folder}; use it with --data {folder}")


def _sources(root):
    """The four files, train and test in turn, packed where they are only packed.

    Raises:
        UserError: one is missing.
    """
    raw = root / "MNIST" / "raw"
    if not raw.is_dir():
        raise UserError(f"--data {root}: no folder MNIST/raw in it; expected MNIST's four files there")
    plain = [raw / f"{part}-{kind}" for part in PARTS for kind in KINDS]
    sources = [path if path.exists() else path.with_name(path.name + ".gz") for path in plain]
    for path, source in zip(plain, sources):
        if not source.exists():
            raise UserError(f"{path}: no such file, packed (.gz) or not; expected MNIST's four files")
        require_file(source, "one of MNIST's four files")
    return sources


def _unpack(root):
    """The folder with the unpacked files, `root` itself or one in the cache, and the four files that they come from."""
    sources = _sources(root)
    if all(source.suffix != ".gz" for source in sources):
        return root, sources

    def write(folder):
        raw = folder / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for source in sources:
            try:
                if source.suffix == ".gz":
                    downloads.gunzip(source, raw / source.stem, LARGEST)
                else:
                    shutil.copy(source, raw)
            except ValueError as error:
                raise UserError(f"{source}: {error}; expected the file as it is published") from None
        _check(folder, sources)

    # Size and time tell a file that was put right from the one that is in the cache.
    stamps = {str(source): [source.stat().st_size, source.stat().st_mtime_ns] for source in sources}
    name = f"mnist-{hashlib.sha256(str(root).encode(errors='surrogateescape')).hexdigest()[:12]}"
    try:
        return make_sample(place("cache") / name, {"sample": "MNIST, unpacked", "from": stamps}, write), sources
    except OSError as error:
        raise UserError(f"{place('cache') / name}: not unpacked there ({error.strerror or error})") from None


def _check(root, sources):
    """Compares the unpacked files in `root` with what MNIST's are; complains of those that they come from."""
    paths = [root / "MNIST" / "raw" / source.name.removesuffix(".gz") for source in sources]
    for part in (slice(0, 2), slice(2, 4)):
        (pictures, path), (picture_source, source) = paths[part], sources[part]
        images = _check_file(pictures, IMAGES, (SIDE, SIDE), picture_source)
        labels = _check_file(path, LABELS, (), source)
        if images != labels:
            raise UserError(f"{source}: {labels:,} labels, expected {images:,}, one for each of {picture_source.name}")
        values = np.fromfile(path, dtype=np.uint8, offset=8)
        if (wrong := np.flatnonzero(values > 9)).size:
            raise UserError(f"{source}: label {values[wrong[0]]} of image {wrong[0]}; expected 0 to 9")


def _check_file(path, magic, shape, told):
    """How many items an idx file holds, each of the given shape; complains of the file `told`."""
    size = path.stat().st_size
    axes = 1 + len(shape)
    with open(path, "rb") as file:
        header = np.frombuffer(file.read(4 * (1 + axes)).ljust(4 * (1 + axes), b"\0"), dtype=">u4").tolist()
    if header[0] != magic:
        raise UserError(f"{told}: starts with {header[0]:#010x}, expected {magic:#010x}: no idx file of its name")
    count, found = header[1], tuple(header[2:])
    if not count:
        raise UserError(f"{told}: no item in it; expected some")
    if found != shape:
        raise UserError(f"{told}: images of {found[0]} x {found[1]}, expected {shape[0]} x {shape[1]}")
    expected = 4 * (1 + axes) + count * int(np.prod(shape))
    if size != expected:
        fault = "cut short" if size < expected else "too long"
        raise UserError(f"{told}: {size:,} bytes, expected {expected:,} for the {count:,} items it names: {fault}")
    return count
