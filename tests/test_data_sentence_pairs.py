"""The embedded sentence pairs: labels that follow from the meaning, correct English and brackets, no give-away."""

import json
import random
import re
from collections import Counter, defaultdict
from itertools import product
from pathlib import Path

import pytest

from data.sentence_grammar.edits import rename
from data.sentence_grammar.grammar import binary, parse_tree, plain
from data.sentence_grammar.hypotheses import LONGEST, vary
from data.sentence_grammar.meaning import Acting, Being, Both, Clause, Doing, Sentence, Thing, Wearing, judge, parts
from data.sentence_grammar.scenes import Narrator, is_sensible
from data.sentence_grammar.words import HYPERNYMS, KINDS, PLACES, QUALITIES, SPECIAL, VERBS, denotation
from data.sentence_pairs import SHARE_OF_DEEPER, exchange, make_sentence_pairs

DEV = Path(__file__).resolve().parents[2] / "shared" / "data" / "snli" / "snli_1.0" / "snli_1.0_dev.jsonl"
SIZES = (160, 40, 40)
LABELS = ("entailment", "neutral", "contradiction")


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return make_sentence_pairs(tmp_path_factory.mktemp("sample") / "pairs", premises=SIZES)


def read(root, split):
    return [json.loads(text) for text in (root / f"snli_1.0_{split}.jsonl").read_text().splitlines()]


def by_caption(pairs):
    captions = defaultdict(list)
    for pair in pairs:
        captions[pair["captionID"]].append(pair)
    return captions


def says(noun, predicate, **more):
    negated = more.pop("negated", False)
    sentence = {name: more.pop(name) for name in ("nobody", "place") if name in more}
    return Sentence(Thing(noun, **more), Clause(predicate, negated), **sentence)


def acting(verb, noun, voice="active", **more):
    return Acting(verb, Thing(noun, **more), voice)


RED_HAT = Wearing("hat", "red")
CHASE = says("dog", acting("chase", "cat"))
CHASED = Clause(acting("chase", "dog", "passive"))
EXAMPLES = [
    (CHASE, says("cat", acting("chase", "dog", "passive")), "entailment"),
    (CHASE, says("cat", acting("chase", "dog")), "contradiction"),
    (CHASE, says("dog", acting("follow", "animal")), "entailment"),
    (says("dog", acting("follow", "cat")), CHASE, "neutral"),
    (CHASE, says("puppy", acting("chase", "cat")), "neutral"),
    (CHASE, says("boy", acting("chase", "cat")), "contradiction"),
    (CHASE, says("boy", acting("chase", "cat"), nobody=True), "entailment"),
    (CHASE, says("dog", acting("watch", "cat")), "contradiction"),
    (CHASE, says("cat", acting("watch", "dog")), "neutral"),
    (CHASE, says("cat", Doing("sleeping")), "contradiction"),
    (CHASE, says("cat", Doing("running")), "neutral"),
    (CHASE, says("dog", Doing("running"), negated=True), "entailment"),
    (says("dog", acting("chase", "cat"), quality="wet"), says("dog", Being("wet"), clause=CHASED), None),
    (
        says("cat", Being("wet"), clause=Clause(acting("chase", "dog", "object"))),
        says("dog", acting("chase", "cat", quality="wet")),
        "entailment",
    ),
    (
        says("cat", Being("wet"), clause=Clause(acting("chase", "dog", "object"))),
        says("dog", Being("wet"), clause=Clause(acting("chase", "cat"))),
        "neutral",
    ),
    (says("man", Doing("singing"), wearing=RED_HAT), says("man", Wearing("hat")), "entailment"),
    (says("man", Doing("singing"), wearing=Wearing("hat")), says("man", RED_HAT), "neutral"),
    (says("man", Doing("singing"), wearing=RED_HAT), says("man", Wearing("hat", "blue")), "contradiction"),
    (says("man", Doing("singing"), wearing=RED_HAT), says("man", Wearing("coat", "blue")), "neutral"),
    (says("cat", Being("wet")), says("cat", Being("dry")), "contradiction"),
    (says("cat", Being("wet")), says("cat", Being("black")), "neutral"),
    (says("cat", Being("wet")), says("animal", Being("dry")), "contradiction"),
    (Both(says("cat", Being("wet")), says("dog", Being("sad"))), says("animal", Being("dry")), "neutral"),
    (says("cat", Being("wet")), says("animal", Being("dry"), nobody=True), "entailment"),
    (says("cat", Being("wet")), says("child", Being("dry")), "neutral"),
    (says("boy", Doing("sleeping"), place="park"), says("child", Doing("resting"), place="outside"), "entailment"),
    (says("boy", Doing("sleeping"), place="park"), says("boy", Doing("sleeping"), place="inside"), "contradiction"),
    (says("boy", Doing("sleeping"), count="two"), says("child", Doing("sleeping"), count="some"), "entailment"),
    (says("boy", Doing("sleeping"), count="two"), says("boy", Doing("sleeping"), count="three"), "contradiction"),
    (says("boy", Doing("sleeping"), count="some"), says("boy", Doing("sleeping"), count="two"), "neutral"),
    (says("boy", Doing("sleeping")), says("person", Doing("sleeping"), nobody=True), "contradiction"),
    (says("person", Doing("sleeping"), nobody=True), says("girl", Doing("sleeping"), negated=True), "entailment"),
    (
        Both(says("man", Doing("singing")), says("girl", Doing("eating"))),
        Both(says("girl", Doing("singing")), says("man", Doing("eating"))),
        "contradiction",
    ),
    (says("man", acting("carry", "dog")), says("dog", acting("hold", "man", "passive")), "entailment"),
    (says("man", acting("carry", "dog")), says("dog", acting("chase", "cat")), "contradiction"),
]


