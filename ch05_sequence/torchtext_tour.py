"""SNLI by torchtext 0.6.0 as on the page, and a batch of it without torchtext (listings 5.1, 5.4).

    python ch05_sequence/torchtext_tour.py

It reads the embedded sample. torchtext is archived: nothing else in this chapter depends on it.
"""

import torch
from torchtext import data, datasets
from torchtext.vocab import Vectors

from ch05_sequence.loaders.snli import LABELS, open_snli
from common.tours import tour
from data import sample
from data.sentence_pairs import make_sentence_pairs

args = tour(__doc__, device=False)
folder = sample(make_sentence_pairs)


class SNLI(datasets.SNLI):
    """torchtext's SNLI, but where it would download the whole set, 94 MB, it takes the sample's folder."""

    @classmethod
    def download(cls, root, check=None):
        return str(folder)


# %% 5.4 Fields, splits, vocabulary
# Without the last line `answers` has no vocabulary, and a batch of it fails.
inputs = data.Field(lower=True)
answers = data.Field(sequential=False)
train, dev, test = SNLI.splits(inputs, answers)
inputs.build_vocab(train, dev, test)
try:
    next(iter(data.BucketIterator(train, batch_size=64, device="cpu")))
except AttributeError as error:
    no_vocabulary = str(error)
    print(f"AttributeError: {no_vocabulary}")
answers.build_vocab(train)
print(f"{len(inputs.vocab)} words; {answers.vocab.itos = }")

# %% 5.1 Batches
# Each is sequence first, (longest, batch): the encoder of listing 5.8 wants Field(batch_first=True) instead.


def get_data(batch_size=64):
    return data.BucketIterator.splits((train, dev, test), batch_size=batch_size, device="cpu")


train_iter, dev_iter, test_iter = get_data()
batch = next(iter(train_iter))
print(batch)

# %% 5.4 Vectors for the vocabulary
# The page's name, 'glove.6B.300d', downloads 862 MB; this file has the same format, random numbers for every second
# word.
glove = args.out / "vectors.300d.txt"
with glove.open("w") as file:
    for word in inputs.vocab.itos[2::2]:
        file.write(word + "".join(f" {number:.4f}" for number in torch.randn(300).tolist()) + "\n")
inputs.vocab.load_vectors(Vectors(str(glove), cache=str(args.out)))
print(f"{inputs.vocab.vectors.shape = }; a word that is not in the file has zeros")

# %% The same without torchtext
# What the chapter's programs read. The words are those of the parses, and of the training split alone; where torchtext
# takes its words from there too, all batches and vectors are equal (tests/test_ch05_tours.py).
pairs = open_snli(folder)["train"]
(premise, hypothesis), labels = pairs.__getitems__(range(64))
print(f"{len(pairs.vocabulary)} words; {premise.words.shape = }, batch first; {LABELS[labels[0]] = }")
