"""What LinkNet sees, as pictures: frame, truth and prediction side by side, and overlays of the reader's own photos."""

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.patches import Patch
from PIL import Image

from ch04_vision.loaders.augment import prepare
from ch04_vision.loaders.camvid import CLASSES, PALETTE, VOID
from ch04_vision.pictures.photos import answer_photos
from common.names import Names, printable, readable


def _legend(figure, classes):
    handles = [Patch(color=np.array(colour) / 255, label=name) for name, colour in CLASSES.items() if name in classes]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False)


@torch.inference_mode()
def predict_classes(network, images, size=None):
    """The class of each pixel.

    Args:
        images: uint8, (batch, 3, height, width), on the network's device.
        size: height and width of the answer; default: the images'.

    Returns:
        uint8 class indices, (batch, height, width), on the CPU.
    """
    network.eval()
    inputs, _ = prepare(images, torch.empty(0))
    scores = network(inputs)
    if not size:
        return scores.argmax(1).to("cpu", torch.uint8)
    # Class by class: all scores of a large photo at once would take half a gigabyte.
    highest, classes = None, torch.zeros(len(images), *size, dtype=torch.uint8, device=scores.device)
    for label, plane in enumerate(scores.split(1, dim=1)):
        plane = F.interpolate(plane, size, mode="bilinear", align_corners=False)[:, 0]
        if highest is None:
            highest = plane
            continue
        classes[plane > highest] = label
        torch.maximum(highest, plane, out=highest)
    return classes.cpu()


def save_predictions(network, dataset, path, rows=4):
    """Draws `rows` frames spread over the split, each with its truth and its prediction, and a legend."""
    chosen = torch.linspace(0, len(dataset) - 1, min(rows, len(dataset))).long().tolist()
    images, masks = dataset[chosen]
    predictions, masks = predict_classes(network, images), masks.cpu()
    # Where the truth has no class the prediction cannot be judged, and is not shown.
    predictions = torch.where(masks == VOID, VOID, predictions)
    aspect = masks.shape[1] / masks.shape[2]
    figure, axes = plt.subplots(
        len(chosen), 3, figsize=(10.5, 3.5 * aspect * len(chosen) + 0.9), squeeze=False, layout="constrained"
    )
    for row, index in enumerate(chosen):
        agree = (predictions[row] == masks[row])[masks[row] != VOID].float().mean()
        pictures = {
            f"frame {dataset.names[index]}": images[row].permute(1, 2, 0).cpu().numpy(),
            "truth (black: void)": PALETTE[masks[row].long()].numpy(),
            f"prediction, {agree:.0%} of the pixels right": PALETTE[predictions[row].long()].numpy(),
        }
        for axis, (title, picture) in zip(axes[row], pictures.items()):
            axis.imshow(picture)
            axis.set_title(title, fontsize=9)
            axis.axis("off")
    _legend(figure, CLASSES)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def at_height(photo, height):
    """A photo as large as the frames that a network was trained on, as uint8, (1, 3, height, width).

    Its shorter side gets `height` pixels. A long strip gets fewer, so that the whole is no more than a picture of four
    heights squared, and no side less than 32.
    """
    scale = min(height / min(photo.size), 4 * height / (photo.width * photo.height) ** 0.5)
    small = photo.resize([max(32, round(side * scale)) for side in photo.size], Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)[None]


def predict_photos(network, paths, out, device, height):
    """Writes for each photo `<name>_overlay.png`, with a legend, and `<name>_mask.png`, class indices in colour.

    Args:
        height: rows of the frames that the network was trained on.

    Raises:
        UserError: as `answer_photos`.
    """
    names = Names("_overlay.png")

    def answer(path, photo):
        mask = predict_classes(network, at_height(photo, height).to(device), size=photo.size[::-1])[0]
        name = names(path)
        picture = Image.fromarray(mask.numpy())
        picture.putpalette(PALETTE.flatten().tolist())
        picture.save(out / f"{name}_mask.png")
        share = torch.bincount(mask.flatten(), minlength=len(CLASSES)) / mask.numel()
        seen = {label: part for label, part in zip(CLASSES, share.tolist()) if part > 0.005}
        save_overlay(photo, picture, readable(path), seen, out / f"{name}_overlay.png")
        told = ", ".join(f"{label} {part:.0%}" for label, part in sorted(seen.items(), key=lambda item: -item[1]))
        print(f"{printable(path)}: {told}; wrote {out / name}_overlay.png and {name}_mask.png")

    answer_photos(paths, out, answer)


def save_overlay(photo, mask, title, classes, path):
    """Draws a photo with its mask, both Pillow pictures of one size, half transparent above it; shrinks `photo`."""
    photo.thumbnail((1000, 1000))
    overlay = Image.blend(photo, mask.resize(photo.size, Image.Resampling.NEAREST).convert("RGB"), 0.5)
    # A strip is shown small rather than on a sheet of its own length.
    sheet = min(12, max(1, 9 * photo.height / photo.width))
    figure = plt.figure(figsize=(9, sheet + 0.8), layout="constrained")
    axis = figure.add_subplot()
    axis.imshow(overlay)
    axis.set_title(title, parse_math=False)
    axis.axis("off")
    _legend(figure, classes)
    figure.savefig(path, dpi=110)
    plt.close(figure)
