"""Listings 2.5 and 2.8 to 2.12: FizzBuzz by hand, with autograd and nothing else; figures 2.6, 2.7 and 2.8.

    python ch02_simple_nn/naive.py
    python ch02_simple_nn/naive.py --device cuda

First one batch, stopping where the page prints. Then the whole loop: as the page has it, with the gradients zeroed,
and with settings that learn.
"""

import warnings

import matplotlib.pyplot as plt
import torch

from ch02_simple_nn.data import get_numpy_data
from common.graph import draw_graph
from common.tours import tour

args = tour(__doc__)
device = args.device
dtype = torch.float32
torch.set_printoptions(threshold=100, edgeitems=2)
epochs, batches, lr = 500, 64, 0.01
input_size, hidden_size, output_size = 10, 100, 4
trX, trY, teX, teY = get_numpy_data(input_size)

# %% 2.5 The data without gradients, weights and biases with
x = torch.from_numpy(trX).to(device=device, dtype=dtype)
y = torch.from_numpy(trY).to(device=device, dtype=dtype)
w1 = torch.randn(input_size, hidden_size, requires_grad=True, device=device, dtype=dtype)
w2 = torch.randn(hidden_size, output_size, requires_grad=True, device=device, dtype=dtype)
b1 = torch.zeros(1, hidden_size, requires_grad=True, device=device, dtype=dtype)
b2 = torch.zeros(1, output_size, requires_grad=True, device=device, dtype=dtype)
print(f"{x.shape = }, {y.shape = }, {w1.shape = }, {w2.shape = }, {b1.shape = }, {b2.shape = }")

# %% 2.8 Tensors that the user made: no grad yet, and never a grad_fn
before = [(x.grad, x.grad_fn), (w1.grad, w1.grad_fn)]
print(x.grad, x.grad_fn, x)
print(w1.grad, w1.grad_fn, w1)

# %% 2.9 and 2.10 Building the graph: matmul, add, sigmoid, twice (figure 2.6)
x_ = x[0:batches]
y_ = y[0:batches]
a2 = x_.matmul(w1)
a2 = a2.add(b1)
# a2 is no leaf, so it keeps no gradient. Today torch warns whoever reads it; here that is the lesson, not a mistake.
warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a leaf")
print(a2.grad, a2.grad_fn, a2)
h2 = a2.sigmoid()
a3 = h2.matmul(w2)
a3 = a3.add(b2)
hyp = a3.sigmoid()

# %% 2.9 Finding the error: half the sum of the squares, where the text says mean
error = hyp - y_
output = error.pow(2).sum() / 2.0
print(output)

# %% 2.12 Walking the graph backwards, and figure 2.8, the same walk to its end
chain = [
    output.grad_fn,
    output.grad_fn.next_functions[0][0],
    output.grad_fn.next_functions[0][0].next_functions[0][0],
]
for function in chain:
    print(function)
graph = draw_graph(output, args.out / "figure_2_8_chain.png", dict(w1=w1, b1=b1, w2=w2, b2=b2), "Figure 2.8: the loss")
print(args.out / "figure_2_8_chain.png")

# %% 2.9 and 2.11 Backpropagation: only the leaves that require gradients get one, and no value changes
w1_before = w1.detach().clone()
output.backward()
print(x.grad, x.grad_fn, x)
print(w1.grad, w1.grad_fn, w1)
print(a2.grad, a2.grad_fn, a2)
unchanged = torch.equal(w1, w1_before)
print(f"backward() left w1 as it was: {unchanged}")

# %% 2.9 The parameter update, and the zeroing that the page's loop forgets
with torch.no_grad():
    for parameter in (w1, w2, b1, b2):
        parameter -= lr * parameter.grad
        # A tensor has no zero_grad(), as the text would have it: that belongs to modules and optimizers.
        parameter.grad.zero_()
print(f"the update changed w1: {not torch.equal(w1, w1_before)}")


# %% 2.9 The whole loop
def forward(x_, weights):
    w1, b1, w2, b2 = weights
    return (x_.matmul(w1).add(b1)).sigmoid().matmul(w2).add(b2).sigmoid()


def train(weights, x, epochs, lr, zero_gradients):
    """The page's loop; changes `weights` in place and returns the sum of the batch losses of each epoch."""
    no_of_batches = len(x) // batches  # the last 4 of 900 rows are left out, as on the page
    losses = []
    for _ in range(epochs):
        epoch_loss = 0.0
        for batch in range(no_of_batches):
            start = batch * batches
            end = start + batches
            error = forward(x[start:end], weights) - y[start:end]
            output = error.pow(2).sum() / 2.0
            output.backward()
            with torch.no_grad():
                for parameter in weights:
                    parameter -= lr * parameter.grad
                    if zero_gradients:
                        parameter.grad.zero_()
            epoch_loss += output.detach()
        losses.append(epoch_loss / no_of_batches)
    return torch.stack(losses).tolist()


