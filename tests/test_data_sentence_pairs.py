"""The embedded sentence pairs: labels that hold in every small world, correct English and brackets, no give-away."""

import json
import re
from collections import Counter, defaultdict
from itertools import product
from pathlib import Path

import pytest

from data.sentence_grammar.meaning import Fact, Nonsense, judge, sets_of
from data.sentence_grammar.trees import join
from data.sentence_grammar.words import ANIMALS, HYPERNYMS, PEOPLE, PLURALS, QUESTION, QUESTIONS, VERBS
from data.sentence_pairs import LONGEST, SHARE_OF_DEEPER, make_sentence_pairs

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


def fact(text):
    """`not chase dog cat` as a Fact."""
    negated, _, rest = text.rpartition("not ")
    return Fact(*rest.split(), negated=bool(negated or text.startswith("not ")))


EXAMPLES = [
    ("chase dog cat", "follow dog cat", "entailment", "the"),
    ("chase dog cat", "chase cat dog", "contradiction", "the"),
    ("follow dog cat", "chase dog cat", "neutral", "the"),
    ("chase dog cat", "follow animal cat", "entailment", "a"),
    ("chase dog cat", "chase puppy cat", "neutral", "the"),
    ("chase puppy cat", "chase dog cat", "entailment", "the"),
    ("chase dog cat", "chase boy cat", "contradiction", "a"),
    ("chase dog cat", "sleeping cat", "contradiction", "the"),
    ("chase dog cat", "not resting cat", "entailment", "the"),
    ("chase dog cat", "running cat", "neutral", "the"),
    ("sleeping cat", "not chase cat dog", None, None),  # of no dog was told
    ("sleeping cat, wet dog", "not chase dog cat", "entailment", "the"),
    ("push dog cat", "pull dog cat", "contradiction", "the"),
    ("watch dog cat", "watch cat dog", "neutral", "the"),
    ("carry man dog", "hold man dog", "entailment", "the"),
    ("carry man dog", "chase dog cat", "contradiction", "a"),
    ("hold man dog", "running dog", "neutral", "the"),
    # The same event, but others are not ruled out.
    ("follow woman man", "follow man woman", "contradiction", "the"),
    ("follow woman man", "not follow man woman", "neutral", "the"),
    ("follow woman man", "not follow woman man", "contradiction", "the"),
    ("not follow woman man", "not chase woman man", "entailment", "the"),
    # Of two persons either will do, but then nobody is "the person".
    ("hat man blue, walking woman", "walking person", "entailment", "a"),
    ("hat man blue, walking woman", "hat person", "entailment", "a"),
    ("wet man, dry woman", "wet person", "entailment", "a"),
    ("wet man, wet woman", "dry person", "contradiction", "a"),
    ("wet man, happy woman", "dry person", "neutral", "a"),
    ("wet man, happy woman", "not wet person", None, None),
    ("wet man, happy dog", "dry person", "contradiction", "the"),
    ("wet man, happy woman", "dry man, wet person", "contradiction", "a"),
    ("wet man, happy woman", "wet boy", "neutral", "a"),
    ("wet cat, follow cat dog", "wet dog, follow cat dog", "neutral", "the"),
    ("hat man red", "hat man", "entailment", "the"),
    ("hat man", "hat man red", "neutral", "the"),
    ("hat man red", "hat man blue", "contradiction", "the"),
    ("hat man red", "coat man blue", "neutral", "the"),
    ("sleeping boy, park", "resting child, outside", "entailment", "the"),
    ("sleeping boy, park", "sleeping boy, inside", "contradiction", "the"),
    ("two boy, sleeping boy", "some child, resting child", "entailment", "a"),
    ("two boy, sleeping boy", "three boy, sleeping boy", "contradiction", "the"),
    ("two boy, sleeping boy", "sleeping boy", "entailment", "a"),
    ("sleeping boy", "two boy, sleeping boy", None, None),
    ("wet cat", "wet cat, dry cat", None, None),
    ("wet cat", "hat cat", None, None),
    ("wet cat", "chase cat cat", None, None),
    ("wet boy", "carry dog boy", None, None),
    ("chase boy girl", "chase child person", None, None),
]


@pytest.mark.parametrize(("premise", "hypothesis", "label", "article"), EXAMPLES)
def test_labels_are_those_that_a_reader_would_give(premise, hypothesis, label, article):
    told, asked = (tuple(map(fact, text.split(", "))) for text in (premise, hypothesis))
    if label is None:
        with pytest.raises(Nonsense):
            judge(sets_of(told), asked)
    else:
        assert judge(sets_of(told), asked) == (label, article)


