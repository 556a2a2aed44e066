"""How well a network segments: the loss that it is trained with, and the figures that it is scored by.

A figure of a whole split is no mean over its batches: the pixels of each pair of classes are counted over all frames
and all processes, and everything is computed from these counts. ignite's own `IoU` gives 0 to a class that neither
occurs nor is predicted, which a small split has, and its mean falls by that; here such a class has no figure.
"""

import copy

import torch
import torch.nn.functional as F
from ignite import distributed as idist
from ignite.metrics import ConfusionMatrix, Loss

from ch04_vision.linknet_blocks import fuse
from ch04_vision.loaders.augment import prepare
from ch04_vision.loaders.camvid import CLASSES, VOID
from common import batches, training


class SegmentationLoss:
    """Cross-entropy over the pixels that have a class, each weighted by its class; the weighted mean over the batch.

    The `jaccard_distance` is added `jaccard` times: a class of few pixels then counts as much as the sky, and pixels
    that are called so by mistake count against it.

    Under `torchrun` sums are over the batches of all processes, so that void pixels, which are not spread evenly, give
    no process more say than another.
    """

    def __init__(self, weight, jaccard=0.0):
        self.weight, self.jaccard = weight, jaccard

    def to(self, device):
        """Moves the weights to the device on which the scores are."""
        self.weight = self.weight.to(device)
        return self

    def state(self):
        """What scoring needs to have the same loss: the arguments of this class."""
        return {"weight": self.weight.cpu(), "jaccard": self.jaccard}

    def __call__(self, scores, target):
        # Channels last, as the network gives them, a loss over channels takes twice as long.
        total = F.cross_entropy(scores.contiguous(), target, self.weight, ignore_index=VOID, reduction="sum")
        weights = F.pad(self.weight, (0, 1))[target].sum()
        if idist.get_world_size() > 1:
            weights = idist.all_reduce(weights) / idist.get_world_size()
        loss = total / weights.clamp(min=1e-6)
        return loss + self.jaccard * jaccard_distance(scores, target) if self.jaccard else loss


def jaccard_distance(scores, target):
    """1 - intersection over union, the mean over the classes that occur in the batch, with probabilities for pixels.

    Where a network is sure of every pixel, the intersection over union is that of `figures_of` (arXiv 1608.01471).

    Args:
        scores: (batch, classes, height, width), before softmax.
        target: class indices, (batch, height, width), `VOID` where no class is.
    """
    probabilities = scores.contiguous().softmax(1) * (target != VOID).unsqueeze(1)
    pixels = torch.bincount(target.flatten(), minlength=VOID + 1)[:VOID].to(scores.dtype)
    right = probabilities.gather(1, target.clamp(max=VOID - 1).unsqueeze(1)).flatten()
    hits = torch.zeros_like(pixels).index_add(0, target.clamp(max=VOID - 1).flatten(), right)
    counts = torch.stack([hits, probabilities.sum((0, 2, 3)), pixels])
    if (processes := idist.get_world_size()) > 1:
        # all_reduce has no gradient, and the gradients of all processes are averaged where these want to be summed.
        here = counts.detach()
        counts = processes * counts + (idist.all_reduce(here.clone()) - processes * here)
    hits, called, pixels = counts
    distances = 1 - hits / (called + pixels - hits).clamp(min=1e-6)
    return distances[pixels > 0].sum() / (pixels > 0).sum().clamp(min=1)


def figures_of(confusion):
    """The standard figures of a confusion matrix of counts, (true class, predicted class).

    The intersection over union of a class is its pixels that were found, over those that are or were called so. A class
    that neither occurs nor is predicted has none (None) and is left out of the mean.
    """
    confusion = confusion.double()
    hits = confusion.diag()
    union = confusion.sum(0) + confusion.sum(1) - hits
    per_class = {name: (hit / total).item() if total else None for name, hit, total in zip(CLASSES, hits, union)}
    present = [value for value in per_class.values() if value is not None]
    return {
        "mean_iou": sum(present) / max(1, len(present)),
        "pixel_accuracy": (hits.sum() / confusion.sum().clamp(min=1)).item(),
        "per_class_iou": per_class,
    }


def score(args, model, dataset, loss_fn):
    """Scores a network on a split, every pixel of it, at the frames' own size: `figures_of`, with `valid_loss`."""
    metrics = {
        "confusion": ConfusionMatrix(len(CLASSES), device=args.device),
        "valid_loss": Loss(loss_fn, device=args.device),
    }
    loader = batches.loader(dataset, args, training=False)
    fused = fuse(copy.deepcopy(model))
    values = training.evaluate(args, fused, loader, metrics, prepare_batch=batches.preparer(prepare))
    return {"valid_loss": values["valid_loss"], **figures_of(values["confusion"])}


def table(figures):
    """The classes and their intersection over union as lines of text."""
    rows = [f"{'class':<14}IoU"]
    for name, value in figures["per_class_iou"].items():
        rows.append(f"{name:<14}{'absent' if value is None else f'{value:.3f}'}")
    rows.append(f"{'mean':<14}{figures['mean_iou']:.3f}   pixel accuracy {figures['pixel_accuracy']:.3f}")
    return "\n".join(rows)
