"""Listing 1.3: XOR on a dynamic graph.

    python ch01_intro/xor_dynamic_graph.py
    python ch01_intro/xor_dynamic_graph.py --device cuda

Each pass of an ordinary Python loop builds the graph anew. Settings: learning rate 1, 1,000 epochs, all four rows in
each step. With them the network answers all four rows for each of the seeds 0 to 99; the last cell trains all hundred
at once and counts. Before that, what only a graph made anew can do: another batch size, another function, a sentence of
another length at each pass.
"""

import torch

from common.graph import autograd_graph, draw_graph
from common.tours import tour

args = tour(__doc__)

# %% 1.3 The XOR network on a dynamic graph
# The truth table, with the answer one-hot: column 0 means "0", column 1 means "1".
XOR_X = [[0, 0], [0, 1], [1, 0], [1, 1]]
XOR_Y = [[1, 0], [0, 1], [0, 1], [1, 0]]
lr = 1.0
epochs = 1000
# torch.FloatTensor(XOR_X), as on the page, makes the same tensor, but only on the CPU.
x = torch.tensor(XOR_X, dtype=torch.float32, device=args.device)
y = torch.tensor(XOR_Y, dtype=torch.float32, device=args.device)
w1 = torch.randn(2, 5, device=args.device, requires_grad=True)
w2 = torch.randn(5, 2, device=args.device, requires_grad=True)
b1 = torch.zeros(5, device=args.device, requires_grad=True)
b2 = torch.zeros(2, device=args.device, requires_grad=True)
for epoch in range(epochs):
    # The page mixes up a1, a2, a3, h1, h2, b1 and b2 in these four lines.
    a2 = x @ w1 + b1
    h2 = a2.sigmoid()
    a3 = h2 @ w2 + b2
    hyp = a3.sigmoid()
    cost = (hyp - y).pow(2).sum()
    cost.backward()
    # The page has no update: its weights would stay as they are while the gradients pile up.
    with torch.no_grad():
        for parameter in (w1, w2, b1, b2):
            parameter -= lr * parameter.grad
            parameter.grad.zero_()
    if epoch % 200 == 0 or epoch == epochs - 1:
        print(f"epoch {epoch:3}: cost {cost.item():.4f}")

answers = hyp.argmax(dim=1)
for row, answer in zip(XOR_X, answers):
    print(f"{row[0]} XOR {row[1]} = {answer}")

# %% The graph of the last pass, drawn from its grad_fn
graph = draw_graph(cost, args.out / "xor_graph.png", dict(w1=w1, b1=b1, w2=w2, b2=b2), "The XOR network, listing 1.3")
print(args.out / "xor_graph.png")

# %% Adding b1 in the second layer, as the page does, cannot work: 5 biases, 2 columns
try:
    h2 @ w2 + b1
except RuntimeError as error:
    wrong_bias = str(error)
    print(f"RuntimeError: {wrong_bias.split(' at ')[0]}")

# %% Gradients add up: a second backward without zeroing doubles w1.grad
cost = ((x @ w1 + b1).sigmoid() @ w2 + b2 - y).pow(2).sum()
cost.backward(retain_graph=True)
grad_once = w1.grad.clone()
cost.backward()
grad_twice = w1.grad.clone()
print(f"{torch.allclose(grad_twice, 2 * grad_once) = }")

# %% Another batch size at each pass: the graph is made for the data that came
batch_shapes = []
for batch_size in (4, 1, 7):
    batch = torch.rand(batch_size, 2, device=args.device)
    hyp = ((batch @ w1 + b1).sigmoid() @ w2 + b2).sigmoid()
    hyp.sum().backward()
    batch_shapes.append(tuple(hyp.shape))
print(f"{batch_shapes = }")

# %% Another function at each pass: Python's own `if` decides what goes into the graph
functions = []
for value in (2.0, -2.0):
    number = torch.tensor(value, device=args.device, requires_grad=True)
    result = number * 3 if number > 0 else number**2
    result.backward()
    functions.append((type(result.grad_fn).__name__, number.grad.item()))
print(f"{functions = }")

# %% Another sentence length at each pass: no padding, no cutting (compare figure 1.6)
input_weight = torch.randn(4, 3, device=args.device, requires_grad=True)
hidden_weight = torch.randn(3, 3, device=args.device, requires_grad=True)
words_and_nodes = {}
for words in (2, 3, 8):
    sentence = torch.randn(words, 4, device=args.device)
    hidden = torch.zeros(1, 3, device=args.device)
    for word in sentence.split(1):
        hidden = torch.tanh(word @ input_weight + hidden @ hidden_weight)
    hidden.sum().backward()
    words_and_nodes[words] = len(autograd_graph(hidden))
    if words == 3:
        names = dict(input_weight=input_weight, hidden_weight=hidden_weight)
        sentence_graph = draw_graph(hidden, args.out / "sentence_graph.png", names, "A sentence of three words")
print(f"{words_and_nodes = }")
print(args.out / "sentence_graph.png")

# %% A hundred seeds at once
# One more dimension in front, (seed, row, unit), and the same lines train all networks.
seeds = range(100)
many_w1, many_w2 = [], []
for seed in seeds:
    torch.manual_seed(seed)
    many_w1.append(torch.randn(2, 5, device=args.device))
    many_w2.append(torch.randn(5, 2, device=args.device))
many_w1 = torch.stack(many_w1).requires_grad_()
many_w2 = torch.stack(many_w2).requires_grad_()
many_b1 = torch.zeros(len(seeds), 1, 5, device=args.device, requires_grad=True)
many_b2 = torch.zeros(len(seeds), 1, 2, device=args.device, requires_grad=True)
for _ in range(epochs):
    many_hyp = ((x @ many_w1 + many_b1).sigmoid() @ many_w2 + many_b2).sigmoid()
    # Summed over the seeds too: no network sees another's weights, so none sees another's gradient.
    (many_hyp - y).pow(2).sum().backward()
    with torch.no_grad():
        for parameter in (many_w1, many_w2, many_b1, many_b2):
            parameter -= lr * parameter.grad
            parameter.grad.zero_()
solved = (many_hyp.argmax(dim=2) == y.argmax(dim=1)).all(dim=1)
print(f"{solved.sum().item()} of {len(seeds)} seeds answer all four rows")