@pytest.mark.parametrize(("premise", "hypothesis", "label"), EXAMPLES)
def test_labels_are_those_that_a_reader_would_give(premise, hypothesis, label):
    if label is None:  # a wet dog, and a dog that the other dog of the scene chases: there is but one
        assert not is_sensible(hypothesis)
    else:
        assert judge(premise, hypothesis) == label


NONSENSE = [
    says("dog", Being("wet"), quality="wet"),
    says("dog", Being("black"), clause=Clause(Being("white"))),
    says("dog", RED_HAT),
    says("man", RED_HAT, wearing=Wearing("hat")),
    says("cat", Doing("singing")),
    says("dog", acting("carry", "man")),
    says("boy", acting("chase", "child")),
    says("dog", acting("chase", "cat", "object")),
    says("dog", acting("chase", "cat", quality="wet"), negated=True),
    says("dog", Doing("sleeping"), nobody=True, negated=True),
]


@pytest.mark.parametrize("sentence", NONSENSE)
def test_nobody_would_say_so(sentence):
    assert not is_sensible(sentence)


def kind_of(answer, asked):
    return answer is not None and (answer == asked or HYPERNYMS.get(answer) == asked)


def true_in(sentence, scene):
    """Whether a sentence is true in one scene, a dictionary from questions to answers."""
    if isinstance(sentence, Both):
        return true_in(sentence.first, scene) and true_in(sentence.second, scene)
    subject, clause = sentence.subject, sentence.clause
    if sentence.place and not kind_of(scene["place"], sentence.place):
        return False
    found = [kind for kind in who(subject.noun, scene) if meant(subject, kind, scene) and said(clause, kind, scene)]
    return not found if sentence.nobody else bool(found)


def who(noun, scene):
    return [kind for kind in denotation(noun) if kind in scene["named"]] or denotation(noun)


def meant(thing, kind, scene):
    return (
        (thing.noun not in SPECIAL or scene["special", kind] == thing.noun)
        and (thing.count == "one" or kind_of(scene["count", kind], thing.count))
        and (not thing.quality or said(Clause(Being(thing.quality)), kind, scene))
        and (not thing.wearing or said(Clause(thing.wearing), kind, scene))
        and (not thing.clause or said(thing.clause, kind, scene))
    )


def said(clause, kind, scene):
    predicate = clause.predicate
    if isinstance(predicate, Wearing):
        worn = scene[predicate.item, kind]
        true = worn is not None and predicate.colour in (None, worn)
    elif isinstance(predicate, Being):
        true = scene[QUALITIES[predicate.quality], kind] == predicate.quality
    elif isinstance(predicate, Doing):
        true = kind_of(scene["doing", kind], predicate.doing)
    else:
        happening = scene["event", VERBS[predicate.verb].event]
        true = False
        if happening and kind_of(happening[0], predicate.verb):
            agent, patient = happening[1:]
            me, other = (agent, patient) if predicate.voice == "active" else (patient, agent)
            true = me == kind and other in who(predicate.other.noun, scene) and meant(predicate.other, other, scene)
    return true != clause.negated


