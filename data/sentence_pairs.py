"""Pairs of sentences in SNLI's own format, written by a grammar from a seed: the sample of chapter 5.

    python data/sentence_pairs.py --out runs/sentence_pairs

The layout is that of SNLI 1.0 (Bowman, Angeli, Potts and Manning, 2015): `snli_1.0_train.jsonl`, `_dev` and `_test`, a
pair a line, with SNLI's fields. Each premise has three hypotheses, one a label, as SNLI's writers were asked for; the
labels are worked out from what the sentences mean (sentence_meaning.py). The three hypotheses are of one length. For
half of the premises they even consist of the same words in three orders, so that no bag of words tells them apart. Of
the development and test premises a tenth is longer or nested deeper than any for training: their `captionID` begins
with "deeper".
"""

import argparse
import json
import random
from itertools import islice
from pathlib import Path

from data.sample_folder import make_sample
from data.sentence_grammar.edits import rename
from data.sentence_grammar.grammar import binary, parse_tree, penn, plain
from data.sentence_grammar.hypotheses import HypothesisWriter, is_deeper
from data.sentence_grammar.scenes import Narrator, is_sensible
from data.sentence_grammar.words import INTERCHANGEABLE

SPLITS = ("train", "dev", "test")
LABELS = ("entailment", "neutral", "contradiction")
VERSION = 1  # of the grammar: raise it when the sentences change, and samples on disk are made again
SHARE_OF_DEEPER = 0.1  # of the development and test premises
# Of premises with hypotheses of the same words, of the same length, of single facts.
SHARES = (5, 1, 4)
SHARES_OF_DEEPER = (1, 1, 3)
TELLINGS = {"train": 4, "dev": 1, "test": 1}  # of each scene


def make_sentence_pairs(root, premises=(12000, 400, 400), seed=0) -> Path:
    """Writes the sample into the folder `root`, unless it is there already, and returns the folder.

    Args:
        root: the folder to make.
        premises: how many premises, of three pairs each, to write for training, development and test. Fewer of them
            for training are the beginning of more.
        seed: another seed, other sentences.

    Raises:
        FileExistsError: `root` holds something that is not a sample; it is left as it is.
    """

    def write(folder):
        rng = random.Random(seed)
        told = set()
        for split, count in zip(SPLITS, premises, strict=True):
            deep = 0 if split == "train" else round(SHARE_OF_DEEPER * count)
            with open(folder / f"snli_1.0_{split}.jsonl", "w") as file:
                for kind, number in (("deeper", deep), ("scene", count - deep)):
                    captions = islice(write_captions(rng, told, kind == "deeper", TELLINGS[split]), number)
                    for index, pairs in enumerate(captions):
                        for pair in pairs:
                            fields = line(f"{kind}-{split}-{index:05}.jpg#0", *pair)
                            file.write(json.dumps(fields, sort_keys=True) + "\n")

    parameters = {"sample": "sentence pairs", "version": VERSION, "premises": list(premises), "seed": seed}
    return make_sample(root, parameters, write)


def write_captions(rng, told, deeper, tellings):
    """Premises that are not in `told` with their hypotheses, as three `(premise tree, hypothesis tree, label)` each.

    To find three hypotheses takes longest, so each scene is told `tellings` times, of other people and animals, in
    other colours and places; the labels stay.
    """
    ways = [HypothesisWriter.same_words, HypothesisWriter.same_length, HypothesisWriter.single_facts]
    shares = SHARES_OF_DEEPER if deeper else SHARES
    while True:
        article = rng.choice(["a", "the"])
        way = rng.choices(ways, shares)[0]
        hypotheses = None
        while not hypotheses:
            premise = Narrator(rng, deeper).sentence()
            if is_sensible(premise) and is_deeper(premise) == deeper:
                hypotheses = way(HypothesisWriter(rng, premise, deeper, article))
        for _ in range(tellings):
            names = exchange(rng)
            sentences = [rename(sentence, names) for sentence in (premise, *map(hypotheses.get, LABELS))]
            tree, *trees = [parse_tree(sentences[0]), *(parse_tree(sentence, article) for sentence in sentences[1:])]
            if plain(tree) not in told:
                told.add(plain(tree))
                yield [(tree, *pair) for pair in zip(trees, LABELS)]


def exchange(rng):
    """Which word stands for which in another telling, drawn at random."""
    names = {}
    for group in INTERCHANGEABLE:
        for one, other in zip(group, rng.sample(group, len(group))):
            names |= dict(zip(one, other))
    return names


def line(caption, premise, hypothesis, label):
    """A pair with SNLI's fields."""
    fields = {
        "annotator_labels": [label],
        "captionID": caption,
        "gold_label": label,
        "pairID": f"{caption}r1{label[0]}",
    }
    for number, tree in ((1, premise), (2, hypothesis)):
        fields[f"sentence{number}"] = plain(tree)
        fields[f"sentence{number}_parse"] = penn(tree)
        fields[f"sentence{number}_binary_parse"] = binary(tree)
    return fields


def main():
    parser = argparse.ArgumentParser(description="Write the sample of sentence pairs.")
    parser.add_argument("--out", type=Path, required=True, help="the folder to make")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        print(make_sentence_pairs(arguments.out, seed=arguments.seed))
    except OSError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
