"""The Stanford Sentiment Treebank: reading, refusing, learning."""

import json
import random
from pathlib import Path

import pytest
import torch

from ch05_sequence import sentiment
from ch05_sequence.loaders import treebank as loader
from ch05_sequence.loaders.snli import PAD, PADDING
from common import cli
from common.errors import UserError

REAL = Path(__file__).parents[2] / "shared" / "data" / "sst"
real_data = pytest.mark.real_data


def test_a_tree_is_words_moves_and_labels():
    words, moves, labels = loader.read_tree("(3 (2 It) (4 (3 really) (4 works)))")
    assert words == ["It", "really", "works"]
    assert moves == [3, 3, 3, 2, 2]
    assert labels == [2, 3, 4, 4, 3]
    assert loader.read_tree("(2 a)") == (["a"], [3], [2])
    # A space that does not break is part of the word.
    assert loader.read_tree("(2 (2 1\xa01\\/2) (2 hours))")[0] == ["1\xa01\\/2", "hours"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "is no tree"),
        ("(5 a)", "label '5'; expected 0, 1, 2, 3 or 4"),
        ("(a)", "label 'a'"),
        ("(2 (2 a) (2 b)", "is no tree; expected"),
        ("(2 a))", "is no tree"),
        ("(2 a) (2 b)", "is no tree"),
        ("(2 (2 a))", "is no tree"),
        ("(2 (2 a) (2 b) (2 c))", "is no tree"),
        ("(2)", "is no tree"),
        ("(2 a b)", "is no tree"),
        ("(2 (2 a) b)", "is no tree"),
        ("(2 b (2 a))", "is no tree"),
        ("words", "'words' is no tree"),
    ],
)
def test_a_line_that_is_no_tree_is_refused_with_file_and_line(line, said, tmp_path):
    path = tmp_path / "train.txt"
    path.write_text(f"(2 fine)\n{line}\n(2 fine)\n")
    with pytest.raises(UserError, match=f"train.txt, line 2: .*{said}"):
        loader.read_trees(path)


def test_files_that_are_not_there_or_empty_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        loader.read_trees(tmp_path / "train.txt")
    (tmp_path / "train.txt").write_text("")
    with pytest.raises(UserError, match="no line; expected a tree a line"):
        loader.read_trees(tmp_path / "train.txt")


def write_treebank(folder, sizes=(300, 60)):
    """Things are good or bad, and `not` turns that round."""
    rng = random.Random(0)
    folder.mkdir()
    for split, size in zip(("train", "dev"), sizes):
        lines = []
        for _ in range(size):
            label = rng.choice((0, 1, 3, 4))
            node = f"({label} {('awful', 'bad', '', 'good', 'great')[label]})"
            for _ in range(rng.randrange(2)):
                label = 4 - label
                node = f"({label} (2 not) {node})"
            lines.append(f"({label} (2 (2 the) (2 film{rng.randrange(200)})) ({label} (2 is) {node}))\n")
        (folder / f"{split}.txt").write_text("".join(dict.fromkeys(lines)))
    return folder


@pytest.fixture(scope="module")
def treebank(tmp_path_factory):
    return write_treebank(tmp_path_factory.mktemp("sst") / "trees")


def test_training_sentences_that_are_scored_too_are_left_out(treebank, tmp_path, capsys):
    doubled = tmp_path / "doubled"
    doubled.mkdir()
    dev = (treebank / "dev.txt").read_text()
    train = (treebank / "train.txt").read_text()
    (doubled / "dev.txt").write_text(dev + "(2 neutral)\n")
    (doubled / "train.txt").write_text(train + dev)
    splits = loader.open_treebank(doubled)
    told = capsys.readouterr().out
    assert "left out" in told and "dev.txt is the test" in told and "1 neutral sentences" in told
    words = {split: {tuple(dataset[n][0]) for n in range(len(dataset))} for split, dataset in splits.items()}
    assert not words["train"] & words["test"] and not words["train"] & words["dev"]
    assert len(splits["test"]) == len(dev.splitlines())


