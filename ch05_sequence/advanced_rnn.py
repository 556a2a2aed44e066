"""LSTM and GRU read two sentences and say whether the second follows from the first (listings 5.12 and 5.13).

    python ch05_sequence/advanced_rnn.py                                the embedded pairs, an LSTM
    python ch05_sequence/advanced_rnn.py --implementation cell --cell gru       word by word, as listing 5.12
    python ch05_sequence/advanced_rnn.py --layers 2 --bidirectional     figures 5.8 and 5.9
    python ch05_sequence/advanced_rnn.py --attention --epochs 4         the most right; and which word looked at which
    python ch05_sequence/advanced_rnn.py --predict "A man is following a dog." "A dog is following a man."

`--implementation cell` is a Python loop over nn.LSTMCell or nn.GRUCell, `layer` is nn.LSTM or nn.GRU. A run prints a
line an epoch and a table of the classes, and leaves `gates.png`, `attention.png` (with `--attention`), `words.png`,
`confusion.png`, `curves.png` and the weights in `runs/advanced_rnn`. On many GPUs: `torchrun --nproc-per-node 4 ...`
"""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ch05_sequence import classify, entailment
from ch05_sequence.loaders.snli import distinct, together
from ch05_sequence.pictures import rnn as rnn_pictures
from ch05_sequence.simple_rnn import RNNClassifier, set_up
from common import cli

DEFAULTS = dict(
    epochs=9, batch_size=128, lr=4e-3, embed_dim=100, hidden_size=100, dropout=0.1, clip=1.0, word_rate=10.0
)

CELLS = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}
LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU}


class CellEncoder(nn.Module):
    """Reads a sentence word by word with LSTMCell or GRUCell; its last hidden state is the meaning (listing 5.12)."""

    def __init__(self, embed_dim, hidden_size, cell="lstm"):
        super().__init__()
        self.embed_dim, self.size = embed_dim, hidden_size
        self.rnn = CELLS[cell](embed_dim, hidden_size)

    def forward(self, embedded, lengths):
        """From embedded words, (batch, longest, embedding), and lengths, (batch,), to last states, (batch, hidden)."""
        ht = ct = embedded.new_zeros(len(embedded), self.size)
        for step, word in enumerate(embedded.unbind(1)):
            reads = (step < lengths.to(embedded.device))[:, None]
            if isinstance(self.rnn, nn.LSTMCell):
                new_ht, new_ct = self.rnn(word, (ht, ct))
                ct = torch.where(reads, new_ct, ct)
            else:  # only an LSTM has a cell state: a GRUCell takes and gives one tensor
                new_ht = self.rnn(word, ht)
            # A sentence that has ended keeps its state.
            ht = torch.where(reads, new_ht, ht)
        return ht


class Encoder(nn.Module):
    """Reads a sentence with nn.LSTM or nn.GRU, layers deep, in one or both directions (listing 5.13).

    Args:
        cell: "lstm" or "gru".
        dropout: the probability of dropping a value between two layers.
    """

    def __init__(self, embed_dim, hidden_size, cell="lstm", layers=1, bidirectional=False, dropout=0.0):
        super().__init__()
        self.directions = 1 + bidirectional
        self.embed_dim, self.size = embed_dim, hidden_size * self.directions
        # Between layers: with one layer there is no place for it, and torch warns.
        dropout = dropout if layers > 1 else 0.0
        self.rnn = LAYERS[cell](embed_dim, hidden_size, layers, dropout=dropout, bidirectional=bidirectional)

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
        both, rows = distinct(together(premise, hypothesis))
        outputs, _ = self.encoder.read(self.embed(both.words), both.lengths)
        places = torch.arange(both.words.shape[1], device=both.words.device)
        inside = places < both.lengths.to(places.device)[:, None]
        return *outputs.index_select(0, rows).chunk(2), *inside[rows].chunk(2)

    def encode(self, premise, hypothesis):
        return self.attention(*self.read(premise, hypothesis))


def build(args, vocabulary):
    """The network that the flags describe, on the CPU."""
    if args.implementation == "cell":
        encoder = CellEncoder(args.embed_dim, args.hidden_size, args.cell)
    else:
        of_layers = args.cell, args.layers, args.bidirectional, args.dropout
        encoder = Encoder(args.embed_dim, args.hidden_size, *of_layers)
    Classifier = AttentionClassifier if args.attention else RNNClassifier
    return Classifier(len(vocabulary), encoder, 2 * args.hidden_size, dropout=args.dropout)


def draw(args, model, pairs, folder):
    """Writes `words.png`, `gates.png` and, with attention, `attention.png` of a pair of each class."""
    rnn_pictures.save_words(model.embed.weight, pairs.vocabulary.words, folder / "words.png")
    premise = pairs[0][0]
    words = torch.tensor(pairs.vocabulary.lookup(premise), device=args.device)
    gates = rnn_pictures.all_gates(args.cell, model.encoder.rnn.state_dict(), model.embed(words))
    rnn_pictures.save_steps(premise, gates, folder / "gates.png")
    if args.attention:
        rnn_pictures.save_attention(model, pairs, args.device, folder / "attention.png")


def title(args):
    """What the network is called: "bidirectional LSTM of 2 layers with attention"."""
    return (
        f"{'bidirectional ' * args.bidirectional}{args.cell.upper()}{' cell' * (args.implementation == 'cell')}"
        f"{f' of {args.layers} layers' * (args.layers > 1)}{' with attention' * args.attention}"
    )


def train(args):
    splits = entailment.open_pairs(args)
    vocabulary = splits["train"].vocabulary
    model = build(args, vocabulary)
    criterion, opt = set_up(args, model, vocabulary)
    classify.train(args, title(args), entailment.PAIRS, model, criterion, opt, splits, draw)


def evaluate(args):
    model, vocabulary = classify.trained(args, build)
    pairs = entailment.open_to_score(args, vocabulary)
    classify.evaluate(args, entailment.PAIRS, model, nn.CrossEntropyLoss(), pairs, draw)


def predict(args):
    entailment.predict(args, build)


def read_flags(argv=None):
    flags = classify.flags(__doc__, **DEFAULTS)
    flags.add_argument("--cell", choices=[*CELLS], default="lstm", help="(default: %(default)s)")
    flags.add_argument("--layers", type=cli.positive_int, default=1, help="one above the other (default: %(default)s)")
    flags.add_argument("--bidirectional", action="store_true", help="read forwards and backwards")
    flags.add_argument(
        "--implementation", choices=["cell", "layer"], default="layer", help="5.12 or 5.13 (default: %(default)s)"
    )
    flags.add_argument("--attention", action="store_true", help="let the words of one sentence look at the other's")
    args = classify.parse_flags(flags, argv, ("cell", "layers", "bidirectional", "implementation", "attention"))
    if args.implementation == "cell" and (args.layers > 1 or args.bidirectional or args.attention):
        flags.error("--implementation cell is one layer read forwards; layers, directions and attention need 'layer'")
    return args


def main(argv=None):
    cli.dispatch(read_flags(argv), train, evaluate=evaluate, predict=predict)


if __name__ == "__main__":
    cli.run(main)
