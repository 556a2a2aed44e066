"""Sentences of different lengths in one batch, padded and packed (listings 5.6, 5.7; figures 5.4, 5.5: dropout).

    python ch05_sequence/padding_tour.py

It prints what the pages print and draws `figure_5_4_padding.png` and `figure_5_5_dropout.png` into
`runs/padding_tour`.
"""

import torch
import torch.nn.utils.rnn as rnn_utils
from torch import nn

from ch05_sequence.pictures.padding import draw_dropout, draw_padding
from common.tours import tour

args = tour(__doc__, device=False)

# %% 5.6 Padding: zeros fill the shorter sequences up to the longest
a = torch.Tensor([1, 2, 3])
b = torch.Tensor([4, 5])
c = torch.Tensor([6])
padded = rnn_utils.pad_sequence([a, b, c], True)
print(padded)

# %% 5.6 Sequence first, unless batch_first is set
# Without batch_first the sequences stand in columns, as torchtext has its batches and nn.LSTM takes them by default.
# And they need not be sorted, as the text says they must.
sequence_first = rnn_utils.pad_sequence([a, b, c])
unsorted = rnn_utils.pad_sequence([c, a, b], batch_first=True)
print(f"sequence first:\n{sequence_first}\nin another order:\n{unsorted}")

# %% 5.7 Packing: the sequences lie step by step
# The first word of each, then the second. batch_sizes says how many sequences are still running at each step: three,
# two, one.
b = torch.Tensor([1, 2])
c = torch.Tensor([1])
packed = rnn_utils.pack_sequence([a, b, c])
print(packed)

# %% 5.7 Packing needs the longest sequence first
# Or to be told to sort for itself and to remember how.
try:
    rnn_utils.pack_sequence([c, a, b])
except RuntimeError as error:
    refusal = str(error)
    print(f"RuntimeError: {refusal.splitlines()[0]}")
sorted_by_torch = rnn_utils.pack_sequence([c, a, b], enforce_sorted=False)
back, lengths = rnn_utils.pad_packed_sequence(sorted_by_torch, batch_first=True)
print(sorted_by_torch)
print(f"and back, in the order that they had:\n{back}, {lengths}")

# %% Three sentences, and what each layer makes of them alone
# Random word vectors, (words, embed_dim) for each sentence.
sentences = ["two men are playing in the park", "a dog runs on grass", "nobody is sleeping"]
embed_dim, hidden_size = 8, 6
vectors = {word: torch.randn(embed_dim) for word in " ".join(sentences).split()}
embedded = [torch.stack([vectors[word] for word in sentence.split()]) for sentence in sentences]
lengths = torch.tensor([len(sentence) for sentence in embedded])
padded_batch = rnn_utils.pad_sequence(embedded, batch_first=True)
packed_batch = rnn_utils.pack_padded_sequence(padded_batch, lengths, batch_first=True)


def last_hidden(layer, batch):
    """The last hidden state of the layer, (directions, batch, hidden_size); an LSTM's state is a pair (h, c)."""
    state = layer(batch)[1]
    return state[0] if isinstance(state, tuple) else state


# %% The price of padding without packing: another last hidden state
# It is the state after the zeros, not that of the sentence.
layers = {
    "nn.RNN": nn.RNN(embed_dim, hidden_size, batch_first=True),
    "nn.LSTM": nn.LSTM(embed_dim, hidden_size, batch_first=True),
    "nn.GRU": nn.GRU(embed_dim, hidden_size, batch_first=True),
    "nn.GRU, both directions": nn.GRU(embed_dim, hidden_size, batch_first=True, bidirectional=True),
}
wrong_by = {}
for name, layer in layers.items():
    alone = torch.cat([last_hidden(layer, sentence[None]) for sentence in embedded], dim=1)
    wrong_by[name] = {
        how: (last_hidden(layer, batch) - alone).abs().amax(dim=(0, 2)).tolist()
        for how, batch in (("padded", padded_batch), ("packed", packed_batch))
    }
    for how, differences in wrong_by[name].items():
        told = ", ".join(f"{difference:.6f}" for difference in differences)
        print(f"{name}, {how}: the three sentences differ from each run alone by {told}")

# %% Without packing: the state at each sentence's last word
# This is what a network does whose layers take no packed sequence.
outputs, _ = layers["nn.GRU"](padded_batch)
picked = outputs[torch.arange(len(lengths)), lengths - 1]
picked_equal = torch.allclose(picked, last_hidden(layers["nn.GRU"], packed_batch)[0], atol=1e-6)
print(f"{picked_equal = }")

# %% Layers take a packed sequence, cells do not
# A cell sees one word at a time.
cell_refusals = {}
for cell in (
    nn.RNNCell(embed_dim, hidden_size),
    nn.LSTMCell(embed_dim, hidden_size),
    nn.GRUCell(embed_dim, hidden_size),
):
    try:
        cell(packed_batch)
    except (TypeError, AttributeError, ValueError) as error:
        cell_refusals[type(cell).__name__] = str(error)
        print(f"{type(cell).__name__}: {type(error).__name__}: {error}")

# %% Figure 5.4: hidden states over the zeros
# On the left each state goes on changing until the longest sentence ends.
states = {
    "padded: computed over the zeros too": layers["nn.RNN"](padded_batch)[0],
    "packed: nothing is computed after the end": rnn_utils.pad_packed_sequence(
        layers["nn.RNN"](packed_batch)[0], batch_first=True, padding_value=float("nan")
    )[0],
}
draw_padding(sentences, {title: state.detach() for title, state in states.items()}, args.out / "figure_5_4_padding.png")
steps_wasted = 1 - lengths.sum().item() / padded_batch[..., 0].numel()
print(f"{steps_wasted:.0%} of the padded batch is padding")

# %% Figure 5.5: dropout
# In training each number is zeroed with probability p, and the others are scaled by 1 / (1 - p), so that a layer's
# inputs stay as large on average; in evaluation nothing happens.
dropout = nn.Dropout(p=0.3)
ones = torch.ones(100_000)
dropped = dropout(ones)
share_zeroed = (dropped == 0).double().mean().item()
kept_value = dropped.max().item()
unchanged = torch.equal(dropout.eval()(ones), ones)
print(f"{share_zeroed = :.3f}, {kept_value = :.4f}, mean {dropped.mean().item():.3f}, evaluation {unchanged = }")

# %% Figure 5.5: the same network before and after
# Each neuron is drawn as nn.Dropout(0.5) has treated it in one training step.
layer_sizes = (5, 6, 6, 1)
in_training = nn.Dropout(p=0.5)
kept = [torch.ones(layer_sizes[0])] + [in_training(torch.ones(size)) for size in layer_sizes[1:-1]]
kept.append(torch.ones(layer_sizes[-1]))
draw_dropout([values > 0 for values in kept], args.out / "figure_5_5_dropout.png")
