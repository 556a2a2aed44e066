"""Reads a file of SNLI into packed integer arrays, once: the next time they come from the cache.

A line of an SNLI file is a JSON object. Read are its `gold_label`, and `sentence1_binary_parse` and
`sentence2_binary_parse`, whose words are the tokens, or `sentence1` and `sentence2` where there is no parse.
"""

import functools
import hashlib
import itertools
import json
import os
import sys
from array import array
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.errors import UserError
from common.files import beside, read_lines, require_file
from data import place

LABELS = ("entailment", "neutral", "contradiction")
NO_LABEL = "-"  # the annotators did not agree
GOLD_LABELS = {*LABELS, NO_LABEL}
PADDING, REDUCE, SHIFT = 1, 2, 3  # the page's numbers for the steps of a shift-reduce parser
FORMAT = 2  # of the cached arrays; it goes up whenever reading changes, so that they are made anew
BRACKETS = {"(", ")", ""}
EXPECTED = "a file of SNLI's JSON lines"


class PackedFile(NamedTuple):
    """The labelled pairs of a file, in lower case. Sentences lie end to end: premise, hypothesis, premise, ..."""

    spelling: list[str]  # the file's words, in the order of their first use
    words: np.ndarray  # (words of all sentences,) int32, places in `spelling`
    transitions: np.ndarray  # (2 * words of all sentences,) int8; a sentence of n words has 2 n - 1, then one PADDING
    lengths: np.ndarray  # (pairs, 2) int32, the number of words of premise and hypothesis
    labels: np.ndarray  # (pairs,) int8, places in LABELS
    skipped: int  # pairs without a gold label, which are not here
    unparsed_line: int  # the first line that lacks a parse; 0 where none does


def read_file(path):
    """The pairs of an SNLI file, a `PackedFile`. How many of its lines have no gold label is printed.

    Where the same bytes have been read before, it comes from `data/cache`: it is found by a hash of them.

    Raises:
        UserError: no such file, or a line that is not as SNLI's are; the message names the file and the line.
    """
    path = Path(path)
    require_file(path, EXPECTED)
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    stored = Path(place("cache"), f"snli-{FORMAT}-{content[:32]}.npz")
    packed = _load(stored)
    if packed is None:
        packed = pack_file(path)
        _save(packed, stored)
    if packed.skipped:
        print(f"{path}: {packed.skipped} pairs left out: their annotators did not agree on a label")
    return packed


def pack_file(path):
    """Reads an SNLI file line by line, without a cache; otherwise as `read_file`."""
    numbers = defaultdict(itertools.count().__next__)  # a new word gets the next number
    words, transitions = array("i"), array("b")
    lengths, labels = array("i"), array("b")
    skipped = unparsed_line = 0

    # Three hypotheses share a premise, and short hypotheses come again: many sentences are taken apart only once.
    @functools.lru_cache(maxsize=1 << 15)
    def pack(text, is_parse):
        if is_parse:
            tokens, steps = parse(text.lower())
        else:
            tokens = tokenize(text.lower())
            steps = [PADDING] * (2 * len(tokens) - 1)
        if not tokens:
            raise ValueError("an empty sentence")
        return array("i", map(numbers.__getitem__, tokens)), array("b", [*steps, PADDING])

    for where, line in read_lines(path, EXPECTED):
        try:
            label, sentences = _read_line(line)
            if label == NO_LABEL:
                skipped += 1
                continue
            for text, is_parse in sentences:
                sentence, steps = pack(text, is_parse)
                words.extend(sentence)
                transitions.extend(steps)
                lengths.append(len(sentence))
                unparsed_line = unparsed_line or (0 if is_parse else int(where.rpartition(" ")[2]))
            labels.append(LABELS.index(label))
        except ValueError as error:
            raise UserError(f"{where}: {error}") from None
    if not labels:
        raise UserError(f"{path}: no labelled pair in it ({skipped} with the label {NO_LABEL!r})")
    arrays = (np.frombuffer(packed, dtype=packed.typecode) for packed in (words, transitions, lengths, labels))
    words, transitions, lengths, labels = arrays
    return PackedFile(list(numbers), words, transitions, lengths.reshape(-1, 2), labels, skipped, unparsed_line)


