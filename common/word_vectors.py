"""Word vectors in GloVe's text format (Pennington and others 2014): on each line a word and its numbers."""

from itertools import islice

import torch

from common.errors import UserError
from common.files import bare_lines, require_file

EXPECTED = "word vectors in GloVe's format"
LARGEST = torch.finfo(torch.float32).max


def frequent_vectors(path, count):
    """The first words of a file, in GloVe's files the most frequent, a list, and their vectors, (words, dimension).

    Raises:
        UserError: no such file, or a line among them that is not a word and as many numbers as the first one has.
    """
    require_file(path, EXPECTED)
    with open(path, "rb") as lines:
        found = [*islice(entries(lines, path), count)]
    if not found:
        raise UserError(f"{path}: no vectors; expected a word and its numbers a line")
    words = [word.decode(errors="replace") for _, word, _ in found]
    return words, torch.tensor([floats(where, numbers) for where, _, numbers in found])


def entries(lines, source, dimension=None):
    """Of each line where it stands, for messages, its word, and its numbers, all three before they are looked at.

    Args:
        lines: a file opened for bytes.
        source: its name.
        dimension: how many numbers a word has (`--embed-dim`); by default as many as in the first line.
    """
    wanted = "(--embed-dim)" if dimension else "as in the first line"
    for number, (where, line) in enumerate(bare_lines(lines, source), 1):
        line = line.rstrip()
        spaces = line.count(b" ")
        if number == 1 and spaces == 1 and dimension != 1:
            continue  # word2vec's and fastText's files begin with their size
        dimension = dimension or max(1, spaces)
        word, _, numbers = line.partition(b" ")
        if spaces > dimension:  # the 840B file has words with spaces in them, such as ". . ."
            word = line.rsplit(b" ", dimension)[0]
            numbers = line[len(word) + 1 :]
        # A number too many is no part of a word.
        if spaces < dimension or (spaces > dimension and _is_number(word.rpartition(b" ")[2])):
            raise UserError(f"{where}: {spaces} numbers after the word; expected {dimension} {wanted}")
        yield where, word, numbers


def floats(where, numbers):
    """The numbers of a line, finite in float32, a list."""
    try:
        found = [*map(float, numbers.split(b" "))]
    except ValueError as error:
        raise UserError(f"{where}: {error}; expected a word and its numbers") from None
    if not all(abs(number) <= LARGEST for number in found):
        raise UserError(f"{where}: a number that is not finite in float32; expected {len(found)} that are")
    return found


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
