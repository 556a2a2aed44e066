"""LinkNet's blocks, one after another, and the network.

    python ch04_vision/linknet_tour.py

Listings 4.12 to 4.17 and figures 4.7 to 4.11 in the page's order. It prints the shapes that the blocks give and draws
`linknet.png`, `linknet_paper.png`, `transposed.png`, `conv_block.png`, `conv_block_without_sequential.png`,
`encoder_block.png` and `decoder_block.png` into `runs/linknet_tour`. `linknet.py` trains the network.
"""

import torch
from torch import nn

from ch04_vision.layers import transposed_convolution
from ch04_vision.linknet_blocks import (
    ConvBlock,
    ConvBlockWithoutSequential,
    DecoderBlock,
    DeconvBlock,
    EncoderBlock,
    SegmentationModel,
)
from ch04_vision.linknet_paper import PaperLinkNet
from ch04_vision.pictures.architecture import draw_network
from ch04_vision.pictures.convolution import draw_transposed
from common.graph import draw_graph
from common.tours import tour

args = tour(__doc__)

# %% Figures 4.7 and 4.8: an autoencoder narrows and widens again; LinkNet adds links
# The page's network passes on what encoders 1 to 3 give. The paper's passes on what each encoder is given, all four.
frame = torch.randn(1, 3, 360, 480)
model = SegmentationModel(num_classes=11)
blocks = draw_network(model, frame, args.out / "linknet.png", "LinkNet as the page builds it")
paper_blocks = draw_network(PaperLinkNet(11), frame, args.out / "linknet_paper.png", "LinkNet as the paper has it")
for name, shape in blocks.items():
    print(f"{name:<14} {shape!s:<16} in the paper's {paper_blocks[name]}")

# %% Figure 4.9: a transposed convolution is one over an image whose pixels are moved apart
# It has the size that the convolution came from, and is not its inverse: the values are others. The kernel is turned by
# 180 degrees: with flip left out of transposed_convolution in layers.py, the two are no longer equal.
low = torch.tensor([[1.0, 2.0, 1.0], [0.0, 3.0, 1.0], [2.0, 1.0, 0.0]])
upsampling = nn.ConvTranspose2d(1, 1, kernel_size=3, stride=2, padding=1, bias=False)
upsampling.weight.data[:] = torch.tensor([[1.0, 2.0, 0.0], [2.0, 4.0, 1.0], [0.0, 1.0, 3.0]])
raised = transposed_convolution(low[None, None], upsampling.weight, stride=2, padding=1)
print(f"{tuple(low.shape)} becomes {tuple(raised.shape[2:])}; equal:", torch.equal(raised, upsampling(low[None, None])))
draw_transposed(low, upsampling.weight.detach()[0, 0], 2, 1, args.out / "transposed.png")

# %% 4.12 ConvBlock: convolution, normalisation, ReLU
# A side n becomes (n + 2 padding - kernel) // stride + 1.
x = torch.randn(2, 3, 32, 48)
conv_block = ConvBlock(3, 64, kernel=7, stride=2, padding=3)
activated = conv_block(x)
print(f"ConvBlock: {tuple(x.shape)} to {tuple(activated.shape)}, lowest value {activated.min():.2f}")
linear = ConvBlock(3, 64, kernel=7, stride=2, padding=3, act=False)(x)
print(f"without its ReLU: mean {linear.mean():.2f}, standard deviation {linear.std():.2f}, lowest {linear.min():.2f}")

# %% 4.12 What batch normalisation learns, and what it only counts
# Its momentum is the weight of the new batch in the running mean: 0.9 * 0 + 0.1 * 5.
norm = nn.BatchNorm2d(4)
norm(torch.full((2, 4, 3, 3), 5.0))
print("learns", [name for name, _ in norm.named_parameters()], "and counts", [name for name, _ in norm.named_buffers()])
print("running mean after one batch of mean 5:", norm.running_mean)

# %% 4.12 ReLU in place
# The page warns of inplace=True, which destroys the layer's input. The blocks may use it: the normalisation before it
# needs its own input for the backward pass, not its output. sigmoid needs its output, and says so.
spoilt = torch.randn(3, requires_grad=True).sigmoid()
nn.ReLU(inplace=True)(spoilt)
try:
    spoilt.sum().backward()
except RuntimeError as error:
    refusal = str(error)
    print(refusal.split(":")[0])

# %% 4.13 The same block without Sequential, and figures 4.10a and 4.10b: the graphs of both
# Autograd's graph has the same functions; what is one level shorter are the names of the weights.
plain_block = ConvBlockWithoutSequential(3, 64, kernel=7, stride=2, padding=3)
plain_block.conv.load_state_dict(conv_block.conv_block[0].state_dict())
print("equal:", torch.equal(plain_block(x), conv_block(x)))
print("with Sequential:   ", *dict(conv_block.named_parameters()))
print("without Sequential:", *dict(plain_block.named_parameters()))
draw_graph(conv_block(x), args.out / "conv_block.png", dict(conv_block.named_parameters()))
draw_graph(plain_block(x), args.out / "conv_block_without_sequential.png", dict(plain_block.named_parameters()))

# %% 4.14 DeconvBlock: a transposed convolution reaches 2n - 1 or 2n, and is told which
deconv_block = DeconvBlock(64, 32, kernel=3, stride=2, padding=1)
for output_size in ((31, 47), (32, 48)):
    print(f"DeconvBlock: {tuple(activated.shape)} to {tuple(deconv_block(activated, output_size).shape)}")

# %% Pooling: MaxPool2d rounds a size down, with ceil_mode up, and can tell where its maxima stood
numbers = torch.arange(25.0).view(1, 1, 5, 5)
values, indices = nn.MaxPool2d(2, return_indices=True)(numbers)
print("5x5, windows of 2:", values.tolist(), "at", indices.tolist())
print("with ceil_mode=True:", nn.MaxPool2d(2, ceil_mode=True)(numbers).tolist())

# %% 4.15 EncoderBlock, and figure 4.10: five convolution blocks and two additions
encoder_block = EncoderBlock(64, 128)
encoded = encoder_block(activated.detach())
print(f"EncoderBlock: {tuple(activated.shape)} to {tuple(encoded.shape)}")
draw_graph(encoded, args.out / "encoder_block.png", dict(encoder_block.named_parameters()))

# %% 4.16 DecoderBlock, and figure 4.11: three blocks in a row
decoder_block = DecoderBlock(128, 64)
decoded = decoder_block(encoded.detach(), activated.shape)
print(f"DecoderBlock: {tuple(encoded.shape)} to {tuple(decoded.shape)}")
draw_graph(decoded, args.out / "decoder_block.png", dict(decoder_block.named_parameters()))

# %% 4.17 The whole network: a score for each class and pixel
# Try a frame of 97x101: the page's last layer could not reach odd sizes.
scores = model(frame)
parameters = sum(parameter.numel() for parameter in model.parameters())
print(f"{tuple(frame.shape)} to {tuple(scores.shape)}, {parameters:,} parameters")
print(
    f"scores from {scores.min():.2f} to {scores.max():.2f}; classes of the first pixels: {scores.argmax(1)[0, 0, :5]}"
)
print(f"look at {args.out}")
