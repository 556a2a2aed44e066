"""LSTM and GRU read two sentences and say whether the second follows from the first (listings 5.12 and 5.13).

    python ch05_sequence/advanced_rnn.py                                the embedded pairs, an LSTM
    python ch05_sequence/advanced_rnn.py --cell gru --layers 2 --bidirectional --implementation cell
    python ch05_sequence/advanced_rnn.py --attention                    and which word looked at which
    python ch05_sequence/advanced_rnn.py --predict "A soccer game with multiple males playing." \\
        "Some men are playing a sport."                                 three probabilities for a pair of your own

`--implementation cell` is a Python loop over nn.LSTMCell or nn.GRUCell, `layer` is nn.LSTM or nn.GRU: the same
weights, the same answers, and either reads the other's checkpoints. A run prints a line an epoch and a table of the
classes, and leaves `gates.png`, `attention.png` (with `--attention`), `words.png`, `confusion.png`, `curves.png` and
the weights in `runs/advanced_rnn`. On many GPUs: `torchrun --nproc-per-node 4 ch05_sequence/advanced_rnn.py ...`
"""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ch05_sequence import entailment
from ch05_sequence.pictures import rnn as rnn_pictures
from ch05_sequence.simple_rnn import RNNClassifier, join
from common import cli

DEFAULTS = dict(epochs=14, batch_size=128, lr=4e-3, embed_dim=100, hidden_size=100, dropout=0.1, clip=1.0)

CELLS = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}
LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU}


class CellLoop(nn.Module):
    """nn.LSTM or nn.GRU over a packed batch, as a loop over nn.LSTMCell or nn.GRUCell (listing 5.12).

    It takes and gives what those layers do, and its weights are saved under their names, so that one checkpoint serves
    both: `weight_ih_l0`, `weight_hh_l0_reverse` and so on.
    """

    def __init__(self, cell, input_size, hidden_size, num_layers=1, dropout=0.0, bidirectional=False):
        super().__init__()
        self.hidden_size, self.num_layers, self.directions = hidden_size, num_layers, 1 + bidirectional
        self.dropout = nn.Dropout(dropout)
        widths = [input_size, *[self.directions * hidden_size] * (num_layers - 1)]
        self.cells = nn.ModuleList(CELLS[cell](width, hidden_size) for width in widths for _ in range(self.directions))
        self.register_state_dict_post_hook(self._to_layer_names)
        self.register_load_state_dict_pre_hook(self._from_layer_names)

    def forward(self, packed):
        """As `nn.LSTM.forward` or `nn.GRU.forward` of a `PackedSequence`: outputs, packed, and last states."""
        data, last = packed.data, []
        for layer in range(self.num_layers):
            cells = self.cells[layer * self.directions : (layer + 1) * self.directions]
            if layer:
                data = self.dropout(data)
            reads = [self._read(cell, data, packed.batch_sizes.tolist(), bool(way)) for way, cell in enumerate(cells)]
            data = torch.cat([outputs for outputs, _ in reads], 1)
            last += [state for _, state in reads]
        # (layers * directions, batch, hidden), hidden and cell states; then in the order from before the packing
        last = [torch.stack(parts) for parts in zip(*last)]
        if packed.unsorted_indices is not None:
            last = [state[:, packed.unsorted_indices] for state in last]
        return packed._replace(data=data), tuple(last) if len(last) == 2 else last[0]

    def _read(self, cell, data, batch_sizes, backwards):
        """One cell over all steps. Of step k, `batch_sizes[k]` sentences have a word: the longest, which come first."""
        lstm = isinstance(cell, nn.LSTMCell)
        zeros = data.new_zeros(batch_sizes[0], self.hidden_size)
        state = (zeros, zeros) if lstm else (zeros,)
        words, outputs = data.split(batch_sizes), [None] * len(batch_sizes)
        for step in reversed(range(len(words))) if backwards else range(len(words)):
            n = batch_sizes[step]
            active = [part[:n] for part in state]
            # Only an LSTM has a cell state beside the hidden one: a GRUCell takes and gives one tensor.
            active = cell(words[step], tuple(active)) if lstm else (cell(words[step], *active),)
            # Sentences that have ended, or, backwards, that have not yet begun, keep their state.
            state = [torch.cat((new, part[n:])) for new, part in zip(active, state)]
            outputs[step] = active[0]
        return torch.cat(outputs), state

    def _layer_names(self, prefix):
        """The names of the weights here and in nn.LSTM or nn.GRU."""
        for number, cell in enumerate(self.cells):
            layer, backwards = divmod(number, self.directions)
            for name, _ in cell.named_parameters():
                yield f"{prefix}cells.{number}.{name}", f"{prefix}{name}_l{layer}{'_reverse' if backwards else ''}"

    @staticmethod
    def _to_layer_names(loop, state, prefix, _):
        for here, there in loop._layer_names(prefix):
            state[there] = state.pop(here)

    @staticmethod
    def _from_layer_names(loop, state, prefix, *_):
        for here, there in loop._layer_names(prefix):
            if there in state:
                state[here] = state.pop(there)


