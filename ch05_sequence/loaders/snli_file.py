"""Reads a file of SNLI into packed integer arrays; those of a large file come from the cache the next time.

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
FIELDS = {f"sentence{number}": f"sentence{number}_binary_parse" for number in (1, 2)}  # without and with a parse
PADDING, REDUCE, SHIFT = 1, 2, 3  # the page's numbers for the steps of a shift-reduce parser
FORMAT = 3  # of the cached arrays; it goes up whenever reading changes, so that they are made anew
LARGE = 4 << 20  # bytes; smaller files are parsed in a moment, and not cached
EXPECTED = "a file of SNLI's JSON lines"


class PackedFile(NamedTuple):
    """The labelled pairs of a file, in lower case. Sentences lie end to end; pairs that share one name the same one."""

    spelling: list[str]  # the file's words, in the order of their first use
    skipped: int  # pairs without a gold label, which are not here
    unparsed_line: int  # the first line that lacks a parse; 0 where none does
    pairs: np.ndarray  # (pairs, 2) int32, which of the sentences are premise and hypothesis
    premises: np.ndarray  # (pairs,) int32, the same number where premises have the same words, in order of first use
    labels: np.ndarray  # (pairs,) int8, places in LABELS
    words: np.ndarray  # (words of all sentences,) int32, places in `spelling`
    transitions: np.ndarray  # (2 * words of all sentences,) int8; a sentence of n words has 2 n - 1, then one PADDING
    lengths: np.ndarray  # (sentences,) int32, the number of words of each


def read_file(path):
    """The pairs of an SNLI file, a `PackedFile`. How many of its lines have no gold label is printed.

    A large file whose bytes have been read before comes from `data/cache`: it is found by a hash of them.

    Raises:
        UserError: no such file, or a line that is not as SNLI's are; the message names the file and the line.
    """
    require_file(path, EXPECTED)
    packed = _read_cached(path) if os.path.getsize(path) >= LARGE else pack_file(path)
    if packed.skipped:
        print(f"{path}: {packed.skipped} pairs left out: their annotators did not agree on a label")
    return packed


def pack_file(path):
    """Reads an SNLI file line by line, without a cache; otherwise as `read_file`."""
    # A new word, and a premise of other words, gets the next number.
    numbers, premise_numbers = (defaultdict(itertools.count().__next__) for _ in range(2))
    words, lengths, pairs, premises = (array("i") for _ in range(4))
    transitions, labels = array("b"), array("b")
    skipped = unparsed_line = 0

    # Three hypotheses share a premise, and short hypotheses come again: what came lately is not packed a second time.
    @functools.lru_cache(maxsize=1 << 15)
    def pack(text, is_parse):
        """The place of a sentence among all, and its words as bytes."""
        tokens, steps = parse(text.lower()) if is_parse else (tokenize(text.lower()), [])
        if not tokens:
            raise ValueError("an empty sentence")
        sentence = array("i", map(numbers.__getitem__, tokens))
        words.extend(sentence)
        transitions.fromlist(steps + [PADDING] * (2 * len(tokens) - len(steps)))
        lengths.append(len(sentence))
        return len(lengths) - 1, sentence.tobytes()

    for where, line in read_lines(path, EXPECTED):
        try:
            label, texts, parsed = _read_line(line)
            if label == NO_LABEL:
                skipped += 1
                continue
            (premise, premise_words), (hypothesis, _) = map(pack, texts, parsed)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from None
        pairs.extend((premise, hypothesis))
        premises.append(premise_numbers[premise_words])
        labels.append(LABELS.index(label))
        unparsed_line = unparsed_line or (0 if all(parsed) else int(where.rpartition(" ")[2]))
    if not labels:
        raise UserError(f"{path}: no labelled pair in it ({skipped} with the label {NO_LABEL!r})")
    pairs, *others = map(np.asarray, (pairs, premises, labels, words, transitions, lengths))
    return PackedFile(list(numbers), skipped, unparsed_line, pairs.reshape(-1, 2), *others)


def _read_line(line):
    """The label of a line, its two sentences, and whether each is a parse.

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
    if label not in LABELS and label != NO_LABEL:
        found = "no gold_label" if label is None else f"gold_label is {shorten(json.dumps(label))}"
        raise ValueError(f"{found}; expected one of {', '.join(LABELS)}, {NO_LABEL}")
    first, second = (parsed if example.get(parsed) else plain for plain, parsed in FIELDS.items())
    for field in (first, second):
        text = example.get(field)
        if text is None:
            raise ValueError(f"no {FIELDS[field]} and no {field}; expected one of them")
        if not isinstance(text, str):
            raise ValueError(f"{field} is {shorten(json.dumps(text))}; expected text")
    return label, (example[first], example[second]), (first not in FIELDS, second not in FIELDS)


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
    items = binary.split(" ")  # only on spaces: some of SNLI's words, such as "1 1/2", hold one that does not break
    for item in filter(None, items):
        if item == "(":
            trees.append(0)
        elif item != ")":
            tokens.append(item)
            transitions.append(SHIFT)
            trees[-1] += 1
        elif trees.pop() == 2 and trees:
            transitions.append(REDUCE)
            trees[-1] += 1
        else:
            trees = [0]
            break
    if trees != [1]:
        if not {*items} - {"(", ")", ""}:
            raise ValueError("an empty sentence")
        if (opened := items.count("(")) != (closed := items.count(")")):
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


def _read_cached(path):
    """`pack_file` for bytes that have not been read before; what is damaged in the cache is read again."""
    with open(path, "rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    stored = Path(place("cache"), f"snli-{FORMAT}-{content[:32]}.npz")
    try:
        with np.load(stored, allow_pickle=False) as arrays:
            spelling, skipped, unparsed_line, *others = (arrays[name] for name in PackedFile._fields)
        return PackedFile(json.loads(spelling.item()), skipped.item(), unparsed_line.item(), *others)
    except FileNotFoundError:
        pass
    except Exception as error:  # NumPy fails in many ways on damaged files: zip, zlib, key, value, memory errors
        print(f"{stored}: damaged ({type(error).__name__}); the text is read again", file=sys.stderr)
    packed = pack_file(path)
    try:
        with beside(stored) as making:  # another process sees a whole file or none
            np.savez(making / stored.name, **packed._asdict() | {"spelling": json.dumps(packed.spelling)})
            os.replace(making / stored.name, stored)
    except OSError as error:
        print(f"{stored}: not written ({error}); the next run reads the text again", file=sys.stderr)
    return packed
