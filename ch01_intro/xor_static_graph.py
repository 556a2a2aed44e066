"""Listings 1.1, 1.2: XOR on a static graph.

    python ch01_intro/xor_static_graph.py
    python ch01_intro/xor_static_graph.py --device cuda

The page's TensorFlow 1 defines a graph before any data flows; in PyTorch `torch.export` does, and the module of the
exported program stands for the session. Compare xor_dynamic_graph.py. Settings: learning rate 0.5, 1,000 epochs.
"""

import networkx as nx
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from common.graph import draw, traced_graph
from common.tours import tour

args = tour(__doc__)
lr = 0.5
epochs = 1000


# %% 1.1 Using static graphs: the network, defined before any data flows
class StaticXOR(torch.nn.Module):
    """The network of listing 1.1; `x` and `y` of shape (row, 2) give the cost, a scalar, and the prediction, (row,)."""

    def __init__(self):
        super().__init__()
        self.w1 = torch.nn.Parameter(torch.empty(2, 5).uniform_(-1, 1))
        self.w2 = torch.nn.Parameter(torch.empty(5, 2).uniform_(-1, 1))
        self.b1 = torch.nn.Parameter(torch.zeros(5))
        self.b2 = torch.nn.Parameter(torch.zeros(2))

    def forward(self, x, y):
        a2 = torch.sigmoid(torch.matmul(x, self.w1) + self.b1)
        hyp = torch.matmul(a2, self.w2) + self.b2
        # A mean is a scalar already: the page's second mean around it changes nothing.
        cost = (hyp - y).pow(2).mean()
        prediction = torch.argmax(torch.softmax(hyp, dim=1), dim=1)
        return cost, prediction


# Of the placeholders only the shape counts, the page's [None, 2]: any number of rows.
x = torch.empty(3, 2, device=args.device)
y = torch.empty(3, 2, device=args.device)
rows = torch.export.Dim("rows")
network = StaticXOR().to(args.device)
program = torch.export.export(network, (x, y), dynamic_shapes=dict(x={0: rows}, y={0: rows}))
graph = traced_graph(program.graph)
print("the graph, of which nothing is computed yet:")
for name, label in graph.nodes("label"):
    operation, shape = label.split("\n")
    from_where = f"{operation}({', '.join(graph.predecessors(name))})" if graph.in_degree(name) else "placeholder"
    print(f"  {name:8} = {from_where:22} {shape}")
print(f"an eager operation has its value at once: {(torch.ones(2) + 1).tolist()}")

# %% 1.2 The session feeds data to the graph; nothing else can
# The page feeds x_ and y_, which do not exist, from an init and an epoch that do not exist either.
XOR_X = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]], device=args.device)
XOR_Y = torch.tensor([[1.0, 0], [0, 1], [0, 1], [1, 0]], device=args.device)
session = program.module()
train_step = torch.optim.SGD(session.parameters(), lr=lr)
for epoch in range(epochs):
    train_step.zero_grad()
    cost, prediction = session(XOR_X, XOR_Y)
    cost.backward()
    train_step.step()
    if epoch % 200 == 0 or epoch == epochs - 1:
        print(f"epoch {epoch:3}: cost {cost.item():.4f}")
for row, answer in zip(XOR_X.long().tolist(), prediction):
    print(f"{row[0]} XOR {row[1]} = {answer}")

# %% 1.2 What is fed must fit the graph: any number of rows, but 2 columns
_, seven_predictions = session(torch.rand(7, 2, device=args.device), torch.rand(7, 2, device=args.device))
print(f"{seven_predictions.shape = }")
try:
    session(torch.rand(4, 3, device=args.device), XOR_Y)
except AssertionError as error:
    wrong_shape = str(error)
    print(f"AssertionError: {wrong_shape}")

# %% Figures 1.3 and 1.4: one graph for the forward and the backward pass
# Gradients go from the cost to the weights, against the arrows; data and prediction need none.
with_gradient = nx.ancestors(graph, "mean") - {"x", "y"} | {"mean"}
both_ways = graph.copy()
for start, end, edge in both_ways.edges(data=True):
    edge["backward"] = True if {start, end} <= with_gradient else None