class Encoder(nn.Module):
    """Reads a sentence with LSTM or GRU, one or many layers deep, in one or both directions (listing 5.13).

    Args:
        cell: "lstm" or "gru".
        dropout: the probability of dropping a value between two layers.
        implementation: "layer" for nn.LSTM and nn.GRU, "cell" for the loop.
    """

    def __init__(
        self, embed_dim, hidden_size, cell="lstm", layers=1, bidirectional=False, dropout=0.0, implementation="layer"
    ):
        super().__init__()
        self.embed_dim, self.size = embed_dim, hidden_size * (1 + bidirectional)
        self.directions = 1 + bidirectional
        # Between layers: with one layer there is no place for it, and torch warns.
        sizes = dict(num_layers=layers, dropout=dropout if layers > 1 else 0.0, bidirectional=bidirectional)
        if implementation == "cell":
            self.rnn = CellLoop(cell, embed_dim, hidden_size, **sizes)
        else:
            self.rnn = LAYERS[cell](embed_dim, hidden_size, **sizes)

    def forward(self, embedded, lengths):
        """From embedded words, (batch, longest, embedding), and lengths, (batch,), to the last layer's last states.

        They are (batch, hidden), or (batch, 2 * hidden) with both directions side by side.
        """
        return self.read(embedded, lengths)[1]

    def read(self, embedded, lengths):
        """Outputs after each word, (batch, longest, size), zeros beyond a sentence's end, and last states as above."""
        # Packed, no step is spent on padding, and none of it gets into the state.
        packed = pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, state = self.rnn(packed)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=embedded.shape[1])
        ht = state[0] if isinstance(state, tuple) else state  # (layers * directions, batch, hidden)
        return outputs, torch.cat(tuple(ht[-self.directions :]), 1)


class Attention(nn.Module):
    """Each word looks for its counterparts in the other sentence, and is compared with what it finds.

    Attend, compare, aggregate, as Parikh and others (2016, arXiv 1606.01933), on the outputs of an RNN with difference
    and product in the comparison and the maximum over the words, as Chen and others (2017, arXiv 1609.06038).
    """

    def __init__(self, size, dropout=0.0):
        super().__init__()
        self.compare = nn.Sequential(nn.Dropout(p=dropout), nn.Linear(4 * size, size), nn.ReLU())

    def forward(self, premise, hypothesis, premise_inside, hypothesis_inside):
        """From outputs, (batch, words, size), and which words are no padding, (batch, words), to two (batch, size)."""
        to_hypothesis, to_premise = self.weights(premise, hypothesis, premise_inside, hypothesis_inside)
        return (
            self._aggregate(premise, to_hypothesis @ hypothesis, premise_inside),
            self._aggregate(hypothesis, to_premise @ premise, hypothesis_inside),
        )

    @staticmethod
    def weights(premise, hypothesis, premise_inside, hypothesis_inside):
        """How much each word looks at each word of the other sentence; a row sums to 1, padding gets 0.

        Returns:
            (batch, premise words, hypothesis words) and (batch, hypothesis words, premise words).
        """
        scores = premise @ hypothesis.transpose(1, 2)
        to_hypothesis = scores.masked_fill(~hypothesis_inside[:, None], -torch.inf).softmax(2)
        to_premise = scores.transpose(1, 2).masked_fill(~premise_inside[:, None], -torch.inf).softmax(2)
        return to_hypothesis, to_premise

    def _aggregate(self, words, found, inside):
        compared = self.compare(torch.cat([words, found, words - found, words * found], 2))
        # After a ReLU nothing is below zero, so a zero for padding never is the only maximum.
        return (compared * inside[:, :, None]).amax(1)


