"""The Stanford Sentiment Treebank (Socher and others 2013): binary trees over sentences, a sentiment at every node.

A line of its files is a tree: `(3 (2 It) (4 (2 works) (2 .)))`. Labels go from 0, very negative, over 2, neutral, to 4.
"""

import re
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from ch05_sequence.loaders.snli import PAD, PADDING, REDUCE, SHIFT, Sentences, Vocabulary
from common.errors import UserError
from common.files import read_lines

CLASSES = ("negative", "positive")
NO_NODE = -1  # what fills up the labels of the nodes
NEUTRAL = 2
# Only spaces part words: in some of them, such as "2 1/2", is one that does not break.
TOKEN = re.compile(r"[()]|[^ ()]+")


def read_tree(line):
    """One line of a file.

    Returns:
        the words, the moves of the shift-reduce parser, and the label of the node that each move makes.

    Raises:
        ValueError: with what was found and what was expected.
    """
    words, moves, labels, open_nodes = [], [], [], []
    tokens = TOKEN.findall(line)
    at = 0
    while at < len(tokens):
        if moves and not open_nodes:
            raise ValueError(f"{tokens[at]!r} behind the end of the tree")
        if tokens[at] == "(":
            label = tokens[at + 1] if at + 1 < len(tokens) else "nothing"
            if label not in ("0", "1", "2", "3", "4"):
                raise ValueError(f"label {label!r}; expected 0, 1, 2, 3 or 4")
            open_nodes.append([int(label), 0, None])
            at += 2
            continue
        if not open_nodes:
            raise ValueError(f"{tokens[at]!r}; expected a tree, ( label ... )")
        if tokens[at] != ")":
            if open_nodes[-1][2] is not None or open_nodes[-1][1]:
                raise ValueError(f"{tokens[at]!r} where a node ends; expected one word or two nodes")
            open_nodes[-1][2] = tokens[at]
        else:
            label, children, word = open_nodes.pop()
            if children != (0 if word is not None else 2):
                raise ValueError(f"a node with {children} nodes below it; expected one word or two nodes")
            if word is not None:
                words.append(word)
            moves.append(REDUCE if word is None else SHIFT)
            labels.append(label)
            if open_nodes:
                open_nodes[-1][1] += 1
        at += 1
    if open_nodes:
        raise ValueError(f"{len(open_nodes)} brackets are not closed")
    if not moves:
        raise ValueError("an empty line; expected a tree")
    return words, moves, labels


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
    """One split: sentences with the labels of all their nodes.

    Args:
        trees: from `read_trees`.
        vocabulary: of the training split.
        path: of the file, for messages.
    """

    def __init__(self, trees, vocabulary, path):
        self.trees, self.vocabulary, self.path = trees, vocabulary, path
        self.lengths = torch.tensor([len(words) for words, _, _ in trees])
        self._examples = [
            (torch.tensor(vocabulary.lookup(words)), torch.tensor(moves), torch.tensor(labels))
            for words, moves, labels in trees
        ]

    def __len__(self):
        return len(self.trees)

    def __getitem__(self, index):
        """The words of a sentence, and the label of its root, from 0 to 4."""
        words, _, labels = self.trees[index]
        return words, labels[-1]

    def __getitems__(self, indices):
        """A batch: `Sentences`, the classes of the roots, (batch,), and the labels of all nodes, (batch, moves)."""
        words, moves, labels = zip(*(self._examples[index] for index in indices))
        lengths = torch.tensor([len(sentence) for sentence in words])
        fill = dict(batch_first=True)
        sentences = Sentences(
            pad_sequence(words, padding_value=PAD, **fill), lengths, pad_sequence(moves, padding_value=PADDING, **fill)
        )
        roots = torch.tensor([node_labels[-1] for node_labels in labels])
        return sentences, (roots > NEUTRAL).long(), pad_sequence(labels, padding_value=NO_NODE, **fill)


def folder_of(data):
    """The folder of `train.txt` in the treebank's folder, or None if `data` is none."""
    folders = [Path(data), Path(data, "trees")]
    return next((folder for folder in folders if (folder / "train.txt").is_file()), None)


def open_sentiment(data):
    """The splits "train", "dev" and "test" of the treebank; sentences neutral as a whole are for training only.

    Where there is no `test.txt`, `dev.txt` is the test, and a tenth of the training sentences chooses the weights.
    Training sentences that are in another split too are left out. What was done is printed.

    Raises:
        UserError: a file is missing, or a line is no tree.
    """
    folder = folder_of(data)
    paths = {split: folder / f"{split}.txt" for split in ("train", "dev", "test")}
    trees = {split: read_trees(paths[split]) for split in ("train", "dev")}
    if paths["test"].is_file():
        trees["test"] = read_trees(paths["test"])
    kept_apart = {tuple(words) for split in trees if split != "train" for words, _, _ in trees[split]}
    training = [tree for tree in trees["train"] if tuple(tree[0]) not in kept_apart]
    if left_out := len(trees["train"]) - len(training):
        print(f"{paths['train']}: {left_out} of its {len(trees['train'])} sentences are for scoring too, and left out")
    if "test" not in trees:
        order = np.random.default_rng(0).permutation(len(training))
        tenth = set(order[: len(training) // 10].tolist())
        trees["test"], paths["test"] = trees["dev"], paths["dev"]
        trees["dev"], paths["dev"] = [training[index] for index in sorted(tenth)], paths["train"]
        training = [tree for index, tree in enumerate(training) if index not in tenth]
        print(f"no test.txt: dev.txt is the test; {len(tenth)} sentences of train.txt choose the weights instead")
    trees["train"] = training
    counts = {}
    for words, _, _ in training:
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    vocabulary = Vocabulary(counts)
    for split in ("dev", "test"):
        decided = [tree for tree in trees[split] if tree[2][-1] != NEUTRAL]
        print(f"{split}: {len(trees[split]) - len(decided)} neutral sentences of {len(trees[split])} left out")
        trees[split] = decided
    return {split: Trees(trees[split], vocabulary, paths[split]) for split in paths}
