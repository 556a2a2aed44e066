"""What the sentences of the sample mean, and what follows from them: every scene that they can tell is looked at.

A sentence is true or false in a scene. The premise entails the hypothesis if that is true in every scene in which the
premise is; it contradicts it if in none; else the hypothesis is neutral. As in SNLI (Bowman, Angeli, Potts and Manning,
2015, section 2.1), both sentences tell of the same scene: "a dog" and "the dog" are one dog, and "a boy pulls a horse"
excludes "a girl pulls a horse". So scenes are bound by these rules:

- there is one of each kind (or one group of it), and each verb happens once, by one and to one;
- "the animal" is an animal that one of the sentences names, if they name any;
- each does one thing at a time;
- whoever is chased, followed, pushed or pulled does not rest; whoever is held neither moves nor makes others move.
"""

import operator
from dataclasses import dataclass
from functools import reduce
from itertools import product

from data.sentence_grammar.words import (
    MOVING,
    QUALITIES,
    RESTING,
    SPECIAL,
    VERBS,
    denotation,
    is_kind_of,
)

EVERY = -1  # as a set of scenes: a number with every bit set


class Part:
    """A part of a sentence; what is told of it is in its fields."""


@dataclass(frozen=True)
class Wearing(Part):
    """`in a red hat`; without colour `in a hat`."""

    item: str
    colour: str | None = None


@dataclass(frozen=True)
class Being(Part):
    """`is wet`."""

    quality: str


@dataclass(frozen=True)
class Doing(Part):
    """`is sleeping`."""

    doing: str


@dataclass(frozen=True)
class Acting(Part):
    """`is chasing a dog`; in the passive `is chased by a dog`; in the voice "object" `that a dog is chasing`."""

    verb: str
    other: "Thing"
    voice: str = "active"


@dataclass(frozen=True)
class Clause(Part):
    """What is said of someone, as a relative clause or as the rest of a sentence."""

    predicate: Wearing | Being | Doing | Acting
    negated: bool = False


@dataclass(frozen=True)
class Thing(Part):
    """A noun phrase: `two black dogs that are chasing a cat`."""

    noun: str
    count: str = "one"
    quality: str | None = None
    wearing: Wearing | None = None
    clause: Clause | None = None


@dataclass(frozen=True)
class Sentence(Part):
    """`A dog is sleeping in the park.`; with `nobody` it begins with `No`."""

    subject: Thing
    clause: Clause
    nobody: bool = False
    place: str | None = None


@dataclass(frozen=True)
class Both(Part):
    """`A man is singing and a woman is dancing.`"""

    first: Sentence
    second: Sentence


def walk(node, path=()):
    """Every part of a sentence, with its path of field names from the whole."""
    yield path, node
    for name in node.__dataclass_fields__:
        part = getattr(node, name)
        if isinstance(part, Part):
            yield from walk(part, (*path, name))


def parts(sentence, kind):
    """The parts of a sentence that are of a class, in the order of their fields."""
    return [node for _, node in walk(sentence) if isinstance(node, kind)]


def any_of(truths):
    return reduce(operator.or_, truths, 0)


def truth(sentence, ask, who):
    """The scenes in which a sentence is true.

    Args:
        ask: `ask(question, answer)` gives the scenes in which that is the answer to a question about the scene.
        who: `who(noun)` gives the kinds that a noun can mean.
    """
    if isinstance(sentence, Both):
        return truth(sentence.first, ask, who) & truth(sentence.second, ask, who)
    subject, clause = sentence.subject, sentence.clause
    true = any_of(is_meant(subject, kind, ask, who) & holds(clause, kind, ask, who) for kind in who(subject.noun))
    if sentence.nobody:
        true = ~true
    return true & ask(("place",), sentence.place) if sentence.place else true


def is_meant(thing, kind, ask, who):
    """Where the one of that kind is what the noun phrase describes."""
    true = EVERY
    if thing.noun in SPECIAL:
        true = true & ask(("special", kind), thing.noun)
    if thing.count != "one":
        true = true & ask(("count", kind), thing.count)
    if thing.quality:
        true = true & holds(Clause(Being(thing.quality)), kind, ask, who)
    if thing.wearing:
        true = true & holds(Clause(thing.wearing), kind, ask, who)
    if thing.clause:
        true = true & holds(thing.clause, kind, ask, who)
    return true


