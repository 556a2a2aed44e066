"""Listings 2.26 to 2.29: the step by hand and torch.optim's, on the FizzBuzz network; how large a batch should be.

    python ch02_simple_nn/optimizers_tour.py
    python ch02_simple_nn/optimizers_tour.py --device cuda

SGD, momentum and Adam are written out and compared with torch.optim, step for step. Then the page's final loop with
the page's settings, with Adam, and with batches of 900, 64 and 1.
"""

import copy
import time

import matplotlib.pyplot as plt
import torch
from torch import nn, optim

from ch02_simple_nn.data import get_numpy_data
from ch02_simple_nn.fizzbuzz import FizBuzNet
from common.tours import tour

args = tour(__doc__)
device = args.device
epochs, batches, lr = 500, 64, 0.01
trX, trY, teX, teY = get_numpy_data(input_size=10)
x = torch.from_numpy(trX).to(device, torch.float32)
y = torch.from_numpy(trY).to(device, torch.float32)
test_x = torch.from_numpy(teX).to(device, torch.float32)
test_y = torch.from_numpy(teY).to(device, torch.float32)
no_of_batches = len(trX) // batches
# The page leaves this undefined: `loss`, the name of listing 2.24's object, is now the value.
loss_fn = nn.MSELoss()
net = FizBuzNet(10, 100, 4).to(device)

# %% 2.26 The update by hand must not be recorded
net.zero_grad()
loss_fn(net(x), y).backward()
w1 = net.hidden.weight
try:
    w1 -= lr * w1.grad
except RuntimeError as error:
    in_place = str(error)
    print(f"RuntimeError: {in_place}")
before = w1.detach().clone()
with torch.no_grad():
    w1 -= lr * w1.grad
print(f"{torch.equal(w1, before - lr * w1.grad) = }")

# %% 2.27 Zeroing a gradient by hand
w1.grad.zero_()
all_zero = bool((w1.grad == 0).all())
print(f"{all_zero = }")


# %% 2.28 Three optimizers, each step written out
# SGD: p <- p - lr * g. Momentum: v <- momentum * v + g, p <- p - lr * v.
# Adam (Kingma and Ba, 2015): running means of g and of g * g, both corrected for their start at 0.
def sgd_step(parameters, memory, step):
    for p in parameters:
        p -= lr * p.grad


def momentum_step(parameters, memory, step, momentum=0.9):
    for p in parameters:
        memory[p] = p.grad.clone() if step == 1 else momentum * memory[p] + p.grad
        p -= lr * memory[p]


def adam_step(parameters, memory, step, beta1=0.9, beta2=0.999, eps=1e-8):
    for p in parameters:
        mean, square = memory.get(p, (torch.zeros_like(p), torch.zeros_like(p)))
        mean = beta1 * mean + (1 - beta1) * p.grad
        square = beta2 * square + (1 - beta2) * p.grad * p.grad
        memory[p] = (mean, square)
        mean_hat = mean / (1 - beta1**step)
        square_hat = square / (1 - beta2**step)
        p -= lr * mean_hat / (square_hat.sqrt() + eps)


def difference(by_hand, make_optimizer, steps=20):
    """The largest difference of a parameter, by hand and by torch.optim, after `steps` steps from one start, float64.

    On an Apple GPU, which has no float64, the networks stay on the CPU.
    """
    ours, theirs = FizBuzNet(10, 100, 4).double(), FizBuzNet(10, 100, 4).double()
    theirs.load_state_dict(ours.state_dict())
    optimizer = make_optimizer(theirs.parameters())
    memory = {}
    inputs, targets = x.cpu().double(), y.cpu().double()
    for step in range(1, steps + 1):
        for network in (ours, theirs):
            network.zero_grad()
            loss_fn(network(inputs), targets).backward()
        with torch.no_grad():
            by_hand(list(ours.parameters()), memory, step)
        optimizer.step()
    return max((a - b).abs().max().item() for a, b in zip(ours.parameters(), theirs.parameters()))


