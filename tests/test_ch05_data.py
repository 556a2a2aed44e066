"""SNLI as read by `ch05_sequence`: words, trees, batches, the cache, vectors, and what is said of a bad line."""

import argparse
import itertools
import json
import random
import shutil
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from benchmarks.snli_data import write_snli
from ch05_sequence.loaders import snli, snli_file, vectors
from ch05_sequence.loaders.snli import (
    LABELS,
    PAD,
    PADDING,
    REDUCE,
    SHIFT,
    UNKNOWN,
    Vocabulary,
    open_snli,
    parse,
    tokenize,
)
from common import batches
from common.batches import keep
from common.cli import UserError

REAL = Path(__file__).parents[2] / "shared" / "data" / "snli"


def pair(label="neutral", first="( ( A dog ) runs )", second="( Cats sleep )", **fields):
    """A line of SNLI, as a dictionary; None leaves a field out."""
    line = {"gold_label": label, "annotator_labels": [label], "captionID": "1.jpg#0", "pairID": "1.jpg#0r1n"}
    for number, binary in ((1, first), (2, second)):
        line[f"sentence{number}"] = binary and " ".join(word for word in binary.split() if word not in "()")
        line[f"sentence{number}_binary_parse"] = binary
    return {name: value for name, value in (line | fields).items() if value is not None}


def write(path, lines):
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """What is kept of a file, of a small one too, lies in the test's own folder."""
    monkeypatch.setattr(snli_file, "place", lambda kind: tmp_path / kind)
    monkeypatch.setattr(snli_file, "LARGE", 0)
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    """Three small splits; "zebra" is in the development file alone."""
    train = [
        pair("entailment"),
        pair("contradiction", second="( ( a dog ) ( is asleep ) )"),
        pair("-", first="( left out )"),
        pair("neutral", first="Unclear", second="( ( ( a big ) dog ) runs )"),
    ]
    write(tmp_path / "snli_1.0_train.jsonl", train)
    write(tmp_path / "snli_1.0_dev.jsonl", [pair(second="( a zebra )")])
    write(tmp_path / "snli_1.0_test.jsonl", [pair("-"), pair("entailment")])
    return tmp_path


# A parse and its steps


def test_a_parse_is_words_and_steps():
    tokens, transitions = parse("( ( A dog ) runs )")
    assert tokens == ["A", "dog", "runs"]
    assert transitions == [SHIFT, SHIFT, REDUCE, SHIFT, REDUCE]
    assert parse("word") == (["word"], [SHIFT])
    # A space that does not break is a part of its word, and brackets inside a word are letters.
    assert parse("( 1\u00a01/2 a(b) )") == (["1\u00a01/2", "a(b)"], [SHIFT, SHIFT, REDUCE])


def test_any_tree_comes_back_from_its_steps():
    draw = random.Random(0)

    def grow(leaves):
        if len(leaves) == 1:
            return leaves[0]
        cut = draw.randrange(1, len(leaves))
        return f"( {grow(leaves[:cut])} {grow(leaves[cut:])} )"

    for length in [*range(1, 30), 200]:
        binary = grow([f"w{number}" for number in range(length)])
        tokens, transitions = parse(binary)
        assert tokens == [f"w{number}" for number in range(length)] and len(transitions) == 2 * length - 1
        words, stack = iter(tokens), []
        for step in transitions:
            if step == SHIFT:
                stack.append(next(words))
            else:
                right, left = stack.pop(), stack.pop()
                stack.append(f"( {left} {right} )")
        assert stack == [binary]


def is_tree(items):
    """Whether items are a binary tree, by its definition: a word, or two trees in brackets."""
    if items == ("w",):
        return True
    if len(items) < 4 or items[0] != "(" or items[-1] != ")":
        return False
    inside = items[1:-1]
    return any(is_tree(inside[:cut]) and is_tree(inside[cut:]) for cut in range(1, len(inside)))


def test_everything_that_is_no_tree_is_refused():
    accepted = 0
    for length in range(1, 9):
        for items in itertools.product("()w", repeat=length):
            try:
                parse(" ".join(items))
                was_accepted = True
            except ValueError:
                was_accepted = False
            assert was_accepted == is_tree(items), items
            accepted += was_accepted
    assert accepted == 1 + 1 + 2  # one word, two, and the two trees of three


