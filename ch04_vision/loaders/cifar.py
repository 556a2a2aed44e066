"""CIFAR-10 in the two layouts that people have on disk, kept in memory as bytes; the sample has the second one.

`torchvision.datasets.CIFAR10` keeps six pickled batches in `cifar-10-batches-py/`: 50,000 pictures to train and 10,000
to test (Krizhevsky: Learning multiple layers of features from tiny images, 2009). A folder of classes holds picture
files as `train/<class>/<name>.jpg` and, where there is a test part, `test/<class>/<name>.jpg`.
"""

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.utils.data import Dataset
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import calculate_md5
from torchvision.transforms import v2

from common import downloads
from common.batches import rand
from common.errors import UserError
from common.files import beside, files_in, folders_in, tell_left_out
from common.pictures import ENDINGS, open_picture
from data import place
from data.sample_folder import make_sample

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SPLITS = ("train", "valid", "test")
SIDE = 32
MANY = 10_000  # pictures, which take seconds to decode


class Cifar(Dataset):
    """One split of CIFAR-10.

    `valid` is a twentieth of the training part, by which the best weights are chosen. Where there is no test part,
    `test` is a tenth of the training part (5,000 of CIFAR-10's pictures). Which pictures these are does not depend on
    `--seed`, so that no run ever trains on what another one is scored by.

    Attributes:
        images: uint8, (pictures, 3, 32, 32).
        labels: int64 indices into `CLASSES`, (pictures,).

    Raises:
        UserError: no such folder or split; a batch file that is missing, cut short or changed; a class folder that is
            missing, empty or unknown; a damaged picture. The message names the file.
    """

    def __init__(self, root, split):
        root = Path(root).resolve()
        if split not in SPLITS:
            raise UserError(f"no split {split!r}; expected {', '.join(SPLITS)}")
        if not root.is_dir():
            raise UserError(f"--data {root}: no such folder")
        if root.name == CIFAR10.base_folder:
            root = root.parent
        if (root / CIFAR10.base_folder).is_dir():
            images, labels = _read_batches(root, train=split != "test")
            if split != "test":
                chosen = _divide(len(labels), has_test=True)[split]
                images, labels = images[chosen], labels[chosen]
        elif (root / "train").is_dir():
            has_test = (root / "test").is_dir()
            separate = split == "test" and has_test
            images, labels = _read_folder(
                root / ("test" if separate else "train"),
                choose=np.arange if separate else lambda count: _divide(count, has_test)[split],
            )
        else:
            raise UserError(f"--data {root}: expected the folder {CIFAR10.base_folder} or train/<class>/<name>.jpg")
        if not len(labels):
            raise UserError(f"--data {root}: too few pictures, none falls into the split {split!r}")
        # (pictures, height, width, channels) on disk
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        self.labels = torch.from_numpy(labels)
        self.inputs = self.images  # what a batch is made of

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.inputs[index], self.labels[index]

    def __getitems__(self, indices):
        # A whole batch in one indexing operation, instead of a stack of single examples.
        return self.inputs[indices], self.labels[indices]

    def whiten(self, whitening):
        """Keeps the pictures whitened too, in float16, and hands these out: doing it anew each epoch would be slow."""
        self.inputs = torch.cat([whitening(prepare(part, None)[0]).half() for part in self.images.split(1000)])
        return self

    def to(self, device):
        """Moves all pictures and labels to the device, so that a GPU need not wait for them."""
        self.images = self.inputs = self.images.to(device)
        self.labels = self.labels.to(device)
        return self


