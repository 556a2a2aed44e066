"""SNLI: pairs of sentences, and whether the second follows from the first (Bowman and others 2015, arXiv 1508.05326).

`open_snli` gives the splits as data sets. A batch, what listing 5.1 has from a `BucketIterator`, is cut out of packed
integer arrays; how a file becomes such arrays stands in snli_file.py.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

# What is unused here is for those who import it from here.
from ch05_sequence.loaders.snli_file import LABELS, PADDING, REDUCE, SHIFT, parse, read_file, tokenize  # noqa: F401
from common.errors import UserError

UNKNOWN, PAD = 0, 1


class Sentences(NamedTuple):
    """A padded batch of sentences."""

    words: Tensor  # (batch, longest) int64, filled up with PAD
    lengths: Tensor  # (batch,) int64, words of each sentence
    transitions: Tensor | None  # (batch, 2 * longest - 1) int64, filled up with PADDING; None where parses are missing

    def to(self, device, non_blocking=False):
        """The same batch on another device."""
        return Sentences(*(part if part is None else part.to(device, non_blocking=non_blocking) for part in self))


def sentences_of(words, moves):
    """Lists of words' numbers, and of their moves or of None, a list a sentence, as `Sentences`."""
    padded = pad_sequence([*map(torch.tensor, words)], True, PAD)
    transitions = pad_sequence([*map(torch.tensor, moves)], True, PADDING) if all(moves) else None
    return Sentences(padded, torch.tensor([*map(len, words)]), transitions)


def distinct(sentences):
    """Each sentence of a batch once, as `Sentences`, and for each sentence of the batch its row there, (batch,)."""
    words, _, moves = sentences
    _, rows = (words if moves is None else torch.cat((words, moves), 1)).unique(dim=0, return_inverse=True)
    one = rows.new_zeros(int(rows.max()) + 1).scatter_(0, rows, torch.arange(len(rows), device=rows.device))
    return Sentences(*(part if part is None else part[one.to(part.device)] for part in sentences)), rows


def together(first, second):
    """Two batches of `Sentences` as one: the rows of the first, then those of the second."""

    def below(upper, lower, fill):
        longest = max(upper.shape[1], lower.shape[1])
        return torch.cat([F.pad(part, (0, longest - part.shape[1]), value=fill) for part in (upper, lower)])

    parsed = first.transitions is not None and second.transitions is not None
    moves = below(first.transitions, second.transitions, PADDING) if parsed else None
    return Sentences(below(first.words, second.words, PAD), torch.cat((first.lengths, second.lengths)), moves)


class Vocabulary:
    """The words that a network knows, a list: `<unk>`, `<pad>`, then the others."""

    def __init__(self, words):
        self.words = words
        self._numbers = {word: number for number, word in enumerate(words)}

    @classmethod
    def of_counts(cls, counts):
        """In torchtext's order: the most frequent first, of words as frequent the alphabetically first.

        Args:
            counts: word -> how often it occurs.
        """
        special = ["<unk>", "<pad>"]
        return cls(special + sorted(counts.keys() - special, key=lambda word: (-counts[word], word)))

    def __len__(self):
        return len(self.words)

    def lookup(self, tokens):
        """The indices of a list of words; UNKNOWN for a word that is not in the vocabulary."""
        return [self._numbers.get(token, UNKNOWN) for token in tokens]


class Pairs(Dataset):
    """One split of SNLI, in memory. It makes whole batches: `DataLoader(pairs, batch_size=4, collate_fn=keep)`.

    Args:
        packed: the `PackedFile` that the pairs come from.
        path: the path of that file, for messages.
        vocabulary: of the training split; words that it lacks become UNKNOWN.
        rows: (pairs,) which pairs of the file belong to this split; all of them by default.

    Attributes:
        lengths: (pairs,) int64; pairs with near numbers have premises and hypotheses of like length.
        groups: (pairs,) int64, one number a pair, from 0 up, the same for pairs of one premise. In training these are
            in one batch: what makes the labels of their hypotheses different is learnt sooner.
        has_parses: whether every sentence of the file has a parse; without, batches have no transitions.
    """

    def __init__(self, packed, path, vocabulary, rows=slice(None)):
        self.path, self.vocabulary, self.unparsed_line = path, vocabulary, packed.unparsed_line
        self.has_parses = packed.unparsed_line == 0
        indices = np.array(vocabulary.lookup(packed.spelling), dtype=np.int32)
        self._words = torch.from_numpy(indices[packed.words])
        self._transitions = torch.from_numpy(packed.transitions)
        lengths = packed.lengths.astype(np.int64)
        starts = lengths.cumsum() - lengths
        self._starts, self._lengths = (torch.from_numpy(each[packed.pairs[rows]]) for each in (starts, lengths))
        self._labels = torch.from_numpy(packed.labels[rows].astype(np.int64))
        self.lengths = interleave(*self._lengths.unbind(1))
        self.groups = torch.from_numpy(packed.premises[rows]).unique(return_inverse=True)[1]

    def __len__(self):
        return len(self._labels)

    def __getitem__(self, index):
        """The example as a reader would write it: the words of premise and hypothesis, and the label's name."""
        sentences, label = self.__getitems__([index])
        premise, hypothesis = ([self.vocabulary.words[word] for word in each.words[0].tolist()] for each in sentences)
        return premise, hypothesis, LABELS[label]

    def __getitems__(self, indices):
        """The examples as a batch: ((premise, hypothesis), labels). A `DataLoader` asks for it, and with
        `common.batches.keep` for its `collate_fn` gives it on as it is.

        Returns:
            two `Sentences`, and the places of the labels in LABELS, (batch,) int64.
        """
        indices = torch.as_tensor(indices)
        premise, hypothesis = map(self._cut, self._starts[indices].unbind(1), self._lengths[indices].unbind(1))
        return (premise, hypothesis), self._labels[indices]

    def _cut(self, starts, lengths):
        words = pad(self._words, starts, lengths, PAD)
        # Of a sentence of n words the transitions take 2 n places, one of them spare, so they start at twice the place.
        transitions = pad(self._transitions, 2 * starts, 2 * lengths - 1, PADDING) if self.has_parses else None
        return Sentences(words, lengths, transitions)


