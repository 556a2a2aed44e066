"""Figure 1.2: an equation as a graph of small steps.

    python ch01_intro/computational_graph.py
    python ch01_intro/computational_graph.py --device cuda --out runs/figure_1_2

Three operators, as on the page: two matrix products, their sum, a sigmoid. Computed in one line and step by step, the
equation gives one value; backward walks the same graph from its root, the sigmoid, to its leaves, A, B, C and D.
"""

import torch

from common.graph import draw_graph
from common.tours import tour

args = tour(__doc__)

# %% Figure 1.2: the equation in one line
A = torch.randn(2, 3, device=args.device, requires_grad=True)
B = torch.randn(3, 2, device=args.device, requires_grad=True)
C = torch.randn(2, 4, device=args.device, requires_grad=True)
D = torch.randn(4, 2, device=args.device, requires_grad=True)
equation = torch.sigmoid(A @ B + C @ D)
print(f"{equation = }")

# %% Figure 1.2: the same in steps, each output handed to the next
left = A @ B
right = C @ D
total = left + right
output = total.sigmoid()
print(f"{output = }")
print(f"{torch.equal(output, equation) = }")

# %% Figure 1.2: drawn from the graph that autograd recorded
# The page says that nodes are tensors; autograd's nodes are the functions, and the tensors travel along the arrows.
picture = args.out / "figure_1_2.png"
graph = draw_graph(output, picture, names=dict(A=A, B=B, C=C, D=D), title="Figure 1.2: sigmoid(A @ B + C @ D)")
print(picture)

# %% Reverse-mode automatic differentiation: from the root to the leaves
# The page lets it start at a leaf; it starts at the output, the root, and ends at the leaves, which keep the gradient.
output.sum().backward()
# d sigmoid(s) / ds = sigmoid(s) (1 - sigmoid(s)), and d(A @ B) / dA hands it on through B.
by_hand = (output * (1 - output)) @ B.T
print(f"{A.grad = }")
print(f"{torch.allclose(A.grad, by_hand) = }")
