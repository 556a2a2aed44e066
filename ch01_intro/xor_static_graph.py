"""Listings 1.1 and 1.2: the XOR network of TensorFlow 1's static graph, as what a static graph is in PyTorch today.

    python ch01_intro/xor_static_graph.py
    python ch01_intro/xor_static_graph.py --device cuda

`torch.export` defines the graph before any data flows through it, as the page's placeholders do; the module of the
exported program stands for the session. `torch.compile` shows the graph of the forward and of the backward pass
(figures 1.3 to 1.5), and a graph of five slots shows what a sentence of another length meets (figure 1.6).
Compare xor_dynamic_graph.py. Settings: learning rate 0.5, 1,000 epochs; the seeds 0 to 99 all answer the four rows.
"""

import torch
from functorch.compile import make_boxed_func
from torch._dynamo.backends.common import aot_autograd
from torch.nn import functional

from common.tours import tour

args = tour(__doc__)
lr = 0.5
epochs = 1000


# %% 1.1 The XOR network, defined: weights uniform in [-1, 1], a sigmoid, a linear output, the mean of the squares
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


network = StaticXOR().to(args.device)

# %% 1.1 The graph, defined before there is data: of the placeholders only the shape counts, [None, 2]
x = torch.empty(3, 2, device=args.device)
y = torch.empty(3, 2, device=args.device)
rows = torch.export.Dim("rows")
program = torch.export.export(network, (x, y), dynamic_shapes=dict(x={0: rows}, y={0: rows}))
print(program)
# Nothing was computed: what stands at a node is a fake tensor, which has a shape and no data.
hyp_node = next(node for node in program.graph.nodes if node.name == "add_1")
print(f"hyp in the static graph: {hyp_node.meta['val']}")
print(f"an eager operation has its value at once: {torch.ones(2, 2) + 1}")

# %% 1.2 The session feeds data to the graph that was built; nothing else can
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

# %% What is fed must have the shape that the graph was built for: any number of rows, but 2 columns
seven_costs, seven_predictions = session(torch.rand(7, 2, device=args.device), torch.rand(7, 2, device=args.device))
print(f"{seven_predictions.shape = }")
try:
    session(torch.rand(4, 3, device=args.device), XOR_Y)
except AssertionError as error:
    wrong_shape = str(error)
    print(f"AssertionError: {wrong_shape}")

# %% Static and dynamic are the same network: with the same weights, the same cost and the same gradients
# The exported program shares its parameters with `network`, whose own forward builds a dynamic graph at each call.
network.zero_grad()
dynamic_cost, _ = network(XOR_X, XOR_Y)
dynamic_cost.backward()
dynamic_grads = [parameter.grad.clone() for parameter in network.parameters()]
network.zero_grad()
static_cost, _ = session(XOR_X, XOR_Y)
static_cost.backward()
static_grads = [parameter.grad.clone() for parameter in network.parameters()]
print(f"{torch.equal(static_cost, dynamic_cost) = }")
print(f"{all(map(torch.equal, static_grads, dynamic_grads)) = }")

# %% Figures 1.3 to 1.5: torch.compile hands a compiler one graph for the forward pass and one for the backward pass
graphs = {}


def show_as(title):
    """A compiler for torch.compile that prints the graph it is given and runs it as it is."""

    def compiler(graph_module, example_inputs):
        graphs[title] = graph_module
        print(f"{title}:{graph_module.code}")
        return make_boxed_func(graph_module.forward)

    return compiler


backend = aot_autograd(fw_compiler=show_as("forward graph"), bw_compiler=show_as("backward graph"))
compiled_cost, _ = torch.compile(network, backend=backend)(XOR_X, XOR_Y)
compiled_cost.backward()


# %% Figure 1.5: one graph from the data to the new weights, the backward pass and the update at the end of the forward
def train(parameters, x, y):
    """The weights after one step of gradient descent."""
    grads = torch.func.grad(lambda weights: torch.func.functional_call(network, weights, (x, y))[0])(parameters)
    return {name: parameter - lr * grads[name] for name, parameter in parameters.items()}


weights = {name: parameter.detach() for name, parameter in network.named_parameters()}
one_graph = aot_autograd(fw_compiler=show_as("forward, backward and update in one graph"))
new_weights = torch.compile(train, backend=one_graph)(weights, XOR_X, XOR_Y)


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
print(f"{cells = }")
five_slots = slots_program.module()

# %% Figure 1.6: a short sentence is padded with zeros, a fitting one fills the slots, a long one is cut
# The cells run over the zeros too: padding changes the answer, as cutting does; a dynamic graph needs neither.
static_answers, dynamic_answers = {}, {}
for words in (3, 5, 8):
    sentence = torch.randn(words, 4, device=args.device)
    fitted = functional.pad(sentence, (0, 0, 0, SLOTS - words))  # a negative padding cuts
    static_answers[words] = five_slots(fitted)
    dynamic_answers[words] = reader(sentence)
    same = torch.allclose(static_answers[words], dynamic_answers[words])
    print(f"{words} words: five slots answer {'the same as' if same else 'otherwise than'} a dynamic graph")
try:
    five_slots(torch.randn(3, 4, device=args.device))
except AssertionError as error:
    wrong_length = str(error)
    print(f"AssertionError: {wrong_length}")
