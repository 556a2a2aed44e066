"""From one sentence of the sample to others: the same words in another order, and small changes of what is said."""

from dataclasses import replace
from functools import reduce
from itertools import combinations

from data.sentence_grammar.meaning import Acting, Being, Both, Clause, Doing, Part, Sentence, Thing, Wearing, walk
from data.sentence_grammar.words import (
    CLOTH_COLOURS,
    CLOTHES,
    DOINGS,
    EVERYWHERE,
    HYPERNYMS,
    NOUNS,
    PLACES,
    QUALITIES,
    VERBS,
    denotation,
)

# What two parts of a sentence can exchange so that its words stay the same.
EXCHANGES = [
    (Thing, ("noun", "count")),
    (Thing, ("quality",)),
    (Thing, ("wearing",)),
    (Thing, ("clause",)),
    (Acting, ("verb",)),
    (Clause, ("negated",)),
    (Clause, ("predicate",)),
]


def set_part(node, path, part):
    """The sentence with another part at the end of the path."""
    if not path:
        return part
    return replace(node, **{path[0]: set_part(getattr(node, path[0]), path[1:], part)})


def rearrangements(sentence):
    """Sentences that exchange two nouns, adjectives, clauses, verbs or negations, or turn a relative clause around.

    Most of them have the same words as `sentence`, some need other ones to agree with; many make no sense.
    """
    nodes = list(walk(sentence))
    for kind, names in EXCHANGES:
        same_kind = [(path, node) for path, node in nodes if isinstance(node, kind)]
        for (path, one), (other_path, other) in combinations(same_kind, 2):
            ones = {name: getattr(one, name) for name in names}
            others = {name: getattr(other, name) for name in names}
            inside = other_path[: len(path)] == path
            if ones == others or (inside and names[0] in ("clause", "predicate")):
                continue
            # The inner part first: replacing the outer one keeps what is inside of it.
            changed = set_part(sentence, other_path, replace(other, **ones))
            yield set_part(changed, path, replace(part_at(changed, path), **others))
    for path, node in nodes:
        if isinstance(node, Acting) and path[-2:] == ("clause", "predicate") and node.voice != "passive":
            yield set_part(sentence, path, replace(node, voice="object" if node.voice == "active" else "active"))


def rename(node, names):
    """The sentence with other words, `names` by old words; a word that is not in `names` stays."""
    values = {}
    for name in node.__dataclass_fields__:
        value = getattr(node, name)
        values[name] = names.get(value, value) if not isinstance(value, Part) else rename(value, names)
    return type(node)(**values)


def part_at(node, path):
    return reduce(getattr, path, node)


def change(sentence, rng):
    """One random change of one part: it says more, less or something else, which may make no sense."""
    path, node = rng.choice(list(walk(sentence)))
    ways = [lambda: set_part(sentence, path, rng.choice([*_changes_of(node, rng)]))]
    if isinstance(node, Thing):
        ways.append(lambda: rng.choice([*facts(sentence)]))
    if isinstance(node, Both):
        ways = [lambda: rng.choice([sentence.first, sentence.second, Both(sentence.second, sentence.first)])]
    if isinstance(node, Sentence) and not path:
        ways.append(lambda: rng.choice([*retellings(sentence)] or [sentence]))
    return rng.choice(ways)()


