"""Words as numbers: one-hot vectors, an embedding, and vectors out of counts (listings 5.2, 5.3 and the text beside).

    python ch05_sequence/embedding_tour.py
    python ch05_sequence/embedding_tour.py --vectors glove.6B.50d.txt      neighbours in real vectors too

It prints what the pages print and draws `words_by_company.png` into `runs/embedding_tour`.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from ch05_sequence.loaders.snli import open_snli
from common.tours import tour
from common.word_vectors import frequent_vectors
from data import sample
from data.sentence_pairs import make_sentence_pairs

args = tour(__doc__, {"--vectors": dict(metavar="FILE", help="word vectors in GloVe's format")}, device=False)

# %% 5.2 A sentence as one-hot vectors
# Rows of zeros with one 1 each, in the column of the word.
vocab = {
    "am": 0,
    "are": 1,
    "fine": 2,
    "hai": 3,
    "how": 4,
    "i": 5,
    "thanks": 6,
    "you": 7,
    ",": 8,
    ".": 9,
}
# input = hai, how are you -> 3, 8, 4, 1, 7
seq = [vocab[word] for word in ["hai", ",", "how", "are", "you"]]
a = np.array(seq)
b = np.zeros((len(seq), len(vocab)))
b[np.arange(len(seq)), seq] = 1
print(seq)
print(b)

# %% One-hot vectors by torch, and what they cost
# The input layer has a column for every word of the vocabulary, so it grows with it.
by_torch = nn.functional.one_hot(torch.tensor(seq), len(vocab))
parameters_for = {words: nn.Linear(words, 300, bias=False).weight.numel() for words in (len(vocab), 100, 40_000)}
print(f"the same by torch: {bool((by_torch.numpy() == b).all())}")
for words, parameters in parameters_for.items():
    print(f"a layer of 300 neurons over one-hot vectors of {words} words has {parameters:,} weights")

# %% 5.3 An embedding layer maps a word's index to a vector
vocab_size = 100
embedding_dim = 300
embed = nn.Embedding(vocab_size, embedding_dim)
input_tensor = torch.LongTensor([5])
vector = embed(input_tensor)
print(vector.size())

# %% 5.3 An embedding is a table
# The vector is a row of its weight. Multiplying by a one-hot vector would find the same row, slowly.
is_row_5 = torch.equal(vector[0], embed.weight[5])
one_hot_row = nn.functional.one_hot(input_tensor, vocab_size).float() @ embed.weight
same_by_product = torch.equal(one_hot_row, vector)
print(f"weight {tuple(embed.weight.shape)}, {is_row_5 = }, {same_by_product = }")

# %% The table is trained with the rest of the network
# A sentence teaches the rows of its own words only.
vector.sum().backward()
trained_rows = embed.weight.grad.abs().sum(1).nonzero().flatten().tolist()
print(f"{embed.weight.requires_grad = }, {trained_rows = }")

# %% The idea behind GloVe, in small: which words stand near each other
# Counted here are the words of the sample's sentences, two to either side.
train = open_snli(sample(make_sentence_pairs))["train"]
words = train.vocabulary.words[2:]  # without <unk> and <pad>
counts = torch.zeros(len(train.vocabulary), len(train.vocabulary))
for index in range(min(len(train), 6000)):
    for sentence in train[index][:2]:
        numbers = torch.tensor(train.vocabulary.lookup(sentence))
        for distance in (1, 2):
            near = (numbers[:-distance], numbers[distance:])
            counts.index_put_(near, torch.ones(len(near[0])), accumulate=True)
            counts.index_put_(near[::-1], torch.ones(len(near[0])), accumulate=True)
counts = counts[2:, 2:]

# %% How much more often than by chance two words meet
# Its logarithm, no less than 0, and the directions in which the rows of that table differ most.
by_chance = counts.sum(1, keepdim=True) * counts.sum(0) / counts.sum()
company = (counts / by_chance.clamp(min=1e-9)).clamp(min=1).log()
left, strengths, _ = torch.linalg.svd(company - company.mean(0))
vectors = left[:, :10] * strengths[:10]


def nearest(word, count=4, words=words, vectors=vectors):
    """The words whose vectors point most nearly in the direction of this word's."""
    likeness = nn.functional.cosine_similarity(vectors, vectors[words.index(word)], dim=1)
    return [words[place] for place in likeness.argsort(descending=True)[1 : count + 1]]


for word in ("dog", "red", "running", "women"):
    if word in words:
        print(f"nearest to {word}: {', '.join(nearest(word))}")

# %% How alike the words are
# Each word stands beside the likest of those not yet placed: words of one kind make blocks, though nobody told what a
# word means.
directions = nn.functional.normalize(vectors, dim=1)
alike = directions @ directions.T
order = [0]
while len(order) < len(words):
    order.append(alike[order[-1]].index_fill(0, torch.tensor(order), -2).argmax().item())
names = [words[place] for place in order]
figure, axes = plt.subplots(figsize=(13, 12), layout="constrained")
image = axes.imshow(alike[order][:, order].numpy(), cmap="RdBu_r", vmin=-1, vmax=1)
axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
axes.set_yticks(range(len(names)), names, fontsize=7)
axes.set_title("The sample's words by the company they keep")
figure.colorbar(image, label="cosine of the angle between two words' vectors", shrink=0.6)
figure.savefig(args.out / "words_by_company.png", dpi=120)
plt.close(figure)

# %% Neighbours in real vectors
# GloVe's come from six billion words instead of some thousand sentences: --vectors names a file of them.
if args.vectors:
    known, real = frequent_vectors(args.vectors, 20_000)
    print(f"{len(known)} words of {args.vectors}")
    for word in ("dog", "red", "running", "women"):
        if word in known:
            print(f"nearest to {word}: {', '.join(nearest(word, 4, known, real))}")
