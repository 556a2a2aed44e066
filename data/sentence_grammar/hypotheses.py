"""Three hypotheses to a premise, one for each label, in ways that neither words nor lengths give the labels away."""

from dataclasses import replace

from data.sentence_grammar.edits import bare, change, facts, rearrangements, retellings
from data.sentence_grammar.grammar import leaves, parse_tree
from data.sentence_grammar.meaning import Both, Thing, judge, parts
from data.sentence_grammar.scenes import is_sensible, nesting

LONGEST = 13  # words of a training sentence, full stop included
LONGEST_FACT = 10


def words_of(sentence, article="a"):
    return [word.lower() for word in leaves(parse_tree(sentence, article))]


def is_deeper(sentence, article="a"):
    """Whether a sentence is longer than any for training, or has a relative clause inside another."""
    return nesting(sentence) > 1 or len(words_of(sentence, article)) > LONGEST


def vary(rng, sentence, times):
    """The sentence after some random changes, each of which leaves a sentence that makes sense, as it must itself."""
    while times:
        other = change(sentence, rng)
        if other != sentence and is_sensible(other):
            sentence = other
            times -= 1
    return sentence


class HypothesisWriter:
    """Writes hypotheses to one premise.

    Each of the three ways returns a dictionary from the three labels to sentences, or None where it found none.

    Args:
        rng: a `random.Random`.
        deeper: whether hypotheses may be longer or deeper than those for training.
        article: "a" or "the", with which the hypotheses are written.
    """

    def __init__(self, rng, premise, deeper, article):
        self.rng = rng
        self.premise = premise
        self.deeper = deeper
        self.article = article

    def same_words(self):
        """Three sentences of the same words, in different orders."""
        if isinstance(self.premise, Both) or len(parts(self.premise, Thing)) < 2:
            return None
        for _ in range(3):
            found = self.reorder(self.entailed())
            if len(found) == 3:
                return found

    def same_length(self):
        """Three sentences of one length that say more, less or something else than the premise."""
        return self.first_three(self.vary(self.premise, 1) for _ in range(25))

    def single_facts(self):
        """Three short sentences of one length: who was it that was wet?"""
        fact = self.rng.choice([*facts(self.premise)])
        return self.first_three(self.about(fact) for _ in range(12))

    def about(self, fact):
        """The fact, or the same of someone else, or the other way round, or a little changed."""
        if self.rng.random() < 0.5:
            fact = replace(fact, subject=bare(self.rng.choice(parts(self.premise, Thing))))
        fact = self.rng.choice([fact, *rearrangements(fact), *retellings(fact)])
        if is_sensible(fact):
            fact = self.vary(fact, self.rng.choice([0, 1]))
            return fact if len(words_of(fact, self.article)) <= LONGEST_FACT else None

    def vary(self, sentence, times):
        return vary(self.rng, sentence, times)

    def first_three(self, candidates):
        """The first three candidates of one length that have all three labels."""
        by_length = {}
        for sentence in candidates:
            if sentence and (label := self.label(sentence)):
                found = by_length.setdefault(len(words_of(sentence, self.article)), {})
                found.setdefault(label, sentence)
                if len(found) == 3:
                    return found

    def label(self, sentence):
        """The label, or None where the sentence will not do as a hypothesis."""
        if sentence == self.premise or not is_sensible(sentence):
            return None
        return None if not self.deeper and is_deeper(sentence, self.article) else judge(self.premise, sentence)

    def entailed(self):
        """Something that the premise says too, of two at least."""
        hypothesis = self.premise
        if self.rng.random() < 0.7:
            told = [other for other in retellings(self.premise) if is_sensible(other)]
            hypothesis = self.rng.choice(told or [self.premise])
        for _ in range(self.rng.choice([2, 4, 8])):
            other = self.vary(hypothesis, 1)
            if len(parts(other, Thing)) > 1 and judge(self.premise, other) == "entailment":
                return other
        return hypothesis

    def reorder(self, hypothesis):
        """What can be said in the words of the hypothesis: one sentence for each label that occurs."""
        words = sorted(words_of(hypothesis, self.article))
        found, seen, waiting = {}, set(), [hypothesis]
        for sentence in waiting:
            if len(found) == 3:
                break
            if sentence in seen:
                continue
            seen.add(sentence)
            if is_sensible(sentence) and sorted(words_of(sentence, self.article)) == words:
                label = self.label(sentence)
                if label:
                    found.setdefault(label, sentence)
            if len(waiting) < 30:
                more = list(rearrangements(sentence))
                self.rng.shuffle(more)
                waiting += more
        return found
