"""Chapter 2: the FizzBuzz data set and the program, run as a reader runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ch02_simple_nn import data, fizzbuzz
from common import cli

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "ch02_simple_nn" / "fizzbuzz.py"


def run(*flags):
    return subprocess.run([sys.executable, PROGRAM, *map(str, flags)], cwd=ROOT, capture_output=True, text=True)


def refused(monkeypatch, capsys, *flags):
    """What the program says on standard error when it ends with status 2."""
    monkeypatch.setattr(sys, "argv", ["fizzbuzz.py", *map(str, flags)])
    with pytest.raises(SystemExit) as end:
        cli.run(fizzbuzz.main)
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert 1 <= len(message.splitlines()) <= 2 and "Traceback" not in message
    return message


# 2.1 The data


def test_the_encoder_and_its_decoder():
    encoder = data.binary_encoder(10)
    assert encoder(3) == [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert [data.binary_decoder(encoder(number)) for number in range(1024)] == list(range(1024))
    assert {len(encoder(number)) for number in range(1024)} == {10}


@pytest.mark.parametrize("number", [1024, 5000, -3])
def test_the_encoder_refuses_what_does_not_fit(number):
    with pytest.raises(ValueError, match=f"{number} does not fit: 10 bits hold the numbers from 0 to 1023"):
        data.binary_encoder(10)(number)


def test_the_data_refuse_a_limit_beyond_the_bits():
    with pytest.raises(ValueError, match="16 does not fit"):
        data.get_numpy_data(input_size=4, limit=17)


def word(number):
    """The game by its rule, independent of the code under test."""
    return ("fizz" * (number % 3 == 0) + "buzz" * (number % 5 == 0)) or "other"


@pytest.mark.parametrize("target, ahead", [("number", 0), ("next", 1)])
def test_every_row_carries_its_answer(target, ahead):
    trX, trY, teX, teY = data.get_numpy_data(target=target)
    assert (trX.shape, trY.shape, teX.shape, teY.shape) == ((900, 10), (900, 4), (100, 10), (100, 4))
    assert trX.dtype == trY.dtype == np.int64
    x, y = np.vstack([trX, teX]), np.vstack([trY, teY])
    numbers = [data.binary_decoder(bits) for bits in x]
    assert sorted(numbers) == list(range(1000))
    assert (y.sum(axis=1) == 1).all()
    order = ["fizzbuzz", "buzz", "fizz", "other"]
    assert [order[column] for column in y.argmax(axis=1)] == [word(number + ahead) for number in numbers]


def test_class_counts_and_indices():
    _, trY, _, teY = data.get_numpy_data()
    _, tr_index, _, te_index = data.get_class_index_data()
    assert (trY.sum(axis=0) + teY.sum(axis=0)).tolist() == [67, 133, 267, 533]
    assert np.array_equal(np.eye(4, dtype=int)[tr_index], trY) and np.array_equal(np.eye(4, dtype=int)[te_index], teY)


def test_the_split_is_the_seed_s():
    first, again, other = (data.get_numpy_data(seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not np.array_equal(first[2], other[2])


def test_what_a_player_says():
    assert [data.spoken(n, data.class_index(n)) for n in (0, 3, 7, 10)] == ["fizzbuzz", "fizz", "7", "buzz"]
    # The page's own examples of the next number's answer.
    said = [data.spoken(n, data.class_index(data.said_number(n, "next")), "next") for n in (3, 8)]
    assert said == ["4", "fizz"]


# The networks


@pytest.mark.parametrize("logits", [False, True])
def test_three_ways_to_write_the_network_are_one(logits):
    nets = [make(10, 100, 4, logits=logits).double() for make in fizzbuzz.NETWORKS.values()]
    weights = list(nets[0].state_dict().values())
    x = torch.rand(7, 10, dtype=torch.float64)
    hidden = torch.sigmoid(x @ weights[0].T + weights[1])
    expected = hidden @ weights[2].T + weights[3]
    expected = expected if logits else torch.sigmoid(expected)
    gradients = []
    for net in nets:
        net.load_state_dict(dict(zip(net.state_dict(), weights)))
        torch.testing.assert_close(net(x), expected)
        net(x).pow(2).sum().backward()
        gradients.append([parameter.grad for parameter in net.parameters()])
    torch.testing.assert_close(gradients[1], gradients[0])
    torch.testing.assert_close(gradients[2], gradients[0])


# The program


def short_run(monkeypatch, capsys, out, *flags):
    monkeypatch.setattr(sys, "argv", ["fizzbuzz.py", "--device", "cpu", "--out", str(out), *flags])
    fizzbuzz.main()
    return capsys.readouterr().out


def test_the_default_run_gets_every_unseen_number_right_and_plays(monkeypatch, capsys, tmp_path):
    first = run("--predict", 7, 15, 98, 1000, "--out", tmp_path)
    assert first.returncode == 0, first.stderr
    assert "training first" in first.stdout and "100 of 100 unseen numbers right" in first.stdout
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["accuracy"] == 1 and summary["epochs"] == 600 and summary["loss"] < 0.05
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["epoch"] == 600 and lines[-1]["loss"] == summary["loss"] < lines[0]["loss"]
    assert json.loads((tmp_path / "config.json").read_text())["target"] == "number"
    assert (tmp_path / "curves.png").stat().st_size > 1000

    again = short_run(monkeypatch, capsys, tmp_path, "--predict", "7", "15", "98", "1000")
    assert f"played by {tmp_path / 'last.pt'}" in again and "epoch" not in again
    assert [line.split() for line in again.splitlines()[2:]] == [
        ["7", "->", "7"],
        ["15", "->", "fizzbuzz"],
        ["98", "->", "98"],
        ["1000", "->", "buzz"],
        ["4", "of", "4", "right"],
    ]


def test_the_page_s_settings_stay_at_other(monkeypatch, capsys, tmp_path):
    page = ["--optimizer", "sgd", "--loss", "mse", "--lr", "0.01", "--without", "signs", "start", "cycle"]
    short_run(monkeypatch, capsys, tmp_path, *page, "--epochs", "100")
    net, signs, _ = fizzbuzz.load(tmp_path / "last.pt", torch.device("cpu"))
    assert not signs
    trX, _, _, teY = data.get_class_index_data()
    with torch.no_grad():
        assert set(net(torch.from_numpy(trX).float()).argmax(dim=1).tolist()) == {3}
    share = json.loads((tmp_path / "summary.json").read_text())["accuracy"]
    assert share == pytest.approx((teY == 3).mean())


@pytest.mark.parametrize("network", ["sequential", "own-linear"])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_each_network_and_loss_learns_and_is_asked_again(monkeypatch, capsys, tmp_path, network, loss):
    flags = ["--network", network, "--loss", loss, "--epochs", "20", "--optimizer", "adam", "--target", "next"]
    short_run(monkeypatch, capsys, tmp_path, *flags)
    epochs = [json.loads(line)["loss"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert len(epochs) == 20 and epochs[-1] < 0.8 * epochs[0]
    # The saved run knows that it was trained for the next number.
    assert "the answer for the next number:" in short_run(monkeypatch, capsys, tmp_path, "--predict", "8")


def test_one_seed_gives_one_result(monkeypatch, capsys, tmp_path):
    for name in ("a", "b"):
        short_run(monkeypatch, capsys, tmp_path / name, "--epochs", "3", "--seed", "5")
    first, second = (fizzbuzz.load(tmp_path / name / "last.pt", torch.device("cpu"))[0] for name in ("a", "b"))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))


def test_a_single_step_is_a_run(monkeypatch, capsys, tmp_path):
    assert "unseen numbers right" in short_run(monkeypatch, capsys, tmp_path, "--epochs", "1", "--batch-size", "5000")


# Bad input


@pytest.mark.parametrize(
    "flags, expected",
    [
        (["--predict", "-3"], "'-3': the network's bits hold whole numbers from 0 to 1023"),
        (["--predict", "5000"], "'5000': the network's bits hold whole numbers from 0 to 1023"),
        (["--predict", "7.5"], "'7.5': the network's bits hold whole numbers from 0 to 1023"),
        (["--predict"], "expected at least one argument"),
        (["--epochs", "0"], "'0' is not a whole number from 1 to 1000000"),
        (["--lr", "nan"], "'nan' is not a number greater than 0"),
        (["--lr", "-1"], "'-1' is not a number greater than 0"),
        (["--batch-size", "x"], "'x' is not a whole number from 1 to 1000000"),
        (["--device", "cuda:99"], "'cuda:99' is not there"),
        (["--device", "tpu"], "'tpu' is no device; expected auto, cpu, cuda, cuda:N or mps"),
        (["--optimizer", "lion"], "invalid choice: 'lion'"),
    ],
)
def test_a_mistake_on_the_command_line(monkeypatch, capsys, flags, expected):
    assert expected in refused(monkeypatch, capsys, *flags)


def test_a_file_that_is_no_network(monkeypatch, capsys, tmp_path):
    for content in (b"", b"not a network", b"PK\x03\x04 cut off"):
        (tmp_path / "last.pt").write_bytes(content)
        message = refused(monkeypatch, capsys, "--predict", "7", "--device", "cpu", "--out", tmp_path)
        assert f"{tmp_path / 'last.pt'}: not a network of this script" in message
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "last.pt")
    assert "not a network" in refused(monkeypatch, capsys, "--predict", "7", "--device", "cpu", "--out", tmp_path)


def test_a_learning_rate_that_is_too_high(monkeypatch, capsys, tmp_path):
    flags = ["--lr", "1e38", "--optimizer", "sgd", "--epochs", "3", "--device", "cpu", "--out", tmp_path]
    assert "--lr 1e+38 is too high" in refused(monkeypatch, capsys, *flags)
