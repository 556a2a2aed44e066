"""Word vectors from a file in GloVe's format (Pennington and others 2014): on each line a word and its numbers."""

import contextlib
import itertools
import re
import zipfile
import zlib
from pathlib import Path

import torch

from ch05_sequence.loaders.snli import PAD, UNKNOWN
from common import downloads
from common.errors import UserError
from common.files import bare_lines, require_file
from data import place

LARGEST = torch.finfo(torch.float32).max
# What zipfile raises for a damaged archive.
DAMAGES = OSError, EOFError, RuntimeError, NotImplementedError, UnicodeError, zipfile.BadZipFile, zlib.error


def load_vectors(source, vocabulary, dimension):
    """The vectors of a vocabulary's words, as the weight of its embedding; prints how many words have one.

    A word without a vector gets random numbers, as widely spread as the vectors that were found; padding gets zeros.

    Args:
        source: a file in GloVe's format, or the name of Stanford's vectors, such as `glove.6B.300d`. These are
            downloaded into `data/cache`, nearly a gigabyte, unless they are there.
        vocabulary: a `Vocabulary`.
        dimension: how many numbers a word has.

    Returns:
        (words of the vocabulary, dimension) float32.

    Raises:
        UserError: no such file or name, a line with other than `dimension` numbers, or no word of the vocabulary.
    """
    places = {word.encode(errors="surrogatepass"): place for place, word in enumerate(vocabulary.words)}
    weight = torch.zeros(len(vocabulary), dimension)
    missing = torch.ones(len(vocabulary), dtype=torch.bool)
    with _open(source) as lines:
        for where, word, numbers in _entries(lines, source, dimension):
            place = places.pop(word, None)  # of a word that comes twice the first counts
            if place is not None:
                weight.numpy()[place] = _floats(where, numbers)  # the same memory, and faster than a tensor a row
                missing[place] = False
    if missing.all():
        raise UserError(f"{source}: none of the {len(vocabulary)} words of the data is in it; expected most of them")
    spread = weight[~missing].numpy().std().item()
    missing[PAD] = False
    weight[missing] = torch.randn(int(missing.sum()), dimension) * spread
    unknown = [vocabulary.words[place] for place in missing.nonzero().flatten().tolist() if place != UNKNOWN]
    total = len(vocabulary) - 2  # without <unk> and <pad>
    known = total - len(unknown)
    examples = f", such as {' '.join(unknown[:5])}" if unknown else ""
    print(
        f"{source}: vectors for {known} of {total} words ({known / total:.1%}); "
        f"{len(unknown)} start at random{examples}"
    )
    return weight


def frequent_vectors(source, count=20_000):
    """The first words of a file, in GloVe's files the most frequent, a list, and their vectors, (words, dimension)."""
    with _open(source) as lines:
        entries = [*itertools.islice(_entries(lines, source), count)]
    if not entries:
        raise UserError(f"{source}: no vectors; expected a word and its numbers a line")
    words = [word.decode(errors="replace") for _, word, _ in entries]
    return words, torch.tensor([_floats(where, numbers) for where, _, numbers in entries])


def _floats(where, numbers):
    try:
        floats = [*map(float, numbers.split(b" "))]
    except ValueError as error:
        raise UserError(f"{where}: {error}; expected a word and its numbers") from None
    if not all(abs(number) <= LARGEST for number in floats):
        raise UserError(f"{where}: a number that is not finite in float32; expected {len(floats)} that are")
    return floats


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _entries(lines, source, dimension=None):
    """Of each line where it stands, for messages, its word, and its numbers, as bytes; by default as many as are in the
    first line."""
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
            raise UserError(f"{where}: {spaces} numbers after the word; expected {dimension} (--embed-dim)")
        yield where, word, numbers


@contextlib.contextmanager
def _open(source):
    """The lines of the file, or those in the archive of Stanford's vectors of that name."""
    if Path(source).exists():
        require_file(source, "word vectors in GloVe's format")
        with open(source, "rb") as file:
            yield file
        return
    from torchtext.vocab import GloVe  # a second to import; it knows the addresses

    name = re.fullmatch(r"glove\.(.+)\.\d+d", str(source))
    if not name or name[1] not in GloVe.url:
        raise UserError(f"{source}: no such file, nor a name such as glove.6B.300d ({', '.join(GloVe.url)})")
    url = GloVe.url[name[1]]
    archive = Path(place("cache")) / url.rpartition("/")[2]
    if not zipfile.is_zipfile(archive):
        downloads.download(url, archive, largest=4 << 30, check=_check)
    try:
        with zipfile.ZipFile(archive) as files:
            if f"{source}.txt" not in files.namelist():
                raise UserError(f"{archive}: no {source}.txt in it, only {', '.join(files.namelist())}")
            with files.open(f"{source}.txt") as file:
                yield file
    except DAMAGES as error:
        raise UserError(f"{archive}: damaged ({error}); delete it, and it is fetched again") from None


def _check(path):
    if not zipfile.is_zipfile(path):
        raise ValueError("not a whole zip archive")