class AttentionClassifier(RNNClassifier):
    """The classifier with attention between encoder and merger; `encoder` needs a `read` that gives all outputs."""

    def __init__(self, vocab_dim, encoder, fc1_dim, dropout=0.5):
        super().__init__(vocab_dim, encoder, fc1_dim, dropout=dropout)
        self.attention = Attention(encoder.size, dropout)

    def read(self, premise, hypothesis):
        """What the attention takes: the outputs for both sentences, and which words are no padding."""
        both = join(premise, hypothesis)
        outputs, _ = self.encoder.read(self.embed(both.words), both.lengths)
        places = torch.arange(both.words.shape[1], device=both.words.device)
        inside = places < both.lengths.to(places.device)[:, None]
        return *outputs.chunk(2), *inside.chunk(2)

    def encode(self, premise, hypothesis):
        return self.attention(*self.read(premise, hypothesis))


def build(args, vocabulary):
    """The network that the flags describe, on the CPU."""
    encoder = Encoder(
        args.embed_dim, args.hidden_size, args.cell, args.layers, args.bidirectional, args.dropout, args.implementation
    )
    Classifier = AttentionClassifier if args.attention else RNNClassifier
    return Classifier(len(vocabulary), encoder, fc1_dim=2 * args.hidden_size, dropout=args.dropout)


@torch.inference_mode()
def draw(args, network, dataset):
    """Writes `words.png`, `gates.png` and, with attention, `attention.png` of a pair of each class."""
    rnn_pictures.save_words(network.embed.weight, dataset.vocabulary.words, args.out / "words.png")
    premise = dataset[0][0]
    words = torch.tensor(dataset.vocabulary.lookup(premise), device=args.device)
    gates = rnn_pictures.gates(args.cell, network.encoder.rnn.state_dict(), network.embed(words))
    rnn_pictures.save_steps(premise, gates, args.out / "gates.png")
    if args.attention:
        rnn_pictures.save_attention(network, dataset, args.device, args.out / "attention.png")


def title(args):
    """What the network is called: "bidirectional LSTM of 2 layers with attention"."""
    return (
        f"{'bidirectional ' * args.bidirectional}{args.cell.upper()}"
        f"{f' of {args.layers} layers' * (args.layers > 1)}{' with attention' * args.attention}"
    )


def main():
    flags = entailment.flags(__doc__, **DEFAULTS)
    flags.add_argument("--cell", choices=[*CELLS], default="lstm", help="(default: %(default)s)")
    flags.add_argument("--layers", type=cli.positive_int, default=1, help="one above the other (default: %(default)s)")
    flags.add_argument("--bidirectional", action="store_true", help="read forwards and backwards")
    flags.add_argument(
        "--implementation", choices=["cell", "layer"], default="layer", help="loop or torch's (default: %(default)s)"
    )
    flags.add_argument("--attention", action="store_true", help="let the words of one sentence look at the other's")
    args = entailment.parse(flags, network=("cell", "layers", "bidirectional", "attention"))
    entailment.main(args, entailment.Program(title(args), build, pictures=draw))


if __name__ == "__main__":
    cli.run(main)
