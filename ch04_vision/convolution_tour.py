"""What a convolution layer is made of, in small examples (listings 4.2, 4.5 to 4.11; figures 4.3-4.5, 4.9).

    python ch04_vision/convolution_tour.py

It prints what the pages print and draws `convolution.gif`, `strides.png`, `momentum.png` and `transposed.png` into
`runs/convolution_tour`.
"""

import gc
import weakref

import torch
import torch.nn.functional as F
from torch import nn, optim
from torchvision import transforms

from ch04_vision.layers import Conv, MaxPool, output_size, transposed_convolution
from ch04_vision.loaders.cifar import Cifar, prepare
from ch04_vision.pictures.convolution import animate_convolution, draw_momentum, draw_strides, draw_transposed
from ch04_vision.simple_cnn import SimpleCNNModel
from common.tours import tour
from data import sample
from data.tiny_objects import make_tiny_objects

args = tour(__doc__)


# %% 4.2 What transforms.Normalize does
# The page's function changes its argument and returns nothing; this one returns a new image, as Normalize does.
def normalize(image, mean, std):
    image = image.clone()
    for channel in range(3):
        image[channel] = (image[channel] - mean[channel]) / std[channel]
    return image


image = torch.rand(3, 32, 32)
normalized = normalize(image, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
by_library = transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))(image)
print(f"0 to 1 becomes {normalized.min():.2f} to {normalized.max():.2f}; equal: {torch.equal(normalized, by_library)}")

# %% 4.6 Zeros around an image
# So that the kernel can stand on its corners: two on each of the four sides.
padded = F.pad(torch.zeros(1, 1), (2,) * 4)
print(padded)

# %% 4.5 A window is a view into the image
# Its rows lie apart in memory, so view() cannot flatten it, and contiguous() copies it first.
batch = torch.rand(2, 3, 7, 7)
window = batch[:, :, 0:3, 0:3]
print("contiguous:", window.is_contiguous())
try:
    window.view(2, -1)
except RuntimeError as error:
    refusal = str(error)
    print("view:", refusal.split(" (")[0])
kernel = torch.rand(3, 3, 3)
values = window.contiguous().view(2, -1) @ kernel.view(-1)
print("one number for each image of the batch:", values)

# %% Figure 4.3: the window slides over the 7x7 image
# Each position makes one number of the output.
small_image = torch.randint(0, 4, (7, 7)).float()
small_kernel = torch.tensor([[1.0, 0.0, 1.0], [0.0, 2.0, 0.0], [1.0, 0.0, 1.0]])
animate_convolution(small_image, small_kernel, args.out / "convolution.gif")
conv = Conv(1, 1, kernel_size=3, padding=1)
conv.weight.data[:] = small_kernel
slid = conv(small_image[None, None])[0, 0]
print("the first number of the output:", slid[0, 0].item())

# %% Figure 4.4: strides, and the size of the output
# (W - F + 2P) / S + 1, rounded down; a larger stride makes a smaller output.
sizes = [output_size(7, 3, 1, 1), output_size(7, 3, 2, 0), output_size(32, 5, 1, 0), output_size(7, 1, 1, 0)]
print("sizes:", sizes)
draw_strides(args.out / "strides.png")

# %% 4.8 max along a dimension gives the values first, then where they stood
tensor = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
maxima, places = tensor.max(0)
print(maxima, places)

# %% 4.7 The window of a pooling layer moves by its own size
# So that it sees the whole image.
pooled = MaxPool(2)(torch.arange(16.0).view(1, 1, 4, 4))
print(pooled)

# %% 4.9 A network as text
# Its layers stand by the names of the attributes that hold them. What comes out of the last one are raw scores, not
# yet probabilities.
simple = SimpleCNNModel()
print(simple)

# %% Figure 4.9: a transposed convolution
# An ordinary one over an image whose pixels have been moved apart. It has the size that the convolution came from,
# and is not its inverse: the values are others.
low = torch.tensor([[1.0, 2.0, 1.0], [0.0, 3.0, 1.0], [2.0, 1.0, 0.0]])
upsampling = nn.ConvTranspose2d(1, 1, kernel_size=3, stride=2, padding=1, bias=False)
upsampling.weight.data[:] = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]])
raised = transposed_convolution(low[None, None], upsampling.weight, stride=2, padding=1)
print(f"{tuple(low.shape)} becomes {tuple(raised.shape[2:])}; equal:", torch.equal(raised, upsampling(low[None, None])))
draw_transposed(low, upsampling.weight.detach()[0, 0], 2, 1, args.out / "transposed.png")

