"""Listings 2.5 and 2.8 to 2.12: FizzBuzz by hand.

    python ch02_simple_nn/naive.py
    python ch02_simple_nn/naive.py --device cuda

First one batch, stopping where the page prints; figures 2.6 and 2.8. Then the page's loop whole, with its gradients
zeroed, and two more runs of it: as printed, without zeroing, and with settings that learn. Last, figure 2.7.
"""

import warnings

import matplotlib.pyplot as plt
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from ch02_simple_nn.data import get_numpy_data
from common.graph import draw, draw_graph, traced_graph
from common.tours import tour

args = tour(__doc__)
device = args.device
dtype = torch.float32
torch.set_printoptions(threshold=100, edgeitems=2, precision=3)
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
print(f"{x.shape = }, {y.shape = }")
print(f"{w1.shape = }, {w2.shape = }\n{b1.shape = }, {b2.shape = }")

# %% 2.8 Tensors that the user made: no grad yet, and never a grad_fn
before = [(x.grad, x.grad_fn), (w1.grad, w1.grad_fn)]
print("x: ", x.grad, x.grad_fn, x)
print("w1:", w1.grad, w1.grad_fn, w1)

# %% 2.10 Building the graph: a2 has a grad_fn, and no grad yet
x_ = x[0:batches]
y_ = y[0:batches]
a2 = x_.matmul(w1)
a2 = a2.add(b1)
# a2 is no leaf, so it will keep no gradient: whoever reads it is warned, and the page reads it.
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print("a2:", a2.grad, a2.grad_fn, a2)
print(f"{caught[0].category.__name__}: {str(caught[0].message).split('. ')[0]}")
h2 = a2.sigmoid()
a3 = h2.matmul(w2)
a3 = a3.add(b2)
hyp = a3.sigmoid()
error = hyp - y_
output = error.pow(2).sum() / 2.0
print(f"{hyp.shape = }, {output = }")


# %% Figure 2.6: network architecture
def network(x_, w1, w2, b1, b2):
    """The lines above: bits `(batch, input)` to a score for each class, `(batch, output)`."""
    h2 = x_.matmul(w1).add(b1).sigmoid()
    return h2.matmul(w2).add(b2).sigmoid()


with torch.no_grad():
    architecture = traced_graph(make_fx(network)(x_, w1, w2, b1, b2).graph)
sizes = f"{input_size} inputs, {hidden_size} hidden units, {output_size} outputs"
draw(
    args.out / "figure_2_6_network.png",
    f"Figure 2.6: {sizes}",
    {"": architecture},
    f"Boxes: operations and the shape of what they give, for a batch of {batches}; blue: what they are given.",
)
print(sizes)
print(args.out / "figure_2_6_network.png")

# %% 2.12 Walking the graph backwards
chain = [
    output.grad_fn,
    output.grad_fn.next_functions[0][0],
    output.grad_fn.next_functions[0][0].next_functions[0][0],
]
for steps, function in enumerate(chain):
    print(f"{steps} steps back: {function}")

# %% Figure 2.8: chaining tensors and functions, the same walk to its end
named = dict(w1=w1, b1=b1, w2=w2, b2=b2)
graph = draw_graph(output, args.out / "figure_2_8_chain.png", named, "Figure 2.8: chained functions")
print(args.out / "figure_2_8_chain.png")

# %% 2.11 Backpropagation: only the leaves that require gradients get one, and no value changes
w1_before = w1.detach().clone()
# The text says that a2 keeps no gradient for having no parameters: it is no leaf. h2 keeps its own when asked to.
h2.retain_grad()
output.backward()
print("x: ", x.grad, x.grad_fn, x)
print("w1:", w1.grad, w1.grad_fn, w1, sep="\n")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    print("a2:", a2.grad, a2.grad_fn, a2)
unchanged = torch.equal(w1, w1_before)
print(f"backward() left w1 as it was: {unchanged}")
print(f"{a2.is_leaf = }, {h2.is_leaf = }, {h2.grad.shape = }")


