"""`simple_rnn.py` and `advanced_rnn.py` as a reader runs them, on a few hundred pairs; and what they share."""

import json
import os
import random
import re
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from ch05_sequence import advanced_rnn, classify, simple_rnn
from ch05_sequence.loaders.snli import LABELS, PAD, Sentences, Vocabulary, open_snli
from common import cli
from common.checkpoints import load_weights, read

REAL = Path(__file__).parents[2] / "shared" / "data" / "snli"
NOUNS = ("man", "woman", "dog", "cat", "horse", "child")
VERBS = ("sees", "likes")
SMALL = ["--embed-dim", 12, "--hidden-size", 10, "--batch-size", 30, "--device", "cpu"]


def write_pairs(folder, sizes=(450, 60, 90)):
    """Who sees whom: told again, told the other way round (contradiction, say), or told of somebody else."""
    rng = random.Random(0)
    folder.mkdir()
    for split, size in zip(("train", "dev", "test"), sizes):
        lines = []
        for number in range(size):
            (who, whom, other), verb = rng.sample(NOUNS, 3), rng.choice(VERBS)
            label = LABELS[number % 3]
            again = {"entailment": (who, whom), "neutral": (who, other), "contradiction": (whom, who)}[label]
            trees = [f"( ( a {a} ) ( {verb} ( a {b} ) ) )" for a, b in ((who, whom), again)]
            line = {"gold_label": label}
            for place, tree in enumerate(trees, 1):
                line[f"sentence{place}_binary_parse"] = tree
                line[f"sentence{place}"] = re.sub(r"[() ]+", " ", tree).strip()
            lines.append(json.dumps(line) + "\n")
        (folder / f"snli_1.0_{split}.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs") / "snli")


