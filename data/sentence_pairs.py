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
from contextlib import suppress
from itertools import chain, cycle, islice, permutations, product
from pathlib import Path

from data.sample_folder import main, make_sample
from data.sentence_grammar import words
from data.sentence_grammar.meaning import Fact, Nonsense, is_sayable, judge, nouns_of, renamed, sets_of
from data.sentence_grammar.trees import Teller

LABELS = ("entailment", "neutral", "contradiction")
VERSION = 4  # of the grammar: raise it when the sentences change, and samples on disk are made again
LONGEST = 13  # words of a training sentence, full stop included
SHARE_OF_DEEPER = 0.1  # of the development and test premises


def make_sentence_pairs(root, premises=(24000, 400, 400), seed=0) -> Path:
    """Writes the sample into the folder `root`, unless it is there already, and returns the folder.

    Args:
        premises: how many premises, of three pairs each, to write for training, development and test. Fewer of them
            for training are the beginning of more, and leave the other splits as they are.

    Raises:
        FileExistsError: `root` holds something that is not a sample; it is left as it is.
    """

    def write(folder):
        told = set()
        for split, size in sorted(zip(("train", "dev", "test"), premises, strict=True)):  # training last: it can grow
            rng, deep = random.Random(f"{seed} {split}"), 0 if split == "train" else round(SHARE_OF_DEEPER * size)
            with open(folder / f"snli_1.0_{split}.jsonl", "w") as file:
                for kind, number in (("deeper", deep), ("scene", size - deep)):
                    for index, caption in enumerate(islice(captions(rng, told, kind == "deeper"), number)):
                        file.writelines(lines(f"{kind}-{split}-{index:05}", caption))

    parameters = {"sample": "sentence pairs", "version": VERSION, "premises": list(premises), "seed": seed}
    return make_sample(root, parameters, write)


def captions(rng, told, deeper):
    """Premises that say what is not in `told` yet, each a dictionary of trees: "premise" and the three labels."""
    for arrange in cycle([reordered, reworded]):
        caption = None
        while not caption:
            facts = scene(rng, deeper)
            with suppress(Nonsense):
                sets = sets_of(facts)
                if (said := frozenset(sets.items())) in told or (arrange == reordered and not is_mixed(facts)):
                    continue
                tree = Teller([rng.random() for _ in range(25)], facts).tree()
                if is_deeper(tree) == deeper:
                    caption = next(filter(None, (hypotheses(rng, facts, sets, tree, arrange) for _ in range(6))), None)
        told.add(said)
        yield {"premise": tree, **caption}


def hypotheses(rng, facts, sets, premise, arrange):
    """Three hypotheses, one a label, of one length and, if only their order changes, of the same words; or None."""
    part = ()
    while not part or (arrange == reordered and not is_mixed(part)):
        part = rng.sample(facts, rng.randint(1, len(facts)))
    part = generalised(rng, part)
    found, seen = {}, set()
    for hypothesis in chain([part], islice(arrange(rng, part, facts), 12)):
        if hypothesis not in seen and is_sayable(hypothesis):
            with suppress(Nonsense):
                label, article = judge(sets, hypothesis)
                found.setdefault(label, (article, hypothesis))
        seen.add(hypothesis)
        if len(found) in (0, 3):  # a part that is nonsense itself hardly makes sense in another order
            break
    for _ in range(3 if len(found) == 3 else 0):
        way, article = [rng.random() for _ in range(25)], min(article for article, _ in found.values())
        with suppress(Nonsense):
            trees = [Teller(way, hypothesis, article).tree() for _, hypothesis in found.values()]
            spoken = [sorted(tree.text.lower().replace(".", "").split()) for tree in trees]
            alike = {str(said) if arrange == reordered else len(said) for said in spoken}
            if len(alike) == 1 and premise not in trees and max(map(is_deeper, trees)) <= is_deeper(premise):
                return dict(zip(found, trees))


def is_deeper(tree):
    """Whether a sentence is longer than any for training, or has a relative clause inside another."""
    return len(tree.text.split()) >= LONGEST or tree.nesting > 1


