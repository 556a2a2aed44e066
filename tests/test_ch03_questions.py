"""TREC's questions on disk, and the program that tells their kinds apart."""

import hashlib
import json
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from ch03_workflow import question_classifier
from ch03_workflow.loaders import trec
from ch03_workflow.loaders.trec import CLASSES, TEST_FILE, TRAIN_FILE, TSV_FILES, Question, read_label_file, read_splits
from ch03_workflow.plain_text_pipeline import PADDING, UNKNOWN, Vocabulary, collate
from common import checkpoints, cli
from common.cli import UserError
from data.questions import WRITTEN, make_questions

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "trec"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return make_questions(tmp_path_factory.mktemp("sample") / "questions")


@pytest.fixture(scope="module")
def run(sample, tmp_path_factory):
    """A short run of the program on the sample: its flags, as those of a later command for the same folder begin."""
    flags = ["--data", str(sample), "--device", "cpu", "--out", str(tmp_path_factory.mktemp("run"))]
    question_classifier.train(
        question_classifier.read_flags([*flags, "--epochs", "16", "--batch-size", "32", "--lr", "0.003"])
    )
    return flags


def call(monkeypatch, capsys, *flags):
    """Runs the program with these flags and returns the lines that it prints."""
    monkeypatch.setattr(sys, "argv", ["question_classifier.py", *map(str, flags)])
    question_classifier.main()
    return capsys.readouterr().out.splitlines()


# The questions


def test_the_written_questions_are_many_and_each_is_one_of_trecs_kinds():
    lines = WRITTEN.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines)) == 366
    coarse = Counter(line.partition(":")[0] for line in lines)
    assert set(coarse) == set(CLASSES) and min(coarse.values()) == 36
    assert len({line.partition(" ")[0] for line in lines}) == 50  # TREC has as many fine labels
    assert sum(not line.isascii() for line in lines) >= 8


def test_the_sample_is_laid_out_as_trec_is(sample):
    content = {name: (sample / name).read_bytes() for name in (TRAIN_FILE, TEST_FILE)}
    with pytest.raises(UnicodeDecodeError):
        content[TRAIN_FILE].decode("utf-8")
    lines = [line for text in content.values() for line in text.decode("iso-8859-1").splitlines()]
    assert sorted(lines) == sorted(WRITTEN.read_text(encoding="utf-8").splitlines())
    train, test = (read_label_file(sample / name) for name in content)
    assert len(train) == 292 and len(test) == 74
    for name in CLASSES:
        counts = [sum(question.label == name for question in part) for part in (train, test)]
        assert counts[1] == pytest.approx(sum(counts) / 5, abs=1)


def test_a_seed_makes_one_sample(tmp_path, sample):
    again, other = make_questions(tmp_path / "again"), make_questions(tmp_path / "other", seed=1)
    for name in (TRAIN_FILE, TEST_FILE):
        assert (again / name).read_bytes() == (sample / name).read_bytes() != (other / name).read_bytes()


def test_a_line_is_a_label_and_a_question(tmp_path):
    path = tmp_path / "some.label"
    path.write_bytes("LOC:other Where is São Tomé ?\nNUM:temp How hot is it ?\n".encode("iso-8859-1"))
    assert read_label_file(path) == [Question("Where is São Tomé ?", "LOC"), Question("How hot is it ?", "NUM")]


# Splits


def test_the_sample_falls_into_three_parts_without_a_common_question(sample):
    splits = read_splits(sample)
    assert {split: len(questions) for split, questions in splits.items()} == {"train": 263, "valid": 29, "test": 74}
    assert splits["test"] == read_label_file(sample / TEST_FILE)
    assert len(set().union(*splits.values())) == 366


def test_without_a_test_file_a_tenth_is_held_out_by_seed(tmp_path, sample):
    lines = (sample / TRAIN_FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / TRAIN_FILE).write_bytes(b"".join(lines))
    splits = read_splits(tmp_path)
    assert {split: len(questions) for split, questions in splits.items()} == {"train": 234, "valid": 29, "test": 29}
    assert len(set().union(*splits.values())) == 292
    assert set(read_splits(tmp_path, seed=1)["test"]) != set(splits["test"])
    (tmp_path / TRAIN_FILE).write_bytes(b"".join(lines[::-1]))
    assert read_splits(tmp_path) == splits  # the order of the lines is no part of the split


