"""The task of this chapter: of two sentences, does the second follow from the first, or contradict it, or neither?"""

from pathlib import Path

from torch import nn

from ch05_sequence import classify
from ch05_sequence.loaders.snli import LABELS, Sentences, open_file, open_snli
from common.errors import UserError
from data import sample
from data.sentence_pairs import make_sentence_pairs


def prepare_pairs(batch, device, non_blocking=False):
    """ignite's `prepare_batch`: a batch of `Pairs` on the device, as (premise, hypothesis) and labels."""
    (premise, hypothesis), labels = batch
    move = dict(device=device, non_blocking=non_blocking)
    return (premise.to(**move), hypothesis.to(**move)), labels.to(**move)


PAIRS = classify.Task("pairs", LABELS, prepare_pairs)


def open_pairs(args, vocabulary=None):
    """The splits "train", "dev" and "test" of `--data`; the sample is written when it is first asked for."""
    root = sample(make_sentence_pairs) if args.data == "sample" else Path(args.data)
    splits = open_snli(root, cache=args.cache, vocabulary=vocabulary, seed=args.seed)
    tell_skipped(splits.values())
    return splits


def open_to_score(args, vocabulary):
    """The split that `--evaluate` names, or the reader's own file, with the vocabulary of the trained network."""
    if args.evaluate in ("train", "dev", "test"):
        return open_pairs(args, vocabulary)[args.evaluate]
    if not Path(args.evaluate).is_file():
        raise UserError(f"--evaluate {args.evaluate}: no split and no file; expected train, dev, test or JSON lines")
    pairs = open_file(args.evaluate, vocabulary, cache=args.cache)
    tell_skipped([pairs])
    return pairs


def tell_skipped(splits):
    if skipped := sum({pairs.path: pairs.skipped for pairs in splits}.values()):
        print(f"{skipped} pairs left out: their annotators did not agree on a label")


def evaluate(args, build, draw, task=PAIRS, criterion=None, check=lambda pairs: None):
    """Scores the run that `--evaluate` is about.

    Args:
        build: `(args, vocabulary)` to the network.
        check: refuses pairs that the network cannot read.
    """
    model, vocabulary = classify.trained(args, build)
    pairs = open_to_score(args, vocabulary)
    check(pairs)
    classify.evaluate(args, task, model, criterion or nn.CrossEntropyLoss(), pairs, draw)


def predict(args, build, task=PAIRS):
    """Says what a trained network thinks of the sentences of `--predict`, premise and hypothesis in turn."""
    texts = args.predict
    if len(texts) % 2:
        raise UserError(f"--predict: {len(texts)} sentences make no pairs; expected premise and hypothesis in turn")
    model, vocabulary = classify.trained(args, build)
    words, sentences = classify.read_sentences(args, vocabulary)
    pair = [Sentences(*(part if part is None else part[first::2] for part in sentences)) for first in (0, 1)]
    names = [f"{premise} / {hypothesis}" for premise, hypothesis in zip(texts[::2], texts[1::2])]
    classify.predict(args, task, model, vocabulary, [*zip(names, zip(words[::2], words[1::2]))], tuple(pair))
