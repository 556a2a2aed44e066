"""Listings 2.26 to 2.29: the step by hand and torch.optim's.

    python ch02_simple_nn/optimizers_tour.py
    python ch02_simple_nn/optimizers_tour.py --device cuda

SGD, momentum and Adam are written out and compared with torch.optim, step for step. Then the page's final loop with the
page's settings, with longer steps, with another start and with Adam, and with batches of 900, 64 and 1.
"""

import copy

import matplotlib.pyplot as plt
import torch
from torch import nn, optim

from ch02_simple_nn.data import get_numpy_data
from ch02_simple_nn.fizbuz_net import FizBuzNet
from common.tours import tour

args = tour(__doc__)
device = args.device
epochs, batches, lr = 500, 64, 0.01
trX, trY, teX, teY = get_numpy_data(input_size=10)
x = torch.from_numpy(trX).to(device, torch.float32)
y = torch.from_numpy(trY).to(device, torch.float32)
test_x = torch.from_numpy(teX).to(device, torch.float32)
test_y = torch.from_numpy(teY).to(device, torch.float32)
# The page leaves this undefined: `loss`, the name of listing 2.24's object, is now the value.
loss_fn = nn.MSELoss()
net = FizBuzNet(10, 100, 4).to(device)

# %% 2.26 The update by hand, which must not be recorded
loss_fn(net(x), y).backward()
w1, b1, w2, b2 = net.parameters()
before = [parameter.detach().clone() for parameter in net.parameters()]
try:
    w1 -= lr * w1.grad
except RuntimeError as error:
    in_place = str(error)
    print(f"RuntimeError: {in_place}")
with torch.no_grad():
    w1 -= lr * w1.grad
    w2 -= lr * w2.grad
    b1 -= lr * b1.grad
    b2 -= lr * b2.grad
updated = [torch.equal(p, old - lr * p.grad) for p, old in zip(net.parameters(), before)]
print(f"{updated = }")

# %% 2.27 Zeroing each gradient by hand
w1.grad.zero_()
w2.grad.zero_()
b1.grad.zero_()
b2.grad.zero_()
all_zero = [bool((p.grad == 0).all()) for p in net.parameters()]
print(f"{all_zero = }")

# %% 2.28 An optimizer over the network's parameters
optimizer = optim.SGD(net.parameters(), lr=lr)
print(optimizer)


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


# %% 2.29 The final loop, with the page's settings
net = FizBuzNet(10, 100, 4).to(device)
optimizer = optim.SGD(net.parameters(), lr=lr)
no_of_batches = len(trX) // batches
for epoch in range(epochs):
    for batch in range(no_of_batches):
        start = batch * batches
        end = start + batches
        x_ = x[start:end]
        y_ = y[start:end]
        hyp = net(x_)
        loss = loss_fn(hyp, y_)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 100 == 0 or epoch == epochs - 1:
        print(f"epoch {epoch:3}: loss of the last batch {loss.item():.4f}")


def train(net, optimizer, x, epochs, batches=batches, zero_after=False):
    """The loop above; returns the loss of all training rows after each epoch."""
    losses = []
    for _ in range(epochs):
        for start in range(0, len(x) - batches + 1, batches):
            loss = loss_fn(net(x[start : start + batches]), y[start : start + batches])
            if not zero_after:
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if zero_after:
                optimizer.zero_grad()
        with torch.no_grad():
            losses.append(loss_fn(net(x), y).item())
    return losses


def accuracy(net, test_x):
    """The share of the 100 numbers never trained on for which the network gives the right class."""
    with torch.no_grad():
        return (net(test_x).argmax(dim=1) == test_y.argmax(dim=1)).float().mean().item()


page_loss = loss_fn(net(x), y).item()
page_accuracy = accuracy(net, test_x)
page_answers = sorted(set(net(test_x).argmax(dim=1).tolist()))
majority = test_y[:, 3].mean().item()
print(f"accuracy {page_accuracy:.2f}, the share of 'other' is {majority:.2f}; classes answered: {page_answers}")

# %% 2.29 Zeroing before backward (the code) and after the update (the text) train alike
first = FizBuzNet(10, 100, 4).to(device)
second = copy.deepcopy(first)
train(first, optim.SGD(first.parameters(), lr=lr), x, epochs=3)
train(second, optim.SGD(second.parameters(), lr=lr), x, epochs=3, zero_after=True)
zero_before_or_after = all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))
print(f"{zero_before_or_after = }")

# %% 2.29 Longer steps, another start, another optimizer
# MSELoss averages over 64 * 4 values, so the page's steps are 128 times shorter than the naive model's, and in 500
# epochs SGD gets no further than "other". Longer steps alone seldom help; longer steps from a wide start, with inputs
# of -1 and +1, do. So does Adam, whose steps are as long as its rate however small the gradient is.
far = FizBuzNet(10, 100, 4).to(device)
nn.init.normal_(far.hidden.weight)
train(far, optim.SGD(far.parameters(), lr=6.4), 2 * x - 1, epochs)
far_accuracy = accuracy(far, 2 * test_x - 1)
print(f"SGD, learning rate 6.4, wide start, inputs of -1 and +1: accuracy {far_accuracy:.2f}")
net = FizBuzNet(10, 100, 4).to(device)
train(net, optim.Adam(net.parameters(), lr=lr, fused=True), x, epochs)
adam_accuracy = accuracy(net, test_x)
print(f"Adam, the page's learning rate, start and inputs: accuracy {adam_accuracy:.2f}")

# %% Batch, mini-batch and single-sample descent
# Adam with batches of 900, 64 and 1 from one start, until the loss is below 0.1: the larger the batch, the fewer steps
# and the more epochs. The best answer that is the same for every number marks where something is learnt.
best_constant = (y - y.mean(dim=0)).pow(2).mean().item()
start = FizBuzNet(10, 100, 4).to(device)
nn.init.normal_(start.hidden.weight)
curves = {}
for size in (900, 64, 1):
    net = copy.deepcopy(start)
    optimizer = optim.Adam(net.parameters(), lr=lr, fused=True)
    curves[size] = [loss_fn(net(2 * x - 1), y).item()]
    while curves[size][-1] > 0.1 and len(curves[size]) < 1000:
        curves[size] += train(net, optimizer, 2 * x - 1, 1, size)
    needed = len(curves[size]) - 1
    print(f"batches of {size:3}: loss {curves[size][-1]:.3f} after {needed:3} epochs, {needed * (900 // size):4} steps")
print(f"the best constant answer has a loss of {best_constant:.4f}")

# %% The three in a picture
figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
for size, losses in curves.items():
    axis.plot(
        losses, ".-", label=f"batches of {size}: {len(losses) - 1} epochs of {900 // size} step{'s' * (size < 900)}"
    )
axis.axhline(best_constant, color="grey", linestyle="--", label=f"the best constant answer: {best_constant:.4f}")
axis.set(xlabel="epochs", ylabel="mean squared error", title="Adam until the loss is below 0.1")
axis.set_xscale("symlog", linthresh=1)
axis.set_xlim(0, None)
axis.grid(alpha=0.3)
figure.legend(loc="outside lower center")
figure.savefig(args.out / "batch_sizes.png", dpi=120)
print(args.out / "batch_sizes.png")
