"""SPINN reads sentences along their parse trees, and parses them itself (listings 5.14 to 5.17, arXiv 1603.06021).

    python ch05_sequence/spinn.py                                       the embedded pairs of sentences
    python ch05_sequence/spinn.py --implementation page --epochs 1      the same through the page's own code
    python ch05_sequence/spinn.py --predict "A soccer game with multiple males playing." "Some men are playing a sport."
    python ch05_sequence/spinn.py --data SST --out runs/sentiment       sentiment, a label at every node of a tree

Training goes along the trees of the data. With a tracker, it learns on the way to say the next move, and at the end the
network reads plain sentences (`--transitions predicted`); with `--tracker-dim 0 --transitions gold` there is none, and
every sentence needs its parse: `--predict "( ( A dog ) runs )" ...`. A run leaves `steps.png` (figure 5.10),
`parse.png`, `confusion.png`, `curves.png` and the weights in `runs/spinn`.
"""

import functools

import torch
import torch.nn.functional as F
from ignite.metrics import Loss
from torch import nn

from ch05_sequence import entailment, sentiment
from ch05_sequence.loaders.snli import PAD, PADDING, parse, require_parses
from ch05_sequence.pictures import spinn as spinn_pictures
from ch05_sequence.simple_rnn import RNNClassifier, join
from ch05_sequence.spinn_fast.batched import BatchedSPINN
from ch05_sequence.spinn_page import SPINN
from common import cli
from common.cli import UserError

IMPLEMENTATIONS = {"page": SPINN, "batched": BatchedSPINN}

# What a run does unless a flag says otherwise. The embedded pairs are so many that dropout costs more than it gives.
RECIPES = {
    "pairs": dict(epochs=6, batch_size=64, lr=4e-3, embed_dim=100, hidden_size=100, dropout=0.0, clip=5.0),
    "sentiment": dict(epochs=5, batch_size=32, lr=2e-3, embed_dim=150, hidden_size=150, dropout=0.5, clip=5.0),
}


class TreeEncoder(nn.Module):
    """A word's embedding becomes its node's h and c, then SPINN.

    Args:
        spinn: one of `IMPLEMENTATIONS`.
        follow: whose moves to make where nothing is learnt, "gold" or "predicted"; training follows the data's.
    """

    def __init__(self, embed_dim, spinn, follow):
        super().__init__()
        self.embed_dim, self.size, self.follow = embed_dim, spinn.size, follow
        self.project = nn.Linear(embed_dim, 2 * spinn.size)
        self.spinn = spinn

    def forward(self, embedded, sentences, every_node=False):
        """Embedded words, (batch, longest, embed_dim), and their `Sentences`, to an `Encoding`."""
        transitions = sentences.transitions if self.training or self.follow == "gold" else None
        return self.spinn(self.project(embedded), sentences.lengths, transitions, every_node)

    def with_moves(self, encoding, *output):
        """What a network returns: its output, and what the tracker learns by or is judged by, if there is one."""
        if self.training and self.spinn.predict:
            return *output, encoding.scores
        return (*output, encoding.transitions) if not self.training and self.follow == "predicted" else output


class SPINNClassifier(RNNClassifier):
    """The classifier of listing 5.10 with SPINN for an encoder."""

    def forward(self, both):
        """Premises and then as many hypotheses, as one `Sentences`, to a tuple: logits (batch, classes), and the
        scores of the moves in training, or the moves that were predicted."""
        encoding = self.encoder(self.embed(both.words), both)
        return self.encoder.with_moves(encoding, self.classifier(encoding.sentence.chunk(2)))