def pad(packed, starts, lengths, fill):
    """Rows of different lengths out of a packed array, (batch, longest) int64, all at once."""
    place = torch.arange(int(lengths.max()))
    beyond = place >= lengths[:, None]
    return packed.take((starts[:, None] + place).masked_fill_(beyond, 0)).long().masked_fill_(beyond, fill)


def interleave(first, second):
    """One number of two, (pairs,) each, bit by bit in turn: who is near in it is near in both.

    torchtext's sort key for SNLI (`interleave_keys`): by the sum, or by one and then the other, more would be padded.
    """
    return sum(((first >> bit & 1) << 2 * bit + 1) + ((second >> bit & 1) << 2 * bit) for bit in range(16))


def require_parses(pairs):
    """Refuses a split with sentences that have no parse.

    Raises:
        UserError: names the file and its first line without one.
    """
    if not pairs.has_parses:
        expected = "sentence1_binary_parse and sentence2_binary_parse"
        raise UserError(f"{pairs.path}, line {pairs.unparsed_line}: a sentence without a parse; expected {expected}")


def open_snli(folder, vocabulary=None, seed=0):
    """The splits of SNLI, all words in lower case: a dictionary from "train", "dev" and "test" to `Pairs`.

    Args:
        folder: holds `snli_1.0_train.jsonl`, `snli_1.0_dev.jsonl` and `snli_1.0_test.jsonl`. A development file
            alone, or a file of JSON lines in place of the folder, is split in three, as a printed line says.
        vocabulary: the words that a trained network knows; by default that of the training split is made.
        seed: draws which pairs of a single file are for what.

    Raises:
        UserError: a file is missing, or a line of it is not as SNLI's are.
    """
    folder = Path(folder)
    files = {split: folder / f"snli_1.0_{split}.jsonl" for split in ("train", "dev", "test")}
    alone = folder if folder.is_file() else files["dev"]
    if alone == folder or (alone.exists() and not files["train"].exists()):
        packed = read_file(alone)
        parts = {split: (packed, alone, rows) for split, rows in split_by_premise(packed, alone, seed).items()}
    else:
        for path in files.values():
            if not path.exists():
                raise UserError(f"{path}: no such file; expected snli_1.0_train.jsonl, _dev and _test in {folder}")
        parts = {split: (read_file(path), path, slice(None)) for split, path in files.items()}
    packed, _, rows = parts["train"]
    vocabulary = vocabulary or Vocabulary.of_counts(count_words(packed, rows))
    return {split: Pairs(packed, path, vocabulary, rows) for split, (packed, path, rows) in parts.items()}


def open_file(path, vocabulary):
    """All labelled pairs of a file of one's own, as `Pairs` with the vocabulary of a trained network.

    Prints which words the network does not know.
    """
    packed = read_file(path)
    tell_unknown(path, packed.spelling, vocabulary)
    return Pairs(packed, path, vocabulary)


def tell_unknown(path, words, vocabulary):
    """Prints how many of a file's different words a network does not know."""
    unknown = sorted({*words} - {*vocabulary.words[1:]})
    examples = f", such as {' '.join(unknown[:5])}" if unknown else ""
    print(f"{path}: {len(unknown)} of its {len(set(words))} different words are unknown{examples}")


def split_by_premise(packed, path, seed=0):
    """A file's pairs, drawn at random: a fifth to score, a tenth of the rest to choose the weights by, the others to
    train on; a dictionary of rows. How many there are is printed.

    Pairs that share a premise stay together: a premise known from training would give a part of the answer away.
    """
    count = packed.premises.max() + 1
    places = np.random.default_rng(seed).permutation(count)[packed.premises]
    part = np.digitize(places, np.sort(places)[[len(places) * 72 // 100, len(places) * 4 // 5]])
    train, dev, test = splits = [(part == number).nonzero()[0] for number in range(3)]
    if not all(map(len, splits)):
        raise UserError(f"{path}: {count} premises; expected some to train on, to choose by, and to score")
    told = f"{path} alone: {len(train)} of its pairs are to train on, {len(dev)} to choose the weights by"
    print(f"{told}, {len(test)} to score; no premise is in two of them")
    return {"train": train, "dev": dev, "test": test}


def count_words(packed, rows):
    """Word -> how often it occurs in these rows of a `PackedFile`."""
    times = np.bincount(packed.pairs[rows].ravel(), minlength=len(packed.lengths))  # that each sentence is in them
    counts = np.bincount(packed.words, np.repeat(times.astype(float), packed.lengths)).astype(int).tolist()
    return {word: count for word, count in zip(packed.spelling, counts) if count}
