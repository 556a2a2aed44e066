"""Chapter 2: the FizzBuzz data set and the program, run as a reader runs it."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ch02_simple_nn import data, fizzbuzz
from ch02_simple_nn.fizbuz_net import FizBuzNet
from common import cli

ROOT = Path(__file__).parents[1]
CHECKPOINTS = ("last.pt", "best.pt", "previous.pt")


@pytest.fixture
def fizzbuzz_run(monkeypatch, capsys):
    """Runs the program in this process; returns its exit status, standard output and standard error."""

    def run(*flags):
        monkeypatch.setattr(sys, "argv", ["fizzbuzz.py", "--device", "cpu", *map(str, flags)])
        status = 0
        try:
            cli.run(fizzbuzz.main)
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def refused(fizzbuzz_run):
    """What the program says on standard error when it ends with status 2."""

    def run(*flags):
        status, _, message = fizzbuzz_run(*flags)
        assert status == 2
        assert 1 <= len(message.splitlines()) <= 2 and "Traceback" not in message
        return message

    return run


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


def test_three_ways_to_write_the_network_are_one():
    nets = [make(10, 100, 4).double() for make in fizzbuzz.NETWORKS.values()]
    weights = list(nets[0].state_dict().values())
    x = torch.rand(7, 10, dtype=torch.float64)
    expected = torch.sigmoid(torch.sigmoid(x @ weights[0].T + weights[1]) @ weights[2].T + weights[3])
    gradients = []
    for net in nets:
        net.load_state_dict(dict(zip(net.state_dict(), weights)))
        torch.testing.assert_close(net(x), expected)
        net(x).pow(2).sum().backward()
        gradients.append([parameter.grad for parameter in net.parameters()])
    torch.testing.assert_close(gradients[1], gradients[0])
    torch.testing.assert_close(gradients[2], gradients[0])


class ThreeLayers(FizBuzNet):
    """What a reader may try: a third Linear."""

    def __init__(self, input_size, hidden_size, output_size):
        super().__init__(input_size, hidden_size, hidden_size)
        self.third = nn.Linear(hidden_size, output_size)

    def forward(self, batch):
        return torch.sigmoid(self.third(super().forward(batch)))


def test_a_third_layer_trains(fizzbuzz_run, monkeypatch, tmp_path):
    monkeypatch.setitem(fizzbuzz.NETWORKS, "module", ThreeLayers)
    assert fizzbuzz_run("--epochs", 40, "--out", tmp_path)[0] == 0
    losses = losses_of(tmp_path)
    assert losses[-1] < 0.9 * losses[0]


# The program


def epochs_of(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def losses_of(out):
    return [line["loss"] for line in epochs_of(out)]


def weights_of(out, name="last.pt"):
    return torch.load(out / name, weights_only=True)["model"]


def test_the_default_run_gets_every_unseen_number_right_and_plays(fizzbuzz_run, tmp_path):
    status, said, _ = fizzbuzz_run("--out", tmp_path)
    assert status == 0 and "100 of 100 unseen numbers right" in said
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["accuracy"] == 1 and summary["epochs"] == 500 and summary["loss"] < 0.005
    lines = epochs_of(tmp_path)
    assert [line["epoch"] for line in lines] == list(range(1, 501)) and lines[-1]["loss"] == summary["loss"]
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["target"] == "number" and config["seed"] == 0
    for name in CHECKPOINTS:
        assert torch.load(tmp_path / name, weights_only=True)["run"]["id"] == config["run"]
    assert (tmp_path / "curves.png").stat().st_size > 1000

    _, _, teX, _ = data.get_numpy_data()
    unseen = data.binary_decoder(teX[0])
    status, said, _ = fizzbuzz_run("--predict", 7, 15, 98, 1000, unseen, "--out", tmp_path)
    assert status == 0
    assert [line.split() for line in said.splitlines()] == [
        ["the", "answer", "for", "the", "number", "itself:"],
        ["7", "->", "7", "(trained", "on)"],
        ["15", "->", "fizzbuzz", "(trained", "on)"],
        ["98", "->", "98", "(trained", "on)"],
        ["1000", "->", "buzz", "(never", "seen)"],
        [str(unseen), "->", data.spoken(unseen, data.class_index(unseen)), "(never", "seen)"],
    ]


@pytest.mark.parametrize("network", ["sequential", "own-linear"])
def test_a_run_is_asked_for_what_it_was_trained_for(fizzbuzz_run, refused, tmp_path, network):
    flags = ["--network", network, "--target", "next", "--epochs", 20, "--seed", 3]
    assert fizzbuzz_run(*flags, "--out", tmp_path)[0] == 0
    losses = losses_of(tmp_path)
    assert len(losses) == 20 and losses[-1] < 0.5 * losses[0]
    # Nothing but the folder is said: the run knows the rest.
    status, said, _ = fizzbuzz_run("--predict", 8, "--out", tmp_path)
    assert status == 0 and "the answer for the next number:" in said
    assert fizzbuzz_run("--predict", 8, *flags, "--out", tmp_path)[0] == 0
    for flag, value in (("--target", "number"), ("--network", "module"), ("--epochs", 7), ("--seed", 4)):
        assert f"{flag} {value}: {tmp_path / 'best.pt'} was trained with" in refused(
            "--predict", 8, flag, value, "--out", tmp_path
        )


def test_an_answer_that_is_wrong_is_told(fizzbuzz_run, tmp_path):
    """After one epoch the network says "other" for everything."""
    assert fizzbuzz_run("--epochs", 1, "--out", tmp_path)[0] == 0
    _, said, _ = fizzbuzz_run("--predict", 15, 16, "--out", tmp_path)
    assert "15 -> 15       (trained on, wrong: fizzbuzz)" in said and "wrong: 16" not in said


def test_one_seed_gives_one_result(fizzbuzz_run, tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        fizzbuzz_run("--epochs", 3, "--seed", seed, "--out", tmp_path / name)
    first, second, other = (weights_of(tmp_path / name) for name in ("a", "b", "c"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_a_single_step_is_a_run(fizzbuzz_run, tmp_path):
    assert "unseen numbers right" in fizzbuzz_run("--epochs", 1, "--batch-size", 5000, "--out", tmp_path)[1]


# Interrupted, killed, resumed


def in_epoch_three(monkeypatch, happens):
    """Lets something happen at the end of the third epoch, before it is saved."""
    answers, calls = fizzbuzz.answers, []

    def answers_and_more(*arguments):
        calls.append(1)
        if len(calls) == 3:
            happens()
        return answers(*arguments)

    monkeypatch.setattr(fizzbuzz, "answers", answers_and_more)


def same_run(one, other):
    weights, expected = weights_of(one), weights_of(other)
    assert list(weights) == list(expected) and all(torch.equal(weights[name], expected[name]) for name in weights)
    without_seconds = [[{**line, "seconds": 0} for line in epochs_of(out)] for out in (one, other)]
    assert without_seconds[0] == without_seconds[1] and len(without_seconds[0]) == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_saved_and_goes_on_to_the_bit(fizzbuzz_run, monkeypatch, tmp_path, number):
    flags = ["--epochs", 6, "--seed", 2]
    fizzbuzz_run(*flags, "--out", tmp_path / "whole")
    with monkeypatch.context() as patch:
        in_epoch_three(patch, lambda: os.kill(os.getpid(), number))
        status, _, told = fizzbuzz_run(*flags, "--out", tmp_path / "broken")
    assert status == 130 and "after epoch 3; go on with --resume" in told
    assert [line["epoch"] for line in epochs_of(tmp_path / "broken")] == [1, 2, 3]
    status, told, _ = fizzbuzz_run(*flags, "--resume", "--out", tmp_path / "broken")
    assert status == 0 and "after epoch 3" in told
    same_run(tmp_path / "broken", tmp_path / "whole")


def test_a_killed_run_goes_on_to_the_bit(fizzbuzz_run, monkeypatch, tmp_path):
    """The third epoch is lost with the process; the newest file is damaged too, and the one before takes its place."""
    flags = ["--epochs", 6]
    fizzbuzz_run(*flags, "--out", tmp_path / "whole")

    def killed():
        raise RuntimeError

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        in_epoch_three(patch, killed)
        fizzbuzz_run(*flags, "--out", tmp_path / "broken")
    last = tmp_path / "broken" / "last.pt"
    last.write_bytes(last.read_bytes()[:5000])
    status, told, warned = fizzbuzz_run(*flags, "--resume", "--out", tmp_path / "broken")
    assert status == 0 and "previous.pt after epoch 1" in told and "not a whole checkpoint" in warned
    same_run(tmp_path / "broken", tmp_path / "whole")


def test_a_run_is_resumed_as_it_was_begun(fizzbuzz_run, refused, tmp_path):
    assert "no whole checkpoint" in refused("--resume", "--out", tmp_path / "nothing")
    fizzbuzz_run("--epochs", 2, "--out", tmp_path)
    assert "begun with --target number, not next" in refused(
        "--epochs", 2, "--target", "next", "--resume", "--out", tmp_path
    )


# Bad input


@pytest.mark.parametrize(
    "flags, expected",
    [
        (["--predict", "-3"], "'-3' is not a whole number from 0 to 1023"),
        (["--predict", "5000"], "'5000' is not a whole number from 0 to 1023"),
        (["--predict", "7.5"], "'7.5' is not a whole number from 0 to 1023"),
        (["--predict"], "expected at least one argument"),
        (["--epochs", "0"], "'0' is not a whole number from 1"),
        (["--lr", "nan"], "'nan' is not a number greater than 0"),
        (["--lr", "-1"], "'-1' is not a number greater than 0"),
        (["--batch-size", "x"], "'x' is not a whole number from 1"),
        (["--seed", "5000000000"], "'5000000000' is not a whole number from 0 to"),
        (["--device", "cuda:99"], "'cuda:99' is not there"),
        (["--device", "tpu"], "'tpu' is no device; expected auto, cpu, cuda, cuda:N or mps"),
        (["--network", "transformer"], "invalid choice: 'transformer'"),
        (["--out", "README.md"], "README.md"),
    ],
)
def test_a_mistake_on_the_command_line(refused, monkeypatch, flags, expected):
    monkeypatch.chdir(ROOT)
    assert expected in refused(*flags)


def test_what_decides_the_unseen_numbers_is_said(fizzbuzz_run):
    _, said, _ = fizzbuzz_run("--help")
    assert "which 100 numbers stay unseen" in " ".join(said.split())


def test_playing_without_a_run(refused, tmp_path):
    assert f"{tmp_path / 'best.pt'}: no such checkpoint; train first" in refused("--predict", 7, "--out", tmp_path)


def test_a_file_that_is_no_network(refused, tmp_path):
    for content in (b"", b"not a network", b"PK\x03\x04 cut off"):
        (tmp_path / "best.pt").write_bytes(content)
        message = refused("--predict", 7, "--out", tmp_path)
        assert f"{tmp_path / 'best.pt'}: not a whole checkpoint" in message
    for content in (torch.ones(3), nn.Linear(2, 2).state_dict()):
        torch.save(content, tmp_path / "best.pt")
        assert "no checkpoint of this repository" in refused("--predict", 7, "--out", tmp_path)


def test_a_reader_s_own_network_is_told_what_differs(fizzbuzz_run, refused, monkeypatch, tmp_path):
    """`hidden_size = 50` in the file, and the weights of before."""
    fizzbuzz_run("--epochs", 1, "--out", tmp_path)
    monkeypatch.setattr(fizzbuzz, "hidden_size", 50)
    message = refused("--predict", 7, "--out", tmp_path)
    assert "of another network: hidden.weight is (100, 10) in the file, expected (50, 10)" in message


def test_a_learning_rate_that_is_too_high(refused, tmp_path):
    assert "--lr 1e+38 is too high" in refused("--lr", "1e38", "--epochs", 3, "--out", tmp_path)
