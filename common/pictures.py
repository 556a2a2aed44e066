"""Pictures in and out: a file opened or refused, and the confusion matrix of any classifier drawn."""

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from common.errors import UserError
from common.files import require_file

# Of all that Pillow opens, what pictures of data sets and of cameras come in.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
MOST_PIXELS = 120_000_000  # telephones take 108 million
LONGEST_SIDES = 1000  # times the shorter side

Image.MAX_IMAGE_PIXELS = None  # Pillow only warns, and its bound is lower


def open_picture(path):
    """A picture file as a Pillow picture in RGB, the right way up: cameras store how they were held beside the pixels.

    Raises:
        UserError: no such file, no whole picture of one of `FORMATS`, too large a one, or pixels that are no colours.
    """
    picture = load_picture(path)
    try:
        if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PPM"):
            picture = Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))  # 65,535 is white
        elif picture.mode in ("I", "F"):
            raise ValueError(f"pixels of mode {picture.mode}, 32 bits each; expected 8 or 16 bits")
        return ImageOps.exif_transpose(picture).convert("RGB")
    except Exception as error:  # damaged EXIF data, a mode that has no way to RGB
        raise UserError(f"{path}: not read as a picture in colour ({error})") from None


def load_picture(path):
    """A picture file as it is, read whole: as `open_picture`, but of the file's own mode, and lying as it lies."""
    kinds = ", ".join(FORMATS)
    require_file(path, f"a picture ({kinds})")
    try:
        with Image.open(path, formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS or max(picture.size) > LONGEST_SIDES * min(picture.size):
                bounds = f"at most {MOST_PIXELS:,} pixels, and no side {LONGEST_SIDES:,} times as long as the other"
                raise ValueError(f"{width}x{height} pixels; expected {bounds}")
            picture.load()
            return picture
    except Exception as error:  # Pillow fails in many ways on damaged files: struct, key, index, zlib, memory errors
        reason = f"none of {kinds}" if isinstance(error, UnidentifiedImageError) else error
        raise UserError(f"{path}: not a whole picture ({reason})") from None


def save_confusion(confusion, classes, path):
    """Draws what each true class was taken for, in per cent of it, with the counts below.

    Args:
        confusion: counts, (true class, predicted class), on the CPU.
        classes: the names of the classes.
    """
    import matplotlib.pyplot as plt  # half a second that opening a picture does without

    share = 100 * confusion.double() / confusion.sum(1, keepdim=True).clamp(min=1)
    side = 2.5 + (0.9 if len(classes) < 5 else 0.6) * len(classes)
    figure, axis = plt.subplots(figsize=(side + 0.6, side), layout="constrained")
    drawn = axis.imshow(share.numpy(), cmap="Blues", vmin=0, vmax=100)
    for true, row in enumerate(share.tolist()):
        for answer, value in enumerate(row):
            if count := confusion[true, answer].item():
                told, colour = f"{value:.1f}\n({count})", "white" if value > 50 else "black"
                axis.text(answer, true, told, ha="center", va="center", color=colour, fontsize=8)
    turned = dict(rotation=45, ha="right", rotation_mode="anchor") if len(classes) > 6 else {}
    axis.set_xticks(range(len(classes)), classes, **turned)
    axis.set_yticks(range(len(classes)), classes)
    axis.set(xlabel="the network's answer", ylabel="true class", title="Per cent of each true class (and how many)")
    figure.colorbar(drawn, shrink=0.8, label="per cent")
    figure.savefig(path, dpi=110)
    plt.close(figure)