# A reading of the sentences that shares nothing with the maker but the words: from the Penn brackets of the file to
# what is said, and whether that is true in one small world after the other.

SINGULARS = {several: one for one, several in PLURALS.items()}
SPOKEN = {form: verb for verb, forms in VERBS.items() for form in forms[:2]}
MEANT = {"person": PEOPLE, "child": ("boy", "girl"), "animal": ANIMALS, "puppy": ("dog",), "kitten": ("cat",)}
MOVING = ("running", "walking", "swimming", "dancing", "moving")
RESTING = ("sleeping", "sitting", "resting")


def tree_of(brackets):
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


def said_by(brackets):
    """What a sentence says, a list of (words, negated): the first word is what is said of the others."""
    said = []

    def thing(node):
        if node[1][0][0] == "NP":
            noun = thing(node[1][0])
            for label, content in node[1][1:]:
                if label == "PP":
                    said.append((("wear", noun, *clothes(content[1])), False))
                else:
                    clause(content[1][1], noun)
            return noun
        words = {label: word.lower() for label, word in node[1]}
        noun = words.get("NN") or SINGULARS.get(words["NNS"], words["NNS"].removesuffix("s"))
        said.extend(((word, noun), False) for label, word in words.items() if label in ("CD", "JJ") or word == "some")
        return noun

    def clothes(node):
        words = dict(node[1])
        return words.get("NN", words.get("NNS", "").removesuffix("s")), words.get("JJ")

    def clause(parts, noun=None):
        """A subject, unless it stands before "that", and a verb phrase."""
        subject = thing(parts[0]) if len(parts) > 1 else noun
        rest = parts[-1][1][1:]
        negated = rest[0] == ("RB", "not")
        inside = rest[-1][1]
        (label, word), others = inside[0], inside[1:]
        place = [words[-1][1] for _, words in others if words[-1][0] == "RB"]
        place += [words[1][1][1][1] for kind, words in others if kind == "PP" and words[0][1] == "in"]
        said.extend(((name,), False) for name in place)
        if word == "wearing":
            said.append((("wear", subject, *clothes(others[0])), negated))
        elif word not in SPOKEN:
            said.append(((word, subject), negated))
        elif len(parts) > 1 and noun:
            said.append(((SPOKEN[word], subject, noun), negated))
        elif label == "VBN":
            said.append(((SPOKEN[word], thing(others[0][1][1]), subject), negated))
        else:
            said.append(((SPOKEN[word], subject, thing(others[0])), negated))

    top = tree_of(brackets)[1][0][1][:-1]
    for parts in [part[1] for part in top if part[0] == "S"] or [top]:
        clause(parts)
    return said


def nouns_in(said):
    nouns = [noun for words, _ in said for noun in (words[1:2] if words[0] == "wear" else words[1:])]
    return [*dict.fromkeys(nouns)]


def bindings(said, named):
    """Whom the nouns can mean, one dictionary after the other; `named` are the kinds of the premise."""
    nouns = nouns_in(said)
    plain = {MEANT[noun][0] if noun in ("puppy", "kitten") else noun for noun in nouns}
    choices = []
    for noun in nouns:
        kinds = [kind for kind in MEANT.get(noun, (noun,)) if kind in named]
        if noun in ("person", "child", "animal") and kinds:
            kinds = [kind for kind in kinds if kind not in plain]
        choices.append(kinds or [MEANT[noun][0] if noun in ("puppy", "kitten") else noun])
    return [dict(zip(nouns, kinds)) for kinds in product(*choices)]


def ask(words, who):
    """The question to a world, and the answers that make it true, None for any."""
    word, *others = words
    if word == "wear":
        return ("wear", who[others[0]], others[1]), None if others[2] is None else {others[2]}
    true = {word, *(kind for kind, hypernym in HYPERNYMS.items() if hypernym == word)}
    return (QUESTION[word], *(who[noun] for noun in others)), true


def is_true(said, who, world):
    for words, negated in said:
        question, true = ask(words, who)
        answer = world.get(question)
        if (answer is not None if true is None else answer in true) == negated:
            return False
    return all(world["age", who[noun]] == noun for noun in who if noun in ("puppy", "kitten"))


