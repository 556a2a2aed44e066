"""SPINN learns the sentiment of every node of a tree: the Stanford Sentiment Treebank (Socher and others 2013).

    python ch05_sequence/sentiment.py --data SST                        SST/trees/train.txt, dev.txt, test.txt
    python ch05_sequence/sentiment.py --data SST --tracker-dim 0        along the treebank's parses
    python ch05_sequence/sentiment.py --predict "A charming and funny film ."

Sentences are scored as negative or positive by their root; those neutral as a whole are only learnt from. It prints and
leaves what spinn.py does, in `runs/sentiment`.
"""

import functools

import torch
import torch.nn.functional as F
from torch import nn

from ch05_sequence import classify, spinn
from ch05_sequence.loaders.snli import PAD
from ch05_sequence.loaders.treebank import CLASSES, NO_NODE, open_treebank, open_trees
from ch05_sequence.simple_rnn import set_up
from ch05_sequence.spinn import build_encoder, draw_parser, move_loss, move_metrics
from common import cli
from common.errors import UserError

DEFAULTS = dict(epochs=5, batch_size=32, lr=2e-3, embed_dim=150, hidden_size=150, dropout=0.5, clip=5.0, tracker_dim=32)


class SentimentClassifier(nn.Module):
    """A label for every node of every tree; dropout on the words and on the nodes."""

    def __init__(self, vocab_dim, encoder, dropout):
        super().__init__()
        self.embed = nn.Embedding(vocab_dim, encoder.embed_dim, padding_idx=PAD)
        with torch.no_grad():  # numbers as large as torch's would drown what can be learnt from 8,000 sentences
            self.embed.weight.mul_(0.03)
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.label = nn.Linear(encoder.size, 5)

    def forward(self, sentences):
        """`Sentences` to a dictionary: "logits" of negative and positive, (batch, 2), those of the five labels at all
        "nodes", (batch, moves, 5), and the encoder's `moves`."""
        encoding = self.encoder(self.dropout(self.embed(sentences.words)), sentences, every_node=True)
        root, nodes = self.label(encoding.sentence), self.label(self.dropout(encoding.nodes))
        sides = torch.stack((root[:, :2].logsumexp(1), root[:, 3:].logsumexp(1)), 1)
        return {"logits": sides, "nodes": nodes, **self.encoder.moves(encoding)}


def tree_loss(criterion, weight, output, target):
    """The mean loss of the labels of all nodes, and in training `weight` times the tracker's.

    On moves of the network's own there are other nodes than those that have labels: then that of the two classes.
    """
    if "moves" in output:
        return criterion(output["logits"], target["labels"])
    loss = F.cross_entropy(output["nodes"].flatten(0, 1), target["nodes"].flatten(), ignore_index=NO_NODE)
    if "move_scores" in output:
        loss = loss + weight * move_loss(output["move_scores"], target["transitions"])
    return loss


def prepare_trees(batch, device, non_blocking=False):
    """ignite's `prepare_batch`: a batch of `Trees` on the device, as sentences and classes, nodes' labels and moves."""
    sentences, classes, nodes = (part.to(device, non_blocking=non_blocking) for part in batch)
    return sentences, {"labels": classes, "nodes": nodes, "transitions": sentences.transitions}


def task(args):
    return classify.Task("sentences", CLASSES, prepare_trees, move_metrics(args))


def build(args, vocabulary):
    return SentimentClassifier(len(vocabulary), build_encoder(args), args.dropout)


def draw(args, model, trees, folder):
    some = [*range(min(len(trees), 200))]
    sentences, *_ = trees.__getitems__(some)
    draw_parser(args, model, trees.vocabulary, [trees[index][0] for index in some], sentences, folder)


def open_splits(args, vocabulary=None):
    return open_treebank(args.data, vocabulary)


def train(args):
    splits = open_splits(args)
    vocabulary = splits["train"].vocabulary
    model = build(args, vocabulary)
    criterion, opt = set_up(args, model, vocabulary)
    criterion = functools.partial(tree_loss, criterion, args.transition_weight)
    title = f"SPINN on sentiment, {args.transitions} moves"
    classify.train(args, title, task(args), model, criterion, opt, splits, draw)


def evaluate(args):
    model, vocabulary = classify.trained(args, build)
    trees = classify.open_to_score(args, vocabulary, open_splits, open_trees, "trees")
    criterion = functools.partial(tree_loss, nn.CrossEntropyLoss(), args.transition_weight)
    classify.evaluate(args, task(args), model, criterion, trees, draw)


def predict(args):
    model, vocabulary = classify.trained(args, build)
    words, sentences = classify.read_sentences(args, vocabulary)
    examples = [(text, [sentence]) for text, sentence in zip(args.predict, words)]
    classify.predict(model, vocabulary, CLASSES, examples, sentences.to(args.device))


def read_flags(argv=None):
    args = spinn.read_flags(argv, __doc__, DEFAULTS)
    if args.data == "sample":
        raise UserError("--data DIR is needed: the treebank's folder, with trees/train.txt and trees/dev.txt")
    return args


def main(argv=None):
    cli.dispatch(read_flags(argv), train, evaluate=evaluate, predict=predict)


if __name__ == "__main__":
    cli.run(main)
