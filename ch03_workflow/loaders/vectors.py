"""Word vectors in GloVe's text format: a line a word, the word and its numbers, the most frequent words first."""

import math

import torch

from common.errors import UserError
from common.files import read_lines

MOST = 50_000  # lines that are read: what comes after them is rare, and would be in every checkpoint


def read_vectors(path):
    """The words of a file, at most its first 50,000, and their vectors, float32, (words, dimension).

    A first line with the numbers of words and of columns is passed over.

    Raises:
        UserError: no such file, or a line that is not a word and as many finite numbers as the first line has.
    """
    words, vectors = [], []
    for place, line in read_lines(path, "word vectors in GloVe's format"):
        word, *numbers = line.rstrip().split(" ")
        if place.endswith("line 1") and len(numbers) == 1 and (word + numbers[0]).isdecimal():
            continue  # word2vec's and fastText's files begin with their size
        try:
            vector = [float(number) for number in numbers]
        except ValueError:
            vector = []
        expected = len(vectors[0]) if vectors else len(vector)
        if not vector or len(vector) != expected or not all(map(math.isfinite, vector)):
            told = f"{expected} finite numbers" if vectors else "finite numbers"
            raise UserError(f"{place}: found {line[:40]!r}, expected a word and {told}, with a space between them")
        words.append(word)
        vectors.append(vector)
        if len(words) == MOST:
            break
    if not words:
        raise UserError(f"{path}: empty, expected a word and its vector on every line")
    return words, torch.tensor(vectors)