differences = {
    "SGD": difference(sgd_step, lambda p: optim.SGD(p, lr=lr)),
    "momentum": difference(momentum_step, lambda p: optim.SGD(p, lr=lr, momentum=0.9)),
    "Adam": difference(adam_step, lambda p: optim.Adam(p, lr=lr)),
}
for name, largest in differences.items():
    print(f"{name}: by hand and by torch.optim differ by {largest:.1e} at most after 20 steps: rounding")


# %% 2.29 The final loop, line for line
def train(net, optimizer, epochs, batches=batches, zero_after=False):
    """The page's loop; returns the loss of all training rows after each epoch."""
    losses = []
    no_of_batches = len(x) // batches
    for _ in range(epochs):
        for batch in range(no_of_batches):
            start = batch * batches
            end = start + batches
            x_ = x[start:end]
            y_ = y[start:end]
            hyp = net(x_)
            loss = loss_fn(hyp, y_)
            if not zero_after:
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if zero_after:
                optimizer.zero_grad()
        with torch.no_grad():
            losses.append(loss_fn(net(x), y).item())
    return losses


def accuracy(net):
    with torch.no_grad():
        return (net(test_x).argmax(dim=1) == test_y.argmax(dim=1)).float().mean().item()


# %% 2.29 Zeroing before backward (the code) and after the update (the text) train alike
first = FizBuzNet(10, 100, 4).to(device)
second = copy.deepcopy(first)
train(first, optim.SGD(first.parameters(), lr=lr), epochs=3)
train(second, optim.SGD(second.parameters(), lr=lr), epochs=3, zero_after=True)
zero_before_or_after = all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))
print(f"{zero_before_or_after = }")

# %% 2.29 With the page's settings it only learns what most numbers are; Adam at the same learning rate learns more
# MSELoss averages over 64 * 4 values, so the steps are 128 times shorter than the naive model's.
majority = test_y[:, 3].mean().item()
net = FizBuzNet(10, 100, 4).to(device)
optimizer = optim.SGD(net.parameters(), lr=lr)
page_losses = train(net, optimizer, epochs)
page_accuracy = accuracy(net)
page_answers = sorted(set(net(test_x).argmax(dim=1).tolist()))
print(f"SGD: accuracy {page_accuracy:.2f}, the share of 'other' is {majority:.2f}; classes answered: {page_answers}")
net = FizBuzNet(10, 100, 4).to(device)
adam_losses = train(net, optim.Adam(net.parameters(), lr=lr, fused=True), epochs)
adam_accuracy = accuracy(net)
print(f"Adam: accuracy {adam_accuracy:.2f}")

# %% Batch, mini-batch and single-sample descent: three epochs each from the same start, learning rate 0.02
# The text says that batch descent avoids local minima. It lacks the noise that helps the others out of them, and it
# takes one step where single samples take 900; but a step for each sample costs 900 times the calls.
start = FizBuzNet(10, 100, 4).to(device)
curves, seconds = {}, {}
for size in (900, 64, 1):
    net = copy.deepcopy(start)
    started = time.perf_counter()
    curves[size] = train(net, optim.SGD(net.parameters(), lr=0.02), epochs=3, batches=size)
    seconds[size] = time.perf_counter() - started
    print(f"batches of {size:3}: loss {curves[size][-1]:.4f} after three epochs in {seconds[size]:.2f} s")

# %% The three in a picture
figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
for size, losses in curves.items():
    axis.plot(range(1, 4), losses, "o-", label=f"batches of {size} (steps an epoch: {len(x) // size})")
axis.set(xlabel="epoch", ylabel="mean squared error, all training rows", title="How many steps an epoch?")
axis.set_xticks([1, 2, 3])
axis.grid(alpha=0.3)
figure.legend(loc="outside lower center")
figure.savefig(args.out / "batch_sizes.png", dpi=120)
plt.close(figure)
print(args.out / "batch_sizes.png")
