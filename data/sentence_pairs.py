"""Pairs of sentences in SNLI's own format, made up from a seed: the sample of chapter 5.

    python data/sentence_pairs.py --out runs/sentence_pairs

The layout is that of SNLI 1.0 (Bowman, Angeli, Potts and Manning, 2015): `snli_1.0_train.jsonl`, `_dev` and `_test`, a
pair a line, with SNLI's fields. Each premise has three hypotheses, one a label, as SNLI's writers were asked for; the
labels follow from what the sentences say (sentence_grammar/meaning.py). The three hypotheses are of one length, and
for half of the premises they are the same words in three orders, so that no bag of words tells them apart. No two
premises of the sample, of whichever split, say the same. Of the development and test premises a tenth is longer or
nested deeper than any for training: their `captionID` begins with "deeper".
"""

import json
import random
from itertools import islice
from pathlib import Path

from data.sample_folder import main, make_sample
from data.sentence_grammar import words
from data.sentence_grammar.meaning import Fact, Nonsense, judge, nouns_of, renamed, sets_of
from data.sentence_grammar.trees import Teller

LABELS = ("entailment", "neutral", "contradiction")
VERSION = 3  # of the grammar: raise it when the sentences change, and samples on disk are made again
LONGEST = 13  # words of a training sentence, full stop included
SHARE_OF_SAME_WORDS = 0.5
SHARE_OF_DEEPER = 0.1  # of the development and test premises


def make_sentence_pairs(root, premises=(12000, 400, 400), seed=0) -> Path:
    """Writes the sample into the folder `root`, unless it is there already, and returns the folder.

    Args:
        premises: how many premises, of three pairs each, to write for training, development and test. Fewer of them
            for training are the beginning of more.

    Raises:
        FileExistsError: `root` holds something that is not a sample; it is left as it is.
    """

    def write(folder):
        rng, told = random.Random(seed), set()
        for split, count in zip(("train", "dev", "test"), premises, strict=True):
            deep = 0 if split == "train" else round(SHARE_OF_DEEPER * count)
            with open(folder / f"snli_1.0_{split}.jsonl", "w") as file:
                for kind, number in (("deeper", deep), ("scene", count - deep)):
                    for index, caption in enumerate(islice(captions(rng, told, kind == "deeper"), number)):
                        file.writelines(lines(f"{kind}-{split}-{index:05}", caption))

    parameters = {"sample": "sentence pairs", "version": VERSION, "premises": list(premises), "seed": seed}
    return make_sample(root, parameters, write)


def captions(rng, told, deeper):
    """Premises that say what is not in `told` yet, each a dictionary of trees: "premise" and the three labels."""
    while True:
        arrange = reordered if rng.random() < SHARE_OF_SAME_WORDS else reworded
        caption = None
        while not caption:
            facts = scene(rng, deeper)
            sets = attempt(sets_of, facts)
            tree = sets and attempt(Teller(rng, facts).tree)
            if tree and is_deeper(tree) == deeper and frozenset(sets.items()) not in told:
                caption = next(filter(None, (hypotheses(rng, facts, sets, tree, arrange) for _ in range(8))), None)
        told.add(frozenset(sets.items()))
        yield {"premise": tree, **caption}


def hypotheses(rng, facts, sets, premise, arrange):
    """Three hypotheses, one a label, of one length and, if only their order changes, of the same words; or None."""
    part = generalised(rng, rng.sample(facts, rng.randint(1, len(facts))))
    if arrange == reordered and len({words.QUESTION.get(fact.word) in words.ONCE for fact in part}) < 2:
        return None  # three orders of its words hardly make three labels
    new = dict.fromkeys(arrange(rng, part, facts) for _ in range(7))
    judged = {hypothesis: verdict for hypothesis in new if (verdict := attempt(judge, sets, hypothesis))}
    if len({label for label, _ in judged.values()}) < 3:
        return None
    way, article, found = rng.getrandbits(32), min(article for _, article in judged.values()), {}
    for hypothesis, (label, _) in judged.items():
        tree = attempt(Teller(random.Random(way), hypothesis, article).tree)
        if tree and (is_deeper(premise) or not is_deeper(tree)) and tree != premise:
            spoken = sorted(tree.text.lower().replace(".", "").split())
            group = found.setdefault(str(spoken) if arrange == reordered else len(spoken), {})
            group.setdefault(label, tree)
            if len(group) == 3:
                return group


def attempt(make, *arguments):
    """What `make` returns; None if that would be nonsense."""
    try:
        return make(*arguments)
    except Nonsense:
        return None


