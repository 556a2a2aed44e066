"""How long the ways to write a convolution take: the page's loops, faster ones, one matrix product, the library's.

    python benchmarks/conv.py

A step is forward and backward of SimpleCNN at batch 100. Every way has the same weights and sees the same pictures. It
prints a table and draws `conv.png`; the times are medians, because other programs disturb single ones.
"""

import argparse
import statistics
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from ch04_vision.layers import Conv, MaxPool
from ch04_vision.simple_cnn import SimpleCNNModel

BATCH = 100
STEPS_OF_AN_EPOCH = 500  # 50,000 pictures of CIFAR-10 in batches of 100
REPETITIONS = {"page": 3, "loops": 3, "bands": 10, "unfold": 30, "builtin": 30}


class PageConv(Conv):
    """The loops of listing 4.5 as printed, and the four names that the excerpt leaves undefined; they ignore stride."""

    def forward(self, x):
        batch_size, _, height, width = x.shape
        new_depth = self.weight.size(0)
        new_height = height - self.kernel_size + 2 * self.padding + 1
        new_width = width - self.kernel_size + 2 * self.padding + 1
        out = torch.zeros(batch_size, new_depth, new_height, new_width)
        padded_input = F.pad(x, (self.padding,) * 4)
        for nf, f in enumerate(self.weight):
            for h in range(new_height):
                for w in range(new_width):
                    val = padded_input[:, :, h : h + self.kernel_size, w : w + self.kernel_size]
                    out[:, nf, h, w] = val.contiguous().view(batch_size, -1) @ f.view(-1)
                    out[:, nf, h, w] += self.bias[nf]
        return out


class PageMaxPool(MaxPool):
    """The loops of listing 4.7 as printed, with the names that the excerpt leaves undefined; they move by one pixel."""

    def forward(self, x):
        batch_size, depth, height, width = x.shape
        new_height, new_width = height // self.kernel_size, width // self.kernel_size
        out = torch.zeros(batch_size, depth, new_height, new_width)
        for h in range(new_height):
            for w in range(new_width):
                for d in range(depth):
                    val = x[:, d, h : h + self.kernel_size, w : w + self.kernel_size]
                    out[:, d, h, w] = val.max(2)[0].max(1)[0]
        return out


def network(layers):
    """SimpleCNN with seeded weights; `page` puts the page's loops into it."""
    torch.manual_seed(0)
    model = SimpleCNNModel("loops" if layers == "page" else layers)
    if layers == "page":
        model.conv1.__class__ = model.conv2.__class__ = PageConv
        model.pool.__class__ = PageMaxPool
    return model


def seconds_a_step(model, images, labels, repetitions):
    """The median time of forward and backward, after a step that is not counted."""
    times = []
    for _ in range(repetitions + 1):
        model.zero_grad()
        start = time.perf_counter()
        nn.functional.cross_entropy(model(images), labels).backward()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def draw(seconds, path):
    figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
    bars = axis.barh([*seconds], [1000 * value for value in seconds.values()], color="tab:blue")
    axis.bar_label(bars, [f"{1000 * value:,.0f} ms" for value in seconds.values()], padding=4)
    axis.invert_yaxis()
    axis.set(xscale="log", xlabel="milliseconds, log scale", xlim=(1, 5000 * max(seconds.values())))
    axis.set_title(f"SimpleCNN, forward and backward of {BATCH} pictures", fontsize=10)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs", "benchmark_conv"), help="folder for conv.png")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    images, labels = torch.rand(BATCH, 3, 32, 32) * 2 - 1, torch.randint(10, (BATCH,))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {BATCH}, float32, CPU")
    print("| layers | a step | times builtin | an epoch of 500 steps |\n| --- | --- | --- | --- |")
    seconds = {}
    for layers in reversed(REPETITIONS):
        seconds[layers] = seconds_a_step(network(layers), images, labels, REPETITIONS[layers])
        epoch = STEPS_OF_AN_EPOCH * seconds[layers]
        told = f"{epoch / 60:.1f} min" if epoch > 120 else f"{epoch:.1f} s"
        print(f"| {layers} | {1000 * seconds[layers]:,.1f} ms | {seconds[layers] / seconds['builtin']:.1f} | {told} |")
    draw(seconds, out / "conv.png")
    print(f"wrote {out / 'conv.png'}")


if __name__ == "__main__":
    main()
