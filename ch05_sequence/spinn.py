"""SPINN reads sentences along their parse trees, and parses them itself (listings 5.14 to 5.17, arXiv 1603.06021).

    python ch05_sequence/spinn.py                                       the embedded pairs of sentences
    python ch05_sequence/spinn.py --implementation page --epochs 1      the same through the lines of spinn_page.py
    python ch05_sequence/spinn.py --predict "A man is following a dog." "A dog is following a man."

Reduce, Tracker and SPINN are in spinn_page.py, as the page has them. What runs by default is their faster twin, in
spinn_fast, as long as both give the same answers: change a line of the page's, and it is the page's code that runs. A
printed line says which.

Training goes along the trees of the data. With a tracker, it learns on the way to say the next move, and at the end the
network reads plain sentences (`--transitions predicted`). On the page Reduce is told what the tracker has seen, too
(`--tracking`): so told, it answers fewer pairs of the sample right. With `--tracker-dim 0` there is no tracker, and
every sentence needs its parse: `--predict "((A man) sleeps)" ...`. A run leaves `steps.png` (figure 5.10), `plan.png`,
`words.png`, `confusion.png`, `curves.png` and the weights in `runs/spinn`.
"""

import functools

import torch.nn.functional as F
from ignite.metrics import Loss
from torch import nn

from ch05_sequence import classify, entailment
from ch05_sequence.loaders.snli import LABELS, PADDING, distinct, require_parses, together
from ch05_sequence.pictures import spinn as spinn_pictures
from ch05_sequence.pictures.rnn import save_words
from ch05_sequence.simple_rnn import RNNClassifier, set_up
from ch05_sequence.spinn_fast.batched import BatchedSPINN, agrees_with_page
from ch05_sequence.spinn_page import SPINN
from common import cli

DEFAULTS = dict(
    epochs=6,
    batch_size=96,
    lr=4e-3,
    embed_dim=100,
    hidden_size=100,
    dropout=0.1,
    clip=5.0,
    tracker_dim=16,
    word_rate=10.0,
    weight_decay=0.1,
)


class TreeEncoder(nn.Module):
    """A word's embedding becomes its node's h and c, then SPINN.

    Args:
        spinn: a `SPINN` or a `BatchedSPINN`.
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

    def moves(self, encoding):
        """What a network gives beside its logits: "move_scores" in training, to learn from, or "moves" of its own."""
        if self.training:
            return {"move_scores": encoding.scores} if self.spinn.predict else {}
        return {"moves": encoding.transitions} if self.follow == "predicted" else {}


class SPINNClassifier(RNNClassifier):
    """The classifier of listing 5.10 with SPINN for an encoder."""

    def forward(self, pair):
        """From (premise, hypothesis), two `Sentences`, to a dictionary: "logits", (batch, classes), and `moves`."""
        both, rows = distinct(together(*pair))  # a premise of many pairs is read once
        encoding = self.encoder(self.embed(both.words), both)
        moves = {name: found[rows] for name, found in self.encoder.moves(encoding).items()}
        return {"logits": self.classifier(encoding.sentence[rows].chunk(2)), **moves}


def move_loss(scores, transitions):
    """How far the tracker is from the data's moves: the mean cross entropy over all moves."""
    return F.cross_entropy(scores.flatten(0, 1), transitions.flatten(), ignore_index=PADDING)


def pair_loss(criterion, weight, output, target):
    """The loss of the classes, and in training `weight` times the tracker's."""
    loss = criterion(output["logits"], target["labels"])
    if "move_scores" in output:
        loss = loss + weight * move_loss(output["move_scores"], target["transitions"])
    return loss


def share_right(output, target):
    """The share of the network's own moves that are those of the data."""
    gold = target["transitions"]
    return (output["moves"] == gold)[gold != PADDING].float().mean()


def move_metrics(args):
    """`transition_accuracy`, where the network makes its own moves."""
    if args.transitions == "gold":
        return {}
    counts = dict(batch_size=lambda target: (target["transitions"] != PADDING).sum().item())
    return {"transition_accuracy": Loss(share_right, device=args.device, **counts)}


def prepare_pairs(batch, device, non_blocking=False):
    """ignite's `prepare_batch`: a batch of `Pairs` on the device, as (premise, hypothesis) and labels and moves."""
    pair, labels = entailment.prepare_pairs(batch, device, non_blocking)
    return pair, {"labels": labels, "transitions": together(*pair).transitions}