def keeps_the_rules(scene):
    events = [answer for question, answer in scene.items() if question[0] == "event" and answer]
    agents = [agent for _, agent, _ in events]
    if len(agents) != len(set(agents)) or any(scene.get(("doing", agent)) for agent in agents):
        return False
    for verb, _, patient in events:
        doing, effect = scene.get(("doing", patient)), VERBS[verb].effect
        others = [event for event in events if event[0] != verb and VERBS[event[0]].effect and patient in event[1:]]
        if effect == "moves" and doing in ("sleeping", "sitting", "resting"):
            return False
        if effect == "held" and (others or doing in ("running", "walking", "swimming", "dancing", "jumping")):
            return False
    return True


def all_scenes(*sentences):
    """Every scene that differs in what the sentences speak of; None if there are too many to go through."""
    nodes = [node for sentence in sentences for node in parts(sentence, object)]
    things = [node for node in nodes if isinstance(node, Thing)]
    kinds = {kind for thing in things for kind in denotation(thing.noun)}
    answers = defaultdict(set)
    for node in nodes:
        if isinstance(node, Acting):
            event = answers["event", VERBS[node.verb].event]
            event.update((node.verb, *pair) for pair in product(kinds, repeat=2) if pair[0] != pair[1])
        if isinstance(node, Sentence) and node.place:
            answers["place"] |= {node.place, "park", "kitchen"}
        for kind in kinds:
            if isinstance(node, Wearing):
                answers[node.item, kind] |= {node.colour or "white", "pink"}
            if isinstance(node, Doing):
                answers["doing", kind].add(node.doing)
            qualities = [node.quality] if isinstance(node, Thing | Being) and node.quality else []
            for quality in qualities:
                answers[QUALITIES[quality], kind].add(quality)
            if isinstance(node, Thing) and node.count != "one":
                answers["count", kind] |= {node.count, "two"}
            if isinstance(node, Thing) and node.noun in SPECIAL and SPECIAL[node.noun] == kind:
                answers["special", kind].add(node.noun)
    number = 1
    for given in answers.values():
        number *= len(given) + 1
    if number > 3000:
        return None
    choices = ([None, *sorted(given)] for given in answers.values())
    named = {SPECIAL.get(thing.noun, thing.noun) for thing in things}
    scenes = (dict(zip(answers, chosen), named=named) for chosen in product(*choices))
    return [scene for scene in scenes if keeps_the_rules(scene)]


def test_labels_hold_in_every_scene():
    """Scenes one by one, against the sets of scenes that `judge` counts with."""
    rng = random.Random(3)
    checked = Counter()
    while min(checked[label] for label in LABELS) < 25:
        premise = Narrator(rng).sentence()
        if not is_sensible(premise):
            continue
        hypothesis = vary(rng, premise, rng.choice([1, 2]))
        scenes = all_scenes(premise, hypothesis)
        if not scenes:
            continue
        told = [true_in(hypothesis, scene) for scene in scenes if true_in(premise, scene)]
        expected = None
        if told and any(true_in(hypothesis, scene) for scene in scenes):
            expected = "entailment" if all(told) else "neutral" if any(told) else "contradiction"
        assert judge(premise, hypothesis) == expected, (plain(parse_tree(premise)), plain(parse_tree(hypothesis)))
        checked[expected] += 1


def test_other_names_for_people_and_things_leave_the_label():
    rng = random.Random(4)
    for _ in range(300):
        premise = Narrator(rng).sentence()
        if is_sensible(premise):
            hypothesis = vary(rng, premise, 1)
            names = exchange(rng)
            assert judge(rename(premise, names), rename(hypothesis, names)) == judge(premise, hypothesis)