def test_a_question_that_comes_twice_is_in_one_part_only_and_told(tmp_path, sample, capsys):
    lines = (sample / TRAIN_FILE).read_bytes().splitlines(keepends=True)
    test = (sample / TEST_FILE).read_bytes()
    (tmp_path / TRAIN_FILE).write_bytes(b"".join([*lines, *lines[:5], *test.splitlines(keepends=True)[:2]]))
    (tmp_path / TEST_FILE).write_bytes(test)
    assert read_splits(tmp_path) == read_splits(sample)
    told = capsys.readouterr().out
    assert f"5 of 299 questions of {TRAIN_FILE} left out: there twice\n" in told
    assert f"2 more left out: {TEST_FILE} has them, too\n" in told


def test_tsv_files_come_back_as_they_were_written(tmp_path, sample):
    splits = read_splits(sample)
    splits["test"].append(Question('Who said " never " ?', "HUM"))
    for split, name in TSV_FILES.items():
        trec.write_tsv(tmp_path / name, splits[split])
    assert read_splits(tmp_path) == splits
    assert "é".encode() in b"".join((tmp_path / name).read_bytes() for name in TSV_FILES.values())


# Bad input

GOOD = "Where is Lima ?\tLOC\n"
BAD_TSV = {
    "one column": (f"{GOOD}Where is Lima ?\n".encode(), ", line 2: 1 column, expected question<tab>label"),
    "three columns": (f"{GOOD}{GOOD}Who ?\tHUM\tind\n".encode(), ", line 3: 3 columns, expected question<tab>label"),
    "an empty line": (f"{GOOD}\n{GOOD}".encode(), ", line 2: 1 column"),
    "no question": (b"\tHUM\n", ", line 1: no question before the tab"),
    "an unknown label": (
        f"{GOOD}Who is it ?\tWHO\n".encode(),
        ", line 2: unknown label 'WHO', expected one of ABBR, DESC",
    ),
    "an empty file": (b"", ": an empty file, expected a question a line"),
    "not UTF-8": (f"{GOOD}Where is Tomé ?\tLOC\n".encode("iso-8859-1"), ", line 2: byte 0xe9 at column 13 is no UTF-8"),
}
BAD_LABELS = {
    "no fine label": (
        b"LOC:city Where ?\nLOC Where is Lima ?\n",
        ", line 2: found 'LOC Where is Lima ?', expected COARSE:fine",
    ),
    "no question": (b"LOC:city \n", ", line 1: found 'LOC:city '"),
    "an unknown label": (b"WHO:ind Who is it ?\n", ", line 1: unknown label 'WHO'"),
    "an empty file": (b"", ": an empty file"),
}


@pytest.mark.parametrize("what", BAD_TSV)
def test_a_bad_tsv_file_is_named_with_its_line(tmp_path, what):
    content, expected = BAD_TSV[what]
    for name in TSV_FILES.values():
        (tmp_path / name).write_text(GOOD)
    path = tmp_path / TSV_FILES["valid"]
    path.write_bytes(content)
    with pytest.raises(UserError) as mistake:
        read_splits(tmp_path)
    assert str(mistake.value).startswith(f"{path}{expected}")


@pytest.mark.parametrize("what", BAD_LABELS)
def test_a_bad_label_file_is_named_with_its_line(tmp_path, what):
    content, expected = BAD_LABELS[what]
    path = tmp_path / TRAIN_FILE
    path.write_bytes(content)
    with pytest.raises(UserError) as mistake:
        read_splits(tmp_path)
    assert str(mistake.value).startswith(f"{path}{expected}")


