"""Listings 2.6 to 2.8: autograd on graphs small enough to check.

    python ch02_simple_nn/autograd_tour.py
    python ch02_simple_nn/autograd_tour.py --device cuda

After the page's small graph: the attributes of a tensor, gradients that add up (by accident and on purpose), no_grad,
detach, hooks, a frozen layer, both modes of automatic differentiation, and a function with a backward of one's own.
"""

import warnings

import networkx as nx
import torch

from common.graph import draw
from common.tours import tour

args = tour(__doc__)
device = args.device

# %% 2.6 A graph of one multiplication and one addition
X = torch.tensor(3.0, device=device)
W = torch.tensor(4.0, device=device, requires_grad=True)
B = torch.tensor(5.0, device=device, requires_grad=True)
output = X * W + B
print(f"{output.item() = }")

# %% Figure 2.3: how Autograd works
# The equation in its two steps, each arrow with the derivative of the step that it leads to. X asks for none.
product = X * W
output = product + B
values = {"X": X, "W": W, "X * W": product, "B": B, "output": output}
steps = [("X", "X * W"), ("W", "X * W"), ("X * W", "output"), ("B", "output")]
slopes = {}
graph = nx.DiGraph()
for name, value in values.items():
    graph.add_node(name, label=f"{name}\n{value.item():g}", leaf=value.is_leaf)
for operand, result in steps:
    graph.add_edge(operand, result)
    if values[operand].requires_grad:
        (slope,) = torch.autograd.grad(values[result], values[operand], retain_graph=True)
        slopes[operand, result] = slope.item()
        graph.edges[operand, result]["label"] = f"{slope.item():g}"
draw(
    args.out / "figure_2_3_autograd.png",
    "Figure 2.3: output = X * W + B",
    {"": graph},
    "Arrows: the forward pass. On an arrow: the derivative of the value below with respect to the one above.",
)
print(f"{slopes = }")
print(args.out / "figure_2_3_autograd.png")

# %% Figure 2.4: the chain rule used by Autograd
# Backward multiplies the derivatives of figure 2.3 along the way to each leaf; what it finds there is its .grad.
output.backward()
chained = {"X * W": slopes["X * W", "output"], "B": slopes["B", "output"]}
chained["W"] = chained["X * W"] * slopes["W", "X * W"]
backward = graph.copy()
for operand, result in steps:
    backward.edges[operand, result]["backward"] = True if operand in chained else None
backward.edges["W", "X * W"]["label"] = f"{chained['X * W']:g} · {slopes['W', 'X * W']:g} = {chained['W']:g}"
for leaf in ("W", "B"):
    backward.nodes[leaf]["label"] += f", grad {values[leaf].grad.item():g}"
draw(
    args.out / "figure_2_4_chain_rule.png",
    "Figure 2.4: the chain rule",
    {"": backward},
    "Arrows: the way of backward(). On an arrow: the derivative of the output with respect to where it leads.",
)
print(f"{chained = }")
print(f"{W.grad.item() = }, {B.grad.item() = }, {X.grad = }")
print(args.out / "figure_2_4_chain_rule.png")

# %% 2.7 Autograd computes the gradients of weight and bias
# torch.FloatTensor([2]) of the page makes the same tensor, but only on the CPU.
inputs = torch.tensor([2.0], device=device)
weights = torch.rand(1, device=device, requires_grad=True)
bias = torch.rand(1, device=device, requires_grad=True)
t = inputs @ weights
out = t + bias
out.backward()
print(f"{weights.grad = }, {bias.grad = }")
print(f"{t.shape = }, {out.shape = }")

# %% Figure 2.5: data, grad and grad_fn
# They are `requires_grad` and `grad_fn`, an attribute; the text also spells them required_grad and grade_fn().
attributes = {}
for name, tensor in dict(inputs=inputs, weights=weights, out=out).items():
    # Only a leaf keeps a gradient; reading the .grad of `out` would give None and a warning.
    grad = tensor.grad if tensor.is_leaf else None
    attributes[name] = (tensor.data, grad, tensor.grad_fn)
    grad_fn = "None" if tensor.grad_fn is None else tensor.grad_fn.name()
    print(f"{name:7}: data {tensor.data}, grad {grad}, grad_fn {grad_fn}, is_leaf {tensor.is_leaf}")

# %% 2.8 A tensor that a function made knows that function, if an operand needs a gradient
# The text says so of every tensor that the user did not make; b + b is made by a function too, and has none.
a = torch.ones(2, device=device, requires_grad=True)
b = torch.ones(2, device=device)
c = a + b
print(f"{c.grad_fn = }")
print(f"{(b + b).grad_fn = }")

