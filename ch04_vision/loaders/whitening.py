"""Whitening: pictures whose pixels no longer repeat their neighbours, the best-known preparation of CIFAR-10.

Neighbouring pixels are nearly equal, so most of a picture's numbers say the same thing. ZCA whitening is the linear map
that makes them uncorrelated and changes the picture least (Bell and Sejnowski 1997; Krizhevsky 2009, appendix A; Coates
and others 2011): smooth areas fade and edges stay. A small network need not spend its few filters on that.
"""

import torch

from common import checkpoints
from common.cli import UserError


class Whitening:
    """A linear map of pictures from -1 to 1, (pictures, 3, 32, 32), to whitened ones of the same shape.

    Args:
        mean: the mean picture, (3072,).
        matrix: symmetric, (3072, 3072).
    """

    def __init__(self, mean, matrix):
        self.mean, self.matrix = mean, matrix

    @classmethod
    def fit(cls, pictures, floor):
        """The whitening of these pictures, float32 from -1 to 1, (pictures, 3, 32, 32).

        Args:
            floor: is added to the variance in each direction: those with more of it become alike, those with less keep
                their shares, so that noise is not blown up. Of CIFAR-10's 3,072 directions 67 have a variance above 1.
        """
        flat = pictures.flatten(1)
        variances, directions = torch.linalg.eigh(flat.t().cov(correction=0))
        # Rounding may leave the smallest variances a little below zero.
        return cls(flat.mean(0), (directions / (variances.clamp(min=0) + floor).sqrt()) @ directions.t())

    def __call__(self, pictures):
        flat = pictures.flatten(1)
        return ((flat - self.mean.to(flat.device)) @ self.matrix.to(flat.device)).view_as(pictures)

    def save(self, path):
        """Writes it beside the weights of a network that looks at whitened pictures, whole or not at all.

        Raises:
            UserError: it cannot be written, for example on a full disk.
        """
        checkpoints.writer(path.parent)({"mean": self.mean.cpu(), "matrix": self.matrix.cpu()}, path.name)

    @classmethod
    def load(cls, path):
        """The whitening saved in a file; None if there is no such file: the network was trained without.

        Raises:
            UserError: the file is damaged, or is something else.
        """
        if not path.exists():
            return None
        saved = checkpoints.read(path)
        if not isinstance(saved, dict) or saved.keys() != {"mean", "matrix"}:
            raise UserError(f"{path}: not a whitening; expected its mean and its matrix")
        return cls(saved["mean"], saved["matrix"])
