"""The words of the sample of sentence pairs, and what they say: each word answers one question about a scene."""

from collections import namedtuple

PEOPLE, ANIMALS = ("man", "woman", "boy", "girl"), ("dog", "cat", "horse")
KINDS = (*PEOPLE, *ANIMALS)
GENERAL = {"person": PEOPLE, "child": ("boy", "girl"), "animal": ANIMALS}
YOUNG = {"puppy": "dog", "kitten": "cat"}
# The kinds that each noun can mean.
MEANT = {**{kind: (kind,) for kind in KINDS}, **{noun: (kind,) for noun, kind in YOUNG.items()}, **GENERAL}
PLURALS = {"man": "men", "woman": "women", "person": "people", "child": "children", "puppy": "puppies"}

COLOURS, CLOTHES = ("red", "blue", "green"), ("hat", "coat")
# The answers to each question. Of one question at most one answer is true, and "none" is always another one.
QUESTIONS = {
    "wetness": ("wet", "dry"),
    "cleanness": ("dirty", "clean"),
    "mood": ("happy", "sad"),
    "colour": ("black", "white", "brown"),
    "doing": ("sleeping", "sitting", "resting", "running", "walking", "swimming", "dancing"),
    **{item: (*COLOURS, item) for item in CLOTHES},
    "age": ("puppy", "kitten"),
    "number": ("two", "three", "some"),
    "place": ("park", "street", "garden", "outside", "kitchen", "hall", "inside"),
    "following": ("chase", "follow"),
    "holding": ("carry", "hold"),
    "push or pull": ("push", "pull"),
    "watching": ("watch",),
}
OPEN = {question: frozenset([*answers, "none"]) for question, answers in QUESTIONS.items()}
OPEN["doing"] |= {"moving"}  # in another way
QUESTION = {word: question for question in QUESTIONS if question not in CLOTHES for word in QUESTIONS[question]}
QUALITIES = tuple(word for word in QUESTION if QUESTION[word] in ("wetness", "cleanness", "mood", "colour"))

HYPERNYMS = {
    **dict.fromkeys(("sleeping", "sitting"), "resting"),
    **dict.fromkeys(("park", "street", "garden"), "outside"),
    **dict.fromkeys(("kitchen", "hall"), "inside"),
    **dict.fromkeys(("two", "three"), "some"),
    **{"chase": "follow", "carry": "hold"},
}
# The answers that make a word true: of "resting" that somebody rests, sleeps or sits.
ANSWERS = {word: frozenset([word, *(kind for kind in HYPERNYMS if HYPERNYMS[kind] == word)]) for word in QUESTION}
ANYTHING, AWAKE = OPEN["doing"], OPEN["doing"] - {"sleeping"}
MOVES = OPEN["doing"] - ANSWERS["resting"] - {"none"}
# What somebody does to another, and what either can be doing meanwhile.
Verb = namedtuple("Verb", "active passive agent_does patient_does agents patients", defaults=(KINDS, KINDS))
VERBS = {
    "chase": Verb("chasing", "chased", MOVES, MOVES),
    "follow": Verb("following", "followed", MOVES, MOVES),
    "watch": Verb("watching", "watched", AWAKE, ANYTHING),
    "push": Verb("pushing", "pushed", AWAKE, ANYTHING),
    "pull": Verb("pulling", "pulled", AWAKE, ANYTHING),
    "carry": Verb("carrying", "carried", AWAKE, ANYTHING - MOVES, PEOPLE, ("boy", "girl", "dog", "cat")),
    "hold": Verb("holding", "held", ANYTHING, ANYTHING, PEOPLE, ("boy", "girl", "dog", "cat")),
}
ONCE = ("following", "holding", "push or pull")  # both sentences tell of the same one; but two can watch each other
SAID_OF = {"dancing": PEOPLE, **dict.fromkeys(CLOTHES, PEOPLE), **dict.fromkeys(QUESTIONS["colour"], ANIMALS)}
