"""The pictures of padding_tour.py: hidden states over zeros (figure 5.4), a network with dropout (figure 5.5)."""

import numpy as np
from matplotlib.figure import Figure


def draw_padding(sentences, states, path):
    """Hidden states word by word, a row of panels a sentence and a column a way of batching.

    Args:
        sentences: strings; their words stand under the columns, a 0 under the padding.
        states: title -> hidden states, (batch, longest, hidden_size), NaN where nothing was computed.
        path: the picture file to write.
    """
    figure = Figure(figsize=(11, 1.9 * len(sentences)), layout="constrained")
    panels = figure.subplots(len(sentences), len(states), squeeze=False)
    for column, (title, batch) in zip(panels.T, states.items()):
        for panel, sentence, hidden in zip(column, sentences, batch):
            words = sentence.split()
            image = panel.imshow(hidden.T.numpy(), cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
            panel.axvline(len(words) - 0.5, color="black", linewidth=2)
            panel.set_xticks(range(len(hidden)), words + ["0"] * (len(hidden) - len(words)))
            panel.set_yticks([])
            panel.set_ylabel("hidden state")
        column[0].set_title(title)
    figure.colorbar(image, ax=panels, label="value")
    figure.suptitle("A batch of three sentences; each ends at the black line")
    figure.savefig(path, dpi=120)


def draw_dropout(kept, path):
    """A fully connected network before dropout and in one training step with it.

    Args:
        kept: for each layer which neurons are kept, (neurons,) bool.
        path: the picture file to write.
    """
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    whole = [np.ones(len(layer), dtype=bool) for layer in kept]
    titles = ("before", "after dropout: the crossed neurons give zeros to all")
    for panel, layers, title in zip(figure.subplots(1, 2), (whole, [np.asarray(layer) for layer in kept]), titles):
        places = [
            [(column, row - (len(layer) - 1) / 2) for row in range(len(layer))] for column, layer in enumerate(layers)
        ]
        for column in range(len(layers) - 1):
            for start, sends in zip(places[column], layers[column]):
                for end, receives in zip(places[column + 1], layers[column + 1]):
                    if sends and receives:
                        panel.plot(*zip(start, end), color="0.7", linewidth=0.8, zorder=1)
        for is_kept, color, marker in ((True, "C0", "o"), (False, "0.6", "x")):
            chosen = [place for at, layer in zip(places, layers) for place, keep in zip(at, layer) if keep == is_kept]
            if chosen:
                panel.scatter(*zip(*chosen), s=220, color=color, marker=marker, zorder=2)
        panel.set_title(title)
        panel.set_xticks(range(len(layers)), ["inputs", *["hidden"] * (len(layers) - 2), "output"])
        panel.set_yticks([])
        panel.set_frame_on(False)
        panel.tick_params(length=0)
        panel.margins(0.12)
    figure.savefig(path, dpi=120)
