"""What the sentences of the sample say, as sets, and which label follows from comparing them.

A scene is how a list of questions is answered: how wet is the dog, does it chase the cat, where are they? What a
sentence says is a set of scenes: to each question, the answers that it leaves open. The premise entails the hypothesis
if it leaves no answer open that the hypothesis rules out; it contradicts it if to some question they leave no answer
open in common; else the hypothesis is neutral. These rules make sentences into sets:

- There is one of each kind, or one group of it, and one place: "a dog" and "the dog" are the same. "A person" is one
  that the premise names, if it names any; where it names two, either will do, and no hypothesis says "the person".
- As in SNLI (Bowman, Angeli, Potts and Manning, 2015, section 2.1), both sentences tell of the same event: "a man is
  following a woman" contradicts "a woman is following a man" and "a boy is following a woman". But it does not rule
  them out: "a woman is not following a man" is neutral to it, not entailed. And two can watch each other.
- Who chases or follows, and who is chased or followed, moves; who is carried does not; who pushes, pulls, carries or
  watches does not sleep. Nobody rests and runs, or walks and swims; each has one hat and one coat.
"""

from functools import cache, lru_cache
from itertools import chain, product
from typing import NamedTuple

from data.sentence_grammar import words


class Fact(NamedTuple):
    """`wet dog`, `two dog`, `chase dog cat`, `hat man red`, `park`; a sentence says a tuple of them."""

    word: str
    one: str | None = None  # the noun of whom it is said; of a place nobody's
    other: str | None = None  # of a verb the noun to whom it is done, of clothes the colour
    negated: bool = False


class Nonsense(ValueError):
    """What nobody would say of a scene, true or not."""


@lru_cache(1000)
def nouns_of(facts):
    """The nouns in the order of their first use."""
    named = [noun for word, *nouns, _ in facts for noun in nouns[: 1 + (word in words.VERBS)] if noun]
    return [*dict.fromkeys(named)]


def renamed(facts, names):
    """The facts with other words, by a dictionary from old ones."""
    return tuple([Fact(names.get(a, a), names.get(b, b), names.get(c, c), negated) for a, b, c, negated in facts])


@cache
def statements(fact):
    """What a fact answers: a topic, of which one fact of a sentence may speak, and pairs of question and answers.

    A question is a tuple of its name and of whom it is asked: `("following", "dog", "cat")`. Where such a thing cannot
    be said of such a one, the topic is None.
    """
    word, one, other, negated = fact
    name, verb, nouns = words.QUESTION.get(word, word), words.VERBS.get(word), nouns_of((fact,))
    said_of = verb[-2:] if verb else [words.SAID_OF.get(word, words.KINDS)]
    if any({*words.MEANT[noun]}.isdisjoint(kinds) for noun, kinds in zip(nouns, said_of)) or (verb and one == other):
        return None, ()
    who = [words.YOUNG.get(noun, noun) for noun in nouns]
    answers = words.ANSWERS.get(word) or words.OPEN[name] & {other} or words.OPEN[name] - {"none"}
    told = [((name, *who), words.OPEN[name] - answers if negated else answers)]
    told += [(("age", kind), words.ANSWERS[noun]) for noun, kind in zip(nouns, who) if noun in words.YOUNG]
    if verb and not negated:
        told += [(("doing", kind), does) for kind, does in zip(who, verb[2:4])]
    return name if name in words.ONCE else told[0][0], told


def is_sayable(facts):
    """Whether each of them can be said of whom it is said: cheaper than `sets_of`, so that it is asked first."""
    return all([statements(fact)[0] for fact in facts])


def sets_of(facts):
    """To each question the answers that a sentence leaves open, a dictionary.

    Raises Nonsense: something is said twice, or of such as it cannot be said of, or it cannot be.
    """
    kinds = [kind for noun in nouns_of(facts) for kind in words.MEANT[noun]]
    topics, told = zip(*map(statements, facts))
    sets = {}
    for question, answers in chain.from_iterable(told):
        sets[question] = answers & sets.get(question, answers)
    if None in topics or len(topics) > len({*topics}) or len(kinds) > len({*kinds}) or not all(sets.values()):
        raise Nonsense
    return sets


def left_open(sets, question):
    """The answers to a question that a sentence leaves open: who sleeps chases nobody."""
    answers = sets.get(question, words.OPEN[question[0]])
    if len(question) < 3:
        return answers
    does = [sets.get(("doing", kind), words.OPEN["doing"]) for kind in question[1:]]
    able = [verb for verb in answers - {"none"} if all(map(frozenset.__and__, words.VERBS[verb][2:4], does))]
    return answers & {"none", *able}


def exclude(told, asked):
    """Whether two sentences cannot be told of the same scene, and the same event."""
    events = [one for one in told if one[0] in words.ONCE and "none" not in told[one]]
    return any(question in told and not told[question] & asked[question] for question in asked) or any(
        one[0] == other[0] and one != other and "none" not in asked[other] and told[one] & asked[other]
        for one, other in product(events, asked)
    )


def judge(told, hypothesis):
    """The label of a hypothesis, facts, to a premise, from `sets_of`; and the article with which it can be told.

    Raises Nonsense: the hypothesis is, or it is not clear of whom it speaks.
    """
    nouns = nouns_of(hypothesis)
    numbers = {fact.one: fact.word for fact in hypothesis if fact.word in words.QUESTIONS["number"]}
    tells_of = {kind for question in told for kind in question[1:]}
    found = {noun: [kind for kind in words.MEANT[noun] if kind in tells_of] for noun in nouns}
    several = {noun for noun in nouns if any(("number", kind) in told for kind in found[noun])}
    named = {kind for noun in nouns if noun not in words.GENERAL for kind in words.MEANT[noun]}
    meant = {noun: [*{*found[noun]} - named] if found[noun] else [noun] for noun in nouns if noun in words.GENERAL}
    alone = all(len(kinds) == 1 for kinds in found.values())
    # Two of whom, if the premise tells of one? Which of two persons is not wet? Can the child be the person?
    unclear = not alone and (numbers or any(fact.negated for fact in hypothesis))
    if unclear or not numbers.keys() <= several or [] in meant.values() or {"person"} < {*meant}:
        raise Nonsense
    readings = [sets_of(renamed(hypothesis, dict(zip(meant, kinds)))) for kinds in product(*meant.values())]
    if any(all(left_open(told, question) <= asked[question] for question in asked) for asked in readings):
        label = "entailment"
    else:
        label = "contradiction" if all([exclude(told, asked) for asked in readings]) else "neutral"
    return label, "the" if alone and several == numbers.keys() and "some" not in numbers.values() else "a"
