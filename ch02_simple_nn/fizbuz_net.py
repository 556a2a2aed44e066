"""Listings 2.14 to 2.16 and 2.21: FizBuzNet, and what it is built of."""

import math

import torch
from torch import nn


class FizBuzNet(nn.Module):
    """Listing 2.14, 2 layer network for predicting fiz or buz.

    It takes bits, `(batch, input_size)`, and gives a score from 0 to 1 for each class,
    `(batch, output_size)`; `linear` is the class of its layers, `nn.Linear` or the `Linear` below.
    """

    def __init__(self, input_size, hidden_size, output_size, linear=nn.Linear):
        super().__init__()
        self.hidden = linear(input_size, hidden_size)
        self.out = linear(hidden_size, output_size)

    def forward(self, batch):
        hidden = self.hidden(batch)
        activated = torch.sigmoid(hidden)
        out = self.out(activated)
        # The page returns `out`; its text has a sigmoid after the second layer too.
        return torch.sigmoid(out)


class Linear(nn.Module):
    """Listing 2.16, `nn.Linear` written out: `(batch, in_features)` to `(batch, out_features)`."""

    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        # torch.empty is memory that nobody has filled; the page leaves it so.
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features)) if bias else None
        # As nn.Linear starts: uniform, and smaller the more inputs are summed.
        bound = 1 / math.sqrt(in_features)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, input):
        product = input.matmul(self.weight.t())
        return product if self.bias is None else product + self.bias


def sequential(input_size, hidden_size, output_size):
    """Listing 2.21, the twin of `FizBuzNet` in one expression."""
    return nn.Sequential(
        nn.Linear(input_size, hidden_size),
        nn.Sigmoid(),
        nn.Linear(hidden_size, output_size),
        nn.Sigmoid(),
    )