@pytest.mark.parametrize(
    "binary, complaint",
    [
        ("", "an empty sentence"),
        ("( )", "an empty sentence"),
        ("( ( A dog ) runs", "unbalanced brackets, 2 '(' and 1 ')', in '( ( A dog ) runs'"),
        ("( A dog ) )", "unbalanced brackets, 1 '(' and 2 ')'"),
        ("( A )", "a node that has not two children in '( A )'"),
        ("( A big dog )", "not two children"),
        ("( a ( b ) c )", "not two children"),
        (") a b (", "not two children"),
    ],
)
def test_what_is_wrong_with_a_parse(binary, complaint):
    with pytest.raises(ValueError) as refused:
        parse(binary)
    assert complaint in str(refused.value)


def test_plain_sentences_are_tokenised_by_spacy():
    assert tokenize("The dog's owner doesn't run.") == ["The", "dog", "'s", "owner", "does", "n't", "run", "."]
    assert tokenize("  two\nmen ") == ["two", "men"] and tokenize(" ") == []


# Vocabulary, examples, batches


def test_the_vocabulary_is_that_of_the_training_pairs(folder):
    splits = open_snli(folder)
    vocabulary = splits["train"].vocabulary
    # dog 5, a 4, runs 4 (cats, sleep once); ties alphabetical; nothing of the pair without a label.
    counts = {"dog": 5, "a": 5, "runs": 3, "asleep": 1, "big": 1, "cats": 1, "is": 1, "sleep": 1, "unclear": 1}
    assert vocabulary.words[:2] == ["<unk>", "<pad>"]
    assert vocabulary.words[2:] == sorted(counts, key=lambda word: (-counts[word], word)) != sorted(counts)
    assert vocabulary.lookup(["dog", "zebra", "left"]) == [vocabulary.words.index("dog"), UNKNOWN, UNKNOWN]
    assert len(vocabulary) == 11
    assert splits["dev"].vocabulary is vocabulary is splits["test"].vocabulary


def test_examples_are_readable(folder, capsys):
    splits = open_snli(folder)
    assert splits["train"][1] == (["a", "dog", "runs"], ["a", "dog", "is", "asleep"], "contradiction")
    assert splits["train"][2] == (["unclear"], ["a", "big", "dog", "runs"], "neutral")
    assert splits["dev"][0] == (["a", "dog", "runs"], ["a", "<unk>"], "neutral")
    assert [len(splits[name]) for name in ("train", "dev", "test")] == [3, 1, 1]
    told = [f"{folder}/snli_1.0_{split}.jsonl: 1 pairs left out" for split in ("train", "test")]
    assert [line.partition(":")[0] + ": 1 pairs left out" for line in capsys.readouterr().out.splitlines()] == told


def test_pairs_of_one_premise_have_one_number_and_a_sentence_is_read_once(folder):
    train = open_snli(folder)["train"]
    numbers = {}
    expected = [numbers.setdefault(tuple(premise), len(numbers)) for premise, _, _ in map(train.__getitem__, range(3))]
    assert train.groups.dtype == torch.int64 and train.groups.tolist() == expected == [0, 0, 1]
    (premise, hypothesis), _ = train.__getitems__([0, 1, 2])
    both = snli.together(premise, hypothesis)
    once, rows = snli.distinct(both)
    assert len(once.words) == 5 and rows[0] == rows[1]
    for part, all_of_it in zip(once, both):
        assert torch.equal(part[rows], all_of_it)
    bare, rows = snli.distinct(both._replace(transitions=None))
    assert bare.transitions is None and torch.equal(bare.words[rows], both.words)


