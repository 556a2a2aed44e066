"""Sentences about everyday scenes, made up at random from a seed, and which sentences make sense at all."""

from dataclasses import replace

from data.sentence_grammar.meaning import Acting, Being, Both, Clause, Doing, Sentence, Thing, Wearing, walk
from data.sentence_grammar.words import (
    ANIMALS,
    CLOTH_COLOURS,
    CLOTHES,
    DOINGS,
    KINDS,
    ONLY_PEOPLE_DO,
    PEOPLE,
    PLACES,
    QUALITIES,
    SPECIAL,
    VERBS,
    denotation,
)


class Narrator:
    """Makes up one sentence; everyone in it is of another kind.

    Args:
        rng: a `random.Random`.
        deep: more is said of everyone, in part with one relative clause inside another.
    """

    def __init__(self, rng, deep=False):
        self.rng = rng
        self.deep = deep
        self.met = set()

    def sentence(self):
        """A sentence that may still make no sense: see `is_sensible`."""
        ways = [self.event, self.portrait, self.view, self.pair, self.solo]
        return self.rng.choices(ways, [12, 8, 3, 0, 0] if self.deep else [8, 6, 4, 3, 3])[0]()

    def event(self):
        """`A boy in a hat is pulling a wet dog in the park.`"""
        subject, clause = self.encounter()
        likely, unlikely = self.rng.sample([0.9, 0.9 if self.deep else 0.2], 2)
        subject = self.dressed(subject, likely)
        clause = self.with_other(clause, lambda other: self.dressed(other, unlikely))
        return Sentence(subject, clause, place=self.somewhere(0.8 if self.deep else 0.2))

    def portrait(self):
        """`A boy that is pulling a dog is wet.`"""
        subject, clause = self.encounter(relative=True)
        if self.deep:
            clause = self.with_other(clause, self.adorned)
        subject = replace(subject, clause=clause)
        return Sentence(subject, self.trait(subject))

    def view(self):
        """`A girl is watching a boy that is pulling a dog.`"""
        subject, clause = self.encounter()
        if self.deep:
            subject = self.dressed(subject)
        deeper = self.encountered if self.deep or self.rng.random() < 0.6 else self.trait
        return Sentence(subject, self.with_other(clause, lambda other: self.described(other, deeper)))

    def pair(self):
        """`A boy is wet and a girl in a hat is sleeping.`"""
        halves = []
        for _ in range(2):
            subject = Thing(self.noun(KINDS))
            halves.append(Sentence(subject, self.trait(subject)))
        return Both(*halves)

    def solo(self):
        """`A wet dog is sleeping in the garden.`"""
        subject = self.dressed(self.counted(Thing(self.noun(KINDS))))
        return Sentence(subject, Clause(Doing(self.rng.choice(DOINGS))), place=self.somewhere(0.7))

    def encounter(self, relative=False):
        """Someone, and what that one does to another or undergoes."""
        # More often a verb by which either could be the one who does it.
        verb = self.rng.choices([*VERBS], [3 if verb.agents == verb.patients else 1 for verb in VERBS.values()])[0]
        agent = self.counted(Thing(self.noun(VERBS[verb].agents)))
        patient = self.counted(Thing(self.noun(VERBS[verb].patients)))
        voice = self.rng.choice(["active", "passive", "object"] if relative else ["active", "active", "passive"])
        if voice == "active":
            return agent, Clause(Acting(verb, patient))
        return patient, Clause(Acting(verb, agent, voice))

    def encountered(self, thing):
        """A relative clause for `thing`: what it does to another, or undergoes."""
        suited = [(verb, False) for verb in VERBS if set(denotation(thing.noun)) <= set(VERBS[verb].agents)]
        suited += [(verb, True) for verb in VERBS if set(denotation(thing.noun)) <= set(VERBS[verb].patients)]
        verb, undergoes = self.rng.choice(suited)
        other = Thing(self.noun(VERBS[verb].agents if undergoes else VERBS[verb].patients))
        if self.deep:
            other = self.adorned(other)
        voice = self.rng.choice(["passive", "object"]) if undergoes and not other.clause else "passive"
        return Clause(Acting(verb, other, voice if undergoes else "active"))

    def trait(self, thing):
        """What `thing` is like, wears or does alone."""
        kinds = set(denotation(thing.noun))
        choices = [Being(self.quality()), Being(self.quality()), Doing(self.rng.choice(DOINGS))]
        if kinds <= set(PEOPLE):
            choices.append(self.clothes())
        return Clause(self.rng.choice(choices))

    def quality(self):
        return self.rng.choices([*QUALITIES], [1 if kind == "colour" else 2 for kind in QUALITIES.values()])[0]

    def clothes(self):
        colour = self.rng.choice(CLOTH_COLOURS) if self.rng.random() < 0.75 else None
        return Wearing(self.rng.choice(CLOTHES), colour)

    def dressed(self, thing, chance=0.5):
        """The same, perhaps with an adjective or with clothes."""
        if self.rng.random() > chance:
            return thing
        if denotation(thing.noun)[0] in PEOPLE and self.rng.random() < 0.5:
            return replace(thing, wearing=self.clothes())
        return replace(thing, quality=self.quality())

    def described(self, thing, clause):
        return replace(thing, clause=clause(thing))

    def adorned(self, thing):
        """The same with an adjective or clothes, or with a relative clause that says so."""
        return self.dressed(thing, 1.0) if self.rng.random() < 0.5 else self.described(thing, self.trait)

    def counted(self, thing):
        if self.rng.random() > 0.05:
            return thing
        return replace(thing, count=self.rng.choice(["two", "three", "some"]))

    @staticmethod
    def with_other(clause, change):
        return Clause(replace(clause.predicate, other=change(clause.predicate.other)))

    def somewhere(self, chance=0.2):
        return self.rng.choice(PLACES) if self.rng.random() < chance else None

    def noun(self, kinds):
        """A noun for one of `kinds` that is not in the sentence yet; premises say what it is, not just a person."""
        kind = self.rng.choice([kind for kind in kinds if kind not in self.met] or kinds)
        self.met.add(kind)
        special = [noun for noun in SPECIAL if SPECIAL[noun] == kind]
        return self.rng.choice(special) if special and self.rng.random() < 0.25 else kind


