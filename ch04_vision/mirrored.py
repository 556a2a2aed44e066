"""A second look: what a network says of a picture and of its mirror image, together."""

from torch import nn


class Mirrored(nn.Module):
    """A network that looks at each picture and at its mirror image: the mean of the two scores.

    Args:
        network: its scores are one row a picture, (batch, classes), or one a pixel, (batch, classes, height, width).

    Shapes: (batch, channels, height, width) to what the network answers; scores of pixels are mirrored back.
    """

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        straight, mirrored = self.network(x), self.network(x.flip(3))
        return (straight + (mirrored.flip(3) if mirrored.ndim == 4 else mirrored)) / 2