def test_a_batch_is_padded_words_lengths_and_steps(folder):
    train = open_snli(folder)["train"]
    (premise, hypothesis), labels = train.__getitems__([2, 0, 1])
    number = train.vocabulary.words.index
    assert premise.words.tolist() == [
        [number("unclear"), PAD, PAD],
        [number("a"), number("dog"), number("runs")],
        [number("a"), number("dog"), number("runs")],
    ]
    assert premise.lengths.tolist() == [1, 3, 3] and hypothesis.lengths.tolist() == [4, 2, 4]
    assert premise.transitions.tolist() == [
        [SHIFT, PADDING, PADDING, PADDING, PADDING],
        [SHIFT, SHIFT, REDUCE, SHIFT, REDUCE],
        [SHIFT, SHIFT, REDUCE, SHIFT, REDUCE],
    ]
    assert hypothesis.transitions[0].tolist() == [SHIFT, SHIFT, REDUCE, SHIFT, REDUCE, SHIFT, REDUCE]
    assert [LABELS[label] for label in labels] == ["neutral", "entailment", "contradiction"]
    assert {part.dtype for part in (*premise, *hypothesis, labels)} == {torch.int64}
    moved = hypothesis.to("meta")
    assert moved.words.device.type == moved.transitions.device.type == "meta" and moved.words.shape == (3, 4)


def test_every_batch_holds_what_its_lines_say(tmp_path):
    """Against a second way to read the file: by hand, a sentence at a time."""
    path = tmp_path / "snli_1.0_train.jsonl"
    write_snli(path, 300)
    for split in ("dev", "test"):
        shutil.copy(path, tmp_path / f"snli_1.0_{split}.jsonl")
    train = open_snli(tmp_path)["train"]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [line for line in lines if line["gold_label"] != "-"]
    assert len(train) == len(lines) == 299
    texts = [[line[f"sentence{which}"].split() for which in "12"] for line in lines]
    counts = Counter(word for sentences in texts for words in sentences for word in words)
    assert train.vocabulary.words == Vocabulary.of_counts(counts).words

    args = argparse.Namespace(batch_size=32, seed=0, workers=0, device=torch.device("cpu"))
    indices = list(range(len(train)))
    loader = batches.loader(train, args, training=False, lengths=train.lengths)
    seen = 0
    for rows, ((premise, hypothesis), labels) in zip(loader.batch_sampler, loader):
        seen += len(rows)
        for at, row in enumerate(rows):
            assert LABELS[labels[at]] == lines[indices[row]]["gold_label"]
            for which, batch in (("1", premise), ("2", hypothesis)):
                words = lines[row][f"sentence{which}"].split()
                steps = [
                    REDUCE if item == ")" else SHIFT
                    for item in lines[row][f"sentence{which}_binary_parse"].split()
                    if item != "("
                ]
                padding = batch.words.shape[1] - len(words)
                assert batch.words[at].tolist() == train.vocabulary.lookup(words) + [PAD] * padding
                assert batch.transitions[at].tolist() == steps + [PADDING] * (2 * padding)
    assert seen == len(lines)


def test_lengths_order_pairs_as_torchtexts_key_does():
    from torchtext.data import interleave_keys

    first, second = torch.randint(1, 80, (2, 500), generator=torch.Generator().manual_seed(0))
    expected = [interleave_keys(*lengths) for lengths in zip(first.tolist(), second.tolist())]
    assert snli.interleave(first, second).tolist() == expected


# Files and folders


