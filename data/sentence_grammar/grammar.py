"""How the sentences of the sample are written: as words, as Penn Treebank brackets and as SNLI's binary brackets.

A tree is a pair: a label and either a word or a list of trees.
"""

from data.sentence_grammar.meaning import Acting, Being, Both, Clause, Doing, Wearing
from data.sentence_grammar.words import EVERYWHERE, VERBS, plural


def parse_tree(sentence, article="a"):
    """The Penn tree of a sentence whose noun phrases begin with `article`, "a" or "the"."""
    if isinstance(sentence, Both):
        parts = [clause_tree(sentence.first, article), ("CC", "and"), clause_tree(sentence.second, article)]
    else:
        parts = clause_tree(sentence, article)[1]
    return capitalised(("ROOT", [("S", [*parts, (".", ".")])]))


def clause_tree(sentence, article):
    subject = thing_tree(sentence.subject, "no" if sentence.nobody else article)
    verb_phrase = predicate_tree(sentence.clause, is_plural(sentence.subject), article, sentence.place)
    return "S", [subject, verb_phrase]


def is_plural(thing):
    return thing.count != "one"


def thing_tree(thing, article, inner=None):
    """`a wet dog`, then `in a red hat`, then the relative clause; `inner` is the article of what these hold."""
    inner = inner or ("a" if article == "no" else article)
    several = is_plural(thing)
    words = []
    if article == "no" or not several:
        words.append(("DT", article))
    elif article == "the":
        words.append(("DT", "the"))
        if thing.count != "some":
            words.append(("CD", thing.count))
    else:
        words.append(("DT" if thing.count == "some" else "CD", thing.count))
    if thing.quality:
        words.append(("JJ", thing.quality))
    words.append(("NNS", plural(thing.noun)) if several else ("NN", thing.noun))
    if words[0] == ("DT", "a") and words[1][1][0] in "aeiou":
        words[0] = ("DT", "an")
    phrase = ("NP", words)
    after = []
    if thing.wearing:
        after.append(("PP", [("IN", "in"), clothes_tree(thing.wearing, several)]))
    if thing.clause:
        after.append(relative_tree(thing, inner))
    return ("NP", [phrase, *after]) if after else phrase


def clothes_tree(wearing, several):
    words = [] if several else [("DT", "a")]
    if wearing.colour:
        words.append(("JJ", wearing.colour))
    words.append(("NNS", f"{wearing.item}s") if several else ("NN", wearing.item))
    return "NP", words


def relative_tree(thing, article):
    clause = thing.clause
    pronoun = ("WHNP", [("WDT", "that")])
    predicate = clause.predicate
    if isinstance(predicate, Acting) and predicate.voice == "object":
        subject = thing_tree(predicate.other, article)
        verb = ("VP", [("VBG", VERBS[predicate.verb].doing)])
        return "SBAR", [pronoun, ("S", [subject, auxiliary(is_plural(predicate.other), clause.negated, verb)])]
    return "SBAR", [pronoun, ("S", [predicate_tree(clause, is_plural(thing), article)])]


def predicate_tree(clause: Clause, several, article, place=None):
    match clause.predicate:
        case Wearing() as wearing:
            rest = ("VP", [("VBG", "wearing"), clothes_tree(wearing, several)])
        case Being(quality):
            rest = ("ADJP", [("JJ", quality)])
        case Doing(doing):
            rest = ("VP", [("VBG", doing)])
        case Acting(verb, other, "passive"):
            rest = ("VP", [("VBN", VERBS[verb].done), ("PP", [("IN", "by"), thing_tree(other, article)])])
        case Acting(verb, other):
            rest = ("VP", [("VBG", VERBS[verb].doing), thing_tree(other, article)])
    if place in EVERYWHERE:
        rest = ("VP", [*rest[1], ("ADVP", [("RB", place)])])
    elif place:
        rest = ("VP", [*rest[1], ("PP", [("IN", "in"), ("NP", [("DT", "the"), ("NN", place)])])])
    return auxiliary(several, clause.negated, rest)


def auxiliary(several, negated, rest):
    be = ("VBP", "are") if several else ("VBZ", "is")
    return "VP", [be, ("RB", "not"), rest] if negated else [be, rest]


def capitalised(tree):
    label, content = tree
    if isinstance(content, str):
        return label, content.capitalize()
    return label, [capitalised(content[0]), *content[1:]]


def leaves(tree):
    content = tree[1]
    return [content] if isinstance(content, str) else [word for child in content for word in leaves(child)]


def penn(tree):
    """The tree in Penn Treebank brackets, SNLI's `sentence1_parse`."""
    label, content = tree
    return f"({label} {content if isinstance(content, str) else ' '.join(map(penn, content))})"


def binary(tree):
    """The tree in SNLI's binary brackets, `sentence1_binary_parse`: labels gone, every node with two children.

    More than two children are joined from the left in verb phrases, coordinations and noun phrases that begin with a
    noun phrase, and from the right elsewhere. On the Penn trees of SNLI's development file this gives the published
    binary brackets for 95 % of the sentences.
    """
    label, content = tree
    if isinstance(content, str):
        return content
    parts = [binary(child) for child in content]
    labels = [child[0] for child in content]
    from_left = label == "VP" or (label == "NP" and labels[0] == "NP") or "CC" in labels
    while len(parts) > 1:
        if from_left:
            parts[:2] = [f"( {parts[0]} {parts[1]} )"]
        else:
            parts[-2:] = [f"( {parts[-2]} {parts[-1]} )"]
    return parts[0]


def plain(tree):
    """The sentence as a reader sees it, SNLI's `sentence1`."""
    return " ".join(leaves(tree)).replace(" .", ".")
