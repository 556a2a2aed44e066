"""Listings 2.6, 2.7 and 2.8: autograd on graphs small enough to check by hand; figures 2.3, 2.4 and 2.5.

    python ch02_simple_nn/autograd_tour.py
    python ch02_simple_nn/autograd_tour.py --device cuda

After the page's small graph: the attributes of a tensor, gradients that add up (by accident and on purpose), no_grad,
detach, hooks, a frozen layer, both modes of automatic differentiation, and a function with a backward of one's own.
"""

import warnings

import torch

from common.graph import draw_graph
from common.tours import tour

args = tour(__doc__)
device = args.device

# %% 2.6 A graph of one multiplication and one addition
# d(output)/dW = X and d(output)/dB = 1, as figure 2.4 multiplies them out.
X = torch.tensor(3.0, device=device)
W = torch.tensor(4.0, device=device, requires_grad=True)
B = torch.tensor(5.0, device=device, requires_grad=True)
output = X * W + B
output.backward()
print(f"{output.item() = }, {W.grad.item() = }, {B.grad.item() = }")

# %% 2.7 Autograd computes the gradients of weight and bias
# torch.FloatTensor([2]) of the page makes the same tensor, but only on the CPU.
inputs = torch.tensor([2.0], device=device)
weights = torch.rand(1, device=device, requires_grad=True)
bias = torch.rand(1, device=device, requires_grad=True)
t = inputs @ weights
out = t + bias
out.backward()
print(weights.grad)
print(bias.grad)
print(f"{t.shape = }, {out.shape = }")

# %% Figures 2.3 and 2.4 The graph that autograd recorded, drawn from grad_fn
# The input is not in it: nothing needs its gradient, so autograd holds its value only inside the multiplication.
draw_graph(out, args.out / "figure_2_3_autograd.png", dict(weights=weights, bias=bias), "Figure 2.3: inputs @ W + B")
chain = {"dout/dW = dout/dt dt/dW = 1 · inputs": weights, "dout/dB = 1": bias}
draw_graph(out, args.out / "figure_2_4_chain_rule.png", chain, "Figure 2.4: the chain rule, back to the leaves")
print(args.out / "figure_2_3_autograd.png")
print(args.out / "figure_2_4_chain_rule.png")

# %% Figure 2.5 data, grad, grad_fn: what a tensor carries
# They are `requires_grad` and `grad_fn`, an attribute; the text also spells them required_grad and grade_fn().
attributes = {}
for name, tensor in dict(inputs=inputs, weights=weights, out=out).items():
    # Only a leaf keeps a gradient; reading the .grad of `out` would give None and a warning.
    grad = tensor.grad if tensor.is_leaf else None
    attributes[name] = (tensor.data, grad, tensor.grad_fn)
    print(f"{name}: data {tensor.data}, grad {grad}, grad_fn {tensor.grad_fn}, leaf {tensor.is_leaf}")

# %% 2.8 A tensor that a function made knows that function, if an operand needs a gradient
a = torch.ones(2, device=device, requires_grad=True)
b = torch.ones(2, device=device)
c = a + b
print(f"{c.grad_fn = }, {(b + b).grad_fn = }")

# %% The graph is gone after backward, so that each forward pass can build its own
loss = (a * a).sum()
loss.backward()
try:
    loss.backward()
except RuntimeError as error:
    second_backward = str(error)
    print(f"RuntimeError: {second_backward.splitlines()[0][:80]}")

# %% Gradients add up until they are zeroed
a.grad = None
(a * a).sum().backward()
first_grad = a.grad.clone()
(a * a).sum().backward()
added_grad = a.grad.clone()
a.grad.zero_()
print(f"{first_grad = }, {added_grad = }, zeroed: {a.grad}")

# %% Accumulation on purpose: four small batches give the gradient of one that would not fit into memory
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

# %% A hook sees the gradient of a tensor in the middle, which .grad does not keep; retain_grad() keeps it
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


# %% It is checked against torch's own, and against differences of its values (on the CPU: that needs float64)
point = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
(own_grad,) = torch.autograd.grad(Sigmoid.apply(point).sum(), point)
(torch_grad,) = torch.autograd.grad(point.sigmoid().sum(), point)
checked = torch.autograd.gradcheck(Sigmoid.apply, (point,))
print(f"{torch.allclose(own_grad, torch_grad) = }, {checked = }")
print(f"{hasattr(torch.nn.Module, 'backward') = }")
