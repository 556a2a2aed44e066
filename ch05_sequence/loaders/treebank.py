"""The Stanford Sentiment Treebank (Socher and others 2013): binary trees over sentences, a sentiment at every node.

A line of its files is a tree: `(3 (2 It) (4 (2 works) (2 .)))`. Labels go from 0, very negative, over 2, neutral, to 4.
"""

import contextlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from ch05_sequence.loaders.snli import Vocabulary, parse, sentences_of, tell_unknown
from ch05_sequence.loaders.snli_file import shorten
from common.errors import UserError
from common.files import read_lines

CLASSES = ("negative", "positive")
NO_NODE = -1  # what fills up the labels of the nodes
NEUTRAL = 2
# Only spaces part words: in some of them, such as "2 1/2", is one that does not break.
BRACKET = re.compile(r"\(([^ ()]*)|\)")
LEAF = re.compile(r"\([^ ()]* +([^ ()]+) *\)")


def read_tree(line):
    """One line of a file.

    Returns:
        the words, the moves of the shift-reduce parser, and the label of the node that each move makes.

    Raises:
        ValueError: with what was found and what was expected.
    """
    labels, opened = [], []
    for bracket in BRACKET.finditer(line):
        if bracket[0] == ")":
            labels += [opened.pop()] if opened else []
        elif bracket[1] in ("0", "1", "2", "3", "4"):
            opened.append(int(bracket[1]))
        else:
            raise ValueError(f"label {bracket[1]!r}; expected 0, 1, 2, 3 or 4")
    # Without labels, and without brackets around a word, it is a parse as SNLI's are.
    bare = BRACKET.sub(lambda bracket: f" {bracket[0][0]} ", LEAF.sub(r" \1 ", line))
    with contextlib.suppress(ValueError):
        words, moves = parse(bare)
        if len(labels) == len(moves):  # a word that never had brackets lacks its label
            return words, moves, labels
    raise ValueError(f"{shorten(line)} is no tree; expected (label word) or (label tree tree)")


def read_trees(path):
    """All trees of a file, as `read_tree` gives them, words in lower case.

    Raises:
        UserError: no such file, or a line that is no tree, with its number.
    """
    trees = []
    for place, line in read_lines(path, "trees of the Stanford Sentiment Treebank"):
        try:
            words, moves, labels = read_tree(line)
        except ValueError as mistake:
            raise UserError(f"{place}: {mistake}") from None
        trees.append(([word.lower() for word in words], moves, labels))
    if not trees:
        raise UserError(f"{path}: no line; expected a tree a line")
    return trees


class Trees(Dataset):
    """Sentences with the labels of all their nodes. It makes whole batches, as `Pairs` does.

    Args:
        trees: from `read_trees`.
        vocabulary: of the training split.
    """

    def __init__(self, trees, vocabulary):
        self.trees, self.vocabulary = trees, vocabulary
        self.groups = None  # no sentences belong together, as the pairs of one premise do
        self.lengths = torch.tensor([len(words) for words, _, _ in trees])

    def __len__(self):
        return len(self.trees)

    def __getitem__(self, index):
        """The words of a sentence, and the label of its root, from 0 to 4."""
        words, _, labels = self.trees[index]
        return words, labels[-1]

    def __getitems__(self, indices):
        """A batch: `Sentences`, the classes of the roots, (batch,), and the labels of all nodes, (batch, moves)."""
        words, moves, labels = zip(*(self.trees[index] for index in indices))
        sentences = sentences_of([*map(self.vocabulary.lookup, words)], moves)
        classes = torch.tensor([int(of_nodes[-1] > NEUTRAL) for of_nodes in labels])
        return sentences, classes, pad_sequence([*map(torch.tensor, labels)], True, NO_NODE)


def open_treebank(data, vocabulary=None):
    """The splits "train", "dev" and "test" of the treebank; sentences neutral as a whole are for training only.

    Where there is no `test.txt`, `dev.txt` is the test, and a tenth of the training sentences chooses the weights.
    Training sentences that are in another split too are left out. What was done is printed.

    Args:
        data: the folder of `train.txt`, or that of `trees/train.txt`.
        vocabulary: the words that a trained network knows; by default that of the training split is made.

    Raises:
        UserError: a file is missing, or a line is no tree.
    """
    folder = Path(data, "trees") if Path(data, "trees").is_dir() else Path(data)
    paths = {split: folder / f"{split}.txt" for split in ("train", "dev", "test")}
    trees = {split: read_trees(path) for split, path in paths.items() if split != "test" or path.is_file()}
    kept_apart = {tuple(words) for split in trees if split != "train" for words, _, _ in trees[split]}
    training = [tree for tree in trees["train"] if tuple(tree[0]) not in kept_apart]
    if left_out := len(trees["train"]) - len(training):
        print(f"{paths['train']}: {left_out} of its {len(trees['train'])} sentences are for scoring too, and left out")
    if "test" not in trees:
        order = np.random.default_rng(0).permutation(len(training))
        tenth = set(order[: len(training) // 10].tolist())
        trees["test"], trees["dev"] = trees["dev"], [training[index] for index in sorted(tenth)]
        training = [tree for index, tree in enumerate(training) if index not in tenth]
        print(f"no test.txt: dev.txt is the test; {len(tenth)} sentences of train.txt choose the weights instead")
    vocabulary = vocabulary or Vocabulary.of_counts(Counter(word for words, _, _ in training for word in words))
    splits = {"train": training} | {split: without_neutral(trees[split], split) for split in ("dev", "test")}
    return {split: Trees(part, vocabulary) for split, part in splits.items()}


def open_trees(path, vocabulary):
    """The trees of a file of one's own, with the vocabulary of a trained network; what it does not know is printed."""
    trees = without_neutral(read_trees(path), path)
    if not trees:
        raise UserError(f"{path}: only neutral sentences; expected negative and positive ones")
    tell_unknown(path, [word for words, _, _ in trees for word in words], vocabulary)
    return Trees(trees, vocabulary)


def without_neutral(trees, name):
    decided = [tree for tree in trees if tree[2][-1] != NEUTRAL]
    print(f"{name}: {len(trees) - len(decided)} neutral sentences of {len(trees)} left out")
    return decided