# %% 2.9 The whole loop
# The page prints in each of its 7,000 steps what is printed above, once, and forgets to zero the gradients.
def train(w1, w2, b1, b2, x, lr, zero_gradients=True):
    """Trains the four weights in place; returns the mean loss of a batch in each epoch."""
    no_of_batches = len(x) // batches  # 14: the last 4 of 900 rows are left out
    losses = []
    for epoch in range(epochs):
        epoch_loss = 0.0
        for batch in range(no_of_batches):
            start = batch * batches
            end = start + batches
            x_ = x[start:end]
            y_ = y[start:end]
            # building graph
            a2 = x_.matmul(w1)
            a2 = a2.add(b1)
            h2 = a2.sigmoid()
            a3 = h2.matmul(w2)
            a3 = a3.add(b2)
            hyp = a3.sigmoid()
            error = hyp - y_
            output = error.pow(2).sum() / 2.0
            output.backward()
            # parameter update
            with torch.no_grad():
                w1 -= lr * w1.grad
                w2 -= lr * w2.grad
                b1 -= lr * b1.grad
                b2 -= lr * b2.grad
            if zero_gradients:
                # A tensor has no zero_grad(), as the text would have it: that belongs to modules and optimizers.
                w1.grad.zero_()
                w2.grad.zero_()
                b1.grad.zero_()
                b2.grad.zero_()
            epoch_loss += output.detach()
        losses.append((epoch_loss / no_of_batches).item())
        if epoch % 100 == 0 or epoch == epochs - 1:
            print(f"epoch {epoch:3}: loss {losses[-1]:.1f}")
    return losses


def new_weights(output_scale=1.0):
    """w1, w2, b1, b2 as in listing 2.5; `output_scale` shrinks w2."""
    w1 = torch.randn(input_size, hidden_size, device=device)
    w2 = output_scale * torch.randn(hidden_size, output_size, device=device)
    b1, b2 = torch.zeros(1, hidden_size, device=device), torch.zeros(1, output_size, device=device)
    return [parameter.requires_grad_() for parameter in (w1, w2, b1, b2)]


def accuracy(weights, test_x):
    """The share of the 100 numbers never trained on for which the network gives the right class."""
    with torch.no_grad():
        return (network(test_x, *weights).argmax(dim=1).cpu().numpy() == teY.argmax(axis=1)).mean()


test_x = torch.from_numpy(teX).to(device=device, dtype=dtype)
majority = teY[:, 3].mean()
weights = new_weights()
zeroed_losses = train(*weights, x, lr)
zeroed_accuracy = accuracy(weights, test_x)
print(f"accuracy {zeroed_accuracy:.2f}; whoever always says 'other' has {majority:.2f}")

# %% 2.9 As printed: the gradients are never zeroed
# Each step adds up all gradients since the first, so the weights run on long after the slope has turned. They end where
# the sigmoids are flat: no gradient leads back, and every answer is "other", the most frequent.
weights = new_weights()
page_losses = train(*weights, x, lr, zero_gradients=False)
page_accuracy = accuracy(weights, test_x)
print(f"accuracy {page_accuracy:.2f}")

# %% 2.9 Settings that learn
# Inputs of -1 and +1, a small w2, so that no output sigmoid starts flat, and a learning rate of 0.1.
weights = new_weights(output_scale=0.1)
learnt_losses = train(*weights, 2 * x - 1, lr=0.1)
learnt_accuracy = accuracy(weights, 2 * test_x - 1)
print(f"accuracy {learnt_accuracy:.2f}")

# %% Figure 2.7: down the loss of FizzBuzz, along two random directions
# All 1504 weights cannot be drawn. Two random directions through the first weights make a plane, and over it the
# loss of all 900 numbers is a surface; gradient descent walks on it with the two coordinates as its only weights.
origin = [parameter.detach() for parameter in new_weights(output_scale=0.1)]
directions = [[torch.randn_like(parameter) for parameter in origin] for _ in range(2)]


def surface(place):
    moved = [start + place[0] * a + place[1] * b for start, a, b in zip(origin, *directions)]
    return (network(2 * x - 1, *moved) - y).pow(2).sum(dim=1).mean() / 2


place = torch.tensor([1.2, -1.2], device=device, requires_grad=True)
walk = []
for _ in range(60):
    height = surface(place)
    walk.append((*place.tolist(), height.item()))
    height.backward()
    with torch.no_grad():
        place -= 0.2 * place.grad
        place.grad.zero_()

# %% Figure 2.7: drawn from above and as the loss after each step
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
