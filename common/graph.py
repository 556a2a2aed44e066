"""Draws the graph that autograd has recorded for a live tensor: figures 1.2, 2.3, 2.4 and 2.8 come from here."""

from statistics import fmean

import networkx as nx
from matplotlib.figure import Figure

INCHES_PER_LETTER = 0.085
INCHES_PER_LAYER = 0.8


def autograd_graph(output, names=None):
    """The functions and leaf tensors behind `output`, found through `grad_fn.next_functions`.

    Args:
        output: a tensor with a `grad_fn`.
        names: display name -> leaf tensor; `dict(module.named_parameters())` will do.

    Returns:
        a `networkx.DiGraph` with arrows in the direction of the forward pass. A node has a `label`, the name of its
        function (`MmBackward0`) or the name and shape of its leaf, and `leaf`, True where backward leaves a `.grad`.
        Autograd keeps no tensor that needs no gradient, so none is here; `x * x` is one arrow from `x`, not two.

    Raises:
        ValueError: `output` has no `grad_fn`, so nothing was recorded.
    """
    if output.grad_fn is None:
        raise ValueError("the tensor has no grad_fn: it is a leaf, or nothing that it came from requires a gradient")
    name_of = {id(leaf): name for name, leaf in (names or {}).items()}
    graph = nx.DiGraph()
    waiting = [output.grad_fn]
    while waiting:
        function = waiting.pop(0)
        if function in graph and "label" in graph.nodes[function]:
            continue
        # Only AccumulateGrad, the function that ends a path, holds a variable: the leaf whose .grad it adds to.
        leaf = getattr(function, "variable", None)
        label = function.name() if leaf is None else f"{name_of.get(id(leaf), 'leaf')}\n{tuple(leaf.shape)}"
        graph.add_node(function, label=label, leaf=leaf is not None)
        for operand, _ in function.next_functions:
            if operand is not None:
                graph.add_edge(operand, function)
                waiting.append(operand)
    return graph


def draw_graph(output, path, names=None, title=None):
    """Draws `autograd_graph(output, names)` into the picture `path`, inputs above, output below, leaves in blue."""
    graph = autograd_graph(output, names)
    # A layer is the longest way to the output, so that a leaf stands right above the first function that uses it.
    layers = list(nx.topological_generations(graph.reverse(copy=False)))
    spacing = 0.5 + INCHES_PER_LETTER * max(len(line) for _, text in graph.nodes("label") for line in text.split("\n"))
    place = {}
    for depth, layer in enumerate(layers):
        # Under each other, as far as may be: the order of the users, then of the operands, crosses few lines.
        layer = sorted(layer, key=lambda node: fmean([place[user][0] for user in graph.successors(node)] or [0]))
        for column, node in enumerate(layer):
            place[node] = (spacing * (column - (len(layer) - 1) / 2), INCHES_PER_LAYER * depth)

    half_width = max(1.5, spacing * max(map(len, layers)) / 2)
    height = INCHES_PER_LAYER * len(layers)
    figure = Figure(figsize=(2 * half_width, height + 0.4), dpi=150, layout="constrained")
    axes = figure.add_subplot(title=title, xlim=(-half_width, half_width), ylim=(-0.4, height - 0.4))
    axes.set_axis_off()
    boxes = {}
    for node, (x, y) in place.items():
        style = dict(boxstyle="round", facecolor="lightblue" if graph.nodes[node]["leaf"] else "whitesmoke")
        text = axes.text(x, y, graph.nodes[node]["label"], ha="center", va="center", bbox=style, size=9)
        boxes[node] = text.get_bbox_patch()
    # The boxes that end the arrows have no size before they are drawn once.
    figure.draw_without_rendering()
    for start, end in graph.edges:
        length = place[start][1] - place[end][1]
        # Past the layers between, an arrow bows out instead of running through their boxes.
        bow = 0 if length < 1.5 * INCHES_PER_LAYER else min(0.4, spacing / length)
        curve = f"arc3,rad={-bow if place[start][0] + place[end][0] > 0 else bow}"
        style = dict(
            arrowstyle="->", patchA=boxes[start], patchB=boxes[end], shrinkA=2, shrinkB=2, connectionstyle=curve
        )
        axes.annotate("", place[end], place[start], arrowprops=style, zorder=1)
    figure.savefig(path)
    return graph
