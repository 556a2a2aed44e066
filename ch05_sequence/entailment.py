"""The task of this chapter: of two sentences, does the second follow from the first, or contradict it, or neither?"""

from pathlib import Path

from ch05_sequence import classify
from ch05_sequence.loaders.snli import LABELS, Sentences, open_file, open_snli
from common.errors import UserError
from data import sample
from data.sentence_pairs import make_sentence_pairs


def prepare_pairs(batch, device, non_blocking=False):
    """ignite's `prepare_batch`: a batch of `Pairs` on the device, as (premise, hypothesis) and labels."""
    pair, labels = batch
    pair = tuple(sentences.to(device, non_blocking) for sentences in pair)
    return pair, labels.to(device, non_blocking=non_blocking)


PAIRS = classify.Task("pairs", LABELS, prepare_pairs)


def open_pairs(args, vocabulary=None):
    """The splits "train", "dev" and "test" of `--data`; the sample is written when it is first asked for."""
    root = sample(make_sentence_pairs) if args.data == "sample" else Path(args.data)
    return open_snli(root, vocabulary, args.seed)


def open_to_score(args, vocabulary):
    """The pairs that `--evaluate` is about."""
    return classify.open_to_score(args, vocabulary, open_pairs, open_file, "JSON lines")


def predict(args, build):
    """Says what a trained network thinks of the sentences of `--predict`, premise and hypothesis in turn.

    Args:
        build: `(args, vocabulary)` to the network.
    """
    texts = args.predict
    if len(texts) % 2:
        raise UserError(f"--predict: {len(texts)} sentences make no pairs; expected premise and hypothesis in turn")
    model, vocabulary = classify.trained(args, build)
    words, sentences = classify.read_sentences(args, vocabulary)
    sentences = sentences.to(args.device)
    pair = [Sentences(*(part if part is None else part[first::2] for part in sentences)) for first in (0, 1)]
    names = [f"{premise} / {hypothesis}" for premise, hypothesis in zip(texts[::2], texts[1::2])]
    classify.predict(model, vocabulary, LABELS, zip(names, zip(words[::2], words[1::2])), pair)
