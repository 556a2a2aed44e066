"""What a convolutional network is made of, bit by bit.

    python ch04_vision/convolution_tour.py

Listings 4.1 to 4.11 and figures 4.2 to 4.5 in the page's order. It prints what the pages print and draws `cnn.png`,
`convolution.gif`, `strides.png` and `momentum.png` into `runs/convolution_tour`.
"""

import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from ch04_vision.layers import Conv, MaxPool, output_size
from ch04_vision.pictures.architecture import draw_network
from ch04_vision.pictures.convolution import animate_convolution, draw_momentum, draw_strides
from ch04_vision.simple_cnn import SimpleCNNModel
from common.graph import autograd_graph
from common.tours import tour
from data import sample
from data.tiny_objects import make_tiny_objects

args = tour(__doc__)

# %% 4.1 The data: a transform, a data set, a loader
# CIFAR10 in place of ImageFolder takes the same transform. Both hand it a PIL image, not a NumPy array: ToTensor makes
# (channels, height, width) from 0 to 1 of it, and Normalize subtracts 0.5 and divides by 0.5.
transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))])
trainset = ImageFolder(sample(make_tiny_objects) / "train", transform=transform)
trainloader = DataLoader(trainset, batch_size=100, shuffle=True)
path, label = trainset.samples[0]
picture = trainset.loader(path)
print(f"{len(trainset)} pictures of {len(trainset.classes)} classes; one is {picture.size} in {picture.mode}")
print(f"ToTensor: {transforms.ToTensor()(picture).min():.2f} to {transforms.ToTensor()(picture).max():.2f}")
inputs, labels = next(iter(trainloader))
print(f"a batch: {tuple(inputs.shape)} from {inputs.min():.2f} to {inputs.max():.2f}, labels {tuple(labels.shape)}")


# %% 4.2 Normalize written out
# The page's function changes its argument and returns nothing; this one returns a new image, as Normalize does.
def normalize(image, mean, std):
    image = image.clone()
    for channel in range(3):
        image[channel] = (image[channel] - mean[channel]) / std[channel]
    return image


image = transforms.ToTensor()(picture)
normalized = normalize(image, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
by_library = transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))(image)
print("normalize and transforms.Normalize are equal:", torch.equal(normalized, by_library))

# %% 4.3 SimpleCNN, and figure 4.2: what a picture becomes on its way through a CNN
net = SimpleCNNModel(layers="builtin")
for name, shape in draw_network(net, inputs[:1], args.out / "cnn.png", "SimpleCNN").items():
    print(f"{name:<14} {shape}")

# %% 4.4 The weights of a convolution: one tensor for all kernels
conv = Conv(in_channels=3, out_channels=6, kernel_size=5)
print(f"weight {tuple(conv.weight.shape)}: kernels, channels, height, width; bias {tuple(conv.bias.shape)}")

# %% Figure 4.3: the window slides over the 7x7 image, each position makes one number of the output
small_image = torch.randint(0, 4, (7, 7)).float()
small_kernel = torch.tensor([[1.0, 0.0, 1.0], [0.0, 2.0, 0.0], [1.0, 0.0, 1.0]])
animate_convolution(small_image, small_kernel, args.out / "convolution.gif")
small_conv = Conv(1, 1, kernel_size=3, padding=1)
small_conv.weight.data[:] = small_kernel
slid = small_conv(small_image[None, None])[0, 0]
print("the first number of the output:", slid[0, 0].item())

# %% 4.5 A window is a view into the image
# Its rows lie apart in memory, so view() cannot flatten it, and contiguous() copies it first.
window = inputs[:, :, 0:5, 0:5]
print("contiguous:", window.is_contiguous())
try:
    window.view(100, -1)
except RuntimeError as error:
    refusal = str(error)
    print("view:", refusal.split(" (")[0])
values = window.contiguous().view(100, -1) @ conv.weight[0].view(-1)
print("times the first kernel, one number for each image of the batch:", tuple(values.shape))

# %% 4.5 The loops and torch.nn.Conv2d
# Conv.forward in layers.py has the page's loops. Try stride=2 here: the page's would not notice.
conv = Conv(3, 6, 5, stride=1, padding=2)
looped = conv(inputs[:10])
by_torch = F.conv2d(inputs[:10], conv.weight, conv.bias, stride=1, padding=2)
print(f"{tuple(looped.shape)}, at most {(looped - by_torch).abs().max():.1e} from torch's")

