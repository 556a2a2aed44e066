"""Chapter 5's tours: each is run as a reader runs it, and what it leaves behind is held against the page's claims."""

import contextlib
import io
import math
import re
import runpy
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchtext.data import BucketIterator, Field
from torchtext.datasets.nli import ShiftReduceField
from torchtext.vocab import Vectors

import data.sentence_pairs
from ch05_sequence import advanced_rnn, simple_rnn, spinn
from ch05_sequence.loaders.snli import LABELS, open_snli, tokenize
from ch05_sequence.loaders.vectors import load_vectors

CHAPTER = Path(__file__).parents[1] / "ch05_sequence"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The embedded sample, made small."""
    root = tmp_path_factory.mktemp("sentences") / "sample"
    return data.sentence_pairs.make_sentence_pairs(root, premises=(500, 10, 10))


def write_vectors(path):
    """Words on a circle: puppy next to dog, then cat."""
    places = {"the": 3.0, "dog": 0.0, "puppy": 0.1, "cat": 0.5, "red": 2.0, "blue": 2.1}
    path.write_text("".join(f"{word} {math.cos(place):.5f} {math.sin(place):.5f}\n" for word, place in places.items()))
    return ["--vectors", str(path)]


def tour(name):
    """A fixture that runs the tour once for all the tests of this file: its variables, and what it `printed`."""

    @pytest.fixture(scope="module", name=name)
    def run(tmp_path_factory, sample):
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
            out = tmp_path_factory.mktemp(name)
            vectors = write_vectors(out / "vectors.txt") if name == "embedding_tour" else []
            patch.setattr(sys, "argv", [f"{name}.py", "--out", str(out), *vectors])
            patch.setattr(data.sentence_pairs, "make_sentence_pairs", lambda root: sample)
            variables = runpy.run_path(str(CHAPTER / f"{name}.py"), run_name="__main__")
        return variables | {"printed": printed.getvalue()}

    return run


embedding_tour, padding_tour, torchtext_tour = map(tour, ["embedding_tour", "padding_tour", "torchtext_tour"])


def pictures(seen):
    """The names of the pictures that the tour left, none of them empty."""
    found = {path.name: path.stat().st_size for path in seen["args"].out.glob("*.png")}
    assert min(found.values()) > 5000
    return sorted(found)


@pytest.mark.parametrize("module", [simple_rnn, advanced_rnn, spinn])
def test_a_programs_own_example_is_made_of_words_that_the_sample_has(module, sample):
    premise, hypothesis = re.search(r'--predict "(.+)" "(.+)"', module.__doc__).groups()
    vocabulary = open_snli(sample)["train"].vocabulary
    words = tokenize(f"{premise} {hypothesis}".lower())
    assert len(words) > 10 and set(words) <= {*vocabulary.words}


# 5.2 and 5.3


def test_one_hot_of_5_2(embedding_tour):
    seen = embedding_tour
    assert seen["seq"] == [3, 8, 4, 1, 7]
    assert seen["b"].shape == (5, 10) and seen["b"].sum() == 5
    assert np.array_equal(seen["b"].argmax(1), [3, 8, 4, 1, 7]) and np.array_equal(seen["b"].max(1), np.ones(5))
    assert torch.equal(seen["by_torch"], torch.from_numpy(seen["b"]).long())
    assert seen["parameters_for"] == {10: 3000, 100: 30_000, 40_000: 12_000_000}
    assert "[[0. 0. 0. 1. 0. 0. 0. 0. 0. 0.]" in seen["printed"]


def test_the_embedding_of_5_3(embedding_tour):
    seen = embedding_tour
    embed = seen["embed"]
    assert embed.weight.shape == (100, 300) and embed.weight.requires_grad
    assert seen["vector"].size() == torch.Size([1, 300]) and torch.equal(seen["vector"][0], embed.weight[5])
    assert seen["is_row_5"] and seen["same_by_product"]
    expected = torch.zeros(100, 300)
    expected[5] = 1
    assert torch.equal(embed.weight.grad, expected) and seen["trained_rows"] == [5]


def test_vectors_by_company(embedding_tour):
    seen = embedding_tour
    words, train = seen["words"], seen["train"]
    # The table counts what it says: every two words at a distance of one or two, both ways.
    expected = 0
    for index in range(len(train)):
        for sentence in train[index][:2]:
            near = [*pairwise(sentence), *zip(sentence, sentence[2:])]
            expected += near.count(("is", "the")) + near.count(("the", "is"))
    counts = seen["counts"]
    assert counts[words.index("is"), words.index("the")] == expected > 0
    assert torch.equal(counts, counts.t())
    # Words of one kind come out nearest, from counts alone.
    assert set(seen["nearest"]("dog", 2)) <= {"cat", "horse", "puppy", "kitten", "pony", "animal", "child"}
    assert sorted(seen["order"]) == list(range(len(words)))
    assert pictures(seen) == ["words_by_company.png"]


def test_neighbours_in_real_vectors(embedding_tour):
    printed = embedding_tour["printed"]
    assert "nearest to dog: puppy, cat, red, blue\n" in printed and "nearest to red: blue, " in printed


@pytest.mark.parametrize("name", ["embedding_tour", "padding_tour", "torchtext_tour"])
def test_a_tour_takes_no_device_that_it_would_ignore(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--device", "cpu"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(CHAPTER / f"{name}.py"), run_name="__main__")
    assert end.value.code == 2 and "unrecognized arguments: --device cpu" in capsys.readouterr().err


# 5.6, 5.7, figures 5.4 and 5.5


def test_padding_of_5_6(padding_tour):
    seen = padding_tour
    expected = torch.tensor([[1.0, 2, 3], [4, 5, 0], [6, 0, 0]])
    assert torch.equal(seen["padded"], expected) and torch.equal(seen["sequence_first"], expected.t())
    assert torch.equal(seen["unsorted"], expected[[2, 0, 1]])


def test_packing_of_5_7(padding_tour):
    seen = padding_tour
    packed = seen["packed"]
    assert packed.data.tolist() == [1, 1, 1, 2, 2, 3] and packed.batch_sizes.tolist() == [3, 2, 1]
    assert repr(packed).endswith(", sorted_indices=None, unsorted_indices=None)")
    assert "must be sorted in decreasing order" in seen["refusal"]
    by_torch = seen["sorted_by_torch"]
    assert torch.equal(by_torch.data, packed.data) and by_torch.sorted_indices.tolist() == [1, 2, 0]
    assert seen["back"].tolist() == [[1, 0, 0], [1, 2, 3], [1, 2, 0]]


def test_padding_falsifies_the_last_state_and_packing_does_not(padding_tour):
    wrong_by = padding_tour["wrong_by"]
    assert set(wrong_by) == {"nn.RNN", "nn.LSTM", "nn.GRU", "nn.GRU, both directions"}
    for differences in wrong_by.values():
        assert max(differences["packed"]) < 1e-6
        longest, *shorter = differences["padded"]
        assert longest < 1e-6 and min(shorter) > 0.05
    assert torch.allclose(
        padding_tour["picked"],
        padding_tour["last_hidden"](padding_tour["layers"]["nn.GRU"], padding_tour["packed_batch"])[0],
        atol=1e-6,
    )
    assert padding_tour["steps_wasted"] == pytest.approx(6 / 21)


def test_cells_take_no_packed_sequence(padding_tour):
    assert set(padding_tour["cell_refusals"]) == {"RNNCell", "LSTMCell", "GRUCell"}


def test_hidden_states_over_the_zeros(padding_tour):
    over_zeros, ended = padding_tour["states"].values()
    assert torch.isnan(ended[1, 5:]).all() and torch.isnan(ended[2, 3:]).all()
    assert torch.allclose(over_zeros[ended.isfinite()], ended[ended.isfinite()], atol=1e-6)
    assert (over_zeros[2, 3:] - over_zeros[2, 2]).abs().amax(1).min() > 0.01
    assert pictures(padding_tour) == ["figure_5_4_padding.png", "figure_5_5_dropout.png"]


def test_dropout(padding_tour):
    seen = padding_tour
    dropped = seen["dropped"]
    assert seen["share_zeroed"] == pytest.approx(0.3, abs=0.01)
    assert dropped.unique().tolist() == [0, pytest.approx(1 / 0.7)]
    assert dropped.mean().item() == pytest.approx(1, abs=0.02) and seen["unchanged"]
    hidden = torch.cat(seen["kept"][1:-1])
    assert set(hidden.tolist()) == {0, 2} and seen["kept"][0].all() and seen["kept"][-1].all()


# 5.1 and 5.4


def test_fields_and_vocabularies_of_5_4(torchtext_tour):
    seen = torchtext_tour
    assert "'Field' object has no attribute 'vocab'" in seen["no_vocabulary"]
    assert seen["answers"].vocab.itos == ["<unk>", *sorted(seen["LABELS"])]
    assert seen["inputs"].vocab.vectors.shape == (len(seen["inputs"].vocab), 300)
    vectors = seen["inputs"].vocab.vectors
    assert (vectors[2::2].abs().sum(1) > 0).all() and (vectors[3::2] == 0).all()


def test_a_batch_of_5_1(torchtext_tour):
    batch = torchtext_tour["batch"]
    assert batch.premise.shape[1] == batch.hypothesis.shape[1] == len(batch.label) == 64
    longest = (batch.premise != 1).sum(0).max().item()
    assert batch.premise.shape[0] == longest, "as long as its longest premise, and sequence first"
    printed = torchtext_tour["printed"]
    assert "[torchtext.data.batch.Batch of size 64 from SNLI]" in printed
    assert f"[.premise]:[torch.LongTensor of size {longest}x64]" in printed


def test_the_tours_batch_of_pairs(torchtext_tour):
    seen = torchtext_tour
    words = seen["premise"].words
    assert len(words) == len(seen["labels"]) == 64 and words.shape[1] == seen["premise"].lengths.max()
    printed = f"{len(seen['pairs'].vocabulary)} words; premise.words.shape = {words.shape}, batch first"
    assert printed in seen["printed"] and len(seen["pairs"].vocabulary) < len(seen["inputs"].vocab)


@pytest.fixture(scope="module")
def torchtexts(torchtext_tour):
    """The training pairs as torchtext reads them from the parses, and the field of the words."""
    words = Field(
        lower=True,
        include_lengths=True,
        preprocessing=lambda items: [item for item in items if item not in ("(", ")")],
    )
    transitions, label = ShiftReduceField(), Field(sequential=False, unk_token=None)
    train, *_ = torchtext_tour["SNLI"].splits(words, label, transitions)
    words.build_vocab(train)
    label.build_vocab(train)
    assert {*label.vocab.itos} == {*LABELS}, "without unk_token no <unk> among them"
    label.vocab.stoi.update({name: number for number, name in enumerate(LABELS)})
    # A field more tells which examples torchtext has put into a batch, so that ours can have the same.
    train.fields["row"] = Field(sequential=False, use_vocab=False)
    for row, example in enumerate(train.examples):
        example.row = row
    return train, words


def test_torchtexts_batches_are_ours(torchtexts, torchtext_tour):
    train, words = torchtexts
    pairs = torchtext_tour["pairs"]
    assert words.vocab.itos == pairs.vocabulary.words
    rows = []
    for theirs in BucketIterator(train, batch_size=64, device="cpu"):
        rows += theirs.row.tolist()
        sentences, labels = pairs.__getitems__(theirs.row.tolist())
        assert torch.equal(theirs.label, labels)
        for name, ours in zip(("premise", "hypothesis"), sentences):
            their_words, their_lengths = getattr(theirs, name)
            assert torch.equal(their_words.t(), ours.words) and torch.equal(their_lengths, ours.lengths)
            assert torch.equal(getattr(theirs, f"{name}_transitions").t(), ours.transitions)
    assert sorted(rows) == [*range(len(pairs))], "a whole epoch"


def test_torchtexts_vectors_are_ours(torchtexts, torchtext_tour):
    """Those of the file; to the other words torchtext gives zeros, `load_vectors` random numbers."""
    _, words = torchtexts
    glove, vocabulary = torchtext_tour["glove"], torchtext_tour["pairs"].vocabulary
    words.vocab.load_vectors(Vectors(str(glove), cache=str(glove.parent)))
    theirs, ours = words.vocab.vectors, load_vectors(glove, vocabulary, 300)
    in_file = {line.partition(" ")[0] for line in glove.read_text().splitlines()}
    found = torch.tensor([word in in_file for word in vocabulary.words])
    assert 0.2 < found.double().mean() < 0.8
    assert torch.equal(theirs[found], ours[found]) and (ours[found].abs().sum(1) > 0).all()
    assert (theirs[~found] == 0).all() and (ours[~found].abs().sum(1) > 0).sum() == (~found).sum() - 1, "all but <pad>"


def test_one_hot_is_what_cross_entropy_spares(embedding_tour):
    """Row by row the embedding is the product with the one-hot vectors, gradients included."""
    table = embedding_tour["embed"].weight.detach().double()
    chosen = torch.tensor([5, 7, 5])
    tables = [table.clone().requires_grad_() for _ in range(2)]
    results = F.embedding(chosen, tables[0]), F.one_hot(chosen, 100).double() @ tables[1]
    assert torch.equal(*results)
    for result in results:
        (result**2).sum().backward()
    assert torch.allclose(tables[0].grad, tables[1].grad)
