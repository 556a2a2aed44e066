"""The words of the sample of sentence pairs, and what they mean: what is a kind of what, and what excludes what.

About everyday scenes, as the captions behind SNLI are. `HYPERNYMS` is the one table for "is a kind of": a puppy is a
dog, chasing is following, the park is outside. Answers to one question that are no kind of each other exclude each
other: nothing is wet and dry, nobody sleeps and dances.
"""

from typing import NamedTuple

# What lives in a scene: each scene has one of each kind at most, or one group of that kind.
PEOPLE = ("man", "woman", "boy", "girl")
ANIMALS = ("dog", "cat", "horse")
KINDS = PEOPLE + ANIMALS

# The kinds that a more general noun can mean.
GENERAL = {
    "person": PEOPLE,
    "child": ("boy", "girl"),
    "animal": ANIMALS,
}
# The kind that a more special noun belongs to.
SPECIAL = {"puppy": "dog", "kitten": "cat"}
NOUNS = (*KINDS, *GENERAL, *SPECIAL)
IRREGULAR_PLURALS = {
    "man": "men",
    "woman": "women",
    "person": "people",
    "child": "children",
    "puppy": "puppies",
}

HYPERNYMS = {
    "two": "some",
    "three": "some",
    "chase": "follow",
    "carry": "hold",
    "sleeping": "resting",
    "sitting": "resting",
    "park": "outside",
    "street": "outside",
    "garden": "outside",
    "kitchen": "inside",
    "hall": "inside",
}


class Verb(NamedTuple):
    """What someone does to someone; verbs of one event are one occurrence in a scene."""

    event: str
    doing: str
    done: str
    agents: tuple = KINDS
    patients: tuple = KINDS
    effect: str = ""  # on the patient: "moves", "held" or nothing


VERBS = {
    "chase": Verb("follow", "chasing", "chased", effect="moves"),
    "follow": Verb("follow", "following", "followed", effect="moves"),
    "watch": Verb("watch", "watching", "watched"),
    "push": Verb("push", "pushing", "pushed", effect="moves"),
    "pull": Verb("pull", "pulling", "pulled", effect="moves"),
    "carry": Verb("hold", "carrying", "carried", PEOPLE, ("boy", "girl", "dog", "cat"), "held"),
    "hold": Verb("hold", "holding", "held", PEOPLE, ("boy", "girl", "dog", "cat"), "held"),
}

# What someone does alone: one thing at a time.
RESTING = ("sleeping", "sitting", "resting")
MOVING = ("running", "swimming", "dancing", "jumping")
DOINGS = (*RESTING, *MOVING, "singing", "eating")
ONLY_PEOPLE_DO = ("singing", "dancing")

# What someone is like: of each class one at a time. Colours are for animals, clothes for people.
QUALITIES = {
    "wet": "wetness",
    "dry": "wetness",
    "dirty": "cleanness",
    "clean": "cleanness",
    "happy": "mood",
    "sad": "mood",
    "black": "colour",
    "white": "colour",
    "brown": "colour",
}
CLOTHES = ("hat", "coat")
CLOTH_COLOURS = ("red", "blue", "green")

PLACES = ("park", "street", "garden", "kitchen", "hall")
EVERYWHERE = ("outside", "inside")

# Words that can stand for each other: exchanged everywhere in two sentences, they leave the label as it is.
INTERCHANGEABLE = (
    (("man",), ("woman",)),
    (("boy",), ("girl",)),
    (("dog", "puppy"), ("cat", "kitten")),
    (("push",), ("pull",)),
    (("sleeping",), ("sitting",)),
    tuple((doing,) for doing in MOVING if doing not in ONLY_PEOPLE_DO),
    tuple((doing,) for doing in ONLY_PEOPLE_DO),
    (("wet", "dry"), ("dirty", "clean"), ("happy", "sad")),
    (("black",), ("white",), ("brown",)),
    tuple((item,) for item in CLOTHES),
    tuple((colour,) for colour in CLOTH_COLOURS),
    (("park",), ("street",), ("garden",)),
    (("kitchen",), ("hall",)),
    (("two",), ("three",)),
)


def denotation(noun):
    """The kinds that a noun can mean: `("boy", "girl")` of a child, `("dog",)` of a dog or a puppy."""
    return GENERAL.get(noun) or (SPECIAL.get(noun, noun),)


def plural(noun):
    return IRREGULAR_PLURALS.get(noun, f"{noun}s")


def is_kind_of(answer, asked):
    """Whether the one answer makes the other true: `park` makes `outside` true, and itself."""
    return answer == asked or HYPERNYMS.get(answer) == asked
