"""What SimpleCNN has learnt, as pictures: its filters, its feature maps, its mistakes, and the reader's own photos."""

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torchvision.utils import make_grid

from ch04_vision.loaders.cifar import CLASSES, SIDE, prepare, shrink
from ch04_vision.pictures.photos import answer_photos
from common.names import Names, printable, readable
from common.pictures import save_confusion


@torch.inference_mode()
def probabilities(network, images, whitening=None):
    """The probability of each class: uint8 pictures, (batch, 3, 32, 32), to float32, (batch, 10), on the CPU."""
    network.eval()
    device = next(network.parameters()).device
    chunks = [prepare(chunk.to(device), None, whitening=whitening)[0] for chunk in images.split(1000)]
    return torch.cat([network(chunk).softmax(1).cpu() for chunk in chunks])


def save_pictures(network, dataset, confusion, out, whitening=None):
    """Draws `filters.png`, `feature_maps.png`, `confusion.png` and `mistakes.png` into the folder `out`."""
    save_filters(network, out / "filters.png")
    scores = probabilities(network, dataset.images, whitening)
    labels = dataset.labels.cpu()
    # The picture of which the network is surest shows best what its layers look for.
    surest = torch.where(scores.argmax(1) == labels, scores.amax(1), 0).argmax().item()
    save_feature_maps(network, dataset.images[surest], CLASSES[labels[surest]], out / "feature_maps.png", whitening)
    save_confusion(confusion, CLASSES, out / "confusion.png")
    save_mistakes(dataset.images.cpu(), labels, scores, out / "mistakes.png")


def save_filters(network, path):
    """Draws the six 5x5 filters of the first layer in colour: grey is a weight of zero."""
    weight = network.conv1.weight.detach().cpu()
    figure, axes = plt.subplots(1, len(weight), figsize=(9, 2.1), layout="constrained")
    for number, (axis, kernel) in enumerate(zip(axes, weight)):
        axis.imshow((0.5 + 0.5 * kernel / kernel.abs().max()).permute(1, 2, 0).numpy())
        axis.set_title(f"filter {number}", fontsize=9)
        axis.axis("off")
    figure.suptitle("First layer: 5x5 weights of red, green and blue, each filter on a scale of its own", fontsize=10)
    figure.savefig(path, dpi=120)
    plt.close(figure)


@torch.inference_mode()
def feature_maps(network, image, whitening=None):
    """What each stage makes of one picture: names to float32 tensors, (channels, height, width), on the CPU."""
    device = next(network.parameters()).device
    x, _ = prepare(image[None].to(device), None, whitening=whitening)
    stages = {}
    stages["conv1 and ReLU"] = x = F.relu(network.conv1(x))
    stages["pool"] = x = network.pool(x)
    stages["conv2 and ReLU"] = x = F.relu(network.conv2(x))
    stages["pool again"] = network.pool(x)
    return {name: maps[0].cpu() for name, maps in stages.items()}


def scaled(maps):
    """Feature maps, (channels, height, width), each divided by its highest value; one without any stays 0."""
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12)


def save_feature_maps(network, image, name, path, whitening=None):
    """Draws a picture and the feature maps of each stage, a row a stage (figure 4.1 in spirit)."""
    stages = feature_maps(network, image, whitening)
    figure = plt.figure(figsize=(10, 7.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 3])
    axis = left.subplots()
    axis.imshow(image.permute(1, 2, 0).cpu().numpy())
    axis.set_title(f"{name}, 32x32", fontsize=10)
    axis.axis("off")
    for axis, (stage, maps) in zip(right.subplots(len(stages), 1), stages.items()):
        # The maps side by side, eight in a row, as one picture. Each is as bright as it can be: one strong map of a
        # stage would leave the others black.
        tiles = make_grid(scaled(maps)[:, None], nrow=8, padding=1, pad_value=torch.nan)[0]
        axis.imshow(tiles.numpy(), cmap="magma", vmin=0, vmax=1)
        axis.set_title(f"{stage}: {len(maps)} maps of {maps.shape[1]}x{maps.shape[2]}, each scaled", fontsize=9)
        axis.axis("off")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def save_mistakes(images, labels, scores, path, count=12):
    """Draws the wrong answers of which the network was surest, with the probability that it gave them."""
    sureness = torch.where(scores.argmax(1) == labels, -1.0, scores.amax(1))
    worst = [index for index in sureness.argsort(descending=True)[:count].tolist() if sureness[index] > 0]
    figure, axes = plt.subplots(2, count // 2, figsize=(1.8 * count // 2, 4.6), layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for axis, index in zip(axes.flat, worst):
        axis.imshow(images[index].permute(1, 2, 0).numpy())
        guess = CLASSES[scores[index].argmax()]
        axis.set_title(f"{CLASSES[labels[index]]}\ntaken for {guess}\n{scores[index].max():.0%} sure", fontsize=9)
    figure.suptitle("The most confident mistakes" if worst else "No mistakes")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def predict_photos(network, paths, out, device, whitening=None):
    """Writes for each photo `<name>_classes.png`: the photo, what is left of it at 32x32, and ten bars.

    Raises:
        UserError: as `answer_photos`.
    """
    names = Names("_classes.png")

    def answer(path, photo):
        small = photo if photo.size == (SIDE, SIDE) else shrink(photo)
        image = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].to(device)
        chances = probabilities(network, image, whitening)[0]
        size = "" if small is photo else f" ({photo.width}x{photo.height}, cut to a square and resized to 32x32)"
        photo.thumbnail((600, 600))
        name, shown = names(path), {readable(path): photo, "as the network sees it, 32x32": small}
        save_classes(shown, chances, out / f"{name}_classes.png")
        told = ", ".join(f"{CLASSES[index]} {chances[index]:.0%}" for index in chances.argsort(descending=True)[:3])
        print(f"{printable(path)}{size}: {told}; wrote {out / name}_classes.png")

    answer_photos(paths, out, answer)


def save_classes(pictures, chances, path):
    """Draws two pictures, {title: picture}, beside the probabilities of the ten classes."""
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.8), width_ratios=[1, 1, 1.4], layout="constrained")
    for axis, (title, picture) in zip(axes, pictures.items()):
        axis.imshow(picture)
        axis.set_title(title, fontsize=9, parse_math=False)
        axis.axis("off")
    axes[2].barh(CLASSES, chances.tolist(), color="tab:blue")
    axes[2].invert_yaxis()
    axes[2].set(xlim=(0, 1), xlabel="probability")
    figure.savefig(path, dpi=110)
    plt.close(figure)
