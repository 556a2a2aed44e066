"""LinkNet's building blocks, listings 4.12 to 4.16, and the network of listing 4.17 that is made of them."""

from itertools import pairwise

import torch
from torch import nn


class ConvBlock(nn.Module):
    """Convolution, batch normalisation and, unless `act` is False, ReLU (listing 4.12).

    Shapes: (batch, in_channels, height, width) to (batch, out_channels, new height, new width), a new side being
    (side + 2 padding - kernel) // stride + 1. The page's convolutions have a bias, which the normalisation behind them
    subtracts again; by default they have none here.
    """

    def __init__(self, in_channels, out_channels, kernel, stride, padding, bias=False, act=True):
        super().__init__()
        layers = [
            nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=bias),
            nn.BatchNorm2d(out_channels),
        ]
        if act:
            layers.append(nn.ReLU(inplace=True))
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x):
        return self.conv_block(x)


class ConvBlockWithoutSequential(nn.Module):
    """The same block with an attribute for each layer (listing 4.13): equal weights give equal outputs."""

    def __init__(self, in_channels, out_channels, kernel, stride, padding, bias=False, act=True):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=bias)
        self.bn = nn.BatchNorm2d(out_channels)
        # The page forgets to keep `act`, and stores the result on the module, which keeps its whole graph alive.
        self.act = act
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        bn_r = self.bn(self.conv(x))
        if self.act:
            return self.relu(bn_r)
        return bn_r


class DeconvBlock(nn.Module):
    """Transposed convolution, batch normalisation and ReLU (listing 4.14).

    `output_size`, a shape whose last two numbers are height and width, chooses among the sizes that the convolution's
    stride would have rounded to the input's: 2n - 1 or 2n for kernel 3, stride 2, padding 1.

    Raises:
        ValueError: the stride does not lead to `output_size`.
    """

    def __init__(self, in_channels, out_channels, kernel, stride, padding):
        super().__init__()
        self.conv_transpose = nn.ConvTranspose2d(in_channels, out_channels, kernel, stride, padding, bias=False)
        self.batchnorm = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x, output_size):
        convt_out = self.conv_transpose(x, output_size=output_size[-2:])
        return self.relu(self.batchnorm(convt_out))


class EncoderBlock(nn.Module):
    """Two pairs of convolution blocks, each pair with a way around it (listing 4.15).

    Shapes: (batch, in_channels, height, width) to (batch, out_channels, height / 2, width / 2), rounded up.
    """

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.block1 = nn.Sequential(
            ConvBlock(in_channels, out_channels, kernel=3, stride=2, padding=1),
            ConvBlock(out_channels, out_channels, kernel=3, stride=1, padding=1),
        )
        self.block2 = nn.Sequential(
            ConvBlock(out_channels, out_channels, kernel=3, stride=1, padding=1),
            ConvBlock(out_channels, out_channels, kernel=3, stride=1, padding=1),
        )
        self.residue = ConvBlock(in_channels, out_channels, kernel=3, stride=2, padding=1)

    def forward(self, x):
        # The page adds block1's output where its text, and ResNet, add the second block's input.
        middle = self.block1(x) + self.residue(x)
        return self.block2(middle) + middle


