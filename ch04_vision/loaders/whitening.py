"""Whitening: pictures whose pixels no longer repeat their neighbours, the best-known preparation of CIFAR-10.

Neighbouring pixels are nearly equal, so most of a picture's numbers say the same thing. ZCA whitening is the linear map
that makes them uncorrelated and changes the picture least (Bell and Sejnowski 1997; Krizhevsky 2009, appendix A; Coates
and others 2011): smooth areas fade and edges stay. A small network need not spend its few filters on that.
"""

import torch


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

    def state(self):
        """What belongs to the weights of a network that looks at whitened pictures: the arguments of this class."""
        return {"mean": self.mean.cpu(), "matrix": self.matrix.cpu()}
