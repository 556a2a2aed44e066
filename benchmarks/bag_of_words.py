"""How far one comes on pairs of sentences without the order of their words: the figure that the networks have to beat.

    python benchmarks/bag_of_words.py
    python benchmarks/bag_of_words.py --data SNLI

Three networks that see bags of words, and a table that sees no word at all:

- both sentences: the sums p and h of their word vectors, merged as [p, h, p - h, p * h], and two hidden layers;
- both sentences, word by word: a logistic regression over every pair of a premise's and a hypothesis's word;
- the hypothesis alone: the first network without its premise;
- the lengths of both sentences: the label most frequent for them in training.

Each network is trained to the end and scored on the test set after its best epoch on the development set. "the best
that any can do" is exact: pairs with equal bags get equal answers, so of each such group only the most frequent label
can be right.
"""

import argparse
import copy
import time
from collections import Counter, defaultdict

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ch05_sequence.loaders.snli import LABELS, PAD, open_snli
from data import sample
from data.sentence_pairs import make_sentence_pairs

BATCH = 64


class BagOfWords(nn.Module):
    """Two bags of words `(batch, length)` to one score a label `(batch, 3)`.

    Args:
        words: the size of the vocabulary.
        sees_premise: whether it is shown the premise, or only the hypothesis.
        size: features of a word vector; the hidden layers have twice as many.
    """

    def __init__(self, words, sees_premise=True, size=100):
        super().__init__()
        self.sees_premise = sees_premise
        self.embed = nn.EmbeddingBag(words, size, mode="sum", padding_idx=PAD)
        self.classifier = nn.Sequential(
            nn.Linear(4 * size, 2 * size), nn.ReLU(), nn.Dropout(0.2), nn.Linear(2 * size, 2 * size), nn.ReLU(),
            nn.Dropout(0.2), nn.Linear(2 * size, len(LABELS)),
        )  # fmt: skip

    def forward(self, premise, hypothesis):
        h = self.embed(hypothesis)
        p = self.embed(premise) if self.sees_premise else torch.zeros_like(h)
        return self.classifier(torch.cat([p, h, p - h, p * h], dim=1))


class WordPairs(nn.Module):
    """A weight for every word of either sentence and for every pair of them; two bags to scores `(batch, 3)`."""

    def __init__(self, words):
        super().__init__()
        self.words = words
        self.weights = nn.EmbeddingBag((words + 2) * words, len(LABELS), mode="sum", padding_idx=PAD)
        nn.init.zeros_(self.weights.weight)

    def forward(self, premise, hypothesis):
        is_padding = (premise == PAD)[:, :, None] | (hypothesis == PAD)[:, None, :]
        # Rows of the table: the premise's words, then the hypothesis's, then the pairs.
        together = ((premise[:, :, None] + 2) * self.words + hypothesis[:, None, :]).masked_fill(is_padding, PAD)
        alone = torch.where(hypothesis == PAD, PAD, hypothesis + self.words)
        return self.weights(torch.cat([premise, alone, together.flatten(1)], dim=1))


def batches(pairs, order):
    for rows in order.split(BATCH):
        (premise, hypothesis), labels = pairs.__getitems__(rows)
        yield premise.words, hypothesis.words, labels


@torch.no_grad()
def accuracy(network, pairs):
    network.eval()
    scores = (network(*bags).argmax(1) == labels for *bags, labels in batches(pairs, torch.arange(len(pairs))))
    return torch.cat([*scores]).float().mean().item()


def trained_accuracy(network, splits, epochs, lr, weight_decay):
    """The accuracy on the test set after the epoch that is best on the development set."""
    optimizer = torch.optim.AdamW(network.parameters(), lr, weight_decay=weight_decay)
    steps = epochs * -(-len(splits["train"]) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    best, weights = -1.0, None
    for _ in range(epochs):
        network.train()
        for *bags, labels in batches(splits["train"], torch.randperm(len(splits["train"]))):
            optimizer.zero_grad()
            cross_entropy(network(*bags), labels).backward()
            optimizer.step()
            schedule.step()
        score = accuracy(network, splits["dev"])
        if score > best:
            best, weights = score, copy.deepcopy(network.state_dict())
    network.load_state_dict(weights)
    return accuracy(network, splits["test"])


def accuracy_by_lengths(splits):
    """Answers the label that is most frequent in training for these two lengths."""
    seen = defaultdict(Counter)
    for (premise, hypothesis), labels in [splits["train"].__getitems__(torch.arange(len(splits["train"])))]:
        for *lengths, label in zip(premise.lengths.tolist(), hypothesis.lengths.tolist(), labels.tolist()):
            seen[tuple(lengths)][label] += 1
    (premise, hypothesis), labels = splits["test"].__getitems__(torch.arange(len(splits["test"])))
    lengths = zip(premise.lengths.tolist(), hypothesis.lengths.tolist())
    answers = [seen[pair].most_common(1)[0][0] if seen[pair] else 0 for pair in lengths]
    return (torch.tensor(answers) == labels).float().mean().item()


def bound(pairs):
    """The largest accuracy on these pairs of any function of the two bags."""
    groups = defaultdict(Counter)
    for premise, hypothesis, label in map(pairs.__getitem__, range(len(pairs))):
        groups[tuple(sorted(premise)), tuple(sorted(hypothesis))][label] += 1
    return sum(max(labels.values()) for labels in groups.values()) / len(pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="sample", help="the sample, or a folder with SNLI (default: sample)")
    parser.add_argument("--epochs", type=int, default=30, help="(default: 30)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    splits = open_snli(sample(make_sentence_pairs) if args.data == "sample" else args.data)
    words = len(splits["train"].vocabulary)
    print(", ".join(f"{len(pairs)} pairs for {split}" for split, pairs in splits.items()) + f", {words} words")
    networks = {
        "both sentences": (lambda: BagOfWords(words), 2e-3, 1e-2),
        "both sentences, word by word": (lambda: WordPairs(words), 2e-2, 1e-2),
        "the hypothesis alone": (lambda: BagOfWords(words, sees_premise=False), 2e-3, 1e-2),
    }
    for name, (build, lr, weight_decay) in networks.items():
        torch.manual_seed(args.seed)
        start = time.perf_counter()
        score = trained_accuracy(build(), splits, args.epochs, lr, weight_decay)
        print(f"{name:36} {score:.3f}   {time.perf_counter() - start:5.1f} s")
    print(f"{'the lengths of both sentences':36} {accuracy_by_lengths(splits):.3f}")
    print(f"{'the best that any can do':36} {bound(splits['test']):.3f}")


if __name__ == "__main__":
    main()