def test_a_batch_is_padded(treebank):
    train = loader.open_treebank(treebank.parent)["train"]
    sentences, classes, nodes = train.__getitems__([0, 1, 2, 3])
    for row, index in enumerate(range(4)):
        words, moves, labels = train.trees[index]
        n = len(words)
        assert sentences.words[row, :n].tolist() == train.vocabulary.lookup(words)
        assert (sentences.words[row, n:] == PAD).all()
        assert sentences.transitions[row, : 2 * n - 1].tolist() == moves
        assert (sentences.transitions[row, 2 * n - 1 :] == PADDING).all()
        assert nodes[row, : 2 * n - 1].tolist() == labels
        assert (nodes[row, 2 * n - 1 :] == loader.NO_NODE).all()
        assert classes[row] == (labels[-1] > 2)


def run(*flags):
    sentiment.main([*map(str, flags)])
    cli.at_end.close()


@pytest.mark.parametrize("moves", [["--tracker-dim", "0"], ["--tracker-dim", "8"]])
def test_program_learns_sentiment(treebank, tmp_path, moves, capsys, no_figures):
    out = ["--out", tmp_path, "--device", "cpu"]
    network = ["--embed-dim", 12, "--hidden-size", 12, "--dropout", 0, *moves]
    run("--data", treebank.parent, *out, *network, "--batch-size", 20, "--lr", 0.02, "--epochs", 25)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["accuracy"] > 0.95
    # What the network is like, which data it was trained on and with which words, the run has kept.
    text = "((the film1) (is (not good)))" if "0" in moves else "the film1 is not good"
    capsys.readouterr()
    run(*out, "--predict", text.replace("good", "x"))
    name, unknown, chances = capsys.readouterr().out.splitlines()[-3:]
    assert unknown == "  unknown words, all read as one and the same: x"
    run(*out, "--predict", text)
    name, chances = capsys.readouterr().out.splitlines()[-2:]
    assert name == text
    assert float(chances.split()[1].rstrip(",")) > 0.5 and chances.split()[0] == "negative"
    run(*out, "--evaluate", "test")
    assert json.loads((tmp_path / "evaluation_test.json").read_text())["accuracy"] == summary["accuracy"]
    own = tmp_path / "own.txt"
    own.write_text("(0 (2 (2 the) (2 film2)) (0 (2 is) (0 awful)))\n(2 (2 the) (2 zebra))\n(4 (2 quite) (4 great))\n")
    capsys.readouterr()
    run(*out, "--evaluate", own)
    told = capsys.readouterr().out
    assert "own.txt: 1 neutral sentences of 3 left out" in told
    assert "1 of its 6 different words are unknown, such as quite" in told and "over the 2 sentences" in told


def test_the_treebank_has_no_sample_and_a_file_must_be_there(tmp_path):
    with pytest.raises(UserError, match="--data DIR is needed"):
        sentiment.read_flags(["--out", str(tmp_path)])


def test_labels_of_all_nodes_are_learnt_from():
    torch.manual_seed(0)
    sides, nodes = torch.randn(2, 2), torch.randn(2, 3, 5)
    labels = torch.tensor([[2, 3, 4], [1, loader.NO_NODE, loader.NO_NODE]])
    target = {"labels": torch.tensor([1, 0]), "nodes": labels, "transitions": torch.tensor([[3, 3, 2], [3, 1, 1]])}
    chances = nodes.log_softmax(2)
    expected = -(chances[0, 0, 2] + chances[0, 1, 3] + chances[0, 2, 4] + chances[1, 0, 1]) / 4
    output = {"logits": sides, "nodes": nodes}
    criterion = torch.nn.CrossEntropyLoss()
    torch.testing.assert_close(sentiment.tree_loss(criterion, 1.0, output, target), expected)
    on_own_moves = torch.nn.functional.cross_entropy(sides, target["labels"])
    output["moves"] = target["transitions"]
    torch.testing.assert_close(sentiment.tree_loss(criterion, 1.0, output, target), on_own_moves)


@real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the Stanford Sentiment Treebank is not there")
def test_the_real_treebank(capsys):
    splits = loader.open_treebank(REAL)
    assert len(splits["test"]) == 872  # the published number of its development sentences that are not neutral
    assert "1102 of its 9645 sentences are for scoring too" in capsys.readouterr().out