def new_weights(output_scale=1.0):
    """Listing 2.5's start; `output_scale` shrinks w2."""
    w1 = torch.randn(input_size, hidden_size, device=device)
    w2 = output_scale * torch.randn(hidden_size, output_size, device=device)
    b1, b2 = torch.zeros(1, hidden_size, device=device), torch.zeros(1, output_size, device=device)
    return [parameter.requires_grad_() for parameter in (w1, b1, w2, b2)]


def accuracy(weights, test_x):
    with torch.no_grad():
        return (forward(test_x, weights).argmax(dim=1).cpu().numpy() == teY.argmax(axis=1)).mean()


test_x = torch.from_numpy(teX).to(device=device, dtype=dtype)
majority = teY[:, 3].mean()

# %% 2.9 The page's loop, the page's settings
# Without zeroing each step adds up all gradients since the first, so the weights run on long after the slope has
# turned. They end where the sigmoids are flat: no gradient leads back, and every answer is "other", the most frequent.
weights = new_weights()
page_losses = train(weights, x, epochs, lr, zero_gradients=False)
page_accuracy = accuracy(weights, test_x)
print(f"as printed: loss {page_losses[-1]:.1f}, accuracy {page_accuracy:.2f}; always 'other' gets {majority:.2f}")

# %% 2.9 With the gradients zeroed the loss goes down, but not far in 500 epochs
weights = new_weights()
zeroed_losses = train(weights, x, epochs, lr, zero_gradients=True)
zeroed_accuracy = accuracy(weights, test_x)
print(f"zeroed: loss {zeroed_losses[0]:.1f} to {zeroed_losses[-1]:.1f}, accuracy {zeroed_accuracy:.2f}")

# %% 2.9 Settings that learn: inputs of -1 and +1, a small w2, so that no output sigmoid starts flat, and lr 0.1
weights = new_weights(output_scale=0.1)
learnt_losses = train(weights, 2 * x - 1, epochs, lr=0.1, zero_gradients=True)
learnt_accuracy = accuracy(weights, 2 * test_x - 1)
print(f"corrected: loss {learnt_losses[0]:.1f} to {learnt_losses[-1]:.1f}, accuracy {learnt_accuracy:.2f}")

# %% Figure 2.7 Down the loss of FizzBuzz, along two random directions
# All 1504 weights cannot be drawn. Two random directions through the first weights make a plane, and over it the
# loss of all 900 numbers is a surface; gradient descent walks on it with the two coordinates as its only weights.
origin = [parameter.detach() for parameter in new_weights(output_scale=0.1)]
directions = [[torch.randn_like(parameter) for parameter in origin] for _ in range(2)]


def surface(place):
    moved = [start + place[0] * a + place[1] * b for start, a, b in zip(origin, *directions)]
    return (forward(2 * x - 1, moved) - y).pow(2).sum(dim=1).mean() / 2


place = torch.tensor([1.2, -1.2], device=device, requires_grad=True)
walk = []
for _ in range(40):
    height = surface(place)
    walk.append((*place.tolist(), height.item()))
    height.backward()
    with torch.no_grad():
        place -= 0.4 * place.grad
        place.grad.zero_()

# %% Figure 2.7, drawn from above and as the loss after each step
axis_values = torch.linspace(-1.6, 1.6, 31)
with torch.no_grad():
    heights = torch.tensor([[surface((a, b)).item() for a in axis_values] for b in axis_values])
figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
contours = axes[0].contourf(axis_values, axis_values, heights, levels=25, cmap="viridis")
figure.colorbar(contours, ax=axes[0], label="loss of a number")
across, along, down = zip(*walk)
axes[0].plot(across, along, "o-", color="white", markersize=3, linewidth=1)
axes[0].set(xlabel="first random direction", ylabel="second random direction", title="the surface and the descent")
axes[1].plot(down, "o-", markersize=3)
axes[1].set(xlabel="step", ylabel="loss of a number", title="the loss on the way down")
axes[1].grid(alpha=0.3)
figure.suptitle("Figure 2.7: backpropagation finds the slope, each step goes down it")
figure.savefig(args.out / "figure_2_7_descent.png", dpi=120)
plt.close(figure)
print(args.out / "figure_2_7_descent.png")