class SentimentClassifier(nn.Module):
    """A label for every node of every tree; dropout on the words and on the nodes."""

    def __init__(self, vocab_dim, encoder, dropout):
        super().__init__()
        self.embed = nn.Embedding(vocab_dim, encoder.embed_dim, padding_idx=PAD)
        # Vectors of length 1 or so would drown what can be learnt from 8,000 sentences.
        nn.init.uniform_(self.embed.weight, -0.05, 0.05)
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.label = nn.Linear(encoder.size, 5)

    def forward(self, sentences):
        """`Sentences` to a tuple: logits of negative and positive, (batch, 2), those of the five labels at all nodes,
        (batch, moves, 5), and the moves as above."""
        encoding = self.encoder(self.dropout(self.embed(sentences.words)), sentences, every_node=True)
        root, nodes = self.label(encoding.sentence), self.label(self.dropout(encoding.nodes))
        sides = torch.stack((root[:, :2].logsumexp(1), root[:, 3:].logsumexp(1)), 1)
        return self.encoder.with_moves(encoding, sides, nodes)


def move_loss(scores, transitions):
    """How far the tracker is from the data's moves: the mean cross entropy over all moves."""
    return F.cross_entropy(scores.flatten(0, 1), transitions.flatten(), ignore_index=PADDING)


def pair_loss(weight, output, target):
    """The loss of the classes, and in training `weight` times the tracker's."""
    logits, *moves = output
    loss = F.cross_entropy(logits, target[0])
    # Scores have one axis more than moves, which are no longer to be learnt from.
    return loss + weight * move_loss(moves[0], target[1]["transitions"]) if moves and moves[0].dim() == 3 else loss


def tree_loss(weight, output, target):
    """The mean loss of the labels of all nodes, and in training `weight` times the tracker's.

    On moves of the network's own there are other nodes than those that have labels: then that of the two classes.
    """
    sides, nodes, *moves = output
    if moves and moves[0].dim() == 2:
        return F.cross_entropy(sides, target[0])
    loss = F.cross_entropy(nodes.flatten(0, 1), target[1]["nodes"].flatten(), ignore_index=sentiment.NO_NODE)
    return loss + weight * move_loss(moves[0], target[1]["transitions"]) if moves else loss


def share_right(output, target):
    """The share of the predicted moves that are those of the data."""
    moves, gold = output[-1], target[1]["transitions"]
    return (moves == gold)[gold != PADDING].float().mean()


def move_metrics(args):
    """`transition_accuracy`, where the network makes its own moves."""
    if args.transitions == "gold":
        return {}
    counts = dict(batch_size=lambda target: (target[1]["transitions"] != PADDING).sum().item())
    return {"transition_accuracy": Loss(share_right, device=args.device, **counts)}


def prepare_pairs(batch, device, non_blocking=False):
    """ignite's `prepare_batch`: all sentences of a batch of pairs, and the target (labels, {"transitions"})."""
    (premise, hypothesis), labels = batch
    both = join(premise, hypothesis).to(device, non_blocking)
    return both, (labels.to(device, non_blocking=non_blocking), {"transitions": both.transitions})


def prepare_trees(batch, device, non_blocking=False):
    """ignite's `prepare_batch`: sentences, and as the target (classes, {"nodes", "transitions"})."""
    sentences, *target = batch
    sentences = sentences.to(device, non_blocking)
    classes, *nodes = (part.to(device, non_blocking=non_blocking) for part in target)
    return sentences, (classes, {"nodes": nodes[0] if nodes else None, "transitions": sentences.transitions})


def open_pairs(args):
    """`entailment.open_data`, and every sentence has a parse."""
    splits = entailment.open_data(args)
    for pairs in splits.values():
        require_parses(pairs)
    return splits


def read_sentences(args, texts, vocabulary):
    """The sentences of `--predict`, plain, or as binary parses with brackets, as one `Sentences`.

    Raises:
        UserError: a plain sentence where the network has to be given the parse; brackets that build no tree.
    """
    if not any(text.lstrip().startswith("(") for text in texts):
        if args.transitions == "gold":
            raise UserError(
                f"--predict {texts[0]!r}: no parse; expected '( ( A dog ) runs )', or --transitions predicted"
            )
        tokens = [entailment.tokenize(text.lower()) for text in texts]
        if [] in tokens:
            raise UserError(f"--predict: sentence {tokens.index([]) + 1} is empty; expected words")
        return entailment.pad([vocabulary.lookup(sentence) for sentence in tokens])
    parsed = []
    for text in texts:
        try:
            parsed.append(parse(text.lower()))
        except ValueError as mistake:
            raise UserError(f"--predict {text!r}: {mistake}; expected a binary parse of each sentence") from None
    plain = entailment.pad([vocabulary.lookup(words) for words, _ in parsed])
    fill = 2 * plain.words.size(1) - 1
    moves = [F.pad(torch.tensor(moves), (0, fill - len(moves)), value=PADDING) for _, moves in parsed]
    return plain._replace(transitions=torch.stack(moves))