draw(
    args.out / "figures_1_3_and_1_4.png",
    "Figures 1.3 and 1.4: one static graph, used both ways",
    {"1.3: values go forward": graph, "1.4: gradients go back": both_ways},
)
print(args.out / "figures_1_3_and_1_4.png")
network.zero_grad()
static_cost, _ = session(XOR_X, XOR_Y)
static_cost.backward()
static_grads = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}


# %% Figure 1.5: a forward graph, and a backward graph appended to its end
def forward_and_backward(w1, w2, b1, b2, x, y):
    """The gradients of the cost with respect to the four weights."""

    def cost_of(weights):
        return torch.func.functional_call(network, weights, (x, y))[0]

    return torch.func.grad(cost_of)(dict(w1=w1, w2=w2, b1=b1, b2=b2))


weights = [parameter.detach() for parameter in network.parameters()]
appended = make_fx(forward_and_backward)(*weights, XOR_X, XOR_Y)
appended.graph.eliminate_dead_code()  # the prediction, which no gradient needs
whole_graph = traced_graph(appended.graph)
names = list(whole_graph)
begins = names.index("ones_like")  # the derivative of the cost with respect to itself
forward_graph, backward_graph = whole_graph.copy(), whole_graph.copy()
forward_graph.remove_nodes_from(names[begins:])
handed_over = {start for start, end in whole_graph.edges if start in forward_graph and end not in forward_graph}
backward_graph.remove_edges_from(forward_graph.edges)
backward_graph.remove_nodes_from(set(forward_graph) - handed_over)
backward_graph.add_nodes_from(handed_over, leaf=True)
for title, part in ("forward: ", forward_graph), ("backward:", backward_graph):
    print(title, " ".join(label.split("\n")[0] for node, label in part.nodes("label") if part.in_degree(node)))
draw(
    args.out / "figure_1_5.png",
    "Figure 1.5: a forward graph, and a backward graph appended to its end",
    {"forward": forward_graph, "backward": backward_graph},
    "Blue: what comes in from outside, on the right what the forward graph hands over.",
)
print(args.out / "figure_1_5.png")
appended_grads = appended(*weights, XOR_X, XOR_Y)
same_grads = all(torch.allclose(appended_grads[name], static_grads[name], atol=1e-7) for name in static_grads)
print(f"the graphs of figures 1.4 and 1.5 give the same gradients: {same_grads}")


# %% Figure 1.6: a static graph of five slots, one RNN cell in each
class Reader(torch.nn.Module):
    """Reads a sentence of shape (word, 4) one word at a time; the last hidden state, (3,), is its answer."""

    def __init__(self):
        super().__init__()
        self.cell = torch.nn.RNNCell(4, 3)

    def forward(self, sentence):
        hidden = sentence.new_zeros(3)
        for word in sentence:
            hidden = self.cell(word, hidden)
        return hidden


SLOTS = 5
reader = Reader().to(args.device)
slots_program = torch.export.export(reader, (torch.empty(SLOTS, 4, device=args.device),))
cells = [node.name for node in slots_program.graph.nodes if "rnn_tanh_cell" in node.name]
print(f"{len(cells)} cells in the graph")
five_slots = slots_program.module()

# %% Figure 1.6: a short, a fitting and a long sentence
# The short one is padded with zeros, the long one cut. The cells run over the zeros too: padding changes the answer, as
# cutting does; a dynamic graph needs neither.
static_answers, dynamic_answers = {}, {}
for words in (3, 5, 8):
    sentence = torch.randn(words, 4, device=args.device)
    fitted = functional.pad(sentence, (0, 0, 0, SLOTS - words))  # a negative padding cuts
    static_answers[words] = five_slots(fitted)
    dynamic_answers[words] = reader(sentence)
    same = torch.allclose(static_answers[words], dynamic_answers[words])
    print(f"{words} words: {SLOTS} slots answer {'the same as' if same else 'otherwise than'} a dynamic graph")
try:
    five_slots(torch.randn(3, 4, device=args.device))
except AssertionError as error:
    wrong_length = str(error)
    print(f"AssertionError: {wrong_length}")
