"""Listings 2.1 to 2.4: the data, and what an epoch and a step are.

    python ch02_simple_nn/problem_tour.py
    python ch02_simple_nn/problem_tour.py --out runs/problem

Prints the numbers 0 to 15 as the network sees them, counts the classes, trains with the hyperparameters of listing 2.2,
which are there to be changed, and walks down a loss with three learning rates.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from ch02_simple_nn.data import (
    CLASSES,
    binary_decoder,
    binary_encoder,
    class_index,
    get_class_index_data,
    get_numpy_data,
    said_number,
    spoken,
)
from ch02_simple_nn.fizbuz_net import FizBuzNet
from common.tours import tour

args = tour(__doc__)

# %% 2.1 Numbers as bits, and back
encoder = binary_encoder(10)
code = encoder(3)
decoded = binary_decoder(code)
print(f"{code = }")
print(f"{decoded = }")

# %% 2.1 A number with more bits than the network has inputs is refused
try:
    encoder(1024)
except ValueError as error:
    too_large = str(error)
    print(f"ValueError: {too_large}")

# %% 2.1 The data set: 900 numbers to learn from, 100 that the network never sees
trX, trY, teX, teY = get_numpy_data(input_size=10, limit=1000)
class_counts = dict(zip(CLASSES, (trY.sum(axis=0) + teY.sum(axis=0)).tolist()))
print(f"trX {trX.shape}, trY {trY.shape}, teX {teX.shape}, teY {teY.shape}, {trX.dtype}")
print(f"{class_counts = }")
majority_share = teY[:, CLASSES.index("other")].mean()
print(f"whoever always says 'other' is right for {majority_share:.2f} of the test numbers")

# %% 2.1 The same answers as class indices, for the cross-entropy loss
_, tr_index, _, te_index = get_class_index_data(input_size=10, limit=1000)
print(f"{tr_index[:8] = }")

# %% 2.1 The number's own answer, as the page's code has it, or the next number's, as its text has it
answers = {
    target: [spoken(i, class_index(said_number(i, target)), target) for i in range(1000)]
    for target in ("number", "next")
}
for number in (3, 8, 9):
    print(f"{number}: the code says {answers['number'][number]!r}, the text says {answers['next'][number]!r}")

# %% Figure 2.1: input-to-output mapping
shown = range(16)
bits = np.array([encoder(number) for number in shown])
one_hots = np.eye(len(CLASSES), dtype=int)[[class_index(number) for number in shown]]
figure, axes = plt.subplots(1, 2, figsize=(8, 5), width_ratios=[10, 4], layout="constrained")
for axis, table, title in ((axes[0], bits, "input: 10 bits"), (axes[1], one_hots, "output: one of 4 classes")):
    axis.pcolormesh(table, cmap="Blues", vmax=1.6, edgecolors="white", linewidth=1)
    for (row, column), value in np.ndenumerate(table):
        axis.text(column + 0.5, row + 0.5, value, ha="center", va="center")
    axis.invert_yaxis()
    axis.tick_params(length=0)
    axis.set_title(title)
    axis.set_yticks(np.arange(len(shown)) + 0.5, shown)
axes[0].set_xticks(np.arange(10) + 0.5, [2**power for power in range(9, -1, -1)])
axes[0].set(xlabel="worth of the bit", ylabel="number")
axes[1].set_xticks(np.arange(4) + 0.5, CLASSES)
figure.suptitle("Figure 2.1: input-to-output mapping")
figure.savefig(args.out / "figure_2_1_mapping.png", dpi=120)
plt.close(figure)
print(args.out / "figure_2_1_mapping.png")

# %% 2.2 The hyperparameters: six, where the text announces five
epochs = 500
batches = 64  # the size of a batch, not the number of batches
lr = 0.01
input_size = 10
output_size = 4
hidden_size = 100
net = FizBuzNet(input_size, hidden_size, output_size).to(args.device)
weights = sum(parameter.numel() for parameter in net.parameters())
no_of_batches = len(trX) // batches
print(f"{epochs} epochs of {no_of_batches} batches of {batches} numbers are {epochs * no_of_batches} steps")
print(f"{input_size} inputs, {hidden_size} hidden units, {output_size} outputs: {weights} weights and biases")


# %% 2.3 An epoch goes through the whole data set
def network_execution_over_whole_dataset():
    """One epoch; the page leaves this to the reader. Returns the mean loss of a batch."""
    total = 0.0
    for batch in range(no_of_batches):
        start = batch * batches
        end = start + batches
        loss = (net(x[start:end]) - y[start:end]).pow(2).mean()
        loss.backward()
        with torch.no_grad():
            for weight in net.parameters():
                weight -= lr * weight.grad
                weight.grad = None
        total += loss.item()
    return total / no_of_batches


x = torch.from_numpy(trX).to(args.device, torch.float32)
y = torch.from_numpy(trY).to(args.device, torch.float32)
epoch_losses = []
# The page writes `for i in epoch:`; its name is `epochs`, and one cannot iterate over an int.
for i in range(epochs):
    epoch_losses.append(network_execution_over_whole_dataset())
    if i in (0, 1, 9, epochs - 1):
        print(f"after epoch {i + 1:3}: loss {epoch_losses[-1]:.4f}")
try:
    iter(epochs)
except TypeError as error:
    not_iterable = str(error)
    print(f"TypeError: {not_iterable}")


# %% 2.4 The update of a weight, on a loss with one weight
# The best constant answer to "is it other?": the loss is lowest where the weight is the share of "other".
is_other = y[:, CLASSES.index("other")]


def descend(rate, steps=10):
    """The weight and the loss before each step and after the last, from weight 0."""
    weight = torch.tensor(0.0, device=args.device, requires_grad=True)
    path = []
    for _ in range(steps + 1):
        loss = (weight - is_other).pow(2).mean()
        path.append((weight.item(), loss.item()))
        loss.backward()
        with torch.no_grad():
            # The page has `weight -= lr * loss`: the loss says how bad it is, only its gradient says which way to go.
            weight -= rate * weight.grad
            weight.grad.zero_()
    return path


share_of_other = is_other.mean().item()
print(f"the share of 'other' is {share_of_other:.3f}")
# The distance to it shrinks by the factor 1 - 2 * rate in each step: at exactly 1 the weight jumps between two values
# for ever, above 1 it runs away.
paths = {rate: descend(rate) for rate in (0.0, lr, 0.03, 0.3, 1.0, 1.02)}
for rate, path in paths.items():
    print(f"learning rate {rate}: weight {path[-1][0]:6.3f}, loss {path[-1][1]:.4f} after 10 steps")

# %% Figure 2.2: low and high learning rate
values = torch.linspace(-0.4, 1.45, 100)
curve = (values[:, None] - is_other.cpu()).pow(2).mean(dim=1)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
for axis, rate, word in zip(axes, (0.03, 0.3, 1.02), ("too low", "right", "too high")):
    axis.plot(values, curve, color="grey")
    axis.plot(*zip(*paths[rate]), "o-", markersize=4, linewidth=1, color="tab:red")
    axis.set(title=f"{word}: learning rate {rate}", xlabel="weight")
axes[0].set_ylabel("mean squared error")
figure.suptitle("Figure 2.2: ten steps down the same loss, from weight 0")
figure.savefig(args.out / "figure_2_2_learning_rate.png", dpi=120)
plt.close(figure)
print(args.out / "figure_2_2_learning_rate.png")