# %% 4.10 Momentum is kept from step to step
# v = m * v + g, and the weight follows it, p = p - lr * v. With a gradient of 1 at every step, a rate of 1 and m =
# 0.9:
parameter = nn.Parameter(torch.zeros(()))
optimizer = optim.SGD([parameter], lr=1, momentum=0.9)
positions = []
for _ in range(3):
    optimizer.zero_grad()
    parameter.backward()
    optimizer.step()
    positions.append(round(parameter.item(), 4))
print("with momentum:", positions)


# %% Figure 4.5, left: a valley twenty times as long as it is wide
# Without momentum the descent creeps along its floor.
def descend(momentum, steps=40):
    point = nn.Parameter(torch.tensor([-10.0, 2.0]))
    optimizer = optim.SGD([point], lr=0.3, momentum=momentum)
    points = [point.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        (point[0] ** 2 / 20 + point[1] ** 2).backward()
        optimizer.step()
        points.append(point.detach().clone())
    return torch.stack(points)


paths = {"without momentum": descend(0.0), "momentum 0.7": descend(0.7)}
for name, points in paths.items():
    print(f"{name}: {points[-1].norm():.4f} from the lowest point after {len(points) - 1} steps")

# %% Figure 4.5, right: the same on the loss of SimpleCNN, and 4.11, the training step
trainset = Cifar(sample(make_tiny_objects), "train")


def learn(momentum, steps=120):
    torch.manual_seed(0)
    net = SimpleCNNModel(layers="builtin").to(args.device)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=momentum)
    history = []
    running_loss = 0.0
    for _ in range(steps):
        inputs, labels = prepare(*trainset[torch.randint(len(trainset), (100,))])
        inputs, labels = inputs.to(args.device), labels.to(args.device)
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = loss_fn(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
        history.append(loss.item())
    print(f"momentum {momentum}: mean loss {running_loss / steps:.3f}, last ten steps {sum(history[-10:]) / 10:.3f}")
    return history


losses = {"without momentum": learn(0.0), "momentum 0.9": learn(0.9)}
draw_momentum(paths, losses, args.out / "momentum.png")


# %% 4.11 A running loss that adds `loss` instead of `loss.item()`
# The page's warning: it is a tensor whose graph reaches back to the first batch. Count what stays: nodes of the
# graph, and bytes of the activations that its nodes have saved.
def what_stays(keep_loss, call_backward, batches=20):
    """What the running loss of some batches holds on to: (nodes of its graph, megabytes of saved activations)."""
    net, loss_fn = SimpleCNNModel(layers="builtin"), nn.CrossEntropyLoss()
    saved = weakref.WeakSet()

    class Saved:
        def __init__(self, tensor):
            self.tensor = tensor.detach()  # with its graph, tensor and node would keep each other alive
            saved.add(self)

    running_loss = 0.0
    with torch.autograd.graph.saved_tensors_hooks(Saved, lambda box: box.tensor):
        for _ in range(batches):
            loss = loss_fn(net(torch.rand(100, 3, 32, 32)), torch.zeros(100, dtype=torch.long))
            if call_backward:
                loss.backward()
            running_loss += loss if keep_loss else loss.item()
    del loss
    gc.collect()
    nodes, waiting = set(), [getattr(running_loss, "grad_fn", None)]
    while waiting:
        node = waiting.pop()
        if node and node not in nodes:
            nodes.add(node)
            waiting += [function for function, _ in node.next_functions]
    storages = {box.tensor.untyped_storage().data_ptr(): box.tensor.untyped_storage().nbytes() for box in saved}
    return len(nodes), sum(storages.values()) / 2**20


# After backward() the activations are freed and the graph alone stays; in a scoring loop without torch.no_grad()
# nothing is freed, and memory fills up.
stays = {
    "training, loss.item()": what_stays(keep_loss=False, call_backward=True),
    "training, loss": what_stays(keep_loss=True, call_backward=True),
    "scoring, loss.item()": what_stays(keep_loss=False, call_backward=False),
    "scoring, loss": what_stays(keep_loss=True, call_backward=False),
}
for way, (nodes, megabytes) in stays.items():
    print(f"{way:<22} 20 batches leave {nodes:>4} nodes and {megabytes:>6.1f} MB")
print(f"look at {args.out}")
