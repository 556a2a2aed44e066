"""A simple RNN reads two sentences and says whether the second follows from the first (listings 5.5 and 5.8 to 5.11).

    python ch05_sequence/simple_rnn.py                                  the embedded pairs of sentences
    python ch05_sequence/simple_rnn.py --data SNLI --vectors glove.6B.300d.txt --embed-dim 300 --hidden-size 300
    python ch05_sequence/simple_rnn.py --predict "A man is following a dog." "A dog is following a man."

It prints a line an epoch and a table of the classes, and leaves `words.png` (the embedding in two dimensions),
`states.png` (the hidden state, word by word), `cell.png` (figure 5.3), `confusion.png`, `curves.png` and the weights in
`runs/simple_rnn`.
"""

import torch
from torch import nn, optim

from ch05_sequence import classify, entailment
from ch05_sequence.loaders.snli import LABELS, PAD, distinct, together
from ch05_sequence.loaders.vectors import load_vectors
from ch05_sequence.pictures import rnn as rnn_pictures
from common import cli

DEFAULTS = dict(epochs=9, batch_size=128, lr=2e-3, embed_dim=100, hidden_size=128, dropout=0.1, clip=1.0)


class RNNCell(nn.Module):
    """One step of a simple RNN: word and hidden state, side by side, through one linear layer (listing 5.5).

    Args:
        vocab_dim: adds the second half of figure 5.3, which predicts a next word; an encoder has no use for it.
    """

    def __init__(self, embed_dim, hidden_size, vocab_dim=None):
        super().__init__()
        self.hidden_size = hidden_size
        self.input2hidden = nn.Linear(embed_dim + hidden_size, hidden_size)
        if vocab_dim is not None:
            self.input2output = nn.Linear(embed_dim + hidden_size, vocab_dim)
            self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, inputs, hidden):
        """From words, (batch, embedding), and states, (batch, hidden), to (output, new states).

        The output is None without `vocab_dim`, else the logarithms of the words' probabilities, (batch, vocabulary).
        """
        combined = torch.cat((inputs, hidden), 1)
        hidden = torch.relu(self.input2hidden(combined))
        output = self.softmax(self.input2output(combined)) if hasattr(self, "input2output") else None
        return output, hidden

    def init_hidden(self, batch_size):
        """The states before the first word: zeros, (batch, hidden)."""
        return self.input2hidden.weight.new_zeros(batch_size, self.hidden_size)


class Encoder(nn.Module):
    """Reads a sentence word by word; its last hidden state is the sentence's meaning (listing 5.8)."""

    def __init__(self, embed_dim, hidden_size):
        super().__init__()
        self.embed_dim, self.size = embed_dim, hidden_size
        self.rnn = RNNCell(embed_dim, hidden_size)

    def forward(self, embedded, lengths):
        """From embedded words, (batch, longest, embedding), and lengths, (batch,), to last states, (batch, hidden)."""
        return self.states(embedded, lengths)[:, -1]

    def states(self, embedded, lengths):
        """The state after each word, (batch, longest, hidden); beyond a sentence's end, its last state."""
        batch, longest, _ = embedded.shape
        inside = torch.arange(longest, device=embedded.device) < lengths.to(embedded.device)[:, None]
        ht, states = self.rnn.init_hidden(batch), []
        for word, reads in zip(embedded.unbind(1), inside.unsqueeze(2).unbind(1)):
            _, new = self.rnn(word, ht)
            # A sentence that has ended keeps its state: what it was padded with must not change its meaning.
            ht = torch.where(reads, new, ht)
            states.append(ht)
        return torch.stack(states, 1)


class Merger(nn.Module):
    """Two sentences, their difference and their product, normalised over the batch (listing 5.9)."""

    def __init__(self, size, dropout=0.5):
        super().__init__()
        self.bn = nn.BatchNorm1d(size * 4)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, data):
        """From (premises, hypotheses), each (batch, size), to (batch, 4 * size)."""
        prem, hypo = data
        return self.dropout(self.bn(torch.cat([prem, hypo, prem - hypo, prem * hypo], 1)))


