"""Listings 3.10 to 3.13: the torchtext tour, run as a reader runs it, and the plain pipeline against torchtext."""

import contextlib
import inspect
import io
import logging
import random
import runpy
import sys
from itertools import chain
from pathlib import Path

import pytest
import torch
import torchtext
from torch.utils.data import DataLoader
from torchtext import data

from ch03_workflow import plain_text_pipeline as plain
from ch03_workflow.loaders.trec import TRAIN_FILE, read_splits

TOUR = Path(__file__).parents[1] / "ch03_workflow" / "torchtext_tour.py"


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """The tour's variables, what it `printed`, and its folder `out`."""
    printed, out = io.StringIO(), tmp_path_factory.mktemp("torchtext_tour")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", ["torchtext_tour.py", "--device", "cpu", "--out", str(out)])
        variables = runpy.run_path(str(TOUR), run_name="__main__")
    return variables | {"printed": printed.getvalue(), "out": out}


def test_3_10_the_books_api_is_in_0_6_0(tour):
    assert torchtext.__version__ == "0.6.0"
    for name in tour["book_api"]:
        assert isinstance(getattr(data, name), type)


def test_3_11_tokens_fields_and_columns(tour):
    question = "How do you measure earthquakes ?"
    assert tour["tokenizer"](question) == ["How", "do", "you", "measure", "earthquakes", "?"]
    assert tour["TEXT"].preprocess(question) == ["how", "do", "you", "measure", "earthquakes", "?"]
    assert "[E941]" in tour["no_shortcut"]
    defaults = {"sequential": True, "use_vocab": True, "lower": False, "pad_token": "<pad>", "unk_token": "<unk>"}
    assert defaults.items() <= tour["defaults"].items()
    assert data.Field().tokenize("a b-c") == ["a", "b-c"]
    assert tour["defaults"]["fix_length"] is None and "fixed_length" not in tour["defaults"]
    assert "\n    fix_length=None\n" in tour["printed"]
    assert tour["fixed"] == [["Who", "?", "<pad>", "<pad>"], ["How", "far", "is", "the"]]
    assert issubclass(data.TabularDataset, torch.utils.data.Dataset)


def test_3_11_the_examples_are_the_questions_of_the_files(tour):
    splits = tour["splits"]
    # Some that the sample would train with make up the page's 99 of the test, and each is in one part only.
    assert [len(split) for split in splits.values()] == [238, 29, 99]
    assert sorted(chain(*splits.values())) == sorted(chain(*read_splits("sample").values()))
    for dataset, split in ((tour["train"], "train"), (tour["val"], "valid"), (tour["test"], "test")):
        expected = [([token.lower() for token in plain.tokenizer(text)], label) for text, label in splits[split]]
        assert [(example.Text, example.Label) for example in dataset] == expected


def test_3_11_a_quotation_mark_and_a_missing_column_go_unnoticed(tour):
    assert len(tour["quoted"]) == 2 and len(tour["unquoted"]) == 3
    assert {"heroes", "help"} < set(tour["quoted"][0].Text)  # the first line and the second in one
    assert tour["no_label"] and [example.Label for example in tour["unquoted"][:2]] == ["HUM", "HUM"]


def test_3_12_vocabulary_and_vectors(tour):
    vocab = tour["TEXT"].vocab
    assert vocab.itos[:2] == ["<unk>", "<pad>"] and vocab.vectors.shape == (len(vocab), 50)
    row = dict(zip(tour["words"], tour["numbers"])) | {tour["without_vector"]: torch.zeros(50)}
    for word, vector in zip(vocab.itos[2:], vocab.vectors[2:]):
        torch.testing.assert_close(vector, row[word], atol=1e-5, rtol=0)
    assert not vocab.vectors[:2].any()  # the file has neither <unk> nor <pad>
    assert torch.equal(tour["embedding"](torch.tensor([5])), vocab.vectors[5:6])
    assert vocab["a word that nobody wrote"] == 0
    assert tour["unchecked"]
    cached = torchtext.vocab.Vectors(tour["glove"].name, cache=str(tour["out"]))
    assert torch.equal(cached.vectors, tour["vectors"].vectors)


def test_3_12_the_labels_have_an_unk_and_no_use_for_vectors(tour):
    assert tour["LABEL"].vocab.itos[0] == "<unk>" and sorted(tour["LABEL"].vocab.itos[1:]) == sorted(
        ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"]
    )
    assert tour["label_field"].vocab.itos == tour["LABEL"].vocab.itos[1:]
    assert tour["labels_with_vectors"] == dict(tour["LABEL"].vocab.stoi)


