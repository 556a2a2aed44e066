"""Listings 2.22 to 2.25: operators, functions and losses.

python ch02_simple_nn/functional_tour.py
python ch02_simple_nn/functional_tour.py --out runs/functional
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from common.tours import tour

args = tour(__doc__)
device = args.device

# %% 2.22 An operator leaves a grad_fn behind
# `@` is torch.matmul, here MmBackward0. The text names `mul` of the functional module, which has none.
a = torch.randn(1, 2, device=device)
b = torch.randn(2, 1, device=device, requires_grad=True)
c = a @ b
print(f"{a.requires_grad = }, {b.requires_grad = }, {c.requires_grad = }\n{c.shape = }, {c.grad_fn = }")
print(f"{hasattr(F, 'mul') = }")

# %% 2.23 F.linear is matmul with the transposed weight
# The page prints tensor([[1]], dtype=torch.uint8): comparisons give booleans since PyTorch 1.2.
a = torch.tensor([[1.0, 1.0]], device=device)
w1 = torch.tensor([[2.0, 2.0]], device=device)
same = F.linear(a, w1) == a.matmul(w1.t())
print(f"{F.linear(a, w1) = }")
print(f"{same = }")

# %% A layer of nn is a module around a function of nn.functional
x = torch.randn(64, 10, device=device)
layer_and_function = {
    "Sigmoid": torch.equal(nn.Sigmoid()(x), F.sigmoid(x)),
    "ReLU": torch.equal(nn.ReLU()(x), F.relu(x)),
    "Softmax": torch.equal(nn.Softmax(dim=1)(x), F.softmax(x, dim=1)),
}
print(f"{layer_and_function = }")

# %% Why an activation: without one, a hundred linear layers are one
weights = torch.eye(10, dtype=torch.float64) + 0.05 * torch.randn(100, 10, 10, dtype=torch.float64)
sample = torch.randn(3, 10, dtype=torch.float64)
deep = sample
for weight in weights:
    deep = F.linear(deep, weight)
single = F.linear(sample, torch.linalg.multi_dot(list(weights.flip(0))))
hundred_are_one = torch.allclose(deep, single)
print(f"{hundred_are_one = }")

# %% Figure 2.10: the sigmoid, and what has taken its place, each with its derivative
ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "ReLU": F.relu,
    "leaky ReLU (0.1)": lambda values: F.leaky_relu(values, 0.1),
    "ELU": F.elu,
    "GELU": F.gelu,
}
grid = torch.linspace(-6, 6, 601, requires_grad=True)
figure, axes = plt.subplots(1, 5, figsize=(15, 3.2), layout="constrained")
slopes = {}
for axis, (name, activation) in zip(axes, ACTIVATIONS.items()):
    values = activation(grid)
    (slopes[name],) = torch.autograd.grad(values.sum(), grid)
    axis.plot(grid.detach(), values.detach(), label="value")
    axis.plot(grid.detach(), slopes[name], linestyle="--", label="derivative")
    axis.set(title=name, xlabel="input", ylim=(-1.2, 2.2) if name != "sigmoid" else (-0.1, 1.1))
    axis.grid(alpha=0.3)
axes[0].legend()
figure.suptitle("Figure 2.10: sigmoid activation, and beside it those that the text names, and GELU")
figure.savefig(args.out / "figure_2_10_activations.png", dpi=120)
plt.close(figure)
print(args.out / "figure_2_10_activations.png")

# %% What is wrong with the sigmoid
# It is not centred at zero, and its slope is 1/4 at best and vanishes on both sides.
steepest = slopes["sigmoid"].max().item()
mean_output = torch.sigmoid(torch.randn(10_000)).mean().item()


def slope_after(activation, layers=10):
    """The derivative of the activation applied `layers` times, at 1."""
    start = torch.tensor(1.0, requires_grad=True)
    value = start
    for _ in range(layers):
        value = activation(value)
    return torch.autograd.grad(value, start)[0].item()


ten_layers = {name: slope_after(activation) for name, activation in ACTIVATIONS.items()}
print(f"{steepest = }, {mean_output = :.2f}")
for name, slope in ten_layers.items():
    print(f"slope through ten activations: {name:16} {slope:.1e}")

# %% Sigmoids score each class alone, softmax makes a distribution
# In a distribution one class gains what the others lose.
scores = torch.tensor([[2.0, 1.0, 0.0, -1.0]], device=device)
print(f"sigmoids sum to {scores.sigmoid().sum().item():.2f}, softmax to {scores.softmax(dim=1).sum().item():.2f}")

# %% 2.24 The built-in mean squared error
hyp = torch.rand(64, 4, device=device, requires_grad=True)
y_ = F.one_hot(torch.arange(64, device=device) % 4).float()
loss = nn.MSELoss()
output = loss(hyp, y_)
output.backward()
mean_by_hand = (hyp - y_).pow(2).mean()
print(f"{output.item() = :.6f}, {mean_by_hand.item() = :.6f}")
# The text calls the loss a leaf. It is the root: the leaves are the tensors that hold the gradients.
print(f"{output.is_leaf = }, {hyp.is_leaf = }")
mean_grad = hyp.grad.clone()

# %% 2.25 The loss of the naive model is another: half the sum, not the mean
# For a 64 x 4 batch the factor is 64 * 4 / 2 = 128, so the same learning rate takes steps 128 times as long.
error = hyp - y_
output = error.pow(2).sum() / 2.0
hyp.grad = None
output.backward()
factor = (output / loss(hyp, y_)).item()
gradient_factor = (hyp.grad / mean_grad).mean().item()
half_sum = nn.MSELoss(reduction="sum")(hyp, y_) / 2
print(f"{factor = :.3f}, {gradient_factor = :.3f}, {half_sum.item() = :.4f}, {output.item() = :.4f}")
print(f"the 2 cancels: the gradient is the error, {torch.allclose(hyp.grad, error)}")

# %% The loss for classes
# Cross-entropy takes scores without sigmoid or softmax, and class indices or distributions.
scores = torch.randn(64, 4, device=device)
classes = torch.arange(64, device=device) % 4
from_indices = nn.CrossEntropyLoss()(scores, classes)
from_one_hot = nn.CrossEntropyLoss()(scores, y_)
cross_entropy_by_hand = -scores.log_softmax(dim=1)[torch.arange(64, device=device), classes].mean()
print(f"{from_indices.item() = :.5f}, {from_one_hot.item() = :.5f}, {cross_entropy_by_hand.item() = :.5f}")