def holds(clause, kind, ask, who):
    """Where the clause is true of the one of that kind."""
    predicate = clause.predicate
    match predicate:
        case Wearing(item, colour):
            true = ask((item, kind), colour or "any")
        case Being(quality):
            true = ask((QUALITIES[quality], kind), quality)
        case Doing(doing):
            true = ask(("doing", kind), doing)
        case Acting(verb, other, voice):
            true = any_of(
                is_meant(other, second, ask, who)
                & ask(("event", VERBS[verb].event), (verb, kind, second) if voice == "active" else (verb, second, kind))
                for second in who(other.noun)
                if second != kind
            )
    return ~true if clause.negated else true


class Scenes:
    """All scenes that differ in the answers to the questions asked, as sets: bit `n` of a number stands for scene `n`.

    Besides the answers that were mentioned, a question has the answer None: none of them. Scenes are numbered like the
    elements of an array with an axis a question.
    """

    def __init__(self, questions):
        self.answers = {question: [*mentioned, None] for question, mentioned in questions.items()}
        self.strides = {}
        self.number = 1
        for question, answers in self.answers.items():
            self.strides[question] = self.number
            self.number *= len(answers)

    def ask(self, question, asked):
        """The scenes in which the answer to the question is the one asked for."""
        return any_of(self.where(question, answer) for answer in self.answers[question] if makes_true(answer, asked))

    def where(self, question, answer):
        """The scenes with exactly this answer."""
        stride = self.strides[question]
        answers = self.answers[question]
        block = ((1 << stride) - 1) << (stride * answers.index(answer))
        # A number with a one at the start of every period, times a block, repeats the block.
        return block * (((1 << self.number) - 1) // ((1 << (stride * len(answers))) - 1))

    def possible(self):
        """The scenes that keep the rules."""
        kept = (1 << self.number) - 1
        for event in self.answers:
            if event[0] != "event":
                continue
            for other in self.answers:
                if other == event or other[0] not in ("event", "doing"):
                    continue
                for answer, other_answer in product(self.answers[event], self.answers[other]):
                    if answer and other_answer and not compatible(answer, other, other_answer):
                        kept &= ~(self.where(event, answer) & self.where(other, other_answer))
        return kept


def makes_true(answer, asked):
    if answer is None:
        return False
    if isinstance(asked, tuple):
        return is_kind_of(answer[0], asked[0]) and answer[1:] == asked[1:]
    return is_kind_of(answer, asked) or asked == "any"


def compatible(event, question, answer):
    """Whether an event, `(verb, agent, patient)`, can go together with what another one is or what someone does."""
    verb, agent, patient = event
    effect = VERBS[verb].effect
    if question[0] == "event":
        other_verb, other_agent, other_patient = answer
        if agent == other_agent:
            return False
        return not (effect == "held" and VERBS[other_verb].effect and patient in (other_agent, other_patient))
    _, who = question
    if who == patient:
        return not (effect == "moves" and answer in RESTING) and not (effect == "held" and answer in MOVING)
    return who != agent


def judge(premise, hypothesis):
    """The label of a pair: "entailment", "neutral" or "contradiction"; None where one of the two can never be true."""
    questions = {}

    def note(question, answer):
        questions.setdefault(question, {})[answer] = True
        return EVERY

    mentioned = {SPECIAL.get(thing.noun, thing.noun) for thing in parts(premise, Thing) + parts(hypothesis, Thing)}

    def who(noun):
        return [kind for kind in denotation(noun) if kind in mentioned] or denotation(noun)

    truth(premise, note, who)
    truth(hypothesis, note, who)
    scenes = Scenes(questions)
    possible = scenes.possible()
    told = truth(premise, scenes.ask, who) & possible
    asked = truth(hypothesis, scenes.ask, who) & possible
    if not told or not asked:
        return None
    if not told & asked:
        return "contradiction"
    return "neutral" if told & ~asked else "entailment"