@pytest.fixture
def program(monkeypatch, capsys, pairs):
    """Runs a program's `main` with the flags given; returns its exit status and what it printed."""

    def run(module, *flags, pictures=False):
        if not pictures:
            monkeypatch.setattr(classify, "show", lambda *anything: None)
        if not {"--evaluate", "--predict"} & {*flags}:
            flags = ["--data", pairs, *SMALL, *flags]
        monkeypatch.setattr(sys, "argv", [f"ch05_sequence/{module.__name__}.py", *map(str, flags)])
        torch.manual_seed(99)  # the program's own seed must be what counts
        try:
            cli.run(module.main)
        except SystemExit as end:
            return end.code, *capsys.readouterr()
        return 0, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of one run, filled by the first test that asks for it through `trained`."""
    return tmp_path_factory.mktemp("run") / "gru"


GRU = ["--cell", "gru", "--bidirectional", "--attention", "--dropout", 0, "--lr", 0.01]


@pytest.fixture
def trained(folder, program):
    if not (folder / "summary.json").exists():
        status, out, err = program(advanced_rnn, *GRU, "--epochs", 8, "--patience", 8, "--out", folder, pictures=True)
        assert status == 0, err
        (folder / "printed.txt").write_text(out)
    return folder


def test_training_leaves_figures_and_pictures(trained):
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["accuracy"] > 0.6  # of three classes that no single sentence gives away
    assert {"loss", "test_loss", "epochs", "seconds", "pairs_per_second"} <= summary.keys()
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"] and {"valid_loss", "accuracy"} <= lines[0].keys()
    for name in ("gates", "attention", "words", "confusion", "curves"):
        with Image.open(trained / f"{name}.png") as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    printed = (trained / "printed.txt").read_text()
    assert "450 pairs to train, 60 to choose the weights by, 90 to test; 11 words; on cpu" in printed
    accuracy = f"{summary['accuracy']:.1%}"
    assert f"bidirectional GRU with attention: {accuracy} of 90 pairs" in printed.splitlines()[-1]


def test_the_pairs_of_a_premise_are_in_one_batch(program, pairs, tmp_path, monkeypatch):
    made = []
    real = classify.batches.loader
    monkeypatch.setattr(
        classify.batches, "loader", lambda *args, **given: made.append(real(*args, **given)) or made[-1]
    )
    status, _, err = program(simple_rnn, "--epochs", 1, "--out", tmp_path)
    assert status == 0, err
    groups = open_snli(pairs)["train"].groups
    assert torch.equal(made[0].batch_sampler.groups, groups) and len(groups.unique()) < len(groups)


def test_evaluate_repeats_the_figure_without_being_told_the_network_or_the_data(trained, program, tmp_path):
    expected = json.loads((trained / "summary.json").read_text())
    flags = ["--evaluate", "test", "--checkpoint", trained / "best.pt", "--out", tmp_path]
    status, out, err = program(advanced_rnn, *flags)
    assert status == 0, err
    assert not (tmp_path / "best.pt").exists() and not (tmp_path / "summary.json").exists()
    assert f"accuracy {expected['accuracy']:.4f} over the 90 pairs of test" in out
    scored = json.loads((tmp_path / "evaluation_test.json").read_text())
    assert scored["accuracy"] == expected["accuracy"] and scored["loss"] == pytest.approx(expected["test_loss"])


def test_a_readers_own_file_is_scored_with_the_words_of_the_run(trained, program, pairs, tmp_path):
    lines = (pairs / "snli_1.0_test.jsonl").read_text().splitlines()[:30]
    other = {"gold_label": "neutral", "sentence1": "A zebra sees a dog", "sentence2": "A dog yawns"}
    unsure = {**other, "gold_label": "-", "sentence1": "two giraffes"}
    own = tmp_path / "own.jsonl"
    own.write_text("".join(f"{line}\n" for line in [*lines, json.dumps(other), json.dumps(unsure)]))
    flags = ["--checkpoint", trained / "best.pt", "--out", tmp_path, "--evaluate", own]
    status, out, err = program(advanced_rnn, *flags)
    assert status == 0, err
    assert re.search(r"own\.jsonl: 2 of its \d+ different words are unknown, such as yawns zebra\n", out)
    assert "1 pairs left out: their annotators did not agree" in out
    assert f"over the 31 pairs of {own}" in out
    scored = json.loads((tmp_path / "evaluation_own.jsonl.json").read_text())
    assert scored["pairs"] == 31 and 0.5 < scored["accuracy"] <= 1
    status, _, err = program(advanced_rnn, *flags[:-1], tmp_path / "none.jsonl")
    assert status == 2 and "none.jsonl: no split and no file; expected train, dev, test or JSON lines" in err
    own.write_text(json.dumps({**other, "sentence1": 3}) + "\n")
    status, _, err = program(advanced_rnn, *flags)
    assert status == 2 and f"{own}, line 1: sentence1 is '3'; expected text" in err


def test_a_single_file_is_split_in_three(program, pairs, tmp_path):
    """The pairs that are reported have chosen no weights."""
    lines = (pairs / "snli_1.0_train.jsonl").read_text().splitlines()
    alone = tmp_path / "alone.jsonl"
    alone.write_text("".join(f"{line}\n" for line in lines))
    out = tmp_path / "out"
    status, told, err = program(simple_rnn, "--data", alone, "--epochs", 1, "--out", out, "--seed", 3)
    assert status == 0, err
    counts = re.search(r"(\d+) pairs to train, (\d+) to choose the weights by, (\d+) to test", told)
    assert sum(map(int, counts.groups())) == 450 and min(map(int, counts.groups())) > 20
    # A fifth drawn by the run's seed, which scoring knows too.
    status, again, err = program(simple_rnn, "--evaluate", "test", "--out", out)
    assert status == 0, err
    summary = json.loads((out / "summary.json").read_text())
    assert f"accuracy {summary['accuracy']:.4f} over the {counts[3]} pairs" in again


def network_of(trained, pairs):
    args = advanced_rnn.read_flags([str(flag) for flag in (*SMALL, *GRU)])
    dataset = open_snli(pairs)["test"]
    network = advanced_rnn.build(args, dataset.vocabulary)
    load_weights(network, trained / "best.pt")
    return network.eval(), dataset


@torch.inference_mode()
def test_score_and_table_count_every_pair_once(trained, pairs):
    network, dataset = network_of(trained, pairs)
    confusion, losses = torch.zeros(3, 3, dtype=torch.int64), []
    for index in range(len(dataset)):
        pair, label = dataset.__getitems__([index])
        scores = network(pair)
        confusion[label, scores.argmax()] += 1
        losses.append(F.cross_entropy(scores, label).item())
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["accuracy"] == pytest.approx(confusion.trace().item() / 90)
    assert summary["test_loss"] == pytest.approx(sum(losses) / 90, rel=1e-5)
    assert classify.table(confusion, LABELS) in (trained / "printed.txt").read_text()


def test_the_table_has_recall_in_rows_and_precision_in_columns():
    confusion = torch.tensor([[8, 1, 1], [2, 4, 2], [0, 0, 0]])
    rows = [line.split() for line in classify.table(confusion, LABELS).splitlines()]
    assert rows[1] == ["entailment", "8", "1", "1", "80.0%", "80.0%"]
    assert rows[2] == ["neutral", "2", "4", "2", "50.0%", "80.0%"]
    assert rows[3] == ["contradiction", "0", "0", "0", "0.0%", "0.0%"]


@torch.inference_mode()
def test_predict_gives_three_probabilities_for_each_pair(trained, pairs, tmp_path, program):
    texts = ["A man sees a dog.", "A dog sees a zebra", "a cat likes a horse", "A  cat likes a horse"]
    flags = ["--predict", *texts, "--checkpoint", trained / "best.pt", "--out", tmp_path]
    status, out, err = program(advanced_rnn, *flags)
    assert status == 0, err
    network, dataset = network_of(trained, pairs)
    tokens = [
        [["a", "man", "sees", "a", "dog", "."], ["a", "dog", "sees", "a", "zebra"]],
        [["a", "cat", "likes", "a", "horse"]] * 2,
    ]
    lines = out.splitlines()
    assert lines[0] == "A man sees a dog. / A dog sees a zebra"
    assert lines[1] == "  unknown words, all read as one and the same: ., zebra"
    for line, pair in zip((lines[2], lines[4]), tokens, strict=True):
        words = [dataset.vocabulary.lookup(sentence) for sentence in pair]
        inputs = [Sentences(torch.tensor([row]), torch.tensor([len(row)]), None) for row in words]
        expected = network(inputs).softmax(1)[0].tolist()
        told = dict(part.split() for part in line.split(", "))
        assert list(told) == list(LABELS)
        assert [float(chance) for chance in told.values()] == pytest.approx(expected, abs=0.0006)
    assert not (tmp_path / "summary.json").exists()
    # Brackets are no words, and this network has no use for them.
    trees = ["((a man) (sees (a dog)))", "(( a dog ) (sees (a man)))"]
    plain = ["a man sees a dog", "a dog sees a man"]
    told, as_plain = (program(advanced_rnn, "--predict", *given, *flags[5:])[1] for given in (trees, plain))
    assert told.splitlines()[0] == "the brackets are not followed: this network reads the words alone"
    assert told.splitlines()[-1] == as_plain.splitlines()[-1] and "unknown" not in told


def test_the_saved_vocabulary_is_the_one_of_training(trained, pairs):
    words = read(trained / "best.pt")["run"]["belongs"]["vocabulary"]
    assert words == open_snli(pairs)["train"].vocabulary.words
    restored = Vocabulary(words)
    assert restored.words == words and restored.lookup([*words[2:], "zebras"]) == [*range(2, len(words)), 0]


def test_the_simple_program_draws_too(program, tmp_path):
    status, out, err = program(simple_rnn, "--epochs", 1, "--out", tmp_path, pictures=True)
    assert status == 0, err
    assert out.splitlines()[-1].startswith("Simple RNN: ")
    for name in ("states", "cell", "words", "confusion"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20


@pytest.mark.parametrize("module", [simple_rnn, advanced_rnn])
def test_resume_goes_on_where_the_run_stopped(program, tmp_path, module):
    flags = ["--epochs", 2, "--dropout", 0.3, "--clip", 0.5, "--out"]
    assert program(module, *flags, tmp_path / "whole")[0] == 0
    assert program(module, *flags, tmp_path / "again")[0] == 0
    os.replace(tmp_path / "again" / "previous.pt", tmp_path / "again" / "last.pt")  # that of the first epoch
    assert program(module, *flags, tmp_path / "again", "--resume")[0] == 0
    whole, again = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "again"))
    assert all(torch.equal(values, again["model"][name]) for name, values in whole["model"].items())
    group = whole["optimizer"]["param_groups"][0]
    assert group["max_lr"] == module.DEFAULTS["lr"] and group["weight_decay"] == 0


def write_vectors(path, pairs, size=12):
    """A vector for each word but one; word k has k in all its places."""
    words = open_snli(pairs)["train"].vocabulary.words
    lines = [f"{word} {' '.join([f'{place / 10:.1f}'] * size)}" for place, word in enumerate(words[2:-1], 2)]
    path.write_text("\n".join(["elsewhere " + " ".join(["9.0"] * size), *lines]) + "\n")
    return len(words)


@pytest.mark.parametrize("frozen", [True, False])
def test_vectors_are_copied_and_frozen_or_trained(program, pairs, tmp_path, frozen):
    count = write_vectors(tmp_path / "vectors.txt", pairs)
    flags = ["--vectors", tmp_path / "vectors.txt", "--epochs", 1, "--out", tmp_path / "out"]
    status, out, err = program(simple_rnn, *flags, *["--freeze-vectors"] * frozen)
    assert status == 0, err
    assert re.search(rf"vectors.txt: .*{count - 3} of \d+ words", out)
    weight = read(tmp_path / "out" / "best.pt")["model"]["embed.weight"]
    given = (torch.arange(2, count - 1) / 10)[:, None].expand(-1, 12)
    moved = (weight[2:-1] - given).abs().max()
    assert moved < 1e-6 if frozen else 1e-4 < moved < 0.1
    assert (weight[PAD] == 0).all()


def test_networks_train_in_mixed_precision(program, tmp_path):
    for module in (simple_rnn, advanced_rnn):
        status, _, err = program(module, "--amp", "bf16", "--epochs", 1, "--out", tmp_path / module.__name__)
        assert status == 0, err


def test_a_users_mistake_is_told_in_a_line(trained, program, tmp_path):
    def fails(*flags, module=advanced_rnn):
        status, _, err = program(module, *flags, "--out", tmp_path / "nothing")
        assert status == 2 and 1 <= len(err.splitlines()) <= 2 and "Traceback" not in err
        return err

    weights = ["--checkpoint", trained / "best.pt"]
    assert "3 sentences make no pairs" in fails("--predict", "a man", "a dog", "a cat", *weights)
    assert "' ': an empty sentence" in fails("--predict", "a man", " ", *weights)
    assert "--evaluate train2: no split and no file; expected train, dev, test or JSON lines" in fails(
        "--evaluate", "train2", *weights
    )
    assert "best.pt: no such checkpoint; train first" in fails("--evaluate", "test")
    assert "--freeze-vectors belongs to --vectors" in fails("--freeze-vectors")
    assert "'1' is not a whole number from 2 to" in fails("--embed-dim", 1)
    assert "'1' is not" in fails("--dropout", "1")
    assert "--batch-size 1: expected 2" in fails("--batch-size", 1)
    assert "no such file" in fails("--vectors", tmp_path / "no.txt")
    assert "one layer read forwards" in fails("--implementation", "cell", "--layers", 2)
    assert "of another network" in fails("--evaluate", "test", *weights, module=simple_rnn)
    assert "was trained with gru" in fails("--evaluate", "test", *weights, "--cell", "lstm")


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data")
@pytest.mark.parametrize("data", ["snli_1.0", "snli_noparse_dev.jsonl"])
def test_the_real_pairs_are_read_and_learnt_from(program, tmp_path, data):
    (file,) = (REAL / data).glob("*.jsonl") if (REAL / data).is_dir() else [REAL / data]
    (tmp_path / "some.jsonl").write_text("".join(file.read_text().splitlines(keepends=True)[:600]))
    flags = ["--data", tmp_path / "some.jsonl", "--epochs", 1, "--out", tmp_path, "--attention"]
    status, _, err = program(advanced_rnn, *flags)
    assert status == 0, err
    assert 0.2 < json.loads((tmp_path / "summary.json").read_text())["accuracy"] < 0.8