class RNNClassifier(nn.Module):
    """Embedding, encoder for both sentences, merger and a head of two layers (listing 5.10).

    Args:
        encoder: any module from embedded words and lengths to (batch, encoder.size), with its `embed_dim`.
        fc1_dim, fc2_dim: the widths of the head's layers; the second is the number of classes.
    """

    def __init__(self, vocab_dim, encoder, fc1_dim, fc2_dim=len(LABELS), dropout=0.5):
        super().__init__()
        self.embed = nn.Embedding(vocab_dim, encoder.embed_dim, padding_idx=PAD)
        self.encoder = encoder
        self.classifier = nn.Sequential(
            Merger(encoder.size, dropout),
            nn.Linear(4 * encoder.size, fc1_dim),
            nn.ReLU(),
            nn.BatchNorm1d(fc1_dim),
            nn.Dropout(p=dropout),
            nn.Linear(fc1_dim, fc2_dim),
        )

    def forward(self, pair):
        """From (premise, hypothesis), two `Sentences`, to raw scores (logits), (batch, classes)."""
        return self.classifier(self.encode(*pair))

    def encode(self, premise, hypothesis):
        """The meanings of both, each (batch, encoder.size)."""
        # The encoder goes through its loop only once, and reads a premise of many pairs only once.
        both, rows = distinct(together(premise, hypothesis))
        return self.encoder(self.embed(both.words), both.lengths).index_select(0, rows).chunk(2)


def set_up(args, model, vocabulary):
    """Vectors into the embedding, the loss, and Adam (listing 5.11)."""
    if args.vectors:
        # The page assigns `weight.data`, which takes a tensor of any shape; this one refuses another.
        model.embed.load_state_dict({"weight": load_vectors(args.vectors, vocabulary, args.embed_dim)})
        model.embed.weight.requires_grad_(not args.freeze_vectors)
    criterion = nn.CrossEntropyLoss()
    words = model.to(args.device).embed.weight
    groups = [{"params": [weight for weight in model.parameters() if weight.requires_grad and weight is not words]}]
    if words.requires_grad:
        # Adam's steps are as long for every weight, and would hardly move vectors that start at random, ten units long.
        groups.append({"params": [words], "lr": args.lr * (1 if args.vectors else args.word_rate)})
    # With decay this is AdamW; without, the page's Adam.
    opt = optim.Adam(groups, lr=args.lr, weight_decay=args.weight_decay, decoupled_weight_decay=True, fused=True)
    return criterion, opt


def build(args, vocabulary):
    encoder = Encoder(args.embed_dim, args.hidden_size)
    return RNNClassifier(len(vocabulary), encoder, 2 * args.hidden_size, dropout=args.dropout)


def draw(args, model, pairs, folder):
    """Writes `words.png`, `states.png` of the first premise, and the cell itself, `cell.png`."""
    rnn_pictures.save_words(model.embed.weight, pairs.vocabulary.words, folder / "words.png")
    (premise, _), _ = pairs.__getitems__([0])
    premise = premise.to(args.device)
    states = model.encoder.states(model.embed(premise.words), premise.lengths)[0]
    rnn_pictures.save_steps(pairs[0][0], {"": {"hidden state": states}}, folder / "states.png")
    rnn_pictures.save_cell(RNNCell(args.embed_dim, args.hidden_size, len(pairs.vocabulary)), folder / "cell.png")


def train(args):
    splits = entailment.open_pairs(args)
    vocabulary = splits["train"].vocabulary
    model = build(args, vocabulary)
    criterion, opt = set_up(args, model, vocabulary)
    classify.train(args, "Simple RNN", entailment.PAIRS, model, criterion, opt, splits, draw)


def evaluate(args):
    model, vocabulary = classify.trained(args, build)
    pairs = entailment.open_to_score(args, vocabulary)
    classify.evaluate(args, entailment.PAIRS, model, nn.CrossEntropyLoss(), pairs, draw)


def predict(args):
    entailment.predict(args, build)


def read_flags(argv=None):
    return classify.parse_flags(classify.flags(__doc__, **DEFAULTS), argv)


def main(argv=None):
    cli.dispatch(read_flags(argv), train, evaluate=evaluate, predict=predict)


if __name__ == "__main__":
    cli.run(main)
