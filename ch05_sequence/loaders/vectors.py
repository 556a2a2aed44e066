"""The word vectors of an embedding, from a file in GloVe's format or from the archive that Stanford offers."""

import contextlib
import re
import zipfile
import zlib
from pathlib import Path

import torch

from ch05_sequence.loaders.snli import PAD, UNKNOWN
from common import downloads
from common.errors import UserError
from common.files import require_file
from common.word_vectors import EXPECTED, entries, floats
from data import place

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
        for where, word, numbers in entries(lines, source, dimension):
            place = places.pop(word, None)  # of a word that comes twice the first counts
            if place is not None:
                weight.numpy()[place] = floats(where, numbers)  # the same memory, and faster than a tensor a row
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


@contextlib.contextmanager
def _open(source):
    """The lines of the file, or those in the archive of Stanford's vectors of that name."""
    if Path(source).exists():
        require_file(source, EXPECTED)
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
