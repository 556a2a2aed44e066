"""The word vectors of an embedding, from a file in GloVe's format."""

import numpy as np
import torch

from ch05_sequence.loaders.snli import PAD, UNKNOWN
from common.errors import UserError
from common.files import require_file
from common.word_vectors import EXPECTED, entries, floats


def load_vectors(path, vocabulary, dimension):
    """The vectors of a vocabulary's words, as the weight of its embedding; prints how many words have one.

    A word without a vector gets random numbers, as widely spread as the vectors that were found; padding gets zeros.

    Args:
        path: a file in GloVe's format.
        vocabulary: a `Vocabulary`.
        dimension: how many numbers a word has.

    Returns:
        (words of the vocabulary, dimension) float32.

    Raises:
        UserError: no such file, a line with other than `dimension` numbers, or no word of the vocabulary.
    """
    places = {word.encode(errors="surrogatepass"): place for place, word in enumerate(vocabulary.words)}
    weight = torch.zeros(len(vocabulary), dimension)
    require_file(path, f"{EXPECTED}: glove.6B.zip of nlp.stanford.edu/projects/glove has some")
    with open(path, "rb") as lines:
        for where, word, numbers in entries(lines, path, dimension):
            place = places.pop(word, None)  # of a word that comes twice the first counts
            if place is not None:
                weight.numpy()[place] = floats(where, numbers)  # the same memory, and faster than a tensor a row
    if len(places) == len(vocabulary):
        raise UserError(f"{path}: none of the {len(vocabulary)} words of the data is in it; expected most of them")
    spread = np.delete(weight.numpy(), [*places.values()], axis=0).std().item()
    missing = [place for place in places.values() if place != PAD]
    weight[missing] = torch.randn(len(missing), dimension) * spread
    unknown = [vocabulary.words[place] for place in missing if place != UNKNOWN]
    total = len(vocabulary) - 2  # without <unk> and <pad>
    known = total - len(unknown)
    examples = f", such as {' '.join(unknown[:5])}" if unknown else ""
    told = f"{path}: vectors for {known} of {total} words ({known / total:.1%})"
    print(f"{told}; {len(unknown)} start at random{examples}")
    return weight
