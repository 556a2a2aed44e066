"""The pipeline of `torchtext_tour.py` without torchtext: spaCy's tokens, a vocabulary, padding, batches of like length.

The tour's last cell holds these batches against torchtext's: they are equal. `question_classifier.py` takes its tokens,
its vocabulary and its padding from here.
"""

from collections import Counter

import spacy
import torch
from torch.nn.utils.rnn import pad_sequence

UNKNOWN, PADDING = 0, 1
spacy_en = spacy.blank("en")


def tokenizer(text):
    return [token.text for token in spacy_en.tokenizer(text)]


class Vocabulary:
    """Tokens to indices: `<unk>` is 0, `<pad>` is 1, then the most frequent first, and equals by the alphabet."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.index = {token: index for index, token in enumerate(tokens)}

    @classmethod
    def of(cls, sentences):
        counts = Counter(token for sentence in sentences for token in sentence)
        return cls(["<unk>", "<pad>", *sorted(counts, key=lambda token: (-counts[token], token))])

    def __call__(self, sentence):
        """The indices of a sentence's tokens, int64, (length)."""
        return torch.tensor([self.index.get(token, UNKNOWN) for token in sentence], dtype=torch.int64)


def collate(examples):
    """Pairs (indices, label) to a batch: padded indices (longest, batch) and labels (batch)."""
    sentences, labels = zip(*examples)
    return pad_sequence(sentences, padding_value=PADDING), torch.tensor(labels)


def cut(order, size):
    return [order[start : start + size] for start in range(0, len(order), size)]


def bucketed_batches(lengths, size, generator):
    """Shuffled batches of like length for training: pools of a hundred are sorted, and their batches shuffled."""
    for pool in cut(generator.sample(range(len(lengths)), len(lengths)), 100 * size):
        batches = cut(sorted(pool, key=lengths.__getitem__), size)
        for batch in generator.sample(batches, len(batches)):
            yield sorted(batch, key=lengths.__getitem__, reverse=True)