def test_one_seed_gives_one_sample_and_another_seed_another(tmp_path, sample):
    few = (30, 2, 2)
    again = make_sentence_pairs(tmp_path / "again", premises=few)
    other = make_sentence_pairs(tmp_path / "other", premises=few, seed=1)
    # A smaller training set is the beginning of a larger one.
    assert read(again, "train") == read(sample, "train")[:90]
    first, second = ({pair["sentence1"] for pair in read(root, "train")} for root in (again, other))
    assert not first & second


def test_lines_have_the_fields_of_snli(sample):
    fields = {"annotator_labels", "captionID", "gold_label", "pairID", "sentence1", "sentence1_binary_parse"}
    fields |= {"sentence1_parse", "sentence2", "sentence2_binary_parse", "sentence2_parse"}
    for split, premises in zip(("train", "dev", "test"), SIZES):
        pairs = read(sample, split)
        assert len(pairs) == 3 * premises
        assert len({pair["pairID"] for pair in pairs}) == len(pairs)
        assert all(set(pair) == fields and pair["gold_label"] in LABELS for pair in pairs)


def penn_leaves(brackets):
    return re.findall(r"\(([^ ()]+) ([^ ()]+)\)", brackets)


def test_brackets_and_sentence_have_the_same_words(sample):
    for pair in read(sample, "train"):
        for sentence in ("sentence1", "sentence2"):
            words = [*pair[sentence].removesuffix(".").split(), "."]
            tokens = pair[f"{sentence}_binary_parse"].split()
            assert [token for token in tokens if token not in "()"] == words
            assert [word for _, word in penn_leaves(pair[f"{sentence}_parse"])] == words
            stack = []
            for token in tokens:  # every bracket joins exactly two
                if token == ")":
                    second, first = stack.pop(), stack.pop()
                    assert stack.pop() == "(" and first != "(" and second != "("
                    token = "joined"
                stack.append(token)
            assert stack == ["joined"]


def test_brackets_are_those_that_snli_would_have():
    thing = Thing("dog", quality="wet", clause=Clause(acting("chase", "girl", "object", wearing=None)))
    tree = parse_tree(Sentence(Thing("man", wearing=RED_HAT), Clause(Acting("watch", thing)), place="park"))
    assert plain(tree) == "A man in a red hat is watching a wet dog that a girl is chasing in the park."
    assert binary(tree) == (
        "( ( ( A man ) ( in ( a ( red hat ) ) ) ) ( ( is ( ( watching ( ( a ( wet dog ) ) "
        "( that ( ( a girl ) ( is chasing ) ) ) ) ) ( in ( the park ) ) ) ) . ) )"
    )
    assert (
        binary(parse_tree(says("boy", Doing("singing"), negated=True))) == "( ( A boy ) ( ( ( is not ) singing ) . ) )"
    )


@pytest.mark.real_data
@pytest.mark.skipif(not DEV.exists(), reason="no SNLI in ../shared/data")
def test_the_rule_for_binary_brackets_is_that_of_snli():
    def tree(brackets):
        """Nested (label, content) of Penn brackets."""
        stack = [("", [])]
        for token in re.findall(r"\([^ ()]+|\)|[^ ()]+", brackets):
            if token[0] == "(":
                stack.append((token[1:], []))
            elif token == ")":
                label, content = stack.pop()
                stack[-1][1].append((label, content[0] if isinstance(content[0], str) else content))
            else:
                stack[-1][1].append(token)
        return stack[0][1][0]

    pairs = [json.loads(text) for text in DEV.read_text().splitlines()[:400]]
    equal = [pair["sentence2_binary_parse"] == binary(tree(pair["sentence2_parse"])) for pair in pairs]
    assert sum(equal) / len(equal) > 0.93


def test_the_english_is_right(sample):
    text = "\n".join(f"{pair['sentence1']}\n{pair['sentence2']}" for pair in read(sample, "train"))
    assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", text)
    assert not re.search(
        r"\b(two|three|some) (\w+ )?(man|woman|boy|girl|dog|cat|horse|child|person|animal)\b", text, re.I
    )
    assert set(re.findall(r"^(?:A|An|No) \w+ (is|are)", text, re.M)) == {"is"}
    assert set(re.findall(r"^(?:The )?(?:Two|Three|Some) \w+ (is|are)", text, re.M | re.I)) <= {"are"}
    assert not re.search(r"[^a-zA-Z. \n]|  | \.|[A-Z].*[A-Z]", text)


