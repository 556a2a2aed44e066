"""SNLI by torchtext 0.6.0 as on the page, and the same batches without it (listings 5.1, 5.4).

    python ch05_sequence/torchtext_tour.py

It reads the embedded sample. torchtext is archived: nothing else in this chapter depends on it.
"""

# SNLI.splits would download the whole set, 94 MB; here it finds the sample, which has the same files.
import torch
from torchtext import data, datasets
from torchtext.datasets.nli import ShiftReduceField
from torchtext.vocab import Vectors

from ch05_sequence.loaders.snli import LABELS, open_snli
from ch05_sequence.loaders.vectors import load_vectors
from common.tours import tour
from data import sample
from data.sentence_pairs import make_sentence_pairs

args = tour(__doc__, device=False)
folder = sample(make_sentence_pairs)


class SNLI(datasets.SNLI):
    """torchtext's SNLI, but where it would download the files it takes the sample's folder."""

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

# %% The same pairs without torchtext
# Its words are those of the training split alone, and they come from the parses.
words = data.Field(
    lower=True,
    include_lengths=True,
    preprocessing=lambda items: [item for item in items if item not in ("(", ")")],
)
transitions, label = ShiftReduceField(), data.Field(sequential=False, unk_token=None)
parsed_train, parsed_dev, parsed_test = SNLI.splits(words, label, transitions)
words.build_vocab(parsed_train)
label.build_vocab([[name] for name in LABELS])
label.vocab.stoi.update({name: number for number, name in enumerate(LABELS)})
pairs = open_snli(folder)["train"]
same_words = words.vocab.itos == pairs.vocabulary.words
print(f"{len(pairs)} pairs, {len(pairs.vocabulary)} words, torchtext has the same: {same_words}")

# %% The same batches without torchtext
# A field more tells which examples torchtext has put into a batch, so that ours can have the same.
parsed_train.fields["row"] = data.Field(sequential=False, use_vocab=False)
for row, example in enumerate(parsed_train.examples):
    example.row = row


def is_same(theirs):
    """Whether all tensors of a torchtext batch are those of the batch that `Pairs` makes of the same examples."""
    (premise, hypothesis), labels = pairs.__getitems__(theirs.row.tolist())
    equal = [torch.equal(theirs.label, labels)]
    for name, ours in (("premise", premise), ("hypothesis", hypothesis)):
        their_words, their_lengths = getattr(theirs, name)
        equal.append(torch.equal(their_words.t(), ours.words))
        equal.append(torch.equal(their_lengths, ours.lengths))
        equal.append(torch.equal(getattr(theirs, f"{name}_transitions").t(), ours.transitions))
    return all(equal)


batches_equal = [is_same(theirs) for theirs in data.BucketIterator(parsed_train, batch_size=64, device="cpu")]
print(f"{sum(batches_equal)} of {len(batches_equal)} batches of one epoch are equal")

# %% The same vectors without torchtext
# `load_vectors` finds the same, and gives the others random numbers instead of zeros.
words.vocab.load_vectors(Vectors(str(glove), cache=str(args.out)))
theirs, ours = words.vocab.vectors, load_vectors(glove, pairs.vocabulary, 300)
in_file = theirs.abs().sum(1) > 0
same_vectors = torch.equal(theirs[in_file], ours[in_file])
print(f"{same_vectors = } for {int(in_file.sum())} of {len(in_file)} words")
