"""Draws a network from what passes through it: figures 4.2, 4.7 and 4.8."""

from math import log2

import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.path import Path


@torch.inference_mode()
def parts_of(network, x):
    """The parts that `x` passes in their order, and the links between them.

    Returns:
        names: those of the network's direct parts; one that is passed twice is told twice.
        outputs: what each part gives, as many tensors.
        links: pairs of places (from, to): what part `from` gave was added to what part `to` gave.
    """
    names, inputs, outputs = [], [], []

    def note(name):
        def hook(part, given, output):
            names.append(name)
            inputs.append(given[0].clone())
            outputs.append(output.clone())

        return hook

    hooks = [part.register_forward_hook(note(name)) for name, part in network.named_children()]
    network(x)
    for hook in hooks:
        hook.remove()
    links = []
    for place, received in enumerate(inputs[1:]):
        if received.shape == outputs[place].shape and not torch.equal(received, outputs[place]):
            added = received - outputs[place]
            for origin in range(place):
                like = outputs[origin].shape == added.shape
                if like and torch.allclose(outputs[origin], added, atol=1e-4 * added.abs().max()):
                    links.append((origin, place))
    return names, outputs, links


def draw_network(network, x, path, title):
    """Draws a network as blocks, tall as the pictures that pass and wide as their channels are many, with its links.

    Args:
        network: a module on the CPU whose direct parts are passed one after another.
        x: a batch that it takes.

    Returns:
        the blocks' names to the shapes that they give, without the batch.
    """
    names, outputs, links = parts_of(network.eval(), x)
    blocks = {"input": tuple(x.shape[1:])}
    for number, (name, output) in enumerate(zip(names, outputs)):
        blocks[name if name not in names[:number] else f"{name} again"] = tuple(output.shape[1:])
    figure = Figure(figsize=(1.0 + 0.95 * len(blocks), 4.6), layout="constrained")
    axis = figure.add_subplot(title=title)
    middles, left, below = [], 0.0, -log2(max(x.shape[2:])) / 2 - 0.7
    for name, shape in blocks.items():
        channels, height, _ = shape if len(shape) == 3 else (shape[0], 1, 1)
        width, tall = 0.25 + 0.1 * log2(channels), 1 + log2(height)
        axis.add_patch(Rectangle((left, -tall / 2), width, tall, facecolor="lightblue", edgecolor="black"))
        told = f"{name}\n{'x'.join(map(str, shape))}"
        axis.text(left + width / 2, below, told, size=7, va="top", ha="right", rotation=45)
        middles.append((left + width / 2, tall / 2))
        left += width + 0.55
    top = -below
    for origin, place in links:
        # The first block is the input, which is no part of the network.
        (x1, y1), (x2, y2) = middles[origin + 1], middles[place + 1]
        peak = max(y1, y2) + 0.4 * (x2 - x1)
        curve = Path(
            [(x1, y1), ((x1 + x2) / 2, 2 * peak - (y1 + y2) / 2), (x2, y2)], [Path.MOVETO, Path.CURVE3, Path.CURVE3]
        )
        axis.add_patch(FancyArrowPatch(path=curve, arrowstyle="-|>", mutation_scale=12, color="C1"))
        top = max(top, peak + 0.3)
    axis.set(xlim=(-0.6, left), ylim=(below - 2.2, top))
    axis.set_axis_off()
    figure.savefig(path, dpi=120)
    return blocks
