"""What networks that read sentences do, as pictures: words in the plane, gates and states, attention."""

import matplotlib.pyplot as plt
import torch

from ch05_sequence.loaders.snli import LABELS

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


def gates(cell, weights, embedded):
    """What the gates of an RNN's first layer do while it reads one sentence forwards (figures 5.6 and 5.7).

    Args:
        cell: "lstm" or "gru".
        weights: a state dict with `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0` and `bias_hh_l0`.
        embedded: one sentence, (length, embedding).

    Returns:
        names to values, (length, hidden): gates from 0 (closed) to 1 (open), states from -1 to 1 or, a cell's, beyond.
    """
    weight_ih, weight_hh = weights["weight_ih_l0"], weights["weight_hh_l0"]
    bias_ih, bias_hh = weights["bias_ih_l0"], weights["bias_hh_l0"]
    h = c = weight_hh.new_zeros(weight_hh.shape[1])
    steps = []
    for x in embedded @ weight_ih.T + bias_ih:
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


def save_steps(tokens, values, path):
    """Draws what gates and states do word by word: a panel each, words to the right, hidden units downwards.

    Args:
        tokens: the words of one sentence.
        values: names to tensors, (length, hidden), as `gates` gives them.
    """
    values = {name: value[:, :UNITS].detach().cpu() for name, value in values.items()}
    # Sorted by what they end with, units that do alike lie near each other.
    order = list(values.values())[-1][-1].argsort()
    size = (max(5, 0.45 * len(tokens) + 2.5), 2.1 * len(values) + 0.8)
    figure, axes = plt.subplots(len(values), 1, figsize=size, squeeze=False, sharex=True, layout="constrained")
    for axis, (name, value) in zip(axes[:, 0], values.items()):
        is_gate = "gate" in name
        reach = max(1e-6, value.abs().max().item())
        scale = dict(cmap="viridis", vmin=0, vmax=1) if is_gate else dict(cmap="RdBu_r", vmin=-reach, vmax=reach)
        drawn = axis.imshow(value[:, order].T.numpy(), aspect="auto", interpolation="nearest", **scale)
        axis.set_title(f"{name}: 0 closed, 1 open" if is_gate else name, fontsize=10)
        axis.set_yticks([])
        figure.colorbar(drawn, ax=axis)
    axes[-1, 0].set_xticks(range(len(tokens)), tokens, rotation=90)
    figure.supylabel(f"{len(order)} hidden units, sorted by their last state", fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def save_attention(network, dataset, device, path):
    """Draws, for the first pair of each class, which words of the premise each word of the hypothesis looks at.

    Args:
        network: an `AttentionClassifier`.
        dataset: `Pairs` with at least one pair.
    """
    first = {}
    for index in range(len(dataset)):
        first.setdefault(dataset[index][2], index)
        if len(first) == len(LABELS):
            break
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