def is_deeper(tree):
    """Whether a sentence is longer than any for training, or has a relative clause inside another."""
    return len(tree.text.split()) >= LONGEST or tree.nesting > 1


def scene(rng, deeper):
    """Facts for a premise: what two or three do and what they are like; many are nonsense."""
    nouns = rng.sample(words.KINDS, 3)
    verbs = [*words.VERBS, "chase", "follow", "push", "pull"]  # more often one by which either could be who does it
    facts = [Fact(rng.choice(verbs), *nouns[:2])] if rng.random() < 0.9 else [trait(rng, noun) for noun in nouns[:2]]
    if rng.random() < (0.8 if deeper else 0.15):
        facts.append(Fact(rng.choice(verbs), *rng.sample([rng.choice(nouns[:2]), nouns[2]], 2)))
    for noun in nouns_of(tuple(facts)):
        facts += [trait(rng, noun)] if rng.random() < 0.55 else []
        facts += [Fact(rng.choice(words.QUESTIONS["number"]), noun)] if rng.random() < 0.08 else []
    facts += [Fact(rng.choice(words.QUESTIONS["place"]))] if rng.random() < 0.25 else []
    young = {kind: noun for noun, kind in words.YOUNG.items() if rng.random() < 0.5}
    return renamed(denied(rng, facts) if rng.random() < 0.06 else facts, young)


def trait(rng, noun):
    """What someone is like, does, or wears."""
    clothes = Fact(rng.choice(words.CLOTHES), noun, rng.choice([*words.COLOURS, None]))
    return clothes if rng.random() < 0.3 else Fact(rng.choice(words.QUALITIES * 3 + words.QUESTIONS["doing"] * 2), noun)


def denied(rng, facts):
    """The facts, one of them the other way round, none else."""
    chosen = rng.choice([fact for fact in facts if words.QUESTION.get(fact.word) not in ("number", "place")] or facts)
    return [fact._replace(negated=fact is chosen and not fact.negated) for fact in facts]


def generalised(rng, facts):
    """The facts in other words, some of them more general; now and then one of them is denied."""
    general = words.HYPERNYMS | words.YOUNG | {kind: rng.choice(["person", "child"]) for kind in ("boy", "girl")}
    general |= dict.fromkeys(("man", "woman"), "person") | dict.fromkeys(words.ANIMALS, "animal")
    names = {word: general[word] for fact in facts for word in fact[:3] if word in general and rng.random() < 0.25}
    return renamed(denied(rng, facts) if rng.random() < 0.12 else facts, names)


def reordered(rng, part, facts):
    """The same facts of each other, in part: who is chasing whom, and who of them is wet?"""
    nouns = nouns_of(part)
    if rng.random() < 0.5:
        part = renamed(part, dict(zip(nouns, rng.sample(nouns, len(nouns)))))
    traits = [fact for fact in part if fact.one and fact.word not in words.VERBS]
    moved = rng.choice(traits) if traits and rng.random() < 0.5 else None
    return tuple(fact._replace(one=rng.choice(nouns)) if fact == moved else fact for fact in part)


def reworded(rng, part, facts):
    """The facts with one or two other words, or with two words exchanged."""
    spoken, names = sorted({word for fact in part for word in fact[:3] if word}), {}
    for word in rng.sample(spoken, min(len(spoken), rng.choice([0, 1, 1, 2]))):
        same = words.QUESTIONS.get(words.QUESTION.get(word)) or (
            words.CLOTHES if word in words.CLOTHES else words.COLOURS
        )
        others = [*same, *same, *(words.QUALITIES if word in words.QUALITIES else same)]
        if word in words.MEANT:
            others = nouns_of(facts) * 4 + [*words.MEANT]
        other = rng.choice(others)
        names |= {word: other, other: word}
    return renamed(part, names)


def lines(name, caption):
    """The three pairs of a caption, with SNLI's fields, as lines of JSON."""
    for label in LABELS:
        pair = {"captionID": f"{name}.jpg#0", "pairID": f"{name}.jpg#0r1{label[0]}", "gold_label": label}
        for sentence, tree in (("sentence1", caption["premise"]), ("sentence2", caption[label])):
            pair |= {sentence: tree.text, f"{sentence}_parse": tree.penn, f"{sentence}_binary_parse": tree.binary}
        yield json.dumps({**pair, "annotator_labels": [label]}) + "\n"


if __name__ == "__main__":
    main(make_sentence_pairs, "Write the sample of sentence pairs.")
