"""The drawing of autograd graphs: nodes, arrows, names, and a picture that shows them."""

import matplotlib.image
import networkx as nx
import numpy as np
import pytest
import torch

from common.graph import autograd_graph, draw_graph


def arrows(graph):
    label = {node: text.split("\n")[0] for node, text in graph.nodes("label")}
    return sorted((label[start], label[end]) for start, end in graph.edges)


def test_functions_and_leaves_of_an_equation():
    w = torch.ones(3, 2, requires_grad=True)
    b = torch.zeros(2, requires_grad=True)
    graph = autograd_graph((torch.ones(4, 3) @ w + b).sum(), names=dict(w=w, b=b))
    assert arrows(graph) == [
        ("AddBackward0", "SumBackward0"),
        ("MmBackward0", "AddBackward0"),
        ("b", "AddBackward0"),
        ("w", "MmBackward0"),
    ]
    leaves = {text for node, text in graph.nodes("label") if graph.nodes[node]["leaf"]}
    assert leaves == {"w\n(3, 2)", "b\n(2,)"}
    assert nx.is_directed_acyclic_graph(graph)


def test_a_shared_leaf_is_one_node_with_all_its_users():
    w = torch.ones(2, requires_grad=True)
    graph = autograd_graph(w.exp() + w.sin())
    leaves = [node for node, leaf in graph.nodes("leaf") if leaf]
    assert [graph.nodes[node]["label"] for node in leaves] == ["leaf\n(2,)"]
    assert {graph.nodes[user]["label"] for user in graph.successors(leaves[0])} == {"ExpBackward0", "SinBackward0"}


def test_names_of_a_module_and_a_walk_along_next_functions():
    layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    loss = layers(torch.ones(2, 3)).mean()
    graph = autograd_graph(loss, names=dict(layers.named_parameters()))
    named = {text.split("\n")[0] for node, text in graph.nodes("label") if graph.nodes[node]["leaf"]}
    assert named == {"0.weight", "0.bias", "2.weight", "2.bias"}
    for node in graph:
        assert set(graph.predecessors(node)) == {function for function, _ in node.next_functions if function}


def test_picture_shows_leaves_and_grows_with_the_graph(tmp_path):
    leaf_blue = np.array(matplotlib.colors.to_rgb("lightblue"))
    heights = []
    for steps in (1, 6):
        value = torch.ones(2, requires_grad=True)
        leaf = value
        for _ in range(steps):
            value = value.sigmoid()
        graph = draw_graph(value, tmp_path / "graph.png", names=dict(leaf=leaf), title="sigmoids")
        assert len(graph) == steps + 1
        picture = matplotlib.image.imread(tmp_path / "graph.png")[:, :, :3]
        rows = np.flatnonzero((abs(picture - leaf_blue) < 0.01).all(axis=2).any(axis=1))
        assert len(rows)
        assert rows.max() < len(picture) / 2 + 10  # inputs above, output below
        heights.append(len(picture))
    assert heights[1] > 2 * heights[0]


def test_a_tensor_without_a_graph_is_refused(tmp_path):
    for tensor in (torch.ones(2), torch.ones(2, requires_grad=True)):
        with pytest.raises(ValueError, match="no grad_fn"):
            draw_graph(tensor, tmp_path / "graph.png")
    assert not list(tmp_path.iterdir())