def is_mixed(facts):
    """Whether three orders of the words can make three labels: it takes what is done once, and something else."""
    said = [fact for fact in facts if fact.one and fact.word not in words.QUESTIONS["number"]]
    return len({words.QUESTION.get(fact.word) in words.ONCE and not fact.negated for fact in said}) == 2


# What a premise can say of someone, and of two, the likelier the more often.
ALONE = [Fact(word, noun) for noun in words.KINDS for word in words.QUALITIES * 3 + words.QUESTIONS["doing"] * 2]
ALONE += [Fact(*worn) for worn in product(words.CLOTHES * 2, words.KINDS, [*words.COLOURS, None])]
TRAITS = {noun: [fact for fact in ALONE if fact.one == noun and is_sayable([fact])] for noun in words.KINDS}
OFTEN = [*words.VERBS, "chase", "follow", "push", "pull"]  # those by which either could be who does it
DEEDS = [deed for verb in OFTEN for nouns in permutations(words.KINDS, 2) if is_sayable([deed := Fact(verb, *nouns)])]


def scene(rng, deeper):
    """Facts for a premise: what two or three do and what they are like; a few are nonsense."""
    facts = [rng.choice(DEEDS)]
    nouns = facts[0][1:3]
    if rng.random() < 0.1:
        facts = [rng.choice(TRAITS[noun]) for noun in nouns]
    if rng.random() < (0.8 if deeper else 0.15):
        facts.append(rng.choice([deed for deed in DEEDS if (deed.one in nouns) != (deed.other in nouns)]))
    for noun in nouns_of(tuple(facts)):
        facts += [rng.choice(TRAITS[noun])] if rng.random() < 0.55 else []
        facts += [Fact(rng.choice(words.QUESTIONS["number"]), noun)] if rng.random() < 0.08 else []
    facts += [Fact(rng.choice(words.QUESTIONS["place"]))] if rng.random() < 0.3 else []
    young = {kind: noun for noun, kind in words.YOUNG.items() if rng.random() < 0.5}
    return renamed(denied(rng, facts) if rng.random() < 0.06 else facts, young)


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
    """The same facts of each other, in all orders that can be said: who is chasing whom, and who of them is wet?"""
    nouns = nouns_of(part)
    orders = [renamed(part, dict(zip(nouns, order))) for order in permutations(nouns)]
    for order, (index, fact), noun in product(orders.copy(), enumerate(part), nouns):
        if fact.one and fact.word not in words.VERBS:
            orders.append((*order[:index], fact._replace(one=noun), *order[index + 1 :]))
    orders = [*filter(is_sayable, dict.fromkeys(orders))]
    return rng.sample(orders, len(orders)) if len(orders) > 2 else []  # two do not make three labels


def reworded(rng, part, facts):
    """The facts with one or two other words, or with two words exchanged; ever others."""
    spoken, nouns = sorted({word for fact in part for word in fact[:3] if word}), nouns_of(facts) * 4 + [*words.MEANT]
    while True:
        names = {}
        for word in rng.sample(spoken, min(len(spoken), rng.choice([1, 1, 2]))):
            same = words.CLOTHES if word in words.CLOTHES else words.COLOURS
            same = words.QUESTIONS.get(words.QUESTION.get(word), same)
            same = same * 3 + words.QUALITIES * (word in words.QUALITIES)
            other = rng.choice(nouns if word in words.MEANT else same)
            names |= {word: other, other: word}
        yield renamed(part, names)


def lines(name, caption):
    """The three pairs of a caption, with SNLI's fields, as lines of JSON."""
    for label in LABELS:
        pair = {"captionID": f"{name}.jpg#0", "pairID": f"{name}.jpg#0r1{label[0]}", "gold_label": label}
        for sentence, tree in (("sentence1", caption["premise"]), ("sentence2", caption[label])):
            pair |= {sentence: tree.text, f"{sentence}_parse": tree.penn, f"{sentence}_binary_parse": tree.binary}
        yield json.dumps({**pair, "annotator_labels": [label]}) + "\n"


if __name__ == "__main__":
    main(make_sentence_pairs, "Write the sample of sentence pairs.")