class DecoderBlock(nn.Module):
    """1x1 convolution to a quarter of the channels, transposed convolution, 1x1 convolution (listing 4.16).

    Shapes: (batch, in_channels, height, width) to (batch, out_channels, and height and width of `output_size`).
    """

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv1 = ConvBlock(in_channels, in_channels // 4, kernel=1, stride=1, padding=0)
        self.deconv = DeconvBlock(in_channels // 4, in_channels // 4, kernel=3, stride=2, padding=1)
        self.conv2 = ConvBlock(in_channels // 4, out_channels, kernel=1, stride=1, padding=0)

    def forward(self, x, output_size):
        conv1 = self.conv1(x)
        deconv = self.deconv(conv1, output_size=output_size)
        return self.conv2(deconv)


class SegmentationModel(nn.Module):
    """LinkNet as the page builds it (listing 4.17): 12.9 million parameters, total stride 64.

    Its comment says that it "cannot have resnet18 architecture because it doesn't do downsampling on first layer". The
    price of halving there too is detail: the finest features that reach the decoder are those of stride 8, where the
    paper's network (`linknet_paper.py`) has stride 4. The gain is speed. Both are measured in RESULTS.md.

    Args:
        num_classes: channels of the output, one score a class; the page fixes them at 2.

    Shapes: (batch, 3, height, width) to (batch, num_classes, height, width), any size from 32 up.
    """

    def __init__(self, num_classes):
        super().__init__()
        self.init_conv = ConvBlock(3, 64, kernel=7, stride=2, padding=3)
        self.init_maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)

        self.encoder1 = EncoderBlock(64, 64)
        self.encoder2 = EncoderBlock(64, 128)
        self.encoder3 = EncoderBlock(128, 256)
        self.encoder4 = EncoderBlock(256, 512)

        self.decoder4 = DecoderBlock(512, 256)
        self.decoder3 = DecoderBlock(256, 128)
        self.decoder2 = DecoderBlock(128, 64)
        self.decoder1 = DecoderBlock(64, 64)

        self.final_deconv1 = DeconvBlock(64, 32, kernel=3, stride=2, padding=1)
        self.final_conv = ConvBlock(32, 32, kernel=3, stride=1, padding=1)
        # A bare layer: behind the page's batch normalisation and ReLU no score could be negative.
        self.final_deconv2 = nn.ConvTranspose2d(32, num_classes, kernel_size=2, stride=2)
        initialise(self)

    def forward(self, x):
        init_conv = self.init_conv(x)  # (batch, 64, height / 2, width / 2), rounded up, as are all that follow
        init_maxpool = self.init_maxpool(init_conv)  # (batch, 64, height / 4, width / 4)
        e1 = self.encoder1(init_maxpool)  # (batch, 64, height / 8, width / 8)
        e2 = self.encoder2(e1)  # (batch, 128, height / 16, width / 16)
        e3 = self.encoder3(e2)  # (batch, 256, height / 32, width / 32)
        e4 = self.encoder4(e3)  # (batch, 512, height / 64, width / 64)

        d4 = self.decoder4(e4, e3.shape) + e3
        d3 = self.decoder3(d4, e2.shape) + e2
        d2 = self.decoder2(d3, e1.shape) + e1
        d1 = self.decoder1(d2, init_maxpool.shape)  # (batch, 64, height / 4, width / 4)

        final_deconv1 = self.final_deconv1(d1, init_conv.shape)  # (batch, 32, height / 2, width / 2)
        final_conv = self.final_conv(final_deconv1)
        # An odd size was rounded up when it was halved; the last row or column is one too many.
        return self.final_deconv2(final_conv)[..., : x.shape[-2], : x.shape[-1]]


def initialise(network):
    """Starts every layer so that signals keep their size: He et al. (arXiv 1502.01852) for the ReLU's halving."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            # A transposed convolution's fan out is the fan in of the convolution whose gradient it is.
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def fuse(network):
    """Folds each batch normalisation into the convolution before it, in place: same outputs, fewer layers.

    In evaluation mode a normalisation is a fixed scale and shift of each channel, which the weights can do as well.
    """
    network.eval()
    for parent in network.modules():
        children = list(parent.named_children())
        for (name, layer), (norm_name, norm) in pairwise(children):
            if isinstance(norm, nn.BatchNorm2d) and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                transposed = isinstance(layer, nn.ConvTranspose2d)
                setattr(parent, name, torch.nn.utils.fuse_conv_bn_eval(layer, norm, transpose=transposed))
                setattr(parent, norm_name, nn.Identity())
    return network