def test_3_12_a_batch_is_padded_to_its_longest(tour):
    batch, vocab, test = tour["batch"], tour["TEXT"].vocab, tour["test"]
    longest = max(len(example.Text) for example in test)
    assert batch.Text.dtype == torch.int64 and batch.Text.shape == (longest, 99) and batch.Label.shape == (99,)
    assert f"[.Text]:[torch.LongTensor of size {longest}x99]" in tour["printed"]
    expected = sorted(test, key=lambda example: len(example.Text))[::-1]
    for column, label, example in zip(batch.Text.T.tolist(), batch.Label, expected):
        words = [vocab.itos[vocab[token]] for token in example.Text]  # words that training has not seen are <unk>
        assert [vocab.itos[index] for index in column] == words + ["<pad>"] * (longest - len(words))
        assert tour["LABEL"].vocab.itos[label] == example.Label


def test_3_12_a_number_as_device_means_the_cpu_with_a_warning(tour, caplog):
    assert tour["by_number"] == torch.device("cpu") and "device=0 puts a batch on: cpu" in tour["printed"]
    with caplog.at_level(logging.WARNING, logger="torchtext.data.iterator"):
        data.Iterator(tour["test"], 99, train=False, sort=False, device=-1)
    assert "defaults to cpu" in caplog.text


def test_the_bucket_iterator_saves_padding_once_it_sorts_its_batches(tour):
    padded, vocab = tour["padded"], tour["TEXT"].vocab
    iterator, unsorted, bucket = padded.values()
    assert bucket < 0.1 < 0.25 < min(iterator, unsorted)
    # counted once more, without torchtext's batches
    lengths = [len(example.Text) for example in tour["train"]]
    batches = plain.bucketed_batches(lengths, 32, random.Random(0))
    slots = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    assert bucket == pytest.approx(1 - sum(lengths) / slots, abs=1e-6)
    assert vocab.stoi["<pad>"] == tour["padding"] == plain.PADDING


def test_bptt_streams_go_on_and_targets_are_one_token_ahead(tour):
    story, vocab = tour["language"].examples[0].text, tour["STORY"].vocab
    batches = list(tour["bptt_iter"])
    text = torch.cat([batch.text for batch in batches]).T
    target = torch.cat([batch.target for batch in batches]).T
    assert torch.equal(text[:, 1:], target[:, :-1])
    read = [vocab.itos[index] for stream, last in zip(text, target[:, -1]) for index in [*stream.tolist(), last]]
    assert read[: len(story)] == story and set(read[len(story) :]) <= {"<pad>"}


def test_3_13_sst_from_its_trees(tour):
    assert "torchtextdata" in tour["page_sst"]
    assert inspect.ismethod(torchtext.datasets.SST.splits)  # of the class
    assert [len(split) for split in (tour["sst_train"], tour["sst_val"], tour["sst_test"])] == [25, 1, 1]
    assert isinstance(tour["sst_train"][0], data.Example)
    whole = [example for example in tour["sst_train"] if len(example.text) > 4]
    assert [(" ".join(example.text), example.label) for example in whole] == [
        ("The plot is dull .", "negative"),
        ("The songs are rather good .", "positive"),
    ]
    assert (tour["sst_test"][0].text[-2:], tour["sst_test"][0].label) == (["mess", "."], "very negative")
    assert data.Field().preprocess("very negative") == ["very", "negative"]  # what the page's Field makes of a label


def test_trec_through_torchtexts_class(tour):
    content = (tour["questions"] / TRAIN_FILE).read_bytes()
    stopped_at = next(line for line in content.splitlines() if not line.isascii())
    byte = next(byte for byte in stopped_at if byte > 127)
    assert f"can't decode byte 0x{byte:x}" in tour["not_utf8"]
    assert tour["same_trec"] and len(tour["trec_test"]) == 74 and len(tour["trec_train"]) == 292


def test_the_tables_are_the_installed_librarys(tour):
    assert sum(map(len, tour["embeddings"].values())) == len(torchtext.vocab.pretrained_aliases) == 13
    page = set(tour["datasets"]) - tour["not_on_the_page"]
    assert page == {
        *("BABI20", "SST", "IMDB", "TREC", "SNLI", "MultiNLI", "WikiText2", "WikiText103", "PennTreebank", "WMT14"),
        *("IWSLT", "Multi30k", "UDPOS", "CoNLL2000Chunking"),
    }
    assert tour["datasets"]["TREC"] == "question classification" and tour["datasets"]["SNLI"] == "entailment"


@pytest.mark.parametrize("seed", [0, 1])
def test_the_plain_pipelines_batches_are_torchtexts(tour, seed):
    assert tour["equal_vocabularies"] and tour["equal"] == [True] * 8
    examples, lengths = tour["examples"], tour["lengths"]
    random.seed(seed)
    bucket = data.BucketIterator(tour["train"], 7, sort_key=lambda x: len(x.Text), sort_within_batch=True)
    batches = plain.bucketed_batches(lengths, 7, random.Random(seed))
    loader = DataLoader(examples, batch_sampler=batches, collate_fn=plain.collate)
    for theirs, (text, label) in zip(bucket, loader, strict=True):
        assert torch.equal(theirs.Text, text) and torch.equal(theirs.Label, label)


def test_the_plain_pipeline_is_under_sixty_lines():
    assert len(Path(plain.__file__).read_text().splitlines()) < 60
