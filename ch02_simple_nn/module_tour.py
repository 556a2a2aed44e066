"""Listings 2.13 to 2.21: nn.Module, what it holds and does.

    python ch02_simple_nn/module_tour.py
    python ch02_simple_nn/module_tour.py --device cuda

The classes of listings 2.14 and 2.16 and the twin of 2.21 lie in fizbuz_net.py, and are printed from there, in the
page's order. fizzbuzz.py trains them.
"""

import inspect

import torch
from torch import nn

from ch02_simple_nn.data import get_numpy_data
from ch02_simple_nn.fizbuz_net import FizBuzNet, Linear, sequential
from common.tours import tour

args = tour(__doc__)
device = args.device
input_size, hidden_size, output_size = 10, 100, 4
trX, trY, teX, teY = get_numpy_data(input_size)

# %% 2.13 The model object, called like a function
net = FizBuzNet(input_size, hidden_size, output_size)
x = torch.from_numpy(trX).float()
hyp = net(x)
print(f"{hyp.shape = }, all in (0, 1): {bool(((hyp > 0) & (hyp < 1)).all())}")
print(f"calling is forward: {torch.equal(hyp, net.forward(x))}")

# %% 2.14 So where does FizBuzNet come from?
print(inspect.getsource(FizBuzNet))
shapes = {name: tuple(parameter.shape) for name, parameter in net.named_parameters()}
for name, shape in shapes.items():
    print(f"{name:13} {shape}")


# %% Figure 2.9: a simple network that ranks coins and passes its output to the main network
class CoinRanker(nn.Module):
    """One-hot coins `(batch, coins)` to a rank `(batch, 1)` between 0 and 1."""

    def __init__(self, coins):
        super().__init__()
        self.rank = nn.Linear(coins, 1)

    def forward(self, coin):
        return torch.sigmoid(self.rank(coin))


class Trader(nn.Module):
    """Market data `(batch, features)` and one-hot coins `(batch, coins)` to an expected gain `(batch, 1)`."""

    def __init__(self, coins, features, hidden_size):
        super().__init__()
        self.ranker = CoinRanker(coins)
        self.hidden = nn.Linear(features + 1, hidden_size)
        self.out = nn.Linear(hidden_size, 1)

    def forward(self, market, coin):
        rank = self.ranker(coin)
        hidden = torch.sigmoid(self.hidden(torch.cat([market, rank], dim=1)))
        return self.out(hidden)


# Made-up data: each coin has a worth that no input tells. The main network's loss alone must teach the ranker.
coins, features = 5, 3
worth = torch.tensor([0.9, 0.1, 0.5, 0.3, 0.7], device=device)
which = torch.arange(500, device=device) % coins
coin = nn.functional.one_hot(which, coins).float()
market = torch.randn(500, features).to(device)
gain = (market.mean(dim=1) + 3 * worth[which]).unsqueeze(1)
trader = Trader(coins, features, hidden_size=20).to(device)
optimizer = torch.optim.Adam(trader.parameters(), lr=0.02)
for _ in range(300):
    loss = nn.functional.mse_loss(trader(market, coin), gain)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
# Nothing tells the ranker which end is the good one; what the main network expects of each coin, in a market at rest,
# has only one right order.
each_coin = torch.eye(coins, device=device)
with torch.no_grad():
    ranks = trader.ranker(each_coin).squeeze(1)
    expected = trader(torch.zeros(coins, features, device=device), each_coin).squeeze(1)
for number in worth.argsort().tolist():
    print(f"coin {number}: worth {worth[number]:.1f}, rank {ranks[number]:.2f}, expected gain {expected[number]:.2f}")
print(f"loss {loss.item():.3f}")
print("parameters:", *[name for name, _ in trader.named_parameters()])

# %% 2.15 nn.Linear holds weight (out, in) and bias (out) and computes x @ weight.T + bias
linear = net.hidden
by_hand = x @ linear.weight.T + linear.bias
print(f"{linear = }\n{torch.allclose(linear(x), by_hand, atol=1e-6) = }")

# %% 2.16 A Linear of one's own: with the same weights the same output and the same gradients
print(inspect.getsource(Linear))
net.zero_grad()
own = Linear(input_size, hidden_size)
own.load_state_dict(linear.state_dict())
for layer in (own, linear):
    layer(x).sigmoid().sum().backward()
own_equal = torch.allclose(own(x), linear(x), atol=1e-6)
own_grads_equal = all(
    torch.allclose(mine.grad, theirs.grad, rtol=1e-4, atol=1e-4)
    for mine, theirs in zip(own.parameters(), linear.parameters())
)
print(f"{own_equal = }, {own_grads_equal = }")

# %% 2.16 Its start is torch's too, and bias=False leaves the bias out
# On the page the weights are memory that nobody filled, and `bias` has no effect.
torch.manual_seed(1)
own = Linear(3, 2)
torch.manual_seed(1)
torchs = nn.Linear(3, 2)
without_bias = Linear(3, 2, bias=False)
same_start = torch.equal(own.weight, torchs.weight) and torch.equal(own.bias, torchs.bias)
print(f"{same_start = }, {without_bias.bias = }, {len(list(without_bias.parameters())) = }")