def is_possible(world):
    """The rules of meaning.py's docstring that hold in every scene."""
    for question, verb in world.items():
        if verb in VERBS:
            agent, patient = (world.get(("doing", kind)) for kind in question[1:])
            if verb in ("chase", "follow") and not (agent in MOVING and patient in MOVING):
                return False
            if (verb == "carry" and patient in MOVING) or (verb != "hold" and agent == "sleeping"):
                return False
    return True


def worlds(*sentences):
    """Every small world that differs in what the sentences, pairs of what is said and a binding, ask; or None."""
    answers, doers = defaultdict(set), set()
    for said, who in sentences:
        for words, _ in said:
            question, true = ask(words, who)
            answers[question] |= true or {"red", "blue"}
            if question[0] == "doing":
                doers.add(question[1])
            if words[0] in VERBS:
                answers[question] |= {*QUESTIONS[QUESTION[words[0]]]}
                doers |= {*question[1:]}
        for noun in who:
            if noun in ("puppy", "kitten"):
                answers["age", who[noun]].add(noun)
    for kind in doers:
        answers["doing", kind] |= {"sleeping", "sitting", "moving"}
    number = 1
    for found in answers.values():
        number *= len(found) + 1
    if number > 40_000:
        return None
    found = (dict(zip(answers, chosen)) for chosen in product(*([None, *sorted(found)] for found in answers.values())))
    return [world for world in found if is_possible(world)]


def is_one_event(world):
    """Whether each thing that is done is done once; two can watch each other."""
    events = [(HYPERNYMS.get(verb, verb), question) for question, verb in world.items() if verb in VERBS]
    done = Counter(verb for verb, _ in events if verb != "watch")
    return not done or max(done.values()) == 1


def expected(premise, hypothesis):
    """The label that small worlds give; None where they are too many."""
    told = said_by(premise)
    named = {kind for kind in bindings(told, ())[0].values()}
    (teller,) = bindings(told, named)
    asked = said_by(hypothesis)
    readings = bindings(asked, named)
    found = worlds((told, teller), *((asked, who) for who in readings))
    if not found:
        return None
    scenes = [world for world in found if is_true(told, teller, world)]
    truths = [any(is_true(asked, who, world) for who in readings) for world in scenes]
    assert truths, premise
    if all(truths):
        return "entailment"
    same = [truth for truth, world in zip(truths, scenes) if is_one_event(world)]
    return "neutral" if any(same) else "contradiction"


def test_labels_hold_in_every_small_world(tmp_path):
    checked = Counter()
    sample = make_sentence_pairs(tmp_path / "other", premises=(150, 0, 30), seed=7)
    for pair in read(sample, "train") + read(sample, "test"):
        label = expected(pair["sentence1_parse"], pair["sentence2_parse"])
        if label:
            assert label == pair["gold_label"], (pair["sentence1"], pair["sentence2"])
            checked[label] += 1
    assert min(checked[label] for label in LABELS) > 100


def test_the_says_that_the_premise_tells_of_just_one(sample):
    for pair in read(sample, "train"):
        kinds = {*bindings(said_by(pair["sentence1_parse"]), ())[0].values()}
        for noun in re.findall(r"[Tt]he (?:two |three )?(?:\w+ )?(person|child|animal)\b", pair["sentence2"]):
            assert len(kinds & {*MEANT[noun]}) == 1, pair


def test_one_seed_gives_one_sample_and_another_seed_another(tmp_path, sample):
    few = (30, 2, 2)
    again = make_sentence_pairs(tmp_path / "again", premises=few)
    other = make_sentence_pairs(tmp_path / "other", premises=few, seed=1)
    # A smaller training set is the beginning of a larger one.
    assert read(again, "train") == read(sample, "train")[:90]
    first, second = ({pair["sentence1"] for pair in read(root, "train")} for root in (again, other))
    assert len(first & second) < 3


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


def joined(tree):
    """The maker's tree of nested (label, content)."""
    label, content = tree
    return f"{label} {content}" if isinstance(content, str) else join(label, *map(joined, content))


def test_brackets_are_those_that_snli_would_have():
    brackets = (
        "(ROOT (S (NP (NP (DT A) (NN man)) (PP (IN in) (NP (DT a) (JJ red) (NN hat)))) (VP (VBZ is) (VP (VBG watching) "
        "(NP (NP (DT a) (JJ wet) (NN dog)) (SBAR (WHNP (WDT that)) (S (NP (DT a) (NN girl)) (VP (VBZ is) "
        "(VP (VBG chasing)))))))) (. .)))"
    )
    assert joined(tree_of(brackets)).penn == brackets
    assert joined(tree_of(brackets)).binary == (
        "( ( ( A man ) ( in ( a ( red hat ) ) ) ) ( ( is ( watching ( ( a ( wet dog ) ) "
        "( that ( ( a girl ) ( is chasing ) ) ) ) ) ) . ) )"
    )