def _changes_of(node, rng):
    match node:
        case Thing():
            yield replace(node, noun=rng.choice(_relatives(node.noun)))
            if rng.random() < 0.15:
                yield replace(node, noun=rng.choice(NOUNS))
            if node.quality:
                opposite = [word for word, kind in QUALITIES.items() if kind == QUALITIES[node.quality]]
                yield replace(node, quality=None)
                yield replace(node, quality=rng.choice(opposite))
            else:
                yield replace(node, quality=rng.choice([*QUALITIES]))
            if node.wearing:
                yield replace(node, wearing=None)
            else:
                yield replace(node, wearing=Wearing(rng.choice(CLOTHES), rng.choice(CLOTH_COLOURS)))
            if node.clause:
                yield replace(node, clause=None)
            if node.count != "one":
                yield replace(node, count=rng.choice(["two", "three", "some"]))
        case Wearing(item, colour):
            yield Wearing(item, None if colour and rng.random() < 0.5 else rng.choice(CLOTH_COLOURS))
            yield Wearing(rng.choice(CLOTHES), colour)
        case Being(quality):
            yield Being(rng.choice([word for word, kind in QUALITIES.items() if kind == QUALITIES[quality]]))
            yield Being(rng.choice([*QUALITIES]))
        case Doing(doing):
            yield Doing(HYPERNYMS.get(doing) or rng.choice(DOINGS))
            yield Doing(rng.choice(DOINGS))
        case Acting(verb):
            same = [other for other in VERBS if VERBS[other].event == VERBS[verb].event]
            yield replace(node, verb=rng.choice(same))
            if rng.random() < 0.25:
                yield replace(node, verb=rng.choice([*VERBS]))
        case Clause():
            yield replace(node, negated=not node.negated)
        case Sentence():
            if node.place:
                yield replace(node, place=None)
                yield replace(node, place=rng.choice(EVERYWHERE))
            yield replace(node, place=rng.choice(PLACES))
            if node.nobody or rng.random() < 0.3:
                yield replace(node, nobody=not node.nobody)


def _relatives(noun):
    """Nouns that mean more or less than this one."""
    kinds = set(denotation(noun))
    related = [other for other in NOUNS if other != noun and not kinds.isdisjoint(denotation(other))]
    return related or [noun]


def retellings(sentence):
    """Ways to say the same with another subject or another main clause; the place and a "no" may get lost."""
    clause = sentence.clause
    subject = sentence.subject
    match clause.predicate:
        case Acting(verb, other, voice):
            turned = Acting(verb, subject, "passive" if voice == "active" else "active")
            yield replace(sentence, subject=other, clause=replace(clause, predicate=turned))
            for trait, rest in _traits(subject):
                yield Sentence(replace(rest, clause=clause), trait)
            for trait, rest in _traits(other):
                for undergoing in ("passive", "object") if voice == "active" else ("active",):
                    turned = Clause(Acting(verb, subject, undergoing), clause.negated)
                    yield Sentence(replace(rest, clause=turned), trait)
        case trait if subject.clause and isinstance(subject.clause.predicate, Acting):
            inner = subject.clause.predicate
            described = _with_trait(replace(subject, clause=None), trait, clause.negated)
            if inner.voice == "object":
                yield Sentence(inner.other, Clause(Acting(inner.verb, described), subject.clause.negated))
            else:
                yield Sentence(described, subject.clause)


def _traits(thing):
    """What a noun phrase says of someone, as a clause, and the noun phrase without it."""
    if thing.quality:
        yield Clause(Being(thing.quality)), replace(thing, quality=None)
    if thing.wearing:
        yield Clause(thing.wearing), replace(thing, wearing=None)
    if thing.clause:
        yield thing.clause, replace(thing, clause=None)


def _with_trait(thing, trait, negated):
    if isinstance(trait, Being) and not negated and not thing.quality:
        return replace(thing, quality=trait.quality)
    if isinstance(trait, Wearing) and not negated and not thing.wearing:
        return replace(thing, wearing=trait)
    return replace(thing, clause=Clause(trait, negated))


def facts(sentence):
    """What a sentence says, one thing at a time: `A wet dog is chasing a cat.` says `A dog is wet.` too."""
    for _, node in walk(sentence):
        if isinstance(node, Sentence):
            yield Sentence(bare(node.subject), plain_clause(node.clause))
        if isinstance(node, Thing):
            for trait, _ in _traits(node):
                clause = plain_clause(trait)
                if isinstance(clause.predicate, Acting) and clause.predicate.voice == "object":
                    acting = Acting(clause.predicate.verb, bare(node))
                    yield Sentence(bare(clause.predicate.other), Clause(acting, clause.negated))
                else:
                    yield Sentence(bare(node), clause)


def bare(thing):
    return Thing(thing.noun, thing.count)


def plain_clause(clause):
    predicate = clause.predicate
    if isinstance(predicate, Acting):
        predicate = replace(predicate, other=bare(predicate.other))
    return replace(clause, predicate=predicate)
