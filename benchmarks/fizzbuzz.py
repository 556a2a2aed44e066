"""What gets FizzBuzz right: the program's settings with each taken back, and what it takes to leave "other".

    python benchmarks/fizzbuzz.py
    python benchmarks/fizzbuzz.py --seeds 30

Prints how many of the 100 unseen numbers are right for each seed, and how many seeds end with one answer for every
number. All seeds of a line are trained side by side, as matrices with one more dimension in front: the data and the
split are the seed's, as in ch02_simple_nn/fizzbuzz.py, the order of the batches is another.
"""

import argparse
import math
import time

import numpy as np
import torch
from torch import nn, optim
from torch.nn.functional import cross_entropy, one_hot

from ch02_simple_nn.data import get_class_index_data
from ch02_simple_nn.fizbuz_net import FizBuzNet

PROGRAM = dict(optimizer="AdamW", lr=0.03, decay=0.1, signs=True, wide=True, loss="mse", epochs=500, target="number")
PAGE = dict(optimizer="SGD", lr=0.01, decay=0.0, signs=False, wide=False, loss="mse", epochs=500, target="number")
LINES = {
    "the program's settings": PROGRAM,
    "  the next number": PROGRAM | dict(target="next"),
    "  inputs of 0 and 1": PROGRAM | dict(signs=False),
    "  nn.Linear's start": PROGRAM | dict(wide=False),
    "  no weight decay": PROGRAM | dict(decay=0.0),
    "  cross-entropy": PROGRAM | dict(loss="cross_entropy"),
    "  a learning rate of 0.01": PROGRAM | dict(lr=0.01),
    "the page's settings: SGD, 0.01": PAGE,
    "  long steps: 6.4": PAGE | dict(lr=6.4),
    "  long steps, wide start": PAGE | dict(lr=6.4, wide=True),
    "  long steps, inputs of -1 and +1": PAGE | dict(lr=6.4, signs=True),
    "  all three": PAGE | dict(lr=6.4, signs=True, wide=True),
    "  all three, steps of 1.28": PAGE | dict(lr=1.28, signs=True, wide=True),
    "  cross-entropy, the page's steps": PAGE | dict(loss="cross_entropy"),
    "  cross-entropy, 0.5, wide start": PAGE | dict(loss="cross_entropy", lr=0.5, wide=True),
    "  Adam": PAGE | dict(optimizer="Adam"),
}


def networks(seeds, wide):
    """The weights of one FizBuzNet a seed, stacked: two matrices `(seed, in, out)`, two biases `(seed, 1, out)`."""
    stacks = [[], [], [], []]
    for seed in seeds:
        torch.manual_seed(seed)
        net = FizBuzNet(10, 100, 4)
        if wide:
            nn.init.normal_(net.hidden.weight)
        for stack, parameter in zip(stacks, net.parameters()):
            stack.append(parameter.detach().T if parameter.dim() == 2 else parameter.detach()[None])
    return [torch.stack(stack).clone().requires_grad_() for stack in stacks]


def unseen_right(seeds, settings, batch_size=64):
    """Of each seed's 100 unseen numbers, how many are right, and whether all get one answer."""
    data = [get_class_index_data(target=settings["target"], seed=seed) for seed in seeds]
    x, y, test_x, test_y = (torch.from_numpy(np.stack(part)) for part in zip(*data))
    x, test_x = (2 * bits.float() - 1 if settings["signs"] else bits.float() for bits in (x, test_x))
    w1, b1, w2, b2 = networks(seeds, settings["wide"])
    groups = [{"params": [w1, b1], "weight_decay": 0.0}, {"params": [w2, b2], "weight_decay": settings["decay"]}]
    optimizer = getattr(optim, settings["optimizer"])(groups, lr=settings["lr"], fused=True)

    def scores(x):
        return torch.baddbmm(b2, torch.baddbmm(b1, x, w1).sigmoid(), w2)

    generator, rows = torch.Generator().manual_seed(0), torch.arange(len(seeds))[:, None]
    for _ in range(settings["epochs"]):
        order = torch.stack([torch.randperm(x.shape[1], generator=generator) for _ in seeds])
        for batch in order.split(batch_size, dim=1):
            hyp, right = scores(x[rows, batch]), y[rows, batch]
            if settings["loss"] == "mse":
                loss = (hyp.sigmoid() - one_hot(right, 4)).pow(2).mean(dim=(1, 2)).sum()
            else:
                loss = cross_entropy(hyp.flatten(0, 1), right.flatten()) * len(seeds)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        answers = scores(test_x).argmax(dim=2)
    return (answers == test_y).sum(dim=1).tolist(), (answers == answers[:, :1]).all(dim=1).tolist()


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--seeds", type=int, default=10, help="how many, from 0 up (default: %(default)s)")
    seeds = range(flags.parse_args().seeds)
    torch.set_num_threads(1)
    for name, settings in LINES.items():
        began = time.perf_counter()
        right, one_answer = unseen_right(seeds, settings)
        seconds = math.ceil(time.perf_counter() - began)
        print(
            f"{name:34} {' '.join(f'{n:3}' for n in right)}   one answer: {sum(one_answer)}   {seconds} s", flush=True
        )


if __name__ == "__main__":
    main()
