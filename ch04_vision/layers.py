"""Convolution and max pooling as the page's loops, then in three faster ways (listings 4.4 to 4.7).

All four give the same outputs and the same gradients, and their weights have the same names, so that a network can
change from one to the other. They differ in speed: see `benchmarks/conv.py`. The last function is the transposed
convolution of figure 4.9, which is an ordinary convolution over an image whose pixels have been moved apart.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn import Parameter


def output_size(size, kernel_size, stride=1, padding=0):
    """How many windows fit along one side of an image: `(W - F + 2P) / S + 1`, rounded down.

    Args:
        size: W, the pixels along the side.
        kernel_size: F, the pixels along a side of the kernel.
        stride: S, the step of the window in pixels.
        padding: P, the zeros added at each end of the side.

    Raises:
        ValueError: the kernel is larger than the padded image, so that no window fits.
    """
    if kernel_size > size + 2 * padding:
        raise ValueError(f"a kernel of {kernel_size} does not fit into {size} pixels with a padding of {padding}")
    return (size - kernel_size + 2 * padding) // stride + 1


class Conv(nn.Module):
    """Convolution as loops over kernels and positions of the window; equal to `nn.Conv2d` (listings 4.4 and 4.5).

    The input is (batch, in_channels, height, width), the output (batch, out_channels, new height, new width), where
    `output_size` gives the new sizes.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.weight = Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = Parameter(torch.zeros(out_channels))
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")

    def forward(self, x):
        batch_size, new_depth = len(x), len(self.weight)
        new_height, new_width = (output_size(side, self.kernel_size, self.stride, self.padding) for side in x.shape[2:])
        out = x.new_zeros(batch_size, new_depth, new_height, new_width)
        padded_input = F.pad(x, (self.padding,) * 4)
        for nf, f in enumerate(self.weight):
            for h in range(new_height):
                for w in range(new_width):
                    top, left = h * self.stride, w * self.stride
                    val = padded_input[:, :, top : top + self.kernel_size, left : left + self.kernel_size]
                    out[:, nf, h, w] = val.contiguous().view(batch_size, -1) @ f.reshape(-1)
                    out[:, nf, h, w] += self.bias[nf]
        return out


class MaxPool(nn.Module):
    """Max pooling as loops over channels and positions of the window; equal to `nn.MaxPool2d` (listing 4.7).

    The window moves by `stride`, by its own size if none is given, so that windows tile the image.
    """

    def __init__(self, kernel_size, stride=None):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride or kernel_size

    def forward(self, x):
        batch_size, depth = x.shape[:2]
        new_height, new_width = (output_size(side, self.kernel_size, self.stride) for side in x.shape[2:])
        out = x.new_zeros(batch_size, depth, new_height, new_width)
        for h in range(new_height):
            for w in range(new_width):
                for d in range(depth):
                    top, left = h * self.stride, w * self.stride
                    val = x[:, d, top : top + self.kernel_size, left : left + self.kernel_size]
                    out[:, d, h, w] = val.max(2)[0].max(1)[0]
        return out


class BandConv(Conv):
    """The same convolution in fewer and cheaper turns: all kernels at once, and nothing written into a large tensor.

    The gradient of a slice is as large as what it was cut from, and each value written into `out` costs a copy of its
    whole gradient. So windows are cut out of a band of rows, and outputs are stacked.
    """

    def forward(self, x):
        new_height, new_width = (output_size(side, self.kernel_size, self.stride, self.padding) for side in x.shape[2:])
        padded_input = F.pad(x, (self.padding,) * 4)
        kernels = self.weight.flatten(1)  # (out_channels, in_channels * kernel height * kernel width)
        rows = []
        for h in range(new_height):
            band = padded_input[:, :, h * self.stride : h * self.stride + self.kernel_size]
            windows = (band[..., w * self.stride : w * self.stride + self.kernel_size] for w in range(new_width))
            rows.append(torch.stack([val.flatten(1) @ kernels.T + self.bias for val in windows], dim=2))
        return torch.stack(rows, dim=2)  # out of rows of (batch, out_channels, new width)


class BandMaxPool(MaxPool):
    """The same pooling, all channels at once, by bands of rows as in `BandConv`."""

    def forward(self, x):
        new_height, new_width = (output_size(side, self.kernel_size, self.stride) for side in x.shape[2:])
        rows = []
        for h in range(new_height):
            band = x[:, :, h * self.stride : h * self.stride + self.kernel_size]
            windows = (band[..., w * self.stride : w * self.stride + self.kernel_size] for w in range(new_width))
            rows.append(torch.stack([val.flatten(2).max(2)[0] for val in windows], dim=2))
        return torch.stack(rows, dim=2)


class UnfoldConv(Conv):
    """The same convolution as one matrix product: every window becomes a column ("im2col"), every kernel a row."""

    def forward(self, x):
        new_height, new_width = (output_size(side, self.kernel_size, self.stride, self.padding) for side in x.shape[2:])
        columns = F.unfold(x, self.kernel_size, padding=self.padding, stride=self.stride)
        # bias + (batch, out_channels, window) @ (batch, window, positions), with the same kernels for every picture
        kernels = self.weight.flatten(1).expand(len(x), -1, -1)
        out = torch.baddbmm(self.bias[:, None], kernels, columns)
        return out.view(len(x), -1, new_height, new_width)


class UnfoldMaxPool(MaxPool):
    """The same pooling as one maximum over the columns that the windows become."""

    def forward(self, x):
        new_height, new_width = (output_size(side, self.kernel_size, self.stride) for side in x.shape[2:])
        columns = F.unfold(x, self.kernel_size, stride=self.stride)
        # (batch, channels * window, positions): the values of a window lie along the dimension of the maximum.
        windows = columns.view(*x.shape[:2], -1, new_height, new_width)
        return windows.max(2)[0]


# The ways to the same values: the class of the convolution and the class of the pooling.
LAYERS = {
    "loops": (Conv, MaxPool),
    "bands": (BandConv, BandMaxPool),
    "unfold": (UnfoldConv, UnfoldMaxPool),
    "builtin": (nn.Conv2d, nn.MaxPool2d),
}


def spread(x, stride):
    """Moves the pixels of (batch, channels, height, width) `stride` apart, zeros between them (figure 4.9)."""
    batch_size, channels, height, width = x.shape
    apart = x.new_zeros(batch_size, channels, (height - 1) * stride + 1, (width - 1) * stride + 1)
    apart[:, :, ::stride, ::stride] = x
    return apart


def transposed_convolution(x, weight, bias=None, stride=1, padding=0, output_padding=0):
    """What `nn.ConvTranspose2d` computes, by an ordinary convolution over an image whose pixels are spread apart.

    Args:
        x: (batch, in_channels, height, width).
        weight: (in_channels, out_channels, kernel height, kernel width), square kernels.
        bias: (out_channels,), or None.
        stride: the distance of the spread pixels; `padding`: rows and columns taken off every side of the result;
            `output_padding`: rows and columns that the result has more at its bottom and its right.

    Returns:
        (batch, out_channels, new height, new width), a side of which is
        `(side - 1) * stride - 2 * padding + kernel + output_padding`.
    """
    border = weight.shape[2] - 1 - padding
    far = border + output_padding
    # A negative border cuts off instead of adding.
    surrounded = F.pad(spread(x, stride), (border, far, border, far))
    # A convolution hands each output the pixels around it; here each pixel is handed out, so the kernel is turned.
    return F.conv2d(surrounded, weight.flip(2, 3).transpose(0, 1), bias)