def read_pairs(args, texts, vocabulary):
    """`entailment.read_pairs`, with parses where they are given."""
    names, pairs = entailment.read_pairs(texts, vocabulary)
    if args.transitions == "gold" or any(text.lstrip().startswith("(") for text in texts):
        pairs = tuple(read_sentences(args, texts[first::2], vocabulary) for first in (0, 1))
        names = [f"{premise} / {hypothesis}" for premise, hypothesis in zip(texts[::2], texts[1::2])]
    return names, pairs


def build_encoder(args):
    """The encoder that the flags describe; a tracker always learns to predict."""
    tracker_dim = args.tracker_dim or None
    spinn = IMPLEMENTATIONS[args.implementation](args.hidden_size, tracker_dim, predict=tracker_dim is not None)
    return TreeEncoder(args.embed_dim, spinn, args.transitions)


def build_classifier(args, vocabulary):
    """The network for pairs."""
    return SPINNClassifier(len(vocabulary), build_encoder(args), fc1_dim=args.hidden_size, dropout=args.dropout)


def build_sentiment(args, vocabulary):
    """The network for single sentences."""
    return SentimentClassifier(len(vocabulary), build_encoder(args), args.dropout)


def program(args):
    """The task that `--data` asks for."""
    common = dict(pictures=spinn_pictures.draw, metrics=move_metrics)
    title = f"SPINN, {args.transitions} moves"
    if args.sentiment:
        return entailment.Program(
            title,
            build_sentiment,
            functools.partial(tree_loss, args.transition_weight),
            prepare_trees,
            open=lambda args: sentiment.open_sentiment(args.data),
            classes=sentiment.CLASSES,
            read=lambda texts, vocabulary: (texts, read_sentences(args, texts, vocabulary)),
            unit="sentences",
            **common,
        )
    return entailment.Program(
        title,
        build_classifier,
        functools.partial(pair_loss, args.transition_weight),
        prepare_pairs,
        open=open_pairs,
        read=lambda texts, vocabulary: read_pairs(args, texts, vocabulary),
        **common,
    )


def read_flags(argv=None):
    """The flags; what is not given comes from the recipe of the task."""
    flags = entailment.flags(__doc__, **RECIPES["pairs"])
    flags.add_argument(
        "--implementation", choices=[*IMPLEMENTATIONS], default="batched", help="same results (default: %(default)s)"
    )
    flags.add_argument("--tracker-dim", type=cli.count, default=32, help="0 for no tracker (default: %(default)s)")
    flags.add_argument(
        "--transitions",
        choices=["gold", "predicted"],
        default="predicted",
        help="to score and predict along the data's parses or the tracker's (default: %(default)s)",
    )
    flags.add_argument(
        "--transition-weight", type=cli.positive_float, default=1.0, help="of the tracker's loss (default: %(default)s)"
    )
    data = flags.parse_known_args(argv)[0].data
    is_sentiment = data != "sample" and sentiment.folder_of(data) is not None
    flags.set_defaults(sentiment=is_sentiment, **RECIPES["sentiment" if is_sentiment else "pairs"])
    args = entailment.parse(flags, ("tracker_dim", "transitions", "sentiment"), argv)
    if args.transitions == "predicted" and not args.tracker_dim:
        flags.error("--transitions predicted needs a tracker: give --tracker-dim, or --transitions gold")
    return args


def main(argv=None):
    args = read_flags(argv)
    entailment.main(args, program(args))


if __name__ == "__main__":
    cli.run(main)