def test_no_sentence_of_one_split_is_a_premise_of_another(sample):
    premises = {split: {pair["sentence1"] for pair in read(sample, split)} for split in ("train", "dev", "test")}
    assert [len(found) for found in premises.values()] == list(SIZES)
    assert not premises["train"] & premises["dev"] and not premises["train"] & premises["test"]
    assert not premises["dev"] & premises["test"]


def test_deeper_pairs_are_longer_or_nested_deeper_than_any_for_training(sample):
    def nested(pair):
        """The most relative clauses one inside the other, counted in the Penn brackets."""
        most = 0
        for sentence in ("sentence1", "sentence2"):
            open_labels = []
            for token in re.findall(r"\([^ ()]+|\)", pair[f"{sentence}_parse"]):
                open_labels.append(token) if token != ")" else open_labels.pop()
                most = max(most, open_labels.count("(SBAR"))
        return most

    def words(pair):
        return max(len(penn_leaves(pair["sentence1_parse"])), len(penn_leaves(pair["sentence2_parse"])))

    train = read(sample, "train")
    assert max(map(nested, train)) == 1 and max(map(words, train)) <= LONGEST
    for split in ("dev", "test"):
        deeper = [pair for pair in read(sample, split) if pair["captionID"].startswith("deeper")]
        assert len(deeper) == 3 * round(SHARE_OF_DEEPER * 40)
        assert all(nested(pair) > 1 or words(pair) > LONGEST for pair in deeper)


def test_neither_labels_nor_lengths_give_a_pair_away(sample):
    for caption in by_caption(read(sample, "train")).values():
        assert sorted(pair["gold_label"] for pair in caption) == sorted(LABELS)
        assert len({len(penn_leaves(pair["sentence2_parse"])) for pair in caption}) == 1
        assert len({pair["sentence1"] for pair in caption}) == 1


def test_no_pair_has_two_labels(sample):
    labels = defaultdict(set)
    for split in ("train", "dev", "test"):
        for pair in read(sample, split):
            labels[pair["sentence1"].lower(), pair["sentence2"].lower()].add(pair["gold_label"])
    assert {len(given) for given in labels.values()} == {1}


def test_some_premises_have_hypotheses_of_the_same_words(sample):
    """There, whatever sees bags of words gets one of three right: all three pairs look alike to it."""
    captions = by_caption(read(sample, "train")).values()
    bags = [{tuple(sorted(pair["sentence2"].lower().split())) for pair in caption} for caption in captions]
    assert 0.05 < sum(len(found) == 1 for found in bags) / len(bags) < 0.5


def test_the_words_of_a_hypothesis_alone_say_little(sample):
    """Naive Bayes over its words, trained on the training pairs."""
    counts = {label: Counter() for label in LABELS}
    for pair in read(sample, "train"):
        counts[pair["gold_label"]].update(set(pair["sentence2"].lower().split()))
    right = 0
    pairs = read(sample, "dev") + read(sample, "test")
    for pair in pairs:
        chances = {label: 1.0 for label in LABELS}
        for label in LABELS:
            for word in set(pair["sentence2"].lower().split()):
                chances[label] *= (counts[label][word] + 1) / (sum(counts[other][word] for other in LABELS) + 3)
        right += max(chances, key=chances.get) == pair["gold_label"]
    assert right / len(pairs) < 0.5


def test_several_are_several():
    holding = Clause(acting("hold", "puppy", count="some"))
    two = says("child", Being("wet"), count="two", wearing=RED_HAT, clause=holding)
    assert plain(parse_tree(two)) == "Two children in red hats that are holding some puppies are wet."
    assert plain(parse_tree(two, "the")) == "The two children in red hats that are holding the puppies are wet."
    pulled = Clause(acting("pull", "man", "object"))
    three = says("dog", acting("chase", "animal", "passive"), count="three", clause=pulled)
    assert plain(parse_tree(three)) == "Three dogs that a man is pulling are chased by an animal."


def test_the_tables_of_words_agree():
    assert set(SPECIAL.values()) <= set(KINDS)
    assert {HYPERNYMS[place] for place in PLACES} == {"outside", "inside"}
    for verb, general in HYPERNYMS.items():
        assert verb not in VERBS or VERBS[verb].event == VERBS[general].event