# %% 2.17 The naive model's layer is F.linear with the weight turned round
w1 = torch.randn(input_size, hidden_size)
b1 = torch.zeros(1, hidden_size)
a2 = x.matmul(w1)
a2 = a2.add(b1)
same_layer = torch.allclose(a2, nn.functional.linear(x, w1.t(), b1.squeeze(0)), atol=1e-5)
print(f"{same_layer = }")

# %% apply() calls a function on every submodule, children first, then on the module itself
# The text says: on every parameter. What one wants of it, weights of one's own, works all the same.
visited = []
twin = sequential(input_size, hidden_size, output_size)
twin.apply(lambda module: visited.append(type(module).__name__))
print(f"{visited = }")


def start_wide(module):
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight)
        nn.init.zeros_(module.bias)


twin.apply(start_wide)
print(f"after apply(start_wide): standard deviation {twin[0].weight.std().item():.2f}")

# %% 2.18 cpu() and cuda() move all parameters in place and return the module
net = FizBuzNet(input_size, hidden_size, output_size)
returned = net.cpu()
print(f"{returned is net = }")
if torch.cuda.is_available():
    net.cuda()
else:
    try:
        net.cuda()
    except (RuntimeError, AssertionError) as error:
        no_cuda = str(error)
        print(f"without a GPU net.cuda() raises {type(error).__name__}: {no_cuda.split('. ')[0]}")
# `to` takes any device, and a dtype as well: this is how it is done today.
net.to(device)
devices = {parameter.device for parameter in net.parameters()}
print(f"{devices = }")

# %% 2.19 Choosing tensor types
# torch.cuda.FloatTensor and .type() still work; a device and a dtype say the same for every accelerator.
xtype = torch.float32
# The page has LongTensor, which is for class indices; one-hot answers must be float for MSELoss and CrossEntropyLoss.
ytype = torch.float32
x = torch.from_numpy(trX).to(device, xtype)
y = torch.from_numpy(trY).to(device, ytype)
print(f"{x.dtype = }, {y.dtype = }, {x.device = }")
old_way = torch.from_numpy(trX).type(torch.FloatTensor)
try:
    nn.CrossEntropyLoss()(net(x), y.long())
except RuntimeError as error:
    long_one_hot = str(error)
    print(f"RuntimeError: {long_one_hot}")

# %% Model and input must be on the same device
# Shown with the "meta" device, which every machine has.
try:
    net(x.to("meta"))
except (RuntimeError, NotImplementedError) as error:
    two_devices = str(error)
    print(f"{type(error).__name__}: {two_devices.splitlines()[0][:100]}")

# %% train() and eval() matter to layers such as dropout
dropout = nn.Sequential(nn.Linear(10, 10), nn.Dropout(0.5)).to(device)
dropout.train()
differs = not torch.equal(dropout(x), dropout(x))
dropout.eval()
repeats = torch.equal(dropout(x), dropout(x))
print(f"training mode differs from call to call: {differs}; evaluation mode repeats: {repeats}")

# %% 2.20 One loop updates all parameters
# The page zeroes before the update; the update would then find no gradient. Zero after it, or before backward.
lr = 0.01
before = [p.detach().clone() for p in net.parameters()]
output = (net(x) - y).pow(2).mean()
output.backward()
gradients = [p.grad.clone() for p in net.parameters()]
with torch.no_grad():
    for p in net.parameters():
        p -= p.grad * lr
updated = all(torch.equal(p, old - g * lr) for p, old, g in zip(net.parameters(), before, gradients))
print(f"{len(before)} parameters, each p - lr * p.grad: {updated}")

# %% zero_grad() throws the gradients away; zeros, as on the page, come with set_to_none=False
net.zero_grad(set_to_none=False)
zeros = all(bool((p.grad == 0).all()) for p in net.parameters())
net.zero_grad()
nones = all(p.grad is None for p in net.parameters())
print(f"{zeros = }, {nones = }")

# %% 2.21 The same network in one expression
print(inspect.getsource(sequential))
twin = sequential(input_size, hidden_size, output_size).to(device)
twin.load_state_dict(dict(zip(twin.state_dict(), net.state_dict().values())))
twins_equal = torch.equal(twin(x), net(x))
print(f"{twins_equal = }")

# %% state_dict: the parameters by name, which is what a run saves
torch.save(net.state_dict(), args.out / "net.pt")
loaded = FizBuzNet(input_size, hidden_size, output_size).to(device)
loaded.load_state_dict(torch.load(args.out / "net.pt", map_location=device, weights_only=True))
print(f"state_dict: {list(loaded.state_dict())}")
print(f"loaded, it gives the same answers: {torch.equal(loaded(x), net(x))}")


# %% Buffers belong to the module's state and move with it, but no optimizer trains them
class Scaled(nn.Module):
    """Subtracts the mean of the training inputs, which it carries as a buffer."""

    def __init__(self, training_x):
        super().__init__()
        self.register_buffer("mean", training_x.mean(dim=0))
        self.net = FizBuzNet(input_size, hidden_size, output_size)

    def forward(self, batch):
        return self.net(batch - self.mean)


scaled = Scaled(torch.from_numpy(trX).float()).to(device)
parameter_names = [name for name, _ in scaled.named_parameters()]
print(f"in state_dict: {'mean' in scaled.state_dict()}, in parameters: {'mean' in parameter_names}")