def test_a_folder_without_questions_is_named(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        read_splits(tmp_path / "nowhere")
    with pytest.raises(UserError, match=f"found neither {TRAIN_FILE} nor TRECtrain.tsv"):
        read_splits(tmp_path)


def test_a_download_counts_only_with_its_checksum(tmp_path, sample, monkeypatch, serve):
    checksums = {name: hashlib.sha256((sample / name).read_bytes()).hexdigest() for name in trec.SHA256}
    monkeypatch.setattr(trec, "SERVER", serve(sample))
    monkeypatch.setattr(trec, "SHA256", checksums)
    trec.download(tmp_path / "fetched")
    assert read_splits(tmp_path / "fetched") == read_splits(sample)
    monkeypatch.setattr(trec, "SHA256", checksums | {TEST_FILE: "0" * 64})
    with pytest.raises(UserError, match=TEST_FILE):
        trec.download(tmp_path / "changed")
    assert not (tmp_path / "changed" / TEST_FILE).exists()


# The network

VECTORS = torch.zeros(20, 2)
VECTORS[2:] = torch.arange(1.0, 37).view(18, 2) / 36


def test_a_signature_is_what_a_rare_word_looks_like():
    words = {
        "Ellington": "<A-ton>",
        "Washington": "<A-ton>",
        "earthquakes": "<a-kes>",
        "1912": "<digits>",
        "?": "<a-?>",
    }
    assert {word: question_classifier.signature(word) for word in words} == words


def test_words_that_come_once_are_known_by_their_signature_alone(sample):
    questions = [Question("Who is Wellington ?", "HUM"), Question("Who is Ellington ?", "HUM")]
    vocabulary = question_classifier.build_vocabulary(questions)
    assert vocabulary.tokens[:2] == ["<unk>", "<pad>"]
    assert set(vocabulary.tokens[2:]) == {"who", "<A-who>", "is", "<a-is>", "<A-ton>", "?", "<a-?>"}
    index = vocabulary.index
    known = Vocabulary(["<unk>", "<pad>", "?", "washington"])
    expected = [
        [index["who"], index["<A-who>"], UNKNOWN],
        [UNKNOWN, index["<A-ton>"], 3],
        [index["?"], index["<a-?>"], 2],
    ]
    assert question_classifier.encode("Who Washington ?", vocabulary, known).tolist() == expected


def test_the_network_computes_kims_formula():
    torch.manual_seed(0)
    vectors = torch.randn(20, 2)
    net = question_classifier.QuestionNet(20, vectors, width=5, filters=3, spans=(2, 3)).double().eval()
    tokens = torch.randint(2, 20, (4, 1, 3))
    learnt = net.embedding.weight[tokens[:, 0, :2]].sum(dim=1)
    words = torch.cat([learnt, vectors[tokens[:, 0, 2]]], dim=1)  # (words, 7)
    words = torch.cat([torch.zeros(3, 7), words, torch.zeros(3, 7)])
    answers = []
    for span, convolution in zip((2, 3), net.convolutions):
        windows = words[3 - span : 3 + 4 + span].unfold(0, span, 1)  # (places, width, span)
        scores = torch.einsum("pws,fws->pf", windows, convolution.weight) + convolution.bias
        answers.append(scores.relu().max(dim=0).values)
    expected = net.out.weight @ torch.cat(answers) + net.out.bias
    torch.testing.assert_close(net(tokens)[0], expected)


def test_a_question_scores_the_same_beside_a_longer_one():
    net = question_classifier.QuestionNet(20, VECTORS).eval()
    short, long = torch.randint(2, 20, (3, 3)), torch.randint(2, 20, (30, 3))
    alone, _ = collate([(short, 0)])
    beside, _ = collate([(short, 0), (long, 0)])
    assert (beside[3:, 0] == PADDING).all()
    torch.testing.assert_close(net(alone)[0], net(beside)[0])
    assert not torch.allclose(net(beside)[0], net(beside)[1])


def test_word_dropout_leaves_the_signatures_and_the_padding():
    net = question_classifier.QuestionNet(20, VECTORS, word_dropout=1.0)
    net.dropout.p = 0.0
    tokens, _ = collate([(torch.randint(2, 20, (length, 3)), 0) for length in (3, 6)])
    unknown = tokens.clone()
    unknown[..., 0] = tokens[..., 0].masked_fill(tokens[..., 0] != PADDING, UNKNOWN)
    torch.testing.assert_close(net.train()(tokens), net.eval()(unknown))
    assert not torch.allclose(net.eval()(tokens), net.eval()(unknown))


# The program


def test_a_run_learns_and_leaves_its_files(run):
    out = Path(run[-1])
    summary = json.loads((out / "summary.json").read_text())
    assert summary["majority_class"] == pytest.approx(14 / 74)
    assert summary["accuracy"] > 0.55 and summary["epochs"] == 16
    assert json.loads((out / "config.json").read_text())["lr"] == 0.003
    for name in ("confusion.png", "curves.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_evaluate_finds_the_figures_of_the_run_again(run, monkeypatch, capsys, tmp_path):
    out = Path(run[-1])
    trained = json.loads((out / "summary.json").read_text())
    flags = [*run[:-1], tmp_path, "--evaluate", "test", "--checkpoint", out / "best.pt"]
    lines = call(monkeypatch, capsys, *flags)
    assert lines[-1] == f"accuracy {trained['accuracy']:.4f} over the 74 questions of test"
    scored = json.loads((tmp_path / "evaluation_test.json").read_text())
    assert scored["accuracy"] == trained["accuracy"]
    assert scored["loss"] == pytest.approx(trained["test_loss"], rel=1e-5)
    # the table's rows, by hand
    args = question_classifier.read_flags([*map(str, run), "--predict", "Who ?"])
    net, *vocabularies = question_classifier.load(args)
    right = Counter()
    for question in read_splits(args.data)["test"]:
        scores = net(question_classifier.encode(question.text, *vocabularies).unsqueeze(1))
        right[question.label] += question_classifier.LABELS[scores.argmax()] == question.label
    totals = Counter(question.label for question in read_splits(args.data)["test"])
    for line, name in zip(lines[1:7], CLASSES):
        assert line.startswith(name) and f"{totals[name]:>9}{right[name] / totals[name]:>8.1%}" in line


def test_scoring_leaves_the_run_s_own_files_as_they_are(run, monkeypatch, capsys):
    out = Path(run[-1])
    names = ("summary.json", "confusion.png", "best.pt", "metrics.jsonl", "config.json")
    before = {name: (out / name).read_bytes() for name in names}
    call(monkeypatch, capsys, *run, "--evaluate", "valid")
    assert {name: (out / name).read_bytes() for name in names} == before
    assert json.loads((out / "evaluation_valid.json").read_text())["questions"] == 29
    assert (out / "evaluation_valid" / "confusion.png").read_bytes() != before["confusion.png"]


def test_the_sample_is_not_trained_past_its_best():
    """With one cycle over 40 epochs, 26 gained nothing while the loss on the choosing part rose."""
    assert (
        question_classifier.read_flags([]).epochs == 20 and question_classifier.read_flags(["--data", "x"]).epochs == 8
    )


def test_vectors_go_into_the_network_and_their_words_into_the_checkpoint(sample, tmp_path, monkeypatch, capsys):
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("3 3\nwho 1 -2 3\nriver 0.5 0 -0.5\nzebra 4 5 6\n")
    run = ["--data", sample, "--device", "cpu", "--out", tmp_path / "out"]
    call(monkeypatch, capsys, *run, "--epochs", "1", "--vectors", vectors)
    weights = torch.load(tmp_path / "out/best.pt")["model"]["vectors.weight"]
    # Of a word that no question has, they are as they were, but for the weight decay and the scale.
    torch.testing.assert_close(weights[4], 0.4 * torch.tensor([4.0, 5.0, 6.0]), rtol=0.01, atol=0)
    assert not torch.equal(weights[2] / 0.4, torch.tensor([1.0, -2.0, 3.0]))
    vectors.unlink()
    net, _, known = question_classifier.load(question_classifier.read_flags([*map(str, run), "--predict", "Who ?"]))
    assert known.tokens == ["<unk>", "<pad>", "who", "river", "zebra"]
    assert net.convolutions[0].weight.shape == (128, 128 + 3, 2)


def test_a_question_of_a_shell_that_is_not_in_utf8_is_answered(run, monkeypatch, capsys):
    """Python keeps the bytes of an argument that it cannot decode as letters that nothing can encode."""
    asked = [
        question.decode("ascii", "surrogateescape") for question in (b"Where is Orl\xe9ans ?", b"Orl\xc3\xa9ans ?")
    ]
    lines = call(monkeypatch, capsys, *run, "--predict", *asked)
    assert lines[0] == "Where is Orl\ufffdans ?" and lines[2] == "Orléans ?"


def test_predict_says_the_most_probable_classes(run, monkeypatch, capsys):
    questions = ["How many rivers does Peru have ?", "Who painted the Sistine Chapel ?"]
    lines = call(monkeypatch, capsys, *run, "--predict", *questions)
    args = question_classifier.read_flags([*map(str, run), "--predict", "Who ?"])
    net, *vocabularies = question_classifier.load(args)
    for question, said, told, expected in zip(questions, lines[::2], lines[1::2], ["NUM", "HUM"]):
        tokens = question_classifier.encode(question, *vocabularies).unsqueeze(1)
        shares = F.softmax(net(tokens)[0], dim=0)
        assert said == question and told.startswith(f"  {expected} {shares.max():.2f}, {CLASSES[expected]}; else ")


def test_a_mistake_ends_with_status_2_and_says_what_is_wrong(run, monkeypatch, capsys, tmp_path):
    def complaint(*flags):
        monkeypatch.setattr(sys, "argv", ["question_classifier.py", *map(str, flags)])
        with pytest.raises(SystemExit) as stop:
            cli.run(question_classifier.main)
        assert stop.value.code == 2
        told = capsys.readouterr().err
        assert len(told.splitlines()) <= 2 and "Traceback" not in told
        return told

    assert "no such split; expected train, valid, test" in complaint(*run, "--evaluate", "dev")
    assert "an empty question" in complaint(*run, "--predict", "Who ?", " ")
    nowhere = ["--out", tmp_path, "--device", "cpu"]
    assert "best.pt: no such checkpoint" in complaint(*nowhere, "--predict", "Who ?")
    state = checkpoints.read(Path(run[-1]) / "best.pt")
    vocabulary = state["run"]["belongs"].pop("vocabulary")
    torch.save(state, tmp_path / "best.pt")
    assert "of another program, it has no vocabulary" in complaint(*nowhere, "--predict", "Who ?")
    state["run"]["belongs"]["vocabulary"] = vocabulary[:3]
    torch.save(state, tmp_path / "best.pt")
    assert "of another network: embedding.weight" in complaint(*nowhere, "--predict", "Who ?")
    (tmp_path / TRAIN_FILE).write_bytes(b"LOC:city Where is Lima ?\nLima\n")
    assert f"{tmp_path / TRAIN_FILE}, line 2: found 'Lima'" in complaint(*nowhere, "--data", tmp_path)


# The real set


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="no TREC in ../shared/data")
def test_the_real_set_is_read_whole(capsys):
    questions = read_label_file(REAL / TRAIN_FILE)
    counts = {"ABBR": 86, "DESC": 1162, "ENTY": 1250, "HUM": 1223, "LOC": 835, "NUM": 896}
    assert Counter(question.label for question in questions) == counts
    assert questions[65].text == "Which city has the oldest relationship as a sisterðcity with Los Angeles ?"
    splits = read_splits(REAL)
    assert "71 of 5452 questions of train_5500.label left out: there twice" in capsys.readouterr().out
    assert {split: len(part) for split, part in splits.items()} == {"train": 4305, "valid": 538, "test": 538}
    assert len({question.text for part in splits.values() for question in part}) == 5381
    sample = {line.partition(" ")[2] for line in WRITTEN.read_text(encoding="utf-8").splitlines()}
    assert not sample & {question.text for question in questions}  # the sample is nobody's copy