def build_encoder(args):
    """The encoder that the flags describe; a tracker always learns to predict. Says whose code it is."""
    Network, of_tracker = BatchedSPINN, dict(predict=args.tracker_dim > 0, tracking=args.tracking)
    if args.implementation == "batched":
        print("SPINN's batched twin runs, whatever is changed in spinn_page.py")
    elif args.implementation == "auto" and agrees_with_page(**of_tracker):
        print("SPINN's batched twin runs, whose answers are those of spinn_page.py (--implementation page runs that)")
    else:
        Network = SPINN
        changed = ", whose answers are no longer its batched twin's" * (args.implementation == "auto")
        print(f"spinn_page.py runs{changed}")
    spinn = Network(args.hidden_size, args.tracker_dim or None, **of_tracker)
    return TreeEncoder(args.embed_dim, spinn, args.transitions)


def build(args, vocabulary):
    encoder = build_encoder(args)
    return SPINNClassifier(len(vocabulary), encoder, args.hidden_size, dropout=args.dropout)


def draw_parser(args, model, vocabulary, texts, sentences, folder):
    """Draws the parser and the embedding, and prints a parse.

    Args:
        texts: the words of some sentences, a list of lists.
        sentences: the same as `Sentences`, with their parses.
    """
    save_words(model.embed.weight, vocabulary.words, folder / "words.png")
    gold = [[move for move in moves if move != PADDING] for moves in sentences.transitions.tolist()]
    spinn_pictures.save_steps(texts, gold, folder / "steps.png")
    spinn_pictures.save_plan(texts, gold, args.tracking, folder / "plan.png")
    if args.tracker_dim:
        sentences = sentences.to(args.device)
        nodes = model.encoder.project(model.embed(sentences.words))
        moves = model.encoder.spinn(nodes, sentences.lengths).transitions.tolist()
        print(spinn_pictures.compare(texts, moves, gold))


def draw(args, model, pairs, folder):
    some = [*range(min(len(pairs), 200))]
    (premises, _), _ = pairs.__getitems__(some)
    draw_parser(args, model, pairs.vocabulary, [pairs[index][0] for index in some], premises, folder)


def task(args):
    return classify.Task("pairs", LABELS, prepare_pairs, move_metrics(args))


def train(args):
    splits = entailment.open_pairs(args)
    for pairs in splits.values():
        require_parses(pairs)
    vocabulary = splits["train"].vocabulary
    model = build(args, vocabulary)
    criterion, opt = set_up(args, model, vocabulary)
    criterion = functools.partial(pair_loss, criterion, args.transition_weight)
    classify.train(args, f"SPINN, {args.transitions} moves", task(args), model, criterion, opt, splits, draw)


def evaluate(args):
    model, vocabulary = classify.trained(args, build)
    pairs = entailment.open_to_score(args, vocabulary)
    require_parses(pairs)
    criterion = functools.partial(pair_loss, nn.CrossEntropyLoss(), args.transition_weight)
    classify.evaluate(args, task(args), model, criterion, pairs, draw)


def predict(args):
    entailment.predict(args, build)


def read_flags(argv=None, doc=__doc__, defaults=DEFAULTS):
    """The flags; `sentiment.py` has the same with other defaults."""
    flags = classify.flags(doc, **defaults)
    flags.add_argument(
        "--implementation", choices=["auto", "page", "batched"], default="auto", help="(default: %(default)s)"
    )
    flags.add_argument("--tracker-dim", type=cli.count, help="0 for no tracker (default: %(default)s)")
    flags.add_argument("--tracking", action="store_true", help="tell Reduce what the tracker has seen, as on the page")
    flags.add_argument(
        "--transitions",
        choices=["gold", "predicted"],
        help="to score and predict along the data's parses or, with a tracker, its own (default: predicted if it can)",
    )
    flags.add_argument(
        "--transition-weight", type=cli.positive_float, default=1.0, help="of the tracker's loss (default: %(default)s)"
    )
    args = classify.parse_flags(flags, argv, ("tracker_dim", "tracking"))
    can = "predicted" if args.tracker_dim else "gold"
    args.transitions = args.transitions or classify.config_of(args).get("transitions", can)
    if args.transitions == "predicted" and not args.tracker_dim:
        flags.error("--transitions predicted needs a tracker: give --tracker-dim, or --transitions gold")
    return args


def main(argv=None):
    cli.dispatch(read_flags(argv), train, evaluate=evaluate, predict=predict)


if __name__ == "__main__":
    cli.run(main)
