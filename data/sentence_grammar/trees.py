"""How facts are told: as one sentence, with its Penn Treebank brackets and SNLI's binary brackets."""

from functools import lru_cache
from typing import NamedTuple

from data.sentence_grammar import words
from data.sentence_grammar.meaning import Nonsense, nouns_of


class Tree(NamedTuple):
    """A part of a sentence."""

    label: str
    text: str  # SNLI's `sentence1`
    penn: str  # SNLI's `sentence1_parse`
    binary: str  # SNLI's `sentence1_binary_parse`
    nesting: int = 0  # how many relative clauses stand one inside the other


@lru_cache(10_000)  # most phrases come again
def join(label, *parts):
    """Parts, each a `Tree` or a word with its label ("DT the"), under one node.

    In the binary brackets every node has two children. More than two are joined from the left in verb phrases,
    coordinations and noun phrases that begin with a noun phrase, and from the right elsewhere. On the Penn trees of
    SNLI's development file this gives the published binary brackets for 95 % of the sentences.
    """
    parts = [Tree(*part.split(), f"({part})", part.split()[1]) if isinstance(part, str) else part for part in parts]
    labels, texts, penn, binary, nesting = map(list, zip(*parts))
    from_left = label == "VP" or (label == "NP" and labels[0] == "NP") or "CC" in labels
    while len(binary) > 1:
        if from_left:
            binary[:2] = [f"( {binary[0]} {binary[1]} )"]
        else:
            binary[-2:] = [f"( {binary[-2]} {binary[-1]} )"]
    return Tree(label, " ".join(texts), f"({label} {' '.join(penn)})", binary[0], max(nesting) + (label == "SBAR"))


class Teller:
    """Tells facts as one sentence, in one of many ways: equal `way`, a list of numbers from 0 to 1, tell alike."""

    def __init__(self, way, facts, article="a"):
        self.way, self.article = iter(way), article
        self.place = next((fact.word for fact in facts if not fact.one), None)
        self.numbers = {fact.one: fact.word for fact in facts if fact.word in words.QUESTIONS["number"]}
        self.left = [fact for fact in facts if fact.one and fact.word not in words.QUESTIONS["number"]]

    def tree(self):
        """The sentence; raises Nonsense where, told in this way, it would be clumsy or could be misread."""
        unnamed = self.numbers.keys() - nouns_of(tuple(self.left))
        parts = self.sentence()
        if self.left:
            parts = [join("S", *parts), "CC and", join("S", *self.sentence())]
        if self.left or self.place or unnamed:
            raise Nonsense
        label, *texts, nesting = join("ROOT", join("S", *parts, ". ."))
        first = texts[0].split()[0]
        text, *brackets = (text.replace(first, first.capitalize(), 1) for text in texts)
        return Tree(label, text.replace(" .", "."), *brackets, nesting)

    def sentence(self):
        if not self.left:
            raise Nonsense
        fact = self.left.pop(int(next(self.way) * len(self.left)))
        passive = fact.word in words.VERBS and next(self.way) < 0.4
        subject, place = fact.other if passive else fact.one, None
        if not fact.negated and fact.word in (*words.VERBS, *words.QUESTIONS["doing"]):
            place, self.place = self.place, None
        return self.thing(subject), self.predicate(fact, subject, "passive" if passive else "active", place)

    def thing(self, noun, bare=False):
        """`a wet dog`, then `in a red hat`, then the relative clause; bare without those two."""
        number, quality, wearing, clause = self.numbers.get(noun), [], [], []
        for fact in self.left.copy():
            if fact not in self.left or noun not in (fact.one, fact.other):
                continue
            self.left.remove(fact)
            brief = not fact.negated and next(self.way) < 0.6
            if brief and fact.word in words.QUALITIES and not quality:
                quality = [f"JJ {fact.word}"]
            elif bare or clause:
                raise Nonsense
            elif brief and fact.word in words.CLOTHES and not wearing:
                wearing = [join("PP", "IN in", self.clothes(fact, number))]
            else:
                clause = [join("SBAR", join("WHNP", "WDT that"), join("S", *self.relative(fact, noun)))]
        count = [f"{'DT' if number == 'some' else 'CD'} {number}"] if number else []
        article = "an" if self.article == "a" and noun == "animal" and not quality else self.article
        first = [f"DT {article}"] if not number or article == "the" else []
        name = f"NNS {words.PLURALS.get(noun, f'{noun}s')}" if number else f"NN {noun}"
        phrase = join("NP", *first, *count, *quality, name)
        return join("NP", phrase, *wearing, *clause) if wearing or clause else phrase

    def relative(self, fact, noun):
        """`that is wet`, `that is chasing a cat`, `that is chased by a cat`, `that a cat is chasing`."""
        if fact.word not in words.VERBS or fact.one == noun:
            return [self.predicate(fact, noun, "active")]
        if next(self.way) < 0.4:
            return [self.predicate(fact, noun, "passive")]
        return self.thing(fact.one, bare=True), self.predicate(fact, fact.one, "object")

    def predicate(self, fact, subject, voice, place=None):
        """`is sleeping in the park`, `are not wet`."""
        word, number = fact.word, self.numbers.get(subject)
        if word in words.VERBS:
            other = fact.other if subject == fact.one else fact.one
            # Is a dog that does not chase a wet cat said not to be chasing it, or to be chasing a dry one?
            if fact.negated and (other in self.numbers or other in {noun for told in self.left for noun in told[1:3]}):
                raise Nonsense
            others = [self.thing(other)] if voice != "object" else []
            if place and others and others[0].nesting:
                raise Nonsense  # who is in the park?
            rest = [f"VBG {words.VERBS[word].active}", *others]
            if voice == "passive":
                rest = [f"VBN {words.VERBS[word].passive}", join("PP", "IN by", *others)]
        elif word in words.CLOTHES:
            rest = ["VBG wearing", self.clothes(fact, number)]
        else:
            rest = [f"{'JJ' if word in words.QUALITIES else 'VBG'} {word}"]
        if place in words.HYPERNYMS:
            rest.append(join("PP", "IN in", join("NP", "DT the", f"NN {place}")))
        elif place:
            rest.append(join("ADVP", f"RB {place}"))
        be = ["VBP are" if number else "VBZ is", *["RB not"] * fact.negated]
        return join("VP", *be, join("ADJP" if word in words.QUALITIES else "VP", *rest))

    def clothes(self, fact, number):
        colour = [f"JJ {fact.other}"] if fact.other else []
        return join("NP", *colour, f"NNS {fact.word}s") if number else join("NP", "DT a", *colour, f"NN {fact.word}")
