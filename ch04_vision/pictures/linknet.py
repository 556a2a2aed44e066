"""What LinkNet sees, as pictures: frame, truth and prediction side by side, and overlays of the reader's own photos."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.patches import Patch
from PIL import Image

from ch04_vision.loaders.augment import prepare
from ch04_vision.loaders.camvid import CLASSES, PALETTE, VOID
from common.errors import UserError
from common.files import files_in, tell_left_out
from common.pictures import ENDINGS, open_picture

# CamVid's frames are 360 pixels high: a photo is shown to the network at the scale that it learnt from.
HEIGHT = 360


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
    if size:
        scores = F.interpolate(scores, size, mode="bilinear", align_corners=False)
    return scores.argmax(1).to("cpu", torch.uint8)


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


def find_photos(paths):
    """The pictures that the paths name; a folder stands for the pictures in it, and what else it holds is told.

    Raises:
        UserError: a path that is not there, or a folder without a picture.
    """
    photos = []
    for path in map(Path, paths):
        if path.is_dir():
            found, left_out = files_in(path, ENDINGS)
            if not found:
                raise UserError(f"--predict {path}: no picture in this folder; expected {', '.join(sorted(ENDINGS))}")
            tell_left_out(path, left_out)
            photos += found
        elif path.is_file():
            photos.append(path)
        else:
            raise UserError(f"--predict {path}: no such file or folder")
    return photos


def predict_photos(network, paths, out, device):
    """Writes for each photo `<name>_overlay.png`, with a legend, and `<name>_mask.png`, class indices in colour."""
    out.mkdir(parents=True, exist_ok=True)
    written = set()
    for path in find_photos(paths):
        photo = open_picture(path)
        scale = min(1.0, HEIGHT / min(photo.size))
        small = photo.resize([max(32, round(side * scale)) for side in photo.size], Image.Resampling.BILINEAR)
        image = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].to(device)
        mask = predict_classes(network, image, size=photo.size[::-1])[0]

        name = path.stem if path.stem not in written else f"{path.stem}_{len(written)}"
        written.add(name)
        picture = Image.fromarray(mask.numpy(), mode="P")
        picture.putpalette(PALETTE.flatten().tolist())
        picture.save(out / f"{name}_mask.png")

        share = torch.bincount(mask.flatten(), minlength=len(CLASSES)) / mask.numel()
        seen = {label: part for label, part in zip(CLASSES, share.tolist()) if part > 0.005}
        figure = plt.figure(figsize=(9, 9 * photo.height / photo.width + 0.8), layout="constrained")
        axis = figure.add_subplot()
        axis.imshow(0.5 * np.array(photo) / 255 + 0.5 * PALETTE[mask.long()].numpy() / 255)
        axis.set_title(path.name)
        axis.axis("off")
        _legend(figure, seen)
        figure.savefig(out / f"{name}_overlay.png", dpi=110)
        plt.close(figure)
        told = ", ".join(f"{label} {part:.0%}" for label, part in sorted(seen.items(), key=lambda item: -item[1]))
        print(f"{path}: {told}; wrote {out / name}_overlay.png and {name}_mask.png")