def test_a_development_file_alone_is_split_in_three(tmp_path, capsys):
    lines = [pair(LABELS[n % 3], first=f"( premise p{n // 3} )", second=f"( word w{n} )") for n in range(300)]
    path = write(tmp_path / "snli_1.0_dev.jsonl", lines)
    splits = open_snli(tmp_path)
    assert [len(splits[name]) for name in ("train", "dev", "test")] == [216, 24, 60]
    told = f"{path} alone: 216 of its pairs are to train on, 24 to choose the weights by, 60 to score; no premise is in"
    assert told in capsys.readouterr().out
    examples = {name: [splits[name][index] for index in range(len(splits[name]))] for name in splits}
    # Words that were never trained on show as <unk>: none of the scored premises is among those of training.
    assert len({tuple(premise) for premise, _, _ in examples["train"]}) == 72
    assert {tuple(premise) for split in ("dev", "test") for premise, _, _ in examples[split]} == {("premise", "<unk>")}
    # Nor do those who choose the weights share one with those who are reported.
    whole = {split: snli.split_by_premise(snli_file.read_file(path), path)[split] for split in splits}
    assert sorted(np.concatenate([*whole.values()])) == [*range(300)]
    assert all(len(set(rows // 3)) * 3 == len(rows) for rows in whole.values())
    again = open_snli(path)
    assert [again["train"][index] for index in range(216)] == examples["train"]
    other = open_snli(path, seed=1)
    assert [other["train"][index] for index in range(216)] != examples["train"]


def test_a_known_vocabulary_reads_other_files(folder, tmp_path, capsys):
    vocabulary = open_snli(folder)["train"].vocabulary
    own = write(tmp_path / "own.jsonl", [pair(second="( a zebra )"), pair("-"), pair(first="( ( A horse ) runs )")])
    pairs = snli.open_file(own, vocabulary)
    assert pairs[0] == (["a", "dog", "runs"], ["a", "<unk>"], "neutral") and len(pairs) == 2
    told = capsys.readouterr().out
    assert "own.jsonl: 1 pairs left out: their annotators did not agree on a label" in told
    assert "2 of its 7 different words are unknown, such as horse zebra" in told
    write_again = open_snli(folder, vocabulary=Vocabulary.of_counts({"dog": 1}))
    assert write_again["train"][0][0] == ["<unk>", "dog", "<unk>"]


def test_a_loader_gives_batches_on_as_they_are(folder):
    train = open_snli(folder)["train"]
    (first, _), labels = next(iter(DataLoader(train, batch_size=2, collate_fn=keep)))
    (expected, _), expected_labels = train.__getitems__([0, 1])
    assert torch.equal(first.words, expected.words) and torch.equal(labels, expected_labels)


def test_parses_are_needed_by_those_who_ask(tmp_path):
    plain = {"gold_label": "neutral", "sentence1": "Two men run.", "sentence2": "They're fast."}
    lines = [pair(), pair(first="( Cats sleep )"), plain]
    more = [pair(first=f"( Cats {verb} )") for verb in ("run", "walk", "eat", "sit", "see", "hide", "play", "wait")]
    path = write(tmp_path / "few.jsonl", [*lines, *more] * 5)
    splits = open_snli(path)
    whole = snli.open_file(path, splits["train"].vocabulary)
    assert whole.path == path and len(whole) == 55
    known = Vocabulary.of_counts(dict.fromkeys(["two", "men", "run", ".", "they", "'re", "fast"], 1))
    assert snli.open_file(path, known)[2][:2] == (
        ["two", "men", "run", "."],
        ["they", "'re", "fast", "."],
    )
    train = splits["train"]
    assert not train.has_parses
    (premise, _), _ = train.__getitems__([0, 1])
    assert premise.transitions is None and premise.to("cpu").transitions is None
    with pytest.raises(UserError, match=r"few\.jsonl, line 3: a sentence without a parse; expected sentence1_binary"):
        snli.require_parses(train)


def test_parses_are_there(folder):
    train = open_snli(folder)["train"]
    assert train.has_parses
    snli.require_parses(train)


BAD_LINES = {
    '{"gold_label": "neutral", "sentence1": "A': "not JSON",
    "": "not JSON",
    "[1, 2]": "'[1, 2]' is not a JSON object",
    "[" * 100_000: "not JSON",
    json.dumps(pair("perhaps")): "gold_label is '\"perhaps\"'; expected one of entailment, neutral, contradiction, -",
    json.dumps(pair(None)): "no gold_label",
    json.dumps(pair(["neutral"])): "gold_label is",
    json.dumps(pair(sentence2=None, sentence2_binary_parse=None)): "no sentence2_binary_parse and no sentence2",
    json.dumps(pair(sentence1_binary_parse=7)): "sentence1_binary_parse is '7'; expected text",
    json.dumps(pair(sentence1=3, sentence1_binary_parse=None)): "sentence1 is '3'; expected text",
    json.dumps(pair(second="")): "an empty sentence",
    json.dumps(pair(second=" ")): "an empty sentence",
    json.dumps(pair(first="( ( a dog ) runs")): "unbalanced brackets",
    json.dumps(pair(first="( a big dog )")): "a node that has not two children",
}


@pytest.mark.parametrize("line, complaint", BAD_LINES.items(), ids=range(len(BAD_LINES)))
def test_a_bad_line_is_told_with_file_and_number(folder, line, complaint):
    path = folder / "snli_1.0_train.jsonl"
    path.write_text(path.read_text() + line + "\n" + json.dumps(pair()) + "\n")
    with pytest.raises(UserError) as told:
        open_snli(folder)
    assert str(told.value).startswith(f"{path}, line 5: ") and complaint in str(told.value)
    assert len(str(told.value)) < 300 and not list((folder / "cache").glob("*train*"))


def test_bytes_that_are_no_text_are_told(folder):
    path = folder / "snli_1.0_dev.jsonl"
    path.write_bytes(path.read_bytes() + b'{"gold_label": "\xff"}\n')
    with pytest.raises(UserError, match="line 2: byte 0xff at column 17 is no UTF-8"):
        open_snli(folder)


def test_missing_files_are_told(folder, tmp_path):
    with pytest.raises(UserError, match=r"snli_1\.0_train\.jsonl: no such file; expected snli_1\.0_train\.jsonl, _dev"):
        open_snli(tmp_path / "nowhere")
    (folder / "snli_1.0_test.jsonl").unlink()
    with pytest.raises(UserError, match=r"snli_1\.0_test\.jsonl: no such file"):
        open_snli(folder)
    write(folder / "snli_1.0_test.jsonl", [pair("-")])
    with pytest.raises(UserError, match=r"snli_1\.0_test\.jsonl: no labelled pair in it \(1 with the label '-'\)"):
        open_snli(folder)
    one_premise = write(folder / "one.jsonl", [pair(), pair()])
    with pytest.raises(UserError, match=r"one\.jsonl: 1 premises; expected some to train on, to choose by"):
        open_snli(one_premise)


# The cache


def arrays(packed):
    return [part.tolist() if isinstance(part, np.ndarray) else part for part in packed]


@pytest.fixture
def never_twice(monkeypatch):
    """Lets a file be read once only; then `read_file` has to have it in the cache."""

    def forbid():
        monkeypatch.setattr(snli_file, "pack_file", lambda *_: pytest.fail("the text is read again"))

    return forbid


def test_the_second_time_comes_from_the_cache(folder, never_twice):
    path = folder / "snli_1.0_train.jsonl"
    first = snli_file.read_file(path)
    never_twice()
    assert arrays(snli_file.read_file(path)) == arrays(first) == arrays(first)
    # What counts is the content: neither the name nor the time of the file.
    moved = shutil.copy(path, folder / "moved.jsonl")
    assert arrays(snli_file.read_file(moved)) == arrays(first)


def test_another_content_is_read_anew(folder, cache):
    path = folder / "snli_1.0_dev.jsonl"
    before = snli_file.read_file(path)
    text = path.read_text()
    write(path, [pair(second="( a horse )")])
    assert path.stat().st_size == len(text)
    after = snli_file.read_file(path)
    assert "zebra" in before.spelling and "horse" in after.spelling and "zebra" not in after.spelling
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign", "field"])
def test_a_damaged_cache_is_made_anew(folder, cache, damage, capsys, never_twice):
    path = folder / "snli_1.0_train.jsonl"
    expected = arrays(snli_file.read_file(path))
    (stored,) = cache.iterdir()
    content = stored.read_bytes()
    if damage == "field":
        with np.load(stored) as found:
            np.savez(stored, **{name: found[name] for name in found.files if name != "labels"})
    else:
        middle = bytes([content[500] ^ 1])
        broken = {
            "cut": content[:-200],
            "flipped": content[:500] + middle + content[501:],
            "empty": b"",
            "foreign": b"x",
        }
        stored.write_bytes(broken[damage])
    assert arrays(snli_file.read_file(path)) == expected
    assert "damaged" in capsys.readouterr().err
    never_twice()
    assert arrays(snli_file.read_file(path)) == expected


def test_nothing_pickled_is_loaded(folder, cache, capsys):
    path = folder / "snli_1.0_train.jsonl"
    packed = snli_file.read_file(path)
    (stored,) = cache.iterdir()
    np.savez(stored, **packed._asdict() | {"spelling": np.array([print], dtype=object)})
    assert arrays(snli_file.read_file(path)) == arrays(packed)
    assert "damaged (ValueError)" in capsys.readouterr().err


def test_many_at_once_do_no_harm(folder, cache):
    path = folder / "snli_1.0_train.jsonl"
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda _: arrays(snli_file.read_file(path)), range(24)))
    assert all(result == results[0] for result in results)
    assert len(list(cache.iterdir())) == 1, "no file half written is left behind"


def test_only_large_files_are_kept(folder, cache, monkeypatch):
    path = folder / "snli_1.0_train.jsonl"
    size = path.stat().st_size
    monkeypatch.setattr(snli_file, "LARGE", size + 1)
    small = arrays(snli_file.read_file(path))
    assert not cache.exists()
    monkeypatch.setattr(snli_file, "LARGE", size)
    assert arrays(snli_file.read_file(path)) == small and len(list(cache.iterdir())) == 1


def test_a_sentence_is_packed_once_and_a_premise_known_by_its_words(tmp_path):
    """Another parse, another spelling with capitals: the same words are one premise, and every parse is kept."""
    lines = [
        pair(first="( ( A dog ) runs )", second="( Cats sleep )"),
        pair(first="( ( A dog ) runs )", second="( ( a dog ) runs )"),
        pair(first="( a ( dog runs ) )", second="( Cats sleep )"),
        pair(first="( ( a dog ) runs )", second="( a zebra )"),
        pair(first="( Cats sleep )", second="( ( A dog ) runs )"),
    ]
    path = write(tmp_path / "few.jsonl", lines)
    packed = snli_file.read_file(path)
    assert packed.premises.tolist() == [0, 0, 0, 0, 1]
    # "A dog" and "a dog" are two texts; five others would be there again if sentences were packed with every pair.
    assert packed.pairs.tolist() == [[0, 1], [0, 2], [3, 1], [2, 4], [1, 0]]
    assert packed.lengths.tolist() == [3, 2, 3, 3, 2]
    pairs = snli.Pairs(packed, path, Vocabulary.of_counts(dict.fromkeys(packed.spelling, 1)))
    assert pairs.groups.tolist() == [0, 0, 0, 0, 1] and pairs.has_parses
    (premise, hypothesis), _ = pairs.__getitems__(range(5))
    for at, line in enumerate(lines):
        for which, batch in ((1, premise), (2, hypothesis)):
            words, steps = parse(line[f"sentence{which}_binary_parse"].lower())
            assert pairs[at][which - 1] == words
            assert batch.words[at, : len(words)].tolist() == pairs.vocabulary.lookup(words)
            assert batch.transitions[at, : len(steps)].tolist() == steps
    later = snli.Pairs(packed, path, pairs.vocabulary, np.array([4]))
    assert later.groups.tolist() == [0], "from 0 up within a split"


def test_words_are_counted_in_the_pairs_that_are_asked_about(tmp_path):
    lines = [
        pair(first="( ( A dog ) runs )"),
        pair(first="( ( A dog ) runs )", second="( a dog )"),
        pair(second="cats"),
    ]
    packed = snli_file.read_file(write(tmp_path / "few.jsonl", lines))
    assert snli.count_words(packed, np.array([1, 2])) == {"a": 3, "dog": 3, "runs": 2, "cats": 1}
    assert snli.count_words(packed, slice(None)) == {"a": 4, "dog": 4, "runs": 3, "cats": 2, "sleep": 1}


def test_a_cache_that_cannot_be_written_is_said_and_done_without(folder, cache, capsys):
    cache.write_text("")
    splits = open_snli(folder)
    assert len(splits["train"]) == 3 and "not written" in capsys.readouterr().err


# Word vectors


def glove(path, vectors, head=""):
    path.write_text(head + "".join(f"{word} {numbers}\n" for word, numbers in vectors.items()))
    return path


WORDS = Vocabulary.of_counts({"dog": 9, "cat": 8, "new york": 7, "zebra": 6})


def test_vectors_stand_in_the_rows_of_their_words(tmp_path, capsys):
    many = {f"other{number}": "9 9 9" for number in range(5)}
    file = glove(
        tmp_path / "v.txt", {"cat": "1 2 3", **many, "dog": "-1 0.5 2e-1", "new york": "4 5 6", "cat ": "7 7 7"}
    )
    weight = vectors.load_vectors(file, WORDS, 3)
    assert weight.shape == (6, 3) and weight.dtype == torch.float32
    assert weight[2:5].tolist() == [[-1.0, 0.5, pytest.approx(0.2)], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert weight[PAD].tolist() == [0, 0, 0]
    assert weight[UNKNOWN].abs().min() > 0 and weight[5].abs().min() > 0
    printed = capsys.readouterr().out
    assert "vectors for 3 of 4 words (75.0%); 1 start at random, such as zebra" in printed


def test_random_vectors_are_as_spread_as_the_others(tmp_path):
    many = Vocabulary.of_counts({f"w{number}": 1 for number in range(400)})
    draw = torch.Generator().manual_seed(0)
    numbers = {
        f"w{number}": " ".join(map(str, (0.4 * torch.randn(50, generator=draw)).tolist())) for number in range(200)
    }
    weight = vectors.load_vectors(glove(tmp_path / "v.txt", numbers), many, 50)
    has_vector = torch.tensor([word in numbers for word in many.words])
    assert weight[~has_vector][2:].std().item() == pytest.approx(0.4, rel=0.05)


def test_the_first_line_of_word2vec_is_passed_over(tmp_path):
    file = glove(tmp_path / "v.vec", {"dog": "1 2", "cat": "3 4"}, head="2 2\n")
    assert vectors.load_vectors(file, WORDS, 2)[2:4].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "content, complaint",
    [
        ({"dog": "1 2"}, "line 1: 2 numbers after the word; expected 3 (--embed-dim)"),
        ({"dog": "1 2 3 4"}, "line 1: 4 numbers after the word; expected 3 (--embed-dim)"),
        ({"dog": "1 2 3", "a": "1 2 3", "cat": "1 2"}, "line 3: 2 numbers after the word"),
        ({"dog": "1 2 x"}, "line 1: could not convert string to float: b'x'"),
        ({"a": "1 2 3", "dog": "1 2 nan"}, "line 2: a number that is not finite"),
        ({"a": "1 2 3", "dog": "1 2 1e39"}, "line 2: a number that is not finite"),
        ({"a": "1 2 3", "b": "1 2 3", "dog": "1 2 3 4"}, "line 3: 4 numbers after the word; expected 3 (--embed-dim)"),
        ({"horse": "1 2 3"}, "none of the 6 words"),
        ({}, "none of the 6 words"),
    ],
)
def test_a_bad_file_of_vectors_is_told(tmp_path, content, complaint):
    file = glove(tmp_path / "v.txt", content)
    with warnings.catch_warnings(), pytest.raises(UserError) as told:
        warnings.simplefilter("error")
        vectors.load_vectors(file, WORDS, 3)
    assert str(told.value).startswith(str(file)) and complaint in str(told.value)


@pytest.mark.parametrize("name", ["missing.txt", "glove.6B.300d"])
def test_who_has_no_vectors_is_told_where_there_are_some(tmp_path, name):
    with pytest.raises(UserError) as told:
        vectors.load_vectors(tmp_path / name, WORDS, 300)
    assert str(told.value) == (
        f"{tmp_path / name}: no such file; expected word vectors in GloVe's format: "
        "glove.6B.zip of nlp.stanford.edu/projects/glove has some"
    )


# The real set


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the real SNLI is not here")
def test_the_real_development_file(tmp_path, capsys):
    splits = open_snli(REAL / "snli_1.0")
    train, test = splits["train"], splits["test"]
    assert train.has_parses
    assert sum(map(len, splits.values())) == 1289 - 16 and 0.71 < len(train) / (1289 - 16) < 0.73
    assert 0.19 < len(test) / (1289 - 16) < 0.21
    told = capsys.readouterr().out
    assert "no premise is in two of them" in told and "16 pairs left out" in told
    first = train[0]
    assert all(isinstance(word, str) and word for sentence in first[:2] for word in sentence) and first[2] in LABELS
    (premise, _), _ = train.__getitems__(range(len(train)))
    shifts, reduces = ((premise.transitions == step).sum(1) for step in (SHIFT, REDUCE))
    assert torch.equal(shifts, premise.lengths) and torch.equal(reduces, premise.lengths - 1)


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the real SNLI is not here")
def test_the_real_file_without_parses(tmp_path):
    some = tmp_path / "noparse.jsonl"
    with (REAL / "snli_noparse_dev.jsonl").open() as lines:
        some.write_text("".join(itertools.islice(lines, 1000)))
    train = open_snli(some)["train"]
    assert not train.has_parses
    with pytest.raises(UserError, match=r"noparse\.jsonl, line 1: a sentence without a parse"):
        snli.require_parses(train)