# %% Backward frees the tensors that the graph saved, so that each forward pass can build its own
# The graph itself stays: a sum saves no tensor, and goes backward twice.
loss = (a * a).sum()
loss.backward()
try:
    loss.backward()
except RuntimeError as error:
    second_backward = str(error)
    print(f"RuntimeError: {second_backward.split(' (')[0]}")
a.grad = None
saves_nothing = (a + 1).sum()
saves_nothing.backward()
saves_nothing.backward()
grad_of_two = a.grad.clone()
print(f"{grad_of_two = }")

# %% Gradients add up until they are zeroed
a.grad = None
(a * a).sum().backward()
first_grad = a.grad.clone()
(a * a).sum().backward()
added_grad = a.grad.clone()
a.grad.zero_()
print(f"{first_grad = }, {added_grad = }\nzeroed: {a.grad}")

# %% Accumulation on purpose
# Four small batches give the gradient of one that would not fit into memory.
x = torch.randn(64, 10, device=device, dtype=torch.float64 if device.type != "mps" else torch.float32)
w = torch.randn(10, 4, device=device, dtype=x.dtype, requires_grad=True)
(x @ w).sigmoid().pow(2).sum().backward()
whole_grad = w.grad.clone()
w.grad = None
for part in x.split(16):
    (part @ w).sigmoid().pow(2).sum().backward()
parts_grad = w.grad.clone()
print(f"{torch.allclose(whole_grad, parts_grad) = }")

# %% no_grad: nothing is recorded, so a leaf may be changed in place
with torch.no_grad():
    unrecorded = x @ w
    w -= 0.01 * w.grad
try:
    w -= 0.01 * w.grad
except RuntimeError as error:
    in_place = str(error)
    print(f"RuntimeError: {in_place}")
print(f"{unrecorded.requires_grad = }")

# %% detach: the same memory, cut off from the graph
h = (x @ w).sigmoid()
cut = h.detach()
print(f"{cut.requires_grad = }, {cut.data_ptr() == h.data_ptr() = }")

# %% A hook sees the gradient of a tensor in the middle, and retain_grad() keeps it
seen = []
h.register_hook(lambda grad: seen.append(grad.clone()))
h.retain_grad()
h.pow(2).sum().backward()
print(f"the hook saw 2 h: {torch.allclose(seen[0], 2 * h)}; retained: {torch.equal(h.grad, seen[0])}")

# %% A hook that returns a tensor changes the gradient on its way: here no entry may exceed 0.5
w.grad = None
h = (x @ w).sigmoid()
h.register_hook(lambda grad: grad.clamp(-0.5, 0.5))
h.pow(2).sum().backward()
clipped = w.grad.clone()
expected_clipped = x.T @ ((2 * h).clamp(-0.5, 0.5) * h * (1 - h)).detach()
print(f"{torch.allclose(clipped, expected_clipped) = }")

# %% A frozen weight: all but one are trained, as the text wishes for
frozen = torch.randn(10, 10, device=device, dtype=x.dtype, requires_grad=False)
w.grad = None
(x @ frozen @ w).sum().backward()
print(f"{frozen.grad = }, {w.grad.shape = }")

# %% Forward mode and reverse mode give the same number
# Forward mode carries a direction along with the values; reverse mode, backward(), comes back with all derivatives.


def score(weight):
    return (x @ weight).sigmoid().pow(2).sum()


# torch builds the forward rules with a function of its own that it has deprecated.
warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated")
direction = torch.ones_like(w)
_, forward_mode = torch.func.jvp(score, (w.detach(),), (direction,))
reverse_mode = (torch.func.grad(score)(w.detach()) * direction).sum()
print(f"forward {forward_mode.item():.6f}, reverse {reverse_mode.item():.6f}")

# %% A function with its own backward
# The text lets nn.Module have a backward() to override. It has none: a derivative of one's own is an autograd.Function.


class Sigmoid(torch.autograd.Function):
    """The sigmoid of the naive model, with its derivative written out."""

    @staticmethod
    def forward(ctx, input):
        output = 1 / (1 + (-input).exp())
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, grad_output):
        (output,) = ctx.saved_tensors
        return grad_output * output * (1 - output)


# %% Its backward, checked against torch's own and against differences of its values
# On the CPU: that needs float64.
point = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
(own_grad,) = torch.autograd.grad(Sigmoid.apply(point).sum(), point)
(torch_grad,) = torch.autograd.grad(point.sigmoid().sum(), point)
checked = torch.autograd.gradcheck(Sigmoid.apply, (point,))
print(f"{torch.allclose(own_grad, torch_grad) = }, {checked = }")
print(f"{hasattr(torch.nn.Module, 'backward') = }")
