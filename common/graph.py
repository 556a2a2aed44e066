"""Draws graphs of operations: those that autograd records, and those that torch.fx traces."""

import textwrap
from statistics import fmean

import networkx as nx
from matplotlib.figure import Figure

INCHES_PER_LETTER = 0.085
INCHES_PER_LAYER = 0.8
AUTOGRAD_NOTE = "Boxes: backward functions; blue: leaves. Arrows: the forward pass; backward() runs against them."


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


def traced_graph(trace):
    """The operations of a `torch.fx.Graph`, as `torch.export` and `make_fx` trace it.

    Returns:
        a `networkx.DiGraph` from the name of a node to the names of its users, in the order of execution. A node has a
        `label`, the name of its input or operation and its shape, and `leaf`, True where it is an input.
    """
    graph = nx.DiGraph()
    for node in trace.nodes:
        if node.op == "output":
            continue
        leaf = node.op != "call_function"
        # A tracer numbers its nodes (w1_1, mm_3), and torch.export marks parameters (p_w1).
        operation = getattr(node.target, "overloadpacket", node.target)
        name = node.name.removeprefix("p_").removesuffix("_1") if leaf else operation.__name__
        shape = ", ".join(str(size) if isinstance(size, int) else "rows" for size in node.meta["val"].shape)
        graph.add_node(node.name, label=f"{name}\n({shape})", leaf=leaf)
        graph.add_edges_from((operand.name, node.name) for operand in node.all_input_nodes)
    return graph


def draw_graph(output, path, names=None, title=None):
    """Draws `autograd_graph(output, names)` into the picture `path`, and returns the graph."""
    graph = autograd_graph(output, names)
    draw(path, title, {"": graph}, AUTOGRAD_NOTE)
    return graph


def draw(path, title, panels, note=""):
    """Draws graphs side by side into the picture `path`, inputs above, outputs below.

    Args:
        path: the picture to write.
        title: what stands above all.
        panels: heading -> `networkx.DiGraph` with arrows in the direction of the forward pass. Of a node `label` and
            `leaf` are drawn. An edge may have a `label`; with `backward` True its arrow is turned round and red, with
            `backward` None it is a line without an arrow.
        note: what stands below all.
    """
    places = [_places(graph) for graph in panels.values()]
    sizes = [
        (2 * max(1.9, max(abs(x) for x, _ in place.values()) + 0.9), max(y for _, y in place.values()))
        for place in places
    ]
    width, height = sum(size for size, _ in sizes), max(size for _, size in sizes) + INCHES_PER_LAYER
    figure = Figure(figsize=(width, height + 0.9), dpi=150, layout="constrained")
    figure.suptitle(textwrap.fill(title or "", int(width / 0.1)))
    figure.supxlabel(textwrap.fill(note, int(width / 0.065)), size=8)
    all_axes = figure.subplots(1, len(panels), squeeze=False, width_ratios=[size for size, _ in sizes])[0]
    for axes, (heading, graph), place, (panel_width, _) in zip(all_axes, panels.items(), places, sizes):
        axes.set(title=heading, xlim=(-panel_width / 2, panel_width / 2), ylim=(-0.4, height - 0.4))
        axes.set_axis_off()
        _draw_panel(figure, axes, graph, place)
    figure.savefig(path)


def _places(graph):
    """Node -> its place in inches: a layer is the longest way to an output, so that a leaf stands above its user."""
    layers = list(nx.topological_generations(graph.reverse(copy=False)))
    spacing = 0.5 + INCHES_PER_LETTER * max(len(line) for _, text in graph.nodes("label") for line in text.split("\n"))
    number = {node: number for number, node in enumerate(graph)}
    place = {}
    for depth, layer in enumerate(layers):
        # Under each other, as far as may be: the order of the users, then of execution, crosses few lines.
        layer = sorted(
            layer, key=lambda node: (fmean(place[user][0] for user in graph[node]) if graph[node] else 0, number[node])
        )
        for column, node in enumerate(layer):
            place[node] = (spacing * (column - (len(layer) - 1) / 2), INCHES_PER_LAYER * depth)
    return place


def _draw_panel(figure, axes, graph, place):
    boxes = {}
    for node, (x, y) in place.items():
        style = dict(boxstyle="round", facecolor="lightblue" if graph.nodes[node]["leaf"] else "whitesmoke")
        text = axes.text(x, y, graph.nodes[node]["label"], ha="center", va="center", bbox=style, size=9)
        boxes[node] = text.get_bbox_patch()
    # The boxes that end the arrows have no size before they are drawn once.
    figure.draw_without_rendering()
    spacing = min((abs(x) for x, _ in place.values() if x), default=1)
    for start, end, edge in graph.edges(data=True):
        (start_x, start_y), (end_x, end_y) = place[start], place[end]
        length = start_y - end_y
        # Past the layers between, an arrow bows out instead of running through their boxes.
        bow = 0 if length < 1.5 * INCHES_PER_LAYER else min(0.4, spacing / length)
        bow = -bow if start_x + end_x > 0 else bow
        backward = edge.get("backward", False)
        style = dict(
            arrowstyle="-" if backward is None else "<-" if backward else "->",
            color="lightgrey" if backward is None else "firebrick" if backward else "black",
            patchA=boxes[start],
            patchB=boxes[end],
            shrinkA=2,
            shrinkB=2,
            connectionstyle=f"arc3,rad={bow}",
        )
        axes.annotate("", place[end], place[start], arrowprops=style, zorder=1)
        if "label" in edge:
            beside = 0.1 if start_x + end_x >= 0 else -0.1
            place_of_label = ((start_x + end_x) / 2 + beside, (start_y + end_y) / 2)
            side = "left" if beside > 0 else "right"
            axes.text(*place_of_label, edge["label"], ha=side, va="center", size=9, color=style["color"])