# %% 4.6 Zeros around an image, so that the kernel can stand on its corners
padded = F.pad(torch.zeros(1, 1), (2,) * 4)
print(padded)

# %% Figure 4.4: the size of the output, (W - F + 2P) / S + 1, rounded down
sizes = [output_size(7, 3, 1, 1), output_size(7, 3, 2, 0), output_size(32, 5, 1, 0), output_size(7, 1, 1, 0)]
print("sizes:", sizes)
draw_strides(args.out / "strides.png")

# %% 4.7 The window of a pooling layer moves by its own size, so that it sees the whole image
pooled = MaxPool(2)(torch.arange(16.0).view(1, 1, 4, 4))
print("pooled:", pooled)

# %% 4.8 max along a dimension gives the values first, then where they stood
tensor = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
maxima, places = tensor.max(0)
print("values", maxima, "indices", places)

# %% 4.9 A network as text: its layers by the names of the attributes that hold them
simple = SimpleCNNModel()
print(simple)

# %% 4.10 The network, the loss, the optimiser
# What comes out of the network are raw scores; CrossEntropyLoss takes their log-softmax itself.
net = SimpleCNNModel(layers="builtin").to(args.device)
loss_fn = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.001, momentum=0.9)

# %% 4.11 The training step, in the loops that the page leaves out
# Try a rate of 0.01 above, or no momentum. Guessing among ten classes has a loss of ln 10 = 2.303.
epoch_losses = []
for epoch in range(2):
    running_loss = 0.0
    for data in trainloader:
        inputs, labels = (part.to(args.device) for part in data)
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = loss_fn(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    epoch_losses.append(running_loss / len(trainloader))
    print(f"epoch {epoch + 1}: mean loss {epoch_losses[-1]:.3f}")

# %% 4.11 What a running loss must not keep
# Without item() the sum is a tensor, and its graph reaches back to the first batch. After backward() these are empty
# nodes. Where nothing calls backward(), as in scoring without torch.no_grad(), each holds its activations too.
kept_loss, nodes = 0.0, []
for _ in range(20):
    loss = loss_fn(net(inputs), labels)
    loss.backward()
    kept_loss = kept_loss + loss
    nodes.append(len(autograd_graph(kept_loss)))
print(f"nodes of the graph after 1, 2 and 20 batches: {nodes[0]}, {nodes[1]}, {nodes[-1]}")
saved = {}
with torch.autograd.graph.saved_tensors_hooks(lambda kept: saved.setdefault(kept.data_ptr(), kept), lambda kept: kept):
    loss = loss_fn(net(inputs), labels)
megabytes = sum(kept.nbytes for kept in saved.values()) / 2**20
print(f"what one batch's graph holds until backward(): {megabytes:.1f} MB")

# %% 4.10 Momentum is kept from step to step: v = m * v + g, p = p - lr * v
# With a gradient of 1 at every step, a rate of 1 and m = 0.9:
parameter = nn.Parameter(torch.zeros(()))
optimizer = optim.SGD([parameter], lr=1, momentum=0.9)
positions = []
for _ in range(3):
    optimizer.zero_grad()
    parameter.backward()
    optimizer.step()
    positions.append(round(parameter.item(), 4))
print("with momentum:", positions)


# %% Figure 4.5: a valley that is curved twenty times as much across as along
# At this rate a plain step across the valley lands on its other side, almost as high: the path zigzags. With momentum
# the last step, which went the other way, takes half of that back, and steps along the valley add up.
def descend(momentum, lr=0.9, steps=40):
    point = nn.Parameter(torch.tensor([-10.0, 2.0]))
    optimizer = optim.SGD([point], lr=lr, momentum=momentum)
    points = [point.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        (point[0] ** 2 / 20 + point[1] ** 2).backward()
        optimizer.step()
        points.append(point.detach().clone())
    return torch.stack(points)


paths = {"without momentum": descend(0.0), "momentum 0.5": descend(0.5)}
for name, points in paths.items():
    crossings = (points[1:, 1].sign() != points[:-1, 1].sign()).sum()
    way = (points[1:, 1] - points[:-1, 1]).abs().sum()
    print(f"{name}: {crossings} times across, {way:.1f} in all; {points[20].norm():.4f} from the lowest point after 20")
draw_momentum(paths, args.out / "momentum.png")
print(f"look at {args.out}")