def _read_line(line):
    """The label and the two sentences of a line, each with whether it is a parse.

    Raises:
        ValueError: says what is wrong.
    """
    try:
        example = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}): {shorten(line)}") from None
    if not isinstance(example, dict):
        raise ValueError(f"{shorten(json.dumps(example))} is not a JSON object")
    label = example.get("gold_label")
    if not isinstance(label, str) or label not in GOLD_LABELS:
        found = "no gold_label" if label is None else f"gold_label is {shorten(json.dumps(label))}"
        raise ValueError(f"{found}; expected one of {', '.join(LABELS)}, {NO_LABEL}")
    sentences = []
    for name in ("sentence1", "sentence2"):
        binary = example.get(f"{name}_binary_parse")
        field = f"{name}_binary_parse" if binary else name
        text = binary or example.get(name)
        if text is None:
            raise ValueError(f"no {name}_binary_parse and no {name}; expected one of them")
        if not isinstance(text, str):
            raise ValueError(f"{field} is {shorten(json.dumps(text))}; expected text")
        sentences.append((text, bool(binary)))
    return label, sentences


def parse(binary):
    """The words of a binary parse, and the steps that build its tree.

    Args:
        binary: brackets and words with a space between, such as `( ( A dog ) runs )`; one word needs no brackets.

    Returns:
        tokens, a list of n words, and transitions, a list of 2 n - 1 steps: SHIFT for a word, REDUCE for a node.

    Raises:
        ValueError: an empty sentence, unbalanced brackets, or a node that has not two children.
    """
    tokens, transitions = [], []
    trees = [0]  # in each open bracket, how many whole trees it holds so far
    # Only on spaces: some of SNLI's words, such as "1 1/2", hold a space that does not break.
    for item in binary.split(" "):
        if item == "(":
            trees.append(0)
        elif item == ")":
            if trees.pop() != 2 or not trees:
                trees = [0]
                break
            trees[-1] += 1
            transitions.append(REDUCE)
        elif item:
            tokens.append(item)
            trees[-1] += 1
            transitions.append(SHIFT)
    if trees != [1]:
        items = binary.split(" ")
        if not set(items) - BRACKETS:
            raise ValueError("an empty sentence")
        opened, closed = items.count("("), items.count(")")
        if opened != closed:
            raise ValueError(f"unbalanced brackets, {opened} '(' and {closed} ')', in {shorten(binary)}")
        raise ValueError(f"a node that has not two children in {shorten(binary)}")
    return tokens, transitions


def shorten(text, longest=60):
    """A text in quotes, cut to fit into a message."""
    return repr(text[:longest]) + ("..." if len(text) > longest else "")


@functools.cache
def _english():
    import spacy  # takes a second, and a file with parses does without

    return spacy.blank("en").tokenizer


def tokenize(sentence):
    """The words of a plain sentence by spaCy's rules for English, for sentences that have no parse."""
    return [token.text for token in _english()(sentence) if not token.is_space]


def _save(packed, stored):
    """Writes beside and renames over: another process sees a whole file or none."""
    arrays = packed._asdict() | {"spelling": json.dumps(packed.spelling)}
    try:
        with beside(stored) as making:
            np.savez(making / stored.name, **arrays)
            os.replace(making / stored.name, stored)
    except OSError as error:
        print(f"{stored}: not written ({error}); the next run reads the text again", file=sys.stderr)


def _load(stored):
    """The arrays of a cached file; None if there is none, or if it is damaged."""
    try:
        with np.load(stored, allow_pickle=False) as arrays:
            found = [arrays[name] for name in PackedFile._fields]
        spelling, *packed, skipped, unparsed_line = found
        return PackedFile(json.loads(spelling.item()), *packed, skipped.item(), unparsed_line.item())
    except FileNotFoundError:
        return None
    except Exception as error:  # NumPy fails in many ways on damaged files: zip, zlib, key, value, memory errors
        print(f"{stored}: damaged ({type(error).__name__}); the text is read again", file=sys.stderr)
        return None