def nesting(sentence):
    """How many relative clauses stand one inside the other."""
    return max(
        sum(path[: end + 1][-2:] in (("subject", "clause"), ("other", "clause")) for end in range(len(path)))
        for path, _ in walk(sentence)
    )


def is_sensible(sentence):
    """Whether a sentence is one that somebody could say of a scene, true or not."""
    nodes = [node for _, node in walk(sentence)]
    met = [kind for node in nodes if isinstance(node, Thing) for kind in denotation(node.noun)]
    negative = [node for node in nodes if isinstance(node, Clause) and node.negated]
    negative += [node for node in nodes if isinstance(node, Sentence) and node.nobody]
    if len(met) != len(set(met)) or len(negative) > 1:
        return False
    return all(
        _is_sensible_sentence(node, negative)
        if isinstance(node, Sentence)
        else _is_sensible_thing(node)
        if isinstance(node, Thing)
        else True
        for node in nodes
    )


def _is_sensible_sentence(sentence, negative):
    predicate = sentence.clause.predicate
    if isinstance(predicate, Acting) and predicate.voice == "object":
        return False
    if sentence.place and (negative or not isinstance(predicate, Acting | Doing)):
        return False
    if sentence.nobody and sentence.subject.count != "one":
        return False
    return _fits(sentence.subject, sentence.clause)


def _is_sensible_thing(thing):
    return (
        (not thing.quality or _fits(replace(thing, quality=None), Clause(Being(thing.quality))))
        and (not thing.wearing or _fits(replace(thing, wearing=None), Clause(thing.wearing)))
        and (not thing.clause or _fits(replace(thing, clause=None), thing.clause))
    )


def _fits(thing, clause):
    """Whether the clause can be said of the thing, and is not about what its noun phrase speaks of already."""
    kinds = set(denotation(thing.noun))
    said = [thing.wearing, Being(thing.quality) if thing.quality else None]
    said.append(thing.clause.predicate if thing.clause else None)
    match clause.predicate:
        case Wearing(item):
            return kinds <= set(PEOPLE) and item not in [other.item for other in said if isinstance(other, Wearing)]
        case Being(quality):
            if QUALITIES[quality] == "colour" and not kinds <= set(ANIMALS):
                return False
            return QUALITIES[quality] not in [QUALITIES[other.quality] for other in said if isinstance(other, Being)]
        case Doing(doing):
            if doing in ONLY_PEOPLE_DO and not kinds <= set(PEOPLE):
                return False
            return not any(isinstance(other, Doing) for other in said)
        case Acting(verb, other, voice):
            if clause.negated and (other.quality or other.wearing or other.clause):
                return False
            if voice == "object" and (other.clause or other.wearing):
                return False
            agents, patients = (thing, other) if voice == "active" else (other, thing)
            can_do, can_undergo = set(VERBS[verb].agents), set(VERBS[verb].patients)
            return set(denotation(agents.noun)) <= can_do and set(denotation(patients.noun)) <= can_undergo
