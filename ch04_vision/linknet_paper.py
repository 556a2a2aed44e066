"""LinkNet as its paper has it (Chaurasia and Culurciello, arXiv 1707.03718): a ResNet-18 that a light decoder answers.

The encoder is torchvision's ResNet-18 without its classifier, so weights trained on ImageNet fit. Four links pass the
input of each encoder to the output of its decoder. The first encoder keeps the size, as ResNet-18's does: features come
in strides 4, 8, 16 and 32, while the network of the page starts at 8 and goes down to 64, and links three of its four.

The paper counts 11.5 million parameters and 21.2 GFLOP for a frame of 640x360, and does not say how. With 11 classes
there are 11,534,603 parameters here, and 19.3 GFLOP at that size, a multiplication and an addition being two. The
authors' decoders always double, so their code needs sides that 32 divides. At 640x352, and with a transposed
convolution counted at each position of its output, where three of four products are with an inserted zero, it is 21.2.
"""

import urllib.error

from torch import nn
from torchvision.models import ResNet18_Weights, resnet18

from ch04_vision.linknet_blocks import ConvBlock, DeconvBlock, initialise
from common.cli import UserError


class PaperDecoder(nn.Module):
    """The paper's decoder block (figure 3): as the page's `DecoderBlock`, with a stride of 1 or 2."""

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        middle = in_channels // 4
        self.conv1 = ConvBlock(in_channels, middle, kernel=1, stride=1, padding=0)
        self.deconv = DeconvBlock(middle, middle, kernel=3, stride=stride, padding=1)
        self.conv2 = ConvBlock(middle, out_channels, kernel=1, stride=1, padding=0)

    def forward(self, x, output_size):
        return self.conv2(self.deconv(self.conv1(x), output_size))


class PaperLinkNet(nn.Module):
    """The paper's LinkNet (its figure 1).

    In the authors' Torch code a ReLU stands behind each sum. Both summands come out of one, so it would change nothing;
    their PyTorch code has none either.

    Args:
        num_classes: channels of the output.
        pretrained: start the encoder from torchvision's ImageNet weights, downloaded on first use.

    Shapes: (batch, 3, height, width) to (batch, num_classes, height, width), any size from 32 up.

    Raises:
        UserError: `pretrained`, and the weights are neither here nor to be had.
    """

    def __init__(self, num_classes, pretrained=False):
        super().__init__()
        try:
            encoder = resnet18(weights=ResNet18_Weights.DEFAULT if pretrained else None)
        except (urllib.error.URLError, OSError) as error:
            raise UserError(
                f"--pretrained: the ImageNet weights of resnet18 could not be downloaded ({error})"
            ) from None
        self.init_conv = nn.Sequential(encoder.conv1, encoder.bn1, encoder.relu)
        self.init_maxpool = encoder.maxpool
        self.encoder1, self.encoder2 = encoder.layer1, encoder.layer2
        self.encoder3, self.encoder4 = encoder.layer3, encoder.layer4
        self.decoder4 = PaperDecoder(512, 256, stride=2)
        self.decoder3 = PaperDecoder(256, 128, stride=2)
        self.decoder2 = PaperDecoder(128, 64, stride=2)
        self.decoder1 = PaperDecoder(64, 64, stride=1)
        self.final_deconv1 = DeconvBlock(64, 32, kernel=3, stride=2, padding=1)
        self.final_conv = ConvBlock(32, 32, kernel=3, stride=1, padding=1)
        self.final_deconv2 = nn.ConvTranspose2d(32, num_classes, kernel_size=2, stride=2)
        for name, part in self.named_children():
            if not (pretrained and name.startswith(("init", "encoder"))):
                initialise(part)

    def forward(self, x):
        init_conv = self.init_conv(x)  # (batch, 64, height / 2, width / 2), rounded up, as are all that follow
        init_maxpool = self.init_maxpool(init_conv)  # (batch, 64, height / 4, width / 4)
        e1 = self.encoder1(init_maxpool)  # (batch, 64, height / 4, width / 4)
        e2 = self.encoder2(e1)  # (batch, 128, height / 8, width / 8)
        e3 = self.encoder3(e2)  # (batch, 256, height / 16, width / 16)
        e4 = self.encoder4(e3)  # (batch, 512, height / 32, width / 32)

        d4 = self.decoder4(e4, e3.shape) + e3
        d3 = self.decoder3(d4, e2.shape) + e2
        d2 = self.decoder2(d3, e1.shape) + e1
        d1 = self.decoder1(d2, init_maxpool.shape) + init_maxpool  # (batch, 64, height / 4, width / 4)

        final_conv = self.final_conv(self.final_deconv1(d1, init_conv.shape))  # (batch, 32, height / 2, width / 2)
        # An odd size was rounded up when it was halved; the last row or column is one too many.
        return self.final_deconv2(final_conv)[..., : x.shape[-2], : x.shape[-1]]