@pytest.mark.real_data
@pytest.mark.skipif(not DEV.exists(), reason="no SNLI in ../shared/data")
def test_the_rule_for_binary_brackets_is_that_of_snli():
    pairs = [json.loads(text) for text in DEV.read_text().splitlines()[:400]]
    equal = [pair["sentence2_binary_parse"] == joined(tree_of(pair["sentence2_parse"])).binary for pair in pairs]
    assert sum(equal) / len(equal) > 0.93


def test_the_english_is_right(sample):
    text = "\n".join(f"{pair['sentence1']}\n{pair['sentence2']}" for pair in read(sample, "train"))
    assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", text)
    assert not re.search(
        r"\b(two|three|some) (\w+ )?(man|woman|boy|girl|dog|cat|horse|child|person|animal)\b", text, re.I
    )
    assert set(re.findall(r"^(?:A|An) \w+ (is|are)", text, re.M)) == {"is"}
    several = r"^(?:The )?(?:two|three|some) (?:\w+ )?(?:men|women|people|children|\w+s) (?:that )?(is|are)\b"
    assert set(re.findall(several, text, re.I | re.M)) == {"are"}
    assert not re.search(r"[^a-zA-Z. \n]|  | \.|[A-Z].*[A-Z]|\.[^\n]", text)


def test_no_two_premises_say_the_same(sample):
    contents = [
        frozenset(said_by(pair["sentence1_parse"]))
        for split in ("train", "dev", "test")
        for pair in read(sample, split)
    ]
    assert len({*contents}) == sum(SIZES)


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


def test_neither_labels_nor_lengths_nor_articles_give_a_pair_away(sample):
    for caption in by_caption(read(sample, "train")).values():
        assert sorted(pair["gold_label"] for pair in caption) == sorted(LABELS)
        assert len({len(penn_leaves(pair["sentence2_parse"])) for pair in caption}) == 1
        assert len({pair["sentence1"] for pair in caption}) == 1
        assert len({" the " in pair["sentence2"].lower().replace("in the ", "") for pair in caption}) == 1


def test_no_pair_has_two_labels(sample):
    labels = defaultdict(set)
    for split in ("train", "dev", "test"):
        for pair in read(sample, split):
            labels[pair["sentence1"].lower(), pair["sentence2"].lower()].add(pair["gold_label"])
    assert {len(given) for given in labels.values()} == {1}


def bag(sentence):
    return tuple(sorted(sentence.lower().removesuffix(".").split()))


def test_no_bag_of_words_can_answer_seven_of_ten(sample):
    """Half of the premises have hypotheses of the same words: of those, a bag of words gets one of three right."""
    groups = defaultdict(Counter)
    for pair in read(sample, "train"):
        groups[bag(pair["sentence1"]), bag(pair["sentence2"])][pair["gold_label"]] += 1
    right = sum(max(given.values()) for given in groups.values())
    assert 0.5 < right / (3 * SIZES[0]) < 0.7


def test_the_words_of_a_hypothesis_alone_say_little(sample):
    """Naive Bayes over its words, trained on the training pairs."""
    counts = {label: Counter() for label in LABELS}
    for pair in read(sample, "train"):
        counts[pair["gold_label"]].update({*bag(pair["sentence2"])})
    right = 0
    pairs = read(sample, "dev") + read(sample, "test")
    for pair in pairs:
        chances = {label: 1.0 for label in LABELS}
        for label in LABELS:
            for word in {*bag(pair["sentence2"])}:
                chances[label] *= (counts[label][word] + 1) / (sum(counts[other][word] for other in LABELS) + 3)
        right += max(chances, key=chances.get) == pair["gold_label"]
    assert right / len(pairs) < 0.5


def test_the_sample_has_plurals_clothes_places_and_general_words(sample):
    spoken = {
        word for split in ("train", "dev", "test") for pair in read(sample, split) for word in bag(pair["sentence2"])
    }
    kinds = [{"two", "three"}, {"some"}, {"park", "street", "garden"}, {"outside"}, {"animal"}, {"person"}, {"child"}]
    for words in [*kinds, {"wearing"}, {"hat"}, {"following"}, {"resting"}, {"not"}, {"people", "animals", "children"}]:
        assert words & spoken, words
