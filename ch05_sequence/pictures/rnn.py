"""What networks that read sentences do, as pictures: words in the plane, gates and states, attention."""

from itertools import pairwise

import matplotlib.pyplot as plt
import torch

from ch05_sequence.loaders.snli import LABELS
from common.graph import draw_graph

UNITS = 30  # of a hidden state, as many as can be told apart


def in_the_plane(vectors):
    """The two principal components of vectors, (words, features) to (words, 2), and their share of the variance."""
    centred = vectors - vectors.mean(0)
    _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
    return centred @ directions[:2].T, singular[:2].square() / singular.square().sum()


def save_words(weight, words, path, count=120):
    """Draws the embedding of the most frequent words in two dimensions, by principal components.

    Args:
        weight: (vocabulary, embedding); its first two rows are `<unk>` and `<pad>`, then the most frequent first.
        words: the vocabulary's words, in the same order.
    """
    chosen = slice(2, 2 + count)
    places, shares = in_the_plane(weight.detach()[chosen].cpu())
    figure, axis = plt.subplots(figsize=(9, 7), layout="constrained")
    axis.scatter(*places.T.numpy(), s=6, color="tab:orange")
    for word, place in zip(words[chosen], places.tolist()):
        axis.annotate(word, place, xytext=(2, 2), textcoords="offset points", fontsize=8)
    axis.set(
        xlabel=f"first principal component ({shares[0]:.0%} of the variance)",
        ylabel=f"second principal component ({shares[1]:.0%})",
        title=f"The embedding of the {len(places)} most frequent words",
    )
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def gates(cell, weights, inputs, suffix=""):
    """What the gates of one cell do while it reads a sentence forwards (figures 5.6 and 5.7).

    Args:
        cell: "lstm" or "gru".
        weights: a state dict with `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh`, each with `suffix` behind.
        inputs: one sentence, (length, features).

    Returns:
        names to values, (length, hidden): gates from 0 to 1, states from -1 to 1 or, a cell's, beyond.
    """
    weight_ih, weight_hh, bias_ih, bias_hh = (
        weights[f"{name}{suffix}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    h = c = weight_hh.new_zeros(weight_hh.shape[1])
    steps = []
    for x in inputs @ weight_ih.T + bias_ih:
        from_h = weight_hh @ h + bias_hh
        if cell == "lstm":
            i, f, g, o = (x + from_h).chunk(4)
            i, f, o = i.sigmoid(), f.sigmoid(), o.sigmoid()
            c = f * c + i * g.tanh()
            h = o * c.tanh()
            steps.append({"input gate": i, "forget gate": f, "output gate": o, "cell state": c, "hidden state": h})
        else:
            (xr, xz, xn), (hr, hz, hn) = x.chunk(3), from_h.chunk(3)
            r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
            h = (1 - z) * (xn + r * hn).tanh() + z * h
            steps.append({"reset gate": r, "update gate": z, "hidden state": h})
    return {name: torch.stack([step[name] for step in steps]) for name in steps[0]}


def all_gates(cell, weights, embedded):
    """`gates` of every layer and direction (figures 5.8 and 5.9), a dictionary by their names.

    Args:
        weights: the state dict of nn.LSTM or nn.GRU, or of a cell.
        embedded: one sentence, (length, embedding).
    """
    if "weight_ih" in weights:
        return {"": gates(cell, weights, embedded)}
    found, inputs, layer = {}, embedded, 0
    while f"weight_ih_l{layer}" in weights:
        one = gates(cell, weights, inputs, f"_l{layer}")
        ways = {f"layer {layer + 1}": one}
        if f"weight_ih_l{layer}_reverse" in weights:
            other = gates(cell, weights, inputs.flip(0), f"_l{layer}_reverse")
            other = {name: value.flip(0) for name, value in other.items()}
            ways = {f"layer {layer + 1}, forwards": one, f"layer {layer + 1}, backwards": other}
        inputs = torch.cat([way["hidden state"] for way in ways.values()], 1)
        found, layer = found | ways, layer + 1
    return found


# What 0 and 1 mean: in a GRU, as torch computes it, an open update gate keeps the old state.
ENDS = {
    "reset gate": "0 forgets the old state, 1 reads it",
    "update gate": "0 takes the new state, 1 keeps the old",
}


def save_steps(tokens, readers, path):
    """Draws what gates and states do word by word: words to the right, hidden units downwards.

    Args:
        tokens: the words of one sentence.
        readers: a column each; names to what `gates` gives, names to tensors, (length, hidden).
    """
    panels = [*next(iter(readers.values()))]
    size = (max(5, 0.45 * len(tokens) + 2.5) * len(readers), 2.1 * len(panels) + 0.8)
    figure, axes = plt.subplots(len(panels), len(readers), figsize=size, squeeze=False, layout="constrained")
    for column, (reader, values) in zip(axes.T, readers.items()):
        values = {name: value[:, :UNITS].detach().cpu() for name, value in values.items()}
        # Sorted by what they end with, units that do alike lie near each other.
        order = values[panels[-1]][0 if "backwards" in reader else -1].argsort()
        for axis, (name, value) in zip(column, values.items()):
            reach = max(1e-6, value.abs().max().item())
            if "gate" in name:
                scale = dict(cmap="viridis", vmin=0, vmax=1)
                name = f"{name}: {ENDS.get(name, '0 closed, 1 open')}"
            elif value.min() >= 0:  # behind a ReLU
                scale = dict(cmap="Reds", vmin=0, vmax=reach)
            else:
                scale = dict(cmap="RdBu_r", vmin=-reach, vmax=reach)
            drawn = axis.imshow(value[:, order].T.numpy(), aspect="auto", interpolation="nearest", **scale)
            axis.set_title("\n".join(filter(None, (reader, name))), fontsize=9)
            axis.set_yticks([])
            axis.set_xticks([])
            figure.colorbar(drawn, ax=axis)
        column[-1].set_xticks(range(len(tokens)), tokens, rotation=90)
    figure.supylabel(f"{len(order)} hidden units, sorted by their last state", fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def save_cell(cell, path):
    """Draws the graph of one step of an `RNNCell` that also predicts a word: figure 5.3, both halves of it."""
    features = cell.input2hidden.in_features - cell.hidden_size
    with torch.enable_grad():
        word, state = torch.zeros(1, features, requires_grad=True), torch.zeros(1, cell.hidden_size, requires_grad=True)
        output, hidden = cell(word, state)
        names = {"word": word, "hidden state": state, **dict(cell.named_parameters())}
        both = torch.cat((output, hidden), 1)
    draw_graph(both, path, names, "One step: the logarithms of the words' probabilities, and the next hidden state")


def out_of_order(premise, hypothesis):
    """How many neighbours in a hypothesis stand the other way round in its premise."""
    places = [premise.index(word) for word in hypothesis if word in premise]
    return sum(later < earlier for earlier, later in pairwise(places))


def save_attention(network, dataset, device, path):
    """Draws, for a pair of each class, which words of the premise each word of the hypothesis looks at.

    Of the first pairs those are taken whose hypothesis has most of its words in another order.

    Args:
        network: an `AttentionClassifier`.
        dataset: `Pairs` with at least one pair.
    """
    first = {}
    some = range(min(len(dataset), 500))
    for index in sorted(some, key=lambda index: -out_of_order(*dataset[index][:2])):
        first.setdefault(dataset[index][2], index)
    figure, axes = plt.subplots(1, len(first), figsize=(5.2 * len(first), 5.6), squeeze=False, layout="constrained")
    for axis, label in zip(axes[0], [label for label in LABELS if label in first]):
        premise, hypothesis, _ = dataset[first[label]]
        pair, _ = dataset.__getitems__([first[label]])
        pair = [sentences.to(device) for sentences in pair]
        _, weights = network.attention.weights(*network.read(*pair))
        answer = LABELS[network(pair).argmax()]
        weights = weights[0, : len(hypothesis), : len(premise)].cpu()
        drawn = axis.imshow(weights.numpy(), cmap="magma", vmin=0, vmax=1)
        axis.set_xticks(range(len(premise)), premise, rotation=90)
        axis.set_yticks(range(len(hypothesis)), hypothesis)
        axis.set(xlabel="premise", ylabel="hypothesis")
        axis.set_title(f"{label}; the network says {answer}", fontsize=10)
    figure.suptitle("Where each word of the hypothesis looks in the premise; a row sums to 1")
    figure.colorbar(drawn, ax=axes[0].tolist(), shrink=0.6, label="attention weight")
    figure.savefig(path, dpi=110)
    plt.close(figure)
