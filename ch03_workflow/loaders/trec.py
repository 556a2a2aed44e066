"""TREC's questions and their kinds, as they lie on disk: label files, published in ISO-8859-1, or TSV files in UTF-8.

A line of a label file is `COARSE:fine question ?`, as published by Li and Roth (Learning question classifiers, 2002). A
line of a TSV file is the question, a tab, the coarse class: the layout of listing 3.11.
"""

import random
from pathlib import Path
from typing import NamedTuple

from common import downloads
from common.errors import UserError
from common.files import read_lines
from data import sample
from data.questions import make_questions

CLASSES = {
    "ABBR": "an abbreviation",
    "DESC": "a description",
    "ENTY": "a thing",
    "HUM": "a person or a group",
    "LOC": "a place",
    "NUM": "a number or a date",
}
SPLITS = ("train", "valid", "test")
EXPECTED = "questions of TREC"
TRAIN_FILE, TEST_FILE = "train_5500.label", "TREC_10.label"
TSV_FILES = {"train": "TRECtrain.tsv", "valid": "TRECval.tsv", "test": "TRECtest.tsv"}
# torchtext's downloader asks http://cogcomp.org, which forwards here, and checks nothing.
SERVER = "https://cogcomp.seas.upenn.edu/Data/QA/QC/"
SHA256 = {
    TRAIN_FILE: "9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3",
    TEST_FILE: "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
}


class Question(NamedTuple):
    """A question and its class, one of `CLASSES`."""

    text: str
    label: str


def read_label_file(path):
    """The questions of a file of lines `COARSE:fine question ?`, in UTF-8 or, as it is published, in ISO-8859-1.

    Raises:
        UserError: no such file, an empty one, or a line of another form; file and line number are named.
    """

    def parse(line):
        label, *text = line.split(maxsplit=1)  # at a space, a tab, or a space that does not break
        coarse, colon, fine = label.partition(":")
        if not (colon and fine and text):
            raise ValueError(f"found {line[:60]!r}, expected COARSE:fine question ?")
        return Question(text[0].strip(), check_label(coarse))

    return read_questions(path, parse, read_lines(path, EXPECTED, latin1=True))


def read_tsv(path):
    """The questions of a file of lines `question<tab>COARSE`, in UTF-8.

    Raises:
        UserError: as `read_label_file`, or a line that has not two columns, or that is no UTF-8.
    """

    def parse(line):
        columns = line.split("\t")
        if len(columns) != 2:
            raise ValueError(f"{len(columns)} column{'s' * (len(columns) > 1)}, expected question<tab>label")
        text, label = columns
        if not text.strip():
            raise ValueError("no question before the tab, expected question<tab>label")
        return Question(text.strip(), check_label(label.strip()))

    return read_questions(path, parse, read_lines(path, EXPECTED))


def read_questions(path, parse, lines):
    """What `parse` makes of each line of a file."""
    questions = []
    for place, line in lines:
        try:
            questions.append(parse(line))
        except ValueError as error:
            raise UserError(f"{place}: {error}") from None
    if not questions:
        raise UserError(f"{path}: an empty file, expected a question a line")
    return questions


def check_label(label):
    if label not in CLASSES:
        raise ValueError(f"unknown label {label[:20]!r}, expected one of {', '.join(CLASSES)}")
    return label


def write_tsv(path, questions):
    """Writes questions as lines `question<tab>COARSE`, in UTF-8."""
    Path(path).write_bytes("".join(f"{text}\t{label}\n" for text, label in questions).encode())


def read_splits(data, seed=0):
    """The questions to train with, to choose the weights by and to test with: a list each, by the names of `SPLITS`.

    Three TSV files are taken as they are. Of label files, `valid` is a tenth of the training file; `test` is
    `TREC_10.label`, or another tenth where there is no such file. TREC asks some questions twice: such a question
    stays in one of the lists only, in `test` if it is there, and the print says how many were left out.

    Args:
        data: the folder that holds the files, or "sample".
        seed: another seed, another tenth. Programs leave it as it is, so that no run trains on another one's test.

    Raises:
        UserError: no such folder, no such files, or a damaged one.
    """
    root = sample(make_questions) if data == "sample" else Path(data)
    if not root.is_dir():
        raise UserError(f"--data {root}: no such folder")
    if all((root / name).is_file() for name in TSV_FILES.values()):
        return {split: read_tsv(root / name) for split, name in TSV_FILES.items()}
    if not (root / TRAIN_FILE).is_file():
        raise UserError(f"--data {root}: found neither {TRAIN_FILE} nor {', '.join(TSV_FILES.values())}")
    test = read_label_file(root / TEST_FILE) if (root / TEST_FILE).is_file() else []
    everything = read_label_file(root / TRAIN_FILE)
    distinct = set(everything)
    questions = sorted(distinct - set(test))
    if repeated := len(everything) - len(distinct):
        print(f"{repeated} of {len(everything)} questions of {TRAIN_FILE} left out: there twice")
    if tested := len(distinct) - len(questions):
        print(f"{tested} more left out: {TEST_FILE} has them, too")
    random.Random(seed).shuffle(questions)
    tenth = len(questions) // 10
    held_out = tenth if not test else 0
    return {
        "train": questions[held_out + tenth :],
        "valid": questions[held_out : held_out + tenth],
        "test": test or questions[:held_out],
    }


def download(root):
    """Fetches TREC's two files into the folder `root`, each checked by its SHA-256 before it gets its name.

    Raises:
        UserError: no network, no room, or a file that arrived changed.
    """
    for name, checksum in SHA256.items():
        downloads.download(SERVER + name, Path(root, name), largest=1 << 20, checksum=f"sha256:{checksum}")
    print(f"{' and '.join(SHA256)} lie in {root}; train with --data {root}")