def _divide(count, has_test):
    """The places in the training part that each split takes, the same for every run."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).numpy()
    test = 0 if has_test else count // 10
    valid = (count - test) // 20
    return {"test": order[:test], "valid": order[test : test + valid], "train": order[test + valid :]}


def _read_batches(root, train):
    # Unpickling runs what a file says, so the files are compared with torchvision's checksums before one is opened.
    folder = root / CIFAR10.base_folder
    for name, expected in [*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])]:
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path}: no such file; --download DIR fetches the set")
        found = calculate_md5(path)
        if found != expected:
            size = path.stat().st_size
            raise UserError(f"{path}: MD5 of its {size:,} bytes is {found}, expected {expected}: cut short or changed")
    dataset = CIFAR10(root, train=train)
    return dataset.data, np.array(dataset.targets)


def _read_folder(folder, choose):
    """The pictures of a folder of classes and their labels; many are decoded once, and kept decoded.

    Args:
        choose: from the number of all pictures to the places of those that are wanted.
    """
    try:
        count, stamp = _stamp(folder)
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}; expected pictures to read") from None
    if count < MANY:
        paths, labels = _list_pictures(folder)
        chosen = choose(len(labels))
        return _read_pictures([paths[place] for place in chosen]), labels[chosen]

    def write(cache):
        paths, labels = _list_pictures(folder)
        np.save(cache / "images.npy", _read_pictures(paths))
        np.save(cache / "labels.npy", labels)

    cache = place("cache") / f"cifar10-{sha256(os.fsencode(folder)).hexdigest()[:12]}"
    try:
        make_sample(cache, {"sample": "CIFAR-10, decoded", "from": stamp}, write)
        labels = np.load(cache / "labels.npy")
        chosen = choose(len(labels))
        return np.load(cache / "images.npy", mmap_mode="r")[chosen], labels[chosen]
    except (OSError, ValueError) as error:
        raise UserError(f"{cache}: not kept or not read there ({error}); delete it") from None


def _stamp(folder):
    """How many files a folder of classes holds, and a number that changes when one of them does.

    Made of names, sizes and times: to read 50,000 small files takes seconds.
    """
    told = []
    for inside in [entry for entry in os.scandir(folder) if entry.is_dir()]:
        for entry in os.scandir(inside):
            dangling = entry.is_symlink() and not os.path.exists(entry.path)
            status = entry.stat(follow_symlinks=not dangling)
            told.append((entry.path, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return len(told), sha256(repr(sorted(told)).encode(errors="surrogateescape")).hexdigest()


def _list_pictures(folder):
    """The picture files of a folder of classes and their labels; tells how many other files it has left out."""
    expected = f"expected the folders {', '.join(CLASSES)}"
    for path in folders_in(folder):
        if path.name not in CLASSES:
            raise UserError(f"{path}: no class of CIFAR-10; {expected}")
    paths, labels, left_out = [], [], []
    for label, name in enumerate(CLASSES):
        if not (folder / name).is_dir():
            raise UserError(f"{folder / name}: no such folder; {expected}")
        pictures, others = files_in(folder / name, ENDINGS)
        if not pictures:
            raise UserError(f"{folder / name}: no picture in this folder; expected {', '.join(sorted(ENDINGS))}")
        left_out += others
        paths += pictures
        labels += [label] * len(pictures)
    tell_left_out(folder, left_out)
    return paths, np.array(labels)


def _read_pictures(paths):
    """The pictures as bytes, (pictures, 32, 32, 3); tells how many had another size and were resized."""
    images = np.empty((len(paths), SIDE, SIDE, 3), dtype=np.uint8)
    resized = []
    for index, path in enumerate(paths):
        picture = open_picture(path)
        if picture.size != (SIDE, SIDE):
            resized.append(f"{path} is {picture.width}x{picture.height}")
            picture = shrink(picture)
        images[index] = picture
    if resized:
        print(f"{len(resized)} of {len(paths)} pictures cut to a square and resized to 32x32 ({resized[0]})")
    return images


def shrink(photo):
    """The middle square of a Pillow picture, 32x32."""
    return ImageOps.fit(photo, (SIDE, SIDE), Image.Resampling.BICUBIC)


def download(root):
    """Fetches CIFAR-10 into `root`, 170 MB, checked by the checksum that torchvision knows.

    Raises:
        UserError: no network, no room, or a file that arrived damaged.
    """
    folder = Path(root, CIFAR10.base_folder)
    if folder.exists():
        raise UserError(
            f"--download {root}: {folder} is there already; name another folder, or train with --data {root}"
        )
    try:
        with beside(folder) as making:
            (making / folder.name).mkdir()
            downloads.download(
                CIFAR10.url,
                making / CIFAR10.filename,
                largest=1 << 28,
                checksum=f"md5:{CIFAR10.tgz_md5}",
                check=lambda archive: downloads.unpack(archive, making / folder.name, (folder.name,), largest=1 << 28),
            )
            os.replace(making / folder.name, folder)
    except OSError as error:
        raise UserError(f"--download {root}: {error.strerror or error}") from None
    print(f"CIFAR-10 lies in {root}; train with --data {root}")


class RandomShiftFlip(v2.Transform):
    """Shifts each picture of a batch by up to `pixels` in both directions, and mirrors half of them.

    torchvision's random transforms draw once for all that they are given; here every picture draws for itself, in a few
    operations a batch. What a shift uncovers is filled with a reflection of the picture.
    """

    def __init__(self, pixels):
        super().__init__()
        self.pixels = pixels

    def make_params(self, flat_inputs):
        images = flat_inputs[0]
        draws = rand(len(images), 3).to(images.device)
        shifts = ((2 * self.pixels + 1) * draws[:, :2]).long() - self.pixels
        places = torch.arange(SIDE, device=images.device)
        rows, columns = _reflected(places + shifts[:, :1]), _reflected(places + shifts[:, 1:])
        columns = torch.where(draws[:, 2:] < 0.5, columns, columns.flip(1))
        # For each pixel of the result the pixel of the picture that it comes from, (batch, 1, height * width).
        return {"origin": (rows[:, :, None] * SIDE + columns[:, None, :]).flatten(1)[:, None]}

    def transform(self, inpt, params):
        return inpt.flatten(2).gather(2, params["origin"].expand(-1, inpt.shape[1], -1)).view_as(inpt)


def _reflected(places):
    return SIDE - 1 - (SIDE - 1 - places.abs()).abs()


def prepare(images, labels, augment=None, whitening=None):
    """A batch as the network takes it.

    Args:
        images: uint8, or whitened already and float16, (batch, 3, 32, 32).
        labels: int64, (batch,).
        augment: a transform of a batch of pictures, or None.
        whitening: a `Whitening`, for a network that was trained with one; None leaves bytes as listing 4.1 has them.

    Returns:
        images: float32, (batch, 3, 32, 32): from -1 to 1, what `ToTensor` and the `Normalize` of listing 4.1 give, or
            whitened.
        labels: as they came.
    """
    if augment:
        images = augment(images)
    inputs = images.float()
    if images.dtype == torch.uint8:
        inputs = inputs.sub_(127.5).div_(127.5)
        inputs = whitening(inputs) if whitening else inputs
    # Channels last is how the fast convolutions of CPUs and GPUs want their pictures.
    return inputs.contiguous(memory_format=torch.channels_last), labels
